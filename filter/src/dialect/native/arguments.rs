//! The arguments of operators in the native dialect.

use super::super::Dialect;
use super::super::context::{Context, example, is_number};
use super::super::duplicates::warn_of_duplicates;
use super::super::lookalike::short;
use super::super::operators::{Argument, find};
use super::super::translate;
use super::{container, is_matcher, list, tests, unknown_operator};
use crate::ast::{Condition, Judge, TestKind};
use crate::diagnostic::Code;
use crate::json::{self, Kind, Node};
use crate::ops::text::Quoted;
use crate::ops::{
    Comparison, Folded, FoldedSearch, Leaf, Literal, LiteralSet, Num, Range, Reference, TimeBound,
};

/// One operator with its argument.
pub(super) fn operator<'n>(member: &'n json::Member, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    let (key, node) = (member.key.as_str(), &member.value);
    let Some(operator) = find(key) else { return unknown_operator(member, context) };
    Some(TestKind::Leaf(match operator.argument {
        Argument::Text(leaf) => leaf(context.string(key, node)?),
        Argument::IgnoreCase => context.ignore_case(key, node)?,
        Argument::Regex => context.regex("", key, node)?,
        Argument::Wildcard => Leaf::Wildcard(Box::new(context.wildcard(key, node)?)),
        Argument::Cidr => Leaf::Cidr(context.cidr(key, node)?),
        Argument::Number(range, comparison) => match reference(key, comparison, node, context) {
            Some(reference) => return Some(TestKind::Reference(reference?)),
            None if let Some(help) = reference_of_path(key, node) => {
                return context.wrong_argument(key, "a number", node, Some(help));
            }
            None => Leaf::Number(Box::new(range(context.number(key, node)?))),
        },
        Argument::Equal => match reference(key, Comparison::Equal, node, context) {
            Some(reference) => return Some(TestKind::Reference(reference?)),
            None => Leaf::Equals(scalar(key, node, context)?),
        },
        Argument::AnyCase => return ignore_case(key, node, context),
        Argument::Time(after) => Leaf::Time(Box::new(time(key, after, node, context)?)),
        Argument::Bounds => {
            let (low, high) = between(key, node, context)?;
            if low.compare(high).is_gt() {
                let message = format!("\"$between\" has its low bound {low} above its high bound {high}");
                return context.error(
                    node.span,
                    Code::InvalidValue,
                    message,
                    format!("write [{high}, {low}]"),
                );
            }
            Leaf::Number(Box::new(Range::closed(low, high)))
        }
        Argument::Literal(leaf) => leaf(scalar(key, node, context)?),
        Argument::Boolean(leaf) => leaf(context.boolean(key, node)?),
        Argument::Excluded => return anything_but(key, node, context),
        Argument::Length => return size(key, node, context),
        Argument::Some => return Some(TestKind::Some(judge(key, node, context)?)),
        Argument::Every => return Some(TestKind::Every(judge(key, node, context)?)),
        Argument::All => return Some(TestKind::All(argument_list(key, node, context)?)),
        Argument::None => return Some(TestKind::None(argument_list(key, node, context)?)),
    }))
}

/// The argument `{"$ref": pointer}`: `None` if it is no object, `Some(None)` if it is an invalid one.
fn reference<'n>(
    key: &'n str,
    comparison: Comparison,
    node: &'n Node,
    context: &mut Context<'n>,
) -> Option<Option<Reference>> {
    let Kind::Object(members) = &node.kind else { return None };
    let members = context.distinct(members);
    let Some(member) = members.only().filter(|member| member.key == "$ref") else {
        let example = match comparison {
            Comparison::Equal => "a literal",
            _ => "a number",
        };
        let expected = format!("{example}, or a reference such as {{\"$ref\": \"/other/field\"}}");
        let help = translate::condition(Dialect::Native, key, node)
            .map(|time| format!("to compare times write {time}"));
        return Some(context.wrong_argument(key, &expected, node, help));
    };
    Some(context.within(&member.key, |context| {
        let pointer = context.string(&member.key, &member.value)?;
        Reference::new(comparison, pointer).or_else(|| {
            let message =
                format!("{} is no JSON pointer, expected one such as \"/other/field\"", Quoted(pointer));
            let help = match pointer_of(pointer) {
                Some(pointer) => format!("write {}", Quoted(&pointer)),
                None => "each name follows a slash; in a name ~1 is a slash and ~0 is a tilde".to_owned(),
            };
            context.error(member.value.span, Code::InvalidValue, message, help)
        })
    }))
}

/// The help for a path to another field where a number is expected.
fn reference_of_path(key: &str, node: &Node) -> Option<String> {
    let Kind::String(path) = &node.kind else { return None };
    let pointer = if path.starts_with(['$', '/', '.']) { pointer_of(path)? } else { return None };
    let pointer = translate::quoted(&pointer);
    Some(format!("for another field write {{{}: {{\"$ref\": {pointer}}}}}", Quoted(key)))
}

/// The JSON pointer that was probably meant by another way to write a path, if it can be shown whole.
fn pointer_of(path: &str) -> Option<String> {
    let path = path.trim_start_matches('#').trim_start_matches('$');
    let names = path.trim_start_matches(['.', '/']);
    let plain = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '@'))
    };
    let separator = if path.starts_with('/') { '/' } else { '.' };
    let plain = names.len() <= 50 && names.split(separator).all(plain);
    plain.then(|| format!("/{}", names.replace(separator, "/")))
}

/// The operators that `$ignoreCase` takes.
pub(crate) const TEXT_OPERATORS: [&str; 6] =
    ["$eq", "$startsWith", "$endsWith", "$contains", "$wildcard", "$regex"];

/// The operators of `$ignoreCase`.
fn ignore_case<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    match &node.kind {
        Kind::Object(members) if is_matcher(members) => {
            let operator = |member, context: &mut _| in_any_case(member, context).map(TestKind::Leaf);
            Some(TestKind::IgnoreCase(context.tests(members, operator)))
        }
        kind => {
            let text = example(node).filter(|_| matches!(kind, Kind::String(_)));
            let help = text.map(|text| format!("write {{{}: {{\"$eq\": {text}}}}}", Quoted(key)));
            context.wrong_argument(key, "a matcher of text operators", node, help)
        }
    }
}

/// One operator on text whose case does not count.
fn in_any_case<'n>(member: &'n json::Member, context: &mut Context<'n>) -> Option<Leaf> {
    let (key, node) = (member.key.as_str(), &member.value);
    if let Kind::Array(items) = &node.kind
        && TEXT_OPERATORS.contains(&key)
    {
        let each = items.iter().take(8).map(|item| {
            let matcher = translate::one_per_string(key, std::slice::from_ref(item))?;
            Some(format!("{{\"$ignoreCase\": {}}}", matcher.trim_matches(['[', ']'])))
        });
        let all: Option<Vec<_>> = each.collect();
        let list = all.filter(|list| list.len() == items.len()).map(|list| list.join(", "));
        let help = list.filter(|list| !list.is_empty() && list.len() <= 160);
        let help = help.map(|list| format!("for any of them write [{list}]"));
        return context.wrong_argument(key, "a string", node, help);
    }
    match key {
        "$eq" => Some(Leaf::FoldedEquals(Folded::new(context.string(key, node)?))),
        "$startsWith" => Some(Leaf::FoldedPrefix(Folded::new(context.string(key, node)?))),
        "$endsWith" => Some(Leaf::FoldedSuffix(Folded::new(context.string(key, node)?))),
        "$contains" => Some(Leaf::FoldedSearch(Box::new(FoldedSearch::contains(context.string(key, node)?)))),
        "$wildcard" => {
            let exact = context.wildcard(key, node)?;
            FoldedSearch::wildcard(exact.source()).ok().map(|search| Leaf::FoldedSearch(Box::new(search)))
        }
        // The flag means simple case folding too. Errors quote the pattern as it was written.
        "$regex" => context.regex("(?i)", key, node),
        _ if find(key).is_none() => unknown_operator(member, context),
        _ => {
            let message = format!("{} does not ask for letter case, expected a text operator", Quoted(key));
            let help = match key {
                "$ignoreCaseEquals" => "write $eq here, or $ignoreCaseEquals without $ignoreCase",
                _ => {
                    "here go $eq, $startsWith, $endsWith, $contains, $wildcard and $regex; others go beside $ignoreCase"
                }
            };
            context.error(member.key_span, Code::MisplacedOperator, message, help)
        }
    }
}

/// The argument of `$before` and `$after`.
fn time<'n>(key: &'n str, after: bool, node: &'n Node, context: &mut Context<'n>) -> Option<TimeBound> {
    let expected = "an RFC 3339 time, such as \"2026-01-31T09:00:00Z\"";
    let Kind::String(text) = &node.kind else {
        let operator = if after { "$gt" } else { "$lt" };
        let help = matches!(node.kind, Kind::Number(_))
            .then(|| format!("times in numbers are compared by {operator}"));
        return context.wrong_argument(key, expected, node, help);
    };
    TimeBound::new(text, after).or_else(|| {
        let message = format!("{} is no RFC 3339 time", Quoted(text));
        let help = match translate::completed_time(text) {
            Some(time) => format!("write {}, or another offset than Z", Quoted(&time)),
            None => "write a date, T, a time and an offset: \"2026-01-31T09:00:00Z\", \"2026-01-31T10:00:00+01:00\"".to_owned(),
        };
        context.error(node.span, Code::InvalidValue, message, help)
    })
}

/// The two numbers of `$between`.
pub(in crate::dialect) fn between<'n>(
    key: &'n str,
    node: &'n Node,
    context: &mut Context<'n>,
) -> Option<(Num, Num)> {
    let Kind::Array(items) = &node.kind else {
        return context.wrong_argument(key, "two numbers, [low, high]", node, None);
    };
    if let [low, high] = items.as_slice()
        && let Some(help) = open_range(low, high)
    {
        return context.wrong_argument(key, "two numbers", node, Some(help));
    }
    let [low, high] = items.as_slice() else {
        let count = items.len();
        let message = format!("{} takes two numbers, [low, high], found an array of {count}", Quoted(key));
        return context.error(node.span, Code::WrongType, message, "");
    };
    let low = context.within_index(0, |context| context.number(key, low));
    let high = context.within_index(1, |context| context.number(key, high));
    low.zip(high)
}

/// The help for bounds that are references or times, which `$between` cannot have.
fn open_range(low: &Node, high: &Node) -> Option<String> {
    let (from, to) = (translate::reference(low), translate::reference(high));
    if (from.is_some() || to.is_some())
        && let (Some(from), Some(to)) = (from.or_else(|| example(low)), to.or_else(|| example(high)))
    {
        return Some(format!("write {{\"$gte\": {from}, \"$lte\": {to}}}"));
    }
    let (after, before) = (translate::time(low)?, translate::time(high)?);
    Some(format!("to compare times write {{\"$after\": {after}, \"$before\": {before}}}"))
}

/// The argument of an operator that takes one literal.
fn scalar<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Literal> {
    if !matches!(node.kind, Kind::Array(_) | Kind::Object(_)) {
        return context.literal(node);
    }
    let help = match (key, &node.kind) {
        ("$not", Kind::Object(members)) => Some(match (is_matcher(members), short(node)) {
            (true, Some(matcher)) => format!("to negate a matcher write {{\"$anythingBut\": {matcher}}}"),
            (true, None) => "to negate a matcher write $anythingBut or $none".to_owned(),
            (false, Some(filter)) => format!("to negate a filter write {{\"$nor\": [{filter}]}}"),
            (false, None) => "to negate a filter write $nor".to_owned(),
        }),
        ("$not", Kind::Array(_))
            if let Some(condition) = translate::condition(Dialect::Native, "$nin", node) =>
        {
            Some(format!("for none of several write {condition}"))
        }
        ("$not", _) => Some(match short(node) {
            Some(list) => format!("for none of several write {{\"$anythingBut\": {list}}}"),
            None => "for none of several write $anythingBut".to_owned(),
        }),
        ("$eq", Kind::Array(_)) => Some(match short(node) {
            Some(list) => {
                format!("for one of several write the list itself, {list}; for an element $includes")
            }
            None => "for one of several write the list itself; for an element $includes".to_owned(),
        }),
        ("$includes", Kind::Object(_)) => {
            Some("for an element that satisfies a condition write $some".to_owned())
        }
        ("$includes", _) => Some("for one of several write {\"$some\": [\"a\", \"b\"]}".to_owned()),
        _ => None,
    };
    context.wrong_argument(key, "a string, number, boolean or null", node, help)
}

fn anything_but<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    let literals = match &node.kind {
        Kind::Array(items) if items.is_empty() => {
            let message = format!("{} with an empty array, expected at least one literal", Quoted(key));
            return context.error(node.span, Code::Empty, message, "it would always hold: remove it");
        }
        Kind::Array(items) => {
            warn_of_duplicates(items, context);
            context.each(items, |context, item| {
                let help = match item.kind {
                    Kind::Object(_) => Some("for none of several conditions write $none".to_owned()),
                    Kind::Array(_) => None,
                    _ => return context.literal(item),
                };
                context.wrong_argument(key, "only literals in its array", item, help)
            })
        }
        Kind::Object(members) if is_matcher(members) => return Some(TestKind::But(tests(members, context))),
        Kind::Object(_) => {
            let expected = "a literal, an array of literals, or a matcher";
            let help = "to negate a filter write $nor".to_owned();
            return context.wrong_argument(key, expected, node, Some(help));
        }
        _ => vec![context.literal(node)?],
    };
    Some(TestKind::Leaf(Leaf::AnythingBut(LiteralSet::new(literals))))
}

fn size<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    let help = match &node.kind {
        Kind::Number(_) => return Some(TestKind::Size(context.equal(node)?.tests)),
        Kind::Object(members) if is_matcher(members) => {
            about_numbers(members, context);
            return Some(TestKind::Size(tests(members, context)));
        }
        Kind::Array(items) if items.is_empty() => Some("an empty array has {\"$size\": 0}".to_owned()),
        Kind::Array(_) => Some("for a range write {\"$size\": {\"$gte\": 1, \"$lte\": 5}}".to_owned()),
        Kind::String(text) if is_number(text) => Some(format!("write {text} without quotes")),
        _ => None,
    };
    context.wrong_argument(key, "a number, or a matcher of numbers", node, help)
}

/// Reports operators and arguments in a matcher that cannot apply to a number. Unknown operators are reported when the
/// matcher is read.
fn about_numbers<'n>(members: &'n [json::Member], context: &mut Context<'n>) {
    for member in members {
        context.within(&member.key, |context| {
            let key = member.key.as_str();
            if find(key).is_some_and(|operator| !operator.on_numbers) {
                let message =
                    format!("{} says nothing about a length, expected a matcher of numbers", Quoted(key));
                let help = "write $gt, $gte, $lt, $lte, $between, $anythingBut, $not, $all or $none";
                context.error::<()>(member.key_span, Code::MisplacedOperator, message, help);
            }
            match &member.value.kind {
                _ if matches!(key, "$gt" | "$gte" | "$lt" | "$lte" | "$between") => {}
                Kind::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        context.within_index(index, |context| about_number(key, item, context));
                    }
                }
                _ => about_number(key, &member.value, context),
            }
        });
    }
}

fn about_number<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) {
    match &node.kind {
        Kind::Object(members) => about_numbers(members, context),
        Kind::Null | Kind::Bool(_) | Kind::String(_)
            if find(key).is_some_and(|operator| operator.on_numbers) =>
        {
            context.wrong_argument::<()>(key, "numbers when it is about a length", node, None);
        }
        _ => {}
    }
}

const ADD_ONE: &str = "add a condition, or remove the operator";

/// The condition on the elements of an array.
fn judge<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Judge<'n>> {
    match &node.kind {
        Kind::Array(_) | Kind::Object(_) => container(node, ADD_ONE, context),
        _ => {
            let help = match example(node) {
                Some(value) => format!("write {{{}: [{value}]}}", Quoted(key)),
                None => "put the value in an array".to_owned(),
            };
            let help = if key == "$some" { format!("{help}, or $includes") } else { help };
            context.wrong_argument(key, "a filter, a matcher, or an array of conditions", node, Some(help))
        }
    }
}

fn argument_list<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Vec<Condition<'n>>> {
    match &node.kind {
        Kind::Array(items) => list(items, node.span, ADD_ONE, context),
        _ => {
            let help = "put the conditions in an array".to_owned();
            context.wrong_argument(key, "an array of conditions", node, Some(help))
        }
    }
}
