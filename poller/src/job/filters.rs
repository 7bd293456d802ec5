//! `responseFilter` and `failureFilter`: the accepted responses, by status, headers, body. Each part that is given must
//! hold. Every EventFilter of a spec is read here.

use std::fmt;
use std::str::FromStr;

use filter::decode::{Place, child, describe, field, known_members};
use filter::json::{Kind, Member, Node};
use filter::{Dialect, Filter, FilterOptions};
use retry::status::{StatusError, StatusPattern, StatusSet};
use serde_json::{Map, Value, json};

use super::read::Reader;
use super::schema::{STATUS, object};

/// A `responseFilter` or `failureFilter`. Without any part it accepts every response.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ResponseFilter {
    /// The accepted statuses; `None` for any.
    pub status: Option<StatusFilter>,
    /// The filter of the headers, as an object of lower-cased names and strings.
    pub headers: Option<Filter>,
    /// The filter of the JSON body. A body that is not JSON is not accepted.
    pub body: Option<Filter>,
}

impl ResponseFilter {
    /// Accepts any 2xx: the meaning of a spec without a `responseFilter`.
    #[must_use]
    pub fn success() -> Self {
        Self { status: Some(StatusFilter::success()), headers: None, body: None }
    }

    pub(super) fn to_value(&self) -> Value {
        let parts = [
            ("status", self.status.as_ref().map(StatusFilter::to_value)),
            ("headers", self.headers.as_ref().map(Filter::to_value)),
            ("body", self.body.as_ref().map(Filter::to_value)),
        ];
        let given = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?)));
        Value::Object(Map::from_iter(given))
    }
}

/// The statuses a filter accepts: numbers and patterns, any of which may apply.
///
/// ```
/// use poller::StatusFilter;
///
/// let accepted: StatusFilter = "200-203,3xx".parse()?;
/// assert!(accepted.accepts(202) && accepted.accepts(304) && !accepted.accepts(204));
/// # Ok::<(), retry::status::StatusError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusFilter {
    accepted: StatusSet,
}

impl StatusFilter {
    /// Any 2xx.
    #[must_use]
    pub fn success() -> Self {
        Self { accepted: StatusPattern::range(200, 299).into_iter().collect() }
    }

    /// Whether this status is accepted. Linear in the number of patterns.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        self.accepted.matches(status)
    }

    fn to_value(&self) -> Value {
        let texts = self.accepted.patterns().iter().map(StatusPattern::to_string);
        texts.map(|text| text.parse::<u16>().map_or_else(|_| Value::from(text), Value::from)).collect()
    }
}

impl FromStr for StatusFilter {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        Ok(Self { accepted: text.parse()? })
    }
}

impl fmt::Display for StatusFilter {
    /// As a person lists them: `200, 201 or 3xx`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.accepted.patterns();
        for (position, pattern) in patterns.iter().enumerate() {
            let separator = match position {
                0 => "",
                _ if position + 1 == patterns.len() => " or ",
                _ => ", ",
            };
            write!(f, "{separator}{pattern}")?;
        }
        Ok(())
    }
}

/// Reads a `failureFilter`.
pub(super) fn read_failure(reader: &mut Reader<'_>, place: Place<'_>) -> Option<Option<ResponseFilter>> {
    let filter = reader.response_filter(place)?;
    if filter == ResponseFilter::default() {
        reader.problems.warn(
            place,
            "this failure filter accepts every response",
            "the poll will fail at its first response; name a status, header or body that means failure",
        );
    }
    Some(Some(filter))
}

impl Reader<'_> {
    pub(super) fn response_filter(&mut self, place: Place<'_>) -> Option<ResponseFilter> {
        let known = ["status", "headers", "header", "body"];
        let fields = known_members(place, "an object of status, headers, body", &known, &mut self.problems)?;
        let (plural, alias) = (field(&fields, "headers"), field(&fields, "header"));
        if let (Some(_), Some(alias)) = (plural, alias) {
            let help = "\"header\" is another name for \"headers\"; put all of it into \"headers\"";
            self.problems.error_with_help(alias.place(), "both \"headers\" and \"header\" are given", help);
            return None;
        }
        let status = field(&fields, "status").and_then(|given| self.status_filter(given.place()));
        let headers = plural.or(alias).and_then(|given| {
            let node = lower_case_names(given.node);
            self.filter(Place { node: &node, pointer: &given.pointer })
        });
        let body = field(&fields, "body").and_then(|given| self.filter(given.place()));
        Some(ResponseFilter { status, headers, body })
    }

    /// `None` without an error is "any status": the empty list of the trigger-dev dialect.
    fn status_filter(&mut self, place: Place<'_>) -> Option<StatusFilter> {
        let elements = match &place.node.kind {
            Kind::Array(elements) => elements.as_slice(),
            _ => std::slice::from_ref(place.node),
        };
        if elements.is_empty() {
            if self.dialect != Dialect::TriggerDev {
                let help = "leave \"status\" out to accept any";
                let message = "found an empty array, expected at least one status";
                self.problems.error_with_help(place, message, help);
            }
            return None;
        }
        let mut patterns = Vec::with_capacity(elements.len());
        for (index, node) in elements.iter().enumerate() {
            let pointer = match &place.node.kind {
                Kind::Array(_) => child(place.pointer, &index.to_string()),
                _ => place.pointer.to_owned(),
            };
            let element = Place { node, pointer: &pointer };
            let number = element.whole().map(|number| number.to_string());
            let text = number.or_else(|| element.text().map(str::to_owned));
            match text.map(|text| text.parse::<StatusPattern>()) {
                Some(Ok(pattern)) => patterns.push(pattern),
                _ => self.problems.error(
                    element,
                    format!(
                        "found {}, expected a status (200), a class (\"2xx\") or a range (\"500-599\")",
                        describe(node)
                    ),
                ),
            }
        }
        Some(StatusFilter { accepted: StatusSet::from_iter(patterns) })
    }

    /// Compiles a filter in the dialect of the spec.
    pub(super) fn filter(&mut self, place: Place<'_>) -> Option<Filter> {
        let options = FilterOptions::new().dialect(self.dialect).limits(self.limits().filter.clone());
        match options.compile_at(place.node, place.pointer) {
            Ok(filter) => {
                self.problems.warnings.extend_from_slice(filter.warnings());
                Some(filter)
            }
            Err(error) => {
                self.problems.errors.extend_from_slice(error.diagnostics());
                None
            }
        }
    }
}

/// The same filter with the field names of its own level in lower case, as header names are compared.
fn lower_case_names(node: &Node) -> Node {
    let Kind::Object(members) = &node.kind else { return node.clone() };
    let members = members.iter().map(|member| {
        let value = match &member.value.kind {
            Kind::Array(filters) if matches!(member.key.as_str(), "$or" | "$and" | "$nor") => Node {
                span: member.value.span,
                kind: Kind::Array(filters.iter().map(lower_case_names).collect()),
            },
            _ => member.value.clone(),
        };
        Member { key: member.key.to_ascii_lowercase(), key_span: member.key_span, value }
    });
    Node { span: node.span, kind: Kind::Object(members.collect()) }
}

pub(super) fn schema(dialect: Dialect) -> Value {
    let filter = json!({"$ref": format!("urn:filter:{dialect}")});
    let mut alias = filter.clone();
    alias["description"] = "another name for headers".into();
    let status = json!({"anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 999},
        {"type": "string", "pattern": format!("^{STATUS}$")},
    ]});
    let at_least = u32::from(dialect != Dialect::TriggerDev);
    let statuses = json!({"anyOf": [status, {"type": "array", "items": status, "minItems": at_least}]});
    let mut schema =
        object(json!({"status": statuses, "headers": filter, "header": alias, "body": filter}), &[]);
    schema["not"] = json!({"required": ["headers", "header"]});
    schema
}
