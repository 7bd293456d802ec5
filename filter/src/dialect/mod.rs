//! The dialects: how each reads JSON into the one typed tree.
//!
//! A reader does not stop at an error. It reports it, omits the invalid part and continues, so that a person sees all
//! errors of a filter at once. A tree with errors is never compiled.

mod context;
mod duplicates;
pub(crate) mod event_bridge;
pub(crate) mod lookalike;
pub(crate) mod native;
pub(crate) mod operators;
mod patterns;
pub(crate) mod translate;
pub(crate) mod trigger_dev;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ast::Judge;
use crate::json::Node;
use crate::ops::Leaf;
pub(crate) use context::Context;
use operators::Argument;

/// The language of a filter.
///
/// ```
/// use filter::Dialect;
///
/// assert_eq!("trigger-dev".parse::<Dialect>()?, Dialect::TriggerDev);
/// assert_eq!(Dialect::EventBridge.to_string(), "event-bridge");
/// # Ok::<(), filter::UnknownDialect>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// This crate's own, for new filters: `native`.
    #[default]
    Native,
    /// Trigger.dev's EventFilter, unchanged: `trigger-dev`.
    TriggerDev,
    /// Patterns of EventBridge, event-ruler and quamina: `event-bridge`.
    EventBridge,
}

impl Dialect {
    /// All dialects, the default first.
    pub const ALL: [Self; 3] = [Self::Native, Self::TriggerDev, Self::EventBridge];

    /// The dialect's name, as [`FromStr`] reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::TriggerDev => "trigger-dev",
            Self::EventBridge => "event-bridge",
        }
    }

    /// Reads a filter; reports errors and warnings to `context`.
    pub(crate) fn read<'n>(self, node: &'n Node, context: &mut Context<'n>) -> Judge<'n> {
        match self {
            Self::Native => native::read(node, context),
            Self::TriggerDev => trigger_dev::read(node, context),
            Self::EventBridge => event_bridge::read(node, context),
        }
    }

    /// The condition of an operator whose argument is a text, for the compiler's fast path. `None` if the argument is another, or
    /// if the reader would report something.
    pub(crate) fn on_text(self, operator: &str, text: &str) -> Option<Leaf> {
        let operator = match self {
            Self::EventBridge => return event_bridge::on_text(operator, text),
            Self::TriggerDev if !trigger_dev::OPERATORS.contains(&operator) => return None,
            Self::Native | Self::TriggerDev => operators::find(operator)?,
        };
        match operator.argument {
            Argument::Text(leaf) => Some(leaf(text)),
            Argument::Wildcard => patterns::wildcard_without_remarks(self, text),
            _ => None,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        let found = Self::ALL.into_iter().find(|dialect| dialect.name() == name);
        found.ok_or_else(|| UnknownDialect { name: name.to_owned() })
    }
}

impl Serialize for Dialect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Dialect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The error for an unknown dialect name.
///
/// ```
/// let error = "mongodb".parse::<filter::Dialect>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "unknown dialect \"mongodb\", expected native, trigger-dev or event-bridge",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDialect {
    name: String,
}

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown dialect {:?}, expected native, trigger-dev or event-bridge", self.name)
    }
}

impl std::error::Error for UnknownDialect {}
