//! A text as what differs from another one, its base.
//!
//! Where a hundred thousand specs differ, most differ in a header or in a literal of a filter: what they have to themselves is
//! some twenty bytes of two hundred. A delta has those bytes, and the places of the others in the base:
//!
//! ```text
//!  base   {"requestInit":{"headers":{"x-tenant":"a-17"}},"responseFilter":{"body":{"export":["17"]}}}
//!  text   {"requestInit":{"headers":{"x-tenant":"a-4211"}},"responseFilter":{"body":{"export":["4211"]}}}
//!  delta  copy 40 bytes, write 4211, copy 46 bytes from 2 bytes before, write 4211, copy 5 bytes …
//! ```
//!
//! Pairs of a literal and a copy alternate: `length, bytes, length, shift`. The numbers are variable-length (LEB128); the shift
//! says how far the copy begins from where the one before it and as many bytes as the literal would have led, so it is mostly zero. Copies are
//! found as LZ4 finds them, by a table of the places of all sequences of [`SEEN`] bytes. A general compressor with a dictionary
//! (zstd) would add a frame of about twenty bytes to each text, and a dependency.

/// The shortest copy that is searched for. A copy takes two or three bytes.
const SEEN: usize = 6;

/// The longest base and the longest text: places are `u16` in the table.
pub(super) const LONGEST: usize = 16 << 10;

/// The places in the table, a power of two.
const PLACES: usize = 1 << 12;

/// The delta of a text to a base; `None` if it would not be shorter than half of the text, or one of them is too long. Linear.
pub(super) fn pack(text: &str, base: &str) -> Option<Vec<u8>> {
    let (text, base) = (text.as_bytes(), base.as_bytes());
    if text.len() > LONGEST || base.len() > LONGEST {
        return None;
    }
    let places = Places::of(base);
    let most = text.len() / 2;
    let mut packed = Vec::with_capacity(most);
    // What is not written yet begins at `from`; the copy that is expected there begins at `expected` of the base.
    let (mut from, mut expected, mut at) = (0, 0, 0);
    while at < text.len() {
        let straight = expected + (at - from);
        let Some(begins) = places.find(base, &text[at..], straight) else {
            at += 1;
            continue;
        };
        // The bytes before may be the same too.
        let before = text[from..at].iter().rev().zip(base[..begins].iter().rev());
        let before = before.take_while(|(one, other)| one == other).count();
        let (at_copy, begins) = (at - before, begins - before);
        let length =
            text[at_copy..].iter().zip(&base[begins..]).take_while(|(one, other)| one == other).count();
        literal(&mut packed, &text[from..at_copy]);
        number(&mut packed, length);
        shift(&mut packed, begins, expected + (at_copy - from));
        if packed.len() > most {
            return None;
        }
        (from, expected) = (at_copy + length, begins + length);
        at = from;
    }
    literal(&mut packed, &text[from..]);
    (packed.len() <= most).then_some(packed)
}

/// The text of this delta to this base; `None` if it is none.
pub(super) fn unpack(packed: &[u8], base: &str) -> Option<String> {
    let base = base.as_bytes();
    let (mut rest, mut text, mut expected) = (packed, Vec::new(), 0_usize);
    while !rest.is_empty() {
        let length = take_number(&mut rest)?;
        text.extend_from_slice(rest.split_off(..length)?);
        if rest.is_empty() {
            break;
        }
        let copied = take_number(&mut rest)?;
        let shift = take_number(&mut rest)?;
        let straight = expected.checked_add(length)?;
        let begins = match shift & 1 {
            0 => straight.checked_add(shift >> 1)?,
            _ => straight.checked_sub(shift >> 1)?,
        };
        expected = begins.checked_add(copied)?;
        text.extend_from_slice(base.get(begins..expected)?);
    }
    String::from_utf8(text).ok()
}

/// The places of a base by a hash of the bytes there. Of equal hashes, the last place stays.
struct Places([u16; PLACES]);

impl Places {
    fn of(base: &[u8]) -> Self {
        // Zero is a place as well: what is found is compared.
        let mut places = [0; PLACES];
        for (place, seen) in (0_u16..).zip(base.windows(SEEN)) {
            places[slot(seen)] = place;
        }
        Self(places)
    }

    /// A place of the base with the first bytes of `text`: the expected one if it has them.
    fn find(&self, base: &[u8], text: &[u8], expected: usize) -> Option<usize> {
        let seen = text.get(..SEEN)?;
        let has = |place: &usize| base.get(*place..).is_some_and(|bytes| bytes.starts_with(seen));
        Some(expected).filter(has).or_else(|| Some(self.0[slot(seen)].into()).filter(has))
    }
}

fn slot(seen: &[u8]) -> usize {
    let number = seen.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    // Fibonacci hashing: the highest bits of a product.
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - PLACES.ilog2())) as usize
}

fn literal(packed: &mut Vec<u8>, bytes: &[u8]) {
    number(packed, bytes.len());
    packed.extend_from_slice(bytes);
}

/// The distance, with its sign as the lowest bit.
fn shift(packed: &mut Vec<u8>, begins: usize, straight: usize) {
    let distance = begins.abs_diff(straight);
    number(packed, distance << 1 | usize::from(begins < straight));
}

/// LEB128: seven bits per byte, lowest first; the highest bit marks that more follow.
fn number(packed: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        packed.push(number as u8 | 0x80);
        number >>= 7;
    }
    packed.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = *rest.split_off_first()?;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(own: &str) -> String {
        format!(
            r#"{{"interval":300,"requestInit":{{"headers":{{"x-tenant":"tenant-{own}"}}}},"responseFilter":{{"status":[200],"body":{{"status":["SUCCESS"],"export":["{own}"]}}}}}}"#
        )
    }

    #[test]
    fn what_two_texts_share_is_not_repeated() {
        for (own, most) in [("00000000", 8), ("00004711", 24), ("another-name-than-that", 64), ("", 12)] {
            let (text, base) = (spec(own), spec("00000000"));
            let packed = pack(&text, &base).unwrap();
            assert!(packed.len() <= most, "{own}: {}", packed.len());
            assert_eq!(unpack(&packed, &base).unwrap(), text);
        }
    }

    #[test]
    fn texts_that_share_little_are_not_packed() {
        assert_eq!(pack("abcdefghijklmnop", "ponmlkjihgfedcba"), None);
        let long = "x".repeat(LONGEST + 1);
        assert_eq!((pack(&long, "x"), pack("x", &long)), (None, None));
        let longest = &long[1..];
        assert!(pack(longest, longest).is_some_and(|packed| packed.len() < 10));
    }

    proptest! {
        #[test]
        fn unpacked_it_is_the_same(
            parts in proptest::collection::vec("[a-cä]{0,12}|responseFilter|requestInit", 0..12),
            other in proptest::collection::vec((any::<prop::sample::Index>(), "[a-cä]{0,3}"), 0..16),
        ) {
            let base = parts.concat();
            let text: String = other
                .iter()
                .map(|(index, own)| parts.get(index.index(parts.len().max(1))).map_or("", String::as_str).to_owned() + own)
                .collect();
            if let Some(packed) = pack(&text, &base) {
                prop_assert!(packed.len() <= text.len() / 2);
                prop_assert_eq!(unpack(&packed, &base), Some(text));
            }
        }

        #[test]
        fn other_bytes_are_refused_or_make_some_text(packed in proptest::collection::vec(any::<u8>(), 0..40)) {
            // No panic, and no more memory than the bytes can ask for.
            let base = spec("00000000");
            let text = unpack(&packed, &base);
            prop_assert!(text.is_none_or(|text| text.len() <= packed.len() * base.len()));
        }
    }
}
