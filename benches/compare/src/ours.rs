//! Our `FilterSet` in three modes: it validates documents, trusts them, or trusts batches of them.

use std::marker::PhantomData;

use filter::{Dialect, Document, FilterOptions, FilterSet, Matches};

use crate::engine::{Engine, Matcher};

/// The set that checks every document.
pub(crate) type Validating = Ours<ValidatingMode>;

/// The set that may stop reading once the result is known.
pub(crate) type KnownValid = Ours<KnownValidMode>;

/// As [`KnownValid`], given many documents at once.
pub(crate) type Batches = Ours<BatchMode>;

pub(crate) struct Ours<M> {
    set: FilterSet<u32>,
    matches: Matches,
    rules: usize,
    mode: PhantomData<M>,
}

/// A way of calling the set.
pub(crate) trait Mode: 'static {
    const NAME: &'static str;

    /// Calls `found` with the matches of each event.
    fn each(set: &FilterSet<u32>, matches: &mut Matches, events: &[&[u8]], found: impl FnMut(&Matches));
}

pub(crate) struct ValidatingMode;

impl Mode for ValidatingMode {
    const NAME: &'static str = "filter, validating";

    fn each(set: &FilterSet<u32>, matches: &mut Matches, events: &[&[u8]], mut found: impl FnMut(&Matches)) {
        for event in events {
            set.matches_slice_into(event, matches).expect("the events are JSON");
            found(matches);
        }
    }
}

pub(crate) struct KnownValidMode;

impl Mode for KnownValidMode {
    const NAME: &'static str = "filter, known-valid";

    fn each(set: &FilterSet<u32>, matches: &mut Matches, events: &[&[u8]], mut found: impl FnMut(&Matches)) {
        for event in events {
            set.matches_valid_slice_into(event, matches);
            found(matches);
        }
    }
}

pub(crate) struct BatchMode;

impl Mode for BatchMode {
    const NAME: &'static str = "filter, known-valid, in batches";

    fn each(set: &FilterSet<u32>, _: &mut Matches, events: &[&[u8]], found: impl FnMut(&Matches)) {
        set.matches_valid_slices(events.iter().copied(), found);
    }
}

impl<M: Mode> Matcher for Ours<M> {
    const NAME: &'static str = M::NAME;

    fn build<'a>(rules: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let options = FilterOptions::new().dialect(Dialect::EventBridge);
        let mut builder = FilterSet::builder();
        let mut count = 0;
        for rule in rules {
            builder = builder.add(count, options.parse(rule).map_err(|error| error.to_string())?);
            count += 1;
        }
        Ok(Self { set: builder.build(), matches: Matches::new(), rules: count as usize, mode: PhantomData })
    }
}

impl<M: Mode> Engine for Ours<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    /// Reads each id, which is the least that a user does with the result.
    fn pass(&mut self, events: &[&[u8]]) -> u64 {
        let Self { set, matches, .. } = self;
        let mut count = 0;
        M::each(set, matches, events, |found| {
            count += found.ids(set).map(|id| u64::from(std::hint::black_box(*id) != u32::MAX)).sum::<u64>();
        });
        count
    }

    fn count(&mut self, events: &[&[u8]]) -> Option<Vec<u64>> {
        let Self { set, matches, rules, .. } = self;
        let mut counts = vec![0; *rules];
        M::each(set, matches, events, |found| {
            found.ids(set).for_each(|id| counts[*id as usize] += 1);
        });
        Some(counts)
    }
}

/// The number of matches of each rule evaluated by itself on documents. The sets must agree with it.
pub(crate) fn count_alone(rules: &[String], events: &[&[u8]]) -> Vec<u64> {
    let options = FilterOptions::new().dialect(Dialect::EventBridge);
    let filters: Vec<_> = rules.iter().map(|rule| options.parse(rule).expect("the rules compile")).collect();
    let mut counts = vec![0; rules.len()];
    for event in events {
        // Not a value of serde_json, whose floats may be one bit off.
        let event = Document::from_slice(event).expect("the events are JSON");
        for (count, filter) in counts.iter_mut().zip(&filters) {
            *count += u64::from(filter.matches_document(&event));
        }
    }
    counts
}
