//! The interface of what is compared: events in, matching rules out.

/// Matches events, or does a part of that work.
pub(crate) trait Engine {
    /// Its name in the tables.
    fn name(&self) -> &'static str;

    /// Processes events and returns the number of matches. This is timed.
    fn pass(&mut self, events: &[&[u8]]) -> u64;

    /// The number of events that each rule matches; `None` for a tool that only reads.
    fn count(&mut self, events: &[&[u8]]) -> Option<Vec<u64>>;
}

/// An engine of EventBridge patterns.
pub(crate) trait Matcher: Engine + Sized + 'static {
    const NAME: &'static str;

    /// Builds the engine with these rules. The id of a rule is its index.
    fn build<'a>(rules: impl Iterator<Item = &'a str>) -> Result<Self, String>;
}
