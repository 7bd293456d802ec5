//! The texts that a regular expression requires: each text that it finds a match in contains one of them.
//!
//! A set finds its expressions by these texts, since trying each expression on each text would take time in proportion to their
//! number. They are those of the crate regex-syntax, taken at several places of the expression; one that has none, such as
//! `[a-z]+`, is tried on every text.

use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Hir, HirKind, Look};

/// Texts of which a matching text has one, none of them empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Required {
    AtStart(Vec<Box<[u8]>>),
    AtEnd(Vec<Box<[u8]>>),
    Inside(Vec<Box<[u8]>>),
}

/// The most alternative texts.
const ALTERNATIVES: usize = 64;

/// The number of bytes, common to all alternatives, that take their place.
const COMMON: usize = 4;

/// The most places of an expression at which texts are looked for, and the most parts that each text is made of.
const PLACES: usize = 32;
const PARTS: usize = 8;

/// Several choices of required texts, any of which will do. Takes time linear in the length of the expression.
pub(crate) fn required(source: &str) -> Vec<Required> {
    // The parser and its options are those of the regex crate.
    let Ok(parsed) = regex_syntax::parse(source) else { return Vec::new() };
    let mut parts = Vec::new();
    flatten(&parsed, &mut parts);
    let mut found = Vec::new();
    if let [start, rest @ ..] = parts.as_slice()
        && is(start, Look::Start)
    {
        found.extend(texts(rest, ExtractKind::Prefix).map(Required::AtStart));
    }
    if let [rest @ .., end] = parts.as_slice()
        && is(end, Look::End)
    {
        found.extend(texts(rest, ExtractKind::Suffix).map(Required::AtEnd));
    }
    let places = (0..parts.len()).filter(|&place| !matches!(parts[place].kind(), HirKind::Look(_)));
    let inside = places.take(PLACES).filter_map(|place| texts(&parts[place..], ExtractKind::Prefix));
    found.extend(inside.map(Required::Inside));
    found
}

/// The parts of a concatenation, groups included.
fn flatten<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    // The parser limits the depth of groups.
    match hir.kind() {
        HirKind::Capture(group) => flatten(&group.sub, parts),
        HirKind::Concat(all) => all.iter().for_each(|part| flatten(part, parts)),
        _ => parts.push(hir),
    }
}

fn is(hir: &Hir, look: Look) -> bool {
    matches!(hir.kind(), HirKind::Look(found) if *found == look)
}

/// The texts with which matches of these parts begin, or end.
fn texts(parts: &[&Hir], kind: ExtractKind) -> Option<Vec<Box<[u8]>>> {
    let near = match kind {
        ExtractKind::Suffix => &parts[parts.len().saturating_sub(PARTS)..],
        _ => &parts[..parts.len().min(PARTS)],
    };
    let whole = Hir::concat(near.iter().map(|&part| part.clone()).collect());
    let found = Extractor::new().kind(kind.clone()).limit_total(ALTERNATIVES).extract(&whole);
    let common = match kind {
        ExtractKind::Suffix => found.longest_common_suffix(),
        _ => found.longest_common_prefix(),
    };
    // One text is better than ten that have it in common and differ in a digit.
    if let Some(common) = common.filter(|common| common.len() >= COMMON) {
        return Some(vec![common.into()]);
    }
    let texts = found.literals().filter(|texts| !texts.is_empty())?;
    texts
        .iter()
        .all(|text| !text.is_empty())
        .then(|| texts.iter().map(|text| text.as_bytes().into()).collect())
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::{Required, required};

    fn satisfies(required: &Required, text: &[u8]) -> bool {
        let any = |parts: &[Box<[u8]>], has: &dyn Fn(&[u8]) -> bool| parts.iter().any(|part| has(part));
        match required {
            Required::AtStart(parts) => any(parts, &|part| text.starts_with(part)),
            Required::AtEnd(parts) => any(parts, &|part| text.ends_with(part)),
            Required::Inside(parts) => any(parts, &|part| text.windows(part.len()).any(|at| at == part)),
        }
    }

    const EXPRESSIONS: [&str; 22] = [
        "abc",
        "^abc",
        "abc$",
        "^(abc|b)c*$",
        "(?i)abc",
        "(?m)^b$",
        "a?b",
        "(a|)b",
        "a*",
        "[ab]c",
        "[^a]bc",
        "a.c",
        "a{2,3}b",
        "(?:a|bc)(c|b)",
        r"\babc\b",
        "^a|c$",
        "(^a)bc",
        "ab(c$)",
        "(?s).*c",
        "a+$",
        "(?x) a b c",
        "^$",
    ];

    #[test]
    fn every_match_has_what_is_required() {
        let mut texts = vec![String::new()];
        for length in 0..5 {
            let longer: Vec<String> =
                texts.iter().filter(|text| text.chars().count() == length).cloned().collect();
            texts.extend(
                longer.iter().flat_map(|text| ["a", "b", "C", "c\n"].map(|more| format!("{text}{more}"))),
            );
        }
        let mut excluded = 0;
        for expression in EXPRESSIONS {
            let regex = Regex::new(expression).unwrap();
            for required in required(expression) {
                for text in &texts {
                    let satisfied = satisfies(&required, text.as_bytes());
                    assert!(satisfied || !regex.is_match(text), "{expression} on {text:?}: {required:?}");
                    excluded += usize::from(!satisfied);
                }
            }
        }
        assert!(excluded > 10_000, "{excluded}");
    }

    #[test]
    fn anchors_and_later_parts_are_found() {
        let has = |expression: &str, wanted: Required| {
            let found = required(expression);
            assert!(found.contains(&wanted), "{expression}: {found:?}");
        };
        let text = |text: &str| vec![text.as_bytes().into()];
        has("^order-[0-9]+$", Required::AtStart(text("order-")));
        has("[a-z]+ 00017 ", Required::Inside(text(" 00017 ")));
        has(r".*\.example\.com$", Required::AtEnd(text(".example.com")));
        assert_eq!(required("[a-z]+"), []);
        assert_eq!(required(r"^\w*$"), []);
    }
}
