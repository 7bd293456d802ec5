//! Which operators have no value in common.

use super::texts::Texts;
use crate::ops::{Chars, Cidr, Leaf, Literal, View};

/// Whether all addresses of one block are in another one. A mapped address in a block of IPv6 is in those of IPv4 too.
pub(super) fn is_inside(inner: &Cidr, outer: &Cidr) -> bool {
    inner.is_ipv4() == outer.is_ipv4()
        && inner.prefix() >= outer.prefix()
        && Cidr::around(inner.first(), outer.is_ipv4(), outer.prefix()).is_some_and(|block| block == *outer)
}

/// Whether no text satisfies both operators.
pub(super) fn are_disjoint(left: &Leaf, right: &Leaf) -> bool {
    match (left, right) {
        (Leaf::Cidr(a), Leaf::Cidr(b)) => a.is_ipv4() == b.is_ipv4() && !is_inside(a, b) && !is_inside(b, a),
        (Leaf::Time(a), Leaf::Time(b)) => {
            let (after, before) = if a.after { (a, b) } else { (b, a) };
            after.after && !before.after && after.at >= before.at
        }
        (Leaf::IgnoreCase(a), Leaf::IgnoreCase(b)) => !a.equals(Chars::Str(b.text())),
        (Leaf::Equals(Literal::String(text)), other) | (other, Leaf::Equals(Literal::String(text))) => {
            !other.holds(View::String(Chars::Str(text)))
        }
        _ => match (Texts::of(left), Texts::of(right)) {
            (Some(left), Some(right)) => left.is_disjoint_with(&right),
            _ => false,
        },
    }
}
