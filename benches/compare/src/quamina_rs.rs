//! The crate `quamina`, a port of the Go library.
//!
//! It runs in its default mode: the memory of its faster mode explodes with many wildcards. Its memory limit is lifted, since a
//! million rules exceed it.

use quamina::{Quamina, QuaminaBuilder};

use crate::engine::{Engine, Matcher};

pub(crate) struct QuaminaRs {
    quamina: Quamina<u32>,
    rules: usize,
}

impl Matcher for QuaminaRs {
    const NAME: &'static str = "quamina-rs";

    fn build<'a>(rules: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let builder =
            QuaminaBuilder::new().with_arena_byte_budget(usize::MAX).with_max_states_per_pattern(usize::MAX);
        let mut quamina = builder.build().map_err(|error| error.to_string())?;
        let mut count = 0;
        for rule in rules {
            quamina.add_pattern(count, rule).map_err(|error| format!("{error}: {rule}"))?;
            count += 1;
        }
        Ok(Self { quamina, rules: count as usize })
    }
}

impl Engine for QuaminaRs {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn pass(&mut self, events: &[&[u8]]) -> u64 {
        let mut matches = 0;
        for event in events {
            for id in self.quamina.matches_for_event(event).expect("the events are JSON") {
                matches += u64::from(std::hint::black_box(id) != u32::MAX);
            }
        }
        matches
    }

    fn count(&mut self, events: &[&[u8]]) -> Option<Vec<u64>> {
        let mut counts = vec![0; self.rules];
        for event in events {
            for id in self.quamina.matches_for_event(event).expect("the events are JSON") {
                counts[id as usize] += 1;
            }
        }
        Some(counts)
    }
}
