//! JSON pointers (RFC 6901), maintained during a walk over a document.

use std::fmt;

/// The path of a walk: it grows by a step on the way down and shrinks on the way up. It is formatted only for a
/// diagnostic, which most documents do not cause.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pointer<'n> {
    /// The document's own pointer, if it is embedded in another document.
    prefix: &'n str,
    steps: Vec<Step<'n>>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'n> {
    Key(&'n str),
    Index(usize),
}

impl<'n> Pointer<'n> {
    /// The pointer of a document that is embedded in another one.
    pub(crate) fn under(prefix: &'n str) -> Self {
        Self { prefix, steps: Vec::with_capacity(8) }
    }

    /// The number of steps, without those of the other document.
    pub(crate) fn depth(&self) -> usize {
        self.steps.len()
    }

    /// One member further down.
    pub(crate) fn key(&mut self, key: &'n str) {
        self.steps.push(Step::Key(key));
    }

    /// One element further down.
    pub(crate) fn index(&mut self, index: usize) {
        self.steps.push(Step::Index(index));
    }

    /// One step back up.
    pub(crate) fn back(&mut self) {
        self.steps.pop();
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix)?;
        for step in &self.steps {
            match step {
                Step::Key(key) => write!(f, "/{}", escaped(key))?,
                Step::Index(index) => write!(f, "/{index}")?,
            }
        }
        Ok(())
    }
}

/// A key as a step of a pointer.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::Pointer;

    #[test]
    fn escapes_tilde_and_slash() {
        let mut pointer = Pointer::under("/x");
        pointer.key("a/b~c");
        pointer.index(3);
        assert_eq!(pointer.to_string(), "/x/a~1b~0c/3");
        pointer.back();
        assert_eq!(pointer.to_string(), "/x/a~1b~0c");
        pointer.back();
        assert_eq!(pointer.to_string(), "/x");
    }
}
