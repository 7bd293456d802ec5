//! The table of members: what a spec says apart from its URL and its key, one entry per member.
//!
//! ```text
//! entry ─┬─► a field of Members, with its default
//!        ├─► reading: every problem with its place         whole.rs
//!        ├─► writing: the canonical form, and the stored    canonical.rs, stored.rs
//!        ├─► equality, differences, digest                  canonical.rs, pool.rs
//!        ├─► bounds, checked again at submission            mod.rs
//!        └─► the JSON Schema                                spec_schema.rs
//! ```
//!
//! A new member is one entry here, and an accessor below. A macro writes both the struct and the table, because a derive of
//! serde stops at the first error and knows neither places nor limits.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use filter::decode::{Place, Problems};
use filter::{Diagnostic, Dialect};
use serde_json::{Value, json};

use super::filters::{ResponseFilter, Role};
use super::follow::Follow;
use super::on_outcome::OnOutcome;
use super::read::{Reader, SpecOptions};
use super::request::RequestInit;
use super::retry::{self, RequestTimeout, RetryRule};
use super::settings::{Settings, SpecText};
use super::{PollSpec, filters, follow, on_outcome, request, timing};
use crate::limits::Limits;
use crate::schedule::Interval;
use crate::secret::ShowSecret;

/// One member of a spec.
pub(super) struct Member {
    pub(super) name: &'static str,
    /// Its purpose, for the schema.
    pub(super) about: &'static str,
    /// Reads the value at a place into the settings, unless it is wrong: then the problem is reported.
    pub(super) read: fn(&mut Reader<'_>, Place<'_>, &mut Members),
    /// Its canonical form; `None` leaves the member out.
    pub(super) write: fn(&Members, &ShowSecret<'_>) -> Option<Value>,
    /// Whether two specs agree in it.
    pub(super) same: fn(&Members, &Members) -> bool,
    /// Reports a value that these limits do not allow; nothing of a member without bounds.
    pub(super) check: fn(&Members, &Limits, &mut Problems),
    pub(super) schema: fn(&Limits, Dialect) -> Value,
}

macro_rules! members {
    ($($name:literal => $field:ident: $type:ty {
        about: $about:literal,
        default: $default:expr,
        read: $read:expr,
        write: $write:expr,
        $(check: $check:expr,)?
        schema: $schema:expr,
    })*) => {
        /// A spec without its URL, as it was read: its filters compiled.
        #[derive(Clone, Debug)]
        pub(super) struct Members {
            $(pub(super) $field: $type,)*
            pub(super) cache_key: Option<String>,
            pub(super) warnings: Vec<Diagnostic>,
            /// The text in a durable store, once it was needed.
            pub(super) stored: OnceLock<SpecText>,
            /// The beginning of the text whose digest is that of the spec, once it was needed.
            pub(super) digested: OnceLock<Box<str>>,
            /// The folded form that a [pool](super::pool) keeps instead.
            pub(super) kept: OnceLock<Arc<Settings>>,
        }

        impl Members {
            /// The values of a spec with no members.
            pub(super) fn new(options: &SpecOptions) -> Self {
                Self {
                    $($field: ($default as fn(&SpecOptions) -> $type)(options),)*
                    cache_key: None,
                    warnings: Vec::new(),
                    stored: OnceLock::new(),
                    digested: OnceLock::new(),
                    kept: OnceLock::new(),
                }
            }
        }

        /// All members but `url` and `cacheKey`, in the order of reading.
        pub(super) const MEMBERS: &[Member] = &[$(Member {
            name: $name,
            about: $about,
            read: |reader, place, settings| {
                let read: fn(&mut Reader<'_>, Place<'_>) -> Option<$type> = $read;
                if let Some(value) = read(reader, place) {
                    settings.$field = value;
                }
            },
            write: |settings, show| {
                let write: fn(&$type, &ShowSecret<'_>) -> Option<Value> = $write;
                write(&settings.$field, show)
            },
            same: |one, other| one.$field == other.$field,
            check: |_settings, _limits, _problems| {
                $(
                    let check: fn(&$type, &Limits, &mut Problems) = $check;
                    check(&_settings.$field, _limits, _problems);
                )?
            },
            schema: $schema,
        },)*];
    };
}

members! {
    // First, because the filters are read in this dialect.
    "dialect" => dialect: Dialect {
        about: "how the filters are written",
        default: |options| options.dialect.unwrap_or_default(),
        read: |reader, place| reader.dialect(place),
        write: |dialect, _| Some(dialect.name().into()),
        schema: |_, _| json!({"enum": Dialect::ALL.map(Dialect::name)}),
    }
    "interval" => interval: Interval {
        about: "seconds from one request to the next; from, to and factor of growing gaps",
        default: |options| timing::default(10, &options.limits.interval).into(),
        read: timing::read_interval,
        write: |interval, _| Some(timing::interval_to_value(interval)),
        check: timing::check_interval,
        schema: |limits, _| timing::interval_schema(&limits.interval),
    }
    "timeout" => timeout: Duration {
        about: "seconds until the poll times out",
        default: |options| timing::default(600, &options.limits.timeout),
        read: |reader, place| timing::read(reader, place, |limits| &limits.timeout),
        write: |timeout, _| Some(timing::seconds(*timeout)),
        check: |timeout, limits, problems| timing::check("/timeout", *timeout, &limits.timeout, problems),
        schema: |limits, _| timing::schema(&limits.timeout),
    }
    "requestInit" => request: RequestInit {
        about: "what is sent",
        default: |_| RequestInit::default(),
        read: |reader, place| reader.request_init(place),
        write: |request, show| Some(request.to_value(show)),
        schema: |_, _| request::schema(),
    }
    "responseFilter" => response_filter: ResponseFilter {
        about: "the response that means done; any 2xx but 202 if left out",
        default: |_| ResponseFilter::success(),
        read: |reader, place| reader.response_filter(place, Role::Response),
        write: |filter, _| Some(filter.to_value(Role::Response)),
        schema: |_, dialect| json!({"$ref": format!("#/$defs/{dialect}-response")}),
    }
    "failureFilter" => failure_filter: Option<ResponseFilter> {
        about: "the response that means failed; looked for first",
        default: |_| None,
        read: filters::read_failure,
        write: |filter, _| filter.as_ref().map(|filter| filter.to_value(Role::Failure)),
        schema: |_, dialect| json!({"$ref": format!("#/$defs/{dialect}-response")}),
    }
    "requestTimeout" => request_timeout: RequestTimeout {
        about: "how long one request may take",
        default: |options| RequestTimeout { duration: options.limits.request_timeout, retry: None },
        read: |reader, place| reader.request_timeout(place),
        write: |timeout, _| Some(timeout.to_value()),
        check: |timeout, limits, problems| timeout.check(limits, problems),
        schema: |_, _| retry::timeout_schema(),
    }
    "retry" => retry: Vec<RetryRule> {
        about: "how to try again, by status or kind of error; the first that applies counts",
        default: |_| Vec::new(),
        read: |reader, place| reader.retry_rules(place),
        write: |rules, _| Some(retry::to_value(&retry::InOrder(rules))),
        check: |rules, limits, problems| retry::check_rules(rules, limits, problems),
        schema: |_, dialect| json!({"$ref": format!("#/$defs/{dialect}-retry")}),
    }
    "giveUp" => give_up: Option<NonZeroU32> {
        about: "fail after this many hopeless attempts in a row; false for never",
        default: |_| Some(timing::GIVE_UP),
        read: |reader, place| reader.give_up(place),
        write: |after, _| Some(after.map_or(json!(false), |after| json!({"after": after}))),
        schema: |_, _| timing::give_up_schema(),
    }
    "follow" => follow: Option<Follow> {
        about: "where a response names the URL to ask from then on",
        default: |_| None,
        read: |reader, place| reader.follow(place),
        write: |follow, _| follow.as_ref().map(Follow::to_value),
        schema: |_, _| follow::schema(),
    }
    "onOutcome" => on_outcome: Option<OnOutcome> {
        about: "a webhook that is sent when the poll ends, signed by Standard Webhooks",
        default: |_| None,
        read: |reader, place| reader.on_outcome(place),
        write: |webhook, show| webhook.as_ref().map(|webhook| webhook.to_value(show)),
        schema: |_, _| on_outcome::schema(),
    }
}

impl PollSpec {
    /// Where the poll asks next after a response that names a URL; `None`: the same URL again.
    #[must_use]
    pub fn follow(&self) -> Option<&Follow> {
        self.members().follow.as_ref()
    }

    /// The webhook that is sent when the poll ends.
    #[must_use]
    pub fn on_outcome(&self) -> Option<&OnOutcome> {
        self.members().on_outcome.as_ref()
    }

    /// The time from one tick to the next.
    #[must_use]
    pub fn interval(&self) -> Interval {
        self.outline().interval
    }

    /// The time from acceptance to deadline.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.outline().timeout()
    }

    /// The request: method, headers, body.
    #[must_use]
    pub fn request(&self) -> &RequestInit {
        &self.members().request
    }

    /// The responses that end the poll as matched.
    #[must_use]
    pub fn response_filter(&self) -> &ResponseFilter {
        &self.members().response_filter
    }

    /// The responses that end the poll as failed.
    #[must_use]
    pub fn failure_filter(&self) -> Option<&ResponseFilter> {
        self.members().failure_filter.as_ref()
    }

    /// How long one request may take, and how a request that took longer is retried.
    #[must_use]
    pub fn request_timeout(&self) -> &RequestTimeout {
        &self.members().request_timeout
    }

    /// How responses are retried, by status; the first rule that applies counts.
    #[must_use]
    pub fn retry(&self) -> &[RetryRule] {
        &self.members().retry
    }

    /// How many attempts in a row that cannot get better fail the poll; `None` for never.
    #[must_use]
    pub fn give_up(&self) -> Option<NonZeroU32> {
        self.members().give_up
    }

    /// The dialect of the filters.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.members().dialect
    }
}
