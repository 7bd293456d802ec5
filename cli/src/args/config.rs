//! `poll serve --config FILE`: a file of TOML that says what options can.
//!
//! Its members become options before the arguments are parsed, so that each is checked, documented and defaulted in one place. What
//! the command line says goes before what the file says.

use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory as _};
use toml::{Table, Value};

use super::Cli;

/// The option that names the file.
const CONFIG: &str = "config";

/// The arguments with those of the file that they name; unchanged if they name none.
pub(crate) fn expand(arguments: Vec<OsString>) -> Result<Vec<OsString>, clap::Error> {
    // Behind the command, which only global options precede.
    let Some(command) = arguments.iter().position(|argument| argument == "serve") else {
        return Ok(arguments);
    };
    let given = &arguments[command + 1..];
    let Some(file) = value_of(given, CONFIG) else { return Ok(arguments) };
    let added = read(Path::new(&file), given).map_err(|message| {
        Cli::command().error(ErrorKind::Io, format!("in --config {}: {message}", file.display()))
    })?;
    let mut all = arguments;
    all.splice(command + 1..command + 1, added);
    Ok(all)
}

/// The value of an option, as `--name value` or `--name=value`.
fn value_of(given: &[OsString], name: &str) -> Option<OsString> {
    let mut arguments = given.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = arguments.next() {
        let Some(option) = argument.to_str().and_then(|text| text.strip_prefix("--")) else { continue };
        match option.split_once('=') {
            Some((option, value)) if option == name => return Some(value.into()),
            None if option == name => return arguments.next().cloned(),
            _ => {}
        }
    }
    None
}

fn read(file: &Path, given: &[OsString]) -> Result<Vec<OsString>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("it cannot be read: {error}"))?;
    let table: Table = toml::from_str(&text).map_err(|error| error.to_string())?;
    let mut command = Cli::command();
    command.build();
    let serve = command.find_subcommand("serve").ok_or("the command serve is missing")?;
    let mut added = Vec::new();
    for (name, value) in &table {
        let option = option(serve, name)?;
        if !is_given(given, name, option.get_short()) {
            added.extend(arguments(option, name, value)?);
        }
    }
    Ok(added)
}

/// An option that a file may set.
fn option<'c>(serve: &'c Command, name: &str) -> Result<&'c Arg, String> {
    match serve.get_arguments().find(|argument| argument.get_long() == Some(name)) {
        Some(_) if name == CONFIG || name == "help" || name == "version" => {
            Err(format!("{name:?} is for the command line only"))
        }
        Some(option) => Ok(option),
        None => {
            let names: Vec<&str> = serve.get_arguments().filter_map(|argument| argument.get_long()).collect();
            let close = filter::decode::closest(name, &names);
            let help = close.map(|close| format!("; did you mean {close:?}?")).unwrap_or_default();
            Err(format!("{name:?} is no option of poll serve{help}"))
        }
    }
}

fn is_given(given: &[OsString], name: &str, short: Option<char>) -> bool {
    let is_it = |text: &str| match text.strip_prefix("--") {
        Some(long) => long.split('=').next() == Some(name),
        None => short.is_some_and(|short| text.strip_prefix('-') == Some(&short.to_string())),
    };
    given.iter().take_while(|argument| *argument != "--").filter_map(|argument| argument.to_str()).any(is_it)
}

/// An option with its value, or several times with each.
fn arguments(option: &Arg, name: &str, value: &Value) -> Result<Vec<OsString>, String> {
    let takes_value = option.get_action().takes_values();
    let repeats = matches!(option.get_action(), ArgAction::Append);
    let one = |value: &Value| -> Result<Option<OsString>, String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(given) if !takes_value => return Ok(given.then(|| format!("--{name}").into())),
            other => {
                return Err(format!("{name} is of type {}, expected a string or a number", other.type_str()));
            }
        };
        match takes_value {
            true => Ok(Some(format!("--{name}={text}").into())),
            false => Err(format!("{name} is {text:?}, expected true or false")),
        }
    };
    match value {
        Value::Array(values) if repeats => values.iter().filter_map(|value| one(value).transpose()).collect(),
        Value::Array(_) => Err(format!("{name} is a list, and can be given once only")),
        value => Ok(one(value)?.into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(file: &str, arguments: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poll.toml");
        std::fs::write(&path, file).unwrap();
        let config = format!("--config={}", path.display());
        let all = ["poll", "serve", &config].iter().chain(arguments).map(OsString::from).collect();
        let all = expand(all).map_err(|error| error.to_string())?.into_iter();
        let all = all.map(|argument| argument.into_string().unwrap());
        Ok(all.filter(|argument| !argument.starts_with("--config")).collect())
    }

    #[test]
    fn members_become_options() {
        let file = "store = 'polls.db'\nmax-wait = '20s'\nquiet = true\nunbounded = false\nallow-network = ['10.0.0.0/8', '192.168.0.0/16']\nmax-body = 100\n";
        let found = expanded(file, &[]).unwrap();
        let mut options = found[2..].to_vec();
        options.sort();
        assert_eq!(
            options,
            [
                "--allow-network=10.0.0.0/8",
                "--allow-network=192.168.0.0/16",
                "--max-body=100",
                "--max-wait=20s",
                "--quiet",
                "--store=polls.db"
            ]
        );
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let file = "store = 'polls.db'\nmax-wait = '20s'\nquiet = true\n";
        let found = expanded(file, &["--store", "other.db", "--max-wait=5s", "-q"]).unwrap();
        assert_eq!(found[2..], ["--store", "other.db", "--max-wait=5s", "-q"]);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told() {
        for (file, part) in [
            ("stor = 'a'", "did you mean \"store\"?"),
            ("store = ['a', 'b']", "can be given once only"),
            ("store = {a = 1}", "of type table"),
            ("quiet = 'yes'", "expected true or false"),
            ("config = 'b.toml'", "for the command line only"),
            ("store = ", "TOML parse error"),
        ] {
            let error = expanded(file, &[]).unwrap_err();
            assert!(error.contains(part), "{file}: {error}");
        }
        let missing =
            expand(["poll", "serve", "--config", "/nowhere.toml"].map(OsString::from).to_vec()).unwrap_err();
        assert!(missing.to_string().contains("in --config /nowhere.toml: it cannot be read"), "{missing}");
    }

    #[test]
    fn other_commands_are_left_alone() {
        let arguments = ["poll", "list", "--store", "serve", "--config"].map(OsString::from).to_vec();
        assert_eq!(expand(arguments.clone()).unwrap(), arguments);
    }
}
