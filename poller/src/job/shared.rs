//! What the specs of many polls have in common: everything but the URL, kept once however many polls it serves.
//!
//! A million polls are rarely of a million kinds. A spec is therefore a URL and a counted reference to the rest, and
//! whoever keeps many of them passes each through a [`SpecPool`], which replaces a rest that equals one it knows. The
//! alternative, one pool for the whole process, would make every parsed spec pay for a lock.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use filter::{Diagnostic, Dialect, json};
use hashbrown::HashTable;

use super::{PollSpec, RequestInit, RequestTimeout, ResponseFilter, RetryRule};

/// A spec without its URL.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) cache_key: Option<String>,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) request: RequestInit,
    pub(super) response_filter: ResponseFilter,
    pub(super) failure_filter: Option<ResponseFilter>,
    pub(super) request_timeout: RequestTimeout,
    pub(super) retry: Vec<RetryRule>,
    pub(super) give_up: Option<NonZeroU32>,
    pub(super) dialect: Dialect,
    pub(super) warnings: Vec<Diagnostic>,
    /// Of what it was read from, cache key and URL left out: equal text has an equal one.
    pub(super) hash: u64,
    /// How a durable store writes it, once one has.
    pub(super) stored: OnceLock<StoredText>,
}

/// What a durable store keeps of a spec.
#[derive(Clone, Debug)]
pub(super) struct StoredText {
    /// The id of the key that sealed its inline secrets, if it has any.
    pub(super) sealed_with: Option<Box<str>>,
    pub(super) text: Arc<str>,
}

impl Shared {
    /// Equal in everything but the cache key. Warnings count, because they name places in the text.
    fn same(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.interval == other.interval
            && self.timeout == other.timeout
            && self.request == other.request
            && self.response_filter == other.response_filter
            && self.failure_filter == other.failure_filter
            && self.request_timeout == other.request_timeout
            && self.retry == other.retry
            && self.give_up == other.give_up
            && self.dialect == other.dialect
            && self.warnings == other.warnings
    }
}

/// A hash of the members of an object but for those named; keyed, so that nobody can make specs collide.
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

/// The specs that somebody keeps, as far as they differ. It keeps none of them alive.
#[derive(Debug)]
pub(crate) struct SpecPool {
    known: HashTable<Weak<Shared>>,
    /// How many there may be before those that nobody uses any more are looked for.
    sweep_at: usize,
}

/// Fewer than these are not worth a sweep.
const FEW: usize = 64;

impl SpecPool {
    pub(crate) const fn new() -> Self {
        Self { known: HashTable::new(), sweep_at: FEW }
    }

    /// The same spec, sharing what it can with those that came before. The cache key is left out: what is kept has its
    /// name elsewhere. Amortized constant time, and a comparison.
    pub(crate) fn share(&mut self, mut spec: PollSpec) -> PollSpec {
        let hash = spec.shared.hash;
        let mut equal = None;
        let found = self.known.find(hash, |known| {
            // Mostly it is the very same. A count that all threads have in use is not for looking only.
            if Weak::as_ptr(known) == Arc::as_ptr(&spec.shared) {
                return true;
            }
            equal = known.upgrade().filter(|known| known.same(&spec.shared));
            equal.is_some()
        });
        if found.is_some() && equal.is_none() {
            return spec;
        }
        if let Some(known) = equal {
            spec.shared = known;
            return spec;
        }
        if spec.shared.cache_key.is_some() {
            spec.shared = Arc::new(Shared { cache_key: None, ..(*spec.shared).clone() });
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| known.strong_count() > 0);
            self.sweep_at = FEW.max(self.known.len() * 2);
        }
        // The hash is kept for one that nobody uses any more too: it goes with the next sweep.
        let hash_of = |known: &Weak<Shared>| known.upgrade().map_or(0, |known| known.hash);
        self.known.insert_unique(hash, Arc::downgrade(&spec.shared), hash_of);
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
        assert!(Arc::ptr_eq(&one.shared, &two.shared) && !Arc::ptr_eq(&two.shared, &other.shared));
        assert_eq!((one.url_text(), two.url_text()), ("https://a.test/1", "https://a.test/2"));
        assert_eq!(one.cache_key(), None);
        assert_eq!(other.differences(&two), ["/responseFilter/body/n"]);
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let mut pool = SpecPool::new();
        for n in 0..10 * FEW {
            let spec = pool.share(spec("https://a.test/", &format!(r#"{{"n":[{n}]}}"#)));
            assert_eq!(spec.url_text(), "https://a.test/");
        }
        assert!(pool.known.len() <= FEW, "{}", pool.known.len());
    }
}
