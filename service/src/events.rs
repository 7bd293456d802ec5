//! Event streams: of one poll, and of all polls that the reader may see.
//!
//! The ids of one poll's stream are the numbers of its attempts, so that a stream resumes from them after a restart of the
//! service too; after the outcome the id is `end`, and a client that comes back with it gets 204, which tells it not to come
//! again. The ids of the stream of all polls are numbers of this process.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use poller::Event;
use poller::store::covers;
use tokio::sync::watch;

use crate::access::Caller;
use crate::app::App;
use crate::hub::{Hub, Next, Posted};
use crate::metrics::Level;
use crate::name::Name;
use crate::poll_events::PollEvents;
use crate::problem::Problem;
use crate::sse::{self, Data};

/// How often a comment is sent, so that proxies keep the connection and a disconnected client is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The id behind the outcome.
const END: &str = "end";

fn respond(stream: impl Stream<Item = Result<Sent, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // For proxies that collect responses before they pass them on.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn last_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty())
}

/// The events of one poll: those kept, those to come, its outcome.
pub(crate) async fn of_one(
    State(app): State<Arc<App>>,
    Name(key): Name,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = last_id(&headers);
    if last == Some(END) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let seen = match last {
        Some(id) => {
            id.parse::<u32>().map_err(|_| Problem::bad_request("Last-Event-ID is not of this stream"))?
        }
        None => 0,
    };
    if app.hub.is_closed() {
        return Err(Problem::stopping());
    }
    let one = One {
        _level: Level::stream(),
        events: PollEvents::of(&app, key).await?,
        seen,
        pending: None,
        news: app.hub.news(),
        hub: Arc::clone(&app.hub),
    };
    Ok(respond(stream::unfold(one, One::next)))
}

/// The stream of one poll.
struct One {
    _level: Level,
    events: PollEvents,
    /// The number of the last attempt that the reader has.
    seen: u32,
    /// An event after a gap that the stream has reported.
    pending: Option<Event>,
    hub: Arc<Hub>,
    news: watch::Receiver<()>,
}

impl One {
    async fn next(mut self) -> Option<(Result<Sent, Infallible>, Self)> {
        loop {
            let event = match self.pending.take() {
                Some(event) => event,
                None => self.event().await?,
            };
            let mut id = None;
            match &event {
                Event::Attempted(attempt) if attempt.number <= self.seen => continue,
                Event::Attempted(attempt) => {
                    let missed = attempt.number - self.seen - 1;
                    let before = std::mem::replace(&mut self.seen, attempt.number - 1);
                    if missed > 0 && before > 0 {
                        let data = sse::line(&Data::Lagged { missed: Some(missed.into()) });
                        self.pending = Some(event);
                        return Some((Ok(Sent::default().event("lagged").data(data)), self));
                    }
                    self.seen = attempt.number;
                    id = Some(attempt.number.to_string());
                }
                Event::Outcome(_) => id = Some(END.to_owned()),
                _ => {}
            }
            let Some((name, data)) = sse::of_poll(&event) else { continue };
            let mut sent = Sent::default().event(name).data(sse::line(&data));
            if let Some(id) = id {
                sent = sent.id(id);
            }
            return Some((Ok(sent), self));
        }
    }

    /// The next event; `None` at the end of the poll or of the service.
    async fn event(&mut self) -> Option<Event> {
        // One future for all rounds: the events of other polls must not begin its look into the store anew.
        let mut event = pin!(self.events.next());
        loop {
            tokio::select! {
                biased;
                event = &mut event => return event,
                changed = self.news.changed() => {
                    if changed.is_err() || self.hub.is_closed() {
                        return None;
                    }
                }
            }
        }
    }
}

/// The events of all polls.
pub(crate) async fn of_all(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if app.hub.is_closed() {
        return Err(Problem::stopping());
    }
    let run = app.hub.run.as_str();
    // Another process counted otherwise: what was missed is not known.
    let (number, lost) = match last_id(&headers) {
        None => (app.hub.next_number(), false),
        Some(id) => {
            match id.rsplit_once('.').filter(|(of, _)| *of == run).map(|(_, number)| number.parse::<u64>()) {
                Some(Ok(number)) if number < app.hub.next_number() => (number + 1, false),
                _ => (app.hub.next_number(), true),
            }
        }
    };
    let all = All {
        _level: Level::stream(),
        under: caller.scope().to_owned(),
        number,
        lost,
        news: app.hub.news(),
        hub: Arc::clone(&app.hub),
    };
    Ok(respond(stream::unfold(all, All::next)))
}

/// The stream of all polls.
struct All {
    _level: Level,
    /// Only polls of this scope and beneath it.
    under: String,
    hub: Arc<Hub>,
    news: watch::Receiver<()>,
    number: u64,
    /// The reader comes from another process.
    lost: bool,
}

impl All {
    async fn next(mut self) -> Option<(Result<Sent, Infallible>, Self)> {
        let lagged = |missed| {
            let data = sse::line(&Data::Lagged { missed });
            Ok(Sent::default().event("lagged").data(data))
        };
        if std::mem::take(&mut self.lost) {
            return Some((lagged(None), self));
        }
        loop {
            self.news.borrow_and_update();
            match self.hub.read(self.number, |posted: &Posted| covers(&self.under, posted.key.scope())) {
                Next::Event(posted) => {
                    self.number = posted.number + 1;
                    let id = format!("{}.{}", self.hub.run, posted.number);
                    let sent = Sent::default().event(posted.name).id(id).data(&posted.data);
                    return Some((Ok(sent), self));
                }
                Next::Missed(missed, number) => {
                    self.number = number;
                    return Some((lagged(Some(missed)), self));
                }
                Next::Wait(number) => self.number = number,
                Next::Closed => return None,
            }
            self.news.changed().await.ok()?;
        }
    }
}
