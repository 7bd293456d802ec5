//! The native dialect: arrays are any-of, objects are matchers or nested filters, scalars are shorthand.

use super::context::{Context, Duplicates, Problem, describe, shown};
use super::duplicates::warn_of_duplicates;
use super::suggest::closest;
use crate::ast::{
    Condition, Conditions, Judge, Junction, Member, MemberKind, Node as Judged, Pattern, Quantifier, Reach,
    Test, TestKind,
};
use crate::diagnostic::Span;
use crate::json::{self, Kind, Node};
use crate::ops::text::Quoted;
use crate::ops::{IgnoreCase, Leaf, Literal, Num, Range, Substring};

/// Every operator, in the order in which the documentation lists them.
pub(crate) const OPERATORS: [&str; 22] = [
    "$startsWith",
    "$endsWith",
    "$contains",
    "$ignoreCaseEquals",
    "$regex",
    "$wildcard",
    "$cidr",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$between",
    "$includes",
    "$size",
    "$some",
    "$every",
    "$exists",
    "$isNull",
    "$anythingBut",
    "$not",
    "$all",
    "$none",
];

/// What other languages call our operators.
const FOREIGN: [(&str, &str); 34] = [
    ("$eq", "write the literal itself: {\"field\": \"value\"}"),
    ("$ne", "write {\"$anythingBut\": value}"),
    ("$neq", "write {\"$anythingBut\": value}"),
    ("$in", "write the array itself: {\"field\": [\"a\", \"b\"]}"),
    ("$nin", "write {\"$anythingBut\": [\"a\", \"b\"]}"),
    ("$notIn", "write {\"$anythingBut\": [\"a\", \"b\"]}"),
    ("$elemMatch", "write {\"$some\": …}"),
    ("$any", "write {\"$some\": …} for elements of an array; an array of conditions already is any-of"),
    ("$like", "write {\"$wildcard\": \"a*\"}"),
    ("$glob", "write {\"$wildcard\": \"a*\"}"),
    ("$match", "write {\"$regex\": \"…\"}"),
    ("$pattern", "write {\"$regex\": \"…\"}"),
    ("$prefix", "write {\"$startsWith\": \"…\"}"),
    ("$suffix", "write {\"$endsWith\": \"…\"}"),
    ("$length", "write {\"$size\": …}"),
    ("$len", "write {\"$size\": …}"),
    ("$range", "write {\"$between\": [low, high]}"),
    ("$greaterThan", "write {\"$gt\": …}"),
    ("$lessThan", "write {\"$lt\": …}"),
    ("$ge", "write {\"$gte\": …}"),
    ("$le", "write {\"$lte\": …}"),
    ("$null", "write null, or {\"$isNull\": true}"),
    ("$anyOf", "an array already is any-of; for filters write $or"),
    ("$allOf", "a matcher's operators all have to hold; for conditions write $all, for filters $and"),
    ("$noneOf", "write $none for conditions, $nor for filters"),
    ("prefix", "write {\"$startsWith\": \"…\"}, or compile it in the event-bridge dialect"),
    ("suffix", "write {\"$endsWith\": \"…\"}, or compile it in the event-bridge dialect"),
    ("equals-ignore-case", "write {\"$ignoreCaseEquals\": \"…\"}, or compile it in the event-bridge dialect"),
    ("anything-but", "write {\"$anythingBut\": …}, or compile it in the event-bridge dialect"),
    ("numeric", "write $gt, $gte, $lt, $lte or $between, or compile it in the event-bridge dialect"),
    ("exists", "write {\"$exists\": …}, or compile it in the event-bridge dialect"),
    ("wildcard", "write {\"$wildcard\": \"…\"}, or compile it in the event-bridge dialect"),
    ("cidr", "write {\"$cidr\": \"…\"}, or compile it in the event-bridge dialect"),
    ("exactly", "write the string itself, or compile it in the event-bridge dialect"),
];

/// What a key of an object makes of it.
enum Role<'k> {
    /// A field, by its name without the escape.
    Field(&'k str),
    Junction(Junction),
    Operator,
    /// It begins with `$`, and means nothing.
    Unknown,
}

fn role(key: &str) -> Role<'_> {
    match key {
        "$or" => Role::Junction(Junction::Or),
        "$and" => Role::Junction(Junction::And),
        "$nor" => Role::Junction(Junction::Nor),
        _ if !key.starts_with('$') => Role::Field(key),
        _ if key.starts_with("$$") => Role::Field(&key[1..]),
        _ if OPERATORS.contains(&key) => Role::Operator,
        _ => Role::Unknown,
    }
}

pub(super) fn read(node: &Node, context: &mut Context<'_>) -> Pattern {
    pattern(node, context).unwrap_or(Pattern { members: Vec::new() })
}

/// A filter: an object whose keys are fields and junctions.
fn pattern(node: &Node, context: &mut Context<'_>) -> Option<Pattern> {
    let Kind::Object(members) = &node.kind else {
        let message = format!("found {}, expected a filter: an object of fields", describe(node));
        context.error(node.span, Problem::new(message).help("write {\"field\": condition}"));
        return None;
    };
    let mut read = Vec::with_capacity(members.len());
    for json in context.distinct(members, Duplicates::Refuse) {
        if let Some(kind) = context.within(&json.key, |context| member(json, context)) {
            read.push(Member { key: json.key.clone(), span: json.key_span, kind });
        }
    }
    Some(Pattern { members: read })
}

fn member(json: &json::Member, context: &mut Context<'_>) -> Option<MemberKind> {
    match role(&json.key) {
        Role::Field(name) => {
            let node = field(&json.value, context)?;
            Some(MemberKind::Field { name: name.to_owned(), node })
        }
        Role::Junction(kind) => {
            Some(MemberKind::Junction { kind, patterns: junction(&json.key, &json.value, context) })
        }
        Role::Operator => {
            let message = format!("the operator {} where a field is expected", Quoted(&json.key));
            let help = format!("an operator goes under a field: {{\"field\": {{{}: …}}}}", Quoted(&json.key));
            context.error(json.key_span, Problem::new(message).help(help));
            None
        }
        Role::Unknown => {
            unknown_operator(json, context);
            None
        }
    }
}

fn unknown_operator(json: &json::Member, context: &mut Context<'_>) {
    let key = &json.key;
    let foreign = FOREIGN.iter().find(|(name, _)| name == key).map(|(_, help)| (*help).to_owned());
    let junctions = ["$or", "$and", "$nor"];
    let help = foreign
        .or_else(|| {
            let known: Vec<&str> = OPERATORS.iter().chain(&junctions).copied().collect();
            closest(key, &known).map(|name| format!("did you mean {}?", Quoted(name)))
        })
        .unwrap_or_else(|| format!("if it is a field's name, write {}", Quoted(&format!("${key}"))));
    context.error(json.key_span, Problem::new(format!("unknown operator {}", Quoted(key))).help(help));
}

fn junction(key: &str, node: &Node, context: &mut Context<'_>) -> Vec<Pattern> {
    let Kind::Array(items) = &node.kind else {
        let help = match &node.kind {
            Kind::Object(_) => {
                Some(format!("put the filters in an array: {{{}: [{{…}}, {{…}}]}}", Quoted(key)))
            }
            _ => None,
        };
        context.wrong_argument(key, "an array of filters", node, help);
        return Vec::new();
    };
    if items.is_empty() {
        let message = format!("{} takes an array of filters, found an empty array", Quoted(key));
        context.error(node.span, Problem::new(message).help("remove it, or add a filter"));
    }
    context.each(items, |context, item| pattern(item, context))
}

/// What a field must be.
fn field(node: &Node, context: &mut Context<'_>) -> Option<Judged> {
    match &node.kind {
        Kind::Array(items) => {
            let help = "it could never hold: remove the field, or write {\"$size\": 0} for an empty array";
            let items = list(items, node.span, help, context)?;
            Some(conditions(items, true))
        }
        Kind::Object(members) if is_matcher(members) => {
            Some(conditions(vec![matcher(node, context)?], false))
        }
        Kind::Object(members) => {
            refuse_mixture(members, node.span, context)?;
            Some(Judged::Nested { reach: Reach::Value, pattern: pattern(node, context)? })
        }
        _ => Some(conditions(vec![literal(node, context)?], false)),
    }
}

fn conditions(items: Vec<Condition>, listed: bool) -> Judged {
    Judged::Conditions(Conditions { quantifier: Quantifier::Any, reach: Reach::Value, listed, items })
}

/// Whether an object is meant as a matcher: it has keys, and all are operators or look like one.
fn is_matcher(members: &[json::Member]) -> bool {
    !members.is_empty()
        && members.iter().all(|member| matches!(role(&member.key), Role::Operator | Role::Unknown))
}

fn refuse_mixture(members: &[json::Member], span: Option<Span>, context: &mut Context<'_>) -> Option<()> {
    let operator = members.iter().find(|member| matches!(role(&member.key), Role::Operator));
    let field = members.iter().find(|member| matches!(role(&member.key), Role::Field(_) | Role::Junction(_)));
    let (Some(operator), Some(field)) = (operator, field) else { return Some(()) };
    let message = format!(
        "an object with both operators ({}) and fields ({}), expected only one of them",
        Quoted(&operator.key),
        Quoted(&field.key)
    );
    let help = format!(
        "if {} is a field's name, write {}",
        Quoted(&operator.key),
        Quoted(&format!("${}", operator.key))
    );
    context.error(span, Problem::new(message).help(help));
    None
}

/// The conditions of an array, which must not be empty.
fn list(items: &[Node], span: Option<Span>, help: &str, context: &mut Context<'_>) -> Option<Vec<Condition>> {
    if items.is_empty() {
        let problem = Problem::new("an empty array, expected at least one condition");
        context.error(span, problem.help(help));
        return None;
    }
    warn_of_duplicates(items, context);
    Some(context.each(items, |context, item| condition(item, context)))
}

fn condition(node: &Node, context: &mut Context<'_>) -> Option<Condition> {
    match &node.kind {
        Kind::Object(members) if is_matcher(members) => matcher(node, context),
        Kind::Object(members) => {
            refuse_mixture(members, node.span, context)?;
            let foreign = members.first().and_then(|m| FOREIGN.iter().find(|(name, _)| *name == m.key));
            let help = match foreign {
                Some((_, help)) => (*help).to_owned(),
                None if members.is_empty() => {
                    "write the field's filter without the array: {\"field\": {}}".to_owned()
                }
                None => {
                    "for one of several filters write $or; for elements of an array write $some".to_owned()
                }
            };
            let message =
                format!("found {} among conditions, expected a literal or a matcher", what(members));
            context.error(node.span, Problem::new(message).help(help));
            None
        }
        Kind::Array(_) => {
            let problem = Problem::new("an array among conditions, expected a literal or a matcher");
            let help = "to look inside an array write $includes, $some or $every";
            context.error(node.span, problem.help(help));
            None
        }
        _ => literal(node, context),
    }
}

fn what(members: &[json::Member]) -> String {
    match members.first() {
        Some(member) => format!("a filter (of the field {})", Quoted(&member.key)),
        None => "an empty object".to_owned(),
    }
}

fn literal(node: &Node, context: &mut Context<'_>) -> Option<Condition> {
    let leaf = Leaf::Equals(context.literal(node)?);
    let test = Test { key: String::new(), span: node.span, kind: TestKind::Leaf(leaf) };
    Some(Condition { span: node.span, tests: vec![test] })
}

fn matcher(node: &Node, context: &mut Context<'_>) -> Option<Condition> {
    let Kind::Object(members) = &node.kind else { return None };
    let tests = tests(members, context);
    if tests.is_empty() { None } else { Some(Condition { span: node.span, tests }) }
}

fn tests(members: &[json::Member], context: &mut Context<'_>) -> Vec<Test> {
    let mut tests = Vec::with_capacity(members.len());
    for member in context.distinct(members, Duplicates::Refuse) {
        let kind = context.within(&member.key, |context| operator(member, context));
        if let Some(kind) = kind {
            tests.push(Test { key: member.key.clone(), span: member.key_span, kind });
        }
    }
    tests
}

/// One operator with its argument.
fn operator(member: &json::Member, context: &mut Context<'_>) -> Option<TestKind> {
    let (key, node) = (member.key.as_str(), &member.value);
    let leaf = match key {
        "$startsWith" => Leaf::StartsWith(context.string(key, node)?.into()),
        "$endsWith" => Leaf::EndsWith(context.string(key, node)?.into()),
        "$contains" => Leaf::Contains(Substring::new(context.string(key, node)?)),
        "$ignoreCaseEquals" => Leaf::IgnoreCase(Box::new(IgnoreCase::new(context.string(key, node)?))),
        "$regex" => {
            let text = context.string(key, node)?;
            context.regex(text, node.span)?
        }
        "$wildcard" => {
            let text = context.string(key, node)?;
            Leaf::Wildcard(Box::new(context.wildcard(text, node.span, true)?))
        }
        "$cidr" => {
            let text = context.string(key, node)?;
            Leaf::Cidr(context.cidr(text, node.span, true)?)
        }
        "$gt" => range(Range::above(context.number(key, node)?, false)),
        "$gte" => range(Range::above(context.number(key, node)?, true)),
        "$lt" => range(Range::below(context.number(key, node)?, false)),
        "$lte" => range(Range::below(context.number(key, node)?, true)),
        "$between" => {
            let (low, high) = between(key, node, context)?;
            refuse_reversed(low, high, node, context)?;
            range(Range::closed(low, high))
        }
        "$includes" => Leaf::Includes(scalar(key, node, context)?),
        "$not" => Leaf::Not(scalar(key, node, context)?),
        "$exists" => Leaf::Exists(context.boolean(key, node)?),
        "$isNull" => Leaf::IsNull(context.boolean(key, node)?),
        "$anythingBut" => return anything_but(key, node, context),
        "$size" => return size(key, node, context),
        "$some" => return Some(TestKind::Some(judge(key, node, context)?)),
        "$every" => return Some(TestKind::Every(judge(key, node, context)?)),
        "$all" => return Some(TestKind::All(argument_list(key, node, context)?)),
        "$none" => return Some(TestKind::None(argument_list(key, node, context)?)),
        _ => {
            unknown_operator(member, context);
            return None;
        }
    };
    Some(TestKind::Leaf(leaf))
}

fn range(range: Range) -> Leaf {
    Leaf::Number(Box::new(range))
}

/// The two numbers of `$between`.
pub(super) fn between(key: &str, node: &Node, context: &mut Context<'_>) -> Option<(Num, Num)> {
    let Kind::Array(items) = &node.kind else {
        context.wrong_argument(key, "two numbers, [low, high]", node, None);
        return None;
    };
    let [low, high] = items.as_slice() else {
        let count = items.len();
        let message = format!("{} takes two numbers, [low, high], found an array of {count}", Quoted(key));
        context.error(node.span, Problem::new(message));
        return None;
    };
    let low = context.within_index(0, |context| context.number(key, low));
    let high = context.within_index(1, |context| context.number(key, high));
    low.zip(high)
}

fn refuse_reversed(low: Num, high: Num, node: &Node, context: &mut Context<'_>) -> Option<()> {
    if low.compare(high).is_le() {
        return Some(());
    }
    let message = format!("\"$between\" has its low bound {low} above its high bound {high}");
    context.error(node.span, Problem::new(message).help(format!("write [{high}, {low}]")));
    None
}

/// The argument of an operator that takes one literal.
fn scalar(key: &str, node: &Node, context: &mut Context<'_>) -> Option<Literal> {
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
    context.wrong_argument(key, "a string, number, boolean or null", node, help);
    None
}

fn anything_but(key: &str, node: &Node, context: &mut Context<'_>) -> Option<TestKind> {
    match &node.kind {
        Kind::Array(items) if items.is_empty() => {
            let message = format!("{} with an empty array, expected at least one literal", Quoted(key));
            context.error(node.span, Problem::new(message).help("it would always hold: remove it"));
            None
        }
        Kind::Array(items) => {
            warn_of_duplicates(items, context);
            let literals = context.each(items, |context, item| {
                if matches!(item.kind, Kind::Array(_) | Kind::Object(_)) {
                    let help = match item.kind {
                        Kind::Object(_) => Some("for none of several conditions write $none".to_owned()),
                        _ => None,
                    };
                    context.wrong_argument(key, "only literals in its array", item, help);
                    return None;
                }
                context.literal(item)
            });
            Some(TestKind::Leaf(Leaf::AnythingBut(literals.into())))
        }
        Kind::Object(members) if is_matcher(members) => Some(TestKind::But(tests(members, context))),
        Kind::Object(_) => {
            let expected = "a literal, an array of literals, or a matcher";
            context.wrong_argument(key, expected, node, Some("to negate a filter write $nor".to_owned()));
            None
        }
        _ => Some(TestKind::Leaf(Leaf::AnythingBut([context.literal(node)?].into()))),
    }
}

/// Operators that can be asked about a number; all others would never hold for a length, or always.
const ON_NUMBERS: [&str; 9] =
    ["$gt", "$gte", "$lt", "$lte", "$between", "$anythingBut", "$not", "$all", "$none"];

fn size(key: &str, node: &Node, context: &mut Context<'_>) -> Option<TestKind> {
    let expected = "a number, or a matcher of numbers";
    match &node.kind {
        Kind::Number(_) => {
            let leaf = Leaf::Equals(context.literal(node)?);
            Some(TestKind::Size(vec![Test {
                key: String::new(),
                span: node.span,
                kind: TestKind::Leaf(leaf),
            }]))
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
            context.wrong_argument(key, expected, node, Some(help));
            None
        }
        _ => {
            context.wrong_argument(key, expected, node, None);
            None
        }
    }
}

/// Reports what in a matcher is not about numbers. Unknown operators are reported when the matcher is read.
fn about_numbers(members: &[json::Member], context: &mut Context<'_>) {
    for member in members {
        context.within(&member.key, |context| {
            let key = member.key.as_str();
            if matches!(role(key), Role::Operator) && !ON_NUMBERS.contains(&key) {
                let message =
                    format!("{} says nothing about a length, expected a matcher of numbers", Quoted(key));
                let help = "write $gt, $gte, $lt, $lte, $between, $anythingBut, $not, $all or $none";
                context.error(member.key_span, Problem::new(message).help(help));
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

fn about_number(key: &str, node: &Node, context: &mut Context<'_>) {
    match &node.kind {
        Kind::Object(members) => about_numbers(members, context),
        Kind::Null | Kind::Bool(_) | Kind::String(_) if ON_NUMBERS.contains(&key) => {
            context.wrong_argument(key, "numbers when it is about a length", node, None);
        }
        _ => {}
    }
}

const ADD_ONE: &str = "add a condition, or remove the operator";

/// What the elements of an array are held against.
fn judge(key: &str, node: &Node, context: &mut Context<'_>) -> Option<Judge> {
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
            let help = format!("write {{{}: [{}]}}", Quoted(key), shown(node));
            let help = if key == "$some" { format!("{help}, or $includes") } else { help };
            context.wrong_argument(key, "a filter, a matcher, or an array of conditions", node, Some(help));
            None
        }
    }
}

fn argument_list(key: &str, node: &Node, context: &mut Context<'_>) -> Option<Vec<Condition>> {
    match &node.kind {
        Kind::Array(items) => list(items, node.span, ADD_ONE, context),
        _ => {
            let help = "put the conditions in an array".to_owned();
            context.wrong_argument(key, "an array of conditions", node, Some(help));
            None
        }
    }
}
