//! Arguments that are a language of their own: regular expressions, wildcards and blocks of addresses.

use super::Dialect;
use super::context::{Context, left_in_all};
use super::lookalike::{warn_of_question_mark, warn_of_slashes};
use crate::diagnostic::Code;
use crate::json::Node;
use crate::ops::text::Quoted;
use crate::ops::{Cidr, CidrError, Leaf, Pattern, PatternError, Wildcard, WildcardError};

/// The wildcard of a text that [`Context::wildcard`] would neither refuse nor warn about.
pub(super) fn wildcard_without_remarks(dialect: Dialect, text: &str) -> Option<Leaf> {
    let wildcard = Wildcard::new(text, dialect == Dialect::Native).ok().filter(|_| !text.contains('?'));
    wildcard.map(|wildcard| Leaf::Wildcard(Box::new(wildcard)))
}

impl<'n> Context<'n> {
    /// The argument of `operator` as a regular expression, with `flag` before it.
    pub(crate) fn regex(&mut self, flag: &str, operator: &str, node: &'n Node) -> Option<Leaf> {
        let (text, span) = (self.string(operator, node)?, node.span);
        warn_of_slashes(text, node, self);
        match Pattern::new(&format!("{flag}{text}"), &mut self.regex_budget) {
            Ok(pattern) => Some(Leaf::Regex(Box::new(pattern))),
            Err(PatternError::Syntax(reason)) => {
                let help = if text.contains("(?=") || text.contains("(?!") || text.contains("(?<") {
                    "look-around is not supported: it cannot be matched in linear time"
                } else {
                    "the syntax is that of https://docs.rs/regex/latest/regex/#syntax"
                };
                let message = format!("invalid regular expression {}: {reason}", Quoted(text));
                self.error(span, Code::InvalidValue, message, help)
            }
            Err(PatternError::Budget) if self.regex_refused => None,
            Err(PatternError::Budget) => {
                // Reported once. Later expressions are only checked for syntax: trying to compile them would take as
                // long as compiling expressions within the limit.
                self.regex_refused = true;
                self.regex_budget = 0;
                let (whose, limit) = match self.limits.regex_bytes() {
                    // What this filter has taken so far still counts as left.
                    limit if limit <= left_in_all(self.limits) => ("the filter's regular expressions", limit),
                    _ => (
                        "the regular expressions of all filters in this process",
                        self.limits.regex_bytes_in_all(),
                    ),
                };
                let message =
                    format!("{whose} take more memory than the limit of {limit} bytes, expected less");
                let help =
                    "use smaller repetitions, ASCII classes such as [0-9] instead of \\d, or raise the limit";
                self.error(span, Code::LimitExceeded, message, help)
            }
        }
    }

    /// The argument of `operator` as a wildcard; native allows two stars in a row.
    pub(crate) fn wildcard(&mut self, operator: &str, node: &'n Node) -> Option<Wildcard> {
        let text = self.string(operator, node)?;
        warn_of_question_mark(self.dialect, text, node, self);
        let (message, help) = match Wildcard::new(text, self.dialect == Dialect::Native) {
            Ok(wildcard) => return Some(wildcard),
            Err(WildcardError::Escape) => (
                format!("a backslash in {} that escapes nothing, expected \\* or \\\\", Quoted(text)),
                r"in JSON a literal backslash is written \\\\, a literal star \\*",
            ),
            Err(WildcardError::DoubleStar) => (
                format!("two stars in a row in {}, expected one", Quoted(text)),
                "one star already is any run of characters",
            ),
        };
        self.error(node.span, Code::InvalidValue, message, help)
    }

    /// The argument of `operator` as a block of addresses; native allows bare addresses and the prefixes /32 and /128.
    pub(crate) fn cidr(&mut self, operator: &str, node: &Node) -> Option<Cidr> {
        let (text, span) = (self.string(operator, node)?, node.span);
        let (message, help) = match Cidr::parse(text) {
            Ok(parsed) => {
                let whole = parsed.block.prefix() == if parsed.block.is_ipv4() { 32 } else { 128 };
                if whole && self.dialect != Dialect::Native {
                    let message = format!("{} is a single address, expected a larger block", Quoted(text));
                    let help = "write a single address as a plain string condition";
                    return self.error(span, Code::InvalidValue, message, help);
                }
                if parsed.host_bits {
                    let message =
                        format!("{} has bits set beyond its prefix; they are ignored", Quoted(text));
                    self.warn(span, Code::HostBits, message, format!("write {}", parsed.block));
                }
                return Some(parsed.block);
            }
            Err(CidrError::Prefix { bits }) => {
                let expected = format!("expected a number from 0 to {bits} after the slash");
                (format!("{} has no valid prefix length, {expected}", Quoted(text)), "")
            }
            Err(CidrError::Address) => {
                let help = if has_leading_zero(text) {
                    "octets have no leading zeros: some systems read them as octal"
                } else {
                    "write an address, a slash and a prefix length: 10.0.0.0/8"
                };
                (format!("{} is no IPv4 or IPv6 block", Quoted(text)), help)
            }
        };
        self.error(span, Code::InvalidValue, message, help)
    }
}

fn has_leading_zero(text: &str) -> bool {
    let address = text.split('/').next().unwrap_or(text);
    let octets: Vec<&str> = address.split('.').collect();
    octets.len() == 4 && octets.iter().any(|octet| octet.len() > 1 && octet.starts_with('0'))
}
