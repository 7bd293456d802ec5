//! The name of a poll in a path: `/v1/polls/{key}` in the default scope, `/v1/scopes/{scope}/polls/{key}` in another.
//!
//! A handler gets a name only if its caller may see the scope; otherwise the answer is that of a poll that is not there.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use poller::PollKey;

use crate::access::Caller;
use crate::problem::Problem;

/// The poll that a path names.
#[derive(Clone, Debug)]
pub(crate) struct Name(pub(crate) PollKey);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let raw = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::bad_request("the path is not valid UTF-8"))?;
        let mut named = HashMap::new();
        for (name, value) in &raw {
            named.insert(name, value);
        }
        let scope = named.remove("scope").unwrap_or_default();
        let key = named.remove("key").unwrap_or_default();
        for (what, text) in [("scope", &scope), ("key", &key)] {
            if text.len() > LONGEST {
                return Err(Problem::bad_request(format!("the {what} has more than {LONGEST} bytes")));
            }
            // Every client that follows the URL standard removes such a segment of a path, escaped or not.
            if matches!(&**text, "." | "..") {
                return Err(Problem::bad_request(format!("the {what} is {text:?}, which no path can name")));
            }
            if text.contains(char::is_control) {
                return Err(Problem::bad_request(format!("the {what} has a control character")));
            }
        }
        let key = PollKey::new(scope, key);
        if !Caller::from_request_parts(parts, state).await?.sees(key.scope()) {
            return Err(Problem::not_found(format_args!("poll {key}")));
        }
        Ok(Self(key))
    }
}

/// The longest scope and key: the default of [`Limits::key_len`](poller::Limits::key_len).
const LONGEST: usize = 512;
