//! A file of JSON values in pieces of whole values, so that a million specs take the memory of a few thousand.
//!
//! A piece ends at a line end that is inside no value, found by counting brackets outside of strings. In text that is not
//! JSON there may be no such place; the piece is then the rest of the file, and its reader reports what is wrong.
//!
//! Input that cannot be read twice, such as a pipe, is kept in memory up to a size and in an unnamed temporary file beyond.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::SpooledTempFile;

use super::{Text, is_stdin, name, open_file};

/// About the size of a piece. The values of a text take some twenty times its length.
const PIECE: usize = 1 << 18;

/// The most of a pipe that is kept in memory.
const SPOOLED: usize = 4 << 20;

/// Input that can be read several times.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    File(PathBuf),
    Copy(SpooledTempFile),
}

impl Source {
    /// The input of a file, or of standard input for `-`, which is read to its end.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = name(path);
        let mut input = if is_stdin(path) {
            super::open(path, "input")?
        } else {
            let (file, metadata) = open_file(path)?;
            if metadata.is_file() {
                return Ok(Self { name, kept: Kept::File(path.to_owned()) });
            }
            Box::new(file)
        };
        let mut copy = tempfile::spooled_tempfile(SPOOLED);
        io::copy(&mut input, &mut copy)
            .context("it is kept in a temporary file while it is read")
            .with_context(|| format!("cannot read {name}"))?;
        Ok(Self { name, kept: Kept::Copy(copy) })
    }

    pub(crate) fn whole(&mut self) -> anyhow::Result<Text> {
        let Self { name, kept } = self;
        let mut bytes = Vec::new();
        let read = kept.reader().and_then(|mut reader| reader.read_to_end(&mut bytes));
        read.with_context(|| format!("cannot read {name}"))?;
        Text::from_bytes(name.clone(), bytes, Place::START)
    }

    /// The pieces, from the beginning.
    pub(crate) fn pieces(&mut self) -> anyhow::Result<Pieces<'_>> {
        let Self { name, kept } = self;
        let reader = kept.reader().with_context(|| format!("cannot read {name}"))?;
        Ok(Pieces {
            name,
            reader,
            size: PIECE,
            bytes: Vec::new(),
            place: Place::START,
            nesting: Nesting::default(),
            ended: false,
        })
    }
}

impl Kept {
    /// A reader from the beginning.
    fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::File(path) => Box::new(File::open(path)?),
            Self::Copy(copy) => {
                copy.rewind()?;
                Box::new(copy)
            }
        })
    }
}

/// Where a piece begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of its first line, from 1.
    pub(super) line: usize,
    /// The number of bytes before it.
    pub(super) offset: usize,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, offset: 0 };
}

pub(crate) struct Pieces<'s> {
    pub(crate) name: &'s str,
    reader: Box<dyn Read + 's>,
    size: usize,
    /// What is read and not returned yet.
    bytes: Vec<u8>,
    place: Place,
    nesting: Nesting,
    ended: bool,
}

impl Pieces<'_> {
    /// The next piece; `None` at the end. It has no byte order mark.
    pub(crate) fn next_piece(&mut self) -> anyhow::Result<Option<Text>> {
        while !self.ended && (self.bytes.len() < self.size || self.nesting.cut == 0) {
            let before = self.bytes.len();
            // At least doubling keeps the work linear when no place to cut is found.
            let more = self.size.max(before);
            let read = self.reader.by_ref().take(more as u64).read_to_end(&mut self.bytes);
            self.ended = read.with_context(|| format!("cannot read {}", self.name))? == 0;
            self.nesting.scan(&self.bytes, before);
        }
        let cut = if self.ended { self.bytes.len() } else { self.nesting.cut };
        if cut == 0 {
            return Ok(None);
        }
        let rest = self.bytes.split_off(cut);
        let piece = std::mem::replace(&mut self.bytes, rest);
        // The rest is scanned again: it is shorter than what one read brings.
        self.nesting = Nesting::default();
        self.nesting.scan(&self.bytes, 0);
        let place = self.place;
        self.place.offset += piece.len();
        self.place.line += memchr::memchr_iter(b'\n', &piece).count();
        Text::from_bytes(self.name.to_owned(), piece, place).map(Some)
    }
}

/// Where in the bytes values end.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Behind the last line end that is inside no value; 0 if there is none.
    cut: usize,
}

impl Nesting {
    /// Goes on with the bytes from `from`.
    fn scan(&mut self, bytes: &[u8], from: usize) {
        for (at, byte) in bytes.iter().enumerate().skip(from) {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b'\n' if self.depth == 0 => self.cut = at + 1,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn pieces(text: &[u8], size: usize) -> anyhow::Result<Vec<(usize, String)>> {
        let mut copy = tempfile::spooled_tempfile(8);
        copy.write_all(text)?;
        let mut source = Source { name: "a.json".to_owned(), kept: Kept::Copy(copy) };
        let mut pieces = source.pieces()?;
        pieces.size = size;
        let mut found = Vec::new();
        while let Some(piece) = pieces.next_piece()? {
            found.push((piece.first_line(), piece.as_str().to_owned()));
        }
        Ok(found)
    }

    #[test]
    fn a_piece_ends_between_values() {
        let text = "\u{feff}{\"a\":\n\"}\\\"\\n{\"}\n{}\n[\n1]\n";
        let found = pieces(text.as_bytes(), 1).unwrap();
        let found: Vec<_> = found.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(found[0].0, 1);
        assert_eq!(found.iter().map(|(_, text)| *text).collect::<String>(), &text[3..]);
        for (line, piece) in found {
            assert!(
                filter::json::parse_sequence(piece, &filter::Limits::default()).is_ok(),
                "{line}: {piece}"
            );
        }
        assert_eq!(pieces(b"", 1).unwrap(), []);
        assert_eq!(pieces(b"{\n{}\n", 1).unwrap(), [(1, "{\n{}\n".to_owned())], "not JSON");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_named_with_their_place() {
        let error = pieces(b"{}\n{}\n\xff\n", 1).unwrap_err().to_string();
        assert!(error.starts_with("a.json:3: not UTF-8 at byte 6 of the file"), "{error}");
    }

    proptest! {
        /// Whatever the size of the pieces, the values and their lines are the same.
        #[test]
        fn pieces_have_the_values_of_the_whole(
            values in proptest::collection::vec("[0-9]{1,3}|\"[a\\\\n{\\]]{0,3}\"|\\{\"a\":\\[1,\n2\\]\\}|\\[\n\\]", 0..20),
            ends in proptest::collection::vec("\n|\r\n|\n\n| ", 20),
            size in 1_usize..40,
        ) {
            let text: String = values.iter().zip(&ends).flat_map(|(value, end)| [value.as_str(), end]).collect();
            let parse = |text: &str| filter::json::parse_sequence(text, &filter::Limits::default());
            let Ok(whole) = parse(&text) else { return Ok(()) };
            let mut found = Vec::new();
            for (line, piece) in pieces(text.as_bytes(), size).unwrap() {
                for node in parse(&piece).unwrap() {
                    let at = node.span.unwrap().start;
                    found.push((line + piece[..at].matches('\n').count(), node.to_value()));
                }
            }
            let expected: Vec<_> = whole
                .iter()
                .map(|node| (1 + text[..node.span.unwrap().start].matches('\n').count(), node.to_value()))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
