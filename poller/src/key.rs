//! The name of a poll: scope and key.
//!
//! Both are one shared text, because an engine with a million polls holds each name several times.

use std::fmt;
use std::sync::Arc;

/// The name of a poll: a key that is unique inside its scope. Cheap to clone; clones share one text.
///
/// ```
/// use poller::PollKey;
///
/// let key = PollKey::new("run-17", "export-42");
/// assert_eq!(key.to_string(), "run-17/export-42");
/// assert_eq!(PollKey::new("", "export-42").to_string(), "export-42");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PollKey {
    /// The scope and, after it, the key.
    text: Arc<str>,
    scope_len: u32,
}

impl PollKey {
    /// The poll `key` of `scope`; the default scope is the empty one.
    #[must_use]
    pub fn new(scope: impl AsRef<str>, key: impl AsRef<str>) -> Self {
        let (scope, key) = (scope.as_ref(), key.as_ref());
        let scope_len =
            u32::try_from(scope.len()).expect("invariant: the name of a scope is not gigabytes long");
        let text = if scope.is_empty() { Arc::from(key) } else { Arc::from(format!("{scope}{key}")) };
        Self { text, scope_len }
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &str {
        self.parts().0
    }

    /// The key inside the scope.
    #[must_use]
    pub fn key(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.scope_len as usize)
    }
}

/// By scope, then by key.
impl Ord for PollKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for PollKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for PollKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scope, key) = self.parts();
        f.debug_struct("PollKey").field("scope", &scope).field("key", &key).finish()
    }
}

impl fmt::Display for PollKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scope, key) = self.parts();
        if !scope.is_empty() {
            write!(f, "{scope}/")?;
        }
        f.write_str(key)
    }
}

/// Many names of polls, in their order: a million take some twenty megabytes, which is a quarter of what a vector of
/// [`PollKey`] takes.
///
/// ```
/// use poller::{PollKey, PollKeys};
///
/// let keys: PollKeys = [PollKey::new("run-17", "a"), PollKey::new("", "b")].into_iter().collect();
/// assert_eq!(keys.len(), 2);
/// assert_eq!(keys.iter().last(), Some(PollKey::new("", "b")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollKeys {
    /// The texts of all names, one after the other.
    texts: String,
    /// The lengths of each scope and key.
    lengths: Vec<(u32, u32)>,
}

impl PollKeys {
    /// No name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name at the end.
    pub fn push(&mut self, key: &PollKey) {
        let key_len =
            u32::try_from(key.text.len()).expect("invariant: a name is not gigabytes long") - key.scope_len;
        self.texts.push_str(&key.text);
        self.lengths.push((key.scope_len, key_len));
    }

    /// The number of names.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no name.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = PollKey> {
        let mut rest = &*self.texts;
        self.lengths.iter().map(move |(scope, key)| {
            let (scope, after) = rest.split_at(*scope as usize);
            let (key, after) = after.split_at(*key as usize);
            rest = after;
            PollKey::new(scope, key)
        })
    }
}

impl Extend<PollKey> for PollKeys {
    fn extend<I: IntoIterator<Item = PollKey>>(&mut self, keys: I) {
        keys.into_iter().for_each(|key| self.push(&key));
    }
}

impl FromIterator<PollKey> for PollKeys {
    fn from_iter<I: IntoIterator<Item = PollKey>>(keys: I) -> Self {
        let mut all = Self::new();
        all.extend(keys);
        all
    }
}
