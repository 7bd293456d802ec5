//! Names with values, `--header` and `--query`, whose values may be or end in a reference to a secret.
//!
//! Secrets are passed by reference (`env:NAME`, `@FILE`), because all users of the machine can see arguments in the process list.
//! Parsing is pure; [`PairArg::resolve`] reads the environment or a file when the command runs.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::input;

/// A header or a parameter of the query.
///
/// `Debug` shows the name only: an inline value may be secret too.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PairArg {
    option: &'static str,
    /// The name of the header or parameter.
    pub(crate) name: String,
    prefix: String,
    secret: Option<SecretRef>,
    /// A backslash says that the value only looks like a reference.
    pub(crate) is_literal: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum SecretRef {
    Env(String),
    File(PathBuf),
}

impl fmt::Debug for PairArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairArg").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads `Name: value`, `Name: env:VARIABLE`, `Name: @FILE`, `Name: Bearer env:VARIABLE`.
pub(crate) fn header(line: &str) -> Result<PairArg, String> {
    let (name, value) =
        line.split_once(':').ok_or("expected 'Name: value', for example 'Accept: application/json'")?;
    let name = name.trim();
    if let Err(error) = http::HeaderName::try_from(name) {
        return Err(format!("\"{name}\" is no header name: {error}"));
    }
    Ok(PairArg::new("--header", name, value.trim()))
}

/// Reads `name=value`, `name=env:VARIABLE`, `name=@FILE`. Neither part is encoded yet.
pub(crate) fn query(pair: &str) -> Result<PairArg, String> {
    let (name, value) = pair.split_once('=').ok_or("expected NAME=VALUE, for example key=env:API_KEY")?;
    if name.is_empty() {
        return Err("expected a name before the =, for example key=env:API_KEY".to_owned());
    }
    Ok(PairArg::new("--query", name, value))
}

impl PairArg {
    fn new(option: &'static str, name: &str, value: &str) -> Self {
        // The reference is the last word, so that a scheme can precede it: `Bearer env:TOKEN`.
        let start = value.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let (before, last) = value.split_at(start);
        let variable = last.strip_prefix("env:").map(|variable| SecretRef::Env(variable.to_owned()));
        let secret = variable.or_else(|| Some(SecretRef::File(PathBuf::from(last.strip_prefix('@')?))));
        let prefix = match (&secret, last.strip_prefix('\\')) {
            (Some(_), _) => before.to_owned(),
            // A backslash marks a literal that looks like a reference.
            (None, Some(literal)) if literal.starts_with('@') || literal.starts_with("env:") => {
                format!("{before}{literal}")
            }
            (None, _) => value.to_owned(),
        };
        let is_literal = secret.is_none() && prefix != value;
        Self { option, name: name.to_owned(), prefix, secret, is_literal }
    }

    /// The reference that a spec can have, and the public part of the value before it: the secret is then read at each sending,
    /// so that a token may be replaced while the poll runs. `None` for a value that can be read only once, such as
    /// standard input or the pipe of a shell's `<(…)`.
    pub(crate) fn reference(&self) -> Option<(&str, String)> {
        let reference = match self.secret.as_ref()? {
            SecretRef::Env(variable) => format!("env:{variable}"),
            SecretRef::File(path) if path.is_file() => format!("file:{}", path.display()),
            SecretRef::File(_) => return None,
        };
        Some((&self.prefix, reference))
    }

    /// The public part of the value, and the secret that follows it.
    pub(crate) fn resolve(&self) -> anyhow::Result<(String, Option<String>)> {
        let place = format!("{} {}", self.option, self.name);
        let secret = match &self.secret {
            None => None,
            Some(SecretRef::Env(variable)) => Some(std::env::var(variable).map_err(|error| {
                let problem = match error {
                    std::env::VarError::NotPresent => "is not set",
                    std::env::VarError::NotUnicode(_) => "is not UTF-8",
                };
                anyhow::anyhow!("{place}: the environment variable \"{variable}\" {problem}")
            })?),
            Some(SecretRef::File(path)) => {
                let text = input::Text::read(path).with_context(|| format!("for {place}"))?;
                // Editors add a line end.
                Some(text.as_str().trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        Ok((self.prefix.clone(), secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(pair: PairArg) -> (String, String, Option<String>) {
        let secret = pair.secret.map(|secret| match secret {
            SecretRef::Env(name) => format!("env {name}"),
            SecretRef::File(path) => format!("file {}", path.display()),
        });
        (pair.name, pair.prefix, secret)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_header_value_may_end_in_a_reference() {
        let parts = |line: &str| parts(header(line).unwrap());
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
    fn a_parameter_may_be_a_reference() {
        let parts = |pair: &str| parts(query(pair).unwrap());
        assert_eq!(parts("page=2"), ("page".into(), "2".into(), None));
        assert_eq!(parts("q=a=b&c d"), ("q".into(), "a=b&c d".into(), None));
        assert_eq!(parts("key=env:API_KEY"), ("key".into(), String::new(), some("env API_KEY")));
        assert_eq!(parts("key=@/run/key"), ("key".into(), String::new(), some("file /run/key")));
        assert_eq!(parts(r"user=\@home"), ("user".into(), "@home".into(), None));
        assert_eq!(parts("flag="), ("flag".into(), String::new(), None));
        for wrong in ["", "key", "=x"] {
            assert!(query(wrong).is_err_and(|message| message.contains("key=env:API_KEY")), "{wrong}");
        }
    }

    #[test]
    fn debug_never_shows_a_value() {
        assert!(!format!("{:?}", header("authorization: s3cret").unwrap()).contains("s3cret"));
        assert!(!format!("{:?}", query("key=s3cret").unwrap()).contains("s3cret"));
    }
}
