//! A bound on the work of one evaluation.
//!
//! A filter of 1 MiB and a document of 10 MiB, both from strangers, can keep a thread busy for minutes although each condition
//! takes linear time: their product is the problem. [`Metered`] is a value that charges what reading it costs to an
//! [`Effort`]. Once that is spent, or was stopped by another thread, every value is null, so the evaluation ends at once and
//! its result is discarded. The evaluator itself knows nothing of this, and evaluations without a bound pay nothing.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::subject::{Shape, Subject};
use crate::explain::Shown;
use crate::ops::{Leaf, View};

/// The charge for a value besides its bytes.
const VISIT: u64 = 16;

/// The most work that matching and explaining may take, which another thread can stop.
///
/// Work is counted in bytes read, each time they are read, and more for operators that take longer over a byte (case folding,
/// large regular expressions). How long a unit takes depends on the machine and on the operator. One `Effort` may serve several
/// evaluations, which share it.
///
/// ```
/// use filter::{Document, Effort, Filter};
///
/// let filter = Filter::parse(r#"{"text": {"$contains": "done"}}"#)?;
/// let text = format!(r#"{{"text": "{}"}}"#, "x".repeat(100_000));
/// let document = Document::from_slice(text.as_bytes())?;
/// assert_eq!(filter.matches_document_within(&document, &Effort::new(1_000_000)), Ok(false));
/// assert!(filter.matches_document_within(&document, &Effort::new(1_000)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Effort {
    limit: u64,
    spent: AtomicU64,
    is_stopped: AtomicBool,
}

impl Effort {
    /// A bound of `limit` units.
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self { limit, spent: AtomicU64::new(0), is_stopped: AtomicBool::new(false) }
    }

    /// Ends the evaluations under this bound at their next step, on whichever thread they run.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// The units that were spent so far.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }

    /// Whether it is spent or stopped.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed) || self.spent() > self.limit
    }

    fn charge(&self, units: u64) {
        // Of concurrent charges one may be lost; a locked addition for each value would cost more than the value.
        self.spent.store(self.spent().saturating_add(units), Ordering::Relaxed);
    }

    /// Charges for `size` bytes, each read `times` times.
    pub(crate) fn charge_bytes(&self, size: usize, times: u64) {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        self.charge(size.saturating_mul(times).saturating_add(VISIT));
    }

    /// The result of an evaluation under this bound, unless it was cut short.
    pub(crate) fn completes<R>(&self, result: R) -> Result<R, Exhausted> {
        if self.is_exhausted() { Err(Exhausted) } else { Ok(result) }
    }
}

/// An evaluation took more work than it was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exhausted;

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the filter takes too much work on this event; use fewer conditions, or simpler ones")
    }
}

impl std::error::Error for Exhausted {}

/// A value that charges for each reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metered<'m, S> {
    value: S,
    effort: &'m Effort,
}

impl<'m, S: Subject> Metered<'m, S> {
    pub(crate) const fn new(value: S, effort: &'m Effort) -> Self {
        Self { value, effort }
    }

    fn charge_size(self, weight: u64) {
        self.effort.charge_bytes(self.value.size(), weight);
    }
}

/// The elements of an array, each charged when it is passed.
#[derive(Clone, Debug)]
pub(crate) struct MeteredElements<'m, I> {
    elements: I,
    effort: &'m Effort,
}

impl<'m, S: Subject, I: Iterator<Item = S>> Iterator for MeteredElements<'m, I> {
    type Item = Metered<'m, S>;

    fn next(&mut self) -> Option<Metered<'m, S>> {
        if self.effort.is_exhausted() {
            return None;
        }
        let element = Metered::new(self.elements.next()?, self.effort);
        element.charge_size(1);
        Some(element)
    }
}

impl<'m, S: Subject> Subject for Metered<'m, S> {
    type Elements = MeteredElements<'m, S::Elements>;

    const FINDS_FIELDS_FAST: bool = S::FINDS_FIELDS_FAST;

    const METERED: bool = true;

    fn shape(self) -> Shape<Self> {
        if self.effort.is_exhausted() {
            return Shape::Null;
        }
        match self.value.shape() {
            Shape::Null => Shape::Null,
            Shape::Scalar => Shape::Scalar,
            Shape::Object => Shape::Object,
            Shape::Array(elements) => Shape::Array(MeteredElements { elements, effort: self.effort }),
        }
    }

    fn with_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R {
        self.charge_size(1);
        if self.effort.is_exhausted() { see(View::Null) } else { self.value.with_view(see) }
    }

    fn field(self, name: &str) -> Option<Self> {
        self.effort.charge_bytes(self.value.field_size(), 1);
        if self.effort.is_exhausted() {
            return None;
        }
        self.value.field(name).map(|value| Self::new(value, self.effort))
    }

    fn size(self) -> usize {
        self.value.size()
    }

    fn charge(self, leaf: &Leaf) {
        // One reading is charged by `with_view`.
        match leaf.weight() {
            0 | 1 => {}
            weight => self.charge_size(weight - 1),
        }
    }
}

impl<S: Shown> Shown for Metered<'_, S> {
    fn write(self, out: &mut dyn fmt::Write, levels: usize) -> fmt::Result {
        self.charge_size(1);
        if self.effort.is_exhausted() { Ok(()) } else { self.value.write(out, levels) }
    }

    fn names(self, see: &mut dyn FnMut(&str) -> bool) {
        self.charge_size(1);
        if !self.effort.is_exhausted() {
            self.value.names(see);
        }
    }

    fn address(self) -> usize {
        self.value.address()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Filter, FilterOptions, Limits};

    fn spent(filter: &Filter, event: &str) -> u64 {
        let effort = Effort::new(u64::MAX);
        let document = Document::from_slice(event.as_bytes()).unwrap();
        let within = filter.matches_document_within(&document, &effort).unwrap();
        assert_eq!(within, filter.matches_document(&document), "{filter} on {event:.80}");
        effort.spent()
    }

    #[test]
    #[cfg(feature = "collation")]
    fn work_grows_with_conditions_times_size() {
        let filter = |conditions: usize| {
            let texts: Vec<String> =
                (0..conditions).map(|n| format!(r#"{{"$ignoreCaseEquals":"t{n}"}}"#)).collect();
            Filter::parse(&format!(r#"{{"a":[{}]}}"#, texts.join(","))).unwrap()
        };
        let event = |size: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(size));
        let (few, many) = (spent(&filter(10), &event(1000)), spent(&filter(1000), &event(1000)));
        assert!((80..120).contains(&(many / few)), "{few} {many}");
        let (short, long) = (spent(&filter(100), &event(1000)), spent(&filter(100), &event(100_000)));
        assert!((80..120).contains(&(long / short)), "{short} {long}");
    }

    #[test]
    fn a_large_pattern_weighs_more_than_a_small_one() {
        let filter = |pattern: &str| {
            let options = FilterOptions::new().limits(Limits::new());
            options.parse(&format!(r#"{{"a":{{"$regex":"{pattern}"}}}}"#)).unwrap()
        };
        let event = format!(r#"{{"a":"{}"}}"#, "0".repeat(10_000));
        let (small, large) = (spent(&filter("1"), &event), spent(&filter("[01]*1[01]{2000}"), &event));
        assert!(large > 50 * small, "{small} {large}");
    }

    #[test]
    fn explaining_ends_when_the_effort_is_spent() {
        let filter = Filter::parse(r#"{"jobs":{"$some":{"state":"done"}}}"#).unwrap();
        let event = format!(r#"{{"jobs":[{}0]}}"#, r#"{"state":"new"},"#.repeat(10_000));
        let document = Document::from_slice(event.as_bytes()).unwrap();
        let effort = Effort::new(1 << 30);
        let explanation = filter.explain_document_within(&document, &effort).unwrap();
        assert_eq!(explanation, filter.explain_document(&document));
        let half = Effort::new(effort.spent() / 2);
        assert_eq!(filter.explain_document_within(&document, &half), Err(Exhausted));
        // One more element may be passed than was allowed.
        assert!(half.spent() < effort.spent() * 3 / 4, "{} of {}", half.spent(), effort.spent());
    }

    #[test]
    fn another_thread_can_stop_it() {
        let filter = Filter::parse(r#"{"a":1}"#).unwrap();
        let effort = Effort::new(u64::MAX);
        std::thread::scope(|scope| {
            scope.spawn(|| effort.stop());
        });
        assert_eq!(filter.matches_within(&serde_json::json!({"a": 1}), &effort), Err(Exhausted));
    }
}
