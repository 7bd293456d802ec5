//! Warnings about fields that look like something else: an operator, a path, a comparison.
//!
//! They are valid, so these are no errors, but silently they would hardly ever match. They are found in the JSON, before
//! it becomes the typed tree, since the help lines show what was written in the form in which it would mean it.

use super::Dialect;
use super::context::Context;
use super::translate;
use crate::diagnostic::Code;
use crate::json::{Kind, Member, Node};
use crate::ops::text::Quoted;

/// Whether a field's name with this byte may be a path. Laxer than the warning: the compiler's fast path asks this of every name.
pub(crate) const fn is_of_paths(byte: u8) -> bool {
    matches!(byte, b'.' | b'[' | b'/')
}

/// Warns about a field of a filter in `dialect`.
pub(super) fn warn_of_field<'n>(dialect: Dialect, member: &'n Member, context: &mut Context<'n>) {
    if let Some(steps) = path(&member.key) {
        let message = format!("{} is the name of one field, not a path", Quoted(&member.key));
        context.warn(member.key_span, Code::PathAsField, message, nested(dialect, &steps, &member.value));
    }
    match &member.value.kind {
        Kind::Object(inner) if !inner.is_empty() && inner.iter().all(|one| is_operator(dialect, one)) => {
            let names: Vec<String> = inner.iter().map(|one| Quoted(&one.key).to_string()).collect();
            let fields = match names.as_slice() {
                [one] => format!("{one} is a field here, not an operator"),
                several => format!("{} are fields here, not operators", several.join(", ")),
            };
            let help = match translate::object(dialect, inner) {
                Some(condition) => format!("for the operator write {}: {condition}", Quoted(&member.key)),
                None => match dialect {
                    Dialect::Native => "the operators begin with $".to_owned(),
                    _ => "a matcher goes in an array".to_owned(),
                },
            };
            context.warn(inner[0].key_span, Code::OperatorAsField, fields, help);
        }
        // Not in what is taken for an operator's argument, a warning of its own.
        Kind::Array(items)
            if dialect != Dialect::TriggerDev && !(context.is_nested() && is_operator(dialect, member)) =>
        {
            if let Some(condition) = translate::comparison(dialect, items) {
                let message = "a list of the values that the field may have, not a comparison";
                let help = format!("for the comparison write {}: {condition}", Quoted(&member.key));
                context.warn(member.value.span, Code::ComparisonAsList, message, help);
            }
        }
        _ => {}
    }
}

/// Whether a member of a nested filter is probably meant as an operator, by its name and argument.
fn is_operator(dialect: Dialect, member: &Member) -> bool {
    if dialect == Dialect::Native && member.key.starts_with('$') {
        // An operator, or a field that was escaped on purpose.
        return false;
    }
    if !translate::is_name_of_an_operator(&member.key) {
        return false;
    }
    // The other dialects have the dollar sign only for operators, so there it tells more than the argument.
    let marked = dialect != Dialect::Native && member.key.starts_with('$') && member.key.len() > 1;
    marked
        || translate::object(dialect, std::slice::from_ref(member)).is_some()
        || translate::object(Dialect::Native, std::slice::from_ref(member)).is_some()
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Step<'k> {
    Name(&'k str),
    /// An element of an array, by its index or any.
    Element,
}

/// The steps of a field's name that looks like a path: `a.b`, `a[0].b`, `.a.b`, `$.a.b`, `/a/b`.
fn path(name: &str) -> Option<Vec<Step<'_>>> {
    if name.len() > 200 || !name.bytes().any(is_of_paths) {
        return None;
    }
    if let Some(rest) = name.strip_prefix('/') {
        let steps: Vec<Step<'_>> = rest.split('/').map(step).collect::<Option<_>>()?;
        return matches!(steps.first(), Some(Step::Name(_))).then_some(steps);
    }
    let rooted = name.strip_prefix("$.").or_else(|| name.strip_prefix('.'));
    let mut steps = Vec::new();
    for part in rooted.unwrap_or(name).split('.') {
        let (key, mut indexes) = part.split_at(part.find('[').unwrap_or(part.len()));
        steps.push(step(key)?);
        while !indexes.is_empty() {
            let (index, rest) = indexes.strip_prefix('[')?.split_once(']')?;
            let element = matches!(index, "" | "*") || index.bytes().all(|byte| byte.is_ascii_digit());
            steps.push(if element { Step::Element } else { step(index.trim_matches(['"', '\'']))? });
            indexes = rest;
        }
    }
    let is_path = rooted.is_some() || steps.len() > 1;
    (is_path && matches!(steps.first(), Some(Step::Name(_)))).then_some(steps)
}

/// A name of letters, digits, `_` and `-` that does not begin with a digit; or digits, as an index.
fn step(text: &str) -> Option<Step<'_>> {
    let first = text.chars().next()?;
    if text == "*" || text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Step::Element);
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@');
    (!first.is_ascii_digit() && text.chars().all(plain)).then_some(Step::Name(text))
}

/// The help line for a path: nested objects, with the field's own condition if it is short.
fn nested(dialect: Dialect, steps: &[Step<'_>], value: &Node) -> String {
    let inside = match steps.last() {
        Some(Step::Element) => short(value).and_then(|text| element(dialect, &text, value)),
        _ => short(value),
    };
    let Some(inside) = inside else {
        return "for the path write objects, one in the other: {\"outer\": {\"inner\": condition}}"
            .to_owned();
    };
    let nested = steps.iter().rev().fold(inside, |inside, step| match step {
        Step::Element => inside,
        // Beyond native, a dollar sign at the beginning of a name has no meaning.
        Step::Name(name) if dialect == Dialect::Native && name.starts_with('$') => {
            format!("{{{}: {inside}}}", translate::quoted(&format!("${name}")))
        }
        Step::Name(name) => format!("{{{}: {inside}}}", translate::quoted(name)),
    });
    match steps.contains(&Step::Element) {
        true => format!("elements have no names; for some element write {nested}"),
        false => format!("for the path write {nested}"),
    }
}

/// A condition on some element of an array, from the condition on the element.
fn element(dialect: Dialect, condition: &str, value: &Node) -> Option<String> {
    match (dialect, &value.kind) {
        // Conditions look into arrays anyway.
        (Dialect::EventBridge, _) => Some(condition.to_owned()),
        (Dialect::Native, Kind::Array(_)) => Some(format!("{{\"$some\": {condition}}}")),
        // A nested filter matches an array with an element that it matches.
        (_, Kind::Object(members)) if !members.iter().any(|member| member.key.starts_with('$')) => {
            Some(condition.to_owned())
        }
        (Dialect::Native, Kind::Object(_)) => Some(format!("{{\"$some\": {condition}}}")),
        (Dialect::Native, _) => Some(format!("{{\"$includes\": {condition}}}")),
        (Dialect::TriggerDev, Kind::Array(items)) if let [only] = items.as_slice() => short(only)
            .filter(|_| !matches!(only.kind, Kind::Object(_)))
            .map(|literal| format!("[{{\"$includes\": {literal}}}]")),
        (Dialect::TriggerDev, _) => None,
    }
}

/// The help line for a field's name that looks like a path.
pub(super) fn help_for_path(dialect: Dialect, member: &Member) -> Option<String> {
    path(&member.key).map(|steps| nested(dialect, &steps, &member.value))
}

/// The longest value that a help line quotes.
const SHORT: usize = 80;

/// A value as JSON on one line, if it is short.
pub(super) fn short(node: &Node) -> Option<String> {
    // Less than the text has, in any case.
    fn count(node: &Node, left: &mut usize) {
        let length = match &node.kind {
            Kind::String(text) => text.len() + 2,
            _ => 1,
        };
        *left = left.saturating_sub(length);
        match &node.kind {
            _ if *left == 0 => {}
            Kind::Array(items) => items.iter().take(SHORT).for_each(|item| count(item, left)),
            Kind::Object(members) => members.iter().take(SHORT).for_each(|member| {
                *left = left.saturating_sub(member.key.len() + 3);
                count(&member.value, left);
            }),
            _ => {}
        }
    }
    // Not even rendered if it is large: this is asked at each level.
    let mut left = SHORT + 1;
    count(node, &mut left);
    let text = (left > 0).then(|| node.to_value().to_string())?;
    (text.len() <= SHORT).then_some(text)
}

/// Warns about a regular expression between slashes.
pub(super) fn warn_of_slashes<'n>(pattern: &str, node: &'n Node, context: &mut Context<'n>) {
    let Some((inside, flags)) = pattern.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        return;
    };
    if inside.is_empty() || flags.len() > 6 || !flags.bytes().all(|flag| b"gimsuy".contains(&flag)) {
        return;
    }
    // A path such as "/api/" has no sign of an expression.
    if flags.is_empty() && !inside.bytes().any(|byte| b"^$\\[](){}+?*|.".contains(&byte)) {
        return;
    }
    let flags: String = flags.chars().filter(|flag| matches!(flag, 'i' | 'm' | 's')).collect();
    let inside = inside.replace("\\/", "/");
    let written = if flags.is_empty() { inside } else { format!("(?{flags}){inside}") };
    let help = match written.len() <= 80 {
        true => format!("write {{\"$regex\": {}}}", translate::quoted(&written)),
        false => "write the expression without slashes, and flags as (?i) at its beginning".to_owned(),
    };
    let message = "slashes are characters of the expression, not its ends";
    context.warn(node.span, Code::ForeignSyntax, message, help);
}

/// Warns about a question mark in a wildcard pattern, which elsewhere is any one character.
pub(super) fn warn_of_question_mark<'n>(
    dialect: Dialect,
    pattern: &str,
    node: &'n Node,
    context: &mut Context<'n>,
) {
    // As in the query of an address: "*?page=2".
    let Some((_, after)) = pattern.split_once('?') else { return };
    if after.contains('=') {
        return;
    }
    let help = match dialect {
        Dialect::Native if pattern.len() <= 60 => {
            format!("for one character write {{\"$regex\": {}}}", translate::quoted(&as_regex(pattern)))
        }
        Dialect::Native => "for one character write a dot in {\"$regex\": …}, or * for any run".to_owned(),
        _ => "only * is special: any run of characters; this language has no sign for one".to_owned(),
    };
    let message = "? is an ordinary character in a wildcard";
    context.warn(node.span, Code::ForeignSyntax, message, help);
}

/// The regular expression of a wildcard pattern in which `?` is any one character.
fn as_regex(pattern: &str) -> String {
    let mut regex = String::from("^(?s:");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => regex.push_str(&regex::escape(&characters.next().map(String::from).unwrap_or_default())),
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push_str(")$");
    regex
}

#[cfg(test)]
mod tests {
    use super::{Step, path};

    #[test]
    fn paths() {
        use Step::{Element, Name};
        for (name, steps) in [
            ("a.b", vec![Name("a"), Name("b")]),
            ("a.b.c", vec![Name("a"), Name("b"), Name("c")]),
            ("a[0]", vec![Name("a"), Element]),
            ("a[*].b", vec![Name("a"), Element, Name("b")]),
            ("a.0.b", vec![Name("a"), Element, Name("b")]),
            ("a['b']", vec![Name("a"), Name("b")]),
            (".a", vec![Name("a")]),
            ("$.a.b", vec![Name("a"), Name("b")]),
            ("/a/b", vec![Name("a"), Name("b")]),
            ("/a", vec![Name("a")]),
        ] {
            assert_eq!(path(name), Some(steps), "{name}");
        }
        let names = [
            "",
            "a",
            ".",
            "/",
            "a.",
            "a..b",
            "1.5",
            "10.0.0.1",
            "a b.c",
            "app.kubernetes.io/name",
            "a/b",
            "[0]",
            "a[",
            "a]",
            "a[b",
            "//",
            "/a//b",
            "...",
            "e.g. x",
        ];
        for name in names {
            assert_eq!(path(name), None, "{name}");
        }
    }
}
