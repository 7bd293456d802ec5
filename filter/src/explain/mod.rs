//! Explanations of a match or a mismatch: every condition with its path, expected and actual value.
//!
//! The results come from the value engine, node by node, so both always agree. This module adds the order: failed
//! conditions before others, and among the failed ones the nearest to holding first, since readers usually look for
//! that one.

mod describe;
mod elide;
mod hint;
mod render;
mod walk;

pub(crate) use elide::Shown;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// An explanation of why an event matches a filter or not.
///
/// Its `Display` is for people, its `Serialize` for tools.
///
/// ```
/// use serde_json::json;
///
/// let filter = filter::Filter::parse(r#"{"status": "SUCCESS", "tries": {"$lt": 3}}"#)?;
/// let explanation = filter.explain(&json!({"status": "RUNNING", "tries": 1}));
/// assert!(!explanation.matched());
/// assert_eq!(explanation.summary().as_deref(), Some(r#"status is "RUNNING", expected "SUCCESS""#));
/// assert_eq!(explanation.to_string(), "\
/// no match: 1 of 2 conditions fails
///   ✗ status  is \"RUNNING\"  expected \"SUCCESS\"
///   ✓ tries   is 1          expected < 3
/// ");
/// # Ok::<(), filter::FilterError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    matched: bool,
    entries: Vec<Entry>,
}

/// A condition or a group of conditions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Entry {
    Check(Check),
    Group(Group),
}

/// Conditions under one heading.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Group {
    rule: Rule,
    held: bool,
    #[serde(rename = "conditions")]
    entries: Vec<Entry>,
}

/// How the results of a group's entries combine.
#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Any,
    All,
    None,
    /// The conditions on one element of an array: the matching element, or the one nearest to a match.
    Element {
        path: String,
        count: usize,
    },
}

/// One condition that was judged.
///
/// ```
/// let filter = filter::Filter::parse(r#"{"a": {"b": {"$gt": 5}}}"#)?;
/// let explanation = filter.explain(&serde_json::json!({"a": {"b": 3}}));
/// let check = explanation.checks().next().expect("one condition");
/// assert_eq!((check.path(), check.expected(), check.actual(), check.held()), ("a.b", "> 5", "3", false));
/// # Ok::<(), filter::FilterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    path: String,
    expected: String,
    actual: String,
    held: bool,
    #[serde(skip)]
    nearness: Nearness,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// How near a condition is to holding, from the farthest to the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Missing,
    Null,
    OtherType,
    OtherValue,
    Held,
}

impl Explanation {
    /// Whether the event matches.
    pub fn matched(&self) -> bool {
        self.matched
    }

    /// Every condition that was judged, the nearest misses first. For a nested filter on an array, only the conditions
    /// of the nearest element.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        let mut open = vec![self.entries.iter()];
        std::iter::from_fn(move || {
            loop {
                match open.last_mut()?.next() {
                    Some(Entry::Check(check)) => return Some(check),
                    Some(Entry::Group(group)) => open.push(group.entries.iter()),
                    None => {
                        open.pop();
                    }
                }
            }
        })
    }

    /// One short line that names the nearest miss; `None` if the event matches.
    pub fn summary(&self) -> Option<String> {
        if self.matched { None } else { render::summary(&self.entries) }
    }
}

impl Check {
    /// The place in the event: `items[0].price`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The expected value or property, in words.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The actual value as JSON, shortened if it is long, or `missing`.
    pub fn actual(&self) -> &str {
        &self.actual
    }

    /// What the event has in place of what a failed condition asks for: a field in another letter case, an element of an array.
    /// In words, for people. It is looked for at the first 32 missing fields, because that takes time linear in the object.
    ///
    /// ```
    /// let filter = filter::Filter::parse(r#"{"tags": "urgent"}"#)?;
    /// let explanation = filter.explain(&serde_json::json!({"tags": ["new", "urgent"]}));
    /// let check = explanation.checks().next().expect("one condition");
    /// assert_eq!(check.hint(), Some("an element equals it: $includes looks into arrays"));
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the condition holds.
    pub fn held(&self) -> bool {
        self.held
    }
}

impl Entry {
    fn held(&self) -> bool {
        match self {
            Self::Check(check) => check.held,
            Self::Group(group) => group.held,
        }
    }

    /// The nearness of a group is that of its nearest failed condition; without a failed condition it follows from the
    /// result.
    fn nearness(&self) -> Nearness {
        match self {
            Self::Check(check) => check.nearness,
            Self::Group(group) if group.held => Nearness::Held,
            Self::Group(Group { rule: Rule::None, .. }) => Nearness::OtherValue,
            Self::Group(group) => group
                .entries
                .iter()
                .filter(|entry| !entry.held())
                .map(Self::nearness)
                .max()
                .unwrap_or(Nearness::OtherValue),
        }
    }
}

/// The number of failed entries and the nearness of the nearest one: attempts with fewer failures are nearer.
fn distance(entries: &[Entry]) -> (usize, std::cmp::Reverse<Nearness>) {
    let failed = entries.iter().filter(|entry| !entry.held());
    let nearest = failed.clone().map(Entry::nearness).max().unwrap_or(Nearness::Held);
    (failed.count(), std::cmp::Reverse(nearest))
}

impl Serialize for Explanation {
    /// `{"matched", "summary", "conditions": […]}`; a condition is `{"path", "expected", "actual", "held"}`, with `"hint"`
    /// if there is one, a group of them `{"rule", "held", "conditions"}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Explanation", 3)?;
        fields.serialize_field("matched", &self.matched)?;
        fields.serialize_field("summary", &self.summary())?;
        fields.serialize_field("conditions", &self.entries)?;
        fields.end()
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
