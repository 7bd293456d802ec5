//! Reading the members of a JSON object so that nothing in it is passed over: what no one asked for is reported.

use std::collections::HashSet;

use filter::{Diagnostic, json};

/// Collects every problem found while a spec is read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) errors: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

impl Problems {
    /// Reports `message` at `place`.
    pub(super) fn error(&mut self, place: Place<'_>, message: impl Into<String>) {
        self.errors.push(place.diagnostic(Diagnostic::error(message)));
    }

    /// Reports `message` at `place`, with what to do about it.
    pub(super) fn error_with_help(
        &mut self,
        place: Place<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.errors.push(place.diagnostic(Diagnostic::error(message)).help(help));
    }

    /// Reports that `place` holds something else than `expected`.
    pub(super) fn expected(&mut self, place: Place<'_>, expected: &str) {
        self.error(place, format!("found {}, expected {expected}", describe(place.node)));
    }

    pub(super) fn warn(&mut self, place: Place<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(place.diagnostic(Diagnostic::warning(message)).help(help));
    }
}

/// A node and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) node: &'a json::Node,
    pub(super) pointer: &'a str,
}

impl<'a> Place<'a> {
    fn diagnostic(self, diagnostic: Diagnostic) -> Diagnostic {
        diagnostic.at(self.pointer).span(self.node.span)
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match &self.node.kind {
            json::Kind::String(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(self) -> Option<f64> {
        match &self.node.kind {
            json::Kind::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// A whole number that is not negative, also when written with a fraction of zero.
    pub(super) fn whole(self) -> Option<u64> {
        match &self.node.kind {
            json::Kind::Number(number) => number.as_u64().or_else(|| {
                let float = number.as_f64()?;
                (float >= 0.0 && float.fract() == 0.0 && float < 9e15).then_some(float as u64)
            }),
            _ => None,
        }
    }
}

/// A member of an object: its value, and its pointer spelt out.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) node: &'a json::Node,
    pub(super) pointer: String,
}

impl Field<'_> {
    pub(super) fn place(&self) -> Place<'_> {
        Place { node: self.node, pointer: &self.pointer }
    }
}

/// The pointer of a member of the object at `parent` (RFC 6901).
pub(super) fn child(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The members of an object in document order. Another kind of value, or a name that occurs twice, is an error.
pub(super) fn members<'a>(place: Place<'a>, what: &str, problems: &mut Problems) -> Option<Vec<Field<'a>>> {
    let json::Kind::Object(members) = &place.node.kind else {
        problems.expected(place, what);
        return None;
    };
    let mut seen = HashSet::new();
    let mut fields = Vec::with_capacity(members.len());
    for member in members {
        let pointer = child(place.pointer, &member.key);
        if !seen.insert(member.key.as_str()) {
            problems.errors.push(
                Diagnostic::error(format!("the member {:?} appears twice", member.key))
                    .at(pointer.as_str())
                    .span(member.key_span)
                    .help("keep one of them"),
            );
        }
        fields.push(Field { name: &member.key, node: &member.value, pointer });
    }
    Some(fields)
}

/// As [`members`], for an object whose members are known by name; any other is an error that suggests the likely one.
pub(super) fn known_members<'a>(
    place: Place<'a>,
    what: &str,
    known: &[&str],
    problems: &mut Problems,
) -> Option<Vec<Field<'a>>> {
    let fields = members(place, what, problems)?;
    if let json::Kind::Object(written) = &place.node.kind {
        for member in written.iter().filter(|member| !known.contains(&member.key.as_str())) {
            let help = match closest(&member.key, known) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("known members are {}", known.join(", ")),
            };
            problems.errors.push(
                Diagnostic::error(format!("unknown member {:?}", member.key))
                    .at(child(place.pointer, &member.key))
                    .span(member.key_span)
                    .help(help),
            );
        }
    }
    Some(fields)
}

/// The field of that name, if the object has it.
pub(super) fn field<'f, 'a>(fields: &'f [Field<'a>], name: &str) -> Option<&'f Field<'a>> {
    fields.iter().find(|field| field.name == name)
}

/// The known name that `written` is most likely meant to be.
pub(super) fn closest<'n>(written: &str, known: &[&'n str]) -> Option<&'n str> {
    let lower = written.to_lowercase();
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A value as an error message shows it: scalars as they are, the rest by their kind.
pub(super) fn describe(node: &json::Node) -> String {
    const LONGEST: usize = 60;
    match &node.kind {
        json::Kind::Null => "null".to_owned(),
        json::Kind::Bool(value) => value.to_string(),
        json::Kind::Number(number) => number.to_string(),
        json::Kind::String(text) if text.chars().count() <= LONGEST => format!("{text:?}"),
        json::Kind::String(text) => format!("{:?}…", text.chars().take(LONGEST).collect::<String>()),
        json::Kind::Array(elements) if elements.is_empty() => "an empty array".to_owned(),
        json::Kind::Array(_) | json::Kind::Object(_) => node.type_name().to_owned(),
    }
}
