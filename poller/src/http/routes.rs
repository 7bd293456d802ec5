//! The pools of a client for each set of certificates: the client's own, and the ones given by requests.
//!
//! ```text
//!   request ── no certificates ─────► own ───────────┐        ┌── first           URLs that the user chose
//!           └─ certificates, by digest ► kept or new ─┴─ Routes ┼── after_public    chosen by a public server
//!                                                             └── anonymous ─► Routes without a client certificate
//! ```
//!
//! A connection belongs to the certificates with which it was made, so each set has pools of its own. A client's certificate
//! says who it is, as the headers of a request do; like them, it is not shown to another origin that a redirect leads to.
//! The references of a request are resolved anew each time: a certificate that was renewed makes a new set.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use super::connect::Connector;
use super::descriptors::Descriptors;
use super::guard::Guard;
use super::linked;
use super::lookups::Lookups;
use super::proxy::Proxies;
use super::resolve::{GuardedResolver, HopPolicy};
use super::route::{Idle, Route};
use super::tls::TlsOptions;
use crate::fetch::{FetchError, FetchErrorKind, Request, RequestTls};
use crate::lock::lock;

/// The most sets of certificates of requests that are kept. Further ones replace the one that was unused for longest, whose
/// connections close.
const MOST_SETS: usize = 64;

/// The pools for one set of certificates.
#[derive(Debug)]
pub(super) struct Routes {
    first: Route,
    after_public: Route,
    /// Whether any certificate of a server can be accepted.
    pub(super) has_roots: bool,
    /// The same trust without the client's certificate; `None` if there is none.
    anonymous: Option<Arc<Self>>,
}

impl Routes {
    /// `after_public`: whether a public server has chosen the URL, by a redirect.
    pub(super) const fn route(&self, after_public: bool) -> &Route {
        if after_public { &self.after_public } else { &self.first }
    }

    /// The pools for an origin that a redirect leads to.
    pub(super) fn elsewhere(self: Arc<Self>) -> Arc<Self> {
        self.anonymous.clone().unwrap_or(self)
    }
}

/// What all pools of a client have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) guard: Guard,
    pub(super) fixed: Arc<HashMap<String, Vec<IpAddr>>>,
    pub(super) proxies: Option<Proxies>,
    pub(super) descriptors: Descriptors,
    pub(super) idle: Idle,
    /// The certificates of the client, those of the system read already.
    pub(super) tls: TlsOptions,
}

impl Common {
    fn resolver(&self, policy: HopPolicy) -> GuardedResolver {
        GuardedResolver { policy, fixed: Arc::clone(&self.fixed), lookups: Lookups::shared() }
    }

    fn routes(&self, options: &TlsOptions) -> Result<Routes, rustls::Error> {
        let anonymous = options.without_identity().map(|options| self.routes(&options)).transpose()?;
        let tls = options.build()?;
        let has_roots = tls.has_roots;
        let route = |policy: HopPolicy| {
            let resolver = self.resolver(policy.clone());
            let connector =
                Connector::new(resolver, self.proxies.clone(), tls.clone(), self.descriptors.clone());
            Route::new(policy, connector, self.idle)
        };
        let first = route(HopPolicy::first(self.guard.clone()));
        let after_public = route(HopPolicy::after_public(self.guard.clone()));
        Ok(Routes { first, after_public, has_roots, anonymous: anonymous.map(Arc::new) })
    }
}

/// All pools of a client.
#[derive(Debug)]
pub(super) struct AllRoutes {
    common: Common,
    pub(super) own: Arc<Routes>,
    /// Those of requests with certificates, by digest; the one that was used last is at the end.
    others: Mutex<VecDeque<([u8; 32], Arc<Routes>)>>,
}

impl AllRoutes {
    pub(super) fn new(common: Common) -> Result<Self, rustls::Error> {
        let own = Arc::new(common.routes(&common.tls)?);
        Ok(Self { common, own, others: Mutex::default() })
    }

    /// The pools for a request with these certificates. Reads PEM texts only if they are new.
    pub(super) fn of(&self, tls: Option<&RequestTls>) -> Result<Arc<Routes>, FetchError> {
        let Some(tls) = tls else { return Ok(Arc::clone(&self.own)) };
        if let Some(known) = self.known(tls.digest()) {
            return Ok(known);
        }
        let refused = |part: &str, why: &dyn std::fmt::Display| {
            FetchErrorKind::Secret.error(format!("requestInit.tls{part}: {why}"))
        };
        let mut options = self.common.tls.clone();
        if let Some(certificate) = tls.certificate() {
            let key = tls.key().unwrap_or(certificate);
            let set = options.set_identity(certificate.as_bytes(), key.as_bytes());
            set.map_err(|problem| refused(", cert and key", &problem))?;
        }
        if let Some(authorities) = tls.authorities() {
            let added = options.add_roots(authorities.as_bytes());
            added.map_err(|problem| refused(", cacert", &problem))?;
        }
        let routes = Arc::new(self.common.routes(&options).map_err(|error| refused("", &error))?);
        let mut others = lock(&self.others);
        if others.len() >= MOST_SETS {
            others.pop_front();
        }
        others.push_back((tls.digest(), Arc::clone(&routes)));
        Ok(routes)
    }

    /// Whether a public server has chosen the URL of a request, by a link.
    pub(super) async fn is_linked_by_public(&self, request: &Request) -> bool {
        let guard = &self.common.guard;
        linked::is_by_public(request, guard, self.common.resolver(HopPolicy::first(guard.clone()))).await
    }

    fn known(&self, digest: [u8; 32]) -> Option<Arc<Routes>> {
        // A panic cannot leave the queue half changed.
        let mut others = lock(&self.others);
        let place = others.iter().position(|(known, _)| *known == digest)?;
        let found = others.remove(place)?;
        let routes = Arc::clone(&found.1);
        others.push_back(found);
        Some(routes)
    }
}
