//! The settings that many polls have in common, kept once for all of them.
//!
//! A million polls are rarely of a million kinds. A spec is therefore a URL and a counted reference to the rest, and the
//! owner of many specs passes each through a [`SpecPool`], which replaces settings by equal ones that it knows. The
//! alternative, one pool for the whole process, would make every parsed spec pay for a lock.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, OnceLock, Weak};

use filter::json;
use hashbrown::HashTable;

use super::PollSpec;
use super::members::{MEMBERS, Settings};

/// The text of the settings in a durable store.
#[derive(Clone, Debug)]
pub(super) struct StoredText {
    /// The id of the key that sealed its inline secrets, if it has any.
    pub(super) sealed_with: Option<Box<str>>,
    pub(super) text: Arc<str>,
}

impl Settings {
    /// Equal in everything but the cache key. Warnings count, because they name places in the text.
    fn same(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.warnings == other.warnings
            && MEMBERS.iter().all(|member| (member.same)(self, other))
    }
}

/// A hash of the members of an object without the named ones; keyed, so that specs cannot be made to collide.
pub(super) fn content_hash(node: &json::Node, without: &[&str]) -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    let mut hasher = KEYS.get_or_init(RandomState::new).build_hasher();
    if let json::Kind::Object(members) = &node.kind {
        for member in members.iter().filter(|member| !without.contains(&member.key.as_str())) {
            member.key.hash(&mut hasher);
            feed(&member.value, &mut hasher);
        }
    }
    hasher.finish()
}

fn feed(node: &json::Node, hasher: &mut impl Hasher) {
    std::mem::discriminant(&node.kind).hash(hasher);
    match &node.kind {
        json::Kind::Null => {}
        json::Kind::Bool(value) => value.hash(hasher),
        json::Kind::Number(number) => number.hash(hasher),
        json::Kind::String(text) => text.hash(hasher),
        // Reading has bounded how deep it nests.
        json::Kind::Array(elements) => elements.iter().for_each(|element| feed(element, hasher)),
        json::Kind::Object(members) => {
            for member in members {
                member.key.hash(hasher);
                feed(&member.value, hasher);
            }
        }
    }
}

/// The distinct settings of the specs of one owner. It keeps none of them alive.
#[derive(Debug)]
pub(crate) struct SpecPool {
    known: HashTable<Weak<Settings>>,
    /// The size at which unused entries are removed.
    sweep_at: usize,
}

/// The least size for a sweep.
const FEW: usize = 64;

impl SpecPool {
    pub(crate) const fn new() -> Self {
        Self { known: HashTable::new(), sweep_at: FEW }
    }

    /// The same spec, with the settings of an earlier equal one. The cache key is left out: a stored poll has its key
    /// elsewhere. Amortized constant time, and a comparison.
    pub(crate) fn share(&mut self, mut spec: PollSpec) -> PollSpec {
        let hash = spec.settings.hash;
        let mut equal = None;
        let found = self.known.find(hash, |known| {
            // Most often it is the same allocation; comparing pointers leaves the contended reference count alone.
            if Weak::as_ptr(known) == Arc::as_ptr(&spec.settings) {
                return true;
            }
            equal = known.upgrade().filter(|known| known.same(&spec.settings));
            equal.is_some()
        });
        if found.is_some() && equal.is_none() {
            return spec;
        }
        if let Some(known) = equal {
            spec.settings = known;
            return spec;
        }
        if spec.settings.cache_key.is_some() {
            spec.settings = Arc::new(Settings { cache_key: None, ..(*spec.settings).clone() });
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| known.strong_count() > 0);
            self.sweep_at = FEW.max(self.known.len() * 2);
        }
        // An unused entry loses its hash and is removed by the next sweep.
        let hash_of = |known: &Weak<Settings>| known.upgrade().map_or(0, |known| known.hash);
        self.known.insert_unique(hash, Arc::downgrade(&spec.settings), hash_of);
        spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(url: &str, filter: &str) -> PollSpec {
        format!(r#"{{"url":"{url}","cacheKey":"{url}","responseFilter":{{"body":{filter}}}}}"#)
            .parse()
            .unwrap()
    }

    #[test]
    fn equal_specs_share_everything_but_the_url() {
        let mut pool = SpecPool::new();
        let one = pool.share(spec("https://a.test/1", r#"{"n":[1]}"#));
        let two = pool.share(spec("https://a.test/2", r#"{"n":[1]}"#));
        let other = pool.share(spec("https://a.test/2", r#"{"n":[2]}"#));
        assert!(Arc::ptr_eq(&one.settings, &two.settings) && !Arc::ptr_eq(&two.settings, &other.settings));
        assert_eq!((one.url_text(), two.url_text()), ("https://a.test/1", "https://a.test/2"));
        assert_eq!(one.cache_key(), None);
        assert_eq!(other.differences(&two), ["/responseFilter/body/n"]);
    }

    #[test]
    fn unused_settings_are_removed() {
        let mut pool = SpecPool::new();
        for n in 0..10 * FEW {
            let spec = pool.share(spec("https://a.test/", &format!(r#"{{"n":[{n}]}}"#)));
            assert_eq!(spec.url_text(), "https://a.test/");
        }
        assert!(pool.known.len() <= FEW, "{}", pool.known.len());
    }
}
