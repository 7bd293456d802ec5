//! Webhooks: the outcome of a poll, sent to the receiver that its spec names.
//!
//! ```text
//!  outcome ─┬─ one transaction ─► store
//!           └─ delivery ────────► outbox ─► deliverer ─► sign ─► the same client and guard as requests of polls
//!                                    ▲                              │ 2xx: delivered; 410: dead; else later
//!                                    └──────────────────────────────┘
//! ```
//!
//! A webhook is sent at least once: it is noted as delivered after the receiver has answered, so a crash in between sends it
//! again, with the same `webhook-id`. The form is that of Standard Webhooks.

mod deliver;
mod payload;
mod sign;

pub(crate) use self::deliver::Deliverer;
pub(crate) use self::sign::SigningKey;
