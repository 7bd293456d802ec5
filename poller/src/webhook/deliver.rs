//! The deliverer: the one task that sends what is due in the outbox.
//!
//! Requests are bounded in all and for each receiver, so that one that is slow or down keeps the others from nothing. The task
//! sleeps until a delivery is due or the store has a new one; while there is none it costs nothing.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};
use retry::{Decision, Failure, Jitter, Policy, Progress, Rng};
use secrecy::ExposeSecret as _;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::{SigningKey, payload};
use crate::clock::{BoxFuture, Clock, Timestamp};
use crate::engine::Deps;
use crate::fetch::{FetchError, FetchErrorKind, Request, Response};
use crate::job::OnOutcome;
use crate::observe::trace;
use crate::outbox::{Delivery, DeliveryAttempt, DeliveryState, Outbox};
use crate::secret::Text;
use crate::store::{StoreError, StoredPoll};

/// The delays between the attempts of a delivery, each ± 20 %: eight attempts in 28 hours.
const DELAYS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(10 * 3600),
];

/// The longest wait that a receiver can ask for by `Retry-After`.
const LONGEST_HINT: Duration = Duration::from_secs(24 * 3600);

/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The requests that are under way at once, in all and to one receiver.
const AT_ONCE: usize = 64;
const EACH: usize = 4;

/// The largest answer of a receiver. Nothing of it is used.
const LARGEST_ANSWER: u64 = 1 << 20;

/// The pause after a failure of the store.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest error that is kept, in bytes.
const LONGEST_ERROR: usize = 500;

/// The status by which a receiver says that it wants no more.
const GONE: u16 = 410;

/// The running task; dropping this ends it.
pub(crate) struct Deliverer {
    drain: watch::Sender<bool>,
    /// Set until it is waited for.
    task: Option<JoinHandle<()>>,
}

impl Deliverer {
    /// Starts the task, if the store has an outbox.
    pub(crate) fn start(deps: &Arc<Deps>, rng: Rng) -> Option<Self> {
        let outbox = deps.store.outbox()?;
        let (drain, draining) = watch::channel(false);
        let state =
            State { added: outbox.added(), outbox, deps: Arc::clone(deps), rng, under_way: HashMap::new() };
        Some(Self { drain, task: Some(tokio::spawn(state.run(draining))) })
    }

    /// Begins what is due now, and no further request.
    pub(crate) fn drain(&self) {
        self.drain.send_replace(true);
    }

    /// Waits until all requests have ended after [`drain`](Self::drain), or until a time.
    pub(crate) async fn drained(&mut self, clock: &dyn Clock, until: Timestamp) {
        if let Some(task) = &mut self.task {
            tokio::select! {
                biased;
                _ = &mut *task => self.task = None,
                () = clock.sleep_until(until) => {}
            }
        }
    }

    /// Abandons the requests under way; returns once nothing of them is left. They are due again at the next start.
    pub(crate) async fn end(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // An error says that it was aborted, as it should be.
            let _ = task.await;
        }
    }
}

impl Drop for Deliverer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let policy = Policy::list(DELAYS).jitter(Jitter::Around { ratio: 0.2 }).max_hint(LONGEST_HINT);
    policy.build().expect("invariant: the delays are a policy")
});

struct State {
    deps: Arc<Deps>,
    outbox: Arc<dyn Outbox>,
    added: Arc<Notify>,
    rng: Rng,
    /// The receivers of the deliveries under way, by their places in the store.
    under_way: HashMap<i64, Box<str>>,
}

/// Requests under way; each ends with the place of its delivery. They live in one task, so that ending it leaves nothing of them.
type Requests = FuturesUnordered<BoxFuture<'static, i64>>;

impl State {
    async fn run(mut self, mut draining: watch::Receiver<bool>) {
        let mut requests = Requests::new();
        let mut drained = false;
        let clock = Arc::clone(&self.deps.clock);
        loop {
            let drains = *draining.borrow_and_update();
            let next = if drained {
                None
            } else {
                // Once more after the last outcome: a process that ends with its polls sends their webhooks.
                drained = drains;
                self.start_due(&mut requests).await.unwrap_or_else(|error| {
                    trace::webhooks_unread(&error);
                    Some(clock.now() + PAUSE)
                })
            };
            if drained && requests.is_empty() {
                return;
            }
            let due = async {
                match next {
                    Some(next) => clock.sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(place) = requests.next(), if !requests.is_empty() => drop(self.under_way.remove(&place)),
                () = self.added.notified() => {}
                () = due => {}
                // The sender lives as long as this task.
                _ = draining.changed() => {}
            }
        }
    }

    /// The receivers that get no further request now.
    fn busy(&self) -> Vec<Box<str>> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        self.under_way.values().for_each(|receiver| *counts.entry(receiver).or_default() += 1);
        counts.into_iter().filter(|(_, count)| *count >= EACH).map(|(receiver, _)| receiver.into()).collect()
    }

    /// Starts what is due and allowed; returns when to look again at the latest.
    async fn start_due(&mut self, requests: &mut Requests) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let now = self.deps.clock.now();
            let look = self.outbox.look_every().map(|every| now + every);
            // Without a lease, the worker that has it delivers.
            if self.under_way.len() >= AT_ONCE || !self.deps.store.may_ask() {
                return Ok(look);
            }
            let busy = self.busy();
            let found = self.outbox.due(now, busy, AT_ONCE + self.under_way.len()).await?;
            let mut started = false;
            for delivery in found.deliveries {
                let same = self.under_way.values().filter(|receiver| **receiver == delivery.receiver).count();
                if same >= EACH
                    || self.under_way.len() >= AT_ONCE
                    || self.under_way.contains_key(&delivery.place)
                {
                    continue;
                }
                started = true;
                self.under_way.insert(delivery.place, delivery.receiver.clone());
                requests.push(self.request(delivery));
            }
            // What was started may have filled the page, with others behind it.
            if !started {
                return Ok([found.next, look].into_iter().flatten().min());
            }
        }
    }

    fn request(&mut self, delivery: Delivery) -> BoxFuture<'static, i64> {
        let place = delivery.place;
        let call = Call {
            deps: Arc::clone(&self.deps),
            outbox: Arc::clone(&self.outbox),
            rng: Rng::seeded(self.rng.next_u64()),
        };
        Box::pin(async move {
            // A panic of the client must not end the deliveries of all others.
            let clock = Arc::clone(&call.deps.clock);
            if AssertUnwindSafe(call.deliver(delivery)).catch_unwind().await.is_err() {
                clock.sleep_until(clock.now() + PAUSE).await;
            }
            place
        })
    }
}

/// One attempt.
struct Call {
    deps: Arc<Deps>,
    outbox: Arc<dyn Outbox>,
    rng: Rng,
}

impl Call {
    async fn deliver(mut self, mut delivery: Delivery) {
        let clock = Arc::clone(&self.deps.clock);
        let began = clock.now();
        let result = match self.deps.store.get(delivery.key.clone()).await {
            // Mostly the delivery is removed with its poll; it must not stay due.
            Ok(None) => Err(Failed::Removed),
            Ok(Some(poll)) if poll.created_at != delivery.created_at || poll.outcome.is_none() => {
                Err(Failed::Removed)
            }
            Ok(Some(poll)) => self.send(&delivery, &poll).await.map_err(Failed::Request),
            Err(error) => Err(Failed::Store(error)),
        };
        let now = clock.now();
        let (status, error, failure) = judge(result, now);
        let next = match failure {
            None => Ok(DeliveryState::Delivered),
            Some(failure) => {
                // The time since the first attempt is no bound here.
                let progress = Progress::new(delivery.tries.saturating_add(1), Duration::ZERO);
                match POLICY.decide(&failure, &progress, &mut self.rng) {
                    Decision::RetryAfter(delay) => Err(now + delay),
                    Decision::GiveUp(_) => Ok(DeliveryState::Dead),
                }
            }
        };
        let duration_ms = u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX);
        delivery.attempted(DeliveryAttempt { at: began, duration_ms, status, error }, next);
        self.deps.observer.webhook(delivery.state);
        trace::webhook(&delivery);
        if let Err(error) = self.outbox.note(delivery).await {
            // It is still due, and would be sent again at once.
            trace::webhooks_unread(&error);
            clock.sleep_until(clock.now() + PAUSE).await;
        }
    }

    async fn send(&self, delivery: &Delivery, poll: &StoredPoll) -> Result<Response, FetchError> {
        let spec = poll.spec.apart();
        let (Some(webhook), Some(outcome)) = (spec.on_outcome(), &poll.outcome) else {
            return Err(FetchErrorKind::Secret.error("the spec has no webhook".to_owned()));
        };
        let keys = self.keys(delivery, webhook).await?;
        let body = payload::body(&delivery.key, outcome, webhook.include).map_err(|error| {
            FetchErrorKind::Secret.error(format!("the outcome cannot be written as JSON: {error}"))
        })?;
        let clock = &self.deps.clock;
        let (id, seconds) = (delivery.id(), clock.now().as_micros() / 1_000_000);
        let signatures: Vec<String> = keys.iter().map(|key| key.sign(&id, seconds, &body)).collect();
        let mut request = Request::new(Method::POST, webhook.url(), LARGEST_ANSWER);
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ] {
            let value = HeaderValue::from_str(&value)
                .map_err(|_| FetchErrorKind::Secret.error(format!("{name} is no header")))?;
            request.headers.insert(HeaderName::from_static(name), value);
        }
        request.body = Some(body.into());
        request.poll = Some(delivery.key.clone());
        tokio::select! {
            response = self.deps.fetch.fetch(request) => response,
            () = clock.sleep_until(clock.now() + TIMEOUT) => {
                let message = format!("no answer within {} s", TIMEOUT.as_secs());
                Err(FetchErrorKind::Timeout.error(message))
            }
        }
    }

    /// The keys; references are resolved on a thread for secrets, since a resolver may read files.
    async fn keys(&self, delivery: &Delivery, webhook: &OnOutcome) -> Result<Vec<SigningKey>, FetchError> {
        let (deps, poll, webhook) = (Arc::clone(&self.deps), delivery.key.clone(), webhook.clone());
        let has_references = webhook.secrets.iter().any(|text| matches!(text, Text::Reference(_)));
        let resolve = move || {
            let url = webhook.url();
            let key = |text: &Text| {
                let resolved = text.resolve_by(|secret| deps.secrets.resolve_for(&poll, secret, &url));
                let text = resolved.map_err(|error| error.to_string())?;
                SigningKey::parse(text.expose_secret()).map_err(|error| error.to_string())
            };
            webhook.secrets.iter().map(key).collect::<Result<Vec<_>, String>>()
        };
        let keys = if has_references {
            let keys = self.deps.secret_threads.run(resolve).await;
            keys.unwrap_or_else(|_| Err("the secret resolver panicked".to_owned()))
        } else {
            resolve()
        };
        keys.map_err(|message| FetchErrorKind::Secret.error(format!("onOutcome.secret: {message}")))
    }
}

/// Why a receiver was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the poll was removed")]
    Removed,
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Request(FetchError),
}

/// The status, what was wrong, and whether it was a failure.
fn judge(result: Result<Response, Failed>, now: Timestamp) -> (Option<u16>, Option<String>, Option<Failure>) {
    match result {
        // A redirect may have made it a GET without a body.
        Ok(response) if response.journey.as_ref().is_some_and(|journey| journey.redirects > 0) => {
            let landed = response.journey.and_then(|journey| journey.landed).unwrap_or_default();
            let error =
                format!("the receiver redirects to {landed}; give that URL, as redirects are not followed");
            (Some(response.status), Some(cut(error)), Some(Failure::transient()))
        }
        Ok(response) if (200..300).contains(&response.status) => (Some(response.status), None, None),
        Ok(response) => {
            let headers = response
                .headers
                .iter()
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
            let hint = retry::hint::from_response(response.status, headers, now.to_system_time());
            let failure = match response.status {
                GONE => Failure::permanent(),
                _ => Failure::transient().with_hint(hint),
            };
            (Some(response.status), Some(format!("the receiver answered {}", response.status)), Some(failure))
        }
        Err(error @ Failed::Removed) => (None, Some(error.to_string()), Some(Failure::permanent())),
        Err(error) => (None, Some(cut(error.to_string())), Some(Failure::transient())),
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST_ERROR {
        text.truncate(text.floor_char_boundary(LONGEST_ERROR));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_eight_times_in_28_hours() {
        let mut rng = Rng::seeded(7);
        let mut decide =
            |tries| POLICY.decide(&Failure::transient(), &Progress::new(tries, Duration::ZERO), &mut rng);
        for (tries, delay) in (1..).zip(DELAYS) {
            for _ in 0..100 {
                let Decision::RetryAfter(after) = decide(tries) else { panic!("{tries} tries are too few") };
                assert!((delay.mul_f64(0.8)..=delay.mul_f64(1.2)).contains(&after), "{tries}: {after:?}");
            }
        }
        assert!(matches!(decide(8), Decision::GiveUp(_)));
        assert_eq!(DELAYS.iter().sum::<Duration>().as_secs() / 3600, 27);
    }

    #[test]
    fn what_is_no_delivery_is_told() {
        let now = Timestamp::from_micros(1_000_000);
        let response = |status| Response::new(status, http::HeaderMap::new(), "");
        assert_eq!(judge(Ok(response(204)), now), (Some(204), None, None));
        let (status, error, failure) = judge(Ok(response(302)), now);
        assert!(status == Some(302) && error.unwrap().contains("answered 302") && failure.is_some());
        let mut journey = crate::fetch::Journey::default();
        (journey.redirects, journey.landed) = (1, Some("https://b.test/login".into()));
        let (_, error, failure) = judge(Ok(response(200).after(Box::new(journey))), now);
        assert!(error.unwrap().contains("redirects to https://b.test/login") && failure.is_some());
        let (_, error, failure) = judge(Err(Failed::Removed), now);
        assert_eq!((error.as_deref(), failure), (Some("the poll was removed"), Some(Failure::permanent())));
        assert!(cut("ä".repeat(LONGEST_ERROR)).len() <= LONGEST_ERROR + 3);
    }
}
