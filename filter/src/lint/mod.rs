//! Warnings about filters that compile, but probably do not have the intended meaning.
//!
//! The checks work on the typed tree, so for every dialect. Each warning is certain, since [`cover`] errs on the safe
//! side; a filter without warnings may still be unable to match, which is hard to decide in general.

mod cover;

use cover::{Levels, Lower, Upper};

use crate::ast::{
    self, Condition, Conditions, Judge, Junction, MemberKind, Node, Pattern, Quantifier, Reach, Test,
    TestKind,
};
use crate::diagnostic::{Code, Span};
use crate::dialect::Context;
use crate::ops::text::Quoted;
use crate::ops::types::{EVERYTHING, MISSING, SCALARS};
use crate::ops::{Leaf, Literal, Range};

/// Adds warnings about a valid tree to the context; linear in the size of the tree, except for sorting.
pub(crate) fn check<'n>(tree: &Judge<'n>, span: Option<Span>, context: &mut Context<'n>) {
    judge(tree, Subject::Event, span, context);
}

fn judge<'n>(tree: &Judge<'n>, subject: Subject, span: Option<Span>, context: &mut Context<'n>) {
    match tree {
        Judge::Pattern(tree) => pattern(tree, context),
        Judge::Conditions { listed, items } => {
            any(&Any { items, listed: *listed, reach: Reach::Value, subject }, span, context);
        }
    }
}

/// Conditions of which any must hold.
struct Any<'t, 'n> {
    items: &'t [Condition<'n>],
    listed: bool,
    reach: Reach,
    subject: Subject,
}

/// The value that conditions are about.
#[derive(Clone, Copy, PartialEq)]
enum Subject {
    Field,
    /// Is never missing.
    Element,
    /// Is never missing.
    Event,
}

fn pattern<'n>(tree: &Pattern<'n>, context: &mut Context<'n>) {
    for member in &tree.members {
        context.within(member.key, |context| match &member.kind {
            MemberKind::Field { node, .. } => field(node, member.span, context),
            MemberKind::Junction { kind, patterns } => {
                junction(*kind, patterns, member.key, member.span, context);
            }
        });
    }
}

fn junction<'n>(
    kind: Junction,
    patterns: &[Pattern<'n>],
    key: &'n str,
    span: Option<Span>,
    context: &mut Context<'n>,
) {
    for (index, one) in patterns.iter().enumerate() {
        context.within_index(index, |context| {
            let result = match kind {
                Junction::Or => Some((Code::AlwaysHolds, "always")),
                Junction::Nor => Some((Code::NeverHolds, "never")),
                Junction::And => None,
            };
            if let Some((code, when)) = result.filter(|_| one.members.is_empty()) {
                let message = format!("an empty filter matches everything, so {} {when} holds", Quoted(key));
                context.warn(span, code, message, "");
            }
            pattern(one, context);
        });
    }
}

fn field<'n>(node: &Node<'n>, span: Option<Span>, context: &mut Context<'n>) {
    match node {
        Node::Nested { pattern: nested, .. } => pattern(nested, context),
        Node::Conditions(all) => match all.quantifier {
            Quantifier::Any => {
                let Conditions { reach, listed, items, .. } = all;
                any(&Any { items, listed: *listed, reach: *reach, subject: Subject::Field }, span, context);
            }
            Quantifier::All => all_of(all, span, context),
        },
    }
}

/// Any-of conditions.
fn any<'n>(conditions: &Any<'_, 'n>, span: Option<Span>, context: &mut Context<'n>) {
    // A single literal, the most frequent condition, needs no check.
    if let [only] = conditions.items
        && only.literal().is_some()
    {
        return;
    }
    let universe = match (conditions.reach, conditions.subject) {
        (Reach::Value, Subject::Field) => EVERYTHING,
        (Reach::Value, Subject::Element | Subject::Event) => EVERYTHING & !MISSING,
        (Reach::Scalars, _) => SCALARS,
    };
    let mut lower = Lower::of_any(conditions.items, Levels::ALL);
    if conditions.reach == Reach::Scalars && !ast::hold_if_missing(conditions.items) {
        // In that dialect a missing field satisfies only a test for absence.
        lower.types &= !MISSING;
    }
    if lower.types & universe == universe {
        let (message, help) = match conditions.subject {
            Subject::Field => (
                "every value satisfies one of these conditions, a missing one too",
                "conditions in an array are any-of; remove the field, or one of them",
            ),
            Subject::Element => (
                "every element satisfies one of these conditions",
                "conditions in an array are any-of; to ask for an element at all write {\"$size\": {\"$gt\": 0}}",
            ),
            Subject::Event => (
                "every event satisfies one of these conditions",
                "conditions in an array are any-of; for every event write {}",
            ),
        };
        context.warn(span, Code::AlwaysHolds, message, help);
    } else if lower.ranges_meet && conditions.items.len() > 1 {
        let message = "every number satisfies one of these conditions: an array is any-of";
        context.warn(span, Code::RangeTrap, message, one_range(conditions));
    }
    items(conditions.listed, conditions.items, context);
}

/// The help line for several ranges: their intersection as one condition, if it is not empty.
fn one_range(conditions: &Any<'_, '_>) -> String {
    let mut both = Range { low: None, high: None };
    for test in conditions.items.iter().flat_map(|condition| &condition.tests) {
        if let TestKind::Leaf(Leaf::Number(range)) = &test.kind {
            both = both.intersection(range);
        }
    }
    match (both.low, both.high, conditions.reach) {
        (Some(low), Some(high), Reach::Value) if !both.is_empty() => {
            let (above, below) =
                (if low.inclusive { "$gte" } else { "$gt" }, if high.inclusive { "$lte" } else { "$lt" });
            format!("for a range write one matcher: {{\"{above}\": {}, \"{below}\": {}}}", low.at, high.at)
        }
        (Some(low), Some(high), Reach::Scalars) if !both.is_empty() && low.at != high.at => {
            let (above, below) =
                (if low.inclusive { ">=" } else { ">" }, if high.inclusive { "<=" } else { "<" });
            format!(
                "for a range write one condition: {{\"numeric\": [\"{above}\", {}, \"{below}\", {}]}}",
                low.at, high.at
            )
        }
        _ => "for a range put both bounds into one condition".to_owned(),
    }
}

/// Matchers that must all hold.
fn all_of<'n>(conditions: &Conditions<'n>, span: Option<Span>, context: &mut Context<'n>) {
    if conditions.items.is_empty() {
        let message = "an empty array is no constraint here: any value satisfies it";
        let help = "to ask whether the field is there write [{\"$exists\": true}]";
        return context.warn(span, Code::AlwaysHolds, message, help);
    }
    let alone =
        conditions.items.iter().any(|condition| Upper::of_tests(&condition.tests, Levels::ALL).is_empty());
    if !alone && Upper::of_all(&conditions.items, Levels::ALL).is_empty() {
        let help = "an array of matchers is all-of here; an array of literals is any-of";
        context.warn(span, Code::NeverHolds, "no value satisfies all of these matchers", help);
    }
    items(conditions.listed, &conditions.items, context);
}

fn items<'n>(listed: bool, conditions: &[Condition<'n>], context: &mut Context<'n>) {
    for (index, one) in conditions.iter().enumerate() {
        let check = |context: &mut Context<'n>| tests(&one.tests, one.span, context);
        if listed { context.within_index(index, check) } else { check(context) }
    }
}

/// Tests of one value, which must all hold.
fn tests<'n>(tests: &[Test<'n>], span: Option<Span>, context: &mut Context<'n>) {
    let mut possible = Upper::everything();
    for test in tests {
        let alone = Upper::of_test(test, Levels::ALL);
        if alone.is_empty() {
            context.within(test.key, |context| {
                let message = format!("{} never holds for any value", Quoted(test.key));
                let help = array_of_all(test).unwrap_or_default();
                context.warn(test.span, Code::NeverHolds, message, help);
            });
            possible = Upper::everything();
            break;
        }
        possible = possible.and(&alone);
    }
    if possible.is_empty() {
        let keys: Vec<String> = tests.iter().map(|test| Quoted(test.key).to_string()).collect();
        let message = match keys.as_slice() {
            [a, b] => format!("no value satisfies both {a} and {b}"),
            several => format!("no value satisfies all of {}", several.join(", ")),
        };
        context.warn(span, Code::NeverHolds, message, "");
    }
    for test in tests.iter().filter(|test| !test.key.is_empty()) {
        context.within(test.key, |context| argument(test, context));
    }
}

/// The help for literals of which a value cannot equal all: an array can have them.
fn array_of_all(test: &Test<'_>) -> Option<String> {
    let TestKind::All(conditions) = &test.kind else { return None };
    if conditions.len() > SHOWN {
        return None;
    }
    let includes = |condition: &Condition<'_>| {
        let literal = match condition.literal()? {
            Literal::String(text) => serde_json::Value::from(&**text).to_string(),
            other => other.to_string(),
        };
        Some(format!("{{\"$includes\": {literal}}}"))
    };
    let all: Vec<String> = conditions.iter().map(includes).collect::<Option<_>>()?;
    let list = Some(all.join(", ")).filter(|list| list.len() <= 20 * SHOWN);
    list.map(|list| format!("for an array that has all of them write {{\"$all\": [{list}]}}"))
}

/// The most literals that a help line shows.
const SHOWN: usize = 8;

/// The conditions in an operator's argument.
fn argument<'n>(test: &Test<'n>, context: &mut Context<'n>) {
    match &test.kind {
        TestKind::Leaf(Leaf::AnythingBut(literals)) if literals.is_empty() => {
            let message = format!("{} of nothing always holds", Quoted(test.key));
            context.warn(test.span, Code::AlwaysHolds, message, "");
        }
        TestKind::Leaf(_) | TestKind::Reference(_) | TestKind::NoneOf(_) => {}
        TestKind::IgnoreCase(inner) | TestKind::Size(inner) | TestKind::But(inner) => {
            tests(inner, test.span, context);
        }
        TestKind::Some(one) | TestKind::Every(one) => judge(one, Subject::Element, test.span, context),
        TestKind::All(conditions) | TestKind::None(conditions) => items(true, conditions, context),
    }
}
