//! The native dialect: arrays are any-of, objects are matchers or nested filters, scalars are shorthand.
//!
//! An object is a matcher or a filter by its keys alone ([`role`]), before its values are read.

mod arguments;
mod foreign;

use super::Dialect;
use super::context::{Context, example};
use super::duplicates::warn_of_duplicates;
use super::lookalike::{help_for_path, short, warn_of_field};
use super::operators::{OPERATORS, find};
use crate::ast::{
    Condition, Conditions, Judge, Junction, Member, MemberKind, Node as Judged, Pattern, Quantifier, Reach,
    Test,
};
use crate::decode::{describe, did_you_mean};
use crate::diagnostic::{Code, Span};
use crate::json::{self, Kind, Node};
use crate::ops::text::Quoted;
pub(crate) use arguments::TEXT_OPERATORS;
pub(in crate::dialect) use arguments::between;
use arguments::operator;
use foreign::translation;

/// The meaning of a key.
enum Role<'k> {
    /// A field, with its name unescaped.
    Field(&'k str),
    Junction(Junction),
    Operator,
    /// It begins with `$`, but is no operator.
    Unknown,
}

fn role(key: &str) -> Role<'_> {
    match key {
        "$or" => Role::Junction(Junction::Or),
        "$and" => Role::Junction(Junction::And),
        "$nor" => Role::Junction(Junction::Nor),
        _ if !key.starts_with('$') => Role::Field(key),
        _ if key.starts_with("$$") => Role::Field(&key[1..]),
        _ if find(key).is_some() => Role::Operator,
        _ => Role::Unknown,
    }
}

/// A filter, or conditions on the event itself.
pub(super) fn read<'n>(node: &'n Node, context: &mut Context<'n>) -> Judge<'n> {
    root(node, context).unwrap_or(Judge::Pattern(Pattern::default()))
}

fn root<'n>(node: &'n Node, context: &mut Context<'n>) -> Option<Judge<'n>> {
    match &node.kind {
        Kind::Array(items) if is_list_of_filters(items) => {
            let message = "an array of filters, expected one filter";
            let help = "for events that match any of them write {\"$or\": […]}, for all {\"$and\": […]}";
            context.error(node.span, Code::WrongType, message, help)
        }
        Kind::Array(_) | Kind::Object(_) => {
            let help = "no event could match it: write {} for every event, {\"$size\": 0} for an empty array";
            container(node, help, context)
        }
        _ => {
            let message = format!("found {}, expected a filter: an object of fields", describe(node));
            let value = example(node).map(|value| format!("; for an event that is {value}, [{value}]"));
            let help = format!("write {{\"field\": condition}}{}", value.unwrap_or_default());
            context.error(node.span, Code::WrongType, message, help)
        }
    }
}

/// What an array or object says about a value; `help`: for an empty array. `None` for a scalar, too.
fn container<'n>(node: &'n Node, help: &'n str, context: &mut Context<'n>) -> Option<Judge<'n>> {
    Some(match &node.kind {
        Kind::Array(items) => {
            Judge::Conditions { listed: true, items: list(items, node.span, help, context)? }
        }
        Kind::Object(members) if is_matcher(members) => {
            Judge::Conditions { listed: false, items: vec![matcher(node, context)?] }
        }
        Kind::Object(members) => {
            refuse_mixture(members, node.span, context)?;
            Judge::Pattern(pattern(node, context)?)
        }
        _ => return None,
    })
}

/// Whether an array has filters of fields and nothing else.
fn is_list_of_filters(items: &[Node]) -> bool {
    let is_filter = |item: &Node| match &item.kind {
        Kind::Object(members) => {
            !is_matcher(members) && members.iter().all(|member| find(&member.key).is_none())
        }
        _ => false,
    };
    !items.is_empty() && items.iter().all(is_filter)
}

/// A filter: an object whose keys are fields and junctions.
fn pattern<'n>(node: &'n Node, context: &mut Context<'n>) -> Option<Pattern<'n>> {
    let Kind::Object(members) = &node.kind else {
        let message = format!("found {}, expected a filter: an object of fields", describe(node));
        return context.error(node.span, Code::WrongType, message, "write {\"field\": condition}");
    };
    Some(Pattern::new(context.each_member(members, |context, json| {
        Some(Member { key: &json.key, span: json.key_span, kind: member(json, context)? })
    })))
}

fn member<'n>(json: &'n json::Member, context: &mut Context<'n>) -> Option<MemberKind<'n>> {
    match role(&json.key) {
        Role::Field(name) => {
            refuse_junction(json, context)?;
            warn_of_field(Dialect::Native, json, context);
            let node = field(&json.value, context)?;
            Some(MemberKind::Field { name, node })
        }
        Role::Junction(kind) => {
            Some(MemberKind::Junction { kind, patterns: junction(&json.key, &json.value, context) })
        }
        Role::Operator => {
            let message = format!("the operator {} where a field is expected", Quoted(&json.key));
            let help = format!("an operator goes under a field: {{\"field\": {{{}: …}}}}", Quoted(&json.key));
            context.error(json.key_span, Code::MisplacedOperator, message, help)
        }
        Role::Unknown => unknown_operator(json, context),
    }
}

/// Refuses filters in a list under a field that is named like a junction.
fn refuse_junction<'n>(json: &'n json::Member, context: &mut Context<'n>) -> Option<()> {
    let Kind::Array(items) = &json.value.kind else { return Some(()) };
    let meant = |name: &&str| json.key.eq_ignore_ascii_case(&name[1..]);
    let name = JUNCTIONS.into_iter().find(meant).filter(|_| is_list_of_filters(items));
    let Some(name) = name else { return Some(()) };
    let message = format!("{} is a field here, and a field holds no list of filters", Quoted(&json.key));
    context.error(json.key_span, Code::WrongType, message, format!("did you mean {}?", Quoted(name)))
}

fn unknown_operator<T>(json: &json::Member, context: &mut Context<'_>) -> Option<T> {
    let key = &json.key;
    let foreign = translation(key, &json.value).or_else(|| help_for_path(Dialect::Native, json));
    let help = foreign.or_else(|| {
        let operators = OPERATORS.iter().map(|operator| operator.name);
        did_you_mean(key, &operators.chain(JUNCTIONS).collect::<Vec<_>>())
    });
    let otherwise = || format!("if it is a field's name, write {}", Quoted(&format!("${key}")));
    context.unknown_operator(json, help.unwrap_or_else(otherwise))
}

const JUNCTIONS: [&str; 3] = ["$or", "$and", "$nor"];

fn junction<'n>(key: &'n str, node: &'n Node, context: &mut Context<'n>) -> Vec<Pattern<'n>> {
    let Kind::Array(items) = &node.kind else {
        let help = matches!(node.kind, Kind::Object(_))
            .then(|| format!("put the filters in an array: {{{}: [{{…}}, {{…}}]}}", Quoted(key)));
        return context.wrong_argument(key, "an array of filters", node, help).unwrap_or_default();
    };
    if !items.is_empty() && items.iter().all(is_condition) {
        return refuse_conditions(key, node, context).unwrap_or_default();
    }
    if items.is_empty() {
        let message = format!("{} takes an array of filters, found an empty array", Quoted(key));
        context.error::<()>(node.span, Code::Empty, message, "remove it, or add a filter");
    }
    context.each(items, |context, item| pattern(item, context))
}

/// Whether an item is a literal or a matcher, where filters are expected.
fn is_condition(item: &Node) -> bool {
    match &item.kind {
        Kind::Object(members) => {
            !members.is_empty() && members.iter().all(|member| matches!(role(&member.key), Role::Operator))
        }
        Kind::Array(_) => false,
        _ => true,
    }
}

/// Reports that `$or`, `$and` or `$nor` has conditions, not filters.
fn refuse_conditions<'n>(
    key: &'n str,
    node: &'n Node,
    context: &mut Context<'n>,
) -> Option<Vec<Pattern<'n>>> {
    let message = format!("{} takes filters of fields, found conditions on one value", Quoted(key));
    let conditions = short(node);
    let help = match (key, conditions) {
        ("$or", Some(list)) => format!("in place of the object with $or write {list}: an array is any-of"),
        ("$or", None) => "in place of the object with $or write its array, which is any-of".to_owned(),
        ("$and", Some(list)) => format!("in place of the object with $and write {{\"$all\": {list}}}"),
        ("$and", None) => "for conditions on one value write $all".to_owned(),
        (_, Some(list)) => format!("in place of the object with $nor write {{\"$none\": {list}}}"),
        (_, None) => "for conditions on one value write $none".to_owned(),
    };
    context.error(node.span, Code::MisplacedOperator, message, help)
}

/// The condition on a field.
fn field<'n>(node: &'n Node, context: &mut Context<'n>) -> Option<Judged<'n>> {
    let judge = match &node.kind {
        Kind::Array(_) | Kind::Object(_) => {
            let help = "it could never hold: remove the field, or write {\"$size\": 0} for an empty array";
            container(node, help, context)?
        }
        _ => Judge::Conditions { listed: false, items: vec![context.equal(node)?] },
    };
    let (quantifier, reach) = (Quantifier::Any, Reach::Value);
    Some(match judge {
        Judge::Pattern(pattern) => Judged::Nested { reach, pattern },
        Judge::Conditions { listed, items } => {
            Judged::Conditions(Conditions { quantifier, reach, listed, items })
        }
    })
}

/// Whether an object is intended as a matcher: it has keys, and all are operators or misspelt ones.
fn is_matcher(members: &[json::Member]) -> bool {
    !members.is_empty()
        && members.iter().all(|member| matches!(role(&member.key), Role::Operator | Role::Unknown))
}

fn refuse_mixture<'n>(
    members: &'n [json::Member],
    span: Option<Span>,
    context: &mut Context<'n>,
) -> Option<()> {
    let operator = members.iter().find(|member| matches!(role(&member.key), Role::Operator));
    let field = members.iter().find(|member| matches!(role(&member.key), Role::Field(_) | Role::Junction(_)));
    let (Some(operator), Some(field)) = (operator, field) else { return Some(()) };
    let message = format!(
        "an object with both operators ({}) and fields ({}), expected only one of them",
        Quoted(&operator.key),
        Quoted(&field.key)
    );
    let escaped = format!("${}", operator.key);
    let help = format!("if {} is a field's name, write {}", Quoted(&operator.key), Quoted(&escaped));
    context.error(span, Code::MisplacedOperator, message, help)
}

/// The conditions of an array; an empty array is an error.
fn list<'n>(
    items: &'n [Node],
    span: Option<Span>,
    help: &'n str,
    context: &mut Context<'n>,
) -> Option<Vec<Condition<'n>>> {
    if items.is_empty() {
        return context.error(span, Code::Empty, "an empty array, expected at least one condition", help);
    }
    warn_of_duplicates(items, context);
    Some(context.each(items, |context, item| condition(item, context)))
}

fn condition<'n>(node: &'n Node, context: &mut Context<'n>) -> Option<Condition<'n>> {
    match &node.kind {
        Kind::Object(members) if is_matcher(members) => matcher(node, context),
        Kind::Object(members) => {
            refuse_mixture(members, node.span, context)?;
            let foreign = node.only_member().and_then(|only| translation(&only.key, &only.value));
            let help = match foreign {
                Some(help) => help,
                None if members.is_empty() => {
                    "write the field's filter without the array: {\"field\": {}}".to_owned()
                }
                None => {
                    "for one of several filters write $or; for elements of an array write $some".to_owned()
                }
            };
            let message =
                format!("found {} among conditions, expected a literal or a matcher", what(members));
            context.error(node.span, Code::WrongType, message, help)
        }
        Kind::Array(_) => {
            let message = "an array among conditions, expected a literal or a matcher";
            let help = "to look inside an array write $includes, $some or $every";
            context.error(node.span, Code::WrongType, message, help)
        }
        _ => context.equal(node),
    }
}

fn what(members: &[json::Member]) -> String {
    match members.first() {
        Some(member) => format!("a filter (of the field {})", Quoted(&member.key)),
        None => "an empty object".to_owned(),
    }
}

fn matcher<'n>(node: &'n Node, context: &mut Context<'n>) -> Option<Condition<'n>> {
    let Kind::Object(members) = &node.kind else { return None };
    let tests = tests(members, context);
    (!tests.is_empty()).then_some(Condition { span: node.span, tests })
}

fn tests<'n>(members: &'n [json::Member], context: &mut Context<'n>) -> Vec<Test<'n>> {
    context.tests(members, |member, context| match flags_of_regex(members, member) {
        Some(help) => context.unknown_operator(member, help),
        None => operator(member, context),
    })
}

/// The help for the flags of the regular expression beside them.
fn flags_of_regex(members: &[json::Member], flags: &json::Member) -> Option<String> {
    let Kind::String(letters) = &flags.value.kind else { return None };
    let known =
        !letters.is_empty() && letters.len() <= 4 && letters.bytes().all(|flag| b"imsx".contains(&flag));
    if !known || !matches!(flags.key.as_str(), "$options" | "$flags") {
        return None;
    }
    let regex = members.iter().find(|member| member.key == "$regex")?;
    let Kind::String(expression) = &regex.value.kind else { return None };
    let written = Kind::String(format!("(?{letters}){expression}"));
    let written = short(&Node { span: None, kind: written })?;
    Some(format!("flags go into the expression: write {{\"$regex\": {written}}}"))
}
