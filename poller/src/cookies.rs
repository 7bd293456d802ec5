//! The cookies of one poll: learnt from its responses, sent with its later requests.
//!
//! A job behind a login answers with a redirect that sets a session cookie, and leads back. Without a jar, each attempt goes
//! through the login anew, or round in a circle. `"cookies": true` gives a poll a jar of its own; polls never share one,
//! because a session is a credential.
//!
//! What always holds:
//! - Domain, path, expiry and `Secure` are those of RFC 6265, by the crate `cookie_store`; expiry goes by the system's clock.
//!   A cookie for a whole public suffix (`co.uk`) is not kept.
//! - A jar has at most [`MOST`] cookies of [`LONGEST`] bytes each; the oldest make room. Servers choose both numbers.
//! - A jar lives in memory, as the session cookies of a browser do: what a store keeps would have to be sealed, and after a
//!   restart the first request passes the same redirect and gets a new session.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use cookie_store::{CookieDomain, CookieStore, StoreAction};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use url::Url;

use crate::lock::lock;
use crate::redact::is_sensitive_name;

/// The most cookies of a jar. Servers read 8 kB of headers, so a login works with far fewer.
const MOST: usize = 50;

/// The longest `Set-Cookie` that is kept, in bytes: what RFC 6265 section 6.1 wants at least.
const LONGEST: usize = 4096;

/// The cookies of one poll. A client adds them to each request, redirected ones included, and learns those of each response.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header};
/// use poller::fetch::CookieJar;
///
/// let jar = CookieJar::default();
/// let mut response = HeaderMap::new();
/// response.insert(header::SET_COOKIE, HeaderValue::from_static("session=42; Path=/v1; Secure"));
/// jar.learn(&"https://a.test/login".parse()?, &response);
///
/// let mut request = HeaderMap::new();
/// jar.add_to(&"https://a.test/v1/job".parse()?, &mut request);
/// assert_eq!(request[header::COOKIE], "session=42");
///
/// let mut elsewhere = HeaderMap::new();
/// jar.add_to(&"https://b.test/v1/job".parse()?, &mut elsewhere);
/// assert!(elsewhere.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct CookieJar {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    store: CookieStore,
    /// The domain, path and name of each cookie, the oldest first.
    order: VecDeque<(String, String, String)>,
}

impl CookieJar {
    /// Adds the cookies for `url` to the headers of a request, after its own ones. A cookie of the jar replaces one of the
    /// same name there: the server has changed it since. Linear in the number of cookies.
    pub fn add_to(&self, url: &Url, headers: &mut HeaderMap) {
        let inner = self.lock();
        let url = as_http(url);
        let mut cookies = inner.store.matches(&url);
        // RFC 6265 section 5.4: longer paths first. The order among equal ones should not, and does not, matter.
        cookies.sort_by(|a, b| b.path.len().cmp(&a.path.len()).then_with(|| a.name().cmp(b.name())));
        if cookies.is_empty() {
            return;
        }
        let given = headers.get(COOKIE).and_then(|given| given.to_str().ok()).unwrap_or_default();
        let is_kept = |pair: &&str| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            !name.is_empty() && cookies.iter().all(|cookie| cookie.name() != name)
        };
        let given = given.split(';').map(str::trim).filter(is_kept).map(str::to_owned);
        let learnt = cookies.iter().map(|cookie| format!("{}={}", cookie.name(), cookie.value()));
        let all: Vec<String> = given.chain(learnt).collect();
        if let Ok(mut value) = HeaderValue::try_from(all.join("; ")) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }

    /// Keeps the cookies that a response from `url` sets, and removes the ones that it expires. Linear in their number.
    pub fn learn(&self, url: &Url, headers: &HeaderMap) {
        let set = headers.get_all(SET_COOKIE).into_iter().filter(|set| set.len() <= LONGEST);
        let mut texts = set.filter_map(|set| std::str::from_utf8(set.as_bytes()).ok()).peekable();
        if texts.peek().is_none() {
            return;
        }
        let mut inner = self.lock();
        let url = as_http(url);
        for text in texts {
            inner.keep(text, &url);
        }
    }

    /// The values of the cookies that are credentials: HttpOnly cookies, and cookies named like a credential.
    pub(crate) fn credentials(&self) -> Vec<String> {
        let inner = self.lock();
        let is_credential = |cookie: &&cookie_store::Cookie<'_>| {
            cookie.http_only() == Some(true) || is_sensitive_name(cookie.name())
        };
        inner.store.iter_any().filter(is_credential).map(|cookie| cookie.value().to_owned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // After a panic the order may lack a cookie, which then stays until it expires.
        lock(&self.inner)
    }
}

impl Inner {
    /// Keeps a cookie, unless it is malformed or its domain is not the server's to speak for.
    fn keep(&mut self, text: &str, url: &Url) {
        let Ok(mut cookie) = cookie_store::Cookie::parse(text.to_owned(), url) else { return };
        if matches!(&cookie.domain, CookieDomain::Suffix(domain) if is_public_suffix(domain)) {
            // RFC 6265 section 5.3, step 5: of the suffix's own host it is, and of no other; insertion compares the hosts.
            match CookieDomain::host_only(url) {
                Ok(own) if cookie.domain.host_is_identical(url) => cookie.domain = own,
                _ => return,
            }
        }
        let domain = match &cookie.domain {
            CookieDomain::Suffix(domain) | CookieDomain::HostOnly(domain) => domain.clone(),
            CookieDomain::NotPresent | CookieDomain::Empty => return,
        };
        let place = (domain, String::from(&cookie.path), cookie.name().to_owned());
        match self.store.insert(cookie, url) {
            Ok(StoreAction::Inserted) => {
                // Expired cookies stay in the store, and a cookie that comes back is not new there.
                self.order.retain(|known| *known != place);
                self.order.push_back(place);
            }
            Ok(StoreAction::UpdatedExisting | StoreAction::ExpiredExisting) | Err(_) => {}
        }
        let store = &mut self.store;
        while self.order.len() > MOST {
            let Some((domain, path, name)) = self.order.pop_front() else { break };
            store.remove(&domain, &path, &name);
        }
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieJar({})", self.lock().order.len())
    }
}

/// Whether everyone can have a name below this domain, as below `com` and `github.io`. A single label, such as `localhost`, is
/// one too.
fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain) == Some(domain)
}

/// The URL by which cookies of a unix socket go: servers see the host `localhost`.
fn as_http(url: &Url) -> std::borrow::Cow<'_, Url> {
    use std::borrow::Cow;

    if url.scheme() != "unix" {
        return Cow::Borrowed(url);
    }
    let path = url.path().split_once(':').map_or("/", |(_, path)| path);
    Url::parse(&format!("http://localhost{path}")).map_or(Cow::Borrowed(url), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(jar: &CookieJar, url: &str, set: &[&str]) {
        let mut headers = HeaderMap::new();
        for text in set {
            headers.append(SET_COOKIE, HeaderValue::from_str(text).unwrap());
        }
        jar.learn(&url.parse().unwrap(), &headers);
    }

    fn sent(jar: &CookieJar, url: &str) -> String {
        sent_with(jar, url, None)
    }

    fn sent_with(jar: &CookieJar, url: &str, given: Option<&'static str>) -> String {
        let mut headers = HeaderMap::new();
        headers.extend(given.map(|given| (COOKIE, HeaderValue::from_static(given))));
        jar.add_to(&url.parse().unwrap(), &mut headers);
        headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn domain_path_and_secure_decide_where_a_cookie_goes() {
        let jar = CookieJar::default();
        learn(
            &jar,
            "https://auth.corp.test/login",
            &["host=1", "wide=2; Domain=corp.test", "deep=3; Path=/v1", "tls=4; Secure"],
        );
        assert_eq!(sent(&jar, "https://auth.corp.test/"), "host=1; tls=4; wide=2");
        assert_eq!(sent(&jar, "http://auth.corp.test/v1/x"), "deep=3; host=1; wide=2");
        assert_eq!(sent(&jar, "https://api.corp.test/v1"), "wide=2");
        assert_eq!(sent(&jar, "https://corp.test.evil.test/"), "");
        assert_eq!(sent(&jar, "https://auth.corp.test/v10"), "host=1; tls=4; wide=2");
    }

    #[test]
    fn no_server_speaks_for_another_or_for_everyone() {
        let jar = CookieJar::default();
        learn(
            &jar,
            "https://a.co.uk/",
            &["all=1; Domain=co.uk", "top=1; Domain=uk", "other=1; Domain=b.co.uk"],
        );
        learn(&jar, "https://a.github.io/", &["all=1; Domain=github.io"]);
        learn(&jar, "http://10.0.0.1/", &["ip=1; Domain=0.0.1", "own=1"]);
        assert_eq!(jar.lock().order.len(), 1);
        assert_eq!(sent(&jar, "http://10.0.0.1/"), "own=1");
        learn(&jar, "http://localhost:8080/", &["local=1; Domain=localhost"]);
        assert_eq!(sent(&jar, "http://localhost:9090/"), "local=1");
    }

    #[test]
    fn a_cookie_ends_when_it_expires_and_can_come_back() {
        let jar = CookieJar::default();
        let url = "https://a.test/";
        learn(&jar, url, &["s=1; Max-Age=3600"]);
        assert_eq!(sent(&jar, url), "s=1");
        learn(&jar, url, &["s=; Max-Age=0"]);
        assert_eq!(sent(&jar, url), "");
        learn(
            &jar,
            url,
            &["s=2; Expires=Fri, 01 Jan 2999 00:00:00 GMT", "old=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        );
        assert_eq!(sent(&jar, url), "s=2");
        assert_eq!(jar.lock().order.len(), 1);
    }

    #[test]
    fn a_jar_is_bounded_and_the_oldest_make_room() {
        let jar = CookieJar::default();
        let url = "https://a.test/";
        for number in 0..200 {
            learn(&jar, url, &[&format!("c{number}=x")]);
        }
        learn(&jar, url, &[&format!("long={}", "x".repeat(LONGEST))]);
        let inner = jar.lock();
        assert_eq!((inner.order.len(), inner.store.iter_any().count()), (MOST, MOST));
        drop(inner);
        let all = sent(&jar, url);
        assert!(
            all.contains("c199=x")
                && all.contains("c150=x")
                && !all.contains("c149=x")
                && !all.contains("long")
        );
    }

    #[test]
    fn what_the_server_set_replaces_what_the_user_gave() {
        let jar = CookieJar::default();
        assert_eq!(sent_with(&jar, "https://a.test/", Some("a=1; b=2")), "a=1; b=2");
        learn(&jar, "https://a.test/", &["b=3"]);
        assert_eq!(sent_with(&jar, "https://a.test/", Some("a=1; b=2")), "a=1; b=3");
    }

    #[test]
    fn a_unix_socket_has_cookies_of_its_own_host() {
        let jar = CookieJar::default();
        learn(&jar, "unix:/run/app.sock:/login", &["s=1; Path=/v1"]);
        assert_eq!(sent(&jar, "unix:/run/app.sock:/v1/job?x"), "s=1");
        assert_eq!(sent(&jar, "unix:/run/app.sock:/"), "");
    }

    #[test]
    fn broken_cookies_are_ignored_and_never_shown() {
        let jar = CookieJar::default();
        learn(&jar, "https://a.test/", &["", "=", ";;;", "no-value", "s=hunter2; Domain=", "t=hunter2"]);
        assert!(!format!("{jar:?}").contains("hunter2"));
        assert!(sent(&jar, "https://a.test/").contains("t=hunter2"));
    }
}
