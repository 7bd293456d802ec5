//! The spans of values, by stepping into and over them in both modes, against the spans of the parser.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::container::CheckContainer;
use super::{Cursor, Raw, Scan, ValueKind, container, machine};
use crate::json::{self, Node};
use crate::limits::Limits;

/// The spans of all values, outer values first.
fn spans<const CHECKED: bool>(bytes: &[u8]) -> Scan<Vec<(usize, usize)>> {
    let mut cursor = Cursor::<CHECKED>::new(bytes, 127)?;
    let mut spans = Vec::new();
    value(&mut cursor, &mut spans)?;
    cursor.end()?;
    Ok(spans)
}

fn value<const CHECKED: bool>(cursor: &mut Cursor<'_, CHECKED>, spans: &mut Vec<(usize, usize)>) -> Scan<()> {
    let kind = cursor.kind()?;
    let start = cursor.at();
    let mut over = cursor.clone();
    over.skip(kind)?;
    spans.push((start, over.at()));
    let close = match kind {
        ValueKind::Array => b']',
        ValueKind::Object => b'}',
        scalar => return cursor.skip(scalar),
    };
    let mut more = cursor.open(close)?;
    while more {
        if kind == ValueKind::Object {
            cursor.key()?;
        }
        value(cursor, spans)?;
        let mut rest = cursor.clone();
        rest.leave(close)?;
        assert_eq!(rest.at(), over.at(), "`leave` and `skip` end at different offsets");
        more = cursor.more(close)?;
    }
    assert_eq!(cursor.at(), over.at(), "stepping and `skip` end at different offsets");
    Ok(())
}

fn expected(node: &Node, spans: &mut Vec<(usize, usize)>) {
    let span = node.span.as_ref().unwrap();
    spans.push((span.start, span.end));
    match &node.kind {
        json::Kind::Array(items) => items.iter().for_each(|item| expected(item, spans)),
        json::Kind::Object(members) => members.iter().for_each(|member| expected(&member.value, spans)),
        _ => {}
    }
}

fn check(text: &str) {
    let mut all = Vec::new();
    expected(&json::parse(text, &Limits::new()).unwrap(), &mut all);
    assert_eq!(spans::<true>(text.as_bytes()).as_ref(), Ok(&all), "checked: {text}");
    assert_eq!(spans::<false>(text.as_bytes()).as_ref(), Ok(&all), "trusted: {text}");
}

fn document() -> impl Strategy<Value = Value> {
    let text = || "([ -~é\u{1F600}\"\\\\{}\\[\\]\n]{0,3}|[a-z\"\\\\]{0,80})";
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((text(), inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn spans_of_values_are_those_of_the_parser(document in document()) {
        check(&document.to_string());
        check(&format!(" {document:#}\n"));
    }

    /// On documents that are JSON or nearly JSON, all instruction sets agree with each other and with serde_json.
    #[test]
    fn all_instruction_sets_agree(
        document in document(),
        changes in vec((any::<prop::sample::Index>(), proptest::sample::select(&b"[]{}\"\\,:1-.e nt\n\x1f\xff\xc3"[..])), 0..3),
        room in prop_oneof![Just(127_usize), 0_usize..8],
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = format!("[{document},{document:#}]").into_bytes();
        let part = &bytes[..cut.index(bytes.len())];
        for output in machine::each(&CheckContainer { bytes: part, room }) {
            prop_assert_eq!(output, Err(super::Invalid), "{}", String::from_utf8_lossy(part));
        }
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes[0] = b'[';
        let end = container::checked(&bytes, room);
        for output in machine::each(&CheckContainer { bytes: &bytes, room }) {
            prop_assert_eq!(output, end);
        }
        if room == 127 {
            let valid = serde_json::from_slice::<Value>(&bytes).is_ok();
            // The changes may leave blanks after the array.
            let whole = end.is_ok_and(|end| bytes[end..].iter().all(|byte| matches!(byte, b' ' | b'\n')));
            prop_assert_eq!(whole, valid, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    /// Many small containers in one block, at every depth, right or with a wrong byte.
    #[test]
    fn small_containers_are_checked_at_any_depth(
        outer in vec(any::<bool>(), 0..125),
        inner in vec(proptest::sample::select(&[
            r#"{"x":1.5,"y":-2}"#, r#"{"x":1}"#, "[1,2.5]", "[1]", "{}", "[]", "7", r#"{"a":[]}"#, r#"[{"a":1}]"#,
        ][..]), 0..24),
        of_one_kind in any::<bool>(),
        change in proptest::option::of((any::<prop::sample::Index>(), proptest::sample::select(&b"[]{},1\""[..]))),
        less_room in 0_usize..4,
    ) {
        let inner = if of_one_kind { vec![inner.first().copied().unwrap_or("{}"); inner.len()] } else { inner };
        let open = outer.iter().map(|&object| if object { r#"{"a":"# } else { "[" });
        let close = outer.iter().rev().map(|&object| if object { "}" } else { "]" });
        let text = format!("{}[{}]{}", open.collect::<String>(), inner.join(","), close.collect::<String>());
        let mut bytes = text.into_bytes();
        let depth = depth(&bytes);
        let room = (depth + 2).saturating_sub(less_room);
        let fits = if depth <= room { Ok(bytes.len()) } else { Err(super::Invalid) };
        for output in machine::each(&CheckContainer { bytes: &bytes, room }) {
            prop_assert_eq!(output, fits);
        }
        if let Some((place, byte)) = change {
            let place = place.index(bytes.len() - 1) + 1;
            bytes[place] = byte;
            let end = container::checked(&bytes, 127);
            for output in machine::each(&CheckContainer { bytes: &bytes, room: 127 }) {
                prop_assert_eq!(output, end);
            }
            let valid = serde_json::from_slice::<Value>(&bytes).is_ok();
            prop_assert_eq!(end == Ok(bytes.len()), valid, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn any_bytes_end_without_a_panic(bytes in vec(proptest::sample::select(&b"[]{}\"\\,:1-.e nt\xff\x00"[..]), 0..200)) {
        // The result for them is unspecified.
        let _ = scan_any(&bytes);
    }
}

/// Values and what is none, at every place of a block, after strings, numbers, blanks and members.
#[test]
fn tokens_are_checked_across_the_edges_of_blocks() {
    let tokens = [
        "0",
        "-0",
        "0.0",
        "-0.5",
        "12.25",
        "123456789.5",
        "1e-05",
        "1e05",
        "-1E+5",
        "null",
        "true",
        "false",
        "\"\"",
        "\"a\"",
        "\"\\\"\"",
        "\"\\\\\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"é\"",
        "\"a b\"",
        "{}",
        "[]",
        "{ }",
        "[\n]",
        "[[1],[2]]",
        "[{\"a\":1},{\"a\":2}]",
        "{\"a\":{\"b\":1},\"c\":[]}",
        "[1 , 2]",
        "{\"a\" : 1}",
        "{\"a\":1 ,\"b\":2}",
        "{\"a\":\"b\"}",
        "",
        " ",
        "-",
        "--1",
        "1-2",
        "01",
        "-01",
        "00",
        ".5",
        "1.",
        "1..2",
        "1.2.3",
        "-.5",
        "1.-2",
        "1e",
        "1e5.5",
        "+1",
        "nul",
        "nulll",
        "1true",
        "true1",
        "trueé",
        "é",
        "\"a\"\"b\"",
        "\"a\" \"b\"",
        "1 2",
        "\"a\"1",
        "1\"a\"",
        "\"\\x\"",
        "\"\\ud83d\"",
        "\"\u{1}\"",
        "\"",
        "1\u{c}",
        "[,]",
        "[1,]",
        "[,1]",
        "[1,,2]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":,}",
        "{\"a\":1,}",
        "{\"a\",1}",
        "{1:2}",
        "{\"a\"1}",
        "{\"a\":\"b\":1}",
        "{:1}",
        "{[]:1}",
        "{\"a\"::1}",
        "[\"a\":1]",
        "[1:2]",
        "[1}",
        "{\"a\":1]",
        "]",
        "}",
        ":",
        ",",
        "[]1",
        "1[]",
        "[][]",
        "{}{}",
        "\"a\"[]",
        "[] ]",
        "[ ,]",
        "{\"a\": }",
    ];
    for token in tokens {
        for length in 0..140 {
            let some = |byte: &str| byte.repeat(length);
            for text in [
                format!("[\"{}\",{token}]", some("x")),
                format!("[1{},{token},2]", some("1")),
                format!("[{}{token}{}]", some(" "), some(" ")),
                format!("{{\"{}\":{token},\"b\":0}}", some("x")),
                format!("[{}{{\"a\":{token}}}]", some("{},")),
            ] {
                agrees_with_serde_json(text.as_bytes());
            }
        }
    }
}

/// Objects that follow each other are accepted in an array only, at each depth and however deep the document was before.
#[test]
fn objects_by_turns_need_an_array_around_them() {
    // Blocks with the objects have no other brackets.
    let apart = format!(",\"b\":\"{}\"", "x".repeat(100));
    for outer in 0..Limits::MAX_DEPTH - 2 {
        for before in [0, 1, 62, 63, 64, 65, 126, 127, 128] {
            let deeper = before.min(Limits::MAX_DEPTH - 2 - outer);
            for in_array in [true, false] {
                let text = [
                    "[".repeat(outer),
                    if in_array { "[{\"a\":" } else { "{\"a\":{\"a\":" }.to_owned(),
                    if deeper == 0 { "1".to_owned() } else { "[".repeat(deeper) + &"]".repeat(deeper) },
                    apart.clone(),
                    "},{\"b\":1".repeat(20),
                    apart.clone(),
                    if in_array { "}]" } else { "}}" }.to_owned(),
                    "]".repeat(outer),
                ]
                .concat();
                for output in
                    machine::each(&CheckContainer { bytes: text.as_bytes(), room: Limits::MAX_DEPTH })
                {
                    assert_eq!(output, if in_array { Ok(text.len()) } else { Err(super::Invalid) }, "{text}");
                }
            }
        }
    }
}

/// The largest f64 has 309 digits.
#[test]
fn long_numbers_are_checked_at_any_place() {
    for digit in ["1", "9"] {
        for digits in [306, 307, 308, 309, 310, 371, 372, 500] {
            for before in 0..140 {
                agrees_with_serde_json(
                    format!("[\"{}\",{}]", "x".repeat(before), digit.repeat(digits)).as_bytes(),
                );
            }
        }
    }
}

fn agrees_with_serde_json(bytes: &[u8]) {
    let valid = serde_json::from_slice::<Value>(bytes).is_ok();
    for output in machine::each(&CheckContainer { bytes, room: 127 }) {
        assert_eq!(output == Ok(bytes.len()), valid, "{}", String::from_utf8_lossy(bytes));
    }
}

/// How deep a text without brackets in strings is nested.
fn depth(text: &[u8]) -> usize {
    let depths = text.iter().scan(0, |depth, byte| {
        match byte {
            b'[' | b'{' => *depth += 1,
            b']' | b'}' => *depth -= 1,
            _ => {}
        }
        Some(*depth)
    });
    depths.max().unwrap_or(0)
}

/// Scans bytes that need not be JSON, as far as possible.
fn scan_any(bytes: &[u8]) -> Scan<usize> {
    let mut cursor = Cursor::<false>::new(bytes, 127)?;
    let value = Raw::pass(&mut cursor)?;
    assert!(cursor.at() <= bytes.len());
    drop(value.text());
    value.number();
    cursor.leave(b'}')?;
    assert!(cursor.at() <= bytes.len());
    Ok(cursor.at())
}
