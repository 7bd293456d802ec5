//! Hints: the response headers in which a server says when to retry.
//!
//! ```text
//!   header text ──► number, date or list ──► Requested (as sent)   ──► Hint { raw, delay, source }
//!                                               │ past → zero
//!                    now, corrected by Date ────┘ beyond LONGEST → LONGEST
//! ```
//!
//! # Rules
//!
//! * **Precedence.** The most precise header wins: `retry-after-ms`, `x-ms-retry-after-ms`, `x-amz-retry-after`,
//!   `grpc-retry-pushback-ms`, `Retry-After`, `RateLimit`, then the quotas with a pair of headers (`RateLimit-Reset`,
//!   `X-RateLimit-Reset` and their variants). A malformed header is skipped, and [`read`] reports it. Of a repeated header
//!   the first valid one counts; of the list `RateLimit` all members count. The IETF draft puts `Retry-After` before the
//!   `RateLimit` fields.
//! * **`Retry-After`** is read beyond the RFC's seconds and HTTP date: Unix times, ISO 8601, `30s`, `1m0s`, `30 seconds`, `PT30S`,
//!   quoted and comma-joined values, dates with `UTC` or an offset. Servers send all of these.
//! * **Absolute times** come from the server's clock, so they are compared with the server's `Date`, plus `Age` for a cached
//!   response; without a valid `Date`, with `now`. A wrong clock on either side cancels out. A number of 31 years or more is
//!   a Unix time, in seconds, milliseconds, microseconds or nanoseconds.
//! * **Past times and negative numbers** mean "at once": [`Hint::delay`] is zero and [`Hint::raw`] has the distance.
//! * **Long waits** are cut to [`LONGEST`] in `delay`; `raw` keeps the requested wait.
//! * **Quotas** count only if nothing remains of them; of several, the longest wait. A `RateLimit-Reset` without
//!   `RateLimit-Remaining` counts only on 429 and 503, an `X-RateLimit-Reset` never: many servers send it with every
//!   response. On a cached response (`Age` above zero) no quota counts, as the draft says.
//! * **Should-retry headers.** `x-should-retry` and `stripe-should-retry` say whether to retry at all, and so does a negative gRPC
//!   pushback: [`Reading::should_retry`].
//!
//! Parsing is pure: `now` is an argument, headers are pairs of strings, and no input panics.

mod date;
mod durations;
mod error;
mod found;
mod number;
mod quota;
mod requested;
mod reset;
mod response;

pub use error::HintError;
pub use found::{Hint, HintSource, Reading};
pub use requested::{LONGEST, Requested};
pub use reset::ResetFormat;
#[cfg(feature = "serde")]
pub(crate) use reset::duration;
pub use response::{from_headers, from_response, read, server_time};
