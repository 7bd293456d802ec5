//! The texts that operators hold for, as the literal pieces between runs of any characters.

use std::borrow::Cow;

use memchr::memmem;

use crate::ops::{Chars, Leaf, Literal, Wildcard, fold_into};

/// Texts that begin with the first piece, end with the last, and have the others in between, in this order. One piece is a whole
/// text.
pub(super) struct Texts<'l> {
    pieces: Vec<Cow<'l, [u8]>>,
    /// Whether letter case does not count; then the pieces are folded.
    folded: bool,
}

const ANY: Cow<'static, [u8]> = Cow::Borrowed(b"");

impl<'l> Texts<'l> {
    /// The texts of an operator; `None` if they have no such form.
    pub(super) fn of(leaf: &'l Leaf) -> Option<Self> {
        let piece = |text: &'l str| Cow::Borrowed(text.as_bytes());
        let (pieces, folded) = match leaf {
            Leaf::Equals(Literal::String(text)) => (vec![piece(text)], false),
            Leaf::StartsWith(text) => (vec![piece(text), ANY], false),
            Leaf::EndsWith(text) => (vec![ANY, piece(text)], false),
            Leaf::Contains(part) => (vec![ANY, piece(part.text()), ANY], false),
            Leaf::Wildcard(pattern) => (pieces(pattern), false),
            Leaf::FoldedEquals(text) => (vec![piece(text.folded())], true),
            Leaf::FoldedPrefix(text) => (vec![piece(text.folded()), ANY], true),
            Leaf::FoldedSuffix(text) => (vec![ANY, piece(text.folded())], true),
            Leaf::FoldedSearch(search) => match search.searched() {
                Ok(part) => (vec![ANY, piece(part), ANY], true),
                Err(pattern) => (pieces(pattern), true),
            },
            _ => return None,
        };
        Some(Self { pieces, folded })
    }

    /// Whether all of these texts are among the others.
    pub(super) fn is_within(&self, others: &Self) -> bool {
        if self.folded && !others.folded {
            return false;
        }
        let own = self.folded_as(others.folded);
        let ([first, .., last] | [first @ last]) = &*own else { return false };
        let (prefix, middle, suffix) = match &*others.pieces {
            [whole] => return own.len() == 1 && first == whole,
            [prefix, middle @ .., suffix] => (prefix, middle, suffix),
            [] => return false,
        };
        let Some(mut beginning) = first.strip_prefix(&**prefix) else { return false };
        // The pieces in which the others' middle ones are looked for.
        let mut rest: Vec<&[u8]> = Vec::new();
        if own.len() == 1 {
            let Some(inside) = beginning.strip_suffix(&**suffix) else { return false };
            beginning = inside;
        } else {
            let Some(end) = last.strip_suffix(&**suffix) else { return false };
            rest.push(end);
            rest.extend(own[1..own.len() - 1].iter().rev().map(|piece| &**piece));
        }
        // The leftmost occurrence leaves the most room.
        middle.iter().all(|piece| {
            loop {
                if let Some(at) = memmem::find(beginning, piece) {
                    beginning = &beginning[at + piece.len()..];
                    return true;
                }
                match rest.pop() {
                    Some(next) => beginning = next,
                    None => return false,
                }
            }
        })
    }

    /// Whether a text cannot be among both, by its beginning or its end.
    pub(super) fn is_disjoint_with(&self, others: &Self) -> bool {
        let folded = self.folded || others.folded;
        let (own, others) = (self.folded_as(folded), others.folded_as(folded));
        let ([a, .., x] | [a @ x], [b, .., y] | [b @ y]) = (&*own, &*others) else { return false };
        if own.len() == 1 && others.len() == 1 {
            return a != b;
        }
        let differ = |a: &[u8], b: &[u8]| a.iter().zip(b).any(|(a, b)| a != b);
        let ends_differ = |a: &[u8], b: &[u8]| a.iter().rev().zip(b.iter().rev()).any(|(a, b)| a != b);
        differ(a, b) || ends_differ(x, y)
    }

    /// The pieces, folded if asked for.
    fn folded_as(&self, folded: bool) -> Vec<Cow<'_, [u8]>> {
        let fold = |piece: &'_ Cow<'l, [u8]>| {
            let mut folded = Vec::with_capacity(piece.len());
            // Pieces are whole characters.
            fold_into(Chars::Bytes(piece), &mut folded);
            folded
        };
        match folded && !self.folded {
            true => self.pieces.iter().map(|piece| Cow::Owned(fold(piece))).collect(),
            false => self.pieces.iter().map(|piece| Cow::Borrowed(&**piece)).collect(),
        }
    }
}

/// The literal pieces of a wildcard.
fn pieces(pattern: &Wildcard) -> Vec<Cow<'_, [u8]>> {
    let mut pieces: Vec<&[u8]> = Vec::new();
    match pattern.prefix_and_suffix() {
        Some((prefix, suffix)) => {
            pieces.push(prefix.as_bytes());
            pieces.extend(pattern.middle());
            pieces.push(suffix.as_bytes());
        }
        None => pieces.extend(pattern.whole().map(str::as_bytes)),
    }
    pieces.into_iter().map(Cow::Borrowed).collect()
}
