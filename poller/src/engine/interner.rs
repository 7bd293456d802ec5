//! Responses that were seen a moment ago, so that polls that got the same keep one copy.
//!
//! Most of a fleet waits, and most servers say so in few words: `{"status":"PENDING"}`, with headers that differ by the
//! second at most. Each poll has to keep its last response, and a million copies of one would weigh more than the polls.
//! Whatever arrives is therefore looked up among those that came before, in a small table where newer ones replace older
//! ones: constant time and room, and nothing to clean up, at the price of some copies that would not have been needed.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use crate::judge::UnmatchedResponse;

/// Places in the table, as a power of two.
const PLACES: usize = 256;

/// Larger bodies are rarely the same, and 256 of them would be a lot to keep.
const LARGEST: usize = 4 << 10;

#[derive(Debug)]
pub(crate) struct Interner {
    places: Box<[Option<Arc<UnmatchedResponse>>]>,
    hasher: RandomState,
}

impl Interner {
    pub(crate) fn new() -> Self {
        Self { places: vec![None; PLACES].into(), hasher: RandomState::new() }
    }

    /// The copy that others have of the same, or this one.
    pub(crate) fn share(&mut self, unmatched: Arc<UnmatchedResponse>) -> Arc<UnmatchedResponse> {
        if unmatched.response.body().len() > LARGEST {
            return unmatched;
        }
        let place = self.hasher.hash_one(&*unmatched) as usize % PLACES;
        match &mut self.places[place] {
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
    fn what_is_the_same_is_kept_once() {
        let mut interner = Interner::new();
        let first = interner.share(unmatched("no", "{}"));
        assert!(Arc::ptr_eq(&interner.share(unmatched("no", "{}")), &first));
        assert!(
            !Arc::ptr_eq(&interner.share(unmatched("not at all", "{}")), &first),
            "the filters were others"
        );
        let large = "x".repeat(LARGEST + 1);
        let first = interner.share(unmatched("no", &large));
        assert!(!Arc::ptr_eq(&interner.share(unmatched("no", &large)), &first));
    }

    #[test]
    fn it_never_grows() {
        let mut interner = Interner::new();
        let all: Vec<_> = (0..10 * PLACES).map(|n| interner.share(unmatched("no", &n.to_string()))).collect();
        let kept = all.iter().filter(|unmatched| Arc::strong_count(unmatched) > 1).count();
        assert!((1..=PLACES).contains(&kept), "{kept}");
    }
}
