//! Requests that are shared: polls of one scope that would ask the same at the same time wait for one answer.
//!
//! Whoever allows it ([`PollerBuilder::coalesce`](crate::PollerBuilder::coalesce)) says that a GET or HEAD of one scope
//! means the same whoever asks. Only what is in flight is shared, never an answer that is there already: that would be a
//! cache, and a poll is asked for news. Each poll judges the answer by its own filters, and keeps its own time: one that
//! has to give up leaves, and the request goes on as long as somebody waits for it.
//!
//! A poll that joins still counts as a request in flight: the caps are kept without knowing of this module, at the price of
//! less sharing where they are tight.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};
use http::{HeaderName, HeaderValue, Method};

use crate::clock::BoxFuture;
use crate::fetch::{Fetch, FetchError, Request, Response};

type Asking = BoxFuture<'static, Result<Response, FetchError>>;
type UnderWay = HashMap<Question, WeakShared<Asking>>;

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Coalescer {
    exchanges: Mutex<UnderWay>,
}

/// Everything an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    scope: Box<str>,
    method: Method,
    url: Box<str>,
    /// In the order of the names.
    headers: Vec<(HeaderName, HeaderValue)>,
    max_body: u64,
}

impl Question {
    /// `None` for a request that must not be shared.
    fn of(scope: &str, request: &Request) -> Option<Self> {
        if !matches!(request.method, Method::GET | Method::HEAD) || request.body.is_some() {
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
        })
    }
}

impl Coalescer {
    /// The answer to a request of a poll in `scope`, from a request that is under way where there is one.
    pub(super) async fn fetch(
        &self,
        scope: &str,
        request: Request,
        fetch: &dyn Fetch,
    ) -> Result<Response, FetchError> {
        match Question::of(scope, &request) {
            Some(question) => self.join(question, || fetch.fetch(request)).wait().await,
            None => fetch.fetch(request).await,
        }
    }

    fn join(&self, question: Question, ask: impl FnOnce() -> Asking) -> Waiting<'_> {
        let mut exchanges = self.exchanges();
        let under_way = exchanges.get(&question).and_then(WeakShared::upgrade);
        let exchange = under_way.filter(|exchange| exchange.peek().is_none()).unwrap_or_else(|| {
            let exchange = ask().shared();
            exchanges.extend(exchange.downgrade().map(|exchange| (question.clone(), exchange)));
            exchange
        });
        Waiting { shares: self, question, exchange: Some(exchange) }
    }

    fn exchanges(&self) -> MutexGuard<'_, UnderWay> {
        // Every change is a single insert or remove.
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One poll that waits for an answer. The last to go takes the question with it.
struct Waiting<'a> {
    shares: &'a Coalescer,
    question: Question,
    exchange: Option<Shared<Asking>>,
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
        let mut exchanges = self.shares.exchanges();
        let over = |exchange: Shared<Asking>| exchange.peek().is_some();
        if exchanges.get(&self.question).is_some_and(|weak| weak.upgrade().is_none_or(over)) {
            exchanges.remove(&self.question);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn question(scope: &str, method: Method, url: &str, key: &'static str) -> Option<Question> {
        let mut request = Request::new(method, url.parse().unwrap(), 1);
        request.headers.insert("x-key", HeaderValue::from_static(key));
        Question::of(scope, &request)
    }

    #[test]
    fn only_the_same_question_is_shared() {
        let ask = |scope, url, key| question(scope, Method::GET, url, key);
        let one = ask("a", "https://a.test/1", "k");
        assert!(one.is_some());
        assert_eq!(ask("a", "https://a.test/1", "k"), one);
        assert_ne!(ask("b", "https://a.test/1", "k"), one);
        assert_ne!(ask("a", "https://a.test/2", "k"), one);
        assert_ne!(ask("a", "https://a.test/1", "l"), one);
        assert_ne!(question("a", Method::HEAD, "https://a.test/1", "k"), one);
        assert_eq!(question("a", Method::POST, "https://a.test/1", "k"), None);
    }

    #[tokio::test]
    async fn one_request_serves_all_who_wait_and_none_who_come_after() {
        let shares = Coalescer::default();
        let ask = || question("a", Method::GET, "https://a.test/1", "k").unwrap();
        let mut asked = 0;
        let mut join = |answer: oneshot::Receiver<u16>| {
            shares.join(ask(), || {
                asked += 1;
                Box::pin(async {
                    let status = answer.await.expect("it is answered");
                    Ok(Response::new(status, http::HeaderMap::new(), ""))
                })
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
    async fn a_request_for_which_nobody_waits_is_abandoned() {
        let shares = Coalescer::default();
        let (mut watch, answer) = oneshot::channel::<u16>();
        let ask = question("a", Method::GET, "https://a.test/1", "k").unwrap();
        let waiting = shares.join(ask, || {
            Box::pin(async {
                let status = answer.await.expect("it is answered");
                Ok(Response::new(status, http::HeaderMap::new(), ""))
            })
        });
        drop(waiting);
        watch.closed().await;
        assert!(shares.exchanges().is_empty());
    }
}
