//! The trigger-dev dialect: Trigger.dev's EventFilter, unchanged.
//!
//! A field holds an array or a nested filter. An array of literals is any-of, an array of matchers all-of, an empty
//! array no constraint. Accidents of JavaScript in the original (inherited properties, numbers rounded to doubles) are
//! not reproduced; filters that the original silently ignores in part are errors.

use super::Dialect;
use super::context::{Context, Duplicates, example};
use super::duplicates::warn_of_duplicates;
use super::lookalike::warn_of_field;
use super::native::between;
use super::operators::{Argument, find};
use super::translate;
use crate::ast::{
    Condition, Conditions, Judge, Member, MemberKind, Node as Judged, Pattern, Quantifier, Reach, Test,
    TestKind,
};
use crate::decode::{describe, did_you_mean};
use crate::diagnostic::{Code, Diagnostic};
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
    Judge::Pattern(root(node, context))
}

fn root<'n>(node: &'n Node, context: &mut Context<'n>) -> Pattern<'n> {
    let Kind::Object(members) = &node.kind else {
        let message = format!("found {}, expected a filter: an object of fields", describe(node));
        context.report(
            node.span,
            Diagnostic::error(message).with_code(Code::WrongType).with_help("write {\"field\": [condition]}"),
        );
        return Pattern::default();
    };
    pattern(members, context)
}

fn pattern<'n>(members: &'n [json::Member], context: &mut Context<'n>) -> Pattern<'n> {
    let mut read = Vec::with_capacity(members.len());
    for member in context.distinct(members, Duplicates::LastCounts).iter() {
        if let Some(node) = context.within(&member.key, |context| field(member, context)) {
            let kind = MemberKind::Field { name: &member.key, node };
            read.push(Member { key: &member.key, span: member.key_span, kind });
        }
    }
    Pattern::new(read)
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
            let message =
                format!("found {}, expected an array of conditions or a nested filter", describe(node));
            let key = member.key.as_str();
            let nested = context.is_nested();
            let help = match example(node) {
                Some(value) if OPERATORS.contains(&key) => {
                    format!("a matcher goes in an array: [{{{}: {value}}}]", Quoted(key))
                }
                _ if nested && let Some(matcher) = translate::element(Dialect::TriggerDev, key, node) => {
                    format!("a matcher goes in an array: [{matcher}]")
                }
                _ if nested && translate::is_name_of_an_operator(key) => {
                    format!("Trigger.dev has no operator {}; the native dialect has more", Quoted(key))
                }
                Some(value) => format!("write [{value}]"),
                None => "put the value in an array".to_owned(),
            };
            context.error(node.span, Code::WrongType, message, help)
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
        let of_one_kind = match first {
            Some(first) => first.type_name() == item.type_name(),
            None => true,
        };
        first = first.or(Some(item));
        match &item.kind {
            Kind::Object(members) => {
                let read = matcher(members, item, context);
                refuse_mixture(of_one_kind, first, item, context)?;
                read
            }
            Kind::Null => context.error(
                item.span,
                Code::WrongType,
                "null among literals, expected strings, numbers or booleans",
                "write {\"$isNull\": true}",
            ),
            Kind::Array(_) => context.error(
                item.span,
                Code::WrongType,
                "an array among conditions, expected literals or matchers",
                "for an element of an array write {\"$includes\": …}",
            ),
            _ => {
                refuse_mixture(of_one_kind, first, item, context)?;
                let leaf = Leaf::Equals(context.literal(item)?);
                let test = Test { key: "", span: item.span, kind: TestKind::Leaf(leaf) };
                Some(Condition { span: item.span, tests: vec![test] })
            }
        }
    });
    Conditions { quantifier, reach: Reach::Value, listed: true, items }
}

fn refuse_mixture<'n>(
    same: bool,
    first: Option<&Node>,
    item: &'n Node,
    context: &mut Context<'n>,
) -> Option<()> {
    if same {
        return Some(());
    }
    let what = |node: &Node| match node.kind {
        Kind::Object(_) => "a matcher",
        _ => node.type_name(),
    };
    let message = format!(
        "found {} in an array that begins with {}, expected only one type",
        what(item),
        first.map_or("something else", what)
    );
    context.error(item.span, Code::WrongType, message, "the native dialect may mix them")
}

fn matcher<'n>(
    members: &'n [json::Member],
    node: &'n Node,
    context: &mut Context<'n>,
) -> Option<Condition<'n>> {
    if members.is_empty() {
        return context.error(
            node.span,
            Code::Empty,
            "an empty object among conditions, expected a matcher",
            "write an operator: {\"$exists\": true}",
        );
    }
    let members = context.distinct(members, Duplicates::LastCounts);
    let mut tests = Vec::with_capacity(1);
    for member in members.iter() {
        if let Some(kind) = context.within(&member.key, |context| operator(member, context)) {
            tests.push(Test { key: &member.key, span: member.key_span, kind });
        }
    }
    if members.len() > 1 {
        let used = OPERATORS.iter().find(|name| members.iter().any(|member| member.key == **name));
        let count = members.len();
        let help = "write one matcher for each: an array of matchers is all-of";
        return context.error(node.span, Code::MisplacedOperator, match used {
            Some(used) => format!(
                "a matcher with {count} operators, expected one: Trigger.dev uses {} and ignores the rest",
                Quoted(used)
            ),
            None => format!("a matcher with {count} operators, expected one"),
        }, help);
    }
    if tests.is_empty() { None } else { Some(Condition { span: node.span, tests }) }
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
        _ => {
            unknown_operator(member, context);
            return None;
        }
    }))
}

fn unknown_operator<'n>(member: &'n json::Member, context: &mut Context<'n>) {
    let key = &member.key;
    let diagnostic =
        Diagnostic::error(format!("unknown operator {}", Quoted(key))).with_code(Code::UnknownOperator);
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
    context.report(member.key_span, diagnostic.with_help(help));
}

/// A string, number or boolean.
fn scalar<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Literal> {
    if matches!(node.kind, Kind::String(_) | Kind::Number(_) | Kind::Bool(_)) {
        return context.literal(node);
    }
    let help = match node.kind {
        Kind::Null => Some("write {\"$isNull\": …}".to_owned()),
        _ => None,
    };
    context.wrong_argument(key, "a string, number or boolean", node, help)
}

fn anything_but<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Option<Vec<Literal>> {
    let Kind::Array(items) = &node.kind else {
        return Some(vec![scalar(key, node, context)?]);
    };
    warn_of_duplicates(items, context);
    let mut first: Option<&Node> = None;
    let literals = context.each(items, |context, item| {
        let literal = scalar(key, item, context)?;
        let same = first.is_none_or(|first| first.type_name() == item.type_name());
        first = first.or(Some(item));
        refuse_mixture(same, first, item, context)?;
        Some(literal)
    });
    Some(literals)
}
