//! The hashes of entries, which are equal for equal ones.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use super::predicate::{Tag, Test};
use super::requirement::{PatternKind, Requirements};

#[inline]
pub(super) fn key_hash(seeds: &RandomState, field: u32, tag: Tag, payload: &[u8]) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write_u64(u64::from(field) << 8 | u64::from(tag.0));
    hasher.write(payload);
    hasher.finish()
}

pub(super) fn test_hash(seeds: &RandomState, field: u32, test: &Test) -> u64 {
    let described = match test {
        Test::Key(_) => {
            return test.key().map_or(0, |(tag, payload)| key_hash(seeds, field, tag, payload));
        }
        Test::Leaf(leaf) => leaf.to_string(),
        Test::Node(fragment) => fragment.digest(),
    };
    seeds.hash_one((field, described))
}

pub(super) fn pattern_hash(
    seeds: &RandomState,
    object: u32,
    kind: PatternKind,
    requirements: &Requirements,
) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write_u64(u64::from(object) << 2 | kind as u64);
    requirements.iter().for_each(|requirement| hasher.write_u32(requirement.packed()));
    hasher.finish()
}

pub(super) fn junction_hash(seeds: &RandomState, any: bool, patterns: &[u32]) -> u64 {
    seeds.hash_one((any, patterns))
}
