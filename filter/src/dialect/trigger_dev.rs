//! The trigger-dev dialect: Trigger.dev's EventFilter, unchanged.
//!
//! A field holds an array or a nested filter. An array of literals is any-of, an array of matchers all-of, an empty
//! array no constraint. Accidents of JavaScript in the original (inherited properties, numbers rounded to doubles) are
//! not reproduced; filters that the original silently ignores in part are errors.

use super::Dialect;
use super::context::Context;
use super::duplicates::warn_of_duplicates;
use super::lookalike::warn_of_field;
use super::native::between;
use super::operators::{Argument, find};
use super::translate;
use crate::ast::{
    Condition, Conditions, Judge, Member, MemberKind, Node as Judged, Pattern, Quantifier, Reach, TestKind,
};
use crate::decode::{describe, did_you_mean, repeated};
use crate::diagnostic::Code;
use crate::json::{self, Kind, Node};
use crate::ops::text::Quoted;
use crate::ops::{Leaf, Literal, LiteralSet, Range};

/// Every operator, in the order in which the original tests for them: it uses the first in a matcher and ignores the
/// rest.
pub(crate) const OPERATORS: [&str; 13] = [
    "$endsWith",
    "$startsWith",
    "$anythingBut",
    "$exists",
    "$gt",
    "$lt",
    "$gte",
    "$lte",
    "$between",
    "$includes",
    "$ignoreCaseEquals",
    "$isNull",
    "$not",
];

pub(super) fn read<'n>(node: &'n Node, context: &mut Context<'n>) -> Judge<'n> {
    let Kind::Object(members) = &node.kind else {
        let message = format!("found {}, expected a filter: an object of fields", describe(node));
        context.error::<()>(node.span, Code::WrongType, message, "write {\"field\": [condition]}");
        return Judge::Pattern(Pattern::default());
    };
    Judge::Pattern(pattern(members, context))
}

fn pattern<'n>(members: &'n [json::Member], context: &mut Context<'n>) -> Pattern<'n> {
    Pattern::new(context.each_member(members, |context, member| {
        let kind = MemberKind::Field { name: &member.key, node: field(member, context)? };
        Some(Member { key: &member.key, span: member.key_span, kind })
    }))
}

fn field<'n>(member: &'n json::Member, context: &mut Context<'n>) -> Option<Judged<'n>> {
    let node = &member.value;
    warn_of_field(Dialect::TriggerDev, member, context);
    match &node.kind {
        Kind::Object(members) => {
            Some(Judged::Nested { reach: Reach::Value, pattern: pattern(members, context) })
        }
        Kind::Array(items) if is_junction(&member.key, items) => {
            let message = format!(
                "Trigger.dev has no {}, and its fields hold no lists of filters",
                Quoted(&member.key)
            );
            let help =
                "the native dialect has it; here an array of literals is any-of, one of matchers all-of";
            context.error(member.key_span, Code::UnknownOperator, message, help)
        }
        Kind::Array(items) => Some(Judged::Conditions(conditions(items, context))),
        _ => {
            let foreign = translate::is_name_of_an_operator(&member.key).then(|| {
                format!("Trigger.dev has no operator {}; the native dialect has more", Quoted(&member.key))
            });
            context.no_array(member, "a nested filter", &OPERATORS, foreign)
        }
    }
}

/// Whether a field is probably meant as the native `$or`, `$and` or `$nor`, with or without the dollar sign: an array of filters.
fn is_junction(key: &str, items: &[Node]) -> bool {
    let is_filter = |item: &Node| match &item.kind {
        Kind::Object(members) => members.iter().any(|member| !member.key.starts_with('$')),
        _ => false,
    };
    matches!(key.trim_start_matches('$'), "or" | "and" | "nor") && items.iter().any(is_filter)
}

fn conditions<'n>(items: &'n [Node], context: &mut Context<'n>) -> Conditions<'n> {
    let matchers = items.iter().filter(|item| matches!(item.kind, Kind::Object(_))).count();
    let quantifier = if matchers == items.len() { Quantifier::All } else { Quantifier::Any };
    warn_of_duplicates(items, context);
    let mut first: Option<&Node> = None;
    let items = context.each(items, |context, item| {
        let first = *first.get_or_insert(item);
        match &item.kind {
            Kind::Object(members) => {
                let read = matcher(members, item, context);
                refuse_mixture(first, item, context)?;
                read
            }
            Kind::Null => {
                let message = "null among literals, expected strings, numbers or booleans";
                context.error(item.span, Code::WrongType, message, "write {\"$isNull\": true}")
            }
            Kind::Array(_) => {
                let message = "an array among conditions, expected literals or matchers";
                let help = "for an element of an array write {\"$includes\": …}";
                context.error(item.span, Code::WrongType, message, help)
            }
            _ => {
                refuse_mixture(first, item, context)?;
                context.equal(item)
            }
        }
    });
    Conditions { quantifier, reach: Reach::Value, listed: true, items }
}

fn refuse_mixture(first: &Node, item: &Node, context: &mut Context<'_>) -> Option<()> {
    if first.type_name() == item.type_name() {
        return Some(());
    }
    let what = |node: &Node| match node.kind {
        Kind::Object(_) => "a matcher",
        _ => node.type_name(),
    };
    let message =
        format!("found {} in an array that begins with {}, expected only one type", what(item), what(first));
    context.error(item.span, Code::WrongType, message, "the native dialect may mix them")
}

fn matcher<'n>(
    members: &'n [json::Member],
    node: &'n Node,
    context: &mut Context<'n>,
) -> Option<Condition<'n>> {
    if members.is_empty() {
        let message = "an empty object among conditions, expected a matcher";
        return context.error(node.span, Code::Empty, message, "write an operator: {\"$exists\": true}");
    }
    let tests = context.tests(members, operator);
    let count = members.len() - repeated(members).len();
    if count > 1 {
        let used = OPERATORS.iter().find(|name| members.iter().any(|member| member.key == **name));
        let used = used.map(|used| format!(": Trigger.dev uses {} and ignores the rest", Quoted(used)));
        let message = format!("a matcher with {count} operators, expected one{}", used.unwrap_or_default());
        let help = "write one matcher for each: an array of matchers is all-of";
        return context.error(node.span, Code::MisplacedOperator, message, help);
    }
    (!tests.is_empty()).then_some(Condition { span: node.span, tests })
}

fn operator<'n>(member: &'n json::Member, context: &mut Context<'n>) -> Option<TestKind<'n>> {
    let (key, node) = (member.key.as_str(), &member.value);
    let known = find(key).filter(|operator| OPERATORS.contains(&operator.name));
    Some(TestKind::Leaf(match known.map(|operator| operator.argument) {
        Some(Argument::Text(leaf)) => leaf(context.string(key, node)?),
        Some(Argument::IgnoreCase) => context.ignore_case(key, node)?,
        Some(Argument::Number(range, _)) => Leaf::Number(Box::new(range(context.number(key, node)?))),
        Some(Argument::Bounds) => {
            let (low, high) = between(key, node, context)?;
            Leaf::Number(Box::new(Range::closed(low, high)))
        }
        Some(Argument::Literal(leaf)) => leaf(scalar(key, node, context)?),
        Some(Argument::Boolean(leaf)) => leaf(context.boolean(key, node)?),
        Some(Argument::Excluded) => Leaf::AnythingBut(LiteralSet::new(anything_but(key, node, context)?)),
        _ => return unknown_operator(member, context),
    }))
}

fn unknown_operator<T>(member: &json::Member, context: &mut Context<'_>) -> Option<T> {
    let key = &member.key;
    let help = if let Some(condition) = translate::element(Dialect::TriggerDev, key, &member.value) {
        translate::advice(&condition)
    } else if find(key).is_some() || matches!(&**key, "$or" | "$and" | "$nor") {
        format!("Trigger.dev has no {}; the native dialect does", Quoted(key))
    } else if let Some(help) = did_you_mean(key, &OPERATORS) {
        help
    } else if !key.starts_with('$') {
        "an array holds literals or matchers; a nested filter stands without an array".to_owned()
    } else {
        format!("the operators are {}", OPERATORS.join(", "))
    };
    context.unknown_operator(member, help)
}

/// A string, number or boolean.
fn scalar<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Literal> {
    if matches!(node.kind, Kind::String(_) | Kind::Number(_) | Kind::Bool(_)) {
        return context.literal(node);
    }
    let help = (node.kind == Kind::Null).then(|| "write {\"$isNull\": …}".to_owned());
    context.wrong_argument(key, "a string, number or boolean", node, help)
}

fn anything_but<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Vec<Literal>> {
    let Kind::Array(items) = &node.kind else {
        return Some(vec![scalar(key, node, context)?]);
    };
    warn_of_duplicates(items, context);
    let mut first: Option<&Node> = None;
    Some(context.each(items, |context, item| {
        let literal = scalar(key, item, context)?;
        refuse_mixture(first.get_or_insert(item), item, context)?;
        Some(literal)
    }))
}
