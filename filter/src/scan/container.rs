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
//! container. The former is a shift ([`After`]); the latter is a loop over the brackets, or the parity of braces where objects of
//! one array follow each other. Rare tokens are checked byte by byte: escapes, words, exponents, very long numbers.

use super::lanes::BLOCK;
use super::machine::{self, Machine, Task};
use super::scalar;
use super::strings::Strings;
use super::{Invalid, Scan};
use crate::limits::Limits;

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
    /// One if the first byte of the next block comes after such a token.
    carry: u64,
}

impl After {
    /// The bytes directly after these.
    #[inline(always)]
    fn next(&mut self, tokens: u64) -> u64 {
        let next = tokens << 1 | self.carry;
        self.carry = tokens >> 63;
        next
    }

    /// The next bytes after these that are not blanks.
    #[inline(always)]
    fn past<const BLANKS: bool>(&mut self, tokens: u64, blanks: u64) -> u64 {
        let next = self.next(tokens);
        if !BLANKS {
            return next;
        }
        // A one at the beginning of a run of blanks carries through the run, to the byte after it.
        let (sum, carry) = (next & blanks).overflowing_add(blanks);
        self.carry |= u64::from(carry);
        (next | sum) & !blanks
    }

    /// The bytes directly after the runs that begin with these.
    #[inline(always)]
    fn run(&mut self, starts: u64, runs: u64) -> u64 {
        let (sum, carry) = runs.overflowing_add(starts | self.carry);
        self.carry = u64::from(carry);
        sum & !runs
    }
}

/// The number of times that [`Open::top`] can be full.
const OUTER: usize = Limits::MAX_DEPTH / 64 + 1;

/// The stack of open containers.
#[derive(Debug)]
struct Open<'o> {
    /// The innermost 64 or fewer, the innermost in the lowest bit: one for an object, zero for an array.
    top: u64,
    /// The value of `top` each time it was full. Not in here, so that the rest can be in registers.
    outer: &'o mut [u64; OUTER],
    depth: usize,
    room: usize,
}

impl<'o> Open<'o> {
    #[inline(always)]
    fn new(room: usize, outer: &'o mut [u64; OUTER]) -> Self {
        Self { top: 0, outer, depth: 0, room: room.min(Limits::MAX_DEPTH) }
    }

    #[inline(always)]
    fn is_object(&self) -> bool {
        self.top & 1 == 1
    }

    #[inline(always)]
    fn push(&mut self, object: bool) -> Scan<()> {
        if self.depth >= self.room {
            return Err(Invalid);
        }
        if self.depth.is_multiple_of(64) {
            self.outer[self.depth / 64] = self.top;
        }
        self.top = self.top << 1 | u64::from(object);
        self.depth += 1;
        Ok(())
    }

    /// Opens and closes objects of one array by turns. `open` is whether one is open at the end. Changes nothing and returns false
    /// if the container around them is no array, or if the room or `outer` would matter.
    #[inline(always)]
    fn siblings(&mut self, open: bool) -> bool {
        let (inside, open) = (self.top & 1, u64::from(open));
        let (array, depth) = (self.top >> inside, self.depth - inside as usize);
        let level = depth % 64;
        if array & 1 == 1 || level == 0 || level == 63 || depth >= self.room {
            return false;
        }
        self.top = array << open | open;
        self.depth = depth + open as usize;
        true
    }

    /// Opens and closes these numbers of arrays, in any order. Changes nothing and returns false if an object could be the innermost
    /// container meanwhile, or if the room or `outer` would matter.
    #[inline(always)]
    fn arrays(&mut self, opened: u32, closed: u32) -> bool {
        let (opened, closed) = (opened as usize, closed as usize);
        let level = self.depth % 64;
        if closed >= level.min(self.top.trailing_zeros() as usize)
            || level + opened >= 64
            || self.depth + opened > self.room
        {
            return false;
        }
        self.top = self.top >> closed << opened;
        self.depth = self.depth + opened - closed;
        true
    }

    /// Closes the innermost container and returns whether none is left.
    #[inline(always)]
    fn pop(&mut self) -> bool {
        self.depth -= 1;
        self.top >>= 1;
        if self.depth.is_multiple_of(64) {
            self.top = self.outer[self.depth / 64];
            return self.depth == 0;
        }
        false
    }
}

/// The state before a block. No function takes a reference to it but those that are inlined, so that its members are in registers.
#[derive(Debug)]
struct Check<'d, 'o, M: Machine> {
    machine: M,
    bytes: &'d [u8],
    /// The bitwise "or" of all blocks so far.
    seen: M::Block,
    strings: Strings,
    open: Open<'o>,
    /// Commas and opening brackets.
    begun: After,
    opened: After,
    colons: After,
    keys: After,
    key_ends: After,
    values: After,
    scalars: After,
    signs: After,
    leading_zeros: After,
    points: After,
    fractions: After,
    /// The number of blocks directly before this one without any byte but those of one number.
    long: usize,
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
            begun: none,
            opened: none,
            // The container begins where a value may, as after a colon.
            colons: After { carry: 1 },
            keys: none,
            key_ends: none,
            values: none,
            scalars: none,
            signs: none,
            leading_zeros: none,
            points: none,
            fractions: none,
            long: 0,
        }
    }

    /// The offset after the container.
    #[inline(always)]
    fn end(&mut self) -> Scan<usize> {
        let (blocks, rest) = self.bytes.as_chunks::<BLOCK>();
        for (index, block) in blocks.iter().enumerate() {
            if let Some(end) = self.block(block, index * BLOCK)? {
                return Ok(end);
            }
        }
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.block(&last, blocks.len() * BLOCK)?.ok_or(Invalid)
    }

    /// The offset after the container, if it ends in this block.
    #[inline(always)]
    fn block(&mut self, bytes: &[u8; BLOCK], base: usize) -> Scan<Option<usize>> {
        let block = self.machine.block(bytes);
        self.seen = self.machine.or(self.seen, block);
        if !self.machine.has_rare(block) && self.strings.escaped == 0 {
            self.grammar::<false>(block, bytes, base)
        } else {
            self.grammar::<true>(block, bytes, base)
        }
    }

    #[inline(always)]
    fn grammar<const RARE: bool>(
        &mut self,
        block: M::Block,
        bytes: &[u8; BLOCK],
        base: usize,
    ) -> Scan<Option<usize>> {
        let machine = self.machine;
        let is = |byte| machine.equal(block, byte);
        let mut quotes = is(b'"');
        let mut blanks = 0;
        let mut escaping = 0;
        if RARE {
            let escapes = self.strings.escapes(is(b'\\'));
            quotes &= !escapes.escaped;
            escaping = escapes.escaping;
            blanks = is(b' ') | is(b'\n') | is(b'\r') | is(b'\t');
        }
        let strings = self.strings.inside(machine.parity(quotes));
        if RARE {
            blanks &= !strings;
            if machine.within(block, 0, 0x1F) & strings != 0 {
                return Err(Invalid);
            }
            self.escapes(escaping & strings, base)?;
        }
        let (starts, ends) = (quotes & strings, quotes & !strings);
        let commas = is(b',') & !strings;
        let colons = is(b':') & !strings;
        // A brace and the bracket of the same direction differ in one bit.
        let lower = machine.lower(block);
        let opening = machine.equal(lower, b'{') & !strings;
        let closing = machine.equal(lower, b'}') & !strings;
        let scalars = !(strings | ends | commas | colons | opening | closing | blanks);
        let (bad_numbers, scalar_starts) = self.numbers(&is, block, scalars, base)?;

        // The bytes whose innermost container is an object.
        let mut objects = if self.open.is_object() { !0 } else { 0 };
        let mut brackets = opening | closing;
        let mut end = None;
        let mut seen = !0;
        // Most brackets of large documents are those of arrays in an array, or of objects in an array without other containers.
        if brackets != 0 {
            let braces = machine.is_lower(block) & brackets;
            if braces == 0 {
                if self.open.arrays(opening.count_ones(), closing.count_ones()) {
                    brackets = 0;
                }
            } else if braces == brackets {
                let inside = machine.parity(brackets) ^ objects;
                let by_turns = opening & !inside | closing & inside == 0;
                if by_turns && self.open.siblings(inside >> 63 == 1) {
                    objects = inside ^ brackets;
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
                end = Some(base + place as usize + 1);
                seen = !(!1 << place);
                break;
            }
            let changed = u64::from(self.open.is_object() != before);
            objects ^= changed.wrapping_neg() & !1 << place;
            brackets &= brackets - 1;
        }

        let begun = self.begun.past::<RARE>(commas | opening, blanks);
        let opened = self.opened.past::<RARE>(opening, blanks);
        let values_may = self.colons.past::<RARE>(colons, blanks) | begun & !objects;
        let keys = starts & begun & objects;
        let key_ends = self.keys.run(keys, strings) & ends;
        let colons_may = self.key_ends.past::<RARE>(key_ends, blanks);
        let value_ends = self.values.past::<RARE>(ends & !key_ends | closing | scalars, blanks);
        let bad = (starts | opening | scalar_starts) & !(values_may | keys)
            | commas & !value_ends
            | closing & !(value_ends | opened)
            | colons & !colons_may
            | bad_numbers;
        if bad & seen == 0 { Ok(end) } else { Err(Invalid) }
    }

    #[inline(always)]
    fn numbers(
        &mut self,
        is: &impl Fn(u8) -> u64,
        block: M::Block,
        scalars: u64,
        base: usize,
    ) -> Scan<(u64, u64)> {
        let digits = self.machine.within(block, b'0', b'9') & scalars;
        let points = is(b'.') & scalars;
        let starts = scalars & !self.scalars.next(scalars);
        let signs = is(b'-') & starts;
        let after_sign = self.signs.next(signs);
        let after_point = self.points.next(points);
        let first = (starts | after_sign) & digits;
        let after_zero = self.leading_zeros.next(is(b'0') & first);
        let after_fraction = self.fractions.run(after_point, digits);
        let bad = (after_sign | after_point) & !digits
            | after_zero & digits
            // The terms above find a point after a sign or point; after any other byte, the number is irregular.
            | points & (starts | after_fraction);
        let irregular = scalars & !(digits | points | signs);
        if irregular != 0 {
            check_irregular(self.bytes, irregular, base)?;
        }
        if scalars == !0 {
            self.long += 1;
            // The largest f64 is 1.8e308: a number beyond it has at least 309 digits, hence three such blocks in a row.
            if self.long == 3 {
                scalar_at(self.bytes, base)?;
            }
        } else {
            self.long = 0;
        }
        Ok((bad, starts))
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
    let is_scalar = |byte: &u8| {
        !matches!(byte, b'"' | b',' | b':' | b'[' | b']' | b'{' | b'}' | b' ' | b'\n' | b'\r' | b'\t')
    };
    let start = bytes[..at].iter().rposition(|byte| !is_scalar(byte)).map_or(0, |before| before + 1);
    let end = match bytes.get(start) {
        Some(b'n') => scalar::word(bytes, start, b"null")?,
        Some(b't') => scalar::word(bytes, start, b"true")?,
        Some(b'f') => scalar::word(bytes, start, b"false")?,
        _ => scalar::any_number(bytes, start)?,
    };
    if bytes.get(end).is_some_and(is_scalar) { Err(Invalid) } else { Ok(end) }
}
