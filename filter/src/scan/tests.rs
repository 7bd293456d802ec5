//! Where values begin and end: as the parser says that keeps their places, in both modes, stepped into and stepped over.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::machine::Baseline;
use super::{Cursor, Kind, Raw, Scan, container};
use crate::json::{self, Node};
use crate::limits::Limits;

/// The places of all values, each before those in it.
fn places<const CHECKED: bool>(bytes: &[u8]) -> Scan<Vec<(usize, usize)>> {
    let mut cursor = Cursor::<CHECKED>::new(bytes, 127)?;
    let mut places = Vec::new();
    value(&mut cursor, &mut places)?;
    cursor.end()?;
    Ok(places)
}

fn value<const CHECKED: bool>(
    cursor: &mut Cursor<'_, CHECKED>,
    places: &mut Vec<(usize, usize)>,
) -> Scan<()> {
    let kind = cursor.kind()?;
    let start = cursor.at();
    let mut over = cursor.clone();
    over.skip(kind)?;
    places.push((start, over.at()));
    let close = match kind {
        Kind::Array => b']',
        Kind::Object => b'}',
        scalar => return cursor.skip(scalar),
    };
    let mut more = cursor.open(close)?;
    while more {
        if kind == Kind::Object {
            cursor.key()?;
        }
        value(cursor, places)?;
        let mut rest = cursor.clone();
        rest.leave(close)?;
        assert_eq!(rest.at(), over.at(), "left elsewhere than passed");
        more = cursor.more(close)?;
    }
    assert_eq!(cursor.at(), over.at(), "stepped through to elsewhere than passed");
    Ok(())
}

fn expected(node: &Node, places: &mut Vec<(usize, usize)>) {
    let span = node.span.as_ref().unwrap();
    places.push((span.start, span.end));
    match &node.kind {
        json::Kind::Array(items) => items.iter().for_each(|item| expected(item, places)),
        json::Kind::Object(members) => members.iter().for_each(|member| expected(&member.value, places)),
        _ => {}
    }
}

fn check(text: &str) {
    let mut all = Vec::new();
    expected(&json::parse(text, &Limits::new()).unwrap(), &mut all);
    assert_eq!(places::<true>(text.as_bytes()).as_ref(), Ok(&all), "checked: {text}");
    assert_eq!(places::<false>(text.as_bytes()).as_ref(), Ok(&all), "trusted: {text}");
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
    fn values_begin_and_end_where_they_do(document in document()) {
        check(&document.to_string());
        check(&format!(" {document:#}\n"));
    }

    /// Of documents that are JSON, or nearly: whatever instructions the processor has, it says what those of every processor
    /// say, and what serde_json says.
    #[test]
    fn all_instructions_agree(
        document in document(),
        changes in vec((any::<prop::sample::Index>(), proptest::sample::select(&b"[]{}\"\\,:1-.e nt\n\x1f\xff\xc3"[..])), 0..3),
        room in prop_oneof![Just(127_usize), 0_usize..8],
    ) {
        let mut bytes = format!("[{document},{document:#}]").into_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes[0] = b'[';
        let end = container::checked_by(Baseline, &bytes, room);
        prop_assert_eq!(container::checked(&bytes, room), end);
        if room == 127 {
            let valid = serde_json::from_slice::<Value>(&bytes).is_ok();
            prop_assert_eq!(end == Ok(bytes.len()), valid, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn any_bytes_come_to_an_end(bytes in vec(proptest::sample::select(&b"[]{}\"\\,:1-.e nt\xff\x00"[..]), 0..200)) {
        // What it says of them is unspecified, and not tested.
        let _ = places_of_any(&bytes);
    }
}

/// As far as it goes.
fn places_of_any(bytes: &[u8]) -> Scan<usize> {
    let mut cursor = Cursor::<false>::new(bytes, 127)?;
    let value = Raw::pass(&mut cursor)?;
    assert!(cursor.at() <= bytes.len());
    drop(value.text());
    value.number();
    cursor.leave(b'}')?;
    assert!(cursor.at() <= bytes.len());
    Ok(cursor.at())
}
