//! The events and rules of the benchmarks, generated identically in every build.
//!
//! The benchmarks themselves are in `benches/` (`cargo bench -p benches`), the comparison with other tools in
//! `compare/`, which is a workspace of its own.

#![forbid(unsafe_code)]

pub mod city_lots;
pub mod glob;
pub mod groups;
pub mod rng;
pub mod rules;

#[cfg(test)]
mod tests;

/// The Rust examples of the repository's README. They are tested here because this crate depends on all others and is not
/// published: a package cannot include a file from outside of its folder.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
