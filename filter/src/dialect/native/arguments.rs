//! The arguments of operators in the native dialect.

use super::super::context::{Context, example};
use super::super::duplicates::warn_of_duplicates;
use super::super::operators::{Argument, find};
use super::{is_matcher, list, matcher, pattern, refuse_mixture, tests, unknown_operator};
use crate::ast::{Condition, Judge, Test, TestKind};
use crate::diagnostic::{Code, Diagnostic};
use crate::json::{self, Kind, Node};
use crate::ops::text::Quoted;
use crate::ops::{Leaf, Literal, LiteralSet, Num, Range};

/// One operator with its argument.
pub(super) fn operator<'n>(member: &'n json::Member, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    let (key, node) = (member.key.as_str(), &member.value);
    let Some(operator) = find(key) else {
        unknown_operator(member, context);
        return None;
    };
    Some(TestKind::Leaf(match operator.argument {
        Argument::Text(leaf) => leaf(context.string(key, node)?),
        Argument::IgnoreCase => context.ignore_case(key, node)?,
        Argument::Regex => {
            let text = context.string(key, node)?;
            context.regex(text, node.span)?
        }
        Argument::Wildcard => {
            let text = context.string(key, node)?;
            Leaf::Wildcard(Box::new(context.wildcard(text, node.span, true)?))
        }
        Argument::Cidr => {
            let text = context.string(key, node)?;
            Leaf::Cidr(context.cidr(text, node.span, true)?)
        }
        Argument::Number(range) => Leaf::Number(Box::new(range(context.number(key, node)?))),
        Argument::Bounds => {
            let (low, high) = between(key, node, context)?;
            refuse_reversed(low, high, node, context)?;
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

/// The two numbers of `$between`.
pub(in crate::dialect) fn between<'n>(
    key: &'n str,
    node: &'n Node,
    context: &mut Context<'n>,
) -> Option<(Num, Num)> {
    let Kind::Array(items) = &node.kind else {
        return context.wrong_argument(key, "two numbers, [low, high]", node, None);
    };
    let [low, high] = items.as_slice() else {
        let count = items.len();
        let message = format!("{} takes two numbers, [low, high], found an array of {count}", Quoted(key));
        return context.error(node.span, Code::WrongType, message, "");
    };
    let low = context.within_index(0, |context| context.number(key, low));
    let high = context.within_index(1, |context| context.number(key, high));
    low.zip(high)
}

fn refuse_reversed<'n>(low: Num, high: Num, node: &'n Node, context: &mut Context<'n>) -> Option<()> {
    if low.compare(high).is_le() {
        return Some(());
    }
    let message = format!("\"$between\" has its low bound {low} above its high bound {high}");
    context.error(node.span, Code::InvalidValue, message, format!("write [{high}, {low}]"))
}

/// The argument of an operator that takes one literal.
fn scalar<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Literal> {
    if !matches!(node.kind, Kind::Array(_) | Kind::Object(_)) {
        return context.literal(node);
    }
    let help = match (key, &node.kind) {
        ("$not", Kind::Object(_)) => Some("to negate a matcher write $anythingBut or $none".to_owned()),
        ("$not", _) => Some("for none of several write $anythingBut".to_owned()),
        ("$includes", Kind::Object(_)) => {
            Some("for an element that satisfies a condition write $some".to_owned())
        }
        ("$includes", _) => Some("for one of several write {\"$some\": [\"a\", \"b\"]}".to_owned()),
        _ => None,
    };
    context.wrong_argument(key, "a string, number, boolean or null", node, help)
}

fn anything_but<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    match &node.kind {
        Kind::Array(items) if items.is_empty() => {
            let message = format!("{} with an empty array, expected at least one literal", Quoted(key));
            context.error(node.span, Code::Empty, message, "it would always hold: remove it")
        }
        Kind::Array(items) => {
            warn_of_duplicates(items, context);
            let literals = context.each(items, |context, item| {
                if matches!(item.kind, Kind::Array(_) | Kind::Object(_)) {
                    let help = match item.kind {
                        Kind::Object(_) => Some("for none of several conditions write $none".to_owned()),
                        _ => None,
                    };
                    return context.wrong_argument(key, "only literals in its array", item, help);
                }
                context.literal(item)
            });
            Some(TestKind::Leaf(Leaf::AnythingBut(LiteralSet::new(literals))))
        }
        Kind::Object(members) if is_matcher(members) => Some(TestKind::But(tests(members, context))),
        Kind::Object(_) => {
            let expected = "a literal, an array of literals, or a matcher";
            context.wrong_argument(key, expected, node, Some("to negate a filter write $nor".to_owned()))
        }
        _ => Some(TestKind::Leaf(Leaf::AnythingBut(LiteralSet::new(vec![context.literal(node)?])))),
    }
}

fn size<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    let expected = "a number, or a matcher of numbers";
    match &node.kind {
        Kind::Number(_) => {
            let leaf = Leaf::Equals(context.literal(node)?);
            Some(TestKind::Size(vec![Test { key: "", span: node.span, kind: TestKind::Leaf(leaf) }]))
        }
        Kind::Object(members) if is_matcher(members) => {
            about_numbers(members, context);
            Some(TestKind::Size(tests(members, context)))
        }
        Kind::Array(items) => {
            let help = match items.as_slice() {
                [] => "an empty array has {\"$size\": 0}".to_owned(),
                _ => "for a range write {\"$size\": {\"$gte\": 1, \"$lte\": 5}}".to_owned(),
            };
            context.wrong_argument(key, expected, node, Some(help))
        }
        _ => context.wrong_argument(key, expected, node, None),
    }
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
                context.report(
                    member.key_span,
                    Diagnostic::error(message).with_code(Code::MisplacedOperator).with_help(help),
                );
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
        Kind::Array(items) => {
            Some(Judge::Conditions { listed: true, items: list(items, node.span, ADD_ONE, context)? })
        }
        Kind::Object(members) if is_matcher(members) => {
            Some(Judge::Conditions { listed: false, items: vec![matcher(node, context)?] })
        }
        Kind::Object(members) => {
            refuse_mixture(members, node.span, context)?;
            Some(Judge::Pattern(pattern(node, context)?))
        }
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
