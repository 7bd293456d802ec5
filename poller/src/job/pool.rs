//! The settings that many polls have in common, kept once for all of them.
//!
//! A million polls are rarely of a million kinds. A spec is therefore a URL and a counted reference to the rest, and the
//! owner of many specs passes each through a [`SpecPool`], which replaces settings by equal ones that it knows. The
//! alternative, one pool for the whole process, would make every parsed spec pay for a lock.
//!
//! Where there are many kinds, a kind with few polls is kept folded: as the [text](super::folded) of its spec, which takes less
//! memory than the compiled form, and is read for each request.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, OnceLock, Weak};

use filter::json;
use hashbrown::HashTable;

use super::folded::Bases;
use super::settings::Settings;
use super::{KeptSpec, PollSpec};

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

/// Whether members are the same in the same order, wherever they stand in their texts.
pub(super) fn same_members<'a>(
    members: impl IntoIterator<Item = &'a json::Member>,
    others: &[json::Member],
) -> bool {
    let mut others = others.iter();
    let same = members.into_iter().all(|member| {
        others.next().is_some_and(|other| member.key == other.key && same_value(&member.value, &other.value))
    });
    same && others.next().is_none()
}

fn same_value(node: &json::Node, other: &json::Node) -> bool {
    match (&node.kind, &other.kind) {
        (json::Kind::Array(elements), json::Kind::Array(others)) => {
            elements.len() == others.len()
                && elements.iter().zip(others).all(|(element, other)| same_value(element, other))
        }
        (json::Kind::Object(members), json::Kind::Object(others)) => same_members(members, others),
        (kind, other) => kind == other,
    }
}

/// The distinct settings of the specs of one owner. It keeps none of them alive.
#[derive(Debug)]
pub(crate) struct SpecPool {
    known: HashTable<Weak<Settings>>,
    /// The size at which unused entries are removed.
    sweep_at: usize,
    /// The number of kinds from which on a new one is kept folded.
    whole: usize,
    /// The texts that folded ones are like.
    bases: Bases,
}

/// The least size for a sweep.
const FEW: usize = 64;

/// The number of kinds from which on a new one is kept folded. Together they take some megabytes.
const WHOLE: usize = 1024;

/// The references to folded settings from which on they are made whole: the polls of that kind share the cost. The engine and a
/// store in memory have one each.
const POPULAR: usize = 16;

impl SpecPool {
    pub(crate) fn new() -> Self {
        Self { known: HashTable::new(), sweep_at: FEW, whole: WHOLE, bases: Bases::new() }
    }

    /// A pool that keeps every kind folded until it is popular.
    #[cfg(test)]
    pub(crate) fn folding() -> Self {
        Self { whole: 0, ..Self::new() }
    }

    /// The same spec with the settings of an earlier equal one: to work with now, and to keep while its poll waits. The cache
    /// key is left out: a stored poll has its key elsewhere. Amortized constant time, and a comparison.
    pub(crate) fn share(&mut self, mut spec: PollSpec) -> (PollSpec, KeptSpec) {
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
        if found.is_some() {
            let known = equal.unwrap_or_else(|| Arc::clone(&spec.settings));
            if known.is_folded() && Arc::strong_count(&known) > POPULAR {
                known.unfold(&spec.apart().settings);
            }
            let kept = PollSpec { url: Arc::clone(&spec.url), settings: known };
            // Members that the caller has read already are not read again.
            let now = if kept.is_folded() && !spec.is_folded() { spec } else { kept.apart() };
            return (now.noting(&kept), KeptSpec::new(kept));
        }
        if !spec.is_folded() && spec.cache_key().is_some() {
            spec.settings = Arc::new(spec.settings.without_cache_key());
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| known.strong_count() > 0);
            self.sweep_at = FEW.max(self.known.len() * 2);
        }
        let is_whole = self.known.len() < self.whole;
        let kept = if is_whole { spec.clone() } else { spec.folded(&mut self.bases) };
        // An unused entry loses its hash and is removed by the next sweep.
        let hash_of = |known: &Weak<Settings>| known.upgrade().map_or(0, |known| known.hash);
        self.known.insert_unique(hash, Arc::downgrade(&kept.settings), hash_of);
        (spec.noting(&kept), KeptSpec::new(kept))
    }
}

impl PollSpec {
    /// Notes the folded settings that are kept instead, for [`PollSpec::kept`].
    fn noting(self, kept: &Self) -> Self {
        if kept.is_folded() && !self.is_folded() {
            self.members().kept.get_or_init(|| Arc::clone(&kept.settings));
        }
        self
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
        let (one, _) = pool.share(spec("https://a.test/1", r#"{"n":[1]}"#));
        let (two, _) = pool.share(spec("https://a.test/2", r#"{"n":[1]}"#));
        let (other, _) = pool.share(spec("https://a.test/2", r#"{"n":[2]}"#));
        assert!(Arc::ptr_eq(&one.settings, &two.settings) && !Arc::ptr_eq(&two.settings, &other.settings));
        assert_eq!((one.url_text(), two.url_text()), ("https://a.test/1", "https://a.test/2"));
        assert_eq!(one.cache_key(), None);
        assert_eq!(other.differences(&two), ["/responseFilter/body/n"]);
    }

    #[test]
    fn unused_settings_are_removed() {
        let mut pool = SpecPool::new();
        for n in 0..10 * FEW {
            let (spec, _) = pool.share(spec("https://a.test/", &format!(r#"{{"n":[{n}]}}"#)));
            assert_eq!(spec.url_text(), "https://a.test/");
        }
        assert!(pool.known.len() <= FEW, "{}", pool.known.len());
    }

    #[test]
    fn of_many_kinds_the_later_ones_are_folded_until_they_are_popular() {
        let mut pool = SpecPool::new();
        let filter = |n: usize| format!(r#"{{"n":[{n}]}}"#);
        let kept: Vec<_> =
            (0..2 * WHOLE).map(|n| pool.share(spec("https://a.test/", &filter(n))).1).collect();
        let folded = |kept: &[KeptSpec]| kept.iter().filter(|kept| kept.apart().is_folded()).count();
        assert_eq!((folded(&kept[..WHOLE]), folded(&kept[WHOLE..])), (0, WHOLE));
        let last = 2 * WHOLE - 1;
        let same: Vec<_> = (0..POPULAR)
            .map(|n| {
                let (now, kept) = pool.share(spec(&format!("https://a.test/{n}"), &filter(last)));
                assert!(!now.is_folded(), "what was read is not read again");
                kept
            })
            .collect();
        assert_eq!((folded(&same), folded(&kept[WHOLE..])), (0, WHOLE - 1));
        let settings = kept[last].apart().settings;
        assert!(same.iter().all(|kept| Arc::ptr_eq(&kept.apart().settings, &settings)), "of one kind");
        let (again, _) = pool.share(kept[last - 1].apart());
        assert_eq!(again.response_filter(), spec("https://a.test/", &filter(last - 1)).response_filter());
        assert_eq!(folded(&kept[WHOLE..]), WHOLE - 1, "to read it leaves what is kept folded");
    }

    #[test]
    fn a_store_in_memory_keeps_what_the_engine_keeps() {
        let mut pool = SpecPool::new();
        let read: Vec<_> = (0..=WHOLE)
            .map(|n| pool.share(spec("https://a.test/", &format!(r#"{{"n":[{n}]}}"#))).0.kept())
            .collect();
        assert_eq!((read[0].is_folded(), read[WHOLE].is_folded()), (false, true));
    }
}
