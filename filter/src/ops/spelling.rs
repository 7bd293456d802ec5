//! Numbers in messages as the filter has them: `1.50`, not `1.5`.

use std::fmt;

use super::literal::Literal;
use super::literals::LiteralSet;
use super::number::Num;
use super::text;
use crate::json::lex::string_length;

/// The numbers of a filter whose text differs from their shortest form, sorted. Where a filter has one number in two forms,
/// the first counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spellings(Vec<(Num, Box<str>)>);

impl Spellings {
    /// Finds them in a JSON text; linear in its length, except for sorting.
    pub(crate) fn of_json(json: &str) -> Self {
        let mut found = Vec::new();
        let mut rest = json;
        while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
            rest = &rest[at..];
            if rest.starts_with('"') {
                rest = &rest[string_length(rest)..];
                continue;
            }
            let of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
            let length = rest.find(|c| !of_number(c)).unwrap_or(rest.len());
            let (written, after) = rest.split_at(length);
            // Only these have several forms.
            if (written.contains(['.', 'e', 'E']) || length > 15 || written == "-0")
                && let Some(number) = Num::parse(written.as_bytes())
                && number.to_string() != written
            {
                found.push((number, written.into()));
            }
            rest = after;
        }
        // Stable, so the first of equal ones stays the first.
        found.sort_by(|(a, _): &(Num, Box<str>), (b, _)| a.compare(*b));
        found.dedup_by(|later, first| later.0.compare(first.0).is_eq());
        Self(found)
    }

    /// A number in its form.
    pub(crate) fn number(&self, number: Num) -> impl fmt::Display {
        fmt::from_fn(move |f| match self.0.binary_search_by(|(known, _)| known.compare(number)) {
            Ok(place) => f.write_str(&self.0[place].1),
            Err(_) => write!(f, "{number}"),
        })
    }

    /// A literal, a number in its form.
    pub(crate) fn literal(&self, literal: &Literal) -> impl fmt::Display {
        fmt::from_fn(move |f| match literal {
            Literal::Number(number) => write!(f, "{}", self.number(*number)),
            other => write!(f, "{other}"),
        })
    }

    /// Alternative literals.
    pub(super) fn literals(&self, out: &mut dyn fmt::Write, literals: &LiteralSet) -> fmt::Result {
        text::list(out, literals.iter().map(|literal| self.literal(literal)))
    }
}

#[cfg(test)]
mod tests {
    use super::Spellings;
    use crate::ops::Num;

    #[test]
    fn numbers_keep_their_form() {
        let numbers =
            Spellings::of_json(r#"{"1.50":"2.50\\\"3.50","a":[1.50,-0,1E2,7,{"b":18446744073709551617}]}"#);
        for (text, shown) in [
            ("1.5", "1.50"),
            ("2.5", "2.5"),
            ("3.5", "3.5"),
            ("0", "-0"),
            ("100", "1E2"),
            ("7", "7"),
            ("18446744073709551616", "18446744073709551617"),
        ] {
            assert_eq!(numbers.number(Num::parse(text.as_bytes()).unwrap()).to_string(), shown, "{text}");
        }
    }
}
