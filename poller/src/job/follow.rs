//! `follow`: where a poll asks next after a response that names the URL of the job's status.
//!
//! ```text
//! POST /jobs ─► 202, Operation-Location: /operations/7 ─► GET /operations/7 ─► GET /operations/7 ─► …
//! ```
//!
//! The link is found when a response is judged; the engine stores it before it is asked, so a restart does not repeat the
//! first request.

use std::borrow::Cow;
use std::sync::Arc;

use filter::decode::{Place, field, known_members};
use filter::json::Kind;
use http::HeaderName;
use serde_json::{Value, json};
use url::Url;

use super::identity::LONGEST_URL;
use super::read::Reader;
use super::schema::{TOKEN, given, object};
use crate::redact::Secrets;
use crate::response::RecordedResponse;

/// The headers that `"auto"` looks for, in this order; `Location` only in a 201 or 202.
const OPERATIONS: [&str; 2] = ["operation-location", "azure-asyncoperation"];

/// The `follow` of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Follow {
    /// Where a response names the URL to ask.
    pub link: FollowLink,
    /// The origins, besides that of the spec's URL, to which the headers of the request are sent.
    pub origins: Vec<String>,
}

/// The place of the URL in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowLink {
    /// `Operation-Location`, `Azure-AsyncOperation`, or `Location` of a 201 or 202.
    Auto,
    /// This header.
    Header(HeaderName),
    /// The string at this JSON pointer into the body.
    Body(String),
}

/// The header of a response by which `"auto"` follows it.
pub(crate) fn automatic(response: &RecordedResponse) -> Option<(&'static str, &str)> {
    let created = matches!(response.status(), 201 | 202).then_some("location");
    let names = OPERATIONS.into_iter().chain(created);
    names.filter_map(|name| Some((name, response.headers().get(name)?))).find(|(_, value)| !value.is_empty())
}

impl Follow {
    /// The URL that a response to a request for `asked` names.
    ///
    /// # Errors
    /// Why its link cannot be followed.
    pub(crate) fn target(
        &self,
        asked: &str,
        response: &RecordedResponse,
        text_at: impl FnOnce(&str) -> Option<String>,
        secrets: &Secrets,
    ) -> Result<Option<Arc<str>>, String> {
        let link = match &self.link {
            FollowLink::Auto => automatic(response).map(|(_, value)| value.to_owned()),
            FollowLink::Header(name) => response.headers().get(name.as_str()).map(str::to_owned),
            FollowLink::Body(pointer) => text_at(pointer),
        };
        let Some(link) = link.filter(|link| !link.is_empty()) else { return Ok(None) };
        let Some(base) = Url::parse(asked).ok() else { return Ok(None) };
        let refused = |why: &str| Err(format!("its link is not followed: {why}"));
        let Ok(mut url) = base.join(&link) else { return refused("it is not a URL") };
        if !matches!(url.scheme(), "http" | "https") {
            return refused("only http and https are followed");
        }
        if base.scheme() == "https" && url.scheme() == "http" {
            return refused("it leads from https to http");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("it has credentials");
        }
        // To look it up would tell the secret to name servers and logs.
        let is_secret = |host: &str| matches!(secrets.hide(host), Cow::Owned(_));
        if url.origin() != base.origin() && url.host_str().is_some_and(is_secret) {
            return refused("the name of its host contains a secret of the request");
        }
        url.set_fragment(None);
        if url.as_str().len() > LONGEST_URL {
            return refused("it is too long");
        }
        Ok(Some(url.as_str().into()))
    }

    /// Whether the headers of a request for `first` are also sent to `url`.
    pub(crate) fn trusts(&self, first: &Url, url: &Url) -> bool {
        let origin = url.origin();
        origin == first.origin() || self.origins.contains(&origin.ascii_serialization())
    }

    pub(super) fn to_value(&self) -> Value {
        let (name, value) = match &self.link {
            FollowLink::Auto if self.origins.is_empty() => return "auto".into(),
            FollowLink::Auto => ("auto", json!(true)),
            FollowLink::Header(header) => ("header", header.as_str().into()),
            FollowLink::Body(pointer) => ("body", pointer.as_str().into()),
        };
        let origins = (!self.origins.is_empty()).then(|| json!(self.origins));
        given([(name, Some(value)), ("origins", origins)])
    }
}

impl Reader<'_> {
    pub(super) fn follow(&mut self, place: Place<'_>) -> Option<Option<Follow>> {
        let follow = match &place.node.kind {
            Kind::String(text) if text == "auto" => {
                Some(Follow { link: FollowLink::Auto, origins: Vec::new() })
            }
            Kind::Object(_) => self.follow_object(place),
            _ => self.expected(place, "\"auto\", or an object with \"header\" or \"body\""),
        };
        follow.map(Some)
    }

    fn follow_object(&mut self, place: Place<'_>) -> Option<Follow> {
        let known = ["auto", "header", "body", "origins"];
        let expected = "an object of header or body, and origins";
        let fields = known_members(place, expected, &known, &mut self.problems)?;
        let links: Vec<_> =
            ["auto", "header", "body"].iter().filter_map(|name| field(&fields, name)).collect();
        let [given] = links[..] else {
            return self.refuse(place, "expected exactly one of \"auto\", \"header\" and \"body\"");
        };
        let text = given.place().text();
        let (link, expected) = match given.name {
            "auto" => (matches!(given.node.kind, Kind::Bool(true)).then_some(FollowLink::Auto), "true"),
            "header" => {
                let name = text.and_then(|text| HeaderName::from_bytes(text.as_bytes()).ok());
                (name.map(FollowLink::Header), "the name of a header, such as \"operation-location\"")
            }
            _ => {
                let pointer = text.filter(|text| text.is_empty() || text.starts_with('/'));
                let link = pointer.map(|pointer| FollowLink::Body(pointer.to_owned()));
                (link, "a JSON pointer, such as \"/links/status\"")
            }
        };
        let link = link.or_else(|| self.expected(given.place(), expected));
        let origins = match field(&fields, "origins") {
            Some(given) => self.origins(given.place()),
            None => Some(Vec::new()),
        };
        Some(Follow { link: link?, origins: origins? })
    }

    fn origins(&mut self, place: Place<'_>) -> Option<Vec<String>> {
        let origin = |node| {
            let url = Url::parse(Place::root(node).text()?).ok()?;
            let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
            (matches!(url.scheme(), "http" | "https") && bare).then(|| url.origin().ascii_serialization())
        };
        let origins: Option<Vec<String>> = match &place.node.kind {
            Kind::Array(nodes) => nodes.iter().map(origin).collect(),
            _ => None,
        };
        let expected = "an array of origins, such as [\"https://status.example.com\"]";
        origins.or_else(|| self.expected(place, expected))
    }
}

pub(super) fn schema() -> Value {
    let origins = json!({
        "description": "further origins to which the headers are sent",
        "type": "array", "items": {"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://"}, "default": [],
    });
    let by = |name: &str, value: Value| object(json!({name: value, "origins": origins}), &[name]);
    json!({"anyOf": [
        {"const": "auto"},
        by("auto", json!({"const": true})),
        by("header", json!({"type": "string", "pattern": TOKEN})),
        by("body", json!({"type": "string", "pattern": "^(/.*)?$"})),
    ]})
}
