//! Coalescing of requests: polls of one scope share an equal GET or HEAD that is in flight.
//!
//! Enabled by [`PollerBuilder::coalesce`](crate::PollerBuilder::coalesce). Only requests in flight are shared, never a past
//! response: that would be a cache, and a poll asks for the present state. Each poll judges the response by its own filters
//! and has its own timeout; the request goes on until the last poll has left it.
//!
//! A poll that joins still counts as a request in flight: admission need not know of this module, at the price of less
//! sharing under tight caps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};
use http::{HeaderName, HeaderValue, Method};
use url::Url;

use crate::clock::BoxFuture;
use crate::fetch::{Fetch, FetchError, Request, RequestTls, Response};
use crate::lock::lock;

type ResponseFuture = BoxFuture<'static, Result<Response, FetchError>>;
type InFlight = HashMap<RequestKey, WeakShared<ResponseFuture>>;

/// The requests in flight that can be shared.
#[derive(Debug, Default)]
pub(crate) struct Coalescer {
    exchanges: Mutex<InFlight>,
}

/// The parts of a request that determine its response.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RequestKey {
    scope: Box<str>,
    method: Method,
    url: Box<str>,
    /// Sorted by name.
    headers: Vec<(HeaderName, HeaderValue)>,
    max_body: u64,
    tls: Option<Arc<RequestTls>>,
    /// What chose the URL decides where it may lead.
    linked_from: Option<Arc<Url>>,
}

impl RequestKey {
    /// `None` for a request that must not be shared.
    fn of(scope: &str, request: &Request) -> Option<Self> {
        // Cookies are those of one poll.
        let is_own = request.body.is_some() || request.cookies.is_some();
        if is_own || !matches!(request.method, Method::GET | Method::HEAD) {
            return None;
        }
        let headers = request.headers.iter();
        let mut headers: Vec<_> = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        Some(Self {
            scope: scope.into(),
            method: request.method.clone(),
            url: request.url.as_str().into(),
            headers,
            max_body: request.max_body,
            tls: request.tls.clone(),
            linked_from: request.linked_from.clone(),
        })
    }
}

impl Coalescer {
    /// The response to a request of a poll in `scope`, from an equal request in flight if there is one.
    pub(super) async fn fetch(
        &self,
        scope: &str,
        request: Request,
        fetch: &dyn Fetch,
    ) -> Result<Response, FetchError> {
        match RequestKey::of(scope, &request) {
            Some(key) => self.join(key, || fetch.fetch(request)).wait().await,
            None => fetch.fetch(request).await,
        }
    }

    fn join(&self, key: RequestKey, fetch: impl FnOnce() -> ResponseFuture) -> Waiting<'_> {
        let mut exchanges = self.exchanges();
        let under_way = exchanges.get(&key).and_then(WeakShared::upgrade);
        let exchange = under_way.filter(|exchange| exchange.peek().is_none()).unwrap_or_else(|| {
            let exchange = fetch().shared();
            exchanges.extend(exchange.downgrade().map(|exchange| (key.clone(), exchange)));
            exchange
        });
        Waiting { coalescer: self, key, exchange: Some(exchange) }
    }

    fn exchanges(&self) -> MutexGuard<'_, InFlight> {
        lock(&self.exchanges)
    }
}

/// A poll that waits for a response. The last one to be dropped removes the request.
struct Waiting<'a> {
    coalescer: &'a Coalescer,
    key: RequestKey,
    exchange: Option<Shared<ResponseFuture>>,
}

impl Waiting<'_> {
    async fn wait(self) -> Result<Response, FetchError> {
        match &self.exchange {
            Some(exchange) => exchange.clone().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.exchange = None;
        let mut exchanges = self.coalescer.exchanges();
        let is_over = |exchange: Shared<ResponseFuture>| exchange.peek().is_some();
        if exchanges.get(&self.key).is_some_and(|weak| weak.upgrade().is_none_or(is_over)) {
            exchanges.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn key(scope: &str, method: Method, url: &str, key: &'static str) -> Option<RequestKey> {
        let mut request = Request::new(method, url.parse().unwrap(), 1);
        request.headers.insert("x-key", HeaderValue::from_static(key));
        RequestKey::of(scope, &request)
    }

    fn answered(answer: oneshot::Receiver<u16>) -> ResponseFuture {
        Box::pin(async {
            let status = answer.await.expect("it is answered");
            Ok(Response::new(status, http::HeaderMap::new(), ""))
        })
    }

    #[test]
    fn only_equal_requests_are_shared() {
        let ask = |scope, url, header| key(scope, Method::GET, url, header);
        let one = ask("a", "https://a.test/1", "k");
        assert!(one.is_some());
        assert_eq!(ask("a", "https://a.test/1", "k"), one);
        assert_ne!(ask("b", "https://a.test/1", "k"), one);
        assert_ne!(ask("a", "https://a.test/2", "k"), one);
        assert_ne!(ask("a", "https://a.test/1", "l"), one);
        assert_ne!(key("a", Method::HEAD, "https://a.test/1", "k"), one);
        assert_eq!(key("a", Method::POST, "https://a.test/1", "k"), None);
    }

    #[tokio::test]
    async fn a_request_serves_all_waiting_polls_and_no_later_one() {
        let shares = Coalescer::default();
        let ask = || key("a", Method::GET, "https://a.test/1", "k").unwrap();
        let mut asked = 0;
        let mut join = |answer: oneshot::Receiver<u16>| {
            shares.join(ask(), || {
                asked += 1;
                answered(answer)
            })
        };
        let ((first, answer), (_, unused)) = (oneshot::channel(), oneshot::channel());
        let (one, two) = (join(answer), join(unused));
        let gone = join(oneshot::channel().1);
        drop(gone);
        first.send(201).unwrap();
        let (one, two) = tokio::join!(one.wait(), two.wait());
        assert_eq!((one.unwrap().status, two.unwrap().status), (201, 201));

        let (later, answer) = oneshot::channel();
        let third = join(answer);
        later.send(202).unwrap();
        assert_eq!(third.wait().await.unwrap().status, 202);
        assert_eq!(asked, 2);
        assert!(shares.exchanges().is_empty());
    }

    #[tokio::test]
    async fn a_request_without_waiting_polls_is_aborted() {
        let shares = Coalescer::default();
        let (mut watch, answer) = oneshot::channel::<u16>();
        let ask = key("a", Method::GET, "https://a.test/1", "k").unwrap();
        drop(shares.join(ask, || answered(answer)));
        watch.closed().await;
        assert!(shares.exchanges().is_empty());
    }
}
