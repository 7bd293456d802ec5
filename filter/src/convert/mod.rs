//! Filters of other dialects, said in the native one.
//!
//! The result means the same on every event, or there is none: what the native dialect cannot say exactly is refused with
//! the reason. What was written is compiled before it is handed out, so it is a filter.

mod event_bridge;
mod leaf;
mod trigger_dev;

use serde_json::{Map, Value};

use crate::diagnostic::{Code, Diagnostic};
use crate::dialect::{Context, Dialect};
use crate::error::FilterError;
use crate::filter::Filter;
use crate::limits::Limits;
use crate::options::FilterOptions;

/// How to say a filter in the native dialect, and what may be assumed of events on the way.
///
/// ```
/// use filter::{Conversion, Dialect, FilterOptions};
/// use serde_json::json;
///
/// let options = FilterOptions::new().dialect(Dialect::EventBridge);
/// let pattern = options.parse(r#"{"source": ["aws.ec2"]}"#)?;
///
/// // Of this pattern's meaning, the native dialect cannot say that it holds for {"source": [["aws.ec2"]]} too.
/// assert!(pattern.to_native().is_err());
///
/// let native = Conversion::new().assume_flat_arrays(true).to_native(&pattern)?;
/// assert_eq!(native, json!({"source": ["aws.ec2", {"$includes": "aws.ec2"}]}));
/// # Ok::<(), filter::FilterError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    flat_arrays: bool,
    limits: Limits,
}

impl Conversion {
    /// Nothing is assumed, and the default limits hold for the result.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it may be assumed that no event has an array as an element of an array.
    ///
    /// The event-bridge dialect looks into arrays in arrays, to any depth, and the native one does not: only under this
    /// assumption can its patterns be converted. Hardly any events break it, but that is for who has them to say.
    #[must_use]
    pub fn assume_flat_arrays(mut self, assume: bool) -> Self {
        self.flat_arrays = assume;
        self
    }

    /// The limits that the result must keep.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The filter in the native dialect; a native filter is returned as it is.
    ///
    /// # Errors
    /// If the native dialect cannot say it exactly, with every place where it cannot; or if the result is past a limit.
    pub fn to_native(&self, filter: &Filter) -> Result<Value, FilterError> {
        if filter.dialect() == Dialect::Native {
            return Ok(filter.to_value());
        }
        let node = filter.source().to_node();
        // The filter compiled under limits of its own, which may have been wider than the defaults.
        let limits = Limits::new().with_depth(Limits::MAX_DEPTH).with_regex_bytes(usize::MAX);
        let mut context = Context::new(&limits, "");
        let tree = filter.dialect().read(&node, &mut context);
        let converted = match filter.dialect() {
            Dialect::EventBridge if !self.flat_arrays => return Err(event_bridge::refusal(&tree)),
            Dialect::EventBridge => event_bridge::convert(tree),
            _ => trigger_dev::convert(tree),
        };
        FilterOptions::new().limits(self.limits.clone()).from_value(&converted).map_err(too_large)?;
        Ok(converted)
    }
}

/// The only thing that can be wrong with what was written here is that it is past a limit.
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
