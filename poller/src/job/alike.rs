//! Specs that are written alike: their texts differ only in the values of `url` and `cacheKey`.
//!
//! ```text
//! {"cacheKey":"export-1","url":"https://a.test/1","interval":30,…}
//! └── head ──┘└ value ──┘└─ ──┘└ value ─────────┘└── tail ───────┘
//! ```
//!
//! A program writes its specs by one template. Once one of them was read, the next is recognised by comparing texts, which
//! takes a tenth of the time of parsing it into a tree. What stands between the values is compared byte for byte, and a value
//! counts only if it is a string without escapes, so the next spec has the same members with the same values.

use std::sync::Arc;

use filter::Span;
use filter::json::{Kind, Node};

use super::settings::Settings;

/// The most texts that are remembered. A newer one takes the place of the oldest.
const TEXTS: usize = 16;

/// The longest text that is remembered. A longer one is rarely followed by another like it.
const LONGEST: usize = 16 << 10;

/// The specs read last, as texts without two values.
#[derive(Debug, Default)]
pub(super) struct KnownTexts {
    known: Vec<KnownText>,
    /// The position of the one that was found last, which is tried first.
    last: usize,
    /// The position of the next one to replace.
    oldest: usize,
}

/// The text of a spec without the values of `url` and `cacheKey`.
#[derive(Debug)]
struct KnownText {
    head: Box<str>,
    /// Each value in its order, with what stands behind it.
    values: Vec<(Value, Box<str>)>,
    settings: Arc<Settings>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Url,
    CacheKey,
}

/// A spec that was recognised. Its URL and its key are still to be checked.
#[derive(Debug)]
pub(super) struct Alike<'r, 't> {
    pub(super) url: &'t str,
    pub(super) cache_key: Option<&'t str>,
    pub(super) settings: &'r Arc<Settings>,
    /// The length of its text.
    pub(super) length: usize,
}

impl KnownTexts {
    /// Remembers the text of a valid spec without warnings. `text` is the one that the node was parsed from.
    pub(super) fn learn(&mut self, node: &Node, text: &str, settings: &Arc<Settings>) {
        let Some(known) = KnownText::new(node, text, settings) else { return };
        if self.known.len() < TEXTS {
            self.known.push(known);
        } else {
            self.known[self.oldest] = known;
            self.oldest = (self.oldest + 1) % TEXTS;
        }
    }

    /// Recognises the spec at the beginning of a text.
    pub(super) fn find<'t>(&mut self, text: &'t str) -> Option<Alike<'_, 't>> {
        let others = (0..self.known.len()).filter(|position| *position != self.last);
        let position = std::iter::once(self.last)
            .chain(others)
            .find(|position| self.known.get(*position).is_some_and(|known| known.find(text).is_some()))?;
        self.last = position;
        self.known[position].find(text)
    }
}

impl KnownText {
    fn new(node: &Node, text: &str, settings: &Arc<Settings>) -> Option<Self> {
        let whole = node.span.filter(|span| span.end - span.start <= LONGEST)?;
        let Kind::Object(members) = &node.kind else { return None };
        let mut values: Vec<(Value, Span)> = Vec::new();
        for member in members {
            let value = match member.key.as_str() {
                "url" => Value::Url,
                "cacheKey" => Value::CacheKey,
                _ => continue,
            };
            values.push((value, member.value.span?));
        }
        let head = text.get(whole.start..values.first()?.1.start)?;
        let ends = values.iter().skip(1).map(|(_, span)| span.start).chain([whole.end]);
        let parts = values.iter().zip(ends);
        let parts: Option<Vec<_>> =
            parts.map(|((value, span), end)| Some((*value, text.get(span.end..end)?.into()))).collect();
        Some(Self { head: head.into(), values: parts?, settings: Arc::clone(settings) })
    }

    fn find<'t>(&self, text: &'t str) -> Option<Alike<'_, 't>> {
        let mut rest = text.strip_prefix(&*self.head)?;
        let (mut url, mut cache_key) = (None, None);
        for (value, behind) in &self.values {
            let (plain, after) = plain_string(rest)?;
            rest = after.strip_prefix(&**behind)?;
            match value {
                Value::Url => url = Some(plain),
                Value::CacheKey => cache_key = Some(plain),
            }
        }
        let length = text.len() - rest.len();
        Some(Alike { url: url?, cache_key, settings: &self.settings, length })
    }
}

/// The content of the string at the beginning of a text, if it has no escapes, and the text behind it.
fn plain_string(text: &str) -> Option<(&str, &str)> {
    let content = text.strip_prefix('"')?;
    let end = content.bytes().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
    let (content, rest) = content.split_at(end);
    Some((content, rest.strip_prefix('"')?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::PollSpec;

    fn known(texts: &mut KnownTexts, text: &str) {
        let node = filter::json::parse(text, &filter::Limits::default()).unwrap();
        let spec: PollSpec = text.parse().unwrap();
        texts.learn(&node, text, &spec.settings);
    }

    fn found(texts: &mut KnownTexts, text: &str) -> Option<(String, Option<String>, usize)> {
        let alike = texts.find(text)?;
        Some((alike.url.to_owned(), alike.cache_key.map(str::to_owned), alike.length))
    }

    #[test]
    fn only_two_values_may_differ() {
        let mut texts = KnownTexts::default();
        let text = r#"{"cacheKey":"a","url":"https://a.test/1","interval":30}"#;
        assert_eq!(found(&mut texts, text), None);
        known(&mut texts, text);
        let next = r#"{"cacheKey":"bä","url":"https://a.test/2","interval":30}"#;
        let expected = Some(("https://a.test/2".to_owned(), Some("bä".to_owned()), next.len()));
        assert_eq!(found(&mut texts, &format!("{next}{{}}")), expected);
        for other in [
            r#"{"cacheKey":"a","url":"https://a.test/1","interval":31}"#,
            r#"{"cacheKey":"a","url":"https://a.test/1","interval":30,"timeout":60}"#,
            r#"{"cacheKey":"a", "url":"https://a.test/1","interval":30}"#,
            r#"{"url":"https://a.test/1","interval":30}"#,
            r#"{"cacheKey":"\u0061","url":"https://a.test/1","interval":30}"#,
            "{\"cacheKey\":\"\t\",\"url\":\"https://a.test/1\",\"interval\":30}",
            r#"{"cacheKey":"a","url":"https://a.test/1","interval":30"#,
            r#"{"cacheKey":"a","url":"https://a.test/1"#,
            r#"{"cacheKey":1,"url":"https://a.test/1","interval":30}"#,
            "",
        ] {
            assert_eq!(found(&mut texts, other), None, "{other}");
        }
        // In another order, in the middle of a text.
        let before = "[1] ";
        let other = r#"{ "interval": 30, "url": "https://a.test/1" }"#;
        let whole = format!("{before}{other}");
        let node = filter::json::parse_next(&whole, before.len(), &filter::Limits::default()).unwrap();
        texts.learn(&node.unwrap(), &whole, &other.parse::<PollSpec>().unwrap().settings);
        let next = other.replace("/1", "/3");
        assert_eq!(found(&mut texts, &next), Some(("https://a.test/3".to_owned(), None, next.len())));
    }

    #[test]
    fn few_texts_are_remembered() {
        let mut texts = KnownTexts::default();
        let text = |n: usize| format!(r#"{{"url":"https://a.test/","interval":30,"timeout":{}}}"#, 100 + n);
        (0..=TEXTS).for_each(|n| known(&mut texts, &text(n)));
        assert_eq!((texts.known.len(), texts.find(&text(0)).is_some()), (TEXTS, false));
        assert!((1..=TEXTS).all(|n| texts.find(&text(n)).is_some()));
        known(&mut texts, &format!(r#"{{"url":"https://a.test/","cacheKey":"{}"}}"#, "a".repeat(500)));
        let long =
            format!(r#"{{"url":"https://a.test/","requestInit":{{"body":"{}"}}}}"#, "a".repeat(LONGEST));
        known(&mut texts, &long);
        assert!(texts.find(&long).is_none());
    }
}
