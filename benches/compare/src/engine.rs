//! What is compared: something that is given events and says which rules match.

use crate::args::Args;
use crate::ours::{Batches, KnownValid, Validating};
use crate::quamina_rs::QuaminaRs;

/// Something that matches events, or does a part of that work.
pub(crate) trait Engine {
    /// What it is called in the tables.
    fn name(&self) -> &'static str;

    /// Takes events; how many matches there were. This is what is timed.
    fn pass(&mut self, events: &[&[u8]]) -> u64;

    /// How many of the events each rule matches; `None` of a tool that only reads.
    fn count(&mut self, events: &[&[u8]]) -> Option<Vec<u64>>;
}

/// An engine of EventBridge patterns.
pub(crate) trait Matcher: Engine + Sized + 'static {
    const NAME: &'static str;

    /// With these rules, whose ids are their places.
    fn build<'a>(rules: impl Iterator<Item = &'a str>) -> Result<Self, String>;
}

/// All engines that take these rules.
pub(crate) fn matchers(rules: &[String], args: &Args) -> Vec<Box<dyn Engine>> {
    let mut engines = Vec::new();
    add::<KnownValid>(rules, args, &mut engines);
    add::<Batches>(rules, args, &mut engines);
    add::<Validating>(rules, args, &mut engines);
    add::<QuaminaRs>(rules, args, &mut engines);
    engines
}

fn add<M: Matcher>(rules: &[String], args: &Args, engines: &mut Vec<Box<dyn Engine>>) {
    if !args.wants_engine(M::NAME) {
        return;
    }
    match M::build(rules.iter().map(String::as_str)) {
        Ok(engine) => engines.push(Box::new(engine)),
        // A rival need not know every operator; that it does not is seen in the table.
        Err(error) => eprintln!("{} does not take these rules: {error}", M::NAME),
    }
}
