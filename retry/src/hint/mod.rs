//! What a server says about when to come back, read in one place.
//!
//! ```text
//!   header text ──► number, date or list ──► Asked (signed, as sent) ──► Hint { raw, delay, source }
//!                                               │ past → zero
//!                    now, corrected by Date ────┘ beyond LONGEST → LONGEST
//! ```
//!
//! # Rules
//!
//! * **Which header.** The most exact wins: `retry-after-ms`, `x-ms-retry-after-ms`, `Retry-After`,
//!   `RateLimit`, `RateLimit-Reset`. One that cannot be read is passed over, and [`read`] reports it. Of a
//!   header sent twice, the first counts, except that `RateLimit` is a list and all of its members do. That
//!   `Retry-After` comes before the `RateLimit` fields is what the IETF draft asks for.
//! * **Which moment.** Relative values count from now. Absolute ones (an HTTP date, a Unix time) were made by
//!   the server's clock, so they are compared with the server's own `Date`, plus `Age` if a cache kept the
//!   response; without a usable `Date`, with `now`. A wrong clock on either side then cancels out.
//! * **Past, negative.** Means "at once": [`Hint::delay`] is zero and [`Hint::raw`] says how far in the past.
//! * **Absurd.** Anything beyond [`LONGEST`] is cut to it in `delay`; `raw` keeps what was asked.
//! * **Quotas.** A `RateLimit` member counts only when nothing remains of it; of several, the longest wait. A
//!   `RateLimit-Reset` counts unless `RateLimit-Remaining` says that something remains. On a response from a
//!   cache (its `Age` is not zero) neither counts, as the draft asks.
//!
//! Parsing is pure: `now` is an argument, headers are pairs of strings, and no input panics.

mod asked;
mod date;
mod error;
mod found;
mod number;
mod rate_limit;
mod reset;
mod response;

pub use asked::{Asked, LONGEST};
pub use error::HintError;
pub use found::{Hint, HintSource, Reading};
pub use reset::ResetFormat;
pub use response::{from_headers, from_response, read, server_time};
