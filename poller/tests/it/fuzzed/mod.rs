//! Properties that hold for any input: run here on random input, and by the targets of `fuzz/` on input that libFuzzer grows.
//!
//! `POLLER_FUZZED=5000` runs as many cases of each.

mod guard_urls;
mod retry_hints;
mod spec_store;
mod sqlite_rows;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Runs a property on as many inputs as the variable says.
fn run(few: u32, input: impl Strategy<Value = Vec<u8>>, check: fn(&[u8])) {
    let cases = std::env::var("POLLER_FUZZED").ok().and_then(|text| text.parse().ok()).unwrap_or(few);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    runner
        .run(&input, |data| {
            check(&data);
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_guard_agrees_with_an_independent_judgement_of_addresses() {
    let hosts = "[0-9a-fx.:%\\[\\]@]{0,20}|(0x)?[0-9a-f]{1,8}(\\.[0-9]{1,3}){0,3}|localhost|\\[::ffff:[0-9a-f]{1,4}:[0-9a-f]{1,4}\\]";
    let text = (3..6_u8, hosts).prop_map(|(form, text)| [&[form][..], text.as_bytes()].concat());
    let bytes = (0..3_u8, prop::collection::vec(any::<u8>(), 4..20))
        .prop_map(|(form, bytes)| [vec![form], bytes].concat());
    // Near the ranges that have a meaning.
    let special = prop::sample::select(
        &[
            [127, 0, 0, 1],
            [10, 0, 0, 0],
            [172, 16, 0, 0],
            [172, 31, 255, 255],
            [172, 32, 0, 0],
            [192, 168, 0, 0],
            [169, 254, 169, 254],
            [100, 64, 0, 0],
            [100, 127, 255, 255],
            [100, 128, 0, 0],
            [0, 0, 0, 0],
            [224, 0, 0, 0],
            [223, 255, 255, 255],
            [198, 18, 0, 0],
            [198, 20, 0, 0],
            [192, 0, 2, 1],
            [192, 0, 0, 192],
            [168, 63, 129, 16],
            [203, 0, 113, 7],
            [198, 51, 100, 255],
            [255, 255, 255, 255],
        ][..],
    );
    let mapped = (special, 0..4_u8, any::<bool>()).prop_map(|(four, form, near)| {
        let mut four: [u8; 4] = four;
        four[3] = four[3].wrapping_add(u8::from(near));
        match form {
            0 | 1 => [&[0_u8][..], &four].concat(),
            2 => [&[1_u8][..], &[0; 10], &[0xff, 0xff], &four].concat(),
            _ => [&[1_u8, 0x20, 0x02][..], &four, &[0; 10]].concat(),
        }
    });
    run(2000, prop_oneof![text, bytes, mapped], guard_urls::check);
}

#[test]
fn hints_keep_their_bounds() {
    let names = "[Rr]etry-[Aa]fter|retry-after-ms|RateLimit(-Reset|-Remaining|-Limit)?|X-RateLimit-(Reset|Remaining)|Date|Age";
    let values = "[ -~]{0,30}|-?[0-9]{1,25}(\\.[0-9]{1,12})?|[0-9]{1,3}[hmsd]([0-9]{1,3}[ms])?|[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,5} [0-9:]{5,8} GMT|\"[a-z]{1,4}\";r=[0-9]{1,3};t=[0-9]{1,20}";
    let header = (names, values).prop_map(|(name, value)| format!("{name}: {value}\n"));
    let input = (any::<u8>(), prop::collection::vec(header, 0..4))
        .prop_map(|(status, headers)| [vec![status], headers.concat().into_bytes()].concat());
    run(1000, input, retry_hints::check);
}

#[test]
fn what_is_accepted_is_stored_and_read_back() {
    let texts = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/specs"))
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok());
    let mut texts: Vec<Vec<u8>> = texts.collect();
    texts.push(br#"{"url":"https://a.test/?q=%22","interval":{"from":1,"to":30,"factor":1.5},"timeout":300,"requestInit":{"method":"post","headers":{"authorization":"x","X-A":{"$secret":"env:A","prefix":"B "}},"query":{"token":"\u0000\u2028"},"body":{"__redactedString":true,"strings":["a","b"],"interpolations":["c"]}},"follow":{"header":"Location","origins":["https://b.test"]},"giveUp":false,"retry":{"500-599,reset":{"strategy":"backoff","limit":2},"all":{"strategy":"backoff"}}}"#.to_vec());
    // One byte is another one, or is missing, or a piece is there twice.
    let input = (
        prop::sample::select(texts),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<u8>(),
        0..4_u8,
    )
        .prop_map(|(mut text, at, to, byte, change)| {
            if !text.is_empty() {
                let (at, to) = (at.index(text.len()), to.index(text.len()));
                match change {
                    0 => text[at] = byte,
                    1 => drop(text.remove(at)),
                    2 => {
                        let piece = text[at.min(to)..at.max(to).min(at.min(to) + 40)].to_vec();
                        let place = to.min(text.len());
                        text.splice(place..place, piece);
                    }
                    _ => {}
                }
            }
            text
        });
    run(200, input, spec_store::check);
}

#[test]
fn crafted_rows_stop_no_other() {
    let values = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..30),
        "t[ -~]{0,40}".prop_map(String::into_bytes),
        Just(br#"t{"requestInit":{"headers":{"authorization":{"$sealed":0}}}}"#.to_vec()),
        Just(br#"t{"requestInit":{"headers":{"authorization":{"$sealed":"v1.a61176e2.AAAA"}}}}"#.to_vec()),
        Just(b"tv2.00000000.AAAA".to_vec()),
        prop::collection::vec(any::<u8>(), 8).prop_map(|bytes| [vec![b'i'], bytes].concat()),
    ];
    let column = (0..14_u8, values).prop_map(|(column, value)| [vec![column], value].concat());
    let input = prop::collection::vec(column, 1..4).prop_map(|columns| columns.join(&0xff));
    run(20, input, sqlite_rows::check);
}
