//! Which byte may directly follow which, outside of strings and without blanks.
//!
//! Of two adjacent bytes, each has a set of bits in a table, and a bit in both sets means that JSON has no such pair. So one lookup
//! for the first byte, one for the second and an "and" check what is otherwise an expression over words for each rule. The method
//! is that of UTF-8 validation by Keiser and Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte" (2021), with whole
//! bytes in place of half ones. A number may not begin with a zero and another digit, which takes the byte before the pair, too.
//!
//! A table has an entry for each value of the lower six bits, by which all bytes of JSON's grammar differ. The entry also says which
//! seventh bit the byte of the grammar has. Bytes with the eighth bit are not ASCII; the caller knows that they are in strings.

/// The answer of a machine about a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adjacent {
    /// Bytes that may not follow the byte before them, bytes other than brackets, commas, colons, quotes, digits, points and signs,
    /// or the bytes directly after those. Right for bytes outside of strings and opening quotes, but for the first byte.
    pub(super) irregular: u64,
    /// Commas and opening brackets, and other bytes that are irregular or in strings.
    pub(super) begins: u64,
}

/// The bytes of the grammar but blanks and words.
const GRAMMAR: &[u8] = b"\"{}[],:-.0123456789";

/// The rules: none of these bytes is followed by any of those. Each byte is in a rule on either side.
const RULES: [(&[u8], &[u8]); 6] = [
    (b"\"}]{", b"{[-.0123456789"),
    (b"\"}]-.0123456789", b"\"{[-"),
    (b"{[,:-.", b",."),
    (b",:-.", b"}]"),
    (b"{[,:}]-.0123456789", b":"),
    // A zero that begins a number.
    (b"0", b"0123456789"),
];

/// The bit of the rule that holds only where no number contains the byte before the pair.
const LEADING_ZERO: u8 = 1 << 5;
/// The bits of all rules.
const ALL: u8 = (1 << RULES.len()) - 1;
/// The bit that the byte itself has.
pub(super) const SEVENTH: u8 = 1 << 6;
/// The bit of commas and opening brackets.
const BEGINS: u8 = 1 << 7;

pub(super) type Table = [u8; 64];

/// For the byte before the first of a pair.
pub(super) const BEFORE: Table = marked([ALL | SEVENTH; 64], b".0123456789", LEADING_ZERO);

/// For the first byte of a pair.
pub(super) const FIRST: Table = {
    let mut table = marked([ALL | SEVENTH; 64], GRAMMAR, ALL);
    let mut rule = 0;
    while rule < RULES.len() {
        table = marked(table, RULES[rule].0, 1 << rule);
        rule += 1;
    }
    table
};

/// For the second byte of a pair.
pub(super) const SECOND: Table = {
    let mut table = marked([ALL; 64], GRAMMAR, ALL);
    let mut rule = 0;
    while rule < RULES.len() {
        table = marked(table, RULES[rule].1, 1 << rule);
        rule += 1;
    }
    marked(marked(table, b"{}[]", SEVENTH), b"{[,", BEGINS)
};

/// The table with bits flipped for each of these bytes.
const fn marked(mut table: Table, bytes: &[u8], bits: u8) -> Table {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize % 64] ^= bits;
        at += 1;
    }
    table
}
