//! Our own: a `FilterSet` that validates, one that is told that its documents are valid, and that one given many at once.

use filter::{Dialect, FilterOptions, FilterSet, Matches};

use crate::engine::{Engine, Matcher};

/// The set that checks every document.
pub(crate) struct Validating(Set);

/// The set that may stop once the answer is known.
pub(crate) struct KnownValid(Set);

/// The same, given many documents at once.
pub(crate) struct Batches(Set);

struct Set {
    set: FilterSet<u32>,
    matches: Matches,
    rules: usize,
}

impl Set {
    fn build<'a>(rules: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let options = FilterOptions::new().dialect(Dialect::EventBridge);
        let mut builder = FilterSet::builder();
        let mut count = 0;
        for rule in rules {
            builder = builder.add(count, options.parse(rule).map_err(|error| error.to_string())?);
            count += 1;
        }
        Ok(Self { set: builder.build(), matches: Matches::new(), rules: count as usize })
    }

    fn count(&mut self, events: &[&[u8]], mut ask: impl FnMut(&mut Self, &[u8])) -> Vec<u64> {
        let mut counts = vec![0; self.rules];
        for event in events {
            ask(self, event);
            for id in self.matches.ids(&self.set) {
                counts[*id as usize] += 1;
            }
        }
        counts
    }

    fn ask(&mut self, event: &[u8]) {
        self.set.matches_slice_into(event, &mut self.matches).expect("the events are JSON");
    }

    fn ask_known_valid(&mut self, event: &[u8]) {
        self.set.matches_valid_slice_into(event, &mut self.matches);
    }

    fn take(&self) -> u64 {
        looked_at(&self.matches, &self.set)
    }
}

/// What a user does with the answer at the least: looks at each id.
fn looked_at(matches: &Matches, set: &FilterSet<u32>) -> u64 {
    matches.ids(set).map(|id| u64::from(std::hint::black_box(*id) != u32::MAX)).sum()
}

impl Matcher for Validating {
    const NAME: &'static str = "filter, validating";

    fn build<'a>(rules: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        Set::build(rules).map(Self)
    }
}

impl Engine for Validating {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn pass(&mut self, events: &[&[u8]]) -> u64 {
        let mut matches = 0;
        for event in events {
            self.0.ask(event);
            matches += self.0.take();
        }
        matches
    }

    fn count(&mut self, events: &[&[u8]]) -> Option<Vec<u64>> {
        Some(self.0.count(events, Set::ask))
    }
}

impl Matcher for KnownValid {
    const NAME: &'static str = "filter, known-valid";

    fn build<'a>(rules: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        Set::build(rules).map(Self)
    }
}

impl Engine for KnownValid {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn pass(&mut self, events: &[&[u8]]) -> u64 {
        let mut matches = 0;
        for event in events {
            self.0.ask_known_valid(event);
            matches += self.0.take();
        }
        matches
    }

    fn count(&mut self, events: &[&[u8]]) -> Option<Vec<u64>> {
        Some(self.0.count(events, Set::ask_known_valid))
    }
}

impl Matcher for Batches {
    const NAME: &'static str = "filter, known-valid, in batches";

    fn build<'a>(rules: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        Set::build(rules).map(Self)
    }
}

impl Engine for Batches {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn pass(&mut self, events: &[&[u8]]) -> u64 {
        let Set { set, .. } = &self.0;
        let mut matches = 0;
        set.matches_valid_slices(events.iter().copied(), |found| matches += looked_at(found, set));
        matches
    }

    fn count(&mut self, events: &[&[u8]]) -> Option<Vec<u64>> {
        let Set { set, rules, .. } = &self.0;
        let mut counts = vec![0; *rules];
        set.matches_valid_slices(events.iter().copied(), |found| {
            found.ids(set).for_each(|id| counts[*id as usize] += 1);
        });
        Some(counts)
    }
}

/// What each rule matches by itself, on a parsed value: the plain way, which the sets must agree with.
pub(crate) fn count_alone(rules: &[String], events: &[&[u8]]) -> Vec<u64> {
    let options = FilterOptions::new().dialect(Dialect::EventBridge);
    let filters: Vec<_> = rules.iter().map(|rule| options.parse(rule).expect("the rules compile")).collect();
    let mut counts = vec![0; rules.len()];
    for event in events {
        let event = serde_json::from_slice(event).expect("the events are JSON");
        for (count, filter) in counts.iter_mut().zip(&filters) {
            *count += u64::from(filter.matches(&event));
        }
    }
    counts
}
