//! The schema of specs: up to date, accepting what is read, refusing what is not where a schema can tell.

use poller::{Limits, PollSpec, spec_schema};
use serde_json::Value;

use crate::corpus::corpus;

/// Bad specs that a schema cannot refuse.
const BEYOND_A_SCHEMA: [&str; 2] = [
    // A schema sees values, without duplicate keys.
    "duplicate-member",
    // A schema cannot compare the lengths of two arrays.
    "redacted-string",
];

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&spec_schema(&Limits::default())).unwrap()
}

/// Run with `UPDATE_SCHEMAS=1` to write it anew.
#[test]
fn is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/spec.schema.json");
    let generated = format!("{:#}\n", spec_schema(&Limits::default()));
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "the schema is out of date; run UPDATE_SCHEMAS=1 cargo test -p poller schema"
    );
}

#[test]
fn good_specs_are_accepted() {
    let validator = validator();
    for (name, text) in corpus("good") {
        let spec: Value = serde_json::from_str(&text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&spec).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn bad_specs_are_refused_where_a_schema_can_tell() {
    let validator = validator();
    for (name, text) in corpus("bad") {
        let Ok(spec) = serde_json::from_str::<Value>(&text) else { continue };
        let beyond = BEYOND_A_SCHEMA.contains(&name.as_str());
        assert_eq!(validator.is_valid(&spec), beyond, "{name}: {text}");
    }
}

#[test]
fn the_canonical_form_of_good_specs_is_accepted() {
    let validator = validator();
    for (name, text) in corpus("good") {
        let canonical = PollSpec::parse(&text).unwrap().to_value();
        // A redacted secret stands for text that is not shown, so it has none of its members.
        if !canonical.to_string().contains("__redactedString") {
            assert!(validator.is_valid(&canonical), "{name}: {canonical}");
        }
    }
}

/// A table of members for `docs/spec.md`.
fn members_table(kind: &str, members: &Value) -> String {
    let mut table = format!("| {kind} | meaning | default | bounds |\n| --- | --- | --- | --- |\n");
    for (name, member) in members.as_object().unwrap() {
        let default = member.get("default").map_or("–".to_owned(), |default| format!("`{default}`"));
        let bounds: Vec<String> =
            [("minimum", "from", ""), ("maximum", "to", ""), ("maxLength", "at most", " bytes")]
                .iter()
                .filter_map(|(keyword, word, unit)| {
                    // Without the point of a whole number.
                    Some(format!("{word} {}{unit}", member.get(*keyword)?.as_f64().unwrap()))
                })
                .collect();
        let description = member["description"].as_str().unwrap();
        table.push_str(&format!("| `{name}` | {description} | {default} | {} |\n", bounds.join(" ")));
    }
    table
}

/// The page with this table between its two markers.
fn with_table(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}{table}{end}{after}")
}

/// Run with `UPDATE_SCHEMAS=1` to write the tables anew.
#[test]
fn the_reference_has_every_member_and_its_examples_are_read() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let schema = spec_schema(&Limits::default());
    let options = &schema["$defs"]["retryOptions"]["properties"];
    let generated = with_table(&page, "members", &members_table("member", &schema["properties"]));
    let generated = with_table(&generated, "options", &members_table("option", options));
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == generated,
        "a table is out of date; run UPDATE_SCHEMAS=1 cargo test -p poller schema"
    );
    let (_, after) = page.split_once("<!-- /members -->").unwrap();
    let examples: Vec<&str> =
        page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    for example in &examples {
        let spec = PollSpec::parse(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
        assert!(spec.warnings().is_empty(), "{example}: {:?}", spec.warnings());
    }
    for member in schema["properties"].as_object().unwrap().keys() {
        assert!(after.contains(&format!("`{member}`")), "{member} has no section");
        let quoted = format!("\"{member}\"");
        assert!(examples.iter().any(|example| example.contains(&quoted)), "{member} has no example");
    }
}
