//! Where responses are judged: mostly in the worker that received them, long or costly ones on threads of their own.
//!
//! ```text
//!  response ──► long? ── no ──► judged at once, within a brief effort ──► judgement
//!                 │ yes                     │ not enough
//!                 └─────────────────────────┴──► queue ──► a thread for judging, within a long effort
//!                                                               │ cut at the deadline
//! ```
//!
//! A response of 10 MiB and a filter of thousands of conditions, both from strangers, take seconds of a processor. On the
//! runtime's threads they would delay all other polls; on as many threads as there are responses, they would take all
//! processors. So there are half as many of these threads as processors, and what one response may take is bounded and ends
//! with the time of its request.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use filter::{Effort, Exhausted};

use super::timer::Timer;
use crate::clock::Timestamp;
use crate::fetch::{FetchError, FetchErrorKind};
use crate::job::PollSpec;
use crate::judge::{self, BRIEF, Bounds, Context, HEAD, Judgement, KeptBytes, LONG, UnmatchedResponse};
use crate::redact::Secrets;
use crate::response::RecordedResponse;
use crate::threads::Threads;

/// The least time for judging: a response whose last byte came in time counts, if judging takes no longer than usual.
const LEAST: Duration = Duration::from_millis(500);

/// Judges responses.
#[derive(Debug)]
pub(crate) struct Judging {
    threads: Threads,
    kept: KeptBytes,
}

/// What a response is judged by.
pub(super) struct Case<'a> {
    pub(super) spec: PollSpec,
    /// The URL that was asked instead of that of the spec.
    pub(super) asked: Option<Arc<str>>,
    /// Where redirects led.
    pub(super) landed: Option<Box<str>>,
    pub(super) secrets: &'a Secrets,
    pub(super) last: Option<Arc<UnmatchedResponse>>,
    /// The time of its last byte.
    pub(super) ended: Timestamp,
}

impl Case<'_> {
    fn judge(&self, response: RecordedResponse, bounds: &Bounds<'_>) -> Result<Judgement, Exhausted> {
        let context = Context {
            spec: &self.spec,
            asked: self.asked.as_deref().unwrap_or_else(|| self.spec.url_text()),
            landed: self.landed.as_deref(),
            secrets: self.secrets,
            previous: self.last.as_ref(),
            now: self.ended.to_system_time(),
        };
        judge::judge(&context, response, bounds)
    }
}

/// Stops the work when its waiter is dropped.
struct StopOnDrop(Arc<Effort>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Judging {
    /// For polls that keep this number of bytes of responses.
    pub(crate) fn new(kept_bytes: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = Threads::new("poller-judging", processors.div_ceil(2));
        Self { threads, kept: KeptBytes::new(kept_bytes) }
    }

    /// The bytes that open polls keep of responses.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept.used()
    }

    /// Judges a response to a request that is cut off at `cut`.
    pub(super) async fn judge(
        &self,
        case: Case<'_>,
        response: RecordedResponse,
        cut: Timestamp,
        timer: &mut Timer,
    ) -> Judgement {
        let length = response.body().len();
        if length <= HEAD {
            let effort = Effort::new(BRIEF);
            let bounds = Bounds { effort: &effort, kept: &self.kept, is_last_resort: false };
            if let Ok(judgement) = case.judge(response.clone(), &bounds) {
                return judgement;
            }
        }
        let effort = Arc::new(Effort::new(LONG));
        let _stop = StopOnDrop(Arc::clone(&effort));
        let (kept, secrets) = (self.kept.clone(), case.secrets.clone());
        let Case { spec, asked, landed, last, ended, .. } = case;
        let work = self.threads.run(move || {
            let case = Case { spec, asked, landed, secrets: &secrets, last, ended };
            case.judge(response, &Bounds { effort: &effort, kept: &kept, is_last_resort: true })
        });
        tokio::select! {
            biased;
            judged = work => match judged {
                Ok(Ok(judgement)) => judgement,
                Ok(Err(exhausted)) => judge::too_costly(length, exhausted),
                Err(_) => {
                    let message = "judging the response panicked; the reason is on the standard error of the process";
                    Judgement::Error(FetchError::new(FetchErrorKind::Panicked, message))
                }
            },
            () = timer.reached(cut.max(ended + LEAST)) => {
                let message = format!(
                    "the response of {length} bytes was not judged before the time of its request was over; \
                     other long responses may have been judged first"
                );
                Judgement::Error(FetchError::new(FetchErrorKind::TooCostly, message))
            }
        }
    }
}
