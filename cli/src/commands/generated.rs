//! `poll completions`, `poll man` and `poll schema`: files for shells, man and editors, made from the definitions of arguments,
//! filters and specs.
//!
//! The repository has the completions and pages under `cli/completions` and `cli/man`, for packagers; a test compares them.

use std::fs;
use std::io;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::output;
use crate::args::{Cli, CompletionsArgs, Kind, ManArgs, SchemaArgs};
use crate::exit::Exit;

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "poll", &mut script);
    output::write(&script)?;
    Ok(Exit::Success)
}

pub(super) fn schema(args: &SchemaArgs) -> anyhow::Result<Exit> {
    let schema = match args.kind {
        Kind::Filter => filter::schema(args.dialect.dialect),
        Kind::Spec => poller::spec_schema(&args.limits.limits()),
    };
    output::write(format!("{schema:#}\n").as_bytes())?;
    Ok(Exit::Success)
}

pub(super) fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    let folder = &args.folder;
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {shown}"))?;
    let mut whole = Cli::command();
    whole.build();
    let commands = whole.get_subcommands().filter(|command| command.get_name() != "help").cloned();
    for command in std::iter::once(whole.clone()).chain(commands) {
        let name = match command.get_name() {
            "poll" => "poll".to_owned(),
            command => format!("poll-{command}"),
        };
        let path = folder.join(format!("{name}.1"));
        let page = page(command, &name).with_context(|| format!("cannot make {}", path.display()))?;
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Exit::Success)
}

/// One page. The text behind the options has examples, whose lines must stay as they are.
fn page(command: Command, name: &str) -> io::Result<Vec<u8>> {
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let has_commands = command.get_subcommands().next().is_some();
    let display = command.get_bin_name().unwrap_or(name).to_owned();
    let man = Man::new(command.bin_name(display)).title(name).date("").source("poll").manual("poll");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    page.extend(verbatim(&after).into_bytes());
    Ok(page)
}

/// The text as roff that keeps its lines. A paragraph whose first line is a short title becomes a section.
fn verbatim(text: &str) -> String {
    let mut roff = String::new();
    let mut put = |line: &str| roff.extend([line, "\n"]);
    for (index, paragraph) in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()).enumerate() {
        let (first, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let title = first.strip_suffix(':').filter(|title| title.len() < 40 && !rest.is_empty());
        let body = match title {
            Some(title) => {
                put(&format!(".SH \"{}\"", escaped(&title.to_uppercase())));
                rest
            }
            None => {
                put(if index == 0 { ".SH NOTES" } else { ".PP" });
                paragraph
            }
        };
        put(".nf");
        for line in body.lines() {
            // A dot or an apostrophe at the start would be a request.
            let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
            put(&format!("{guard}{}", escaped(line)));
        }
        put(".fi");
    }
    roff
}

/// Backslashes, and the characters that roff would typeset as others: a pasted command needs those of ASCII.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
        .replace('`', "\\(ga")
        .replace('^', "\\(ha")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_quotes_of_examples_stay() {
        assert_eq!(
            verbatim("Examples:\n  poll a --b 'c' \\\n    d\n\n.dot `x`"),
            ".SH \"EXAMPLES\"\n.nf\n  poll a \\-\\-b \\(aqc\\(aq \\e\n    d\n.fi\n.PP\n.nf\n\\&.dot \\(gax\\(ga\n.fi\n"
        );
    }
}
