//! Conditions of other languages, and the same conditions in each dialect, for help lines.
//!
//! A help line is advice that is followed, so it shows a condition only if that means what was probably meant: the argument
//! must be of the right type and be short enough to be shown whole. The tests compile each suggestion and judge events with it.

use super::Dialect;
use crate::json::{Kind, Member, Node};
use crate::ops::TimeBound;

/// What a condition of some language asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Equal,
    NotEqual,
    /// Differs, and is there.
    Not,
    OneOf,
    NoneOf,
    /// A comparison, with the sign that event-bridge uses for it.
    Compare(&'static str),
    Between,
    Numeric,
    StartsWith,
    EndsWith,
    Contains,
    IgnoreCase,
    Regex,
    Wildcard,
    Cidr,
    Exists,
    IsNull,
    Includes,
}

/// The longest condition that a help line shows.
const SHOWN: usize = 120;

/// The meaning of an operator's name; letter case, `$`, `-` and `_` do not count. The fast path of the compiler asks this of many
/// names, so nothing is allocated.
fn meaning(name: &str) -> Option<Meaning> {
    // Nearly no name of a field begins and ends as one of these; every field of a large set is asked.
    let ignored = |byte: &u8| matches!(byte, b'$' | b'-' | b'_');
    let first = name.bytes().find(|byte| !ignored(byte))?;
    let last = name.bytes().rfind(|byte| !ignored(byte))?;
    if !first.is_ascii_alphabetic() {
        return sign(name);
    }
    if ENDS[usize::from(first & 31)] >> (last & 31) & 1 == 0 {
        return None;
    }
    let mut plain = [0; 16];
    let mut length = 0;
    for byte in name.bytes().filter(|byte| !ignored(byte)) {
        *plain.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    let is_name = |name: &&str| name.as_bytes() == &plain[..length];
    MEANINGS.iter().find(|(_, names)| names.iter().any(is_name)).map(|&(meaning, _)| meaning)
}

/// The meaning of a comparison's sign in place of an operator's name.
fn sign(name: &str) -> Option<Meaning> {
    Some(match name.trim_start_matches('$') {
        ">" => Meaning::Compare(">"),
        ">=" | "=>" => Meaning::Compare(">="),
        "<" => Meaning::Compare("<"),
        "<=" | "=<" => Meaning::Compare("<="),
        "=" | "==" | "===" => Meaning::Equal,
        "!=" | "!==" | "<>" => Meaning::NotEqual,
        _ => return None,
    })
}

/// Names in lower case.
const MEANINGS: [(Meaning, &[&str]); 21] = [
    (Meaning::Equal, &["eq", "equals", "equal", "exactly"]),
    (Meaning::NotEqual, &["ne", "neq", "notequals", "anythingbut"]),
    (Meaning::Not, &["not"]),
    (Meaning::OneOf, &["in", "oneof", "anyof"]),
    (Meaning::NoneOf, &["nin", "notin"]),
    (Meaning::Compare(">"), &["gt", "greaterthan", "greater"]),
    (Meaning::Compare(">="), &["gte", "ge"]),
    (Meaning::Compare("<"), &["lt", "lessthan", "less"]),
    (Meaning::Compare("<="), &["lte", "le"]),
    (Meaning::Between, &["between", "range"]),
    (Meaning::Numeric, &["numeric"]),
    (Meaning::StartsWith, &["startswith", "beginswith", "prefix"]),
    (Meaning::EndsWith, &["endswith", "suffix"]),
    (Meaning::Contains, &["contains"]),
    (Meaning::IgnoreCase, &["ignorecaseequals", "equalsignorecase"]),
    (Meaning::Regex, &["regex", "regexp", "pattern"]),
    (Meaning::Wildcard, &["wildcard", "shellstyle", "glob"]),
    (Meaning::Cidr, &["cidr"]),
    (Meaning::Exists, &["exists"]),
    (Meaning::IsNull, &["isnull", "null"]),
    (Meaning::Includes, &["includes"]),
];

/// For the first letter of each name, by its place in the alphabet, the set of last letters.
const ENDS: [u32; 32] = {
    let mut ends = [0; 32];
    let mut rest: &[(Meaning, &[&str])] = &MEANINGS;
    while let [(_, names), others @ ..] = rest {
        let mut names = *names;
        while let [name, more @ ..] = names {
            let name = name.as_bytes();
            ends[(name[0] & 31) as usize] |= 1 << (name[name.len() - 1] & 31);
            names = more;
        }
        rest = others;
    }
    ends
};

/// Whether a field with this name, inside another field, may be meant as an operator. Laxer than the warning.
pub(crate) fn is_name_of_an_operator(name: &str) -> bool {
    meaning(name).is_some()
}

/// The condition that an operator of another language probably means, as a field's value in `dialect`.
///
/// A literal is allowed where the dialect allows it. In event-bridge and trigger-dev the result is an array.
pub(super) fn condition(dialect: Dialect, name: &str, argument: &Node) -> Option<String> {
    let element = element(dialect, name, argument)?;
    let found = if dialect == Dialect::Native { element } else { format!("[{element}]") };
    (found.len() <= SHOWN).then_some(found)
}

/// The help line that shows a condition. A literal or a list stands in place of the whole matcher, not of its operator.
pub(super) fn advice(condition: &str) -> String {
    if condition.starts_with('{') {
        format!("write {condition}")
    } else {
        format!("in place of the matcher write {condition}")
    }
}

/// As [`condition`], for an element of an array of conditions in place of the array.
pub(super) fn element(dialect: Dialect, name: &str, argument: &Node) -> Option<String> {
    let found = match dialect {
        Dialect::Native => native(meaning(name)?, argument)?,
        Dialect::TriggerDev => trigger_dev(meaning(name)?, argument)?,
        Dialect::EventBridge => event_bridge(meaning(name)?, argument)?,
    };
    (found.len() <= SHOWN).then_some(found)
}

/// A field whose value is an object with only operators of other languages: the same as conditions in `dialect`.
pub(super) fn object(dialect: Dialect, members: &[Member]) -> Option<String> {
    // A dialect whose fields hold arrays has the argument in one, where it was taken for a field's conditions. Borrowed: this is
    // asked of each field at each level, and a copy would have all levels below it.
    fn argument<'n>(name: &str, node: &'n Node) -> &'n Node {
        match (&node.kind, meaning(name)) {
            (Kind::Array(items), Some(meaning)) if items.len() == 1 && !takes_list(meaning) => &items[0],
            _ => node,
        }
    }
    if dialect == Dialect::EventBridge && members.len() != 1 {
        return None;
    }
    let translated = |member: &Member| element(dialect, &member.key, argument(&member.key, &member.value));
    let parts: Vec<String> = members.iter().map(translated).collect::<Option<_>>()?;
    match (dialect, parts.as_slice()) {
        (Dialect::Native, [only]) => Some(only.clone()),
        (Dialect::EventBridge, _) => Some(format!("[{}]", parts.join(", "))),
        (Dialect::Native, _) => {
            let bodies: Vec<&str> =
                parts.iter().map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect::<Option<_>>()?;
            Some(format!("{{{}}}", bodies.join(", "))).filter(|text| text.len() <= SHOWN)
        }
        (Dialect::TriggerDev, _) => {
            // An array of literals is any-of, and none may be mixed with matchers.
            let one_kind = parts.len() == 1 || parts.iter().all(|part| part.starts_with('{'));
            Some(format!("[{}]", parts.join(", "))).filter(|text| one_kind && text.len() <= SHOWN)
        }
    }
}

fn takes_list(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::OneOf | Meaning::NoneOf | Meaning::Between | Meaning::Numeric)
}

/// Objects in an array: several conditions of which any must hold.
pub(super) fn one_per_string(name: &str, items: &[Node]) -> Option<String> {
    if items.is_empty() {
        return None;
    }
    let strings: Vec<String> = items
        .iter()
        .map(|item| text(item).map(|text| format!("{{{}: {text}}}", quoted(name))))
        .collect::<Option<_>>()?;
    Some(format!("[{}]", strings.join(", "))).filter(|text| text.len() <= SHOWN)
}

/// A reference `{"$ref": "/a"}`, as it was written.
pub(super) fn reference(node: &Node) -> Option<String> {
    let only = node.only_member().filter(|only| only.key == "$ref")?;
    Some(format!("{{\"$ref\": {}}}", text(&only.value)?))
}

/// An object of one member; the name is written as it is.
pub(super) fn one(operator: &str, argument: String) -> String {
    format!("{{\"{operator}\": {argument}}}")
}

fn native(meaning: Meaning, node: &Node) -> Option<String> {
    if let Some(reference) = reference(node) {
        return match meaning {
            Meaning::Equal => Some(one("$eq", reference)),
            Meaning::NotEqual => Some(one("$anythingBut", one("$eq", reference))),
            Meaning::Compare(sign) => Some(one(operator_of(sign), reference)),
            _ => None,
        };
    }
    Some(match meaning {
        Meaning::Equal => scalar(node)?,
        // `$anythingBut` also holds for a missing field; "not null" in other languages does not.
        Meaning::NotEqual if node.kind == Kind::Null || is_only_null(node) => {
            "{\"$exists\": true, \"$isNull\": false}".to_owned()
        }
        // Where these come from, null stands for a missing field too.
        Meaning::OneOf if has_null(node) => {
            format!("{}, {{\"$exists\": false}}]", scalars(node)?.strip_suffix(']')?)
        }
        Meaning::OneOf => scalars(node)?,
        Meaning::NoneOf if is_only_null(node) => "{\"$exists\": true, \"$isNull\": false}".to_owned(),
        Meaning::NotEqual | Meaning::NoneOf if has_null(node) => {
            format!("{{\"$exists\": true, \"$anythingBut\": {}}}", scalars(node)?)
        }
        Meaning::NotEqual => one("$anythingBut", scalar(node).or_else(|| scalars(node))?),
        Meaning::NoneOf => one("$anythingBut", scalars(node)?),
        Meaning::Not => one("$not", scalar(node)?),
        Meaning::Compare(sign) => match time(node) {
            Some(time) if sign.starts_with('>') => one("$after", time),
            Some(time) => one("$before", time),
            None => one(operator_of(sign), number(node)?),
        },
        Meaning::Between => one("$between", format!("[{}]", two_numbers(node)?)),
        Meaning::Numeric => match comparisons(items(node)?)?.as_slice() {
            [(sign, bound)] if matches!(*sign, "=" | "==") => bound.clone(),
            [(sign, bound)] if matches!(*sign, "!=" | "<>") => one("$anythingBut", bound.clone()),
            [(sign, bound)] => one(operator_of(sign), bound.clone()),
            [(lower, low), (upper, high)] => {
                format!("{{\"{}\": {low}, \"{}\": {high}}}", operator_of(lower), operator_of(upper))
            }
            _ => return None,
        },
        Meaning::StartsWith => one("$startsWith", text(node)?),
        Meaning::EndsWith => one("$endsWith", text(node)?),
        Meaning::Contains => one("$contains", text(node)?),
        Meaning::IgnoreCase => one("$ignoreCaseEquals", text(node)?),
        Meaning::Regex => one("$regex", text(node)?),
        Meaning::Wildcard => one("$wildcard", text(node)?),
        Meaning::Cidr => one("$cidr", text(node)?),
        Meaning::Exists => one("$exists", boolean(node)?),
        Meaning::IsNull => one("$isNull", boolean(node)?),
        Meaning::Includes => one("$includes", scalar(node)?),
    })
}

/// One condition of an array.
fn trigger_dev(meaning: Meaning, node: &Node) -> Option<String> {
    match meaning {
        Meaning::Equal if node.kind == Kind::Null => Some("{\"$isNull\": true}".to_owned()),
        Meaning::NotEqual | Meaning::NoneOf | Meaning::Not
            if node.kind == Kind::Null || is_only_null(node) =>
        {
            None
        }
        Meaning::OneOf => {
            let list = scalars(node)?;
            let inner = list.strip_prefix('[')?.strip_suffix(']')?;
            is_of_one_type(node).then(|| inner.to_owned())
        }
        Meaning::NoneOf if !is_of_one_type(node) => None,
        Meaning::Compare(_) if time(node).is_some() => None,
        Meaning::Numeric => match comparisons(items(node)?)?.as_slice() {
            // Two bounds are two matchers of an array, which is all-of.
            [(lower, low), (upper, high)] => {
                Some(format!("{{\"{}\": {low}}}, {{\"{}\": {high}}}", operator_of(lower), operator_of(upper)))
            }
            _ => native(meaning, node),
        },
        Meaning::Contains | Meaning::Regex | Meaning::Wildcard | Meaning::Cidr => None,
        _ if reference(node).is_some() => None,
        _ => native(meaning, node),
    }
}

/// One condition of an array.
fn event_bridge(meaning: Meaning, node: &Node) -> Option<String> {
    if reference(node).is_some() {
        return None;
    }
    Some(match meaning {
        Meaning::Equal | Meaning::Includes => scalar(node)?,
        Meaning::NotEqual | Meaning::NoneOf | Meaning::Not if is_of_one_type(node) => match &node.kind {
            Kind::Array(items) if matches!(items[0].kind, Kind::String(_) | Kind::Number(_)) => {
                one("anything-but", scalars(node)?)
            }
            Kind::String(_) | Kind::Number(_) => one("anything-but", scalar(node)?),
            _ => return None,
        },
        Meaning::NotEqual | Meaning::NoneOf | Meaning::Not => return None,
        Meaning::OneOf => scalars(node)?.strip_prefix('[')?.strip_suffix(']')?.to_owned(),
        Meaning::Compare(sign) => one("numeric", format!("[\"{sign}\", {}]", number(node)?)),
        Meaning::Between => {
            let bounds = two_numbers(node)?;
            let (low, high) = bounds.split_once(", ")?;
            if low == high {
                return Some(low.to_owned());
            }
            one("numeric", format!("[\">=\", {low}, \"<=\", {high}]"))
        }
        Meaning::Numeric => match comparisons(items(node)?)?.as_slice() {
            [(sign, bound)] if matches!(*sign, "=" | "==") => one("numeric", format!("[\"=\", {bound}]")),
            [(sign, bound)] if matches!(*sign, "!=" | "<>") => one("anything-but", bound.clone()),
            [(sign, bound)] => one("numeric", format!("[\"{sign}\", {bound}]")),
            [(lower, low), (upper, high)] => {
                one("numeric", format!("[\"{lower}\", {low}, \"{upper}\", {high}]"))
            }
            _ => return None,
        },
        Meaning::StartsWith => one("prefix", text(node)?),
        Meaning::EndsWith => one("suffix", text(node)?),
        Meaning::Contains => match &node.kind {
            Kind::String(part) if !part.is_empty() => {
                let literal = part.replace('\\', "\\\\").replace('*', "\\*");
                one("wildcard", quoted(&format!("*{literal}*")))
            }
            _ => return None,
        },
        Meaning::IgnoreCase => one("equals-ignore-case", text(node)?),
        Meaning::Wildcard => match &node.kind {
            Kind::String(pattern) if !pattern.contains("**") => one("wildcard", text(node)?),
            _ => return None,
        },
        Meaning::Cidr => one("cidr", text(node)?),
        Meaning::Exists => one("exists", boolean(node)?),
        Meaning::IsNull => match node.kind {
            Kind::Bool(true) => "null".to_owned(),
            _ => return None,
        },
        Meaning::Regex => return None,
    })
}

/// A list that reads like a comparison, `[">", 5]`, as a condition.
pub(super) fn comparison(dialect: Dialect, items: &[Node]) -> Option<String> {
    // Copied only if it is one, which has no arrays or objects.
    comparisons(items)?;
    condition(dialect, "numeric", &Node { span: None, kind: Kind::Array(items.to_vec()) })
}

fn operator_of(sign: &str) -> &'static str {
    match sign {
        ">" => "$gt",
        ">=" => "$gte",
        "<" => "$lt",
        _ => "$lte",
    }
}

fn items(node: &Node) -> Option<&[Node]> {
    match &node.kind {
        Kind::Array(items) => Some(items),
        _ => None,
    }
}

/// The comparisons of `numeric`: one, or a lower and an upper bound. The bounds as JSON.
fn comparisons(items: &[Node]) -> Option<Vec<(&str, String)>> {
    if !matches!(items.len(), 2 | 4) {
        return None;
    }
    let pairs: Vec<(&str, String)> = items
        .chunks(2)
        .map(|pair| match pair {
            [Node { kind: Kind::String(sign), .. }, bound] => Some((sign.as_str(), number(bound)?)),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let valid = match pairs.as_slice() {
        [(sign, _)] => matches!(*sign, "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="),
        [(lower, low), (upper, high)] => {
            let below = low.parse::<f64>().ok()? < high.parse::<f64>().ok()?;
            matches!(*lower, ">" | ">=") && matches!(*upper, "<" | "<=") && below
        }
        _ => false,
    };
    valid.then_some(pairs)
}

fn scalar(node: &Node) -> Option<String> {
    (!matches!(node.kind, Kind::Array(_) | Kind::Object(_))).then(|| node.to_value().to_string())
}

/// A non-empty array of scalars.
fn scalars(node: &Node) -> Option<String> {
    let Kind::Array(items) = &node.kind else { return None };
    // A long list is not shown, so it need not be written.
    if items.is_empty() || items.len() > SHOWN {
        return None;
    }
    let items: Vec<String> = items.iter().map(scalar).collect::<Option<_>>()?;
    Some(format!("[{}]", items.join(", ")))
}

fn has_null(node: &Node) -> bool {
    matches!(&node.kind, Kind::Array(items) if items.iter().any(|item| item.kind == Kind::Null))
}

fn is_only_null(node: &Node) -> bool {
    matches!(&node.kind, Kind::Array(items) if !items.is_empty() && items.iter().all(|item| item.kind == Kind::Null))
}

/// Whether a value is no array, or one whose elements have one type.
fn is_of_one_type(node: &Node) -> bool {
    match &node.kind {
        Kind::Array(items) => items.first().is_some_and(|first| {
            first.kind != Kind::Null && items.iter().all(|item| item.type_name() == first.type_name())
        }),
        _ => true,
    }
}

fn number(node: &Node) -> Option<String> {
    matches!(node.kind, Kind::Number(_)).then(|| scalar(node)).flatten()
}

fn text(node: &Node) -> Option<String> {
    matches!(node.kind, Kind::String(_)).then(|| scalar(node)).flatten()
}

fn boolean(node: &Node) -> Option<String> {
    matches!(node.kind, Kind::Bool(_)).then(|| scalar(node)).flatten()
}

/// Two numbers in order, `low, high`.
fn two_numbers(node: &Node) -> Option<String> {
    let Kind::Array(items) = &node.kind else { return None };
    let [low, high] = items.as_slice() else { return None };
    let (low, high) = (number(low)?, number(high)?);
    (low.parse::<f64>().ok()? <= high.parse::<f64>().ok()?).then(|| format!("{low}, {high}"))
}

/// A time as `$before` and `$after` take it, from a text or from MongoDB's `{"$date": text}`; an incomplete one completed.
pub(super) fn time(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::String(text) => completed_time(text).map(|time| quoted(&time)),
        _ => node.only_member().filter(|only| only.key == "$date").and_then(|only| time(&only.value)),
    }
}

/// A date without a time, or a time without seconds or an offset or with a space for the `T`, completed.
pub(super) fn completed_time(text: &str) -> Option<String> {
    if text.len() > 40 {
        return None;
    }
    let with_t = text.replacen(' ', "T", 1);
    let candidates =
        [with_t.clone(), format!("{with_t}Z"), format!("{with_t}:00Z"), format!("{text}T00:00:00Z")];
    candidates.into_iter().find(|time| TimeBound::new(time, false).is_some())
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
