//! Input from files, or from standard input for `-`.
//!
//! Filters and small files are read whole as a [`Text`], which keeps its name for diagnostics. Specs are read in [`pieces`].
//! Events are streamed: [`lines`] for JSON Lines, [`json_sequence`] for any sequence of JSON values.

pub(crate) mod json_sequence;
pub(crate) mod lines;
pub(crate) mod pieces;

use std::borrow::Cow;
use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::pieces::Place;
use crate::render::sanitize;
use crate::render::terminal::eprint_line;

/// The byte order mark that some editors write before UTF-8; it is not part of the JSON.
const BOM: &str = "\u{feff}";

/// A text, or a part of a longer one, and its name for diagnostics.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    name: String,
    text: String,
    /// The number of its first line, from 1.
    first_line: usize,
}

impl Text {
    pub(crate) fn new(name: impl Into<String>, text: String) -> Self {
        Self { name: name.into(), text, first_line: 1 }
    }

    /// Reads a whole file, or standard input for `-`. A byte order mark is dropped.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::from_bytes(name(path), read_bytes(path)?, Place::START)
    }

    /// The text of a part of a file; a byte order mark at the beginning of the file is dropped.
    fn from_bytes(name: String, bytes: Vec<u8>, place: Place) -> anyhow::Result<Self> {
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line = place.line + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
            let help = filter::json::encoding_help(error.as_bytes());
            // Other text says all there is to say.
            let help = if help.starts_with("this is ") { format!("; {help}") } else { String::new() };
            anyhow::anyhow!("{name}:{line}: not UTF-8 at byte {} of the file{help}", place.offset + valid)
        })?;
        if place.offset == 0 && text.starts_with(BOM) {
            text.drain(..BOM.len());
        }
        Ok(Self { name, text, first_line: place.line })
    }

    /// The name: a path, `standard input` or an option.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) const fn first_line(&self) -> usize {
        self.first_line
    }

    /// Another text of the same length, under the same name.
    pub(crate) fn with_text(&self, text: String) -> Self {
        Self { name: self.name.clone(), text, first_line: self.first_line }
    }
}

/// Whether the path is `-`, the conventional name of standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name of the path for people.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) {
        "standard input".to_owned()
    } else {
        sanitize::line(&path.to_string_lossy()).into_owned()
    }
}

/// The files, or standard input if there are none.
pub(crate) fn files_or_stdin(files: &[PathBuf]) -> Cow<'_, [PathBuf]> {
    if files.is_empty() { vec![PathBuf::from("-")].into() } else { files.into() }
}

/// All bytes of a file, or of standard input for `-`.
pub(crate) fn read_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = if is_stdin(path) {
        hint_at_terminal("input");
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.with_context(|| format!("cannot read {}", name(path)))
}

/// An unbuffered reader of a file, or of standard input for `-`; at a terminal, a line says that `what` is awaited.
pub(crate) fn open(path: &Path, what: &str) -> anyhow::Result<Box<dyn Read + Send>> {
    if is_stdin(path) {
        hint_at_terminal(what);
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(open_file(path)?.0))
}

fn open_file(path: &Path) -> anyhow::Result<(File, Metadata)> {
    let opened = File::open(path).and_then(|file| match file.metadata()? {
        // On Unix, opening a directory succeeds and reading it fails later with a less helpful message.
        metadata if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        metadata => Ok((file, metadata)),
    });
    opened.with_context(|| format!("cannot read {}", name(path)))
}

/// Tells a user who forgot the file name why nothing happens.
fn hint_at_terminal(what: &str) {
    if io::stdin().is_terminal() {
        eprint_line(format_args!("poll: reading {what} from the terminal; end it with Ctrl-D"));
    }
}
