//! The link of a response that matched nothing: where the poll asks next, or that it should.

use std::sync::Arc;

use http::Method;
use url::Url;

use super::view::ResponseView;
use crate::job::{Follow, PollSpec, automatic};
use crate::redact::Secrets;
use crate::response::RecordedResponse;

/// The link in a response to a request for `asked`; and what is said of one that cannot be followed, of one that costs the
/// request its headers, or of a POST that is repeated although its response has one.
pub(super) fn of(
    spec: &PollSpec,
    asked: &str,
    view: &ResponseView<'_>,
    secrets: &Secrets,
) -> (Option<Arc<str>>, Option<String>) {
    let Some(follow) = spec.follow() else { return (None, repeated(spec, view.response)) };
    let text = |pointer: &str| view.parsed().as_ref().ok()?.text_at(pointer);
    match follow.target(asked, view.response, text, secrets) {
        Ok(link) => {
            let told = link.as_deref().and_then(|link| without_headers(spec, follow, link));
            (link, told)
        }
        Err(why) => (None, Some(why)),
    }
}

/// What is said of a link to an origin that the headers of the request are not for. The URL is not shown, since it may contain
/// secrets.
fn without_headers(spec: &PollSpec, follow: &Follow, link: &str) -> Option<String> {
    if spec.request().headers.is_empty() || follow.trusts(&spec.url(), &Url::parse(link).ok()?) {
        return None;
    }
    Some(
        "its link leads to another origin, which is asked without the headers of the request; \"origins\" in \"follow\" lists \
         those that get them"
            .to_owned(),
    )
}

/// What is said of a POST that created something and is sent again.
fn repeated(spec: &PollSpec, response: &RecordedResponse) -> Option<String> {
    if spec.request().method != Method::POST || !matches!(response.status(), 201 | 202) {
        return None;
    }
    let (header, _) = automatic(response)?;
    Some(format!(
        "each attempt posts again; with \"follow\": \"auto\" the next asks the URL in its {header} header"
    ))
}
