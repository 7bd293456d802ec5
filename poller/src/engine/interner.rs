//! Recent responses, so that polls with equal responses share one copy.
//!
//! Most polls wait, and most servers answer such a poll with a short body like `{"status":"PENDING"}` and headers that
//! change at most once a second. Each poll keeps its last response; a million copies of one would weigh more than the
//! polls. Each new response is therefore looked up in a small direct-mapped table, in which newer entries replace older
//! ones: constant time and memory and no cleanup, at the price of some avoidable copies.

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
    hasher: RandomState,
}

impl Interner {
    pub(crate) fn new() -> Self {
        Self { entries: vec![None; ENTRIES].into(), hasher: RandomState::new() }
    }

    /// The copy of an equal response that the table has, or this one.
    pub(crate) fn share(&mut self, unmatched: Arc<UnmatchedResponse>) -> Arc<UnmatchedResponse> {
        if unmatched.response.body().len() > MAX_BODY {
            return unmatched;
        }
        let index = self.hasher.hash_one(&*unmatched) as usize % ENTRIES;
        match &mut self.entries[index] {
            Some(present) if *present == unmatched => Arc::clone(present),
            other => {
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
        Arc::new(UnmatchedResponse { response, note: note.into() })
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
    fn the_table_never_grows() {
        let mut interner = Interner::new();
        let all: Vec<_> =
            (0..10 * ENTRIES).map(|n| interner.share(unmatched("no", &n.to_string()))).collect();
        let kept = all.iter().filter(|unmatched| Arc::strong_count(unmatched) > 1).count();
        assert!((1..=ENTRIES).contains(&kept), "{kept}");
    }
}
