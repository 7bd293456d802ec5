//! Skipping an array or object of a trusted document, by counting brackets in blocks of 64 bytes.
//!
//! This uses only a part of the grammar: brackets inside strings do not count, a backslash escapes the next byte, and
//! brackets of one kind pair among themselves, so the other kind is ignored.

use super::lanes::{BLOCK, Block, Lanes, WIDTH};
use super::machine::{Baseline, Machine as _};
use super::strings::Strings;

/// The length of the container at the beginning of these bytes.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let object = bytes.first() == Some(&b'{');
    // Most arrays in arrays begin with several brackets.
    let opened = bytes.iter().take_while(|&&byte| byte == if object { b'{' } else { b'[' }).count();
    let end = if object {
        Count::<true>::new(opened).end(&bytes[opened..])
    } else {
        Count::<false>::new(opened).end(&bytes[opened..])
    };
    Some(opened + end?)
}

/// The length of the rest of a container, from after a value in it.
pub(super) fn rest(bytes: &[u8], close: u8) -> Option<usize> {
    if close == b'}' { near::<true>(bytes) } else { near::<false>(bytes) }
}

/// Most objects end within a few bytes after the last value that is needed.
#[inline]
fn near<const OBJECT: bool>(bytes: &[u8]) -> Option<usize> {
    let (open, close) = (open(OBJECT), close(OBJECT));
    if let Some(chunk) = bytes.first_chunk::<WIDTH>() {
        let lanes = Lanes::new(chunk);
        let closes = lanes.equal(close).bits();
        if closes != 0 {
            let before = (closes & closes.wrapping_neg()) - 1;
            let notable = lanes.equal(open).or(lanes.equal(b'\\')).bits() & before;
            let quotes = lanes.equal(b'"').bits() & before;
            if notable == 0 && quotes.count_ones().is_multiple_of(2) {
                return Some(closes.trailing_zeros() as usize + 1);
            }
        }
    }
    Count::<OBJECT>::new(1).end(bytes)
}

const fn open(object: bool) -> u8 {
    if object { b'{' } else { b'[' }
}

const fn close(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

/// The state before a block, when skipping an object or an array.
struct Count<const OBJECT: bool> {
    /// The number of open containers of this kind.
    depth: usize,
    /// For each lane, the parity of quotes in blocks without brackets that `strings` does not include yet.
    quotes: Lanes,
    strings: Strings<0>,
}

impl<const OBJECT: bool> Count<OBJECT> {
    fn new(depth: usize) -> Self {
        Self { depth, quotes: Lanes::NONE, strings: Strings::default() }
    }

    #[inline]
    fn end(mut self, bytes: &[u8]) -> Option<usize> {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for (index, block) in blocks.iter().enumerate() {
            if let Some(end) = self.block(block) {
                return Some(index * BLOCK + end);
            }
        }
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        Some(blocks.len() * BLOCK + self.block(&last)?)
    }

    /// The offset after the container's end, if that is in this block.
    #[inline(always)]
    fn block(&mut self, bytes: &[u8; BLOCK]) -> Option<usize> {
        let block = Block::new(bytes);
        let quotes = block.map(|lanes| lanes.equal(b'"'));
        // One comparison finds both brackets and the backslash: in ASCII the backslash lies between the brackets. With bit 0x20
        // set, it becomes the bar, which lies between the braces.
        let above = block.map(|lanes| if OBJECT { lanes.lower() } else { lanes }.above(open(OBJECT)));
        let notable = above.fold(Lanes::least).is_within(close(OBJECT) - open(OBJECT));
        if !notable && self.strings.escaped == 0 {
            self.quotes = self.quotes.xor(quotes.fold(Lanes::xor));
            return None;
        }
        self.notable(block, quotes.bits())
    }

    #[inline(always)]
    fn notable(&mut self, block: Block, quotes: u64) -> Option<usize> {
        if self.quotes.bits().count_ones() % 2 == 1 {
            self.strings.flip();
        }
        self.quotes = Lanes::NONE;
        let escapes = self.strings.escapes(block.map(|lanes| lanes.equal(b'\\')).bits());
        let inside = self.strings.inside(Baseline.parity(quotes & !escapes.escaped));
        let opens = block.map(|lanes| lanes.equal(open(OBJECT))).bits() & !inside;
        let mut closes = block.map(|lanes| lanes.equal(close(OBJECT))).bits() & !inside;
        let (opened, closed) = (opens.count_ones() as usize, closes.count_ones() as usize);
        if closed >= self.depth {
            let mut depth = self.depth;
            let mut seen = 0;
            while closes != 0 {
                let place = closes.trailing_zeros();
                let before = opens & ((1 << place) - 1);
                depth += (before & !seen).count_ones() as usize;
                if depth <= 1 {
                    return Some(place as usize + 1);
                }
                depth -= 1;
                seen = before;
                closes &= closes - 1;
            }
        }
        self.depth = self.depth + opened - closed;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::length;

    /// [`length`], byte by byte.
    fn naive(bytes: &[u8]) -> Option<usize> {
        let (open, close) = (bytes[0], if bytes[0] == b'{' { b'}' } else { b']' });
        let (mut depth, mut inside, mut at) = (0, false, 0);
        while let Some(&byte) = bytes.get(at) {
            match byte {
                // Outside of strings, which is not JSON, it only escapes a quote or a backslash.
                b'\\' => at += usize::from(inside || matches!(bytes.get(at + 1), Some(b'"' | b'\\'))),
                b'"' => inside = !inside,
                _ if inside => {}
                _ if byte == open => depth += 1,
                _ if byte == close && depth == 1 => return Some(at + 1),
                _ if byte == close => depth -= 1,
                _ => {}
            }
            at += 1;
        }
        None
    }

    #[test]
    fn containers_end_at_their_closing_bracket() {
        let cases: [(&[u8], Option<usize>); 8] = [
            (b"[]", Some(2)),
            (b"{}]", Some(2)),
            (b"[[],[[]]],", Some(9)),
            (br#"{"}":"{\"}"}}"#, Some(12)),
            (br#"["\\"]"#, Some(6)),
            (br#"["\\\"]"#, None),
            (b"[", None),
            (b"", None),
        ];
        for (bytes, end) in cases {
            assert_eq!(length(bytes), end, "{}", String::from_utf8_lossy(bytes));
        }
    }

    /// Random bytes of small alphabets put quotes, backslashes and brackets together at every position of a block.
    #[test]
    fn blocks_give_the_same_length_as_bytes() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut closed = 0;
        for case in 0..20_000 {
            let alphabet: &[u8] = [&b"[]{}\"\\ a"[..], b"[]\"\\\\\\", b"aaaaaaa[]\""][case % 3];
            let mut bytes = vec![if next(2) == 0 { b'[' } else { b'{' }];
            for _ in 0..next(300) {
                bytes.push(alphabet[next(alphabet.len() as u64) as usize]);
            }
            let end = naive(&bytes);
            assert_eq!(length(&bytes), end, "{}", String::from_utf8_lossy(&bytes));
            closed += usize::from(end.is_some_and(|end| end > 64));
        }
        assert!(closed > 500, "only {closed} ended after the first block");
    }
}
