//! From JSON to a spec: each member read, checked against the limits, its problems collected with their places.
//!
//! Problems never stop the reading: what is wrong is left out and the rest is still looked at, so that one run shows
//! all of it. Messages say what was found and what was expected; they never repeat what may be secret.

mod filters;
mod request;
mod retry;

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use filter::{Dialect, json};
use url::Url;

use super::bounds::{WHO_SETS_THEM, effective, in_words};
use super::request::RequestInit;
use super::response_filter::ResponseFilter;
use super::retry::RequestTimeout;
use super::shared::{Shared, content_hash};
use super::{SpecError, SpecOptions};
use crate::clock::micros;
use crate::limits::Limits;
use crate::seal::SealKey;
use filter::decode::{Field, Place, Problems, closest, describe, field, known_members};

const MEMBERS: [&str; 11] = [
    "url",
    "cacheKey",
    "interval",
    "timeout",
    "requestInit",
    "responseFilter",
    "failureFilter",
    "requestTimeout",
    "retry",
    "giveUp",
    "dialect",
];

/// Trigger.dev's defaults, in seconds.
const DEFAULT_INTERVAL: u64 = 10;
const DEFAULT_TIMEOUT: u64 = 600;
const DEFAULT_GIVE_UP: NonZeroU32 = NonZeroU32::new(5).expect("invariant: five is not zero");

/// Longer than any server takes, and short enough to keep a million of them.
pub(super) const LONGEST_URL: usize = 8 << 10;

pub(super) fn spec(
    node: &json::Node,
    pointer: &str,
    options: &SpecOptions,
) -> Result<(Arc<str>, Shared), SpecError> {
    let mut decoder = Decoder {
        limits: &options.limits,
        dialect: options.dialect.unwrap_or(Dialect::Native),
        stored: options.stored.as_ref(),
        problems: Problems::default(),
    };
    let spec = decoder.spec(Place { node, pointer });
    let Problems { mut errors, warnings } = decoder.problems;
    match spec {
        Some((url, shared)) if errors.is_empty() => Ok((url, Shared { warnings, ..shared })),
        _ => {
            errors.sort_by_key(|error| error.span().map(|span| span.start));
            Err(SpecError::from(errors))
        }
    }
}

/// A URL by itself, in its normal form.
pub(super) fn url(text: &str) -> Result<Arc<str>, SpecError> {
    let limits = Limits::default();
    let mut decoder =
        Decoder { limits: &limits, dialect: Dialect::Native, stored: None, problems: Problems::default() };
    let node = json::Node { span: None, kind: json::Kind::String(text.to_owned()) };
    match decoder.url(Place { node: &node, pointer: "/url" }) {
        Some(url) => Ok(url),
        None => Err(SpecError::from(decoder.problems.errors)),
    }
}

struct Decoder<'l> {
    limits: &'l Limits,
    dialect: Dialect,
    stored: Option<&'l Option<SealKey>>,
    problems: Problems,
}

impl Decoder<'_> {
    fn spec(&mut self, place: Place<'_>) -> Option<(Arc<str>, Shared)> {
        let fields = known_members(place, "an object with a \"url\"", &MEMBERS, &mut self.problems)?;
        if let Some(given) = field(&fields, "dialect") {
            self.read_dialect(given);
        }
        let url = match field(&fields, "url") {
            Some(given) => self.url(given.place()),
            None => {
                self.problems.error_with_help(place, "the member \"url\" is missing", "say which URL to ask");
                None
            }
        };
        let interval =
            self.seconds(field(&fields, "interval"), DEFAULT_INTERVAL, &self.limits.interval.clone());
        let timeout = self.seconds(field(&fields, "timeout"), DEFAULT_TIMEOUT, &self.limits.timeout.clone());
        let cache_key = field(&fields, "cacheKey").and_then(|given| self.cache_key(given.place()));
        let request = match field(&fields, "requestInit") {
            Some(given) => self.request_init(given.place()),
            None => Some(RequestInit::default()),
        };
        let response_filter = match field(&fields, "responseFilter") {
            Some(given) => self.response_filter(given.place()),
            None => Some(ResponseFilter::success()),
        };
        let failure_filter = field(&fields, "failureFilter").map(|given| self.failure_filter(given.place()));
        let request_timeout = match field(&fields, "requestTimeout") {
            Some(given) => self.request_timeout(given.place()),
            None => Some(RequestTimeout { duration: self.limits.request_timeout, retry: None }),
        };
        let retry = match field(&fields, "retry") {
            Some(given) => self.retry_rules(given.place()),
            None => Some(Vec::new()),
        };
        let give_up = match field(&fields, "giveUp") {
            Some(given) => self.give_up(given.place()),
            None => Some(Some(DEFAULT_GIVE_UP)),
        };
        if let (Some(given), Some(interval), Some(timeout)) = (field(&fields, "interval"), interval, timeout)
            && interval >= timeout
        {
            self.problems.warn(
                given.place(),
                format!("the interval of {interval:?} is not shorter than the timeout of {timeout:?}"),
                "only one request will be made; shorten the interval or lengthen the timeout",
            );
        }
        let hash = content_hash(place.node, &["url", "cacheKey"]);
        let shared = Shared {
            cache_key,
            interval: interval?,
            timeout: timeout?,
            request: request?,
            response_filter: response_filter?,
            failure_filter: match failure_filter {
                Some(filter) => Some(filter?),
                None => None,
            },
            request_timeout: request_timeout?,
            retry: retry?,
            give_up: give_up?,
            dialect: self.dialect,
            warnings: Vec::new(),
            hash,
            stored: OnceLock::new(),
        };
        Some((url?, shared))
    }

    fn read_dialect(&mut self, given: &Field<'_>) {
        const NAMES: [&str; 3] = ["native", "trigger-dev", "event-bridge"];
        match given.place().text().map(str::parse::<Dialect>) {
            Some(Ok(dialect)) => self.dialect = dialect,
            _ => {
                let suggestion = given.place().text().and_then(|text| closest(text, &NAMES));
                let message = format!("found {}, expected one of {}", describe(given.node), quoted(&NAMES));
                match suggestion {
                    Some(name) => {
                        self.problems.error_with_help(
                            given.place(),
                            message,
                            format!("did you mean {name:?}?"),
                        );
                    }
                    None => self.problems.error(given.place(), message),
                }
            }
        }
    }

    fn url(&mut self, place: Place<'_>) -> Option<Arc<str>> {
        let Some(text) = place.text() else {
            self.problems.expected(place, "an http or https URL");
            return None;
        };
        if text.len() > LONGEST_URL {
            let found = text.len();
            self.problems
                .error(place, format!("found a URL of {found} bytes, expected at most {LONGEST_URL}"));
            return None;
        }
        let mut url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => {
                let help = "write it in full, such as https://api.example.com/v1/jobs/42";
                self.problems.error_with_help(place, format!("expected an http or https URL: {error}"), help);
                return None;
            }
        };
        if !matches!(url.scheme(), "http" | "https") {
            let found = url.scheme();
            self.problems.error(place, format!("found a URL of scheme {found:?}, expected http or https"));
            return None;
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.problems.error_with_help(
                place,
                "found credentials in the URL, expected none",
                "put them into requestInit.headers.authorization, as {\"$secret\":\"env:NAME\"}",
            );
            return None;
        }
        // A fragment is never sent; without it, specs that ask the same are the same.
        url.set_fragment(None);
        Some(String::from(url).into())
    }

    fn seconds(
        &mut self,
        given: Option<&Field<'_>>,
        default: u64,
        bounds: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let bounds = effective(bounds);
        let Some(given) = given else {
            return Some(Duration::from_secs(default).clamp(*bounds.start(), *bounds.end()));
        };
        let expected = in_words(&bounds);
        let Some(seconds) = given.place().number() else {
            self.problems.expected(given.place(), &format!("a number of seconds, {expected}"));
            return None;
        };
        match Duration::try_from_secs_f64(seconds).map(to_micros) {
            Ok(duration) if bounds.contains(&duration) => Some(duration),
            _ => {
                let found = describe(given.node);
                let message = format!("found {found} s, expected {expected}");
                self.problems.error_with_help(given.place(), message, WHO_SETS_THEM);
                None
            }
        }
    }

    fn cache_key(&mut self, place: Place<'_>) -> Option<String> {
        let longest = self.limits.key_len;
        match place.text() {
            Some(text) if !text.is_empty() && text.len() <= longest && !text.contains(char::is_control) => {
                Some(text.to_owned())
            }
            Some(text) if text.len() > longest => {
                let found = text.len();
                self.problems
                    .error(place, format!("found a key of {found} bytes, expected at most {longest}"));
                None
            }
            _ => {
                self.problems.expected(place, "a string that is not empty and has no control characters");
                None
            }
        }
    }

    /// `Some(None)` is "never".
    fn give_up(&mut self, place: Place<'_>) -> Option<Option<NonZeroU32>> {
        match &place.node.kind {
            json::Kind::Bool(false) => Some(None),
            json::Kind::Bool(true) => Some(Some(DEFAULT_GIVE_UP)),
            json::Kind::Object(_) => {
                let fields =
                    known_members(place, "an object with \"after\"", &["after"], &mut self.problems)?;
                let Some(given) = field(&fields, "after") else {
                    return Some(Some(DEFAULT_GIVE_UP));
                };
                let after = given
                    .place()
                    .whole()
                    .and_then(|after| u32::try_from(after).ok())
                    .and_then(NonZeroU32::new);
                if after.is_none() {
                    let expected = "a whole number from 1: how many hopeless attempts in a row fail the poll";
                    self.problems.expected(given.place(), expected);
                }
                after.map(Some)
            }
            _ => {
                self.problems.expected(place, "false, or an object such as {\"after\":5}");
                None
            }
        }
    }
}

/// Schedules are kept in whole microseconds, so specs are too.
fn to_micros(duration: Duration) -> Duration {
    Duration::from_micros(micros(duration))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
