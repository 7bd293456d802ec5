//! The state of reading one filter: the current JSON pointer, the problems found so far, and the rest of the regex budget.

use super::{Dialect, translate};
use crate::ast::{Condition, Test, TestKind};
use crate::decode::{Problems, describe, repeated};
use crate::diagnostic::{Code, Diagnostic, MOST, Severity, Span, Warning, shorten};
use crate::json::{Kind, Member, Node, Pointer};
use crate::limits::Limits;
use crate::ops::text::Quoted;
use crate::ops::{IgnoreCase, Leaf, Literal, Num, regex_bytes_in_use};

/// The state of reading one filter.
#[derive(Debug)]
pub(crate) struct Context<'n> {
    pub(super) dialect: Dialect,
    pointer: Pointer<'n>,
    pub(super) limits: &'n Limits,
    pub(super) regex_budget: usize,
    /// Whether the error about too large regular expressions was reported.
    pub(super) regex_refused: bool,
    problems: Problems,
    /// The numbers of problems beyond the listed ones.
    omitted_errors: usize,
    omitted_warnings: usize,
}

/// The memory that is left to regular expressions in the process.
pub(super) fn left_in_all(limits: &Limits) -> usize {
    match limits.regex_bytes_in_all() {
        usize::MAX => usize::MAX,
        limit => limit.saturating_sub(regex_bytes_in_use()),
    }
}

impl<'n> Context<'n> {
    pub(crate) fn new(dialect: Dialect, limits: &'n Limits, pointer: &'n str) -> Self {
        Self {
            dialect,
            pointer: Pointer::under(pointer),
            limits,
            regex_budget: limits.regex_bytes().min(left_in_all(limits)),
            regex_refused: false,
            problems: Problems::default(),
            omitted_errors: 0,
            omitted_warnings: 0,
        }
    }

    /// Whether the current place is a field of another field, or of a filter in an array.
    pub(crate) fn is_nested(&self) -> bool {
        self.pointer.depth() > 1
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.problems.errors.is_empty()
    }

    /// The errors, and if there are none the warnings, in the order of the text.
    pub(crate) fn finish(self) -> Result<Vec<Warning>, Vec<Diagnostic>> {
        let (errors, warnings) = (self.omitted_errors, self.omitted_warnings);
        let found = self.problems.finish();
        found.map(|found| shorten(found, warnings)).map_err(|found| shorten(found, errors))
    }

    /// Adds an error or a warning at the current pointer.
    fn report(&mut self, span: Option<Span>, diagnostic: Diagnostic, help: String) {
        let mut diagnostic = diagnostic.with_pointer(self.pointer.to_string()).with_span(span);
        if !help.is_empty() {
            diagnostic = diagnostic.with_help(help);
        }
        let (known, omitted) = match diagnostic.severity() {
            Severity::Error => (&mut self.problems.errors, &mut self.omitted_errors),
            Severity::Warning => (&mut self.problems.warnings, &mut self.omitted_warnings),
        };
        if known.len() < MOST { known.push(diagnostic) } else { *omitted += 1 }
    }

    /// Reports an error; an empty `help` means none. Always `None`, so that readers can return it.
    pub(crate) fn error<T>(
        &mut self,
        span: Option<Span>,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        self.report(span, Diagnostic::error(message).with_code(code), help.into());
        None
    }

    /// Reports a warning; an empty `help` means none.
    pub(crate) fn warn(
        &mut self,
        span: Option<Span>,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report(span, Diagnostic::warning(message).with_code(code), help.into());
    }

    /// Runs `read` with the pointer at the member `key`.
    pub(crate) fn within<T>(&mut self, key: &'n str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.pointer.key(key);
        let result = read(self);
        self.pointer.back();
        result
    }

    /// Runs `read` with the pointer at the element `index`.
    pub(crate) fn within_index<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        self.pointer.index(index);
        let result = read(self);
        self.pointer.back();
        result
    }

    /// Reads every item of an array with the pointer at it; omits items for which `read` returns `None`.
    pub(crate) fn each<T>(
        &mut self,
        items: &'n [Node],
        mut read: impl FnMut(&mut Self, &'n Node) -> Option<T>,
    ) -> Vec<T> {
        let read_at = |(index, item)| self.within_index(index, |context| read(context, item));
        items.iter().enumerate().filter_map(read_at).collect()
    }

    /// As [`each`](Self::each), for the [distinct](Self::distinct) members of an object.
    pub(crate) fn each_member<T>(
        &mut self,
        members: &'n [Member],
        mut read: impl FnMut(&mut Self, &'n Member) -> Option<T>,
    ) -> Vec<T> {
        let distinct = self.distinct(members);
        let read_at = |member: &'n Member| self.within(&member.key, |context| read(context, member));
        distinct.iter().filter_map(read_at).collect()
    }

    /// The operators of a matcher; `read` gives the meaning of each.
    pub(crate) fn tests(
        &mut self,
        members: &'n [Member],
        mut read: impl FnMut(&'n Member, &mut Self) -> Option<TestKind<'n>>,
    ) -> Vec<Test<'n>> {
        self.each_member(members, |context, member| {
            Some(Test { key: &member.key, span: member.key_span, kind: read(member, context)? })
        })
    }

    /// The condition that a value equals a literal.
    pub(crate) fn equal(&mut self, node: &'n Node) -> Option<Condition<'n>> {
        let kind = TestKind::Leaf(Leaf::Equals(self.literal(node)?));
        Some(Condition { span: node.span, tests: vec![Test { key: "", span: node.span, kind }] })
    }

    /// The members of an object without overridden duplicates, each of which is reported: as an error in native, as a warning in
    /// the other dialects, where the last one counts.
    pub(crate) fn distinct(&mut self, members: &'n [Member]) -> Distinct<'n> {
        let hidden = repeated(members);
        for member in hidden.iter().filter_map(|&place| members.get(place)) {
            self.within(&member.key, |context| {
                let found = format!("the key {} is there more than once", Quoted(&member.key));
                let (span, code) = (member.key_span, Code::DuplicateKey);
                if context.dialect == Dialect::Native {
                    let help = "remove one, or put both conditions under one key";
                    context.error::<()>(span, code, found, help);
                } else {
                    context.warn(span, code, format!("{found}; only the last counts"), "remove this one");
                }
            });
        }
        Distinct { members, hidden }
    }

    pub(crate) fn literal(&mut self, node: &Node) -> Option<Literal> {
        Some(match &node.kind {
            Kind::Null => Literal::Null,
            Kind::Bool(bool) => Literal::Bool(*bool),
            Kind::Number(number) => Literal::Number(Num::new(number).or_else(|| {
                let message = format!("the number {number} is beyond the range of 64-bit floats");
                self.error(node.span, Code::InvalidValue, message, "")
            })?),
            Kind::String(text) => Literal::String(text.as_str().into()),
            Kind::Array(_) | Kind::Object(_) => return None,
        })
    }

    /// The argument of `operator` as a string.
    pub(crate) fn string<'s>(&mut self, operator: &str, node: &'s Node) -> Option<&'s str> {
        if let Kind::String(text) = &node.kind {
            return Some(text);
        }
        let help = match &node.kind {
            Kind::Number(_) | Kind::Bool(_) => Some(format!("write \"{}\" in quotes", node.to_value())),
            Kind::Array(items) => match (self.dialect, translate::one_per_string(operator, items)) {
                (Dialect::TriggerDev, _) => {
                    Some("the native dialect can ask for any of several; here matchers are all-of".to_owned())
                }
                (Dialect::EventBridge, Some(list)) => {
                    Some(format!("write one matcher for each: {}", list.trim_matches(['[', ']'])))
                }
                (_, Some(list)) => Some(format!("for any of them write {list}")),
                (_, None) => None,
            },
            _ => None,
        };
        self.wrong_argument(operator, "a string", node, help)
    }

    /// The argument of `operator` as a number.
    pub(crate) fn number(&mut self, operator: &str, node: &Node) -> Option<Num> {
        let help = match &node.kind {
            Kind::Number(_) => match self.literal(node)? {
                Literal::Number(number) => return Some(number),
                _ => None,
            },
            Kind::String(text) if is_number(text) => Some(format!("write {text} without quotes")),
            Kind::String(_) if self.dialect == Dialect::Native => {
                translate::condition(self.dialect, operator, node)
                    .map(|time| format!("to compare times write {time}"))
            }
            _ => None,
        };
        self.wrong_argument(operator, "a number", node, help)
    }

    /// The argument of `operator` as a boolean.
    pub(crate) fn boolean(&mut self, operator: &str, node: &Node) -> Option<bool> {
        if let Kind::Bool(bool) = &node.kind {
            return Some(*bool);
        }
        let help = match &node.kind {
            Kind::String(text) if text == "true" || text == "false" => {
                Some(format!("write {text} without quotes"))
            }
            Kind::Number(number) if matches!(number.as_u64(), Some(0 | 1)) => {
                Some(format!("write {}", number.as_u64() == Some(1)))
            }
            _ => None,
        };
        self.wrong_argument(operator, "true or false", node, help)
    }

    /// Reports an argument of another type than expected.
    pub(crate) fn wrong_argument<T>(
        &mut self,
        operator: &str,
        expected: &str,
        found: &Node,
        help: Option<String>,
    ) -> Option<T> {
        let message = format!("{} takes {expected}, found {}", Quoted(operator), describe(found));
        self.error(found.span, Code::WrongType, message, help.unwrap_or_default())
    }

    /// The argument of `$ignoreCaseEquals`.
    pub(crate) fn ignore_case(&mut self, operator: &str, node: &Node) -> Option<Leaf> {
        let expected = IgnoreCase::new(self.string(operator, node)?).or_else(|| {
            let message = format!("{} is not available in this build of the filter crate", Quoted(operator));
            self.error(node.span, Code::NotAvailable, message, "enable its feature `collation`")
        });
        Some(Leaf::IgnoreCase(Box::new(expected?)))
    }

    /// Reports a key that is no operator.
    pub(crate) fn unknown_operator<T>(&mut self, member: &Member, help: impl Into<String>) -> Option<T> {
        let message = format!("unknown operator {}", Quoted(&member.key));
        self.error(member.key_span, Code::UnknownOperator, message, help)
    }

    /// Reports a field's value that is neither a nested filter, as `nested` names it, nor an array of conditions. `foreign` is the
    /// help for the name of an operator that the dialect does not have.
    pub(crate) fn no_array<T>(
        &mut self,
        member: &Member,
        nested: &str,
        operators: &[&str],
        foreign: Option<String>,
    ) -> Option<T> {
        let (key, node) = (member.key.as_str(), &member.value);
        let inside = self.is_nested();
        let help = match example(node) {
            Some(value) if operators.contains(&key) => {
                format!("a matcher goes in an array: [{{{}: {value}}}]", Quoted(key))
            }
            _ if inside && let Some(matcher) = translate::element(self.dialect, key, node) => {
                format!("a matcher goes in an array: [{matcher}]")
            }
            _ if inside && let Some(help) = &foreign => help.clone(),
            Some(value) => format!("write [{value}]"),
            None => "put the value in an array".to_owned(),
        };
        let message = format!("found {}, expected an array of conditions or {nested}", describe(node));
        self.error(node.span, Code::WrongType, message, help)
    }
}

/// The members of an object; of several with the same key only the last.
#[derive(Debug)]
pub(crate) struct Distinct<'n> {
    members: &'n [Member],
    /// The indices of overridden members, ascending; almost always empty.
    hidden: Vec<usize>,
}

impl<'n> Distinct<'n> {
    pub(crate) fn len(&self) -> usize {
        self.members.len() - self.hidden.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'n Member> {
        let counts = |(place, _): &(usize, _)| self.hidden.binary_search(place).is_err();
        self.members.iter().enumerate().filter(counts).map(|(_, member)| member)
    }

    /// The member of an object that has exactly one.
    pub(crate) fn only(&self) -> Option<&'n Member> {
        if self.len() == 1 { self.iter().next() } else { None }
    }
}

/// A scalar as JSON for an example in a help line; `None` if it is too long to be shown whole.
pub(crate) fn example(node: &Node) -> Option<String> {
    let is_scalar = !matches!(node.kind, Kind::Array(_) | Kind::Object(_));
    is_scalar.then(|| node.to_value().to_string()).filter(|text| text.len() <= 60)
}

pub(super) fn is_number(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(serde_json::Value::Number(_)))
}

#[cfg(all(test, not(all(feature = "collation", feature = "regex-unicode"))))]
mod tests {
    #[test]
    #[cfg(not(feature = "collation"))]
    fn ignore_case_equals_needs_a_feature() {
        use crate::{Code, Dialect, FilterOptions};

        for (dialect, text) in [
            (Dialect::Native, r#"{"a": {"$ignoreCaseEquals": "x"}}"#),
            (Dialect::TriggerDev, r#"{"a": [{"$ignoreCaseEquals": "x"}]}"#),
        ] {
            let error = FilterOptions::new().dialect(dialect).parse(text).unwrap_err();
            assert_eq!(error.diagnostics()[0].code(), Code::NotAvailable);
            assert!(error.to_string().ends_with("enable its feature `collation`"), "{error}");
        }
    }

    #[test]
    #[cfg(not(feature = "regex-unicode"))]
    fn unicode_classes_need_a_feature() {
        assert!(crate::Filter::parse(r#"{"a": {"$regex": "^[0-9]+$"}}"#).is_ok());
        // Another crate of the same build, such as a test's dependency, may have enabled regex's Unicode tables.
        if let Err(error) = crate::Filter::parse(r#"{"a": {"$regex": "^\\d+$"}}"#) {
            assert!(error.to_string().contains("Unicode"), "{error}");
        }
    }
}
