//! Who may call, and what they may see.
//!
//! ```text
//!  request ─► local: host and origin, of a service without keys
//!          └► keys: the right that the call needs ─► Caller ─► handlers: scopes that the caller sees
//! ```
//!
//! A service without keys is for the user of this machine. Its address alone does not keep web pages out: a browser on this
//! machine sends what any page tells it to, and a page whose host name resolves to 127.0.0.1 may even read the answers. So
//! the host must be a name of this machine, and what a browser says of the origin of a request must be this service.
//!
//! With keys, [`needed`] says which right a call needs; a call that it does not know needs all of them.

mod keys;
mod local;
mod quota;
mod rules;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use http::request::Parts;
use http::{HeaderMap, Method, header};

pub(crate) use self::keys::{Entry, Right};
pub use self::keys::{Keys, KeysError};
pub(crate) use self::quota::{Counted, Quotas};
pub use self::rules::KeyedClient;
use crate::app::App;
use crate::problem::{Kind, Problem};

/// Who may call a service.
///
/// ```
/// assert!(matches!(service::Access::default(), service::Access::Local));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Access {
    /// Programs of this machine, and the service's own page: requests that name another host than this machine are refused,
    /// and those that a browser sends for pages of other origins.
    #[default]
    Local,
    /// Everyone who reaches the router: the program that mounts it decides.
    Open,
    /// Those who have a key, each as its entry says.
    Keys(Keys),
}

/// Who sent a request: the holder of a key, or anyone whom a service without keys answers.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Option<Arc<Entry>>);

impl Caller {
    /// Whether the caller may see a scope.
    pub(crate) fn sees(&self, scope: &str) -> bool {
        self.0.as_ref().is_none_or(|entry| entry.sees(scope))
    }

    /// The scope that the caller sees, with those beneath it; empty for all.
    pub(crate) fn scope(&self) -> &str {
        self.0.as_ref().map_or("", |entry| &entry.scope)
    }

    pub(crate) const fn entry(&self) -> Option<&Arc<Entry>> {
        self.0.as_ref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Without the middleware no caller sees anything.
        parts.extensions.get::<Self>().cloned().ok_or_else(unauthorized)
    }
}

/// Checks a request before its handler runs, and tells the handler who sent it.
pub(crate) fn admit(app: &App, request: &mut Request) -> Result<(), Problem> {
    let caller = match &app.options.access {
        Access::Local => local::check(request).map(|()| Caller(None))?,
        Access::Open => Caller(None),
        Access::Keys(keys) => caller(keys, request)?,
    };
    request.extensions_mut().insert(caller);
    Ok(())
}

fn caller(keys: &Keys, request: &Request) -> Result<Caller, Problem> {
    let Some(right) = needed(request.method(), request.uri().path()) else { return Ok(Caller(None)) };
    let entry = bearer(request.headers()).and_then(|key| keys.find(key)).ok_or_else(unauthorized)?;
    if !entry.may(right) {
        let detail = format!("the key {:?} lacks the right {right:?}", entry.name).to_lowercase();
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    Ok(Caller(Some(Arc::clone(entry))))
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
}

fn unauthorized() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "expected the header Authorization: Bearer KEY with a key of this service",
    )
    .with_header(header::WWW_AUTHENTICATE, "Bearer")
}

/// The right that a call needs; `None` for what everybody may see, which says nothing of polls.
fn needed(method: &Method, path: &str) -> Option<Right> {
    let read = matches!(*method, Method::GET | Method::HEAD);
    let path = path.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match (first, rest) {
        ("" | "healthz" | "readyz" | "openapi.json", "") | ("page" | "problems", _) if read => return None,
        // Its token is its key.
        ("v1", rest) if *method == Method::POST && rest.starts_with("callbacks/") => return None,
        ("v1", _) => {}
        _ => return Some(Right::Admin),
    }
    Some(match (method, rest) {
        (_, _) if read => Right::Read,
        (&Method::POST, "check" | "explain" | "match" | "convert") => Right::Read,
        (&Method::POST, "cancel") => Right::Cancel,
        (&Method::PUT, _) => Right::Create,
        (&Method::DELETE, _) => Right::Cancel,
        (&Method::POST, _) if rest.ends_with("/cancel") => Right::Cancel,
        (&Method::POST, _) if rest.ends_with("/again") || rest.ends_with("/webhook") => Right::Create,
        _ => Right::Admin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_need_the_right_of_what_they_do() {
        for (method, path, right) in [
            (Method::GET, "/", None),
            (Method::GET, "/page/app.js", None),
            (Method::GET, "/healthz", None),
            (Method::GET, "/metrics", Some(Right::Admin)),
            (Method::POST, "/", Some(Right::Admin)),
            (Method::GET, "/v1/polls", Some(Right::Read)),
            (Method::HEAD, "/v1/polls/a/result", Some(Right::Read)),
            (Method::GET, "/v1/polls/cancel", Some(Right::Read)),
            (Method::PUT, "/v1/polls/a", Some(Right::Create)),
            (Method::POST, "/v1/polls/a/again", Some(Right::Create)),
            (Method::POST, "/v1/scopes/s/polls/a/cancel", Some(Right::Cancel)),
            (Method::POST, "/v1/cancel", Some(Right::Cancel)),
            (Method::POST, "/v1/polls/a/webhook", Some(Right::Create)),
            (Method::GET, "/v1/webhooks", Some(Right::Read)),
            (Method::POST, "/v1/callbacks/x", None),
            (Method::GET, "/v1/callbacks/x", Some(Right::Read)),
            (Method::POST, "/v1/polls/callbacks/x", Some(Right::Admin)),
            (Method::DELETE, "/v1/polls/a", Some(Right::Cancel)),
            (Method::POST, "/v1/explain", Some(Right::Read)),
            (Method::POST, "/v1/polls/a/unknown", Some(Right::Admin)),
            (Method::PATCH, "/v1/polls/a", Some(Right::Admin)),
        ] {
            assert_eq!(needed(&method, path), right, "{method} {path}");
        }
    }
}
