//! Recent responses, so that polls with equal responses share one copy.
//!
//! Most polls wait, and most servers answer such a poll with a short body like `{"status":"PENDING"}` and headers that
//! change at most once a second. Each poll keeps its last response; a million copies of one would weigh more than the
//! polls. Each new response is therefore looked up in a small direct-mapped table, in which newer entries replace older
//! ones: constant time and memory and no cleanup, at the price of some avoidable copies.
//!
//! Where filters differ in a literal, so do the notes on equal responses: then headers and body are shared.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use crate::judge::UnmatchedResponse;

/// The number of entries, a power of two.
const ENTRIES: usize = 256;

/// The longest body that is shared. Longer ones are rarely equal, and 256 of them would take much memory.
const MAX_BODY: usize = 4 << 10;

#[derive(Debug)]
pub(crate) struct Interner {
    entries: Box<[Option<Arc<UnmatchedResponse>>]>,
    /// The same by the response alone, without the note.
    responses: Box<[Option<Arc<UnmatchedResponse>>]>,
    hasher: RandomState,
}

impl Interner {
    pub(crate) fn new() -> Self {
        Self {
            entries: vec![None; ENTRIES].into(),
            responses: vec![None; ENTRIES].into(),
            hasher: RandomState::new(),
        }
    }

    /// The copy of an equal response that the table has, or this one, with headers and body of an equal one.
    pub(crate) fn share(&mut self, mut unmatched: Arc<UnmatchedResponse>) -> Arc<UnmatchedResponse> {
        if unmatched.response.body().len() > MAX_BODY {
            return unmatched;
        }
        let index = self.hasher.hash_one(&*unmatched) as usize % ENTRIES;
        match &mut self.entries[index] {
            Some(present) if *present == unmatched => Arc::clone(present),
            other => {
                let index = self.hasher.hash_one(&unmatched.response) as usize % ENTRIES;
                match &mut self.responses[index] {
                    // Nobody else has this response yet.
                    Some(present) if present.response == unmatched.response => {
                        if let Some(unmatched) = Arc::get_mut(&mut unmatched) {
                            unmatched.response = present.response.clone();
                        }
                    }
                    other => *other = Some(Arc::clone(&unmatched)),
                }
                *other = Some(Arc::clone(&unmatched));
                unmatched
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::RecordedResponse;

    fn unmatched(note: &str, body: &str) -> Arc<UnmatchedResponse> {
        let response = RecordedResponse::new(200, [("a", "b")], body.to_owned());
        Arc::new(UnmatchedResponse::of(response, note.into()))
    }

    #[test]
    fn equal_responses_are_shared() {
        let mut interner = Interner::new();
        let first = interner.share(unmatched("no", "{}"));
        assert!(Arc::ptr_eq(&interner.share(unmatched("no", "{}")), &first));
        assert!(
            !Arc::ptr_eq(&interner.share(unmatched("not at all", "{}")), &first),
            "another note comes from other filters"
        );
        let large = "x".repeat(MAX_BODY + 1);
        let first = interner.share(unmatched("no", &large));
        assert!(!Arc::ptr_eq(&interner.share(unmatched("no", &large)), &first));
    }

    #[test]
    fn responses_with_different_notes_share_headers_and_body() {
        let mut interner = Interner::new();
        let body = |note| interner.share(unmatched(note, "{}"));
        let [first, second] = ["expected 1", "expected 2"].map(body);
        assert_eq!(first.response.body().as_ptr(), second.response.body().as_ptr());
        assert_eq!((&*first.note, &*second.note), ("expected 1", "expected 2"));
    }

    #[test]
    fn the_table_never_grows() {
        let mut interner = Interner::new();
        let all: Vec<_> =
            (0..10 * ENTRIES).map(|n| interner.share(unmatched("no", &n.to_string()))).collect();
        let kept = all.iter().filter(|unmatched| Arc::strong_count(unmatched) > 1).count();
        assert!((1..=2 * ENTRIES).contains(&kept), "{kept}");
    }
}
