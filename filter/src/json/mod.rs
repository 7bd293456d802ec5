//! JSON with the position of every value in its text.
//!
//! [`parse`] accepts exactly what `serde_json::from_str::<Value>` accepts and gives the same values, except that floats
//! are always rounded correctly. It also keeps the byte span of every value and key, the order of members, and
//! duplicate keys. serde_json gives neither spans nor duplicates, hence a second parser.

mod error;
pub(crate) mod lex;
mod mistake;
mod node;
mod parse;
mod pointer;
mod scalar;

pub use error::JsonError;
pub use node::{Kind, Member, Node};
pub use parse::{encoding_help, parse, parse_next, parse_sequence};
pub(crate) use parse::{event_error, parse_event};
pub(crate) use pointer::{Pointer, escaped};
