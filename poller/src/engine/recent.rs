//! Responses that were seen a moment ago, so that polls that got the same keep one copy.
//!
//! Most of a fleet waits, and most servers say so in few words: `{"status":"PENDING"}`, with headers that differ by the
//! second at most. Each poll has to keep its last response, and a million copies of one would weigh more than the polls.
//! Whatever arrives is therefore looked up among those that came before, in a small table where newer ones replace older
//! ones: constant time and room, and nothing to clean up, at the price of some copies that would not have been needed.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use crate::judge::Miss;

/// Places in the table, as a power of two.
const PLACES: usize = 256;

/// Larger bodies are rarely the same, and 256 of them would be a lot to keep.
const LARGEST: usize = 4 << 10;

#[derive(Debug)]
pub(crate) struct Recent {
    places: Box<[Option<Arc<Miss>>]>,
    hasher: RandomState,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { places: vec![None; PLACES].into(), hasher: RandomState::new() }
    }

    /// The copy that others have of the same, or this one.
    pub(crate) fn share(&mut self, miss: Arc<Miss>) -> Arc<Miss> {
        if miss.response.body().len() > LARGEST {
            return miss;
        }
        let place = self.hasher.hash_one(&*miss) as usize % PLACES;
        match &mut self.places[place] {
            Some(present) if *present == miss => Arc::clone(present),
            other => {
                *other = Some(Arc::clone(&miss));
                miss
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::RecordedResponse;

    fn miss(note: &str, body: &str) -> Arc<Miss> {
        let response = RecordedResponse::new(200, [("a", "b")], body.to_owned());
        Arc::new(Miss { response, note: note.into() })
    }

    #[test]
    fn what_is_the_same_is_kept_once() {
        let mut recent = Recent::new();
        let first = recent.share(miss("no", "{}"));
        assert!(Arc::ptr_eq(&recent.share(miss("no", "{}")), &first));
        assert!(!Arc::ptr_eq(&recent.share(miss("not at all", "{}")), &first), "the filters were others");
        let large = "x".repeat(LARGEST + 1);
        let first = recent.share(miss("no", &large));
        assert!(!Arc::ptr_eq(&recent.share(miss("no", &large)), &first));
    }

    #[test]
    fn it_never_grows() {
        let mut recent = Recent::new();
        let all: Vec<_> = (0..10 * PLACES).map(|n| recent.share(miss("no", &n.to_string()))).collect();
        let kept = all.iter().filter(|miss| Arc::strong_count(miss) > 1).count();
        assert!((1..=PLACES).contains(&kept), "{kept}");
    }
}
