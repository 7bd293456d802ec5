//! See the property in poller/tests/it/fuzzed/guard_urls.rs, which the tests of `poller` run on random input.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../poller/tests/it/fuzzed/guard_urls.rs"]
mod property;

fuzz_target!(|data: &[u8]| property::check(data));
