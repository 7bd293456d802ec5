//! JSON that knows where it stands in its text.
//!
//! [`parse`] accepts exactly what `serde_json::from_str::<Value>` accepts and gives the same values, except that
//! floats are always rounded correctly. It differs in what it keeps: the byte span of every value and key, the order of
//! members, and duplicate keys. A second parser is the price; serde_json gives neither spans nor duplicates.

mod error;
mod mistake;
mod node;
mod parse;
mod pointer;
mod scalar;

pub use error::JsonError;
pub use node::{Kind, Member, Node};
pub(crate) use parse::{event_error, parse_event};
pub use parse::{parse, parse_sequence};
pub(crate) use pointer::{Pointer, escaped};
