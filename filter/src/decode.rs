//! Reading the members of JSON objects so that every mistake is reported, not only the first.
//!
//! The filter dialects read with these functions, and a program that embeds filters in a document of its own can read
//! that document the same way: unknown members come with the closest known name, members given twice are errors, and
//! each report has its JSON pointer and its byte span. serde's derive would stop at the first mistake and know neither.

use std::collections::HashSet;

use crate::diagnostic::{Code, Diagnostic, shorten};
use crate::json::{Kind, Member, Node, escaped};
use crate::ops::text::Quoted;

/// The errors and warnings found while a document is read.
///
/// ```
/// use filter::decode::{Place, Problems, field, known_members};
/// use filter::{Code, Limits, json};
///
/// let document = json::parse(r#"{"tires": 3}"#, &Limits::new())?;
/// let mut problems = Problems::default();
/// let fields = known_members(Place::root(&document), "a policy", &["tries", "delay"], &mut problems);
/// assert!(fields.is_some_and(|fields| field(&fields, "tries").is_none()));
///
/// let errors = problems.finish().unwrap_err();
/// assert_eq!(errors[0].to_string(), r#"/tires: unknown member "tires"; did you mean "tries"?"#);
/// assert_eq!(errors[0].code(), Code::UnknownMember);
/// # Ok::<(), filter::JsonError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// What makes the document invalid, in the order of discovery.
    pub errors: Vec<Diagnostic>,
    /// Suspicious parts of a valid document.
    pub warnings: Vec<Diagnostic>,
}

impl Problems {
    /// Reports an error at `place`, with the code [`Code::InvalidValue`].
    pub fn error(&mut self, place: Place<'_>, message: impl Into<String>) {
        self.errors.push(place.locate(Diagnostic::error(message)));
    }

    /// Reports an error at `place`, and what to do about it.
    pub fn error_with_help(&mut self, place: Place<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(place.locate(Diagnostic::error(message)).with_help(help));
    }

    /// Reports that the value at `place` is not what `expected` names.
    pub fn expected(&mut self, place: Place<'_>, expected: &str) {
        let message = format!("found {}, expected {expected}", describe(place.node));
        self.errors.push(place.locate(Diagnostic::error(message).with_code(Code::WrongType)));
    }

    /// Reports a warning at `place`, and what to do about it.
    pub fn warn(&mut self, place: Place<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(place.locate(Diagnostic::warning(message)).with_help(help));
    }

    /// The warnings if there are no errors, otherwise the errors; each in the order of the text. Of more than a hundred, the
    /// first hundred and the number of the others, as one diagnostic with the code [`Code::More`].
    ///
    /// # Errors
    /// If any error was reported.
    pub fn finish(mut self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let start = |diagnostic: &Diagnostic| diagnostic.span().map(|span| span.start);
        self.errors.sort_by_key(start);
        self.warnings.sort_by_key(start);
        if self.errors.is_empty() { Ok(shorten(self.warnings, 0)) } else { Err(shorten(self.errors, 0)) }
    }
}

/// A value and its JSON pointer.
///
/// ```
/// use filter::{decode::Place, json::Node};
/// let node = Node::from(&serde_json::json!(3.0));
/// assert_eq!(Place::root(&node).whole(), Some(3));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The value.
    pub node: &'a Node,
    /// Its JSON pointer in the document.
    pub pointer: &'a str,
}

impl<'a> Place<'a> {
    /// The whole document.
    pub fn root(node: &'a Node) -> Self {
        Self { node, pointer: "" }
    }

    /// Sets the pointer and the span of a diagnostic to this place.
    pub fn locate(self, diagnostic: Diagnostic) -> Diagnostic {
        diagnostic.with_pointer(self.pointer).with_span(self.node.span)
    }

    /// The value, if it is a string.
    pub fn text(self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value, if it is a number.
    pub fn number(self) -> Option<f64> {
        match &self.node.kind {
            Kind::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// The value, if it is a whole number of at least 0; `3.0` counts, up to 9e15.
    pub fn whole(self) -> Option<u64> {
        match &self.node.kind {
            Kind::Number(number) => number.as_u64().or_else(|| {
                let float = number.as_f64()?;
                (float >= 0.0 && float.fract() == 0.0 && float < 9e15).then_some(float as u64)
            }),
            _ => None,
        }
    }
}

/// A member of an object, with the JSON pointer of its value.
///
/// ```
/// use filter::decode::{Place, Problems, members};
/// let document = filter::json::parse(r#"{"a": 1}"#, &filter::Limits::new())?;
/// let fields = members(Place::root(&document), "an object", &mut Problems::default());
/// assert_eq!(fields.as_deref().map(|fields| fields[0].pointer.as_str()), Some("/a"));
/// # Ok::<(), filter::JsonError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// Its key.
    pub name: &'a str,
    /// Its value.
    pub node: &'a Node,
    /// The JSON pointer of the value.
    pub pointer: String,
}

impl Field<'_> {
    /// The value's place.
    pub fn place(&self) -> Place<'_> {
        Place { node: self.node, pointer: &self.pointer }
    }
}

/// The JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) of a member of the object at `parent`.
///
/// ```
/// assert_eq!(filter::decode::child("/a", "b/c"), "/a/b~1c");
/// ```
pub fn child(parent: &str, name: &str) -> String {
    format!("{parent}/{}", escaped(name))
}

/// The members of an object, in the order of the text. Reports a value that is no object (`expected` names the object) and
/// every repetition of a key.
pub fn members<'a>(place: Place<'a>, expected: &str, problems: &mut Problems) -> Option<Vec<Field<'a>>> {
    let Kind::Object(members) = &place.node.kind else {
        problems.expected(place, expected);
        return None;
    };
    let mut seen = HashSet::new();
    for member in members.iter().filter(|member| !seen.insert(member.key.as_str())) {
        let message = format!("the member {} appears twice", Quoted(&member.key));
        let error = Diagnostic::error(message).with_code(Code::DuplicateKey).with_help("keep one of them");
        problems.errors.push(at_key(error, place, member));
    }
    let field = |member: &'a Member| Field {
        name: &member.key,
        node: &member.value,
        pointer: child(place.pointer, &member.key),
    };
    Some(members.iter().map(field).collect())
}

/// As [`members`]; reports every key that is not in `known` too, with the closest known name.
pub fn known_members<'a>(
    place: Place<'a>,
    expected: &str,
    known: &[&str],
    problems: &mut Problems,
) -> Option<Vec<Field<'a>>> {
    let fields = members(place, expected, problems)?;
    if let Kind::Object(written) = &place.node.kind {
        for member in written.iter().filter(|member| !known.contains(&member.key.as_str())) {
            let help = did_you_mean(&member.key, known)
                .unwrap_or_else(|| format!("known members are {}", known.join(", ")));
            let error = Diagnostic::error(format!("unknown member {}", Quoted(&member.key)));
            problems.errors.push(at_key(error.with_code(Code::UnknownMember).with_help(help), place, member));
        }
    }
    Some(fields)
}

/// The indices, ascending, of members whose key appears again further on.
pub(crate) fn repeated(members: &[Member]) -> Vec<usize> {
    // Comparing a few keys is faster than hashing them.
    if members.len() <= 8 {
        let again = |&place: &usize| members[place + 1..].iter().any(|later| later.key == members[place].key);
        return (0..members.len()).filter(again).collect();
    }
    let mut seen = HashSet::with_capacity(members.len());
    let mut earlier: Vec<usize> =
        (0..members.len()).rev().filter(|&place| !seen.insert(members[place].key.as_str())).collect();
    earlier.reverse();
    earlier
}

/// Sets the place of a diagnostic to a member's key.
fn at_key(diagnostic: Diagnostic, object: Place<'_>, member: &Member) -> Diagnostic {
    diagnostic.with_pointer(child(object.pointer, &member.key)).with_span(member.key_span)
}

/// The member named `name`, the first if there are several.
pub fn field<'f, 'a>(fields: &'f [Field<'a>], name: &str) -> Option<&'f Field<'a>> {
    fields.iter().find(|field| field.name == name)
}

/// The known name that `written` most likely misspells. Letter case, `-`, `_`, `$` and spaces do not count as differences.
///
/// ```
/// assert_eq!(filter::decode::closest("max_tires", &["maxTries", "timeout"]), Some("maxTries"));
/// assert_eq!(filter::decode::closest("colour", &["maxTries", "timeout"]), None);
/// ```
pub fn closest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    // The distance costs the product of the lengths, and a very long name is no misspelling.
    if written.len() > 64 {
        return None;
    }
    let normalize = |name: &str| -> String {
        name.chars().filter(|c| !matches!(c, '-' | '_' | ' ' | '$')).flat_map(char::to_lowercase).collect()
    };
    let wanted = normalize(written);
    known
        .iter()
        .map(|name| (strsim::osa_distance(&wanted, &normalize(name)), *name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (name.len() / 3).min(3))
        .map(|(_, name)| name)
}

/// The help line for a misspelt name, if a known one is close.
pub(crate) fn did_you_mean(written: &str, known: &[&str]) -> Option<String> {
    closest(written, known).map(|name| format!("did you mean {}?", Quoted(name)))
}

/// A value in a message: scalars as JSON, long strings shortened, arrays and objects by their type.
///
/// ```
/// use filter::{decode::describe, json::Node};
/// assert_eq!(describe(&Node::from(&serde_json::json!("a"))), "\"a\"");
/// assert_eq!(describe(&Node::from(&serde_json::json!([1]))), "an array");
/// ```
pub fn describe(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool(value) => value.to_string(),
        Kind::Number(number) => number.to_string(),
        Kind::String(text) => Quoted(text).to_string(),
        Kind::Array(items) if items.is_empty() => "an empty array".to_owned(),
        Kind::Object(members) if members.is_empty() => "an empty object".to_owned(),
        Kind::Array(_) | Kind::Object(_) => node.type_name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn finds_the_misspelt_name() {
        let known = ["$startsWith", "$endsWith", "$gt", "$gte", "$anythingBut", "$ignoreCaseEquals"];
        assert_eq!(closest("$startWith", &known), Some("$startsWith"));
        assert_eq!(closest("$starts_with", &known), Some("$startsWith"));
        assert_eq!(closest("$ignorecaseequals", &known), Some("$ignoreCaseEquals"));
        assert_eq!(closest("$anyhtingBut", &known), Some("$anythingBut"));
        assert_eq!(closest("$frobnicate", &known), None);
        assert_eq!(closest(&"x".repeat(1000), &known), None);
    }
}
