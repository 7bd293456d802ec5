//! Proxies: which requests go through one, and how a connection through it is made.
//!
//! ```text
//!   http  through an HTTP proxy    the proxy gets the request, with the whole URL       names: resolved by the proxy
//!   https through an HTTP proxy    CONNECT, then TLS with the server                    names: resolved by the proxy
//!   both  through socks5h://       a tunnel, then as without a proxy                    names: resolved by the proxy
//!   both  through socks5://        the same                                             names: resolved and guarded here
//! ```
//!
//! What the guard can promise behind a proxy that resolves names: schemes, credentials and literal addresses are judged here,
//! for each hop, and a name's addresses by the proxy alone. The proxy itself is the choice of the client's owner, so
//! the guard does not judge its address.
//!
//! Every failure on the way to the tunnel is the proxy's and says so: "connection refused" would otherwise send people to the
//! wrong machine.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_socks::tcp::Socks5Stream;
use url::{Host, Url};

use super::connection::Transport;

/// The variables of each scheme, in order of precedence. A server that runs CGI programs puts the header `Proxy` of a request
/// into `HTTP_PROXY`, so that one is not read where `REQUEST_METHOD` tells of CGI.
const HTTP: [&str; 2] = ["http_proxy", "HTTP_PROXY"];
const HTTPS: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const ALL: [&str; 2] = ["all_proxy", "ALL_PROXY"];
const NO: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Which requests of an [`HttpClient`](super::HttpClient) go through a proxy.
///
/// A proxy is given as `http://`, `https://`, `socks5://` or `socks5h://`, with host, port and credentials, such as
/// `http://user:password@proxy.corp:3128`. Without a scheme it is an HTTP proxy. `Debug` and errors show no credentials.
///
/// ```
/// use poller::http::{HttpClient, Proxies};
///
/// let proxies = Proxies::all("http://proxy.corp:3128")?.except("localhost, .corp, 10.0.0.0/8");
/// let client = HttpClient::builder().proxies(proxies).build()?;
/// # drop(client);
///
/// let error = Proxies::all("ftp://user:s3cret@proxy.corp").unwrap_err();
/// assert_eq!(error.to_string(), "expected a proxy as http://, https://, socks5:// or socks5h://HOST:PORT, found ftp://");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Proxies {
    http: Option<Arc<Endpoint>>,
    https: Option<Arc<Endpoint>>,
    /// Matches the hosts that are asked directly; it reads lists as curl does.
    except: Arc<Matcher>,
    /// Whether this machine's own names and addresses are asked directly.
    spares_loopback: bool,
}

impl Proxies {
    /// Sends every request through this proxy, those to this machine too.
    ///
    /// # Errors
    /// If the text is no proxy's URL.
    pub fn all(proxy: &str) -> Result<Self, ProxyProblem> {
        let endpoint = Some(Arc::new(Endpoint::parse(proxy)?));
        Ok(Self { http: endpoint.clone(), https: endpoint, except: matcher(""), spares_loopback: false })
    }

    /// The proxies of the environment: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, each also in upper case; lower
    /// case wins. An empty variable counts as absent. `HTTP_PROXY` is not read in a CGI program (`REQUEST_METHOD` is set),
    /// where it comes from the client. Requests to this machine (`localhost`, loopback addresses) are never sent to these
    /// proxies, which could not reach it.
    ///
    /// `variable` looks a variable up, as `|name| std::env::var(name).ok()` does. `None` if there is no proxy.
    ///
    /// ```
    /// use poller::http::Proxies;
    ///
    /// let proxies = Proxies::from_variables(|name| (name == "HTTPS_PROXY").then(|| "proxy.corp:3128".to_owned()))?;
    /// assert!(proxies.is_some());
    /// assert!(Proxies::from_variables(|_| None)?.is_none());
    /// # Ok::<(), poller::http::ProxyProblem>(())
    /// ```
    ///
    /// # Errors
    /// If a variable holds something else; the error names it.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ProxyProblem> {
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let first = |names: [&'static str; 2]| {
            names
                .into_iter()
                .filter(|name| !(is_cgi && *name == "HTTP_PROXY"))
                .find_map(|name| Some((name, variable(name).filter(|value| !value.trim().is_empty())?)))
        };
        let endpoint = |names| match first(names) {
            None => Ok(None),
            Some((name, value)) => match Endpoint::parse(value.trim()) {
                Ok(endpoint) => Ok(Some(Arc::new(endpoint))),
                Err(problem) => Err(ProxyProblem { variable: Some(name), ..problem }),
            },
        };
        let all = endpoint(ALL)?;
        let (http, https) = (endpoint(HTTP)?.or_else(|| all.clone()), endpoint(HTTPS)?.or(all));
        if http.is_none() && https.is_none() {
            return Ok(None);
        }
        let except = first(NO).map(|(_, list)| list).unwrap_or_default();
        Ok(Some(Self { http, https, except: matcher(&except), spares_loopback: true }))
    }

    /// Replaces the list of hosts that are asked directly: names (which include their subdomains), addresses, networks such as
    /// `10.0.0.0/8`, separated by commas; `*` is every host.
    #[must_use]
    pub fn except(mut self, hosts: &str) -> Self {
        self.except = matcher(hosts);
        self
    }

    /// The proxy for a URL.
    pub(super) fn endpoint(&self, uri: &Uri) -> Option<&Arc<Endpoint>> {
        let endpoint = match uri.scheme_str() {
            Some("http") => self.http.as_ref(),
            Some("https") => self.https.as_ref(),
            _ => None,
        }?;
        let spared = self.spares_loopback && uri.host().is_some_and(is_loopback);
        (!spared && self.except.intercept(uri).is_some()).then_some(endpoint)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http)
            .field("https", &self.https)
            .finish_non_exhaustive()
    }
}

/// A matcher of all hosts but these.
fn matcher(except: &str) -> Arc<Matcher> {
    Arc::new(Matcher::builder().all("http://any.invalid").no(except.to_owned()).build())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match Host::parse(host) {
        Ok(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        _ => bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// One proxy.
pub(super) struct Endpoint {
    kind: ProxyKind,
    /// As in URLs, with brackets around an IPv6 address.
    pub(super) host: String,
    port: u16,
    credentials: Option<(String, SecretString)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProxyKind {
    Http,
    /// HTTP, over TLS with the proxy.
    Https,
    /// SOCKS5 with names resolved here, and guarded.
    Socks,
    /// SOCKS5 with names resolved by the proxy.
    SocksNames,
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self, ProxyProblem> {
        let problem = |what| ProxyProblem { variable: None, what };
        let whole =
            if text.contains("://") { Cow::Borrowed(text) } else { Cow::Owned(format!("http://{text}")) };
        let scheme = whole.split("://").next().unwrap_or_default().to_ascii_lowercase();
        let (kind, port) = match scheme.as_str() {
            "http" => (ProxyKind::Http, 80),
            "https" => (ProxyKind::Https, 443),
            "socks5" => (ProxyKind::Socks, 1080),
            "socks5h" => (ProxyKind::SocksNames, 1080),
            // Whatever stands before "://" may be a password that was cut apart: only what looks like a scheme is shown.
            _ if scheme.len() <= 10 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                let is_old = scheme.starts_with("socks4");
                return Err(problem(if is_old { What::OldScheme(scheme) } else { What::Scheme(scheme) }));
            }
            _ => return Err(problem(What::NotAUrl)),
        };
        let url = Url::parse(&whole).map_err(|_| problem(What::NotAUrl))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| problem(What::NotAUrl))?;
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8()
                .map(Cow::into_owned)
                .map_err(|_| problem(What::NotAUrl))
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some((decoded(user)?, decoded(password.unwrap_or_default())?.into())),
        };
        // A URL of http with port 80 says that it has none.
        Ok(Self { kind, host: host.to_owned(), port: url.port().unwrap_or(port), credentials })
    }

    /// Whether requests of this URL are sent to the proxy itself, which forwards them.
    pub(super) fn forwards(&self, uri: &Uri) -> bool {
        self.is_http() && uri.scheme_str() == Some("http")
    }

    /// Whether the proxy is asked over HTTP.
    const fn is_http(&self) -> bool {
        matches!(self.kind, ProxyKind::Http | ProxyKind::Https)
    }

    pub(super) const fn has_tls(&self) -> bool {
        matches!(self.kind, ProxyKind::Https)
    }

    /// Whether the names of servers are resolved here.
    pub(super) const fn wants_addresses(&self) -> bool {
        matches!(self.kind, ProxyKind::Socks)
    }

    /// Host and port, without credentials.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The address of the proxy, for the connector.
    pub(super) fn uri(&self) -> Option<Uri> {
        Uri::try_from(format!("http://{}/", self.place())).ok()
    }

    /// The header with the credentials, for an HTTP proxy.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.credentials.as_ref().filter(|_| self.is_http())?;
        let pair = BASE64.encode(format!("{user}:{}", password.expose_secret()));
        let mut value = HeaderValue::try_from(format!("Basic {pair}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A failure of this proxy.
    pub(super) fn failure(&self, what: impl fmt::Display) -> ProxyFailure {
        ProxyFailure(format!("the proxy {} {what}", self.place()))
    }

    /// The error for a proxy that answers 407.
    pub(super) fn wants_credentials(&self) -> ProxyFailure {
        self.failure(match &self.credentials {
            Some(_) => "does not accept the credentials in its URL (407 Proxy Authentication Required)",
            None => {
                "wants credentials (407 Proxy Authentication Required): give its URL as http://USER:PASSWORD@HOST:PORT"
            }
        })
    }

    /// Makes a tunnel to `target` (host and port) over a connection to the proxy. `addresses`: of the host, if resolved here.
    pub(super) async fn tunnel(
        &self,
        to_proxy: Transport,
        target: (&str, u16),
        addresses: Option<Vec<SocketAddr>>,
    ) -> Result<Transport, ProxyFailure> {
        if self.is_http() {
            return self.connect(to_proxy, target).await;
        }
        let Some(addresses) = addresses else {
            return self.socks(to_proxy, (target.0.trim_matches(['[', ']']), target.1)).await;
        };
        // Only one can be tried on this connection. The system sorts the best to the front.
        let none = || self.failure(format_args!("cannot be asked for {}: it has no address", target.0));
        self.socks(to_proxy, *addresses.first().ok_or_else(none)?).await
    }

    /// HTTP's CONNECT (RFC 9110 section 9.3.6).
    async fn connect(
        &self,
        to_proxy: Transport,
        (host, port): (&str, u16),
    ) -> Result<Transport, ProxyFailure> {
        let broken = |error: &hyper::Error| {
            self.failure(format_args!(
                "{} when asked for a tunnel to {host}:{port}",
                if error.is_parse() { "did not answer in HTTP" } else { "closed the connection" }
            ))
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(to_proxy))
            .await
            .map_err(|error| broken(&error))?;
        let driving = tokio::spawn(connection.with_upgrades());
        let authority = format!("{host}:{port}");
        let request = Request::connect(&authority).header(HOST, &authority).body(Empty::<Bytes>::new());
        let mut request = request
            .map_err(|_| self.failure(format_args!("cannot be asked for {authority}: it is no authority")))?;
        if let Some(value) = self.authorization() {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        if !status.is_success() {
            driving.abort();
            return Err(match status {
                StatusCode::PROXY_AUTHENTICATION_REQUIRED => self.wants_credentials(),
                _ => self.failure(format_args!("refused a tunnel to {authority}: {status}")),
            });
        }
        let tunnel = hyper::upgrade::on(response).await.map_err(|error| broken(&error))?;
        Ok(Transport::other(TokioIo::new(tunnel)))
    }

    /// SOCKS5 (RFC 1928), with a password if there is one (RFC 1929).
    async fn socks(
        &self,
        to_proxy: Transport,
        target: impl tokio_socks::IntoTargetAddr<'_>,
    ) -> Result<Transport, ProxyFailure> {
        let opened = match &self.credentials {
            Some((user, password)) => {
                let password = password.expose_secret();
                Socks5Stream::connect_with_password_and_socket(to_proxy, target, user, password).await
            }
            None => Socks5Stream::connect_with_socket(to_proxy, target).await,
        };
        opened.map(Socks5Stream::into_inner).map_err(|error| self.failure(socks_words(&error)))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("kind", &self.kind)
            .field("place", &self.place())
            .finish_non_exhaustive()
    }
}

fn socks_words(error: &tokio_socks::Error) -> &'static str {
    use tokio_socks::Error as E;
    match error {
        E::Io(_) | E::ProxyServerUnreachable => "closed the connection",
        E::InvalidResponseVersion | E::InvalidReservedByte | E::UnknownAddressType => "is not a SOCKS5 proxy",
        E::NoAcceptableAuthMethods | E::UnknownAuthMethod => {
            "wants credentials: give its URL as socks5h://USER:PASSWORD@HOST:PORT"
        }
        E::InvalidAuthValues(_) => {
            "cannot be given these credentials: user and password need 1 to 255 bytes each"
        }
        E::PasswordAuthFailure(_) => "does not accept the credentials in its URL",
        E::GeneralSocksServerFailure => "failed to connect to the server, and does not say why",
        E::ConnectionNotAllowedByRuleset => "does not allow connections to the server",
        E::NetworkUnreachable => "has no route to the server's network",
        E::HostUnreachable => "cannot reach the server, or finds no such host",
        E::ConnectionRefused => "was refused the connection by the server",
        E::TtlExpired => "lost the way to the server (TTL expired)",
        E::CommandNotSupported | E::AddressTypeNotSupported => "does not support such connections",
        _ => "did not open a tunnel",
    }
}

/// A failure on the way through a proxy, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ProxyFailure(String);

/// Why a text is no proxy. The message shows no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}expected a proxy as http://, https://, socks5:// or socks5h://HOST:PORT, found {what}",
    variable.map_or_else(String::new, |name| format!("the environment variable {name}: "))
)]
pub struct ProxyProblem {
    variable: Option<&'static str>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum What {
    #[error("{0}://, an older protocol that is not spoken here")]
    OldScheme(String),
    #[error("{0}://")]
    Scheme(String),
    #[error("something that is not a URL (special characters of a password are written as %40)")]
    NotAUrl,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(proxies: &Proxies, uri: &str) -> Option<String> {
        proxies.endpoint(&uri.parse().unwrap()).map(|endpoint| endpoint.place())
    }

    fn environment(pairs: &[(&str, &str)]) -> Result<Option<Proxies>, ProxyProblem> {
        Proxies::from_variables(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn proxies_are_read_as_people_write_them() {
        for (text, kind, host, port) in [
            ("proxy.corp:3128", ProxyKind::Http, "proxy.corp", 3128),
            ("http://proxy.corp", ProxyKind::Http, "proxy.corp", 80),
            ("HTTP://proxy.corp:80/", ProxyKind::Http, "proxy.corp", 80),
            ("https://proxy.corp", ProxyKind::Https, "proxy.corp", 443),
            ("socks5://10.0.0.1", ProxyKind::Socks, "10.0.0.1", 1080),
            ("socks5h://[::1]:9050", ProxyKind::SocksNames, "[::1]", 9050),
        ] {
            let endpoint = Endpoint::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
            assert_eq!((endpoint.kind, endpoint.host.as_str(), endpoint.port), (kind, host, port), "{text}");
        }
        let endpoint = Endpoint::parse("http://us%40er:p%3Aw@proxy.corp").unwrap();
        assert_eq!(endpoint.authorization().unwrap(), "Basic dXNAZXI6cDp3");
        assert!(!format!("{endpoint:?}").contains("p:w"));
        for (text, expected) in [
            ("socks4://proxy.corp", "found socks4://, an older protocol"),
            ("user:s3cret://@proxy", "not a URL"),
            ("http://user:s3cret@", "not a URL"),
            ("http://user:s3cr@et@pro xy", "not a URL"),
            ("", "not a URL"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("s3cr"), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_environment_is_read_as_by_other_programs() {
        let set =
            [("HTTP_PROXY", "a:1"), ("https_proxy", "b:2"), ("HTTPS_PROXY", "c:3"), ("ALL_PROXY", "d:4")];
        let proxies = environment(&set).unwrap().unwrap();
        assert_eq!(place(&proxies, "http://x.test/").as_deref(), Some("a:1"));
        assert_eq!(place(&proxies, "https://x.test/").as_deref(), Some("b:2"), "lower case wins");

        let proxies = environment(&[("all_proxy", "d:4"), ("HTTP_PROXY", "")]).unwrap().unwrap();
        assert_eq!(place(&proxies, "http://x.test/").as_deref(), Some("d:4"), "empty is absent");

        let cgi = [("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET"), ("https_proxy", "b:2")];
        let proxies = environment(&cgi).unwrap().unwrap();
        assert_eq!(place(&proxies, "http://x.test/"), None, "a client of a CGI program cannot set the proxy");
        assert_eq!(place(&proxies, "https://x.test/").as_deref(), Some("b:2"));

        let problem = environment(&[("https_proxy", "gopher://x:s3cret@y")]).unwrap_err().to_string();
        assert!(problem.starts_with("the environment variable https_proxy: expected a proxy"), "{problem}");
        assert!(!problem.contains("s3cret"), "{problem}");
        assert!(environment(&[("no_proxy", "*")]).unwrap().is_none());
    }

    #[test]
    fn some_hosts_are_asked_directly() {
        let set = [("ALL_PROXY", "p:1"), ("NO_PROXY", "corp.test, .inside.test,10.0.0.0/8, 192.0.2.7,::1")];
        let proxies = environment(&set).unwrap().unwrap();
        for direct in [
            "http://corp.test/",
            "https://a.corp.test/",
            "http://b.inside.test/",
            "http://10.9.8.7:8080/",
            "http://192.0.2.7/",
            "http://localhost:1/",
            "http://a.localhost/",
            "http://127.0.0.2/",
            "http://[::1]:1/",
        ] {
            assert_eq!(place(&proxies, direct), None, "{direct}");
        }
        for through in
            ["http://notcorp.test/", "https://11.0.0.1/", "http://192.0.2.70/", "http://localhost.test/"]
        {
            assert_eq!(place(&proxies, through).as_deref(), Some("p:1"), "{through}");
        }
        let all = Proxies::all("p:1").unwrap();
        assert_eq!(place(&all, "http://localhost/").as_deref(), Some("p:1"), "who asks for a proxy gets it");
        assert_eq!(place(&all.except("*"), "http://x.test/"), None);
    }
}
