//! The parser against serde_json: the same texts are JSON, and they mean the same.

use filter::json::{self, Kind, Node};
use filter::{Filter, Limits};
use proptest::prelude::*;
use serde_json::Value;

use crate::generate;

/// Serde_json's answer; a float may be a neighbour of the nearest one.
fn reference(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// Whether two values are equal, except for the rounding of floats.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a == b || (a.is_sign_negative() == b.is_sign_negative() && a.to_bits().abs_diff(b.to_bits()) <= 2)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, a), (l, b))| k == l && alike(a, b))
        }
        _ => a == b,
    }
}

fn check(text: &str) {
    let expected = reference(text);
    let parsed = json::parse(text, &Limits::new());
    assert_eq!(parsed.is_ok(), expected.is_some(), "{text:?}: {parsed:?}, serde_json {expected:?}");
    let any = Filter::parse("{}").unwrap();
    let answered = any.matches_slice(text.as_bytes());
    assert_eq!(answered.is_ok(), expected.is_some(), "{text:?} as an event: {answered:?}");
    if let (Ok(node), Some(expected)) = (parsed, expected) {
        assert!(alike(&node.to_value(), &expected), "{text:?}: {node:?}, serde_json {expected:?}");
        spans_fit(text, &node);
    }
}

/// Every span holds exactly the text of its value.
fn spans_fit(text: &str, node: &Node) {
    let part = &text[std::ops::Range::from(node.span.unwrap())];
    assert!(reference(part).is_some_and(|value| alike(&value, &node.to_value())), "{part:?} of {text:?}");
    match &node.kind {
        // The standard library rounds correctly.
        Kind::Number(number) if number.is_f64() => assert_eq!(number.as_f64(), part.parse().ok(), "{part}"),
        Kind::Array(items) => items.iter().for_each(|item| spans_fit(text, item)),
        Kind::Object(members) => {
            for member in members {
                let key = &text[std::ops::Range::from(member.key_span.unwrap())];
                assert_eq!(reference(key), Some(Value::from(member.key.as_str())));
                spans_fit(text, &member.value);
            }
        }
        _ => {}
    }
}

#[test]
fn agrees_on_hard_cases() {
    let texts = [
        "",
        " ",
        "null",
        " null ",
        "nul",
        "nullx",
        "true",
        "tru",
        "false",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1 2]",
        "{}",
        "{ }",
        "{,}",
        r#"{"a":1,}"#,
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1,"a":2}"#,
        "{1:2}",
        "[1]]",
        "1 2",
        "{}{}",
        "0",
        "-0",
        "-0.0",
        "00",
        "01",
        "-01",
        "1.",
        ".5",
        "-",
        "-a",
        "+1",
        "1e",
        "1e+",
        "1e5",
        "1E-5",
        "1e400",
        "-1e400",
        "1e-400",
        "0e999999999999999999999",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "0.1",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "2.2250738585072011e-308",
        "5e-324",
        "2e-324",
        "179769313486231580793728971405301e276",
        "NaN",
        "Infinity",
        "\"",
        "\"a",
        r#""\"#,
        r#""\u"#,
        r#""\u12"#,
        r#""\u123g""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        r#""\ud83d\ude00""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\ud83d\ud83d""#,
        r#""\uFFFF""#,
        r#""\u0000""#,
        r#""\x""#,
        r#""\'""#,
        r#""\/\b\f\n\r\t\"\\""#,
        "\"\u{0}\"",
        "\"\u{1f}\"",
        "\"\u{7f}\"",
        "\"\n\"",
        "\"\u{2028}\"",
        "\u{feff}1",
        "\u{a0}1",
        "\u{c}1",
        "\u{b}1",
        "// x\n1",
        "'a'",
        "\t\n\r 1\t\n\r ",
        "1\u{0}",
        "[1}",
        "{\"a\":1]",
    ];
    texts.into_iter().for_each(check);
}

#[test]
fn agrees_on_depth() {
    for depth in [1, 2, 126, 127, 128, 129, 500] {
        check(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        check(&format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)));
        check(&format!("{}{}", "[{\"a\":".repeat(depth / 2), "}]".repeat(depth / 2)));
        check(&"[".repeat(depth));
    }
}

#[test]
fn invalid_utf8_is_refused_as_by_serde_json() {
    let any = Filter::parse("{}").unwrap();
    let cases: [&[u8]; 9] = [
        b"\"\xff\"",
        b"\"\xc3\"",
        b"\"\xc3\xa9\"",
        b"\xff",
        b"{\"\xed\xa0\x80\":1}",
        b"\"\xf0\x9f\x98\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xc0\x80\"",
        b"[1]\xff",
    ];
    for bytes in cases {
        let expected = serde_json::from_slice::<Value>(bytes).is_ok();
        assert_eq!(any.matches_slice(bytes).is_ok(), expected, "{bytes:x?}");
    }
}

#[test]
fn sequences() {
    let count = |text: &str| json::parse_sequence(text, &Limits::new()).map(|nodes| nodes.len()).ok();
    let reference = |text: &str| {
        let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
        values.map(|values| values.len()).ok()
    };
    for text in [
        "",
        " \n",
        "1 2 3",
        "{}{}",
        "[][]",
        "[]{}\"a\"1",
        "\"a\"\"b\"",
        "1\"a\"",
        "true false",
        "truefalse",
        "null{}",
        "1[",
        "{} x",
        "1,2",
        "{}\n{}\n",
        "\"a\"1 2",
    ] {
        assert_eq!(count(text), reference(text), "{text:?}");
    }
}

#[test]
fn errors_have_positions() {
    let error = json::parse("{\n  \"é\": [1, oops]\n}", &Limits::new()).unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 12));
    assert_eq!(error.diagnostic().pointer(), "/é/1");
    assert_eq!(error.to_string(), "found `oops`, expected a value at line 2 column 12");
}

/// JSON-like text, sometimes invalid.
fn almost_json() -> impl Strategy<Value = String> {
    let number = "-?[0-9]{1,20}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
    let string = prop_oneof![
        Just("\"a\"".to_owned()),
        "\"[a-c\u{e9}\u{1F600}]{0,5}\"",
        "\"(\\\\[nrt/\"\\\\bfux]|\\\\u[0-9a-fD]{4}|[a-z]){0,4}\"",
    ];
    let token = prop_oneof![
        4 => number,
        4 => string,
        1 => Just("null".to_owned()),
        1 => Just("true".to_owned()),
        1 => "[\\[\\]{},:\" \n\u{0}-\u{ff}]{1,2}",
    ];
    let value = token.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" ,"))),
            proptest::collection::vec(("[a-c]", inner), 0..4).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    (value, any::<prop::sample::Index>(), 0..6_usize).prop_map(|(mut text, at, change)| {
        let at = at.index(text.len() + 1);
        if change == 0 && text.is_char_boundary(at) {
            text.truncate(at);
        } else if change == 1 && at < text.len() && text.is_char_boundary(at) {
            text.remove(at);
        }
        text
    })
}

proptest! {
    #![proptest_config(generate::config())]

    #[test]
    fn agrees_on_anything_like_json(text in almost_json()) {
        check(&text);
    }

    #[test]
    fn floats_are_rounded_correctly(bits in any::<u64>(), digits in "[0-9]{1,25}\\.[0-9]{1,25}e-?[0-9]{1,2}") {
        let float = f64::from_bits(bits);
        if float.is_finite() {
            check(&format!("{float:e}"));
        }
        check(&digits.trim_start_matches('0').replacen('.', "0.", 1));
    }

    #[test]
    fn events_survive_the_bytes(event in generate::event()) {
        check(&event.to_string());
    }
}
