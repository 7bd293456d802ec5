//! The JSON Schemas in `docs/` agree with the code. `UPDATE=1 cargo test -p retry` writes them.

use std::path::Path;

use retry::strategy::FetchRetryOptions;
use retry::{Policy, RetryOptions};

#[test]
fn the_committed_schemas_are_current() {
    for (name, schema) in [
        ("policy", schemars::schema_for!(Policy)),
        ("retry-options", schemars::schema_for!(RetryOptions)),
        ("fetch-retry-options", schemars::schema_for!(FetchRetryOptions)),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/schema/retry/{name}.json"));
        let current = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &current).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == current, "{} is out of date: run with UPDATE=1 and commit it", path.display());
    }
}
