//! Every example of docs/filter-language.md, run.

use filter::{Dialect, Filter, FilterError, FilterOptions};

const GUIDE: &str = include_str!("../../../docs/filter-language.md");

/// The fenced blocks of a page: info string and content.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let content: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            blocks.push((info, content.join("\n")));
        }
    }
    blocks
}

fn compile(info: &str, text: &str) -> Result<Filter, FilterError> {
    let dialect: Dialect = info.split(' ').nth(2).map_or(Dialect::Native, |name| name.parse().unwrap());
    FilterOptions::new().dialect(dialect).parse(text)
}

#[test]
fn every_example_has_the_outcome_of_the_guide() {
    let blocks = blocks(GUIDE);
    let mut events = 0;
    for pair in blocks.chunks(2) {
        let [(info, text), ("text", outcome)] = pair else { panic!("an example without outcome: {pair:?}") };
        let compiled = compile(info, text);
        if info.starts_with("json bad") {
            assert_eq!(compiled.unwrap_err().to_string(), *outcome, "{text}");
            continue;
        }
        let filter = compiled.unwrap_or_else(|error| panic!("{text}: {error}"));
        for line in outcome.lines() {
            let (mark, event) = line.split_once(' ').unwrap();
            let event = crate::event(event);
            let expected = match mark {
                "✓" => true,
                "✗" => false,
                other => panic!("{other:?} in {line}"),
            };
            assert_eq!(filter.matches(&event), expected, "{text} on {event}\n{}", filter.explain(&event));
            events += 1;
        }
    }
    assert!(events > 40, "{events}");
}

#[test]
fn the_guide_names_every_warning() {
    use filter::Code;
    let kinds = [
        Code::RangeTrap,
        Code::NeverHolds,
        Code::AlwaysHolds,
        Code::DuplicateCondition,
        Code::DuplicateKey,
        Code::OperatorAsField,
        Code::PathAsField,
        Code::ComparisonAsList,
        Code::ForeignSyntax,
        Code::HostBits,
    ];
    for kind in kinds {
        assert!(GUIDE.contains(&format!("| `{kind}` |")), "{kind}");
    }
    let trap = r#"[{"$gt": 20}, {"$lt": 40}]"#;
    assert!(GUIDE.contains(trap));
    let filter = Filter::parse(&format!("{{\"a\": {trap}}}")).unwrap();
    assert_eq!(filter.warnings()[0].code(), Code::RangeTrap);
}
