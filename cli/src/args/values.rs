//! Parsers of argument values: durations, sizes, text or `@file`. Headers and parameters are in [`pairs`](super::pairs).
//!
//! Parsing is pure. Only [`TextArg::read`] reads files, when the command runs, so `--help` and argument errors do not depend on
//! them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use filter::json::Kind;
use poller::http::IpNet;
use poller::secret::{SecretError, SecretRule};
use serde_json::{Value, json};

use crate::input;

/// Reads `10s`, `1.5m`, `500ms`, `1h30m`; a plain number counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str =
        "expected a duration such as 10s, 1.5m, 500ms or 1h30m (a plain number is seconds)";
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(EXPECTED.to_owned());
    }
    let mut total = Duration::ZERO;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let scale = match unit {
            "ms" => 0.001,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "" if parts == 0 && tail.is_empty() => 1.0,
            "" => return Err(EXPECTED.to_owned()),
            other => return Err(format!("unknown unit \"{other}\"; {EXPECTED}")),
        };
        let number: f64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
        total = Duration::try_from_secs_f64(number * scale)
            .ok()
            .and_then(|part| total.checked_add(part))
            .ok_or("too long")?;
        parts += 1;
        rest = tail;
    }
    Ok(total)
}

/// How long to keep something: a duration, or `forever`.
pub(crate) fn keep(text: &str) -> Result<Duration, String> {
    if text == "forever" { Ok(Duration::MAX) } else { duration(text) }
}

/// An interval or timeout without the limits of specs: 0.1 s or more.
pub(crate) fn poll_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration < Duration::from_millis(100) {
        return Err("shorter than the minimum of 100ms".to_owned());
    }
    Ok(duration)
}

/// Reads `auto`, `header:NAME`, `body:/json/pointer` as the member of a spec; its decoder judges names and pointers.
pub(crate) fn follow(text: &str) -> Result<Value, String> {
    match (text, text.split_once(':')) {
        ("auto", _) => Ok(json!("auto")),
        (_, Some(("header", name))) if !name.is_empty() => Ok(json!({"header": name})),
        (_, Some(("body", pointer))) if pointer.starts_with('/') => Ok(json!({"body": pointer})),
        _ => Err("expected auto, header:NAME or body:/json/pointer, such as body:/links/status".to_owned()),
    }
}

/// Reads `1s..30s`: the first and the longest of growing intervals.
pub(crate) fn growing(text: &str) -> Result<(Duration, Duration), String> {
    let (from, to) = text.split_once("..").ok_or("expected FROM..TO, such as 1s..30s")?;
    let (from, to) = (poll_duration(from)?, poll_duration(to)?);
    if from > to {
        return Err(format!("\"{text}\" shrinks; write the shorter time first"));
    }
    Ok((from, to))
}

/// Whether a character can be in the name of a variable.
pub(crate) fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Whether a variable can have this name.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_name)
}

/// Reads `NAME=VALUE`.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if !is_name(name) {
        return Err(format!("{name:?} is no name: expected letters, digits, `_`, `-` and `.`"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads a number of attempts, or `never`, as the member of a spec.
pub(crate) fn give_up(text: &str) -> Result<Value, String> {
    match (text, text.parse::<u32>()) {
        ("never", _) => Ok(json!(false)),
        (_, Ok(0)) => Err("expected at least 1, or never".to_owned()),
        (_, Ok(after)) => Ok(json!({"after": after})),
        (_, Err(_)) => Err("expected a number of attempts such as 5, or never".to_owned()),
    }
}

/// Reads `20MiB`, `1.5M`, `500k`, `10MB`; a plain number counts bytes. A single letter is a power of 1024, as in curl and
/// dd: if powers of 1000 were meant, the limit is slightly higher rather than lower.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a size such as 20MiB, 1.5G or 500k (k, M, G and KiB, MiB, GiB are \
        powers of 1024; kB, MB, GB of 1000; a plain number is bytes)";
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || part.is_empty() || part.contains('.') {
        return Err(EXPECTED.to_owned());
    }
    let unit = unit.trim_start();
    let scale: u64 = match &*unit.to_ascii_lowercase() {
        "" | "b" if number.contains('.') => {
            return Err(format!("\"{text}\" is not a whole number of bytes; {EXPECTED}"));
        }
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(format!("unknown unit \"{unit}\"; {EXPECTED}")),
    };
    // Further decimals amount to less than a byte.
    let part = &part[..part.len().min(10)];
    let scaled = |digits: &str| digits.parse::<u64>().ok()?.checked_mul(scale);
    let part = scaled(part).zip(10_u64.checked_pow(part.len() as u32)).map(|(part, of)| part / of);
    scaled(whole)
        .zip(part)
        .and_then(|(whole, part)| whole.checked_add(part))
        .ok_or_else(|| "more bytes than 64 bits can count".to_owned())
}

/// Reads the id of a rule, as JSON: a JSON string or number, or any other text, which is taken as the string.
pub(crate) fn rule_id(text: &str) -> Result<String, String> {
    let parsed = filter::json::parse(text, &filter::Limits::new());
    let is_id = |kind: &Kind| matches!(kind, Kind::String(_) | Kind::Number(_));
    Ok(match parsed {
        Ok(node) if is_id(&node.kind) => text.trim().to_owned(),
        _ => Value::from(text).to_string(),
    })
}

/// `10.1.0.0/16`, `fd00::/8`, or a single address.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        "expected a network such as 10.1.0.0/16 or fd00::/8, or an address; for a name, give its addresses"
            .to_owned()
    })
}

/// `env:API_TOKEN@https://api.example.com`.
pub(crate) fn secret_rule(text: &str) -> Result<SecretRule, String> {
    text.parse().map_err(|error: SecretError| error.to_string())
}

/// The name of a scope, as the poller accepts it.
pub(crate) fn scope(text: &str) -> Result<String, String> {
    let longest = poller::Limits::default().key_len;
    if text.len() > longest {
        return Err(format!("longer than {longest} bytes"));
    }
    if text.contains(char::is_control) {
        return Err("has a control character".to_owned());
    }
    Ok(text.to_owned())
}

/// An argument that is the text itself or, as `@FILE`, names the file that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextArg {
    /// The text stands in the argument.
    Inline(String),
    /// The text stands in this file.
    File(PathBuf),
}

impl From<String> for TextArg {
    fn from(argument: String) -> Self {
        match argument.strip_prefix('@') {
            Some(path) => Self::File(PathBuf::from(path)),
            None => Self::Inline(argument),
        }
    }
}

impl TextArg {
    /// The text; its name in diagnostics is the path of the file or, for inline text, `option`.
    pub(crate) fn read(&self, option: &str) -> anyhow::Result<input::Text> {
        match self {
            Self::Inline(text) => Ok(input::Text::new(option, text.clone())),
            Self::File(path) => input::Text::read(path).with_context(|| format!("for {option}")),
        }
    }

    /// The bytes; `@-` is standard input.
    pub(crate) fn read_bytes(&self, option: &str) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Inline(text) => Ok(text.clone().into_bytes()),
            Self::File(path) => input::read_bytes(path).with_context(|| format!("for {option}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_durations() {
        for (text, millis) in [
            ("10s", 10_000),
            ("1.5m", 90_000),
            ("500ms", 500),
            ("30", 30_000),
            ("0.25", 250),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn invalid_durations_are_rejected_with_an_example() {
        for text in ["", "s", "ten", "-5s", "5 parsecs", "1m30", "1..5s", "10S", "99999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(duration("5y").is_err_and(|message| message.contains("\"y\"") && message.contains("1.5m")));
        assert!(poll_duration("99ms").is_err());
    }

    #[test]
    fn a_url_to_follow_is_in_a_header_or_the_body() {
        assert_eq!(follow("auto"), Ok(json!("auto")));
        assert_eq!(follow("header:Location"), Ok(json!({"header": "Location"})));
        assert_eq!(follow("body:/a/b"), Ok(json!({"body": "/a/b"})));
        for text in ["", "header:", "body:", "body:a", "Location", "cookie:x"] {
            assert!(follow(text).is_err_and(|message| message.contains("auto")), "{text}");
        }
    }

    #[test]
    fn growing_intervals_have_two_times() {
        assert_eq!(growing("500ms..30s"), Ok((Duration::from_millis(500), Duration::from_secs(30))));
        for text in ["1s", "30s..1s", "..", "1s..", "0s..1s", "1s..2s..3s"] {
            assert!(growing(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_has_a_name_and_any_value() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("a.b-c_1="), Ok(("a.b-c_1".into(), String::new())));
        for text in ["", "A", "=b", "A B=c", "ä=b"] {
            assert!(variable(text).is_err(), "{text}");
        }
    }

    #[test]
    fn giving_up_has_a_number_or_never_happens() {
        assert_eq!(give_up("3"), Ok(json!({"after": 3})));
        assert_eq!(give_up("never"), Ok(json!(false)));
        for text in ["0", "-1", "", "Never", "1.5", "99999999999"] {
            assert!(give_up(text).is_err_and(|message| message.contains("never")), "{text}");
        }
    }

    #[test]
    fn valid_sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1048577", 1_048_577),
            ("7b", 7),
            ("500k", 512_000),
            ("20MiB", 20 << 20),
            ("20 mib", 20 << 20),
            ("20M", 20 << 20),
            ("20MB", 20_000_000),
            ("1.5G", 3 << 29),
            ("0.1kB", 100),
            ("0.0009765625k", 1),
            ("1.00000000000000000000009G", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!(size("10MiB"), Ok(poller::Limits::default().max_body), "as documented for --max-body");
    }

    #[test]
    fn invalid_sizes_are_rejected_with_an_example() {
        for text in [
            "",
            "k",
            "-5k",
            ".5M",
            "5.M",
            "1..5M",
            "1.5.5M",
            "1e6",
            "0x10",
            "5 5",
            "1.5",
            "1.5b",
            "5 parsecs",
        ] {
            assert!(size(text).is_err_and(|message| message.contains("20MiB")), "{text}");
        }
        assert!(size("5T").is_err_and(|message| message.contains("\"T\"")));
        for text in ["99999999999999999999", "99999999999G"] {
            assert!(size(text).is_err_and(|message| message.contains("64 bits")), "{text}");
        }
    }

    #[test]
    fn the_id_of_a_rule_is_a_string_or_a_number() {
        for (text, expected) in [
            ("dead letters", "\"dead letters\""),
            ("17", "17"),
            (" \"17\"", "\"17\""),
            ("{}", "\"{}\""),
            ("", "\"\""),
        ] {
            assert_eq!(rule_id(text).as_deref(), Ok(expected));
        }
    }
}
