//! A set that changes while others match with it.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::FilterSet;

/// A [`FilterSet`] that is replaced as a whole when it changes, so that a change never blocks readers: they continue with the
/// set that they have loaded.
///
/// A change is made to a clone, which shares all data that does not change. Changes are made one after the other.
///
/// ```
/// use filter::{Filter, FilterSet, LiveSet};
/// use serde_json::json;
///
/// let live = LiveSet::from(FilterSet::new());
/// let before = live.load();
/// let paid = Filter::parse(r#"{"paid": true}"#)?;
/// live.update(|set| set.insert("paid", paid));
///
/// assert!(before.matches(&json!({"paid": true})).is_empty());
/// assert_eq!(live.load().matches(&json!({"paid": true})), [&"paid"]);
/// # Ok::<(), filter::FilterError>(())
/// ```
#[derive(Debug)]
pub struct LiveSet<Id: Clone + Eq + Hash> {
    current: ArcSwap<FilterSet<Id>>,
    /// Held during a change.
    changing: Mutex<()>,
}

impl<Id: Clone + Eq + Hash> LiveSet<Id> {
    /// The current set. It does not change; load it again to see changes. Does not block.
    pub fn load(&self) -> Arc<FilterSet<Id>> {
        self.current.load_full()
    }

    /// Changes the set: `change` receives a clone, which replaces the set when it returns. If it panics, the set stays as it
    /// was.
    pub fn update<R>(&self, change: impl FnOnce(&mut FilterSet<Id>) -> R) -> R {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut set = FilterSet::clone(&self.load());
        let result = change(&mut set);
        self.current.store(Arc::new(set));
        result
    }
}

impl<Id: Clone + Eq + Hash> From<FilterSet<Id>> for LiveSet<Id> {
    fn from(set: FilterSet<Id>) -> Self {
        Self { current: ArcSwap::from_pointee(set), changing: Mutex::new(()) }
    }
}

impl<Id: Clone + Eq + Hash> Default for LiveSet<Id> {
    fn default() -> Self {
        Self::from(FilterSet::new())
    }
}
