//! Looks names up with the system's resolver, on threads of their own.
//!
//! `getaddrinfo` blocks until the name servers answer or its own patience ends, 10 to 30 seconds, and nothing can interrupt it.
//! On tokio's blocking threads, names whose servers are silent would take all 512, and no task could resolve a name or read a
//! file. So there are
//!
//! - threads only for this, [`THREADS`];
//! - one look-up under way for each name, which later requests join, also when the first one has given up;
//! - at most [`PER_SITE`] look-ups under way for the names of one registrable domain, whose owner can make any number of
//!   names that are never answered.
//!
//! The alternative is a resolver in Rust (hickory), which needs no threads. It would answer differently from the other programs
//! of the machine where that has nsswitch modules, mDNS, per-link servers or a VPN's split DNS, and the guard would judge
//! addresses that other programs would not connect to. There is no cache: the system may have one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use tokio::sync::{Semaphore, watch};

use crate::lock::lock;
use crate::site;
use crate::threads::Threads;

/// The most look-ups under way.
const THREADS: usize = 128;

/// The most look-ups under way for the names of one registrable domain.
const PER_SITE: usize = 8;

/// The number of sites from which on those without a look-up are forgotten.
const SITES: usize = 1024;

/// Why a look-up found nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    NoSuchHost,
    Unavailable(String),
}

type Answer = Result<Arc<[IpAddr]>, NotFound>;
type Resolve = dyn Fn(&str) -> Answer + Send + Sync;

/// Looks names up; clones share the look-ups under way.
#[derive(Clone)]
pub(super) struct Lookups {
    inner: Arc<Inner>,
}

struct Inner {
    threads: Threads,
    resolve: Box<Resolve>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: HashMap<String, Arc<watch::Sender<Option<Answer>>>>,
    sites: HashMap<String, Weak<Semaphore>>,
}

impl State {
    fn site(&mut self, name: &str) -> Arc<Semaphore> {
        if self.sites.len() >= SITES {
            self.sites.retain(|_, site| site.strong_count() > 0);
        }
        let known = self.sites.entry(site::of_name(name)).or_default();
        known.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Semaphore::new(PER_SITE));
            *known = Arc::downgrade(&new);
            new
        })
    }
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

impl Lookups {
    /// The look-ups of this process, which all clients share.
    pub(super) fn shared() -> Self {
        static SHARED: OnceLock<Lookups> = OnceLock::new();
        SHARED.get_or_init(|| Self::with(THREADS, system)).clone()
    }

    fn with(threads: usize, resolve: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let threads = Threads::new("poller-names", threads);
        let inner = Inner { threads, resolve: Box::new(resolve), state: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The addresses of a name.
    pub(super) async fn addresses(&self, name: &str) -> Answer {
        loop {
            let (joined, site) = {
                let mut state = self.inner.state();
                let joined = state.under_way.get(name).map(|under_way| under_way.subscribe());
                (joined, state.site(name))
            };
            let answer = match joined {
                Some(answer) => Some(answer),
                // The semaphore is never closed.
                None => self.begin(name, site.acquire_owned().await.ok()),
            };
            let Some(mut answer) = answer else { continue };
            // The sender of a look-up that was not made, or that panicked, has been dropped.
            if let Ok(answered) = answer.wait_for(Option::is_some).await
                && let Some(answered) = &*answered
            {
                return answered.clone();
            }
            if !self.inner.threads.is_running() {
                return Err(NotFound::Unavailable("no threads could be started for it".to_owned()));
            }
        }
    }

    /// Begins a look-up, unless another one has begun meanwhile.
    fn begin(
        &self,
        name: &str,
        permit: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Option<watch::Receiver<Option<Answer>>> {
        let (sender, receiver) = watch::channel(None);
        let sender = Arc::new(sender);
        {
            let mut state = self.inner.state();
            if state.under_way.contains_key(name) {
                return None;
            }
            state.under_way.insert(name.to_owned(), Arc::clone(&sender));
        }
        // Gone at the latest with the work, also if that panics or never begins.
        let entry = Entry { inner: Arc::downgrade(&self.inner), name: name.to_owned() };
        self.inner.threads.start(move || {
            let _permit = permit;
            let answer = match entry.inner.upgrade() {
                // Before a thread was free, all may have given up.
                Some(inner) if sender.receiver_count() > 0 => Some((inner.resolve)(&entry.name)),
                _ => None,
            };
            drop(entry);
            if answer.is_some() {
                sender.send_replace(answer);
            }
        });
        Some(receiver)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A name among those whose look-up is under way, until this is dropped.
struct Entry {
    inner: Weak<Inner>,
    name: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.state().under_way.remove(&self.name);
        }
    }
}

/// Asks the system: hosts file, search domains, mDNS and whatever else it is configured for.
///
/// `tokio::net::lookup_host` does the same, but loses the code that tells "no such name" from "no answer now"; the crate
/// `dns-lookup` keeps it.
fn system(name: &str) -> Answer {
    // Without a socket type, each address would be listed once per type.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    match dns_lookup::getaddrinfo(Some(name), None, Some(hints)) {
        Ok(answers) => Ok(answers.filter_map(Result::ok).map(|answer| answer.sockaddr.ip()).collect()),
        Err(error) => Err(not_found(&error)),
    }
}

fn not_found(error: &LookupError) -> NotFound {
    match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => NotFound::NoSuchHost,
        LookupErrorKind::Again => {
            NotFound::Unavailable("the name server did not answer or is not ready".to_owned())
        }
        _ => NotFound::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    fn localhost() -> Answer {
        Ok(Arc::new([IpAddr::from([127, 0, 0, 1])]))
    }

    /// A resolver that is silent for names that begin with `silent`, until the sender is dropped.
    fn silent(threads: usize) -> (Lookups, mpsc::Receiver<String>, mpsc::Sender<()>) {
        let (asked, asks) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let lookups = Lookups::with(threads, move |name| {
            let _ = asked.send(name.to_owned());
            if name.starts_with("silent") {
                let _ = released.lock().unwrap().recv();
            }
            localhost()
        });
        (lookups, asks, release)
    }

    #[tokio::test]
    async fn requests_for_one_name_share_a_look_up() {
        let (lookups, asks, release) = silent(4);
        let mut first = Box::pin(lookups.addresses("silent.test"));
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(asks.recv().unwrap(), "silent.test");
        // The one who began it gives up; later ones join all the same.
        drop(first);
        let mut others = Box::pin(join_all((0..100).map(|_| lookups.addresses("silent.test"))));
        assert!(others.as_mut().now_or_never().is_none(), "all have joined before the answer comes");
        drop(release);
        let answers = others.await;
        assert!(answers.iter().all(|answer| *answer == localhost()));
        assert!(asks.try_recv().is_err(), "it was looked up once");
        assert!(lookups.inner.state().under_way.is_empty());
        assert_eq!(lookups.addresses("silent.test").await, localhost());
        assert_eq!(asks.recv().unwrap(), "silent.test", "there is no cache");
    }

    #[tokio::test]
    async fn silent_names_of_a_domain_leave_threads_for_others() {
        let (lookups, asks, release) = silent(PER_SITE + 1);
        let mut silent: Vec<_> = (0..100)
            .map(|n| {
                let lookups = lookups.clone();
                Box::pin(async move { lookups.addresses(&format!("silent-{n}.evil.test")).await })
            })
            .collect();
        for lookup in &mut silent {
            assert!(lookup.as_mut().now_or_never().is_none());
        }
        for _ in 0..PER_SITE {
            assert!(asks.recv().unwrap().ends_with(".evil.test"));
        }
        assert_eq!(lookups.addresses("honest.test").await, localhost());
        assert_eq!(asks.try_recv().unwrap(), "honest.test");
        drop(silent);
        drop(release);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_looked_up() {
        let (lookups, asks, release) = silent(1);
        let mut first = Box::pin(lookups.addresses("silent.a.test"));
        assert!(first.as_mut().now_or_never().is_none());
        asks.recv().unwrap();
        let mut second = Box::pin(lookups.addresses("silent.b.test"));
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        drop(release);
        assert_eq!(first.await, localhost());
        assert_eq!(lookups.addresses("c.test").await, localhost());
        assert_eq!(asks.try_iter().collect::<Vec<_>>(), ["c.test"]);
    }

    #[tokio::test]
    async fn errors_are_shared_too() {
        let lookups = Lookups::with(1, |_| Err(NotFound::NoSuchHost));
        assert_eq!(lookups.addresses("a.test").await, Err(NotFound::NoSuchHost));
    }
}
