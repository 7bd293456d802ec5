//! Operators of other languages and their native equivalents, for help lines.

use crate::json::{Kind, Node};

/// Operator of another language, help line.
const FOREIGN: [(&str, &str); 34] = [
    ("$eq", "write the literal itself: {\"field\": \"value\"}"),
    ("$ne", "write {\"$anythingBut\": value}"),
    ("$neq", "write {\"$anythingBut\": value}"),
    ("$in", "write the array itself: {\"field\": [\"a\", \"b\"]}"),
    ("$nin", "write {\"$anythingBut\": [\"a\", \"b\"]}"),
    ("$notIn", "write {\"$anythingBut\": [\"a\", \"b\"]}"),
    ("$elemMatch", "write {\"$some\": …}"),
    ("$any", "write {\"$some\": …} for elements of an array; an array of conditions already is any-of"),
    ("$like", "write {\"$wildcard\": \"a*\"}"),
    ("$glob", "write {\"$wildcard\": \"a*\"}"),
    ("$match", "write {\"$regex\": \"…\"}"),
    ("$pattern", "write {\"$regex\": \"…\"}"),
    ("$prefix", "write {\"$startsWith\": \"…\"}"),
    ("$suffix", "write {\"$endsWith\": \"…\"}"),
    ("$length", "write {\"$size\": …}"),
    ("$len", "write {\"$size\": …}"),
    ("$range", "write {\"$between\": [low, high]}"),
    ("$greaterThan", "write {\"$gt\": …}"),
    ("$lessThan", "write {\"$lt\": …}"),
    ("$ge", "write {\"$gte\": …}"),
    ("$le", "write {\"$lte\": …}"),
    ("$null", "write null, or {\"$isNull\": true}"),
    ("$anyOf", "an array already is any-of; for filters write $or"),
    ("$allOf", "a matcher's operators all have to hold; for conditions write $all, for filters $and"),
    ("$noneOf", "write $none for conditions, $nor for filters"),
    ("prefix", "write {\"$startsWith\": \"…\"}, or compile it in the event-bridge dialect"),
    ("suffix", "write {\"$endsWith\": \"…\"}, or compile it in the event-bridge dialect"),
    ("equals-ignore-case", "write {\"$ignoreCaseEquals\": \"…\"}, or compile it in the event-bridge dialect"),
    ("anything-but", "write {\"$anythingBut\": …}, or compile it in the event-bridge dialect"),
    ("numeric", "write $gt, $gte, $lt, $lte or $between, or compile it in the event-bridge dialect"),
    ("exists", "write {\"$exists\": …}, or compile it in the event-bridge dialect"),
    ("wildcard", "write {\"$wildcard\": \"…\"}, or compile it in the event-bridge dialect"),
    ("cidr", "write {\"$cidr\": \"…\"}, or compile it in the event-bridge dialect"),
    ("exactly", "write the string itself, or compile it in the event-bridge dialect"),
];

/// The help line for an operator of another language with its argument.
pub(super) fn translation(name: &str, argument: &Node) -> Option<&'static str> {
    let null = |node: &Node| node.kind == Kind::Null;
    let only_null = match &argument.kind {
        Kind::Array(items) => !items.is_empty() && items.iter().all(null),
        _ => null(argument),
    };
    // `$anythingBut` also holds for a missing field; "not null" in other languages does not.
    if only_null && matches!(name, "$ne" | "$neq" | "$nin" | "$notIn") {
        return Some("write {\"$exists\": true, \"$isNull\": false}");
    }
    FOREIGN.iter().find(|(foreign, _)| *foreign == name).map(|(_, help)| *help)
}
