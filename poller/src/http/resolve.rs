//! Resolves names through the guard.
//!
//! Only allowed addresses leave this module, so no connection to a forbidden address is tried. If some addresses of a name
//! are forbidden, the others are used; if all are, the lookup fails and says why.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;
use url::Url;

use super::guard::{Forbidden, Guard};
use super::lookups::{Lookups, NotFound};
use super::{ranges, unix};
use crate::clock::BoxFuture;

/// Addresses of host names, configured instead of DNS.
pub(super) type FixedAnswers = Arc<HashMap<String, Vec<IpAddr>>>;

/// The guard for one hop.
#[derive(Clone, Debug)]
pub(super) struct HopPolicy {
    guard: Guard,
    /// The guard without local addresses, after a redirect by a public server.
    outward: Option<Guard>,
}

impl HopPolicy {
    /// For hops that only the user chose.
    pub(super) const fn first(guard: Guard) -> Self {
        Self { guard, outward: None }
    }

    /// For hops that a public server chose, by a redirect or a link.
    pub(super) fn after_public(guard: Guard) -> Self {
        let outward = Some(guard.without_local());
        Self { guard, outward }
    }

    fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        self.guard.check(address).map_err(Refusal::Forbidden)?;
        self.outward.as_ref().map_or(Ok(()), |guard| guard.check(address)).map_err(Refusal::Inward)
    }

    /// Checks the URL; a name is checked when it is resolved.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        self.guard.check_url(url).map_err(Refusal::Forbidden)?;
        if url.scheme() == unix::SCHEME
            && let Some(outward) = &self.outward
        {
            return outward.check_url(url).map_err(Refusal::Inward);
        }
        ranges::literal(url).map_or(Ok(()), |address| self.check(address))
    }
}

/// Why the policy refuses an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The guard forbids it.
    #[error("{}{}", .0, advice(.0))]
    Forbidden(Forbidden),
    /// The guard allows it for the user, but not for a redirect or link of a public server.
    #[error("{0}, and a public server may not lead there")]
    Inward(Forbidden),
}

const fn advice(forbidden: &Forbidden) -> &'static str {
    if forbidden.can_be_allowed() {
        "; allow its network (--allow-network, Guard::allow) if it is meant to be asked"
    } else {
        ""
    }
}

/// Why a lookup gave no address.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("there is no host named {host}; check the spelling, or its DNS entry")]
    NoSuchHost { host: String },
    #[error("the name {host} could not be looked up: {detail}")]
    Unavailable { host: String, detail: String },
    #[error("{host} resolves to no address that may be asked: {refusal}")]
    Refused { host: String, refusal: Refusal },
}

/// The resolver of a connection pool: a policy, and addresses that replace DNS.
#[derive(Clone, Debug)]
pub(super) struct GuardedResolver {
    pub(super) policy: HopPolicy,
    pub(super) fixed: FixedAnswers,
    pub(super) lookups: Lookups,
}

impl GuardedResolver {
    /// A resolver that asks the system for every name.
    #[cfg(feature = "reqwest")]
    pub(super) fn of(policy: HopPolicy) -> Self {
        Self { policy, fixed: Arc::default(), lookups: Lookups::shared() }
    }

    pub(super) async fn addresses(self, host: String) -> Result<Vec<IpAddr>, Unresolved> {
        let found = match self.fixed.get(&host) {
            Some(addresses) => addresses.clone(),
            None => match self.lookups.addresses(&host).await {
                Ok(addresses) => addresses.to_vec(),
                Err(NotFound::NoSuchHost) => return Err(Unresolved::NoSuchHost { host }),
                Err(NotFound::Unavailable(detail)) => return Err(Unresolved::Unavailable { host, detail }),
            },
        };
        let mut refused = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            match self.policy.check(address) {
                Ok(()) => allowed.push(address),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        match refused {
            _ if !allowed.is_empty() => Ok(allowed),
            Some(refusal) => Err(Unresolved::Refused { host, refusal }),
            None => Err(Unresolved::NoSuchHost { host }),
        }
    }

    /// The addresses with a port; 0 stands for that of the URL.
    pub(super) async fn sockets(
        self,
        host: String,
        port: u16,
    ) -> Result<std::vec::IntoIter<SocketAddr>, Unresolved> {
        let found = self.addresses(host).await?.into_iter();
        Ok(found.map(|address| SocketAddr::new(address, port)).collect::<Vec<_>>().into_iter())
    }
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = BoxFuture<'static, Result<Self::Response, Unresolved>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().sockets(name.as_str().to_owned(), 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve(policy: HopPolicy, answers: &[&str]) -> Result<Vec<String>, String> {
        let answers = answers.iter().map(|address| address.parse().unwrap()).collect();
        let fixed = Arc::new(HashMap::from([("host.test".to_owned(), answers)]));
        let resolver = GuardedResolver { policy, fixed, lookups: Lookups::shared() };
        let found = resolver.addresses("host.test".to_owned()).await.map_err(|error| error.to_string())?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn forbidden_addresses_are_left_out() {
        let policy = HopPolicy::first(Guard::public_only());
        let found = resolve(policy, &["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"]).await;
        assert_eq!(found, Ok(vec!["1.1.1.1".to_owned(), "2606:4700::1111".to_owned()]));
    }

    #[tokio::test]
    async fn all_forbidden_is_an_error_that_names_host_and_range() {
        let policy = HopPolicy::first(Guard::public_only());
        assert_eq!(
            resolve(policy, &["10.0.0.1", "::1"]).await.unwrap_err(),
            "host.test resolves to no address that may be asked: 10.0.0.1 is in private 10.0.0.0/8; \
             allow its network (--allow-network, Guard::allow) if it is meant to be asked"
        );
    }

    #[tokio::test]
    async fn a_public_server_cannot_redirect_inwards() {
        assert!(resolve(HopPolicy::first(Guard::local()), &["10.0.0.1"]).await.is_ok());
        assert_eq!(
            resolve(HopPolicy::after_public(Guard::local()), &["10.0.0.1"]).await.unwrap_err(),
            "host.test resolves to no address that may be asked: 10.0.0.1 is in private 10.0.0.0/8, \
             and a public server may not lead there"
        );
    }
}
