//! Skipping and checking an array or object, 64 bytes at a time.
//!
//! Each class of bytes becomes a word with one bit per byte of a block, and the grammar becomes arithmetic on these words: no
//! branch depends on a byte, and no step depends on where the previous token ended.
//!
//! ```text
//!  bytes      { " a b " : [ - 1 2 . 5 , n u l l ] }
//!  strings      1 1 1                                 from the opening quote to before the closing one
//!  scalars                  1 1 1 1 1   1 1 1 1
//!  after key            1                             exactly here must be a colon
//!  irregular                            1 1 1 1       not a plain number: checked byte by byte
//! ```
//!
//! JSON is regular except for its brackets: which token may come next depends on the previous token and on the kind of the
//! container. The former is a shift ([`After`]); the latter is a loop over the brackets, or a subtraction where objects of one array
//! follow each other. Rare tokens are checked byte by byte: escapes, words, exponents, very long numbers.
//!
//! Most blocks have no blanks, words and exponents outside of strings. Where an instruction set looks up 64 bytes at once, tables
//! check such a block's adjacent bytes ([`adjacent`](super::adjacent)), and the rest of the grammar is a few words
//! ([`Check::regular`]). With this and the inlined dispatch to the instruction set, `LATE` of `benches/compare` takes 327 ns instead
//! of 375.
//!
//! Blocks overlap by two bytes, so that the tokens before each new byte are in the same word. Only what is longer needs a state
//! between blocks: strings, keys, fractions, blanks after a token. A bit of state for each class of bytes, carried from block to block,
//! takes an eighth more instructions.

use super::adjacent::Adjacent;
use super::lanes::BLOCK;
use super::machine::{self, Machine, Task};
use super::open::{OUTER, Open};
use super::scalar;
use super::strings::Strings;
use super::{Invalid, Scan};

/// The number of bytes that a block shares with the one before it.
const OVERLAP: u32 = 2;
const STRIDE: usize = BLOCK - OVERLAP as usize;
/// The bytes of a block that were not in the one before it.
const NEW: u64 = !0 << OVERLAP;
/// The bytes of a block that come after its first one.
const LATER: u64 = !0 << 1;

/// One if the byte with which the next block begins is one of these, else zero.
#[inline(always)]
fn carried(bytes: u64) -> u64 {
    bytes >> (64 - OVERLAP) & 1
}

/// The length of the container at the beginning of these bytes, which may be nested up to `room` deep, itself included.
pub(super) fn checked(bytes: &[u8], room: usize) -> Scan<usize> {
    machine::dispatch(CheckContainer { bytes, room })
}

#[derive(Clone)]
pub(super) struct CheckContainer<'d> {
    pub(super) bytes: &'d [u8],
    pub(super) room: usize,
}

impl Task for CheckContainer<'_> {
    type Output = Scan<usize>;

    #[inline(always)]
    fn run(self, machine: impl Machine) -> Scan<usize> {
        let mut outer = [0; OUTER];
        let mut check = Check::new(machine, self.bytes, Open::new(self.room, &mut outer));
        let end = check.end()?;
        // Outside of strings, the grammar rejects bytes that are not ASCII. In strings, they have to be UTF-8.
        if machine.has_non_ascii(check.seen) && std::str::from_utf8(&self.bytes[..end]).is_err() {
            return Err(Invalid);
        }
        Ok(end)
    }
}

/// Finds the bytes after tokens of one kind, across blocks.
#[derive(Clone, Copy, Debug, Default)]
struct After {
    /// One if the first byte of the next block is a blank and belongs to the blanks after such a token.
    blank: u64,
}

impl After {
    /// The next bytes after these that are not blanks.
    #[inline(always)]
    fn past<const BLANKS: bool>(&mut self, tokens: u64, blanks: u64) -> u64 {
        let next = tokens << 1;
        if !BLANKS {
            return next;
        }
        let next = next | self.blank;
        // A one at the beginning of a run of blanks carries through the run, to the byte after it.
        let sum = (next & blanks).wrapping_add(blanks);
        self.blank = carried(blanks & !sum);
        (next | sum) & !blanks
    }
}

/// The state before a block. Only inlined functions take a reference to it, so that its members are in registers.
#[derive(Debug)]
struct Check<'d, 'o, M: Machine> {
    machine: M,
    bytes: &'d [u8],
    /// The bitwise "or" of all blocks with rare bytes so far.
    seen: M::Block,
    strings: Strings<OVERLAP>,
    open: Open<'o>,
    /// The bytes of the block that were in no block before. The first byte of the container counts as if it had been.
    new: u64,
    /// Commas and opening brackets.
    begun: After,
    colons: After,
    after_keys: After,
    /// One if the first byte belongs to a key or ends it.
    key: u64,
    /// One if the first byte belongs to a number and comes after its point. May be one if it is the point.
    fraction: u64,
}

/// The bytes of a block by their meaning.
#[derive(Clone, Copy, Debug)]
struct Tokens {
    /// From opening quotes to before closing ones. The bytes below `ends` are outside of these.
    strings: u64,
    /// The opening quotes.
    starts: u64,
    /// The closing quotes.
    ends: u64,
    commas: u64,
    colons: u64,
    opening: u64,
    closing: u64,
    blanks: u64,
}

/// What is known of the containers of a block.
#[derive(Clone, Copy, Debug)]
struct Brackets {
    /// The bytes whose innermost container is an object.
    objects: u64,
    /// The new bytes, up to the end of the whole container.
    seen: u64,
}

/// What is known of the numbers of a block.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    starts: u64,
    /// Bytes that no number has here.
    bad: u64,
    /// Bytes of scalars that no plain number contains.
    irregular: u64,
}

impl<'d, 'o, M: Machine> Check<'d, 'o, M> {
    #[inline(always)]
    fn new(machine: M, bytes: &'d [u8], open: Open<'o>) -> Self {
        let none = After::default();
        Self {
            machine,
            bytes,
            seen: machine.block(&[0; BLOCK]),
            strings: Strings::default(),
            open,
            new: LATER,
            begun: none,
            colons: none,
            after_keys: none,
            key: 0,
            fraction: 0,
        }
    }

    /// The offset after the container.
    #[inline(always)]
    fn end(&mut self) -> Scan<usize> {
        self.open.push(self.bytes.first() == Some(&b'{'))?;
        let mut base = 0;
        let mut rest = self.bytes;
        while let Some(block) = rest.first_chunk() {
            if let Some(end) = self.block(block, base)? {
                return Ok(end);
            }
            base += STRIDE;
            rest = &rest[STRIDE..];
            self.new = NEW;
        }
        // After the end of the container, any bytes will do. These are regular. They close a container that the document does not.
        let mut last = [b']'; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.block(&last, base)?.filter(|&end| end <= self.bytes.len()).ok_or(Invalid)
    }

    /// The offset after the container, if it ends in this block.
    #[inline(always)]
    fn block(&mut self, bytes: &[u8; BLOCK], base: usize) -> Scan<Option<usize>> {
        let machine = self.machine;
        let block = machine.block(bytes);
        let mut quotes = machine.equal(block, b'"');
        let strings;
        if machine.has_rare(block) || self.strings.escaped != 0 {
            self.seen = machine.or(self.seen, block);
            let escapes = self.strings.escapes(machine.equal(block, b'\\'));
            quotes &= !escapes.escaped;
            strings = self.strings.inside(machine.parity(quotes));
            if machine.within(block, 0, 0x1F) & strings | machine.within(block, 0x80, 0xFF) & !strings != 0 {
                return Err(Invalid);
            }
            self.escapes(escapes.escaping & strings, base)?;
        } else {
            strings = self.strings.inside(machine.parity(quotes));
        }
        // The bytes in strings and the quotes that end them follow other rules.
        if let Some(Adjacent { irregular, begins }) = machine.adjacent(block)
            && irregular & LATER & !(strings ^ quotes) == 0
        {
            return self.regular(block, bytes, base, strings, quotes, begins);
        }
        let outside = |bytes| bytes & !strings;
        // A brace and the bracket of the same direction differ in one bit.
        let lower = machine.lower(block);
        let mut tokens = Tokens {
            strings,
            starts: quotes & strings,
            ends: quotes & !strings,
            commas: outside(machine.equal(block, b',')),
            colons: outside(machine.equal(block, b':')),
            opening: outside(machine.equal(lower, b'{')),
            closing: outside(machine.equal(lower, b'}')),
            blanks: 0,
        };
        let Tokens { ends, commas, colons, opening, closing, .. } = tokens;
        // Sums of disjoint words, which the compiler would otherwise find once more from the bytes.
        let others = !(strings | ends | commas | colons | opening.wrapping_add(closing));
        // Many documents have no blanks but in strings, so they are looked for only where something is no number.
        let (numbers, fraction) = self.numbers(block, others);
        if numbers.irregular != 0 {
            let is = |byte| machine.equal(block, byte);
            tokens.blanks = others & (is(b' ') | is(b'\n') | is(b'\r') | is(b'\t'));
            if tokens.blanks != 0 {
                let (numbers, fraction) = self.numbers(block, others & !tokens.blanks);
                if numbers.irregular != 0 {
                    check_irregular(self.bytes, numbers.irregular, base)?;
                }
                self.fraction = fraction;
                return self.grammar::<true>(block, bytes, base, tokens, others & !tokens.blanks, numbers);
            }
            check_irregular(self.bytes, numbers.irregular, base)?;
        }
        self.fraction = fraction;
        self.grammar::<false>(block, bytes, base, tokens, others, numbers)
    }

    /// Checks a block without blanks, words and exponents, of which all adjacent bytes are right. What is left are brackets, keys, and
    /// numbers with two points.
    #[inline(always)]
    fn regular(
        &mut self,
        block: M::Block,
        bytes: &[u8; BLOCK],
        base: usize,
        strings: u64,
        quotes: u64,
        begins: u64,
    ) -> Scan<Option<usize>> {
        let machine = self.machine;
        let outside = |bytes| bytes & !strings;
        let lower = machine.lower(block);
        let (opening, closing) = (outside(machine.equal(lower, b'{')), outside(machine.equal(lower, b'}')));
        // A slash is irregular, so these are digits and points.
        let numbers = outside(machine.within(block, b'.', b'9'));
        let Brackets { objects, seen } = self.brackets(block, bytes, opening, closing)?;

        if numbers == !0 {
            check_long(self.bytes, base)?;
        }
        // A one at a point carries through the rest of the number, to the byte after it, and leaves zeros but at another point.
        let points = outside(machine.equal(block, b'.'));
        let sum = numbers.wrapping_add(points | self.fraction);
        self.fraction = carried(numbers & !sum);

        let (starts, ends) = (quotes & strings, quotes & !strings);
        let in_object = outside(begins) << 1 & objects;
        let after_keys = self.key_ends(strings, starts & in_object, ends) << 1;
        let colons = outside(machine.equal(block, b':'));
        let bad = in_object & !(starts | closing) | colons ^ after_keys | points & sum;
        if bad & seen != 0 { Err(Invalid) } else { Ok(self.end_in(seen, base)) }
    }

    #[inline(always)]
    fn grammar<const BLANKS: bool>(
        &mut self,
        block: M::Block,
        bytes: &[u8; BLOCK],
        base: usize,
        tokens: Tokens,
        scalars: u64,
        numbers: Numbers,
    ) -> Scan<Option<usize>> {
        let Tokens { strings, starts, ends, commas, colons, opening, closing, blanks } = tokens;
        // The largest f64 is 1.8e308: a number beyond it has at least 309 digits, hence three such blocks in a row.
        if scalars == !0 {
            check_long(self.bytes, base)?;
        }

        let Brackets { objects, seen } = self.brackets(block, bytes, opening, closing)?;
        let begun = self.begun.past::<BLANKS>(commas | opening, blanks);
        let values_may = self.colons.past::<BLANKS>(colons, blanks) | begun;
        let in_object = begun & objects;
        let key_ends = self.key_ends(strings, starts & in_object, ends);
        let after_key = self.after_keys.past::<BLANKS>(key_ends, blanks);
        let others = opening | numbers.starts;
        let bad = (starts | others) & !values_may
            | others & in_object
            | commas & values_may
            | colons ^ after_key
            | numbers.bad;
        if bad & seen != 0 {
            return Err(Invalid);
        }
        let early = closing & values_may & seen;
        if early != 0 {
            check_empty(self.bytes, early, base)?;
        }
        Ok(self.end_in(seen, base))
    }

    /// Checks that brackets pair, and opens and closes containers.
    #[inline(always)]
    fn brackets(
        &mut self,
        block: M::Block,
        bytes: &[u8; BLOCK],
        opening: u64,
        closing: u64,
    ) -> Scan<Brackets> {
        let (opening, closing) = (opening & self.new, closing & self.new);
        // The bytes whose innermost container is an object.
        let mut objects = if self.open.is_object() { !0 } else { 0 };
        let mut brackets = opening | closing;
        let mut seen = self.new;
        // Most brackets of large documents are those of arrays in an array, or of objects in an array without other containers.
        if brackets != 0 {
            let braces = self.machine.is_lower(block) & brackets;
            if braces == 0 {
                if self.open.arrays(opening.count_ones(), closing.count_ones()) {
                    brackets = 0;
                }
            } else if braces == brackets {
                // If they open and close by turns, these are the bytes from opening brackets to before closing ones: the
                // difference of two bits has those from the lower to before the upper one.
                let inside = closing.wrapping_sub(opening).wrapping_add(objects);
                let after = inside << 1 | objects & 1;
                let by_turns = inside ^ after == brackets && inside & brackets == opening;
                if by_turns && self.open.siblings(inside >> 63 == 1) {
                    objects = after;
                    brackets = 0;
                }
            }
        }
        while brackets != 0 {
            let place = brackets.trailing_zeros();
            let byte = bytes[place as usize % BLOCK];
            // One bit distinguishes braces from brackets, another one opening from closing.
            let (object, opens) = (byte & 0x20 != 0, byte & 2 != 0);
            let before = self.open.is_object();
            if opens {
                self.open.push(object)?;
            } else if before != object {
                return Err(Invalid);
            } else if self.open.pop() {
                seen = self.new & !(!1 << place);
                break;
            }
            let changed = u64::from(self.open.is_object() != before);
            objects ^= changed.wrapping_neg() & !1 << place;
            brackets &= brackets - 1;
        }
        Ok(Brackets { objects, seen })
    }

    /// The offset after the whole container, if it is closed: after the last byte seen.
    #[inline(always)]
    fn end_in(&self, seen: u64, base: usize) -> Option<usize> {
        (self.open.depth == 0).then(|| base + BLOCK - seen.leading_zeros() as usize)
    }

    /// The closing quotes of keys. `starts` are the opening quotes of the keys that begin in this block.
    #[inline(always)]
    fn key_ends(&mut self, strings: u64, starts: u64, ends: u64) -> u64 {
        // A one at the beginning of a string carries through it, to its end.
        let sum = strings.wrapping_add(starts | self.key);
        let key_ends = sum & ends;
        self.key = carried(strings & !sum | key_ends);
        key_ends
    }

    /// Looks at the numbers of these bytes. Returns the next state of `fraction`, too.
    #[inline(always)]
    fn numbers(&self, block: M::Block, scalars: u64) -> (Numbers, u64) {
        let machine = self.machine;
        let is = |byte| machine.equal(block, byte);
        let digits = machine.within(block, b'0', b'9') & scalars;
        let points = is(b'.') & scalars;
        let starts = scalars & !(scalars << 1) & LATER;
        // A sign at the first byte is irregular, since it could belong to an exponent.
        let signs = is(b'-') & starts;
        let (after_sign, after_point) = (signs << 1, points << 1);
        let leading_zeros = is(b'0') & (starts | after_sign);
        let after_zero = leading_zeros << 1;
        // A one at the beginning of a run of digits carries through it, to the byte after it.
        let after_fraction = digits.wrapping_add(after_point | self.fraction);
        let fraction = carried(digits & !after_fraction);
        let bad = (after_sign | after_point) & !digits
            | after_zero & digits
            // The terms above find a point after a sign or point; after any other byte, the number is irregular.
            | points & (starts | after_fraction);
        (Numbers { starts, bad, irregular: scalars & !(digits | points | signs) }, fraction)
    }

    /// Checks the escapes that begin with these backslashes.
    #[inline(always)]
    fn escapes(&mut self, mut escaping: u64, base: usize) -> Scan<()> {
        while escaping != 0 {
            let place = base + escaping.trailing_zeros() as usize;
            self.strings.escape(self.bytes, place)?;
            escaping &= escaping - 1;
        }
        Ok(())
    }
}

/// Checks that these closing brackets, which come where a value may, come directly after an opening one.
#[inline(never)]
fn check_empty(bytes: &[u8], mut early: u64, base: usize) -> Scan<()> {
    while early != 0 {
        let before = &bytes[..base + early.trailing_zeros() as usize];
        let last = before.iter().rfind(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        if !matches!(last, Some(b'[' | b'{')) {
            return Err(Invalid);
        }
        early &= early - 1;
    }
    Ok(())
}

/// Checks the number that fills the block at this offset, if it fills the two blocks before it, too, but not the one before these.
#[cold]
#[inline(never)]
fn check_long(bytes: &[u8], base: usize) -> Scan<()> {
    let filled = |blocks: usize| {
        let from = base.checked_sub(blocks * STRIDE);
        from.is_some_and(|from| bytes[from..base].iter().all(is_scalar))
    };
    if filled(2) && !filled(3) { scalar_at(bytes, base).map(drop) } else { Ok(()) }
}

/// Whether a byte outside of strings belongs to a number or word, or to none of the tokens of JSON.
fn is_scalar(byte: &u8) -> bool {
    !matches!(byte, b'"' | b',' | b':' | b'[' | b']' | b'{' | b'}' | b' ' | b'\n' | b'\r' | b'\t')
}

/// Checks the scalars that contain these bytes, which no plain number contains.
#[cold]
#[inline(never)]
fn check_irregular(bytes: &[u8], mut irregular: u64, base: usize) -> Scan<()> {
    while irregular != 0 {
        let end = scalar_at(bytes, base + irregular.trailing_zeros() as usize)?;
        irregular &= (!0_u64).checked_shl((end - base) as u32).unwrap_or(0);
    }
    Ok(())
}

/// Checks the scalar around an offset and returns its end.
#[inline(never)]
fn scalar_at(bytes: &[u8], at: usize) -> Scan<usize> {
    let start = bytes[..at].iter().rposition(|byte| !is_scalar(byte)).map_or(0, |before| before + 1);
    let end = match bytes.get(start) {
        Some(b'n') => scalar::word(bytes, start, b"null")?,
        Some(b't') => scalar::word(bytes, start, b"true")?,
        Some(b'f') => scalar::word(bytes, start, b"false")?,
        _ => scalar::any_number(bytes, start)?,
    };
    if bytes.get(end).is_some_and(is_scalar) { Err(Invalid) } else { Ok(end) }
}
