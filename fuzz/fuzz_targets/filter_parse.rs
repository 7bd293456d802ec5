//! Any text as a filter of any dialect: nothing panics, a valid filter can be written out and read again, and the errors of an
//! invalid one have existing places. The parser accepts the texts that serde_json accepts.
#![no_main]

use filter::{Conversion, Diagnostic, Dialect, FilterOptions, Limits, json};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn place_exists(text: &str, diagnostic: &Diagnostic) {
    if let Some(span) = diagnostic.span() {
        assert!(text.get(span.start..span.end).is_some(), "{diagnostic:?} in {text:?}");
    }
    assert!(!diagnostic.message().is_empty());
}

/// Whether values are equal, but for floats that serde_json rounds to a neighbour, as it does without its feature `float_roundtrip`,
/// which users of the crate need not have. `filter/tests/it/json.rs` compares floats with the standard library.
fn equal(ours: &Value, reference: &Value) -> bool {
    match (ours, reference) {
        (Value::Array(ours), Value::Array(reference)) => {
            ours.len() == reference.len() && ours.iter().zip(reference).all(|(one, other)| equal(one, other))
        }
        (Value::Object(ours), Value::Object(reference)) => {
            ours.len() == reference.len()
                && ours.iter().all(|(key, one)| reference.get(key).is_some_and(|other| equal(one, other)))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let bits = |number: &serde_json::Number| number.as_f64().unwrap_or_default().to_bits();
            bits(one).abs_diff(bits(other)) <= 1
        }
        _ => ours == reference,
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let reference = serde_json::from_str::<Value>(text);
    let parsed = json::parse(text, &Limits::new());
    assert_eq!(parsed.is_ok(), reference.is_ok(), "{text:?}: {parsed:?}");
    if let (Ok(node), Ok(value)) = (&parsed, &reference) {
        let ours = node.to_value();
        assert!(equal(&ours, value), "{ours:?}, not {value:?}");
    }
    // Compiling 10 MiB of regular expressions takes an instrumented build longer than the fuzzer's timeout.
    let limits = Limits::new().with_regex_bytes(1 << 18);
    for dialect in Dialect::ALL {
        let options = FilterOptions::new().dialect(dialect).limits(limits.clone());
        match options.parse(text) {
            Err(error) => {
                assert!(!error.diagnostics().is_empty());
                error.diagnostics().iter().for_each(|diagnostic| place_exists(text, diagnostic));
            }
            Ok(filter) => {
                filter.warnings().iter().for_each(|warning| place_exists(text, warning));
                let value = filter.to_value();
                assert!(reference.as_ref().is_ok_and(|reference| equal(&value, reference)), "{value:?}");
                assert_eq!(options.from_value(&value).as_ref(), Ok(&filter));
                assert_eq!(options.parse(&filter.to_string()).as_ref(), Ok(&filter));
                let explanation = filter.explain(&value);
                assert_eq!(explanation.matched(), filter.matches(&value));
                assert!(!explanation.to_string().is_empty());
                let native =
                    Conversion::new().limits(limits.clone()).assume_flat_arrays(true).to_native(&filter);
                assert!(native.is_ok() || dialect != Dialect::Native);
            }
        }
    }
});
