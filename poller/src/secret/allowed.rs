//! The secrets that specs of others may use: rules of the form `NAME@ORIGIN`.
//!
//! A spec that comes out of a store or through an API was written by someone who may have no right to the environment and the
//! files of this process. Its references resolve only where the owner of the process has said so, for each secret and each
//! origin: a rule for the secret alone would let the author of a spec send it to a server of his own.

use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;
use url::Url;

use super::{AllowAll, SecretError, SecretRef, SecretResolver};

/// One secret for one origin, written `NAME@ORIGIN`: `env:API_TOKEN@https://api.example.com`, or `API_TOKEN@…` for short.
///
/// The origin is scheme, host and port as in the URL, or the path of a unix socket, `unix:/run/job.sock`. There are no wildcards.
///
/// ```
/// use poller::secret::SecretRule;
///
/// let rule: SecretRule = "API_TOKEN@https://API.example.com:443/".parse()?;
/// assert_eq!(rule.to_string(), "env:API_TOKEN@https://api.example.com");
/// assert!("API_TOKEN".parse::<SecretRule>().is_err());
/// assert!("API_TOKEN@https://api.example.com/v1".parse::<SecretRule>().is_err());
/// # Ok::<(), poller::secret::SecretError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretRule {
    secret: SecretRef,
    origin: String,
}

impl SecretRule {
    /// The rule that a request for `url` needs to use this secret.
    #[must_use]
    pub fn needed(secret: &SecretRef, url: &Url) -> Self {
        Self { secret: secret.clone(), origin: origin_of(url) }
    }

    /// The secret.
    #[must_use]
    pub const fn secret(&self) -> &SecretRef {
        &self.secret
    }

    /// The origin, in the normal form of URLs.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl FromStr for SecretRule {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let wrong = |why: &str| {
            SecretError::new(format!(
                "{text:?} {why}; expected NAME@ORIGIN, such as env:API_TOKEN@https://api.example.com"
            ))
        };
        // The path of a file may have an @, an origin has none.
        let (name, origin) = text.rsplit_once('@').ok_or_else(|| wrong("names no origin"))?;
        let named = if name.contains(':') { name.parse() } else { format!("env:{name}").parse() };
        let secret = named.map_err(|_| wrong("names no secret"))?;
        if let Some(path) = origin.strip_prefix("unix:") {
            return match path.starts_with('/') && !path.contains(':') {
                true => Ok(Self { secret, origin: origin.to_owned() }),
                false => Err(wrong("has a socket that is no absolute path")),
            };
        }
        let url = Url::parse(origin).map_err(|_| wrong("has an origin that is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong("has an origin that is not http, https or unix"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has more than scheme, host and port behind the @"));
        }
        Ok(Self { secret, origin: origin_of(&url) })
    }
}

impl fmt::Display for SecretRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.secret, self.origin)
    }
}

/// Scheme, host and port of a URL; of a unix socket, its path.
fn origin_of(url: &Url) -> String {
    match url.scheme() {
        "unix" => {
            let path = url.path();
            format!("unix:{}", path.split_once(':').map_or(path, |(socket, _)| socket))
        }
        _ => url.origin().ascii_serialization(),
    }
}

/// Resolves the references that one of its rules allows, from the environment and files of this process; no others.
///
/// ```
/// use poller::secret::{AllowedSecrets, SecretRef, SecretResolver as _};
/// use poller::Url;
///
/// let allowed = AllowedSecrets::new().allow("env:PATH@https://api.example.com".parse()?);
/// let path: SecretRef = "env:PATH".parse()?;
/// assert!(allowed.resolve(&path, &Url::parse("https://api.example.com/v1/jobs/42")?).is_ok());
/// let refused = allowed.resolve(&path, &Url::parse("https://evil.example/")?).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "the secret env:PATH is not allowed for https://evil.example; a rule env:PATH@https://evil.example would allow it",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedSecrets {
    rules: Vec<SecretRule>,
}

impl AllowedSecrets {
    /// No rule: nothing resolves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule.
    #[must_use]
    pub fn allow(mut self, rule: SecretRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Whether a rule allows this secret for the origin of `url`. Linear in the number of rules.
    #[must_use]
    pub fn allows(&self, secret: &SecretRef, url: &Url) -> bool {
        let mut same = self.rules.iter().filter(|rule| rule.secret == *secret).peekable();
        same.peek().is_some() && {
            let origin = origin_of(url);
            same.any(|rule| rule.origin == origin)
        }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[SecretRule] {
        &self.rules
    }
}

impl FromIterator<SecretRule> for AllowedSecrets {
    fn from_iter<I: IntoIterator<Item = SecretRule>>(rules: I) -> Self {
        Self { rules: rules.into_iter().collect() }
    }
}

impl SecretResolver for AllowedSecrets {
    fn resolve(&self, reference: &SecretRef, url: &Url) -> Result<SecretString, SecretError> {
        if self.allows(reference, url) {
            return AllowAll.resolve(reference, url);
        }
        let needed = SecretRule::needed(reference, url);
        Err(SecretError::new(format!(
            "the secret {reference} is not allowed for {}; a rule {needed} would allow it",
            needed.origin
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_rule_is_for_one_secret_and_one_origin() {
        let allowed: AllowedSecrets =
            ["A@https://a.test", "file:/run/a@b@http://a.test:8080", "env:S@unix:/run/job.sock"]
                .map(|rule| rule.parse::<SecretRule>().unwrap())
                .into_iter()
                .collect();
        let a = SecretRef::Env("A".into());
        for (secret, to, expected) in [
            (&a, "https://a.test/x?y=z", true),
            (&a, "https://A.TEST:443/", true),
            (&a, "http://a.test/", false),
            (&a, "https://a.test:8443/", false),
            (&a, "https://a.test.evil.test/", false),
            (&a, "https://b.a.test/", false),
            (&SecretRef::Env("B".into()), "https://a.test/", false),
            (&SecretRef::Env("a".into()), "https://a.test/", false),
            (&SecretRef::File("A".into()), "https://a.test/", false),
            (&SecretRef::File("/run/a@b".into()), "http://a.test:8080/", true),
            (&SecretRef::File("/run/a".into()), "http://a.test:8080/", false),
            (&SecretRef::Env("S".into()), "unix:/run/job.sock:/v1", true),
            (&SecretRef::Env("S".into()), "unix:/run/job.sock2:/v1", false),
        ] {
            assert_eq!(allowed.allows(secret, &url(to)), expected, "{secret} for {to}");
        }
    }

    #[test]
    fn wrong_rules_say_what_is_wrong() {
        for (rule, why) in [
            ("A", "names no origin"),
            ("@https://a.test", "names no secret"),
            ("env:@https://a.test", "names no secret"),
            ("vault:A@https://a.test", "names no secret"),
            ("A@a.test", "no URL"),
            ("A@ftp://a.test", "not http, https or unix"),
            ("A@https://a.test/v1", "more than scheme, host and port"),
            ("A@https://a.test?x", "more than scheme, host and port"),
            ("A@unix:job.sock", "no absolute path"),
            ("A@*", "no URL"),
        ] {
            let error = rule.parse::<SecretRule>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("NAME@ORIGIN"), "{rule}: {error}");
        }
        // Credentials are before an @, so they are read as a part of the name.
        assert!("A@https://ann:pw@a.test".parse::<SecretRule>().is_err());
    }
}
