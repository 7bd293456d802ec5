//! Wraps text for people at the width of their terminal.
//!
//! A terminal breaks a long line in the middle of a word. Here lines break at spaces, and behind the commas of compact JSON,
//! and continue indented, so that the first line of each message stands out. A word that is longer than the width, such
//! as a URL, is left to the terminal: a break inside it would spoil a copy. Escape sequences of colours have no width.

use std::borrow::Cow;

use console::strip_ansi_codes;
use textwrap::core::{Word, display_width};
use textwrap::{Options, WordSeparator, WordSplitter};

/// Narrower terminals keep the little width they have: continued lines are indented less.
const NARROW: usize = 60;

/// `text`, each of its lines wrapped to `width` columns.
pub(crate) fn wrap(text: &str, width: usize) -> Cow<'_, str> {
    if text.lines().all(|line| display_width(line) <= width) {
        return Cow::Borrowed(text);
    }
    let mut wrapped = String::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive('\n') {
        let (content, end) = line.strip_suffix('\n').map_or((line, ""), |content| (content, "\n"));
        if display_width(content) <= width {
            wrapped.push_str(line);
            continue;
        }
        let indent = " ".repeat(hanging(&strip_ansi_codes(content), width));
        let options = Options::new(width)
            .subsequent_indent(&indent)
            .break_words(false)
            .word_separator(WordSeparator::Custom(words))
            .word_splitter(WordSplitter::NoHyphenation);
        wrapped.push_str(&textwrap::wrap(content, options).join("\n"));
        wrapped.push_str(end);
    }
    Cow::Owned(wrapped)
}

/// The indentation of the lines that continue `line`.
fn hanging(line: &str, width: usize) -> usize {
    let leading = line.len() - line.trim_start_matches(' ').len();
    // Behind the clock of a line of progress, and behind the title of a note of a diagnostic.
    let title = match line.trim_start() {
        text if text.starts_with('[') => text.find("] ").map(|at| at + 2),
        text if text.starts_with("= ") => text.find(": ").map(|at| at + 2),
        _ => None,
    };
    let hang = title.filter(|length| width >= NARROW && *length <= 12).unwrap_or(2);
    // Deep indentation must leave room for text.
    (leading + hang).min(width / 3)
}

/// The words of a line. A comma of compact JSON ends a word too: `["SUCCESS","DONE"]`.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    Box::new(WordSeparator::AsciiSpace.find_words(line).flat_map(|word| {
        let text = word.word;
        let mut pieces = Vec::new();
        let mut start = 0;
        for (at, _) in text.match_indices(',') {
            let next = text[at + 1..].chars().next();
            if matches!(next, Some('"' | '{' | '[')) {
                pieces.push(Word::from(&text[start..=at]));
                start = at + 1;
            }
        }
        pieces.push(Word { word: &text[start..], width: display_width(&text[start..]), ..word });
        pieces
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_fit_are_not_copied() {
        assert!(matches!(wrap("short\nlines", 10), Cow::Borrowed(_)));
    }

    #[test]
    fn a_long_line_breaks_at_spaces_and_continues_indented() {
        assert_eq!(wrap("one two three\n", 9), "one two\n  three\n");
        assert_eq!(wrap("  one two three four", 12), "  one two\n    three\n    four");
        let line = "[    20s] #3 200 in 12ms: body.status is \"RUNNING\", expected \"SUCCESS\" or another";
        assert_eq!(
            wrap(line, 64),
            "[    20s] #3 200 in 12ms: body.status is \"RUNNING\", expected\n          \"SUCCESS\" or another"
        );
        assert_eq!(
            wrap("  = help: write it whole: http://example.com or https://example.com", 62),
            "  = help: write it whole: http://example.com or\n          https://example.com"
        );
    }

    #[test]
    fn no_word_is_cut_however_narrow_the_terminal() {
        let url = "https://api.example.com/v1/exports/42";
        for width in 1..40 {
            let text = format!("GET {url} every 10s, with a few words more");
            let wrapped = wrap(&text, width);
            assert!(wrapped.contains(url), "{wrapped}");
            let joined: Vec<_> = wrapped.split_whitespace().collect();
            assert_eq!(joined, text.split_whitespace().collect::<Vec<_>>(), "{width}");
        }
    }

    #[test]
    fn compact_json_breaks_behind_commas() {
        let text = r#"{"status":["SUCCESS","DONE","COMPLETE"],"a":{"b":[1,2]}}"#;
        let wrapped = wrap(text, 24);
        assert!(wrapped.lines().all(|line| display_width(line) <= 24), "{wrapped}");
        assert_eq!(wrapped.replace("\n  ", ""), text);
        assert!(wrapped.contains("[1,2]"), "{wrapped}");
    }

    #[test]
    fn colours_have_no_width() {
        let coloured = "\x1b[1m\x1b[31merror\x1b[0m: no good";
        assert!(matches!(wrap(coloured, 14), Cow::Borrowed(_)));
        assert_eq!(wrap(coloured, 12), "\x1b[1m\x1b[31merror\x1b[0m: no\n  good");
    }
}
