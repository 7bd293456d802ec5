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
//! * **Precedence.** The most precise header wins: `retry-after-ms`, `x-ms-retry-after-ms`, `Retry-After`,
//!   `RateLimit`, `RateLimit-Reset`. A malformed header is skipped, and [`read`] reports it. Of a
//!   repeated header the first counts; of the list `RateLimit` all members count. The IETF
//!   draft puts `Retry-After` before the `RateLimit` fields.
//! * **Absolute times** (an HTTP date, a Unix time) come from the server's clock, so they are compared with the server's
//!   `Date`, plus `Age` for a cached response; without a valid `Date`, with `now`. A wrong clock on either side cancels out.
//! * **Past times and negative numbers** mean "at once": [`Hint::delay`] is zero and [`Hint::raw`] has the distance.
//! * **Long waits** are cut to [`LONGEST`] in `delay`; `raw` keeps the requested wait.
//! * **Quotas.** A `RateLimit` member counts only if nothing remains of it; of several, the longest wait. A
//!   `RateLimit-Reset` counts unless `RateLimit-Remaining` is above zero. On a cached response (`Age` above zero) neither
//!   counts, as the draft says.
//!
//! Parsing is pure: `now` is an argument, headers are pairs of strings, and no input panics.

mod date;
mod error;
mod found;
mod number;
mod rate_limit;
mod requested;
mod reset;
mod response;

pub use error::HintError;
pub use found::{Hint, HintSource, Reading};
pub use requested::{LONGEST, Requested};
pub use reset::ResetFormat;
pub use response::{from_headers, from_response, read, server_time};
