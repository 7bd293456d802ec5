//! The byte reader accepts exactly the documents that serde_json accepts, with any token at any offset of a block of 64 bytes.

use std::sync::LazyLock;

use filter::{Filter, FilterOptions, Limits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::generate;

/// Filters that read all of a document, so that it is walked as well as checked.
static FILTERS: LazyLock<[Filter; 3]> = LazyLock::new(|| {
    [
        r#"{"a": {"$exists": true}}"#,
        r#"{"a": [{"$size": 2}, {"$some": [1.5]}, {"$some": {"b": 1}}, "é"]}"#,
        r#"{"": {"a": {"$gt": 1}}, "b": {"$every": [{"$isNull": true}]}}"#,
    ]
    .map(|text| Filter::parse(text).unwrap())
});

fn text(document: &[u8]) -> String {
    let text = String::from_utf8_lossy(document);
    if text.len() > 600 {
        format!("{}…", text.chars().take(600).collect::<String>())
    } else {
        text.into_owned()
    }
}

/// Whether serde_json accepts a document. All filters must agree, and give the same results on bytes and parsed values.
pub(crate) fn accepted(document: &[u8]) -> bool {
    let value = serde_json::from_slice::<Value>(document)
        .map(|_| crate::event(std::str::from_utf8(document).unwrap()));
    for filter in &*FILTERS {
        let checked = filter.matches_slice(document);
        let trusted = filter.matches_valid_slice(document);
        match &value {
            Ok(value) => {
                assert_eq!(checked, Ok(filter.matches(value)), "{filter} on {}", text(document));
                // The other mode does not support duplicate keys.
                let unique =
                    serde_json::to_string(value).is_ok_and(|again| keys(again.as_bytes()) == keys(document));
                assert!(!unique || Ok(trusted) == checked, "{filter} on valid {}", text(document));
            }
            Err(error) => assert!(checked.is_err(), "accepted, though {error}: {}", text(document)),
        }
    }
    value.is_ok()
}

/// The number of colons, those in strings included.
fn keys(document: &[u8]) -> usize {
    document.iter().filter(|&&byte| byte == b':').count()
}

fn number() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "-?(0|[1-9][0-9]{0,3})",
        4 => "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,20}",
        2 => "-?(0|[1-9][0-9]{0,70})(\\.[0-9]{1,70})?([eE][+-]?[0-9]{1,3})?",
        1 => "-?[0-9.eE+-]{1,6}",
    ]
    .boxed()
}

fn string() -> BoxedStrategy<String> {
    let piece = prop_oneof![
        4 => "[ !#-Z^-~]{0,4}",
        2 => "[ !#-Z^-~]{0,70}",
        2 => select(vec!["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\\\\\\\\\\\"]).prop_map(str::to_owned),
        1 => select(vec!["\\ud83d\\ude00", "\\u00e9", "\\uD834\\uDD1E", "{", "[", "]", "}", ":", ","]).prop_map(str::to_owned),
        1 => select(vec!["é", "€", "😀", "\u{7f}", "\u{2028}"]).prop_map(str::to_owned),
    ];
    let rare = prop_oneof![
        60 => Just(String::new()),
        1 => "\\\\u[0-9a-fA-F]{4}",
        1 => select(vec!["\\x", "\\u12", "\\ud800", "\\udc00", "\\ud800\\u0041", "\n", "\u{1f}", "\\"]).prop_map(str::to_owned),
    ];
    (vec(piece, 0..4), rare).prop_map(|(pieces, rare)| format!("\"{}{rare}\"", pieces.concat())).boxed()
}

fn blanks() -> BoxedStrategy<String> {
    prop_oneof![20 => Just(String::new()), 3 => "[ \t\n\r]{1,2}", 1 => "[ \n]{1,70}"].boxed()
}

/// Documents, most of which are valid JSON.
fn document() -> BoxedStrategy<String> {
    let word = select(vec!["null", "true", "false"]).prop_map(str::to_owned);
    let leaf = prop_oneof![3 => number(), 3 => string(), 2 => word];
    let key = prop_oneof![
        6 => select(vec!["\"a\"", "\"b\"", "\"\"", "\"\\u0061\""]).prop_map(str::to_owned),
        1 => string(),
    ];
    let value = leaf.prop_recursive(5, 40, 5, move |inner| {
        let element = (blanks(), inner, blanks()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let member = (blanks(), key.clone(), blanks(), element.clone())
            .prop_map(|(a, key, b, value)| format!("{a}{key}{b}:{value}"));
        prop_oneof![
            (vec(element, 0..5), blanks()).prop_map(|(e, b)| if e.is_empty() {
                format!("[{b}]")
            } else {
                format!("[{}]", e.join(","))
            }),
            (vec(member, 0..5), blanks()).prop_map(|(m, b)| if m.is_empty() {
                format!("{{{b}}}")
            } else {
                format!("{{{}}}", m.join(","))
            }),
        ]
    });
    (blanks(), value, blanks()).prop_map(|(a, value, b)| format!("{a}{value}{b}")).boxed()
}

/// A random modification of a document.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Cut(usize),
    Double(usize, usize),
}

impl Change {
    fn any() -> BoxedStrategy<Self> {
        let byte = prop_oneof![3 => select(&b"\"\\{}[],:-.0e1 \ntnu\x00\xff"[..]), 1 => any::<u8>()].boxed();
        prop_oneof![
            (any::<usize>(), byte.clone()).prop_map(|(at, byte)| Self::Set(at, byte)),
            (any::<usize>(), byte).prop_map(|(at, byte)| Self::Insert(at, byte)),
            any::<usize>().prop_map(Self::Remove),
            any::<usize>().prop_map(Self::Cut),
            (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Self::Double(from, to)),
        ]
        .boxed()
    }

    fn apply(&self, document: &mut Vec<u8>) {
        let length = document.len().max(1);
        match *self {
            Self::Set(at, byte) => document[at % length] = byte,
            Self::Insert(at, byte) => document.insert(at % length, byte),
            Self::Remove(at) => drop(document.remove(at % length)),
            Self::Cut(at) => document.truncate(at % length),
            Self::Double(from, to) => {
                let (from, to) = (from % length, to % length);
                document.extend_from_within(from.min(to)..from.max(to));
            }
        }
    }
}

proptest! {
    #![proptest_config(generate::config())]

    #[test]
    fn accepts_the_documents_that_serde_json_accepts(document in document()) {
        accepted(document.as_bytes());
    }

    #[test]
    fn rejects_the_modified_documents_that_serde_json_rejects(document in document(), change in Change::any()) {
        let mut bytes = document.into_bytes();
        change.apply(&mut bytes);
        accepted(&bytes);
    }

    #[test]
    fn agrees_with_serde_json_on_random_tokens(
        tokens in vec(select(vec!["{", "}", "[", "]", ",", ":", "\"\"", "\"a\"", "1", "null", " "]), 0..12),
    ) {
        accepted(format!("[{}]", tokens.concat()).as_bytes());
        accepted(format!("{{{}}}", tokens.concat()).as_bytes());
    }
}

/// Documents of one to three blocks, with all kinds of tokens.
const SMALL: [&str; 4] = [
    r#"{"a":[{"x":-122.42916360922355,"y":37.7,"z":0.0},{"x":1e5,"y":-0,"z":10}],"b":"\"\\\u00e9\ud83d\ude00","":null}"#,
    "[ [ ] , { } ,\n\t[ true, false ,null ], \"\" ,{ \"a\" : { \"b\" : [ 0 , -0.5E+3 ] } } ] ",
    r#"{"k":"0123456789012345678901234567890123456789012345678901234567890123456789\\","é":"😀","n":12345678901234567890123}"#,
    r#"[1,22,333,4444,[],{},[[[[[[[{"a":{"a":{"a":[]}}}]]]]]]],"]","}",",",":",{"":""}]"#,
];

#[test]
fn small_documents_are_valid() {
    for document in SMALL {
        assert!(accepted(document.as_bytes()), "{document}");
    }
}

#[test]
fn any_byte_at_any_offset() {
    for document in SMALL {
        for place in 0..document.len() {
            let mut bytes = document.as_bytes().to_vec();
            for byte in 0..=u8::MAX {
                bytes[place] = byte;
                accepted(&bytes);
            }
        }
    }
}

#[test]
fn cuts_insertions_and_removals_at_any_offset() {
    for document in SMALL {
        for place in 0..document.len() {
            let whole = place >= document.trim_end().len();
            assert_eq!(accepted(&document.as_bytes()[..place]), whole);
            let mut bytes = document.as_bytes().to_vec();
            bytes.remove(place);
            accepted(&bytes);
            for byte in *b"\"\\{}[],:-.0e1 \nn\x00\x80" {
                bytes = document.as_bytes().to_vec();
                bytes.insert(place, byte);
                accepted(&bytes);
            }
        }
    }
}

#[test]
fn tokens_at_any_offset_of_a_block() {
    let tokens = [
        r#""""#,
        r#""\"""#,
        r#""\\""#,
        r#""\\\"""#,
        r#""\u0041""#,
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83d\ud83d\ude00""#,
        r#""\ud83d\\ude00""#,
        "\"a\tb\"",
        "\"é😀\"",
        "null",
        "nul",
        "nulll",
        "true",
        "tru",
        "truee",
        "false",
        "fals",
        "0",
        "-0",
        "00",
        "-00",
        "01",
        "-",
        "+1",
        "1.",
        ".1",
        "-.1",
        "1.5",
        "1..5",
        "1.5.5",
        "1e5",
        "1e",
        "1e+",
        "1e-5",
        "1E+05",
        "1e5e5",
        "1e5.5",
        "1-5",
        "--1",
        "1.e5",
        "1e400",
        "-1e400",
        "1e-400",
        "0e999",
        "123456789012345678901234567890",
        "[]",
        "{}",
        "[,]",
        "{,}",
        "[1,]",
        "[1 2]",
        "[1,,2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\"::1}",
        "[\"a\":1]",
        "{\"a\":1:2}",
        "[}",
        "{]",
        "1 2",
        "1]",
        "1}",
        "\"a\"1",
        "1\"a\"",
        "null1",
        "1null",
        "[]1",
        "1[]",
        "[][]",
        "\u{0}",
        "\u{feff}1",
        "\u{a0}1",
        "'a'",
        "/",
        "//\n1",
        "NaN",
        "Infinity",
        "-Infinity",
        "0x1",
        "\\",
        "\\\"",
        "a",
    ];
    let mut valid = 0;
    for token in tokens {
        for before in 0..=70 {
            for (open, close) in
                [("[", "]"), ("[1,", ",1]"), ("{\"a\":", "}"), ("{\"a\":", ",\"b\":1}"), ("[\"", "\"]")]
            {
                for blank in [" ", "7"] {
                    // Whitespace after the bracket, or digits before it.
                    let pad = blank.repeat(before);
                    let document = if blank == " " {
                        format!("{open}{pad}{token}{pad}{close}")
                    } else {
                        format!("[1{pad},{open}{token}{close}]")
                    };
                    valid += usize::from(accepted(document.as_bytes()));
                }
            }
        }
    }
    assert!(valid > 10_000, "only {valid} of them are valid");
}

#[test]
fn backslashes_at_any_offset_of_a_block() {
    for before in 0..=70 {
        for run in 0..=70 {
            let document = format!("[\"{}{}\",\"]\"]", "a".repeat(before), "\\".repeat(run));
            assert_eq!(accepted(document.as_bytes()), run % 2 == 0);
        }
    }
}

#[test]
fn numbers_of_every_length() {
    for length in (0..=330).chain([1000, 5000]) {
        let (ones, zeros, nines) = ("1".repeat(length), "0".repeat(length), "9".repeat(length));
        for number in [
            ones.clone(),
            format!("-{nines}"),
            format!("1{zeros}.{ones}"),
            format!("0.{zeros}1"),
            format!("{ones}e0"),
            format!("{ones}e-300"),
            format!("0.{zeros}1e300"),
            format!("1e{zeros}5"),
            format!("{ones}."),
            format!("{ones}.{ones}."),
            format!("{ones}x"),
        ] {
            accepted(number.as_bytes());
            accepted(format!("[{number}]").as_bytes());
            accepted(format!("{{\"a\":1,\"b\":{number} ,\"c\":1}}").as_bytes());
        }
    }
}

#[test]
fn exponents_at_the_end_of_the_range() {
    for exponent in 290..=330 {
        for mantissa in [
            "1",
            "-1",
            "1.7976931348623157",
            "1.7976931348623159",
            "179.76931348623159",
            "0.0001",
            "17976931348623159",
        ] {
            for sign in ["", "+", "-"] {
                let number = format!("{mantissa}e{sign}{exponent}");
                accepted(number.as_bytes());
                accepted(format!("[{number}]").as_bytes());
            }
        }
    }
}

#[test]
fn the_default_depth_limit_is_that_of_serde_json() {
    for depth in [1, 2, 63, 64, 65, 66, 126, 127, 128, 129, 200, 300] {
        let nested = [
            format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
            format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)),
            format!(
                "{}{}{}",
                "[{\"a\":".repeat(depth / 2),
                "[".repeat(depth % 2),
                "]".repeat(depth % 2) + &"}]".repeat(depth / 2)
            ),
            format!("[{}{}]", "[".repeat(depth - 1), "]".repeat(depth - 1)),
            format!("{}{}", "[".repeat(depth), "]".repeat(depth - 1)),
            format!("{}{}}}", "[".repeat(depth), "]".repeat(depth - 1)),
        ];
        for document in nested {
            accepted(document.as_bytes());
        }
    }
    for limit in [1, 2, 63, 64, 65, 128, 255, 256] {
        let filter = FilterOptions::new().limits(Limits::new().with_depth(limit)).parse("{}").unwrap();
        for (depth, valid) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
            let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
            let after = format!("[{}1{}", "[],".repeat(40), "]");
            assert_eq!(
                filter.matches_slice(arrays.as_bytes()).is_ok(),
                valid && depth > 0,
                "{depth} of {limit}"
            );
            assert_eq!(filter.matches_slice(objects.as_bytes()).is_ok(), valid, "{depth} of {limit}");
            assert_eq!(filter.matches_slice(after.as_bytes()).is_ok(), limit > 1);
        }
    }
}

#[test]
fn invalid_utf_8_is_rejected_at_any_offset() {
    let wrong: [&[u8]; 8] = [
        b"\x80",
        b"\xc3",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\xff",
        b"\xf0\x9f\x98",
    ];
    for wrong in wrong {
        for before in 0..=70 {
            for (open, close) in
                [("{\"", "\":1}"), ("{\"a\":\"", "\"}"), ("[", "]"), ("[1,\"", "\"]"), ("", "")]
            {
                let mut document = format!("{open}{}", " ".repeat(before)).into_bytes();
                document.extend_from_slice(wrong);
                document.extend_from_slice(close.as_bytes());
                assert!(!accepted(&document));
            }
        }
    }
}

#[test]
fn hostile_documents_take_linear_time() {
    // At this size, anything worse than linear takes minutes.
    const SIZE: usize = 300_000;
    for piece in [
        "[", "{\"a\":", "[[],", "{", "]", "\"\\\\", "[\"\\\\", "1", "[1", "-", "1e1", "[1.", " ", "[ ", "\\",
        "\"", "[\"\\u00", "nul", "é", "[1e1,", "[null,", "[1 ", ",", ":",
    ] {
        let document = piece.repeat(SIZE / piece.len());
        assert!(!accepted(document.as_bytes()), "{piece}");
        let inside = format!("[{document}]");
        accepted(inside.as_bytes());
        accepted(format!("[\"{document}\",{document}]").as_bytes());
    }
}
