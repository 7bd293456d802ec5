//! Warnings about rules beside each other: equal rules, and rules whose events another rule matches too.
//!
//! Comparing each rule with each other would take quadratic time. Instead, for each rule an event is made that it matches
//! (`example`), and the set of all rules finds the others that match this event. Only those can be implied by the rule, and
//! only those are compared ([`Filter::implies`]).
//!
//! ```text
//!  rule ─► example event ─► set of rules ─► a few candidates ─► conditions compared ─► warning
//!     └──► all rules, or those with the same member ──► (without an example) ─┘
//! ```
//!
//! Every warning is true, and not everything is found: a rule without an example (`$regex`, only `$nor`) among more than [`FEW`]
//! is compared only with rules that have one of its members too, and what [`Filter::implies`] does not see is not found. The work is
//! bounded: [`CANDIDATES`] for a rule, and [`BUDGET`] in all, since a million rules may match one event; the caller learns how many
//! rules were compared.

mod example;
mod normal;

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::fmt::Display;
use std::hash::{Hash as _, Hasher as _};

use filter::{Code, Diagnostic, Dialect, Filter, FilterSet, Matches, Span};
use serde_json::Value;

/// The most candidates whose conditions are compared with those of one rule.
const CANDIDATES: usize = 16;
/// The most matches of examples, for all rules together.
const BUDGET: usize = 20_000_000;
/// Up to this many rules, one without an example is compared with all others.
const FEW: usize = 256;

/// A rule of a file.
#[derive(Debug)]
pub(super) struct Rule {
    /// The id as it stands in the file.
    pub(super) id: String,
    pub(super) span: Span,
    pub(super) line: u32,
    pub(super) filter: Filter,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) warnings: Vec<Diagnostic>,
    /// How many rules were compared with all others; equal rules are found among all.
    pub(super) compared: usize,
}

/// Compares rules of one dialect, in the order of their file.
pub(super) fn compare(rules: &[Rule], dialect: Dialect) -> Found {
    let mut warnings = Vec::new();
    let mut first_of: HashMap<String, usize> = HashMap::with_capacity(rules.len());
    let mut unique = FilterSet::builder();
    let mut normal = HashMap::new();
    for (number, rule) in rules.iter().enumerate() {
        if rule.filter.never_matches() {
            // Its own warnings may say it already.
            if !rule.filter.warnings().iter().any(|warning| warning.code() == Code::NeverHolds) {
                warnings.push(warning(
                    rule,
                    format_args!("can never match: its conditions contradict each other"),
                    "conditions in one array are alternatives; all other conditions must hold together",
                ));
            }
            continue;
        }
        let value = normal::of(rule.filter.to_value(), dialect);
        match first_of.entry(value.to_string()) {
            Entry::Vacant(entry) => {
                entry.insert(number);
                unique = unique.add(number, rule.filter.clone());
                normal.insert(number, value);
            }
            Entry::Occupied(entry) => {
                let Rule { id, line, .. } = &rules[*entry.get()];
                warnings.push(warning(rule, format_args!("has the filter of {id} on line {line}"), SAME));
            }
        }
    }
    let compared = implied(rules, &unique.build(), &normal, &mut warnings);
    warnings.sort_by_key(|warning| warning.span().map(|span| span.start));
    Found { warnings, compared }
}

/// Finds rules that imply others; returns how many rules were compared.
fn implied(
    rules: &[Rule],
    unique: &FilterSet<usize>,
    normal: &HashMap<usize, Value>,
    warnings: &mut Vec<Diagnostic>,
) -> usize {
    let mut matches = Matches::new();
    let mut left = BUDGET;
    // Made for the first rule without an example.
    let mut by_member = None;
    for (number, rule) in rules.iter().enumerate() {
        let Some(value) = normal.get(&number) else { continue };
        // That a last rule takes all events that are left is no mistake.
        let is_empty = |filter: &Value| filter.as_object().is_some_and(serde_json::Map::is_empty);
        let is_last_resort = |other: usize| other > number && normal.get(&other).is_some_and(is_empty);
        let others: Vec<usize> = if let Some(event) = example::of(&rule.filter, value) {
            unique.matches_into(&event, &mut matches);
            let Some(rest) = left.checked_sub(matches.len()) else { return number };
            left = rest;
            let others = matches.ids(unique).copied();
            others.filter(|&other| other != number && !is_last_resort(other)).take(CANDIDATES).collect()
        } else if normal.len() <= FEW {
            let mut others: Vec<usize> = normal.keys().copied().collect();
            others.retain(|&other| other != number && !is_last_resort(other));
            others.sort_unstable();
            others
        } else {
            let by_member = by_member.get_or_insert_with(|| ByMember::of(normal));
            by_member.candidates(value).filter(|&other| other != number).take(CANDIDATES).collect()
        };
        let wider = others.into_iter().filter_map(|other| Some((other, rules.get(other)?)));
        for (other, wider) in wider.filter(|(_, wider)| rule.filter.implies(&wider.filter)) {
            if !wider.filter.implies(&rule.filter) {
                warnings.push(covered(rule, wider));
            } else if other < number {
                let Rule { id, line, .. } = wider;
                let what = format_args!("matches the same events as {id} on line {line}");
                warnings.push(warning(rule, what, SAME));
            } else {
                // The other one has the warning.
                continue;
            }
            break;
        }
    }
    rules.len()
}

/// Each rule by the member that the fewest others have: a rule that it is a part of has this member too.
struct ByMember(HashMap<u64, Vec<usize>>);

impl ByMember {
    fn of(normal: &HashMap<usize, Value>) -> Self {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for member in normal.values().flat_map(hashes_of_members) {
            *counts.entry(member).or_default() += 1;
        }
        let mut all: HashMap<u64, Vec<usize>> = HashMap::new();
        for (&number, value) in normal {
            if let Some(rarest) = hashes_of_members(value).min_by_key(|member| counts.get(member)) {
                all.entry(rarest).or_default().push(number);
            }
        }
        all.values_mut().for_each(|rules| rules.sort_unstable());
        Self(all)
    }

    /// Rules whose members this one may have, and a few others: equal hashes need not mean equal members.
    fn candidates<'v>(&'v self, value: &'v Value) -> impl Iterator<Item = usize> + 'v {
        hashes_of_members(value).filter_map(|member| self.0.get(&member)).flatten().copied()
    }
}

fn hashes_of_members(filter: &Value) -> impl Iterator<Item = u64> {
    filter.as_object().into_iter().flatten().map(|(key, node)| {
        let mut hasher = DefaultHasher::new();
        (key, node.to_string()).hash(&mut hasher);
        hasher.finish()
    })
}

/// The help where one of two rules is superfluous.
const SAME: &str = "remove one of the two; route --first never chooses the second";

/// `the rule 17 has the filter of 16 on line 3`
fn warning(rule: &Rule, what: impl Display, help: &str) -> Diagnostic {
    let warning = Diagnostic::warning(format!("the rule {} {what}", rule.id));
    warning.with_pointer("/id").with_span(Some(rule.span)).with_help(help)
}

fn covered(rule: &Rule, other: &Rule) -> Diagnostic {
    let message =
        format!("every event of the rule {} matches {} on line {} too", rule.id, other.id, other.line);
    let help = if other.line < rule.line {
        "route --first never chooses it: move it before the other, if it is to have a priority of its own"
    } else {
        "with route both ids are printed for each such event; with route --first only the first"
    };
    Diagnostic::warning(message).with_pointer("/id").with_span(Some(rule.span)).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use filter::FilterOptions;

    fn found(dialect: Dialect, filters: &[&str]) -> Vec<String> {
        let options = FilterOptions::new().dialect(dialect);
        let rule = |(number, text): (usize, &&str)| Rule {
            id: number.to_string(),
            span: Span { start: number, end: number },
            line: number as u32,
            filter: options.parse(text).unwrap(),
        };
        let rules: Vec<_> = filters.iter().enumerate().map(rule).collect();
        let found = compare(&rules, dialect);
        assert_eq!(found.compared, rules.len());
        found.warnings.iter().map(|warning| warning.message().to_owned()).collect()
    }

    fn implies(number: usize, other: usize) -> String {
        format!("every event of the rule {number} matches {other} on line {other} too")
    }

    #[test]
    fn rules_are_equal_however_they_are_written() {
        for other in [
            r#"{"b": {"c": {"$gt": 1}}, "a": ["y", "x"]}"#,
            r#"{"a": ["x", "y", "x"], "b": {"c": [{"$gt": 1}]}}"#,
        ] {
            let filters = [r#"{"a": ["x", "y"], "b": {"c": {"$gt": 1}}}"#, other];
            assert_eq!(found(Dialect::Native, &filters), ["the rule 1 has the filter of 0 on line 0"]);
        }
        assert_eq!(
            found(Dialect::Native, &[r#"{"a": 1}"#, r#"{"a": {"$between": [1, 2]}}"#]),
            [implies(0, 1)]
        );
    }

    #[test]
    fn a_narrower_rule_implies_a_wider_one() {
        for (narrow, wide) in [
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 1}"#),
            (r#"{"a": 1}"#, r#"{"a": [1, 2]}"#),
            (r#"{"a": {"$gt": 10}}"#, r#"{"a": {"$gt": 5}}"#),
            (r#"{"a": {"$gt": 5}}"#, r#"{"a": {"$gte": 5}}"#),
            (r#"{"a": {"$between": [1, 2]}}"#, r#"{"a": {"$lte": 2}}"#),
            (r#"{"a": {"$startsWith": "order.paid"}}"#, r#"{"a": {"$startsWith": "order."}}"#),
            (r#"{"a": "order.paid"}"#, r#"{"a": {"$endsWith": "paid"}}"#),
            (r#"{"a": {"b": ["x"], "c": 1}}"#, r#"{"a": {"b": ["x", "y"]}}"#),
            (r#"{"a": "x", "$or": [{"b": 1}, {"c": 1}]}"#, r#"{"$or": [{"b": 1}, {"c": 1}]}"#),
            (r#"{"a": "x"}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": {"$regex": "^x"}, "b": 1}"#, r#"{"a": {"$regex": "^x"}}"#),
            (r#"{"a": {"$gt": {"$ref": "/b"}}, "c": {"$gt": 2}}"#, r#"{"a": {"$gt": {"$ref": "/b"}}}"#),
            (
                r#"{"a": {"$after": "2027-01-01T00:00:00Z"}}"#,
                r#"{"a": {"$after": "2026-01-01T00:00:00+01:00"}}"#,
            ),
            (
                r#"{"a": {"$before": "2026-01-01T00:00:00Z"}}"#,
                r#"{"a": {"$before": "2027-01-01T00:00:00Z"}}"#,
            ),
            (r#"{"a": {"$cidr": "10.1.0.0/16"}}"#, r#"{"a": {"$cidr": "10.0.0.0/8"}}"#),
            (r#"{"a": {"$wildcard": "order.*.paid"}}"#, r#"{"a": {"$startsWith": "order"}}"#),
            (r#"{"a": {"$some": {"k": 1, "l": 2}}}"#, r#"{"a": {"$some": {"k": 1}}}"#),
            (r#"{"a": {"$ignoreCase": {"$eq": "XY"}}}"#, r#"{"a": {"$ignoreCase": {"$startsWith": "x"}}}"#),
            (r#"{"$nor": [{"a": 1}, {"b": 1}]}"#, r#"{"$nor": [{"a": 1}]}"#),
            (r#"{"a": {"$every": [1]}}"#, r#"{"a": {"$every": [1, 2]}}"#),
        ] {
            assert_eq!(found(Dialect::Native, &[wide, narrow]), [implies(1, 0)], "{narrow} {wide}");
            assert_eq!(found(Dialect::Native, &[narrow, wide]), [implies(0, 1)], "{narrow} {wide}");
        }
        assert_eq!(found(Dialect::Native, &["{}", r#"{"a": "x"}"#]), [implies(1, 0)]);
        assert_eq!(found(Dialect::Native, &[r#"{"a": "x"}"#, "{}"]), [""; 0]);
        let patterns =
            [r#"{"a": ["x"]}"#, r#"{"a": [{"prefix": ""}, "x"], "b": [1]}"#, r#"{"a": ["x"], "b": [1]}"#];
        assert_eq!(found(Dialect::EventBridge, &patterns), [implies(2, 0)]);
    }

    #[test]
    fn rules_of_different_events_are_no_warning() {
        for filters in [
            [r#"{"a": 1}"#, r#"{"b": 1}"#],
            [r#"{"a": {"$gt": 1}}"#, r#"{"a": {"$lt": 5}}"#],
            [r#"{"a": {"$startsWith": "x"}, "b": 1}"#, r#"{"a": {"$startsWith": "xy"}}"#],
            [r#"{"a": {"$regex": "x"}}"#, r#"{"a": {"$regex": "y"}}"#],
            [r#"{"a": {"$regex": "x"}, "b": 1}"#, r#"{"a": {"$regex": "x"}, "b": 2}"#],
            [r#"{"a": {"$cidr": "10.0.0.0/8"}}"#, r#"{"a": {"$cidr": "11.0.0.0/8"}}"#],
            [r#"{"a": {"$cidr": "10.0.0.0/31"}}"#, r#"{"a": {"$cidr": "10.0.0.0/30"}, "b": 1}"#],
            [r#"{"a": {"$wildcard": "a\\*b"}}"#, r#"{"a": {"$startsWith": "ab"}}"#],
            [r#"{"$nor": [{"a": 1}]}"#, r#"{"$nor": [{"b": 1}]}"#],
        ] {
            let all = found(Dialect::Native, &filters);
            assert!(all.is_empty(), "{filters:?}: {all:?}");
        }
        // In an array the element that has p need not be the one that has no q.
        let patterns =
            [r#"{"x": {"p": [1], "q": [{"exists": false}]}}"#, r#"{"x": {"q": [{"exists": false}]}}"#];
        assert!(found(Dialect::EventBridge, &patterns).is_empty());
    }

    #[test]
    fn rules_without_an_example_are_compared_too() {
        let wide = r#"{"b": {"$gt": 5}}"#;
        for narrow in [
            r#"{"a": {"$regex": "^x+$"}, "b": {"$gt": 10}}"#,
            r#"{"a": {"$gt": {"$ref": "/c"}}, "b": 7}"#,
            r#"{"$nor": [{"a": 1}], "b": {"$between": [6, 7]}}"#,
        ] {
            assert_eq!(found(Dialect::Native, &[wide, narrow]), [implies(1, 0)], "{narrow}");
        }
        let many: Vec<String> = (0..FEW).map(|i| format!(r#"{{"c": {i}}}"#)).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        many.extend([r#"{"a": {"$regex": "^x+$"}}"#, r#"{"a": {"$regex": "^x+$"}, "b": 1}"#]);
        assert_eq!(found(Dialect::Native, &many), [implies(FEW + 1, FEW)]);
    }

    #[test]
    fn rules_with_the_same_events_have_one_warning() {
        for (one, other) in [
            (r#"{"a": 7}"#, r#"{"a": {"$between": [7, 7]}}"#),
            (r#"{"a": 1, "b": 2}"#, r#"{"$and": [{"a": 1}, {"b": 2}]}"#),
            (r#"{"a": {"$startsWith": "x"}}"#, r#"{"a": {"$wildcard": "x*"}}"#),
        ] {
            let expected = "the rule 1 matches the same events as 0 on line 0";
            assert_eq!(found(Dialect::Native, &[one, other]), [expected], "{one} {other}");
        }
    }

    #[test]
    fn a_rule_that_never_matches_implies_no_other() {
        let expected = "the rule 0 can never match: its conditions contradict each other";
        let never = r#"{"a": "x", "$nor": [{"a": {"$startsWith": "x"}}]}"#;
        assert_eq!(found(Dialect::Native, &[never, r#"{"a": "x"}"#]), [expected]);
    }

    #[test]
    fn every_rule_may_match_one_event() {
        let filters: Vec<_> = (0..1_000).map(|low| format!("{{\"a\": {{\"$gt\": {low}}}}}")).collect();
        let filters: Vec<_> = filters.iter().map(String::as_str).collect();
        // Each but the widest implies the first that is wider.
        assert_eq!(found(Dialect::Native, &filters).len(), 999);
    }
}
