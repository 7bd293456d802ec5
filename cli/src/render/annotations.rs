//! Problems as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.
//!
//! ```text
//! ::error file=export.json,line=4,col=25,endColumn=36,title=unknown-operator::unknown operator "$startWith"%0A…
//! ```
//!
//! The format and its escapes are those of GitHub's documentation, "Workflow commands for GitHub Actions", and of the
//! implementation in actions/toolkit (packages/core/src/command.ts).

use std::fmt::Write as _;

use super::problems::{Place, Problem, Range};

/// The command for one problem, without a line end. Text cannot end the command or begin another one.
pub(crate) fn github(problem: &Problem) -> String {
    let mut command = format!("::{}", problem.severity);
    let mut separator = ' ';
    let mut property = |name: &str, value: &str| {
        let _ = write!(command, "{separator}{name}={}", escaped_property(value));
        separator = ',';
    };
    if let Some(Place { file, range }) = &problem.place {
        property("file", file);
        if let Some(Range { line, column, end_line, end_column }) = *range {
            property("line", &line.to_string());
            if end_line == line {
                // GitHub's last column belongs to the range. Columns of ranges over several lines are not allowed.
                property("col", &column.to_string());
                property("endColumn", &end_column.saturating_sub(1).max(column).to_string());
            } else {
                property("endLine", &end_line.to_string());
            }
        }
    }
    if let Some(code) = problem.code {
        property("title", code);
    }
    let mut text = problem.message.clone();
    if !problem.pointer.is_empty() {
        let _ = write!(text, "\nat {}", problem.pointer);
    }
    if let Some(help) = &problem.help {
        let _ = write!(text, "\nhelp: {help}");
    }
    let _ = write!(command, "::{}", escaped(&text));
    command
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(range: Option<Range>) -> Problem {
        let place = Some(Place { file: "a,b:c.json".to_owned(), range });
        Problem { place, ..Problem::error("100% wrong\r\n::error::injected") }
    }

    #[test]
    fn text_is_escaped_so_that_it_stays_in_its_command() {
        assert_eq!(
            github(&problem(None)),
            "::error file=a%2Cb%3Ac.json::100%25 wrong%0D%0A::error::injected"
        );
    }

    #[test]
    fn the_range_is_on_one_line_or_has_no_columns() {
        let range = |end_line, end_column| Range { line: 3, column: 7, end_line, end_column };
        let of = |range| github(&problem(Some(range)));
        assert!(of(range(3, 10)).contains(",line=3,col=7,endColumn=9::"));
        assert!(of(range(3, 7)).contains(",line=3,col=7,endColumn=7::"), "an empty range has a character");
        assert!(of(range(5, 1)).contains(",line=3,endLine=5::"));
    }

    #[test]
    fn code_pointer_and_help_are_told() {
        let problem = Problem {
            severity: "warning",
            code: Some("suspicious"),
            help: Some("mend it".to_owned()),
            pointer: "/a".to_owned(),
            ..Problem::error("odd")
        };
        assert_eq!(github(&problem), "::warning title=suspicious::odd%0Aat /a%0Ahelp: mend it");
    }
}
