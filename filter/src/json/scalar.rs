//! Numbers and strings: the parts of JSON where serde_json's rules are subtle, and are kept.

use serde_json::Number;

use super::error::JsonError;
use super::lex;
use super::mistake::visible;
use super::parse::Parser;
use crate::diagnostic::Span;

impl Parser<'_> {
    pub(super) fn number(&mut self) -> Result<Number, JsonError> {
        let start = self.at;
        let numeral = match lex::numeral(self.text.as_bytes(), start) {
            Ok(numeral) => numeral,
            Err(missing) => {
                self.at = missing;
                let has_begun = self.text[start..missing].contains(|letter: char| letter.is_ascii_digit());
                // Not a number: perhaps another language.
                if !has_begun && self.open.is_empty() && self.foreign().is_some() {
                    self.at = start;
                    return Err(self.unexpected("a value"));
                }
                return Err(self.unexpected("a digit"));
            }
        };
        self.at = numeral.end;
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1;
            }
            let message = format!("the number {} begins with a zero", elided(&self.text[start..self.at]));
            return Err(self.error(message, self.span(start)).with_help("remove the zero"));
        }
        let text = &self.text[start..self.at];
        if numeral.is_integer
            && let Ok(number) = text.parse::<u64>()
        {
            return Ok(number.into());
        }
        // -0 stays a float, as in serde_json: no integer has that sign.
        if numeral.is_integer
            && text != "-0"
            && let Ok(number) = text.parse::<i64>()
        {
            return Ok(number.into());
        }
        text.parse::<f64>().ok().and_then(Number::from_f64).ok_or_else(|| {
            let message = format!("the number {} is beyond the range of 64-bit floats", elided(text));
            self.error(message, self.span(start)).with_help("the greatest number is about 1.8e308")
        })
    }

    /// A string, from its opening quote to its closing one.
    pub(super) fn string(&mut self) -> Result<String, JsonError> {
        let open = self.at;
        self.at += 1;
        let mut unescaped = String::new();
        loop {
            let run = self.at;
            let rest = &self.bytes[run..];
            let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
            self.at += rest.iter().position(ends).unwrap_or(rest.len());
            // Both ends of the run stand at ASCII bytes or at the ends of the text: character boundaries.
            let plain = &self.text[run..self.at];
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if unescaped.is_empty() {
                        return Ok(plain.to_owned());
                    }
                    unescaped.push_str(plain);
                    return Ok(unescaped);
                }
                Some(b'\\') => {
                    unescaped.push_str(plain);
                    unescaped.push(self.escape()?);
                }
                Some(b'\n' | b'\r') => {
                    let span = Span { start: open, end: self.at };
                    let error = self.error("a string that is not closed on its line", span);
                    return Err(error.with_help("close it with \", or write the line break as \\n"));
                }
                Some(control) => {
                    let message = format!("a control character (U+{control:04X}) in a string");
                    let span = Span { start: self.at, end: self.at + 1 };
                    return Err(self.error(message, span).with_help(format!("write it as \\u{control:04x}")));
                }
                None => {
                    return Err(self
                        .error("a string that is not closed", Span { start: open, end: self.at })
                        .with_help("close it with \""));
                }
            }
        }
    }

    /// One escape, from its backslash on.
    fn escape(&mut self) -> Result<char, JsonError> {
        let (character, length) = lex::escape(&self.bytes[self.at..]).ok_or_else(|| self.invalid_escape())?;
        self.at += length;
        Ok(character)
    }

    #[cold]
    fn invalid_escape(&mut self) -> JsonError {
        let start = self.at;
        self.at += 1;
        if !self.eat(b'u') {
            let end = self.next_character_end();
            let message = format!("the unknown escape `{}`", visible(&self.text[start..end]));
            return self.error(message, Span { start, end }).with_help("write a backslash as \\\\");
        }
        // The first four digits, then those of a second surrogate.
        loop {
            let digits =
                self.bytes[self.at..].iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
            self.at += digits;
            if digits < 4 {
                let end = self.next_character_end();
                return self.error("`\\u` without four hexadecimal digits", Span { start, end });
            }
            let high = matches!(lex::hex4(self.bytes, self.at - 4), Some(0xD800..=0xDBFF));
            if self.at - start > 6 || !high || !self.bytes[self.at..].starts_with(b"\\u") {
                return self.lone_surrogate(start);
            }
            self.at += 2;
        }
    }

    fn lone_surrogate(&self, start: usize) -> JsonError {
        let found = &self.text[start..self.at];
        self.error(format!("`{found}` is no character, but half of a surrogate pair"), self.span(start))
            .with_help("write the character itself, or both halves of its pair")
    }

    fn next_character_end(&self) -> usize {
        self.at + self.text.get(self.at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
    }
}

/// A number, which may be as long as its writer likes, in a message.
fn elided(number: &str) -> String {
    if number.len() <= 40 { number.to_owned() } else { format!("{}…", &number[..40]) }
}
