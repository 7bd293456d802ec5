//! Batches of events: the memory that one event reads is prefetched while others are walked.
//!
//! ```text
//!  turn        walk, and       prefetch what       judge, and
//!              hash keys       its keys find       report
//!
//!   1          event 1
//!   2          event 2         event 1
//!   3          event 3         event 2             event 1
//! ```

use std::hash::Hash;

use super::store::prefetch;
use super::{FilterSet, Matches, matching};
use crate::json::{self, JsonError};
use crate::scan::{Invalid, Scan};

/// The number of events in progress at once.
const TURNS: usize = 3;

/// The number of cache lines of the next event to prefetch. After these, the processor prefetches the rest by itself.
const LINES: usize = 4;
const LINE: usize = 64;

impl<Id: Clone + Eq + Hash> FilterSet<Id> {
    /// As [`matches_slice_into`](Self::matches_slice_into) for each event, in order: calls `found` with the matches of each
    /// event, or with its error.
    ///
    /// Matching mostly waits for memory. In a batch, it walks other events meanwhile. In a set of a million filters that takes
    /// a tenth less time, and a fifth less if the events are not in a cache. In small sets it takes a fifth less if the events are
    /// not in a cache, and 20 to 80 ns more if they are. It allocates a little per call and nothing per event.
    ///
    /// ```
    /// use filter::{Filter, FilterSet};
    ///
    /// let set = FilterSet::builder().add("big", Filter::parse(r#"{"n": {"$gt": 9}}"#)?).build();
    /// let events = [r#"{"n":10}"#, r#"{"n":-1}"#, "{"];
    /// let mut counts = Vec::new();
    /// set.matches_slices(events.map(str::as_bytes), |found| {
    ///     counts.push(found.map(|matches| matches.ids(&set).count()).ok());
    /// });
    /// assert_eq!(counts, [Some(1), Some(0), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn matches_slices<'e>(
        &self,
        events: impl IntoIterator<Item = &'e [u8]>,
        mut found: impl FnMut(Result<&Matches, JsonError>),
    ) {
        self.batch::<true>(events.into_iter(), |event, matches| {
            found(matches.map_err(|Invalid| json::event_error(event, self.parts.depth)));
        });
    }

    /// As [`matches_valid_slice_into`](Self::matches_valid_slice_into) for each event; see
    /// [`matches_slices`](Self::matches_slices).
    pub fn matches_valid_slices<'e>(
        &self,
        events: impl IntoIterator<Item = &'e [u8]>,
        mut found: impl FnMut(&Matches),
    ) {
        let none = Matches::new();
        self.batch::<false>(events.into_iter(), |_, matches| found(matches.unwrap_or(&none)));
    }

    fn batch<'e, const CHECKED: bool>(
        &self,
        events: impl Iterator<Item = &'e [u8]>,
        mut report: impl FnMut(&'e [u8], Scan<&Matches>),
    ) {
        let mut events = events.fuse();
        let index = &self.parts.index;
        let prefetch_id = self.parts.prefetch_id();
        let mut memory: [Matches; TURNS] = Default::default();
        let mut in_progress: [Option<(&[u8], Scan<()>)>; TURNS] = [None; TURNS];
        let mut this = 0;
        let mut next = events.next();
        loop {
            let event = std::mem::replace(&mut next, events.next());
            if let Some(event) = next {
                event.chunks(LINE).take(LINES).for_each(|line| prefetch(&line[0]));
            }
            in_progress[this] = event.map(|event| {
                let scratch = &mut memory[this].scratch;
                let depth = self.parts.depth;
                let walked =
                    matching::match_bytes::<CHECKED, false>(index, event, depth, scratch, &prefetch_id);
                (event, walked)
            });
            let before = (this + TURNS - 1) % TURNS;
            if let Some((_, Ok(()))) = in_progress[before] {
                matching::prefetch_results(index, &mut memory[before].scratch, &prefetch_id);
            }
            let first = (this + 1) % TURNS;
            if let Some((event, walked)) = in_progress[first].take() {
                let matches = &mut memory[first];
                if walked.is_ok() {
                    matching::judge_deferred(index, event, &mut matches.scratch);
                    self.finish_slice(event, matches);
                }
                report(event, walked.map(|()| &*matches));
            }
            if in_progress.iter().all(Option::is_none) {
                return;
            }
            this = first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Filter;

    #[test]
    fn duplicate_keys_do_not_grow_the_list_of_deferred_objects() {
        let mut set = FilterSet::new();
        set.insert(1, Filter::parse(r#"{"a": {"b": {"c": 1}}}"#).expect("it is a filter"));
        let event = format!(r#"{{{}"a":{{"b":{{"c":1}}}}}}"#, r#""a":{"b":{"c":2}},"#.repeat(10_000));
        let mut matches = Matches::new();
        let (index, scratch) = (&set.parts.index, &mut matches.scratch);
        assert!(matching::match_bytes::<true, false>(index, event.as_bytes(), 128, scratch, &|_| ()).is_ok());
        assert!(scratch.deferred.capacity() < 32, "{}", scratch.deferred.capacity());
        matching::judge_deferred(index, event.as_bytes(), scratch);
        assert!(matches.ids(&set).eq(&[1]));
    }
}
