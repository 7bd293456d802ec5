//! What all handlers share, and the options of a service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use poller::store::StoreAdmin;
use poller::{Clock as _, Limits, Poller, SystemClock, Timestamp};

use crate::access::{Access, Quotas};
use crate::callback::Tokens;
use crate::hub::Hub;
use crate::metrics::{self, Exposition};
use crate::routes;

/// The options of a service.
///
/// ```
/// let options = service::Options::default();
/// assert_eq!(options.max_wait.as_secs(), 60);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Who may call; [`Access::Local`] by default.
    pub access: Access,
    /// The bounds that specs must keep; [`Limits::default`] by default.
    pub limits: Limits,
    /// The longest time that a request may wait for an outcome; longer waits are shortened to it. 60 s.
    pub max_wait: Duration,
    /// The largest spec or filter in bytes. 1 MiB.
    pub max_spec: usize,
    /// The answer of `/metrics`; without it there is no such path.
    pub metrics: Option<Exposition>,
    /// The largest body of a request that carries events, in bytes. 10 MiB.
    pub max_events: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access: Access::default(),
            limits: Limits::default(),
            max_wait: Duration::from_secs(60),
            max_spec: 1 << 20,
            max_events: 10 << 20,
            metrics: None,
        }
    }
}

/// A service on a poller: the [router](Self::router), and the end of its waiting requests. Clones are one service.
#[derive(Clone)]
pub struct Service {
    app: Arc<App>,
}

/// What all handlers share.
pub(crate) struct App {
    pub(crate) poller: Poller,
    pub(crate) store: Arc<dyn StoreAdmin>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) options: Options,
    pub(crate) clock: SystemClock,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) tokens: Tokens,
}

impl Service {
    /// A service on `poller`, which runs on `store`. To be called inside a tokio runtime.
    #[must_use]
    pub fn new(poller: Poller, store: impl StoreAdmin, options: Options) -> Self {
        metrics::describe();
        let quotas = Arc::new(match &options.access {
            Access::Keys(keys) => Quotas::new(keys),
            Access::Local | Access::Open => Quotas::default(),
        });
        let hub = Hub::start(poller.events(), Arc::clone(&quotas));
        let tokens = Tokens::default();
        let app =
            App { quotas, tokens, poller, store: Arc::new(store), hub, options, clock: SystemClock::new() };
        Self { app: Arc::new(app) }
    }

    /// Its API and page.
    pub fn router(&self) -> Router {
        routes::all(Arc::clone(&self.app))
    }

    /// Ends the requests that wait for outcomes with 503 and closes the event streams. New ones are refused the same way.
    pub fn close(&self) {
        self.app.hub.close();
    }
}

impl App {
    /// The time by which polls run.
    pub(crate) fn now(&self) -> Timestamp {
        self.store.clock().map_or_else(|| self.clock.now(), |clock| clock.now())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("options", &self.app.options).finish_non_exhaustive()
    }
}
