//! One attempt: secrets resolved, the request sent, its time kept, its response judged.

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

/// Makes the attempt; returns what it brought and when it ended. Its request does not outlive its `cut`.
///
/// A client that panics has failed, and the poll goes on: nobody else would come to end the attempt.
pub(super) async fn make(
    deps: Arc<Deps>,
    send: StartRequest,
    shared_as: Option<PollKey>,
    timer: &mut Timer,
) -> (Judgement, Timestamp) {
    let clock = Arc::clone(&deps.clock);
    // It is not polled again, and what it shares with others is whole after every step, or behind a lock.
    let made = AssertUnwindSafe(exchange(deps, send, shared_as, timer)).catch_unwind();
    made.await.unwrap_or_else(|_| {
        let message = "the client panicked; its reason is on the standard error of the process";
        (Judgement::Error(FetchError::new(FetchErrorKind::Panicked, message)), clock.now())
    })
}

async fn exchange(
    deps: Arc<Deps>,
    send: StartRequest,
    shared_as: Option<PollKey>,
    timer: &mut Timer,
) -> (Judgement, Timestamp) {
    let StartRequest { spec, cut, last, .. } = send;
    let clock = &deps.clock;
    let began = clock.now();
    // Those that are sent, which may come back.
    let mut secrets = Secrets::default();
    let exchange = async {
        let ((request, sent), now) = if refers(&spec) {
            (resolved(&deps, &spec).await?, clock.now())
        } else {
            (build(&*deps.secrets, &spec, deps.max_body)?, began)
        };
        secrets = sent;
        // Getting here, or resolving secrets, may have taken until the end; nothing is sent then.
        if now >= cut {
            return std::future::pending().await;
        }
        match deps.coalescer.as_ref().zip(shared_as) {
            Some((shares, key)) => shares.fetch(key.scope(), request, &*deps.fetch).await,
            None => deps.fetch.fetch(request).await,
        }
    };
    let result = tokio::select! {
        biased;
        result = exchange => Some(result),
        () = timer.reaches(cut) => None,
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

/// Whether something of the request has to be looked up.
fn refers(spec: &PollSpec) -> bool {
    let is_reference = |text: &Text| matches!(text, Text::Reference(_));
    let init = spec.request();
    init.headers.iter().any(|(_, value)| is_reference(value))
        || matches!(&init.body, Some(Body::Text(text)) if is_reference(text))
}

/// A resolver may read files or ask a vault, so it must not hold up the other tasks of this thread.
async fn resolved(deps: &Arc<Deps>, spec: &PollSpec) -> Result<(Request, Secrets), FetchError> {
    let (deps, spec) = (Arc::clone(deps), spec.clone());
    tokio::task::spawn_blocking(move || build(&*deps.secrets, &spec, deps.max_body))
        .await
        .unwrap_or_else(|_| Err(FetchError::new(FetchErrorKind::Secret, "the secret resolver panicked")))
}

/// The request, and what of it is secret.
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
