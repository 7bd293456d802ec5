//! The compilation of filters: options, and the ways from text and values to a [`Filter`].

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::compile::{compile, fast_path};
use crate::dialect::{Context, Dialect};
use crate::error::FilterError;
use crate::filter::Filter;
use crate::json::{self, Node};
use crate::limits::Limits;
use crate::lint;
use crate::program::Program;
use crate::source::Source;

/// The dialect and the limits for compiling filters.
///
/// ```
/// use filter::{Dialect, FilterOptions};
///
/// let filter = FilterOptions::new().dialect(Dialect::TriggerDev).parse(r#"{"status": ["SUCCESS"]}"#)?;
/// assert!(filter.matches(&serde_json::json!({"status": "SUCCESS"})));
/// # Ok::<(), filter::FilterError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterOptions {
    dialect: Dialect,
    limits: Limits,
}

impl FilterOptions {
    /// The native dialect and the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the dialect.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Compiles the text of a filter, in time linear in its length, except for regular expressions, which have a
    /// budget.
    ///
    /// # Errors
    /// If the text is not JSON, not a filter of the dialect, or exceeds a limit; lists every error.
    pub fn parse(&self, text: &str) -> Result<Filter, FilterError> {
        let read = |program: &mut Program| {
            let compact = fast_path::read(self.dialect, text, &self.limits, program)?;
            Some(if compact { Source::of_compact(text) } else { Source::of_json(text) })
        };
        match Filter::in_place(self.dialect, self.limits.depth(), read) {
            Some(filter) => Ok(filter),
            None => self.parse_tree(text),
        }
    }

    /// As [`parse`](Self::parse), without the fast path.
    pub(crate) fn parse_tree(&self, text: &str) -> Result<Filter, FilterError> {
        let node = json::parse(text, &self.limits).map_err(FilterError::not_json)?;
        self.build(&node, "", Source::of_json(text))
    }

    /// Compiles a filter from parsed JSON.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn compile(&self, node: &Node) -> Result<Filter, FilterError> {
        self.compile_at(node, "")
    }

    /// Compiles a filter that is part of a document; `pointer` is its place there, and pointers in diagnostics begin
    /// with it.
    ///
    /// ```
    /// use filter::{FilterOptions, Limits, json};
    ///
    /// let document = json::parse(r#"{"when": {"a": []}}"#, &Limits::new())?;
    /// let when = document.get("when").expect("a member");
    /// let error = FilterOptions::new().compile_at(when, "/when").unwrap_err();
    /// assert_eq!(error.diagnostics()[0].pointer(), "/when/a");
    /// # Ok::<(), filter::JsonError>(())
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn compile_at(&self, node: &Node, pointer: &str) -> Result<Filter, FilterError> {
        self.build(node, pointer, Source::new(node, &self.limits, pointer)?)
    }

    fn build(&self, node: &Node, pointer: &str, source: Source) -> Result<Filter, FilterError> {
        let mut context = Context::new(self.dialect, &self.limits, pointer);
        let tree = self.dialect.read(node, &mut context);
        if !context.has_errors() {
            lint::check(&tree, node.span, &mut context);
        }
        let warnings = context.finish().map_err(FilterError::new)?;
        Ok(Filter::new(self.dialect, source, compile(tree), warnings, self.limits.depth()))
    }

    /// Compiles a filter from a value, which has no spans.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn from_value(&self, value: &Value) -> Result<Filter, FilterError> {
        Source::check_depth(value, &self.limits)?;
        self.compile(&Node::from(value))
    }
}

impl Filter {
    /// Compiles the text of a filter in the native dialect, with the default limits.
    ///
    /// # Errors
    /// If the text is not JSON, not a filter, or exceeds a limit; lists every error.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        FilterOptions::new().parse(text)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

impl TryFrom<&Value> for Filter {
    type Error = FilterError;

    fn try_from(value: &Value) -> Result<Self, FilterError> {
        FilterOptions::new().from_value(value)
    }
}

impl<'de> Deserialize<'de> for Filter {
    /// Reads the native dialect from any self-describing format; the error's message lists every problem.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        FilterOptions::new().compile(&node).map_err(D::Error::custom)
    }
}
