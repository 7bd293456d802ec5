//! What an open poll keeps of the last response that did not match: how much, and its share of a budget.
//!
//! Each open poll keeps its last response, for the outcome and to notice that the next one is equal. Kept whole, 200 bodies of
//! 10 MiB, each from 10 kB on the wire, would take two gigabytes. Beyond [`HEAD`] bytes only the beginning of a body is kept,
//! with a keyed digest of the whole for comparison and the explanation, which could not be built later. Once all polls together
//! have used up [`Limits::kept_bytes`](crate::Limits::kept_bytes), new responses are kept as excerpts.

use std::hash::{Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::UnmatchedResponse;
use crate::history::Note;
use crate::response::RecordedResponse;

/// The longest body that is kept whole, and the most that is kept of a longer one.
pub(crate) const HEAD: usize = 64 << 10;

/// What is kept of a body and of headers beyond the budget.
const EXCERPT: usize = 1 << 10;

/// The most that is kept of headers; longer ones are left out.
const HEADERS: usize = 16 << 10;

/// The size up to which a response is not counted: a poll with its spec takes as much.
const UNCOUNTED: usize = 512;

/// The longest note, in bytes.
pub(crate) const NOTE: usize = 1 << 10;

/// The longest explanation of an outcome, in bytes.
pub(crate) const EXPLANATION: usize = 64 << 10;

/// The budget for what all open polls keep of responses; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct KeptBytes {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limit: usize,
    used: AtomicUsize,
    /// The key of the digests: a server that knew it could make a body pass for the one before.
    hasher: RandomState,
}

impl KeptBytes {
    pub(crate) fn new(limit: usize) -> Self {
        Self { inner: Arc::new(Inner { limit, used: AtomicUsize::new(0), hasher: RandomState::new() }) }
    }

    /// The bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.inner.used.load(Ordering::Relaxed)
    }

    /// The digest of a body, valid inside this process only.
    pub(super) fn digest(&self, body: &[u8]) -> u64 {
        use std::hash::BuildHasher as _;
        self.inner.hasher.hash_one(body)
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.used().checked_add(bytes).is_some_and(|sum| sum <= self.inner.limit)
    }

    fn share(&self, bytes: usize) -> Share {
        self.inner.used.fetch_add(bytes, Ordering::Relaxed);
        Share { of: Arc::clone(&self.inner), bytes }
    }
}

/// Bytes of the budget, given back when this is dropped.
#[derive(Debug)]
struct Share {
    of: Arc<Inner>,
    bytes: usize,
}

impl Clone for Share {
    fn clone(&self) -> Self {
        self.of.used.fetch_add(self.bytes, Ordering::Relaxed);
        Self { of: Arc::clone(&self.of), bytes: self.bytes }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What belongs to a kept response that is not small.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    /// The digest of the whole body, if only its beginning is kept.
    digest: Option<u64>,
    /// The explanation in full, without secrets, if it cannot be built from what is kept.
    explanation: Option<Box<str>>,
    _share: Share,
}

impl PartialEq for Rest {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.explanation == other.explanation
    }
}

impl Eq for Rest {}

impl Hash for Rest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl UnmatchedResponse {
    /// Keeps a response within the budget. `digest` is that of its body if it is longer than [`HEAD`], and `explanation` what
    /// could not be built later.
    pub(super) fn keep(
        mut response: RecordedResponse,
        note: Note,
        digest: Option<u64>,
        explanation: Option<Box<str>>,
        budget: &KeptBytes,
    ) -> Self {
        response.shorten(HEAD, HEADERS);
        let explained = explanation.as_ref().map_or(0, |text| text.len());
        let size = |response: &RecordedResponse| response.size() + note.len() + explained;
        let mut bytes = size(&response);
        let mut digest = digest;
        if bytes > UNCOUNTED && !budget.has_room(bytes) && bytes > 2 * EXCERPT {
            if response.body().len() > EXCERPT && digest.is_none() {
                digest = Some(budget.digest(response.body()));
            }
            response.shorten(EXCERPT, EXCERPT);
            bytes = size(&response);
        }
        let counted = bytes > UNCOUNTED || digest.is_some();
        let rest = counted.then(|| Box::new(Rest { digest, explanation, _share: budget.share(bytes) }));
        Self { response, note, rest }
    }

    #[cfg(test)]
    pub(crate) fn of(response: RecordedResponse, note: Note) -> Self {
        Self { response, note, rest: None }
    }

    /// The response that a filter matched which wants several in a row: whole, since it may be the outcome.
    pub(super) fn in_row(mut response: RecordedResponse, note: Note, budget: &KeptBytes) -> Self {
        response.in_row = true;
        let bytes = HEAD.min(response.size()) + note.len();
        let rest = (bytes > UNCOUNTED)
            .then(|| Box::new(Rest { digest: None, explanation: None, _share: budget.share(bytes) }));
        Self { response, note, rest }
    }

    /// The same with another note, shortened if it was whole.
    pub(crate) fn with_note(self: Arc<Self>, note: Note) -> Arc<Self> {
        let mut changed = Self::clone(&self);
        drop(self);
        changed.note = note;
        changed.response.shorten(HEAD, HEADERS);
        Arc::new(changed)
    }

    /// The digest of the whole body, if only its beginning is kept.
    pub(super) fn digest(&self) -> Option<u64> {
        self.rest.as_ref()?.digest
    }

    /// The explanation in full, if it was built with the judgement. It has no secrets.
    pub(crate) fn explanation(&self) -> Option<&str> {
        self.rest.as_ref()?.explanation.as_deref()
    }
}

/// The text, cut at `most` bytes.
pub(crate) fn bounded(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(body: usize, budget: &KeptBytes) -> UnmatchedResponse {
        let response = RecordedResponse::new(200, [("a", "b")], "x".repeat(body));
        let digest = (body > HEAD).then(|| budget.digest(response.body()));
        UnmatchedResponse::keep(response, "no".into(), digest, None, budget)
    }

    #[test]
    fn the_beginning_of_a_long_body_is_kept() {
        let budget = KeptBytes::new(1 << 20);
        let kept = keep(10 << 20, &budget);
        assert_eq!((kept.response.body().len(), kept.response.full_len()), (HEAD, 10 << 20));
        assert!(kept.response.is_cut() && kept.digest().is_some());
        // A slice would keep the whole buffer alive.
        assert!((HEAD..HEAD + 100).contains(&budget.used()), "{}", budget.used());
        drop(kept);
        assert_eq!(budget.used(), 0);
        let kept = keep(HEAD, &budget);
        assert!(!kept.response.is_cut() && kept.digest().is_none());
    }

    #[test]
    fn beyond_the_budget_excerpts_are_kept() {
        let budget = KeptBytes::new(2 * HEAD + 1000);
        let kept: Vec<_> = (0..1000).map(|_| keep(1 << 20, &budget)).collect();
        assert_eq!(kept.iter().filter(|kept| kept.response.body().len() == HEAD).count(), 2);
        assert!(kept[2..].iter().all(|kept| kept.response.body().len() == EXCERPT));
        assert!(budget.used() < 2 * HEAD + 998 * (EXCERPT + 100), "{}", budget.used());
        let small = keep(100, &budget);
        assert!(!small.response.is_cut() && small.rest.is_none());
        drop(kept);
        assert_eq!(budget.used(), 0);
        assert_eq!(keep(1 << 20, &budget).response.body().len(), HEAD, "there is room again");
    }

    #[test]
    fn long_headers_are_left_out() {
        let budget = KeptBytes::new(1 << 20);
        let headers = (0..100).map(|n| (format!("x-{n:03}"), "v".repeat(4000)));
        let response = RecordedResponse::new(200, headers.chain([("a".into(), "b".into())]), "");
        let kept = UnmatchedResponse::keep(response, "no".into(), None, None, &budget);
        assert_eq!(kept.response.headers().get("a"), Some("b"));
        assert!(kept.response.size() <= HEADERS + 100, "{}", kept.response.size());
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(bounded("ab".repeat(3), 6), "ababab");
        assert_eq!(bounded("äöü".repeat(3), 8), "äö…");
    }
}
