//! Parsers of argument values: durations, sizes, text or `@file`, header lines.
//!
//! Parsing is pure. Only [`TextArg::read`] and [`HeaderArg::resolve`] read files or the environment, when the command
//! runs, so `--help` and argument errors do not depend on them. Secrets are passed by reference (`env:NAME`, `@FILE`),
//! because all users of the machine can see arguments in the process list.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

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

/// An interval or timeout without the limits of specs: 0.1 s or more.
pub(crate) fn poll_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration < Duration::from_millis(100) {
        return Err("shorter than the minimum of 100ms".to_owned());
    }
    Ok(duration)
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

/// Parses a text argument; any text is valid.
#[expect(clippy::unnecessary_wraps, reason = "a clap value parser returns a Result")]
pub(crate) fn text(argument: &str) -> Result<TextArg, String> {
    Ok(match argument.strip_prefix('@') {
        Some(path) => TextArg::File(PathBuf::from(path)),
        None => TextArg::Inline(argument.to_owned()),
    })
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

/// A header line `Name: value` whose value may be or end in a reference to a secret.
///
/// `Debug` shows the name only: an inline value may be secret too.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HeaderArg {
    name: String,
    prefix: String,
    secret: Option<SecretRef>,
}

#[derive(Clone, PartialEq, Eq)]
enum SecretRef {
    Env(String),
    File(PathBuf),
}

impl fmt::Debug for HeaderArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderArg").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads `Name: value`, `Name: env:VARIABLE`, `Name: @FILE`, `Name: Bearer env:VARIABLE`.
pub(crate) fn header(line: &str) -> Result<HeaderArg, String> {
    let (name, value) =
        line.split_once(':').ok_or("expected 'Name: value', for example 'Accept: application/json'")?;
    let name = name.trim();
    if let Err(error) = http::HeaderName::try_from(name) {
        return Err(format!("\"{name}\" is no header name: {error}"));
    }
    let value = value.trim();
    // The reference is the last word, so that a scheme can precede it: `Bearer env:TOKEN`.
    let start = value.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let (before, last) = value.split_at(start);
    let secret = if let Some(variable) = last.strip_prefix("env:") {
        Some(SecretRef::Env(variable.to_owned()))
    } else {
        last.strip_prefix('@').map(|path| SecretRef::File(PathBuf::from(path)))
    };
    let prefix = match (&secret, last.strip_prefix('\\')) {
        (Some(_), _) => before.to_owned(),
        // A backslash marks a literal that looks like a reference.
        (None, Some(literal)) if literal.starts_with('@') || literal.starts_with("env:") => {
            format!("{before}{literal}")
        }
        (None, _) => value.to_owned(),
    };
    Ok(HeaderArg { name: name.to_owned(), prefix, secret })
}

impl HeaderArg {
    /// The name of the header.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The public part of the value, and the secret that follows it.
    pub(crate) fn resolve(&self) -> anyhow::Result<(String, Option<String>)> {
        let secret = match &self.secret {
            None => None,
            Some(SecretRef::Env(variable)) => Some(std::env::var(variable).map_err(|error| {
                let problem = match error {
                    std::env::VarError::NotPresent => "is not set",
                    std::env::VarError::NotUnicode(_) => "is not UTF-8",
                };
                anyhow::anyhow!("--header {}: the environment variable \"{variable}\" {problem}", self.name)
            })?),
            Some(SecretRef::File(path)) => Some(read_secret(path, &self.name)?),
        };
        Ok((self.prefix.clone(), secret))
    }
}

/// The text of the file without the trailing line end that editors add.
fn read_secret(path: &Path, header: &str) -> anyhow::Result<String> {
    let text = input::Text::read(path).with_context(|| format!("for --header {header}"))?;
    Ok(text.as_str().trim_end_matches(['\r', '\n']).to_owned())
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
    fn a_header_value_may_end_in_a_reference() {
        let parts = |line: &str| {
            let header = header(line).unwrap();
            let secret = header.secret.map(|secret| match secret {
                SecretRef::Env(name) => format!("env {name}"),
                SecretRef::File(path) => format!("file {}", path.display()),
            });
            (header.name, header.prefix, secret)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts("Accept: a/b, c:d"), ("Accept".into(), "a/b, c:d".into(), None));
        assert_eq!(parts("X-Key:env:KEY"), ("X-Key".into(), String::new(), some("env KEY")));
        assert_eq!(
            parts("authorization: Bearer env:T"),
            ("authorization".into(), "Bearer ".into(), some("env T"))
        );
        assert_eq!(parts("a: Bearer @/run/t"), ("a".into(), "Bearer ".into(), some("file /run/t")));
        assert_eq!(parts(r"a: hi \@home"), ("a".into(), "hi @home".into(), None));
        assert_eq!(parts("a:"), ("a".into(), String::new(), None));
        assert!(header("no colon").is_err());
        assert!(header("bad name: x").is_err());
    }

    #[test]
    fn debug_never_shows_a_value() {
        assert!(!format!("{:?}", header("authorization: s3cret").unwrap()).contains("s3cret"));
    }
}
