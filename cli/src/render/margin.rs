//! A terminal that is a little narrower than it is.
//!
//! indicatif fills the live line with blanks to the last column and leaves the cursor there. When Ctrl-C is pressed
//! the terminal echoes `^C` at the cursor, which then stands on the next line, and the live line before it is never
//! erased. With a margin at the end the echo stays on the line and goes with it.

use std::io;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// Room for `^C`, pressed twice.
const MARGIN: u16 = 5;

/// Redraws a second; a countdown needs no more.
const RATE: u8 = 10;

/// Standard error with a margin.
pub(super) fn target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(WithMargin(Term::buffered_stderr())), RATE)
}

#[derive(Debug)]
struct WithMargin(Term);

impl TermLike for WithMargin {
    fn width(&self) -> u16 {
        let (_, columns) = self.0.size();
        columns.saturating_sub(MARGIN).max(1)
    }

    fn height(&self) -> u16 {
        let (rows, _) = self.0.size();
        rows
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
