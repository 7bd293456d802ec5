//! Explanations as text: the result, then one line per condition in columns, failed conditions first.

use std::fmt;

use super::{Check, Entry, Explanation, Group, Rule};

/// The greatest width of a column; longer entries protrude.
const WIDEST: usize = 36;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.entries.len();
        let failed = self.entries.iter().filter(|entry| !entry.held()).count();
        match (self.matched, total) {
            (true, 0) => writeln!(f, "match: the filter is empty")?,
            (true, 1) => writeln!(f, "match: the condition holds")?,
            (true, total) => writeln!(f, "match: all {total} conditions hold")?,
            (false, 1) => writeln!(f, "no match: the condition fails")?,
            (false, total) => {
                let verb = if failed == 1 { "fails" } else { "fail" };
                writeln!(f, "no match: {failed} of {total} conditions {verb}")?;
            }
        }
        entries(f, &self.entries, 1, false)
    }
}

/// `unwanted`: whether the entries must not hold.
fn entries(f: &mut fmt::Formatter<'_>, all: &[Entry], level: usize, unwanted: bool) -> fmt::Result {
    let checks = || {
        all.iter().filter_map(|entry| match entry {
            Entry::Check(check) => Some(check),
            Entry::Group(_) => None,
        })
    };
    let width = |text: fn(&Check) -> &str| {
        checks().map(|check| text(check).chars().count()).max().unwrap_or(0).min(WIDEST)
    };
    let (paths, actuals) = (width(Check::path), width(Check::actual));
    for entry in all {
        let mark = if entry.held() != unwanted { '✓' } else { '✗' };
        let expected_is = if unwanted { "must not be" } else { "expected" };
        write!(f, "{:indent$}{mark} ", "", indent = level * 2)?;
        match entry {
            Entry::Check(Check { path, actual, expected, hint, .. }) => {
                writeln!(f, "{path:paths$}  is {actual:actuals$}  {expected_is} {expected}")?;
                if let Some(hint) = hint {
                    writeln!(f, "{:indent$}  ({hint})", "", indent = level * 2)?;
                }
            }
            Entry::Group(group) => {
                writeln!(f, "{}:", group.rule)?;
                entries(f, &group.entries, level + 2, group.rule == Rule::None)?;
            }
        }
    }
    Ok(())
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any of"),
            Self::All => f.write_str("all of"),
            Self::None => f.write_str("none of"),
            Self::Element { path, count: 1 } => write!(f, "{path}, the only element"),
            Self::Element { path, count } => write!(f, "{path}, the nearest of {count} elements"),
        }
    }
}

/// The nearest miss in one line.
pub(super) fn summary(entries: &[Entry]) -> Option<String> {
    let mut failed = entries.iter().filter(|entry| !entry.held());
    let line = match failed.next()? {
        Entry::Check(Check { path, actual, expected, hint, .. }) => {
            let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{path} is {actual}, expected {expected}{hint}")
        }
        Entry::Group(Group { rule: Rule::None, entries, .. }) => excluded(entries),
        Entry::Group(group) => summary(&group.entries)?,
    };
    match failed.count() {
        0 => Some(line),
        others => Some(format!("{line} (and {others} more)")),
    }
}

/// The entry that holds although it must not.
fn excluded(entries: &[Entry]) -> String {
    match entries.iter().find(|entry| entry.held()) {
        Some(Entry::Check(Check { path, actual, expected, .. })) => {
            format!("{path} is {actual}, must not be {expected}")
        }
        _ => "a filter under $nor matches, expected none to".to_owned(),
    }
}
