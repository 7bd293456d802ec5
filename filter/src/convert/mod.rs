//! Conversion of filters from other dialects to the native one.
//!
//! The result has the same meaning for every event; if the native dialect cannot express a part exactly, conversion
//! fails and names it. The result is compiled before it is returned, so it is a valid filter.

mod event_bridge;
mod leaf;
mod trigger_dev;

use event_bridge::Events;
use serde_json::{Map, Value};

use crate::diagnostic::{Code, Diagnostic};
use crate::dialect::{Context, Dialect};
use crate::error::FilterError;
use crate::filter::Filter;
use crate::limits::Limits;
use crate::options::FilterOptions;

/// Options for converting a filter to the native dialect.
///
/// ```
/// use filter::{Conversion, Dialect, FilterOptions};
/// use serde_json::json;
///
/// let options = FilterOptions::new().dialect(Dialect::EventBridge);
/// let pattern = options.parse(r#"{"source": ["aws.ec2"]}"#)?;
///
/// // The pattern also matches {"source": [["aws.ec2"]]}, which the native dialect cannot express.
/// assert!(pattern.to_native().is_err());
///
/// let native = Conversion::new().assume_flat_arrays(true).to_native(&pattern)?;
/// assert_eq!(native, json!({"source": ["aws.ec2", {"$includes": "aws.ec2"}]}));
/// # Ok::<(), filter::FilterError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    flat_arrays: bool,
    no_arrays: bool,
    limits: Limits,
}

impl Conversion {
    /// No assumption, and the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Assumes that no event has an array as an element of an array.
    ///
    /// The event-bridge dialect looks into nested arrays of any depth and the native one does not, so patterns can be
    /// converted only under this assumption. Few events break it, but only the caller can know.
    #[must_use]
    pub fn assume_flat_arrays(mut self, assume: bool) -> Self {
        self.flat_arrays = assume;
        self
    }

    /// Assumes that no field which the pattern names is an array, or lies in one.
    ///
    /// The result is shorter and reads like the pattern: without this assumption each condition appears twice, for a value
    /// and for the elements of an array. It includes [`assume_flat_arrays`](Self::assume_flat_arrays).
    ///
    /// ```
    /// use filter::{Conversion, Dialect, FilterOptions};
    /// use serde_json::json;
    ///
    /// let pattern = FilterOptions::new().dialect(Dialect::EventBridge).parse(r#"{"source": ["aws.ec2"]}"#)?;
    /// let native = Conversion::new().assume_no_arrays(true).to_native(&pattern)?;
    /// assert_eq!(native, json!({"source": ["aws.ec2"]}));
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    #[must_use]
    pub fn assume_no_arrays(mut self, assume: bool) -> Self {
        self.no_arrays = assume;
        self
    }

    /// Sets the limits of the result.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The filter in the native dialect; a native filter is returned as it is.
    ///
    /// # Errors
    /// If the native dialect cannot express the filter exactly (each place is reported), or if the result exceeds a
    /// limit.
    pub fn to_native(&self, filter: &Filter) -> Result<Value, FilterError> {
        if filter.dialect() == Dialect::Native {
            return Ok(filter.to_value());
        }
        let node = filter.source().to_node();
        // The filter may have been compiled with wider limits than the defaults.
        let limits = Limits::new().with_depth(Limits::MAX_DEPTH).with_regex_bytes(usize::MAX);
        let mut context = Context::new(filter.dialect(), &limits, "");
        let tree = filter.dialect().read(&node, &mut context).into_pattern();
        let converted = match filter.dialect() {
            Dialect::EventBridge if self.no_arrays => event_bridge::convert(&tree, Events::NoArrays),
            Dialect::EventBridge if self.flat_arrays => event_bridge::convert(&tree, Events::FlatArrays),
            Dialect::EventBridge => return Err(event_bridge::refusal(&tree)),
            _ => trigger_dev::convert(tree),
        };
        FilterOptions::new().limits(self.limits.clone()).from_value(&converted).map_err(too_large)?;
        Ok(converted)
    }
}

/// Converted filters are valid, so the only possible error is an exceeded limit.
fn too_large(error: FilterError) -> FilterError {
    let first = error.diagnostics().first().map_or("", Diagnostic::message);
    let diagnostic = Diagnostic::error(format!("the filter in the native dialect is past a limit: {first}"))
        .with_code(Code::LimitExceeded);
    FilterError::new(vec![diagnostic.with_help("raise the limit, or split the filter")])
}

/// A field's name as a key of a native filter.
fn key(name: &str) -> String {
    if name.starts_with('$') { format!("${name}") } else { name.to_owned() }
}

fn object(key: impl Into<String>, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.into(), value)]))
}

impl Filter {
    /// The filter's source in the native dialect, with the same meaning for every event.
    ///
    /// ```
    /// use filter::{Dialect, FilterOptions};
    /// use serde_json::json;
    ///
    /// let filter = FilterOptions::new().dialect(Dialect::TriggerDev).parse(r#"{"n": [{"$gt": 1}, {"$lt": 5}]}"#)?;
    /// assert_eq!(filter.to_native()?, json!({"n": {"$gt": 1, "$lt": 5}}));
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    ///
    /// # Errors
    /// If the native dialect cannot express it exactly: patterns of the event-bridge dialect look into nested arrays.
    /// [`Conversion`] converts them on the assumption that events have none.
    pub fn to_native(&self) -> Result<Value, FilterError> {
        Conversion::new().to_native(self)
    }
}
