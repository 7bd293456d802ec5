//! What the polls of a scope may use: secrets of this process, and addresses that are not public.
//!
//! The entry with the longest scope that covers a poll's decides, and of several with that scope each. So a key of a narrow
//! scope cannot use what a key of a wider one may: the polls in its scope are its own. The poller asks for every request,
//! hops included, and the service when a poll is created, so that a mistake is reported at once.

use std::fmt;
use std::sync::Arc;

use poller::fetch::{Fetch, FetchError, Request, Response};
use poller::http::{Guard, HttpClient, IpNet};
use poller::secret::{AllowedSecrets, SecretError, SecretRef, SecretResolver, SecretString};
use poller::{BoxFuture, PollKey, PollSpec, Url};

use super::keys::{Entry, Keys};

impl Keys {
    /// The entries that decide for a scope.
    fn deciding(&self, scope: &str) -> impl Iterator<Item = &Arc<Entry>> {
        let covering = move || self.entries().filter(move |entry| entry.sees(scope));
        let longest = covering().map(|entry| entry.scope.len()).max();
        covering().filter(move |entry| Some(entry.scope.len()) == longest)
    }

    fn secrets(&self, scope: &str) -> AllowedSecrets {
        self.deciding(scope).flat_map(|entry| entry.secrets.iter().cloned()).collect()
    }

    /// What a spec refers to and its scope may not use.
    pub(crate) fn forbidden(&self, key: &PollKey, spec: &PollSpec) -> Option<String> {
        let rules = spec.secret_rules();
        if rules.is_empty() {
            return None;
        }
        let allowed = self.secrets(key.scope());
        let rule = rules.iter().find(|rule| !allowed.rules().contains(rule))?;
        Some(format!(
            "the secret {} is not for {} in the scope {:?}; the entry of its key in the file of keys would say secrets = [\"{rule}\"]",
            rule.secret(),
            rule.origin(),
            key.scope()
        ))
    }

    /// A client for a poller whose specs come from holders of these keys: to public addresses, and to the networks that the
    /// entry of a poll's scope lists. `build` makes a client with a guard.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn client<E>(&self, build: impl Fn(Guard) -> Result<HttpClient, E>) -> Result<KeyedClient, E> {
        let mut clients: Vec<(Vec<IpNet>, HttpClient)> = Vec::new();
        for entry in self.entries() {
            let networks = self.networks(&entry.scope);
            if !networks.is_empty() && clients.iter().all(|(known, _)| *known != networks) {
                let guard =
                    networks.iter().fold(Guard::public_only(), |guard, network| guard.allow(*network));
                clients.push((networks, build(guard)?));
            }
        }
        Ok(KeyedClient { public: build(Guard::public_only())?, clients: clients.into(), keys: self.clone() })
    }

    fn networks(&self, scope: &str) -> Vec<IpNet> {
        let mut networks: Vec<IpNet> =
            self.deciding(scope).flat_map(|entry| entry.networks.iter().copied()).collect();
        networks.sort_unstable();
        networks.dedup();
        networks
    }
}

/// Resolves what the entry of a poll's scope lists.
impl SecretResolver for Keys {
    fn resolve(&self, reference: &SecretRef, url: &Url) -> Result<SecretString, SecretError> {
        AllowedSecrets::new().resolve(reference, url)
    }

    fn resolve_for(
        &self,
        poll: &PollKey,
        reference: &SecretRef,
        url: &Url,
    ) -> Result<SecretString, SecretError> {
        self.secrets(poll.scope()).resolve(reference, url)
    }
}

/// A client that reaches, for each poll, what the key of its scope allows; from [`Keys::client`].
pub struct KeyedClient {
    public: HttpClient,
    /// By the networks that they may reach.
    clients: Arc<[(Vec<IpNet>, HttpClient)]>,
    keys: Keys,
}

impl KeyedClient {
    fn of(&self, poll: Option<&PollKey>) -> &HttpClient {
        let networks = poll.map(|poll| self.keys.networks(poll.scope())).unwrap_or_default();
        let found = self.clients.iter().find(|(known, _)| *known == networks);
        found.map_or(&self.public, |(_, client)| client)
    }
}

impl Fetch for KeyedClient {
    fn admits(&self, origin: &Url) -> Result<(), FetchError> {
        self.public.admits(origin)
    }

    fn admits_for(&self, poll: &PollKey, origin: &Url) -> Result<(), FetchError> {
        self.of(Some(poll)).admits(origin)
    }

    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        self.of(request.poll.as_ref()).fetch(request)
    }
}

impl fmt::Debug for KeyedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedClient").field("keys", &self.keys).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let entry = |name: &str, digit: char, rest: &str| {
            let digest = digit.to_string().repeat(64);
            format!("[[key]]\nname = '{name}'\nsha256 = '{digest}'\nrights = ['create']\n{rest}\n")
        };
        Keys::parse(
            &[
                entry("wide", '1', "secrets = ['env:WIDE@https://a.test']\nnetworks = ['10.0.0.0/8']"),
                entry("a", '2', "scope = 'a'\nsecrets = ['env:A@https://a.test']"),
                entry("a too", '3', "scope = 'a'\nnetworks = ['192.168.0.0/16']"),
            ]
            .concat(),
        )
        .unwrap()
    }

    #[test]
    fn the_longest_scope_decides() {
        let keys = keys();
        let allows = |scope: &str, name: &str| {
            let spec: PollSpec = format!(
                r#"{{"url":"https://a.test/x","requestInit":{{"headers":{{"x":{{"$secret":"env:{name}"}}}}}}}}"#
            )
            .parse()
            .unwrap();
            keys.forbidden(&PollKey::new(scope, "k"), &spec).is_none()
        };
        assert!(allows("", "WIDE") && allows("b", "WIDE") && allows("a/x", "A"));
        assert!(!allows("a", "WIDE") && !allows("a/x", "WIDE") && !allows("", "A"));
        let network = |text: &str| text.parse::<IpNet>().unwrap();
        assert_eq!(keys.networks("b"), [network("10.0.0.0/8")]);
        assert_eq!(keys.networks("a/x"), [network("192.168.0.0/16")]);
    }

    #[test]
    fn a_client_reaches_what_the_scope_allows() {
        let client = keys().client(|guard| HttpClient::builder().guard(guard).build()).unwrap();
        let admits = |scope: &str, url: &str| {
            client.admits_for(&PollKey::new(scope, "k"), &Url::parse(url).unwrap()).is_ok()
        };
        assert!(admits("", "http://10.0.0.1/") && admits("a", "http://192.168.0.1/"));
        assert!(
            !admits("a", "http://10.0.0.1/")
                && !admits("", "http://192.168.0.1/")
                && !admits("a", "http://127.0.0.1/")
        );
        assert!(admits("a", "https://1.1.1.1/"));
    }

    #[test]
    fn a_secret_is_refused_for_another_origin_and_scope() {
        let keys = keys();
        let url = Url::parse("https://b.test/").unwrap();
        let error = keys.resolve_for(&PollKey::new("a", "k"), &SecretRef::Env("A".into()), &url).unwrap_err();
        assert!(error.to_string().contains("is not allowed for https://b.test"), "{error}");
        assert!(keys.resolve(&SecretRef::Env("A".into()), &url).is_err());
    }
}
