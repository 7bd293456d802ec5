//! The crate `a-tree`: boolean expressions over attributes that are declared before, after the A-Tree of SIGMOD 2021.
//!
//! Its events are made of typed attributes, not of bytes. So it runs twice: with events that are read from the bytes by serde and
//! built in each pass, the same work as that of the other engines, and with events that were built before, its search alone.

use std::collections::HashMap;
use std::hint::black_box;

use a_tree::{ATree, AttributeDefinition, Event, EventBuilder, EventError};

use crate::engine::Engine;

/// Sets the attributes of an event from its bytes.
pub(crate) type Read = fn(&[u8], &mut EventBuilder<'_>) -> Result<(), EventError>;

pub(crate) struct Expressions {
    tree: ATree<u32>,
    rules: usize,
    read: Read,
    /// Events by the address of their bytes, if they are built only once.
    built: Option<HashMap<usize, Event>>,
}

/// The names of the two engines.
pub(crate) const NAMES: [&str; 2] = ["a-tree", "a-tree, search alone"];

impl Expressions {
    /// Builds the engine with these expressions. The id of one is its index. `once`: whether each event is built only once.
    pub(crate) fn build<'a>(
        attributes: &[AttributeDefinition],
        expressions: impl Iterator<Item = &'a str>,
        read: Read,
        once: bool,
    ) -> Result<Self, String> {
        let mut tree = ATree::new(attributes).map_err(|error| error.to_string())?;
        let mut rules = 0;
        for expression in expressions {
            tree.insert(&rules, expression).map_err(|error| format!("{error}: {expression}"))?;
            rules += 1;
        }
        Ok(Self { tree, rules: rules as usize, read, built: once.then(HashMap::new) })
    }

    fn each(&mut self, events: &[&[u8]], mut found: impl FnMut(u32)) {
        let Self { tree, read, built, .. } = self;
        let build = |bytes: &[u8]| {
            let mut builder = tree.make_event();
            read(bytes, &mut builder).expect("the attributes are declared");
            builder.build().expect("attributes may be missing")
        };
        for event in events {
            let new;
            let event = match built {
                Some(built) => &*built.entry(event.as_ptr().addr()).or_insert_with(|| build(event)),
                None => {
                    new = build(event);
                    &new
                }
            };
            let report = tree.search(event).expect("the event is of this tree");
            report.matches().iter().for_each(|id| found(**id));
        }
    }
}

impl Engine for Expressions {
    fn name(&self) -> &'static str {
        NAMES[usize::from(self.built.is_some())]
    }

    fn pass(&mut self, events: &[&[u8]]) -> u64 {
        let mut matches = 0;
        self.each(events, |id| matches += u64::from(black_box(id) != u32::MAX));
        matches
    }

    fn count(&mut self, events: &[&[u8]]) -> Option<Vec<u64>> {
        let mut counts = vec![0; self.rules];
        self.each(events, |id| counts[id as usize] += 1);
        Some(counts)
    }
}
