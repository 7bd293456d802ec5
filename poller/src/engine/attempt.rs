//! One attempt: resolve secrets, send the request within its time limit, judge the response.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::deps::Deps;
use super::effect::StartRequest;
use super::timer::Timer;
use crate::clock::Timestamp;
use crate::fetch::{FetchError, FetchErrorKind, Request};
use crate::job::{Body, PollSpec};
use crate::judge::{self, Judgement};
use crate::key::PollKey;
use crate::redact::Secrets;
use crate::secret::{SecretResolver, Text};

/// Makes the attempt; returns its judgement and the time of its end. The request is cut off at `cut`.
///
/// A panic of the client counts as a failed request; otherwise the attempt would never end.
pub(super) async fn make(
    deps: Arc<Deps>,
    request: StartRequest,
    shared_as: Option<PollKey>,
    timer: &mut Timer,
) -> (Judgement, Timestamp) {
    let clock = Arc::clone(&deps.clock);
    // The future is not polled again, and its shared state is consistent after every step, or behind a lock.
    let result = AssertUnwindSafe(exchange(deps, request, shared_as, timer)).catch_unwind();
    result.await.unwrap_or_else(|_| {
        let message = "the client panicked; its reason is on the standard error of the process";
        (Judgement::Error(FetchError::new(FetchErrorKind::Panicked, message)), clock.now())
    })
}

async fn exchange(
    deps: Arc<Deps>,
    request: StartRequest,
    shared_as: Option<PollKey>,
    timer: &mut Timer,
) -> (Judgement, Timestamp) {
    let StartRequest { spec, cut, last, .. } = request;
    let clock = &deps.clock;
    let began = clock.now();
    // The secrets in the request, which the response may echo.
    let mut secrets = Secrets::default();
    let exchange = async {
        let ((request, sent), now) = if has_references(&spec) {
            (resolved(&deps, &spec).await?, clock.now())
        } else {
            (build(&*deps.secrets, &spec, deps.max_body)?, began)
        };
        secrets = sent;
        // Scheduling this task and resolving secrets may have used up the time.
        if now >= cut {
            return std::future::pending().await;
        }
        match deps.coalescer.as_ref().zip(shared_as) {
            Some((coalescer, key)) => coalescer.fetch(key.scope(), request, &*deps.fetch).await,
            None => deps.fetch.fetch(request).await,
        }
    };
    let result = tokio::select! {
        biased;
        result = exchange => Some(result),
        () = timer.reached(cut) => None,
    };
    let ended = clock.now();
    let judgement = match result {
        Some(Ok(response)) => {
            judge::judge(&spec, response.into(), &secrets, last.as_ref(), ended.to_system_time())
        }
        Some(Err(error)) => Judgement::Error(error),
        None => judge::timed_out(cut.since(began)),
    };
    (judgement, ended)
}

/// Whether the request has a reference to a secret.
fn has_references(spec: &PollSpec) -> bool {
    let is_reference = |text: &Text| matches!(text, Text::Reference(_));
    let init = spec.request();
    init.headers.iter().any(|(_, value)| is_reference(value))
        || matches!(&init.body, Some(Body::Text(text)) if is_reference(text))
}

/// Builds the request on the blocking pool: a resolver may read files or call a vault.
async fn resolved(deps: &Arc<Deps>, spec: &PollSpec) -> Result<(Request, Secrets), FetchError> {
    let (deps, spec) = (Arc::clone(deps), spec.clone());
    tokio::task::spawn_blocking(move || build(&*deps.secrets, &spec, deps.max_body))
        .await
        .unwrap_or_else(|_| Err(FetchError::new(FetchErrorKind::Secret, "the secret resolver panicked")))
}

/// The request, and the secrets in it.
fn build(
    resolver: &dyn SecretResolver,
    spec: &PollSpec,
    max_body: u64,
) -> Result<(Request, Secrets), FetchError> {
    let mut secrets = Secrets::default();
    let init = spec.request();
    let url = spec.url();
    let mut headers = HeaderMap::with_capacity(init.headers.len());
    for (name, text) in &init.headers {
        let resolved = resolve(text, resolver, &url, &mut secrets)?;
        let mut value = HeaderValue::from_bytes(resolved.expose_secret().as_bytes()).map_err(|_| {
            let message =
                format!("the secret for the header {name} has a line break or another control character");
            FetchError::new(FetchErrorKind::Secret, message)
        })?;
        value.set_sensitive(!matches!(text, Text::Plain(_)));
        headers.insert(name, value);
    }
    let body = match &init.body {
        Some(Body::Text(text)) => {
            Some(resolve(text, resolver, &url, &mut secrets)?.expose_secret().to_owned().into())
        }
        Some(Body::Bytes(bytes)) => Some(bytes.clone()),
        None => None,
    };
    let mut request = Request::new(init.method.clone(), url, max_body);
    request.headers = headers;
    request.body = body;
    Ok((request, secrets))
}

fn resolve(
    text: &Text,
    resolver: &dyn SecretResolver,
    url: &Url,
    secrets: &mut Secrets,
) -> Result<SecretString, FetchError> {
    let resolved = text
        .resolve(resolver, url)
        .map_err(|error| FetchError::new(FetchErrorKind::Secret, error.to_string()))?;
    if !matches!(text, Text::Plain(_)) {
        secrets.add(resolved.expose_secret());
    }
    Ok(resolved)
}
