//! A draw target that reports a few columns less than the terminal has.
//!
//! indicatif fills the progress line with blanks up to the last column and leaves the cursor there. On Ctrl-C the
//! terminal echoes `^C` at the cursor; the echo then wraps to the next line, and indicatif no longer erases the
//! progress line. With a margin, the echo stays on the progress line and is erased together with it.

use std::io;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// Space for two echoes of `^C`.
const MARGIN: u16 = 5;

/// Redraws per second; a countdown of seconds needs no more.
const RATE: u8 = 10;

/// Standard error with a margin at the right.
pub(super) fn target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(WithMargin(Term::buffered_stderr())), RATE)
}

/// The columns that a redrawn line may use, behind the spinner and a space.
pub(super) fn columns() -> usize {
    usize::from(WithMargin(Term::stderr()).width()).saturating_sub(2)
}

#[derive(Debug)]
struct WithMargin(Term);

macro_rules! delegated {
    ($($method:ident($($argument:ident: $type:ty)?);)*) => {
        $(fn $method(&self $(, $argument: $type)?) -> io::Result<()> {
            self.0.$method($($argument)?)
        })*
    };
}

impl TermLike for WithMargin {
    fn width(&self) -> u16 {
        self.0.size().1.saturating_sub(MARGIN).max(1)
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    delegated! {
        move_cursor_up(n: usize);
        move_cursor_down(n: usize);
        move_cursor_right(n: usize);
        move_cursor_left(n: usize);
        write_line(text: &str);
        write_str(text: &str);
        clear_line();
        flush();
    }
}
