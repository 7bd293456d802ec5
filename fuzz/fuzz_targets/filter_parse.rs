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

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let reference = serde_json::from_str::<Value>(text);
    let parsed = json::parse(text, &Limits::new());
    assert_eq!(parsed.is_ok(), reference.is_ok(), "{text:?}: {parsed:?}");
    if let (Ok(node), Ok(value)) = (&parsed, &reference) {
        assert_eq!(node.to_value(), *value);
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
                assert_eq!(Ok(&value), reference.as_ref().map_err(|_| ()));
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
