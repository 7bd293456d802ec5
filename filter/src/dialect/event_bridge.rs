//! The event-bridge dialect: patterns of EventBridge, event-ruler and quamina.
//!
//! Conditions apply to scalars, also inside arrays; the tree records this as [`Reach::Scalars`]. The corpus of
//! event-ruler's own answers omits the cases in which the rules of docs/filter-language.md differ on purpose.

use super::Dialect;
use super::context::{Context, example};
use super::duplicates::warn_of_duplicates;
use super::lookalike::warn_of_field;
use super::patterns::wildcard_without_remarks;
use super::translate;
use crate::ast::{
    Condition, Conditions, Judge, Junction, Member, MemberKind, Node as Judged, Pattern, Quantifier, Reach,
    Test, TestKind,
};
use crate::decode::{describe, did_you_mean};
use crate::diagnostic::Code;
use crate::json::{self, Kind, Node};
use crate::ops::number::{Bound, Range};
use crate::ops::text::Quoted;
use crate::ops::{Folded, Leaf, Literal, LiteralSet};

/// Every operator.
pub(crate) const OPERATORS: [&str; 9] = [
    "exactly",
    "prefix",
    "suffix",
    "equals-ignore-case",
    "wildcard",
    "numeric",
    "exists",
    "cidr",
    "anything-but",
];

pub(super) fn read<'n>(node: &'n Node, context: &mut Context<'n>) -> Judge<'n> {
    let Kind::Object(members) = &node.kind else {
        let message = format!("found {}, expected a pattern: an object of fields", describe(node));
        context.error::<()>(node.span, Code::WrongType, message, "write {\"field\": [\"value\"]}");
        return Judge::Pattern(Pattern::default());
    };
    Judge::Pattern(pattern(members, node, context))
}

fn pattern<'n>(members: &'n [json::Member], node: &'n Node, context: &mut Context<'n>) -> Pattern<'n> {
    if members.is_empty() {
        let message = "an empty pattern, expected at least one field";
        let help = "to ask whether a field is there write [{\"exists\": true}]";
        context.error::<()>(node.span, Code::Empty, message, help);
    }
    Pattern::new(context.each_member(members, |context, json| {
        Some(Member { key: &json.key, span: json.key_span, kind: member(json, context)? })
    }))
}

fn member<'n>(json: &'n json::Member, context: &mut Context<'n>) -> Option<MemberKind<'n>> {
    // Two or more patterns under `$or` make it the combinator.
    if let ("$or", Kind::Array(items)) = (json.key.as_str(), &json.value.kind)
        && items.len() >= 2
        && items.iter().all(is_pattern)
    {
        let patterns = context.each(items, |context, item| match &item.kind {
            Kind::Object(members) => Some(pattern(members, item, context)),
            _ => None,
        });
        return Some(MemberKind::Junction { kind: Junction::Or, patterns });
    }
    warn_of_field(Dialect::EventBridge, json, context);
    let node = field(json, context)?;
    Some(MemberKind::Field { name: &json.key, node })
}

/// The help for patterns in a list under a name that means a combinator elsewhere.
fn junction(key: &str, items: &[Node]) -> Option<&'static str> {
    if items.is_empty() || !items.iter().all(is_pattern) {
        return None;
    }
    match key.to_ascii_lowercase().trim_start_matches('$') {
        "or" if key != "$or" => Some("did you mean \"$or\"?"),
        "and" => Some("all fields of a pattern have to hold: write those of all patterns into one"),
        "nor" | "not" => {
            Some("this language negates no patterns, only values: {\"field\": [{\"anything-but\": \"a\"}]}")
        }
        _ => None,
    }
}

/// Whether an item is a non-empty object without an operator's name.
fn is_pattern(item: &Node) -> bool {
    matches!(&item.kind, Kind::Object(members)
        if !members.is_empty() && !members.iter().any(|m| OPERATORS.contains(&m.key.as_str())))
}

fn field<'n>(json: &'n json::Member, context: &mut Context<'n>) -> Option<Judged<'n>> {
    let node = &json.value;
    match &node.kind {
        Kind::Object(members) => {
            Some(Judged::Nested { reach: Reach::Scalars, pattern: pattern(members, node, context) })
        }
        Kind::Array(items) if items.is_empty() => context.error(
            node.span,
            Code::Empty,
            "an empty array, expected at least one condition",
            "no event could match it: remove the field",
        ),
        Kind::Array(items) if let Some(help) = junction(&json.key, items) => {
            let message =
                format!("{} is a field here, and a field holds no list of patterns", Quoted(&json.key));
            context.error(json.key_span, Code::WrongType, message, help)
        }
        Kind::Array(items) => {
            warn_of_duplicates(items, context);
            let or = json.key == "$or";
            let items = context.each(items, |context, item| condition(item, or, context));
            let (quantifier, reach) = (Quantifier::Any, Reach::Scalars);
            Some(Judged::Conditions(Conditions { quantifier, reach, listed: true, items }))
        }
        _ => {
            let foreign = is_regex(&json.key).then(|| NO_REGEX.to_owned());
            context.no_array(json, "a nested pattern", &OPERATORS, foreign)
        }
    }
}

/// One condition of a field; `or`: whether the field is named `$or`.
fn condition<'n>(node: &'n Node, or: bool, context: &mut Context<'n>) -> Option<Condition<'n>> {
    let members = match &node.kind {
        Kind::Object(members) => members,
        Kind::Array(_) => {
            let message = "an array among conditions, expected a literal or a matcher";
            let help = "arrays in events are looked into anyway: write their elements' conditions here";
            return context.error(node.span, Code::WrongType, message, help);
        }
        _ => return context.equal(node),
    };
    let distinct = context.distinct(members);
    let Some(member) = distinct.only() else {
        let message = format!("a matcher with {} operators, expected exactly one", distinct.len());
        let help = match distinct.len() {
            0 => "write an operator: {\"exists\": true}",
            _ => "conditions in an array are any-of; this language cannot require two of one value",
        };
        return context.error(node.span, Code::MisplacedOperator, message, help);
    };
    let kind = context.within(&member.key, |context| operator(member, or, context))?;
    let test = Test { key: &member.key, span: member.key_span, kind };
    Some(Condition { span: node.span, tests: vec![test] })
}

fn operator<'n>(member: &'n json::Member, or: bool, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    let (key, node) = (member.key.as_str(), &member.value);
    let leaf = match key {
        "prefix" if let Kind::Object(inner) = &node.kind => Leaf::FoldedPrefix(folded(inner, node, context)?),
        "suffix" if let Kind::Object(inner) = &node.kind => Leaf::FoldedSuffix(folded(inner, node, context)?),
        _ if let Some(leaf) = of_text(key) => leaf(context.string(key, node)?),
        "wildcard" => Leaf::Wildcard(Box::new(context.wildcard(key, node)?)),
        "numeric" => Leaf::Number(Box::new(numeric(key, node, context)?)),
        "exists" => Leaf::Exists(context.boolean(key, node)?),
        "cidr" => Leaf::Cidr(context.cidr(key, node)?),
        "anything-but" => return anything_but(key, node, context),
        _ => return unknown_operator(member, or, context),
    };
    Some(TestKind::Leaf(leaf))
}

/// The operators that take any text.
fn of_text(operator: &str) -> Option<fn(&str) -> Leaf> {
    Some(match operator {
        "exactly" => |text| Leaf::Equals(Literal::String(text.into())),
        "prefix" => |text| Leaf::StartsWith(text.into()),
        "suffix" => |text| Leaf::EndsWith(text.into()),
        "equals-ignore-case" => |text| Leaf::FoldedEquals(Folded::new(text)),
        _ => return None,
    })
}

/// As [`Dialect::on_text`].
pub(super) fn on_text(operator: &str, text: &str) -> Option<Leaf> {
    match operator {
        "wildcard" => wildcard_without_remarks(Dialect::EventBridge, text),
        _ => of_text(operator).map(|leaf| leaf(text)),
    }
}

const NO_REGEX: &str =
    "this language has no regular expressions: write a wildcard, or compile it in the native dialect";

fn is_regex(key: &str) -> bool {
    matches!(key.trim_start_matches('$').to_ascii_lowercase().as_str(), "regex" | "regexp" | "pattern")
}

fn unknown_operator<T>(member: &json::Member, or: bool, context: &mut Context<'_>) -> Option<T> {
    let key = &member.key;
    let help = if or {
        "as a combinator \"$or\" takes two or more non-empty patterns, none with an operator's name as a field"
            .to_owned()
    } else if let Some(condition) = translate::element(Dialect::EventBridge, key, &member.value) {
        translate::advice(&condition)
    } else if let Some(help) = did_you_mean(key, &OPERATORS) {
        help
    } else if is_regex(key) {
        NO_REGEX.to_owned()
    } else if key.starts_with('$') {
        "operators with a dollar sign are of the native and trigger-dev dialects".to_owned()
    } else {
        format!("the operators are {}", OPERATORS.join(", "))
    };
    context.unknown_operator(member, help)
}

/// The argument `{"equals-ignore-case": string}` of `prefix` and `suffix`.
fn folded<'n>(members: &'n [json::Member], node: &'n Node, context: &mut Context<'n>) -> Option<Folded> {
    match context.distinct(members).only() {
        Some(member) if member.key == "equals-ignore-case" => {
            context.within(&member.key, |context| context.string(&member.key, &member.value).map(Folded::new))
        }
        _ => {
            let message = "found an object, expected a string or {\"equals-ignore-case\": string}";
            context.error(node.span, Code::WrongType, message, "")
        }
    }
}

/// `["<", 5]`, or a lower and an upper bound, `[">", 0, "<=", 5]`.
fn numeric<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Range> {
    let expected = "an array such as [\">\", 0, \"<=\", 5]";
    let Kind::Array(items) = &node.kind else {
        let number = example(node).filter(|_| matches!(node.kind, Kind::Number(_)));
        let help = number.map(|number| format!("write {{\"numeric\": [\"=\", {number}]}}"));
        return context.wrong_argument(key, expected, node, help);
    };
    match items.as_slice() {
        [Node { kind: Kind::String(sign), .. }, _] if matches!(sign.as_str(), "!=" | "<>" | "==") => {
            let help = translate::element(Dialect::EventBridge, key, node)
                .map(|condition| translate::advice(&condition));
            let message = format!("\"numeric\" has no {}, expected =, <, <=, > or >=", Quoted(sign));
            context.within_index(0, |context| {
                context.error(items[0].span, Code::InvalidValue, message, help.unwrap_or_default())
            })
        }
        [operator, number] => {
            let number = context.within_index(1, |context| context.number(key, number));
            let operator = comparison(key, 0, operator, &["=", "<", "<=", ">", ">="], context);
            let (operator, number) = (operator?, number?);
            Some(match operator {
                "=" => Range::closed(number, number),
                "<" | "<=" => Range::below(number, operator == "<="),
                _ => Range::above(number, operator == ">="),
            })
        }
        [lower, low, upper, high] => {
            let lower = comparison(key, 0, lower, &[">", ">="], context);
            let low = context.within_index(1, |context| context.number(key, low));
            let upper = comparison(key, 2, upper, &["<", "<="], context);
            let high = context.within_index(3, |context| context.number(key, high));
            let (lower, low, upper, high) = (lower?, low?, upper?, high?);
            if low.compare(high).is_ge() {
                let message = format!("the lower bound {low} is not below the upper bound {high}");
                let help = if low == high {
                    format!("write {{\"numeric\": [\"=\", {low}]}}")
                } else {
                    "the lower bound comes first".to_owned()
                };
                return context.error(node.span, Code::InvalidValue, message, help);
            }
            Some(Range {
                low: Some(Bound { at: low, inclusive: lower == ">=" }),
                high: Some(Bound { at: high, inclusive: upper == "<=" }),
            })
        }
        _ => {
            let message = format!(
                "{} takes one comparison or a lower and an upper bound, found an array of {}",
                Quoted(key),
                items.len()
            );
            context.error(node.span, Code::WrongType, message, format!("write {expected}"))
        }
    }
}

fn comparison<'n, 'k>(
    key: &'n str,
    index: usize,
    node: &'n Node,
    allowed: &[&'k str],
    context: &mut Context<'n>,
) -> Option<&'k str> {
    context.within_index(index, |context| {
        let found = match &node.kind {
            Kind::String(text) => allowed.iter().find(|name| *name == text),
            _ => None,
        };
        found.copied().or_else(|| {
            let expected = format!("{} here", allowed.join(" or "));
            let help =
                (allowed.len() == 2).then(|| "a range is a lower bound, then an upper bound".to_owned());
            context.wrong_argument(key, &expected, node, help)
        })
    })
}

fn anything_but<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    let literals = match &node.kind {
        Kind::String(_) | Kind::Number(_) => vec![context.literal(node)?],
        Kind::Array(items) if items.is_empty() => {
            let message =
                format!("{} with an empty list, expected at least one string or number", Quoted(key));
            return context.error(node.span, Code::Empty, message, "for any value write {\"exists\": true}");
        }
        Kind::Array(items) => {
            warn_of_duplicates(items, context);
            let first = items.first().map(Node::type_name);
            context.each(items, |context, item| {
                let help = match item.kind {
                    Kind::String(_) | Kind::Number(_) if first == Some(item.type_name()) => {
                        return context.literal(item);
                    }
                    Kind::String(_) | Kind::Number(_) => {
                        Some("write one condition for the strings and one for the numbers".to_owned())
                    }
                    Kind::Object(_) => Some(list_inside(items)),
                    _ => None,
                };
                context.wrong_argument(key, "only strings or only numbers in its list", item, help)
            })
        }
        Kind::Object(members) if let Some(member) = context.distinct(members).only() => {
            return context.within(&member.key, |context| none_of(member, context));
        }
        _ => {
            let expected =
                format!("a string, a number, a list of either, or one of {}", EXCLUDING.join(", "));
            return context.wrong_argument(key, &expected, node, None);
        }
    };
    Some(TestKind::Leaf(Leaf::AnythingBut(LiteralSet::new(literals))))
}

/// The operators that `anything-but` takes.
const EXCLUDING: [&str; 4] = ["prefix", "suffix", "equals-ignore-case", "wildcard"];

/// The help for `anything-but` with a list of matchers: one operator with a list of strings.
fn list_inside(items: &[Node]) -> String {
    let parts = items.iter().take(9).map(|item| {
        let only = item.only_member().filter(|only| EXCLUDING.contains(&only.key.as_str()))?;
        Some((only.key.as_str(), matches!(only.value.kind, Kind::String(_)).then(|| example(&only.value))??))
    });
    let parts: Option<Vec<(&str, String)>> = parts.collect();
    match parts {
        Some(parts) if parts.len() == items.len() && parts.iter().all(|part| part.0 == parts[0].0) => {
            let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
            format!("write {{\"anything-but\": {{{}: [{}]}}}}", Quoted(parts[0].0), texts.join(", "))
        }
        _ => "inside goes one operator with a list: {\"anything-but\": {\"prefix\": [\"a\", \"b\"]}}"
            .to_owned(),
    }
}

/// `anything-but` with an operator and one or more strings.
fn none_of<'n>(member: &'n json::Member, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    let (key, node) = (member.key.as_str(), &member.value);
    if !EXCLUDING.contains(&key) {
        let message = format!(
            "found {} inside \"anything-but\", expected prefix, suffix, equals-ignore-case or wildcard",
            Quoted(key)
        );
        let help = did_you_mean(key, &EXCLUDING);
        return context.error(member.key_span, Code::MisplacedOperator, message, help.unwrap_or_default());
    }
    let leaves = match &node.kind {
        Kind::Array(items) if items.is_empty() => {
            let message = format!("{} with an empty list, expected at least one string", Quoted(key));
            return context.error(node.span, Code::Empty, message, "");
        }
        Kind::Array(items) => {
            warn_of_duplicates(items, context);
            context.each(items, |context, item| excluded(key, item, context))
        }
        _ => vec![excluded(key, node, context)?],
    };
    Some(TestKind::NoneOf(leaves))
}

fn excluded<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Leaf> {
    let text = context.string(key, node)?;
    if text.is_empty() && matches!(key, "prefix" | "suffix") {
        let message = format!("an empty {key} inside \"anything-but\", expected some text");
        return context.error(node.span, Code::Empty, message, "every string has it, so none would be left");
    }
    Some(match of_text(key) {
        Some(leaf) => leaf(text),
        None => Leaf::Wildcard(Box::new(context.wildcard(key, node)?)),
    })
}
