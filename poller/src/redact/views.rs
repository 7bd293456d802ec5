//! The readings of a text in which a secret may be found: the text itself, and what its escape sequences stand for.
//!
//! An echo may be escaped in any way and in any part: `%74oken`, `t\u006fken`, `&#116;oken`, `token` with a line break as
//! base64 for e-mail has it. Forms of the secret cannot list all of these, so the text is read instead: each letter of a reading
//! keeps its place in the text. Escapes may be escaped again, so a reading is read anew, [`DEEPEST`] times at most.
//!
//! ```text
//!   text ──► letters ──► escapes undone ──► and again ──► …     each one is searched
//! ```

use secrecy::zeroize::Zeroizing;

/// How often escapes are undone on top of each other.
const DEEPEST: usize = 3;

/// The longest escape sequence, in letters: `&#x10ffff;`.
const LONGEST: usize = 10;

/// The named references of HTML and XML that stand for letters of tokens and syntax.
const NAMED: [(&str, char); 8] = [
    ("amp;", '&'),
    ("apos;", '\''),
    ("equals;", '='),
    ("gt;", '>'),
    ("lt;", '<'),
    ("plus;", '+'),
    ("quot;", '"'),
    ("sol;", '/'),
];

/// A reading of a text.
pub(super) struct View {
    /// Its letters.
    pub(super) letters: Zeroizing<Vec<char>>,
    /// The start and the end of each letter in the text, in bytes.
    pub(super) places: Vec<(usize, usize)>,
}

impl View {
    fn with_capacity(letters: usize) -> Self {
        Self { letters: Zeroizing::new(Vec::with_capacity(letters)), places: Vec::with_capacity(letters) }
    }

    fn push(&mut self, letter: char, start: usize, end: usize) {
        self.letters.push(letter);
        self.places.push((start, end));
    }

    /// The text as it is.
    fn of(text: &str) -> Self {
        let mut view = Self::with_capacity(text.len());
        for (start, letter) in text.char_indices() {
            view.push(letter, start, start + letter.len_utf8());
        }
        view
    }

    /// The same with its escapes undone and without its line breaks; `None` if it has none of them.
    fn undone(&self) -> Option<Self> {
        let is_sign = |letter: &char| matches!(letter, '%' | '\\' | '&' | '\n' | '\r');
        let first = self.letters.iter().position(is_sign)?;
        let mut view = Self::with_capacity(self.letters.len());
        let mut at = 0;
        let mut changed = false;
        while at < self.letters.len() {
            let escape = if at < first { None } else { escape(&self.letters[at..]) };
            let (letter, length) = escape.unwrap_or((Some(self.letters[at]), 1));
            changed |= escape.is_some();
            if let Some(letter) = letter {
                view.push(letter, self.places[at].0, self.places[at + length - 1].1);
            }
            at += length;
        }
        changed.then_some(view)
    }
}

/// The readings of a text, the text itself first. Linear in its length.
pub(super) fn of(text: &str) -> impl Iterator<Item = View> {
    let mut next = Some(View::of(text));
    (0..=DEEPEST).map_while(move |depth| {
        let view = next.take()?;
        next = if depth < DEEPEST { view.undone() } else { None };
        Some(view)
    })
}

/// The letter that an escape sequence at the beginning stands for, if it is one, and its length in letters.
fn escape(text: &[char]) -> Option<(Option<char>, usize)> {
    let some = |(letter, length)| Some((Some(letter), length));
    match text {
        ['\n' | '\r', ..] => Some((None, 1)),
        ['%', ..] => percent(text).and_then(some),
        ['\\', 'u' | 'U', '{', ..] => closed(&text[3..], '}', 16).map(|(letter, n)| (Some(letter), n + 3)),
        ['\\', 'u', rest @ ..] => unicode(rest).map(|(letter, n)| (Some(letter), n + 2)),
        ['\\', 'x', a, b, ..] => number(&[*a, *b], 16).map(|letter| (Some(letter), 4)),
        // A line break is dropped like one that is not escaped.
        ['\\', 'n' | 'r', ..] => Some((None, 2)),
        ['\\', letter @ ('"' | '\'' | '\\' | '/'), ..] => some((*letter, 2)),
        ['&', '#', 'x' | 'X', rest @ ..] => closed(rest, ';', 16).map(|(letter, n)| (Some(letter), n + 3)),
        ['&', '#', rest @ ..] => closed(rest, ';', 10).map(|(letter, n)| (Some(letter), n + 2)),
        ['&', rest @ ..] => NAMED.iter().find_map(|(name, letter)| {
            let length = name.len();
            let found = rest.get(..length)?.iter().copied().eq(name.chars());
            found.then_some((Some(*letter), length + 1))
        }),
        _ => None,
    }
}

/// A letter whose bytes are percent-encoded.
fn percent(text: &[char]) -> Option<(char, usize)> {
    let byte = |at: usize| match text.get(at..at + 3)? {
        ['%', a, b] => u8::try_from(a.to_digit(16)? << 4 | b.to_digit(16)?).ok(),
        _ => None,
    };
    let mut bytes = [byte(0)?, 0, 0, 0];
    let length = match bytes[0] {
        0..0x80 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0.. => 4,
        _ => return None,
    };
    for (at, slot) in bytes.iter_mut().enumerate().take(length).skip(1) {
        *slot = byte(3 * at)?;
    }
    let letter = std::str::from_utf8(&bytes[..length]).ok()?.chars().next()?;
    Some((letter, 3 * length))
}

/// Four digits, or two times four with `\u` between them for a letter outside the first plane.
fn unicode(text: &[char]) -> Option<(char, usize)> {
    let unit = |digits: &[char]| u16::try_from(value(digits, 16)?).ok();
    let first = unit(text.get(..4)?)?;
    if let Some(letter) = char::from_u32(first.into()) {
        return Some((letter, 4));
    }
    let ['\\', 'u', rest @ ..] = text.get(4..10)? else { return None };
    let pair = char::decode_utf16([first, unit(rest)?]).next()?.ok()?;
    Some((pair, 10))
}

/// Digits up to a letter that ends them.
fn closed(text: &[char], end: char, radix: u32) -> Option<(char, usize)> {
    let length = text.iter().take(LONGEST).position(|letter| *letter == end)?;
    Some((number(&text[..length], radix)?, length + 1))
}

fn number(digits: &[char], radix: u32) -> Option<char> {
    char::from_u32(value(digits, radix)?)
}

fn value(digits: &[char], radix: u32) -> Option<u32> {
    let add = |number: u32, digit: &char| number.checked_mul(radix)?.checked_add(digit.to_digit(radix)?);
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(text: &str) -> Vec<String> {
        of(text).map(|view| view.letters.iter().collect()).collect()
    }

    #[test]
    fn escapes_of_all_kinds_are_undone() {
        for (text, read) in [
            ("%74oken%c3%A9", "tokené"),
            (r"t\u006Fken\ud83d\ude00\x41\/", "token😀A/"),
            (r"t\u{6f}ken", "token"),
            ("&#116;oken&#x2F;&amp;&quot;", "token/&\""),
            ("to\r\nken", "token"),
            (r"to\nken", "token"),
        ] {
            assert_eq!(readings(text)[1], read, "{text}");
        }
        // An escape that is escaped.
        assert_eq!(readings("%2574oken").last().unwrap(), "token");
        assert_eq!(readings(r"\\u0074oken").last().unwrap(), "token");
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [
            "100% sure",
            "%zz",
            "%c3%zz",
            r"\u12",
            r"\ud83d",
            "&nothing;",
            "&#;",
            "&#99999999999;",
            "%",
            "\\",
            "&",
            "",
        ] {
            assert_eq!(readings(text), [text], "{text}");
        }
    }

    #[test]
    fn letters_keep_their_places() {
        let text = "é%74o\nk";
        let view = of(text).nth(1).unwrap();
        let places: Vec<&str> = view.places.iter().map(|(start, end)| &text[*start..*end]).collect();
        assert_eq!(places, ["é", "%74", "o", "k"]);
    }
}
