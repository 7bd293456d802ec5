//! Input from files, or from standard input for `-`.
//!
//! Filters and specs are small and read whole as a [`Text`], which keeps its name for diagnostics. Events are streamed:
//! [`lines`] for JSON Lines, [`json_sequence`] for any sequence of JSON values.

pub(crate) mod json_sequence;
pub(crate) mod lines;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::render::sanitize;
use crate::render::terminal::eprint_line;

/// The byte order mark that some editors write before UTF-8; it is not part of the JSON.
const BOM: &str = "\u{feff}";

/// A text and its name for diagnostics.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    name: String,
    text: String,
}

impl Text {
    /// A text from memory.
    pub(crate) fn new(name: impl Into<String>, text: String) -> Self {
        Self { name: name.into(), text }
    }

    /// Reads a whole file, or standard input for `-`. A byte order mark is dropped.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = name(path);
        let bytes = read_bytes(path)?;
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
            anyhow::anyhow!("{name}:{line}: not UTF-8 at byte {valid} of the file")
        })?;
        if text.starts_with(BOM) {
            text.drain(..BOM.len());
        }
        Ok(Self { name, text })
    }

    /// The name: a path, `standard input` or an option.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Another text of the same length, under the same name.
    pub(crate) fn with_text(&self, text: String) -> Self {
        Self { name: self.name.clone(), text }
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
    let read = || {
        let mut bytes = Vec::new();
        if is_stdin(path) {
            hint_at_terminal("input");
            io::stdin().lock().read_to_end(&mut bytes)?;
        } else {
            File::open(path)?.read_to_end(&mut bytes)?;
        }
        Ok::<_, io::Error>(bytes)
    };
    read().with_context(|| format!("cannot read {}", name(path)))
}

/// An unbuffered reader of a file, or of standard input for `-`.
pub(crate) fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    let open = || {
        if is_stdin(path) {
            hint_at_terminal("events");
            return Ok(Box::new(io::stdin()) as Box<dyn Read + Send>);
        }
        let file = File::open(path)?;
        // On Unix, opening a directory succeeds and reading it fails later with a less helpful message.
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok::<_, io::Error>(Box::new(file) as Box<dyn Read + Send>)
    };
    open().with_context(|| format!("cannot read {}", name(path)))
}

/// Tells a user who forgot the file name why nothing happens.
fn hint_at_terminal(what: &str) {
    if io::stdin().is_terminal() {
        eprint_line(format_args!("poll: reading {what} from the terminal; end it with Ctrl-D"));
    }
}
