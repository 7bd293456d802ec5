//! Where input comes from: files, or standard input for `-`.
//!
//! Texts that are small by nature (filters, specs) are read whole as a [`Text`], which keeps its name for
//! diagnostics. Events are streamed: [`lines`] for JSON Lines, [`documents`] for any sequence of JSON values.

pub(crate) mod documents;
pub(crate) mod lines;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use anyhow::Context as _;

use crate::render::clean;
use crate::render::terminal::tell;

/// The byte order mark that some editors put before UTF-8; never part of the JSON.
const BOM: &str = "\u{feff}";

/// A text and what to call it.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    name: String,
    text: String,
}

impl Text {
    /// A text that is already here.
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

    /// What to call it: a path, `standard input` or an option.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The same text under the same name, its bytes replaced by those of `masked`, which has the same length.
    pub(crate) fn with_text(&self, masked: String) -> Self {
        Self { name: self.name.clone(), text: masked }
    }
}

/// Whether the path is the conventional name of standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The path as shown to people.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) {
        "standard input".to_owned()
    } else {
        clean::line(&path.to_string_lossy()).into_owned()
    }
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

/// A reader of a file, or of standard input for `-`; without a buffer, but for that of standard input.
pub(crate) fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    let open = || {
        if is_stdin(path) {
            hint_at_terminal("events");
            return Ok(Box::new(io::stdin()) as Box<dyn Read + Send>);
        }
        let file = File::open(path)?;
        // Opening a directory succeeds on Unix and reading it fails later, with a worse message.
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok::<_, io::Error>(Box::new(file) as Box<dyn Read + Send>)
    };
    open().with_context(|| format!("cannot read {}", name(path)))
}

/// Somebody who forgot the file name should not wonder why nothing happens.
fn hint_at_terminal(what: &str) {
    if io::stdin().is_terminal() {
        tell(format_args!("poll: reading {what} from the terminal; end it with Ctrl-D"));
    }
}
