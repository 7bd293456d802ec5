//! One attempt: resolve secrets, send the request within its time limit, judge the response.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::deps::Deps;
use super::effect::StartRequest;
use super::judging::Case;
use super::timer::Timer;
use crate::clock::Timestamp;
use crate::fetch::{FetchError, FetchErrorKind, Request, RequestTls};
use crate::job::{Body, PollSpec, TlsInit};
use crate::judge::{self, Judged, Judgement};
use crate::key::PollKey;
use crate::redact::Secrets;
use crate::secret::{Reference, SecretError, SecretResolver, Text};

/// How often a request that may not begin looks whether it may.
const PAUSE: Duration = Duration::from_millis(20);

/// Makes the attempt; returns its judgement and the time of its end. The request is cut off at `cut`.
///
/// A panic of the client counts as a failed request; otherwise the attempt would never end.
pub(super) async fn make(
    deps: Arc<Deps>,
    request: StartRequest,
    poll: Option<PollKey>,
    timer: &mut Timer,
) -> (Judged, Timestamp) {
    let clock = Arc::clone(&deps.clock);
    // The future is not polled again, and its shared state is consistent after every step, or behind a lock.
    let result = AssertUnwindSafe(exchange(deps, request, poll, timer)).catch_unwind();
    result.await.unwrap_or_else(|_| {
        let message = "the client panicked; its reason is on the standard error of the process";
        (Judgement::Error(FetchError::new(FetchErrorKind::Panicked, message)).into(), clock.now())
    })
}

async fn exchange(
    deps: Arc<Deps>,
    request: StartRequest,
    poll: Option<PollKey>,
    timer: &mut Timer,
) -> (Judged, Timestamp) {
    let StartRequest { spec, followed, cookies, cut, last, .. } = request;
    let clock = &deps.clock;
    let began = clock.now();
    // The secrets in the request, which the response may echo.
    let mut secrets = Secrets::default();
    let exchange = async {
        let ((mut request, sent), now) = if has_references(&spec) {
            (resolved(&deps, poll.as_ref(), &spec, followed.as_ref()).await?, clock.now())
        } else {
            (build(&deps, poll.as_ref(), &spec, followed.as_deref())?, began)
        };
        secrets = sent;
        request.cookies.clone_from(&cookies);
        // Scheduling this task and resolving secrets may have used up the time.
        if now >= cut {
            return std::future::pending().await;
        }
        // The lease of the store may have ended since the driver looked, for example while this process was stopped.
        while !deps.store.may_ask() {
            clock.sleep_until(clock.now() + PAUSE).await;
        }
        match deps.coalescer.as_ref().zip(poll) {
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
    let mut journey = None;
    let judgement = match result {
        Some(Ok(mut response)) => {
            journey = response.journey.take();
            cookies.iter().flat_map(|jar| jar.credentials()).for_each(|credential| secrets.add(&credential));
            let landed = journey.as_ref().and_then(|journey| journey.landed.clone());
            let case = Case { spec, asked: followed, landed, secrets: &secrets, last, ended };
            deps.judging.judge(case, response.into(), cut, timer).await
        }
        Some(Err(mut error)) => {
            journey = error.journey.take();
            // An error names the place that a redirect led to, in the server's words.
            Judgement::Error(error.with_message(|message| secrets.hide(message)))
        }
        None => judge::timed_out(cut.since(began)),
    };
    if let Some(landed) = journey.as_mut().and_then(|journey| journey.landed.as_mut())
        && let Cow::Owned(hidden) = secrets.hide(landed)
    {
        *landed = hidden.into();
    }
    (Judged { judgement, journey }, ended)
}

/// Whether the request has a reference to a secret.
fn has_references(spec: &PollSpec) -> bool {
    spec.request().texts().any(|(_, _, text)| matches!(text, Text::Reference(_)))
}

/// Builds the request on a thread for secrets: a resolver may read files or call a vault.
async fn resolved(
    deps: &Arc<Deps>,
    poll: Option<&PollKey>,
    spec: &PollSpec,
    followed: Option<&Arc<str>>,
) -> Result<(Request, Secrets), FetchError> {
    let (deps, poll, spec, followed) = (Arc::clone(deps), poll.cloned(), spec.clone(), followed.cloned());
    let threads = deps.secret_threads.clone();
    threads
        .run(move || build(&deps, poll.as_ref(), &spec, followed.as_deref()))
        .await
        .unwrap_or_else(|_| Err(FetchError::new(FetchErrorKind::Secret, "the secret resolver panicked")))
}

/// The request, and the secrets in it.
fn build(
    deps: &Deps,
    poll: Option<&PollKey>,
    spec: &PollSpec,
    followed: Option<&str>,
) -> Result<(Request, Secrets), FetchError> {
    let mut secrets = Secrets::default();
    let resolver = Resolver { secrets: &*deps.secrets, poll };
    let init = spec.request();
    let first = spec.url();
    // Of a URL that is followed, the store keeps what was parsed before.
    let url = followed.and_then(|url| Url::parse(url).ok()).unwrap_or_else(|| first.clone());
    let follows = followed.is_some();
    let trusted = !follows || spec.follow().is_some_and(|follow| follow.trusts(&first, &url));
    let mut headers = HeaderMap::with_capacity(init.headers.len());
    let of_body = |name: &HeaderName| {
        [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION].contains(name)
    };
    let sent =
        init.headers.iter().filter(|(name, _)| trusted && !(follows && (of_body(name) || *name == HOST)));
    for (name, text) in sent {
        let resolved = resolve(text, &resolver, &url, &mut secrets)?;
        let mut value = HeaderValue::from_bytes(resolved.expose_secret().as_bytes()).map_err(|_| {
            let message =
                format!("the secret for the header {name} has a line break or another control character");
            FetchError::new(FetchErrorKind::Secret, message)
        })?;
        value.set_sensitive(!matches!(text, Text::Plain(_)));
        headers.insert(name, value);
    }
    let mut asked = url.clone();
    // A link is complete.
    for (name, text) in init.query.iter().filter(|_| !follows) {
        let resolved = resolve(text, &resolver, &url, &mut secrets)?;
        let value = resolved.expose_secret();
        asked.query_pairs_mut().append_pair(name, value);
        if !matches!(text, Text::Plain(_)) {
            // A server may echo the URL as it was sent.
            secrets.add(&url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>());
        }
    }
    let body = match &init.body {
        _ if follows => None,
        Some(Body::Text(text)) => {
            Some(resolve(text, &resolver, &url, &mut secrets)?.expose_secret().to_owned().into())
        }
        Some(Body::Bytes(bytes)) => Some(bytes.clone()),
        None => None,
    };
    let tls = init.tls.as_ref().filter(|_| trusted);
    let tls = tls.map(|tls| resolve_tls(tls, &resolver, &url)).transpose()?;
    let method = if follows { Method::GET } else { init.method.clone() };
    let mut request = Request::new(method, asked, deps.max_body);
    (request.headers, request.body, request.tls) = (headers, body, tls.map(Arc::new));
    request.poll = poll.cloned();
    request.linked_from = (!trusted).then(|| Arc::new(first));
    Ok((request, secrets))
}

/// The certificates of a request. They are not among the secrets to hide: no request contains a key, and the first letters of
/// every PEM text are the same.
fn resolve_tls(tls: &TlsInit, resolver: &Resolver<'_>, url: &Url) -> Result<RequestTls, FetchError> {
    let part = |name: &str, part: &Option<Text>| {
        let resolved = part.as_ref().map(|text| resolver.resolve(text, url)).transpose();
        resolved.map_err(|error| {
            FetchError::new(FetchErrorKind::Secret, format!("requestInit.tls, {name}: {error}"))
        })
    };
    Ok(RequestTls::new(part("cert", &tls.cert)?, part("key", &tls.key)?, part("cacert", &tls.cacert)?))
}

/// The resolver, and the poll for which it is called.
struct Resolver<'a> {
    secrets: &'a dyn SecretResolver,
    poll: Option<&'a PollKey>,
}

impl Resolver<'_> {
    fn resolve(&self, text: &Text, url: &Url) -> Result<SecretString, SecretError> {
        text.resolve_by(|reference| match self.poll {
            Some(poll) => self.secrets.resolve_for(poll, reference, url),
            None => self.secrets.resolve(reference, url),
        })
    }
}

fn resolve(
    text: &Text,
    resolver: &Resolver<'_>,
    url: &Url,
    secrets: &mut Secrets,
) -> Result<SecretString, FetchError> {
    let resolved = resolver
        .resolve(text, url)
        .map_err(|error| FetchError::new(FetchErrorKind::Secret, error.to_string()))?;
    if !matches!(text, Text::Plain(_)) {
        secrets.add(resolved.expose_secret());
    }
    if let Text::Reference(Reference { prefix, suffix, .. }) = text {
        // Words of the whole may reach into the text around the secret; a server may echo the secret alone.
        let whole = resolved.expose_secret();
        secrets.add(&whole[prefix.len()..whole.len() - suffix.len()]);
    }
    Ok(resolved)
}
