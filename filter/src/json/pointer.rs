//! JSON pointers (RFC 6901), built while walking down a document.

use std::fmt::Write as _;

/// A JSON pointer that grows by a step on the way down and shrinks on the way up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pointer {
    text: String,
}

impl Pointer {
    /// A pointer that begins where a document is embedded in another.
    pub(crate) fn under(prefix: &str) -> Self {
        let mut text = String::with_capacity(prefix.len() + 64);
        text.push_str(prefix);
        Self { text }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Calls `inside` with the pointer one member further down.
    pub(crate) fn key(&mut self, key: &str) -> Mark {
        let mark = Mark(self.text.len());
        self.text.push('/');
        if !key.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
            self.text.push_str(key);
            return mark;
        }
        for character in key.chars() {
            match character {
                '~' => self.text.push_str("~0"),
                '/' => self.text.push_str("~1"),
                other => self.text.push(other),
            }
        }
        mark
    }

    pub(crate) fn index(&mut self, index: usize) -> Mark {
        let mark = Mark(self.text.len());
        match u8::try_from(index) {
            Ok(digit @ 0..10) => self.text.extend(['/', char::from(b'0' + digit)]),
            // Writing to a String cannot fail.
            _ => drop(write!(self.text, "/{index}")),
        }
        mark
    }

    /// Back to where the pointer was when `mark` was made.
    pub(crate) fn back(&mut self, mark: Mark) {
        self.text.truncate(mark.0);
    }
}

/// The length of a pointer before a step was added.
#[derive(Debug)]
#[must_use]
pub(crate) struct Mark(usize);

#[cfg(test)]
mod tests {
    use super::Pointer;

    #[test]
    fn escapes_tilde_and_slash_and_walks_back() {
        let mut pointer = Pointer::under("/x");
        let outer = pointer.key("a/b~c");
        let inner = pointer.index(3);
        assert_eq!(pointer.as_str(), "/x/a~1b~0c/3");
        pointer.back(inner);
        assert_eq!(pointer.as_str(), "/x/a~1b~0c");
        pointer.back(outer);
        assert_eq!(pointer.as_str(), "/x");
    }
}
