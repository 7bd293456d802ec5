//! Text that may be secret, and the resolvers of references to secrets.
//!
//! A spec has a secret in one of three forms: a reference (`{"$secret":"env:NAME"}`, `{"$secret":"file:PATH"}`, each with an
//! optional `prefix` and `suffix`),
//! Trigger.dev's redacted string, or plain text in a header with a [sensitive name](crate::redact::is_sensitive_name). In each
//! form the text is reachable only through [`Text::resolve`], at the moment of sending; `Debug`, `Display` and every
//! serialized form show a placeholder. Equality compares the secrets themselves and tells only yes or no.
//!
//! A server may echo the request. Quotes of a response (conditions that did not hold, the reason of a failure) and errors (the
//! host that a redirect leads to) do not contain the secrets of the request, whole or from six letters of their beginning on, in
//! any case, as base64 or hexadecimal digits, nor behind escapes of URLs, JSON or HTML. Shorter ones are not hidden, because that
//! would hide other text too. The response itself is the user's data and stays unchanged: an echoed secret is in the outcome's
//! body and headers, in a durable store in clear, and in the error of a body that does not fit its type.

mod allowed;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::ExposeSecret;
pub use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

pub use self::allowed::{AllowedSecrets, SecretRule};
use crate::key::PollKey;

/// The place of a secret: an environment variable or a file.
///
/// ```
/// use poller::secret::SecretRef;
///
/// let reference: SecretRef = "env:API_TOKEN".parse()?;
/// assert_eq!(reference, SecretRef::Env("API_TOKEN".to_owned()));
/// assert!("API_TOKEN".parse::<SecretRef>().is_err());
/// # Ok::<(), poller::secret::SecretError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretRef {
    /// `env:NAME`.
    Env(String),
    /// `file:PATH`, a regular file; one line break at its end does not belong to the secret.
    File(PathBuf),
}

impl FromStr for SecretRef {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Self::Env(name.to_owned()))
            }
            Some(("file", path)) if !path.is_empty() && !path.contains('\0') => {
                Ok(Self::File(PathBuf::from(path)))
            }
            _ => Err(SecretError::new(format!(
                "unknown secret reference {text:?}; expected \"env:NAME\" or \"file:PATH\""
            ))),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A secret that could not be resolved, sealed or opened. Names the reference, never the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SecretError {
    message: String,
}

impl SecretError {
    /// An error with this message, which must not contain secret text.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Decides which references are allowed for which origin, and resolves them.
///
/// The author of a spec may have no right to read this machine's environment or files; the resolver is the embedder's
/// decision. It is called before every request, outside the engine's task, and may block.
///
/// ```
/// use poller::secret::{AllowAll, SecretError, SecretRef, SecretResolver};
/// use secrecy::SecretString;
/// use url::Url;
///
/// /// One token, for one host.
/// struct ExportToken;
///
/// impl SecretResolver for ExportToken {
///     fn resolve(&self, reference: &SecretRef, url: &Url) -> Result<SecretString, SecretError> {
///         match (reference, url.host_str()) {
///             (SecretRef::Env(name), Some("api.example.com")) if name == "EXPORT_TOKEN" => {
///                 AllowAll.resolve(reference, url)
///             }
///             _ => Err(SecretError::new(format!("{reference} is not for {}", url.host_str().unwrap_or("this URL")))),
///         }
///     }
/// }
///
/// let error = ExportToken.resolve(&SecretRef::Env("PATH".into()), &Url::parse("https://evil.example")?).unwrap_err();
/// assert_eq!(error.to_string(), "env:PATH is not for evil.example");
/// # Ok::<(), url::ParseError>(())
/// ```
pub trait SecretResolver: Send + Sync + 'static {
    /// The secret that `reference` stands for, to be sent to the origin of `url`.
    ///
    /// # Errors
    /// If it is not allowed for this origin, or not found.
    fn resolve(&self, reference: &SecretRef, url: &Url) -> Result<SecretString, SecretError>;

    /// The same for a request of this poll, where who wrote the spec matters: a scope may be a tenant, and a poll may come
    /// from another process. By default every poll is treated alike.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); also if it is not allowed for this poll.
    fn resolve_for(
        &self,
        poll: &PollKey,
        reference: &SecretRef,
        url: &Url,
    ) -> Result<SecretString, SecretError> {
        let _ = poll;
        self.resolve(reference, url)
    }
}

/// Resolves nothing: the library's default.
#[derive(Clone, Copy, Debug, Default)]
pub struct DenyAll;

impl SecretResolver for DenyAll {
    fn resolve(&self, reference: &SecretRef, _: &Url) -> Result<SecretString, SecretError> {
        Err(SecretError::new(format!(
            "the secret {reference} is not allowed here; give the poller a resolver that allows it for this origin"
        )))
    }
}

/// Resolves every reference for every origin: for users who wrote the spec themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

/// The largest secret file in bytes: a bundle of authorities has 200 kB. A larger file is a mistake, or an attack on memory.
const LARGEST_FILE: u64 = 1 << 20;

impl SecretResolver for AllowAll {
    fn resolve(&self, reference: &SecretRef, _: &Url) -> Result<SecretString, SecretError> {
        match reference {
            SecretRef::Env(name) => std::env::var(name).map(SecretString::from).map_err(|error| {
                let problem = match error {
                    std::env::VarError::NotPresent => "not set",
                    std::env::VarError::NotUnicode(_) => "not valid UTF-8",
                };
                SecretError::new(format!("the environment variable {name} is {problem}"))
            }),
            SecretRef::File(path) => read_file(path),
        }
    }
}

fn read_file(path: &Path) -> Result<SecretString, SecretError> {
    use std::io::Read as _;

    let shown = path.display();
    let failed =
        |error: std::io::Error| SecretError::new(format!("cannot read the secret file {shown}: {error}"));
    let file = open_without_waiting(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(SecretError::new(format!(
            "the secret file {shown} is a pipe, a device or a folder; a secret is read before each request, so it must be in a \
             regular file or in a variable"
        )));
    }
    let mut text = String::new();
    file.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(SecretError::new(format!("the secret file {shown} is larger than {LARGEST_FILE} bytes")));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(SecretString::from(line.strip_suffix('\r').unwrap_or(line)))
}

/// Opens a file to read. Opening a pipe would wait for a writer, and would hold a thread that others need.
fn open_without_waiting(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    #[cfg(not(target_os = "linux"))]
    if !std::fs::metadata(path)?.is_file() {
        // Reported by the caller's own look as well, but for pipes only if opening them does not wait.
        return Err(std::io::Error::other("it is no regular file"));
    }
    options.open(path)
}

/// The function that writes the placeholder of secret text.
pub(crate) type ShowSecret<'a> = dyn Fn(&SecretString) -> Value + 'a;

/// Writes `{"__redactedString":true}`.
pub(crate) fn redact(_: &SecretString) -> Value {
    json!({"__redactedString": true})
}

/// A header value or body of a spec.
#[derive(Clone)]
#[non_exhaustive]
pub enum Text {
    /// As written.
    Plain(String),
    /// As written, but secret: a redacted string, or a header with a sensitive name.
    Secret(SecretString),
    /// Resolved at every sending.
    Reference(Reference),
}

/// A reference to a secret, with the text around it: a file may hold a bare token, and the header wants `Bearer ` before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Reference {
    /// The place of the secret.
    pub secret: SecretRef,
    /// The text before it. Not secret.
    pub prefix: String,
    /// The text after it. Not secret.
    pub suffix: String,
}

impl From<SecretRef> for Reference {
    fn from(secret: SecretRef) -> Self {
        Self { secret, prefix: String::new(), suffix: String::new() }
    }
}

impl fmt::Display for Reference {
    /// `Bearer [secret env:API_TOKEN]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, prefix, suffix } = self;
        write!(f, "{prefix}[secret {secret}]{suffix}")
    }
}

impl Text {
    /// The text itself.
    ///
    /// # Errors
    /// If it is a reference that the resolver does not allow or find, or to an empty secret: a request with half a
    /// credential would be refused, and say nothing of the reason.
    pub fn resolve(&self, resolver: &dyn SecretResolver, url: &Url) -> Result<SecretString, SecretError> {
        self.resolve_by(|reference| resolver.resolve(reference, url))
    }

    /// The text itself; `resolve` gives the secret of a reference.
    pub(crate) fn resolve_by(
        &self,
        resolve: impl FnOnce(&SecretRef) -> Result<SecretString, SecretError>,
    ) -> Result<SecretString, SecretError> {
        match self {
            Self::Plain(text) => Ok(SecretString::from(text.as_str())),
            Self::Secret(secret) => Ok(secret.clone()),
            Self::Reference(Reference { secret, prefix, suffix }) => {
                let resolved = resolve(secret)?;
                let bare = resolved.expose_secret();
                if bare.is_empty() {
                    return Err(SecretError::new(format!("the secret {secret} is empty")));
                }
                match prefix.is_empty() && suffix.is_empty() {
                    true => Ok(resolved),
                    false => Ok(SecretString::from(format!("{prefix}{bare}{suffix}"))),
                }
            }
        }
    }

    /// Its form in a spec, with `show` for secret text.
    pub(crate) fn to_value(&self, show: &ShowSecret<'_>) -> Value {
        match self {
            Self::Plain(text) => Value::from(text.as_str()),
            Self::Secret(secret) => show(secret),
            Self::Reference(Reference { secret, prefix, suffix }) => {
                let mut value = json!({"$secret": secret.to_string()});
                for (name, text) in [("prefix", prefix), ("suffix", suffix)] {
                    if !text.is_empty() {
                        value[name] = text.as_str().into();
                    }
                }
                value
            }
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(a), Self::Plain(b)) => a == b,
            (Self::Secret(a), Self::Secret(b)) => a.expose_secret() == b.expose_secret(),
            (Self::Reference(a), Self::Reference(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => text.fmt(f),
            Self::Secret(_) => f.write_str("[secret]"),
            Self::Reference(reference) => write!(f, "{reference}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        Url::parse("https://api.example.com/").unwrap()
    }

    #[test]
    fn only_resolve_gives_the_secret() {
        let text = Text::Secret(SecretString::from("hunter2"));
        assert!(!format!("{text:?} {}", text.to_value(&redact)).contains("hunter2"));
        assert_eq!(text.resolve(&DenyAll, &url()).unwrap().expose_secret(), "hunter2");
    }

    #[test]
    fn references_need_a_resolver_that_allows_them() {
        let text = Text::Reference("env:PATH".parse::<SecretRef>().unwrap().into());
        let denied = text.resolve(&DenyAll, &url()).unwrap_err();
        assert!(denied.to_string().starts_with("the secret env:PATH is not allowed here"), "{denied}");
        assert!(!text.resolve(&AllowAll, &url()).unwrap().expose_secret().is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_secret_is_not_read_from_a_pipe_or_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        // It has no writer: opening it as a file waits for ever.
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe, PathBuf::from("/dev/zero"), folder.path().to_owned()] {
            let error = AllowAll.resolve(&SecretRef::File(path), &url()).unwrap_err().to_string();
            assert!(error.contains("is a pipe, a device or a folder"), "{error}");
        }
    }

    #[test]
    fn an_empty_secret_is_an_error_whatever_is_around_it() {
        struct Empty;
        impl SecretResolver for Empty {
            fn resolve(&self, _: &SecretRef, _: &Url) -> Result<SecretString, SecretError> {
                Ok(SecretString::from(""))
            }
        }
        let bearer = Reference { prefix: "Bearer ".into(), ..SecretRef::Env("TOKEN".into()).into() };
        let error = Text::Reference(bearer).resolve(&Empty, &url()).unwrap_err();
        assert_eq!(error.to_string(), "the secret env:TOKEN is empty");
    }

    #[test]
    fn a_secret_file_loses_one_line_break() {
        let path = std::env::temp_dir().join(format!("poller-secret-{}", std::process::id()));
        std::fs::write(&path, "s3cret\n\r\n").unwrap();
        let reference = SecretRef::File(path.clone());
        assert_eq!(AllowAll.resolve(&reference, &url()).unwrap().expose_secret(), "s3cret\n");
        std::fs::remove_file(&path).unwrap();
        let missing = AllowAll.resolve(&reference, &url()).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read the secret file"), "{missing}");
    }
}
