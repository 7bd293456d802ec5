//! Many events in one call, so that what one of them needs is fetched from memory while others are walked.
//!
//! ```text
//!  turn        walk, and       fetch what its      judge, and
//!              hash keys       keys lead to        tell
//!
//!   1          event 1
//!   2          event 2         event 1
//!   3          event 3         event 2             event 1
//! ```

use std::hash::Hash;

use super::store::prefetch;
use super::{FilterSet, Matches, walk};
use crate::json::{self, JsonError};
use crate::scan::{Invalid, Scan};

/// How many events are under way at once.
const TURNS: usize = 3;

/// So many lines of the next event are fetched: by then the processor has seen that the rest is wanted too.
const LINES: usize = 4;
const LINE: usize = 64;

impl<Id: Clone + Eq + Hash> FilterSet<Id> {
    /// As [`matches_slice_into`](Self::matches_slice_into) for each event, in their order: `found` is called with what matches
    /// it, or with what is wrong with it.
    ///
    /// Much of what an event takes is waiting for memory. Here others are walked meanwhile: in a set of a million filters it takes
    /// a tenth less time, and a fifth less where the events themselves are not in a cache; in small sets a fifth less where they are
    /// not, and 20 to 80 ns more where they are. Allocates a little for each call, and nothing for each event.
    ///
    /// ```
    /// use filter::{Filter, FilterSet};
    ///
    /// let set = FilterSet::builder().add("big", Filter::parse(r#"{"n": {"$gt": 9}}"#)?).build();
    /// let events = [r#"{"n":10}"#, r#"{"n":-1}"#, "{"];
    /// let mut told = Vec::new();
    /// set.matches_slices(events.map(str::as_bytes), |found| {
    ///     told.push(found.map(|matches| matches.ids(&set).count()).ok());
    /// });
    /// assert_eq!(told, [Some(1), Some(0), None]);
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
        let nothing = Matches::new();
        self.batch::<false>(events.into_iter(), |_, matches| found(matches.unwrap_or(&nothing)));
    }

    fn batch<'e, const CHECKED: bool>(
        &self,
        events: impl Iterator<Item = &'e [u8]>,
        mut told: impl FnMut(&'e [u8], Scan<&Matches>),
    ) {
        let mut events = events.fuse();
        let index = &self.parts.index;
        let expect = self.expect();
        let mut memory: [Matches; TURNS] = Default::default();
        let mut under_way: [Option<(&[u8], Scan<()>)>; TURNS] = [None; TURNS];
        let mut this = 0;
        let mut next = events.next();
        loop {
            let event = std::mem::replace(&mut next, events.next());
            if let Some(event) = next {
                event.chunks(LINE).take(LINES).for_each(|line| prefetch(&line[0]));
            }
            under_way[this] = event.map(|event| {
                let scratch = &mut memory[this].scratch;
                let walked =
                    walk::walk_bytes::<CHECKED, false>(index, event, self.parts.depth, scratch, &expect);
                (event, walked)
            });
            let before = (this + TURNS - 1) % TURNS;
            if let Some((_, Ok(()))) = under_way[before] {
                index.fetch_found(&mut memory[before].scratch, &expect);
            }
            let first = (this + 1) % TURNS;
            if let Some((event, walked)) = under_way[first].take() {
                let matches = &mut memory[first];
                if walked.is_ok() {
                    walk::finish_bytes(index, event, &mut matches.scratch, &expect);
                    self.sort(matches);
                }
                told(event, walked.map(|()| &*matches));
            }
            if under_way.iter().all(Option::is_none) {
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
    fn duplicate_keys_take_no_memory_of_their_own() {
        let mut set = FilterSet::new();
        set.insert(1, Filter::parse(r#"{"a": {"b": {"c": 1}}}"#).expect("it is a filter"));
        let event = format!(r#"{{{}"a":{{"b":{{"c":1}}}}}}"#, r#""a":{"b":{"c":2}},"#.repeat(10_000));
        let mut matches = Matches::new();
        let (index, scratch) = (&set.parts.index, &mut matches.scratch);
        assert!(walk::walk_bytes::<true, false>(index, event.as_bytes(), 128, scratch, &|_| ()).is_ok());
        assert!(scratch.pending.capacity() < 32, "{}", scratch.pending.capacity());
        walk::finish_bytes(index, event.as_bytes(), scratch, &|_| ());
        assert!(matches.ids(&set).eq(&[1]));
    }
}
