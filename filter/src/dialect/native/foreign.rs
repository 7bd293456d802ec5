//! Operators of other languages and their native equivalents, for help lines.

use super::super::Dialect;
use super::super::lookalike::short;
use super::super::operators::find;
use super::super::translate::{self, one};
use crate::json::{Kind, Node};

/// Operators of other languages, help line. Where the argument is a fitting one, [`translate`] is more exact.
const FOREIGN: [(&[&str], &str); 31] = [
    (&["$ne", "$neq"], "write {\"$anythingBut\": value}"),
    (&["$in"], "write the array itself: {\"field\": [\"a\", \"b\"]}"),
    (&["$nin", "$notIn"], "write {\"$anythingBut\": [\"a\", \"b\"]}"),
    (&["$elemMatch"], "write {\"$some\": …}"),
    (&["$any"], "write {\"$some\": …} for elements of an array; an array of conditions already is any-of"),
    (&["$like", "$glob"], "write {\"$wildcard\": \"a*\"}"),
    (&["$match", "$pattern"], "write {\"$regex\": \"…\"}"),
    (&["$prefix"], "write {\"$startsWith\": \"…\"}"),
    (&["$suffix"], "write {\"$endsWith\": \"…\"}"),
    (&["$length", "$len"], "write {\"$size\": …}"),
    (&["$range"], "write {\"$between\": [low, high]}"),
    (&["$greaterThan"], "write {\"$gt\": …}"),
    (&["$lessThan"], "write {\"$lt\": …}"),
    (&["$ge"], "write {\"$gte\": …}"),
    (&["$le"], "write {\"$lte\": …}"),
    (&["$null"], "write null, or {\"$isNull\": true}"),
    (&["$anyOf"], "an array already is any-of; for filters write $or"),
    (&["$allOf"], "a matcher's operators all have to hold; for conditions write $all, for filters $and"),
    (&["$noneOf"], "write $none for conditions, $nor for filters"),
    (&["$expr"], "to compare two fields write {\"a\": {\"$gt\": {\"$ref\": \"/b\"}}}"),
    (&["$date"], "a time is a text: {\"$after\": \"2026-01-31T09:00:00Z\"}"),
    (&["$type"], "each operator holds only for values of its own type; no operator asks for the type alone"),
    (&["prefix"], "write {\"$startsWith\": \"…\"}, or compile it in the event-bridge dialect"),
    (&["suffix"], "write {\"$endsWith\": \"…\"}, or compile it in the event-bridge dialect"),
    (
        &["equals-ignore-case"],
        "write {\"$ignoreCaseEquals\": \"…\"}, or compile it in the event-bridge dialect",
    ),
    (&["anything-but"], "write {\"$anythingBut\": …}, or compile it in the event-bridge dialect"),
    (&["numeric"], "write $gt, $gte, $lt, $lte or $between, or compile it in the event-bridge dialect"),
    (&["exists"], "write {\"$exists\": …}, or compile it in the event-bridge dialect"),
    (&["wildcard"], "write {\"$wildcard\": \"…\"}, or compile it in the event-bridge dialect"),
    (&["cidr"], "write {\"$cidr\": \"…\"}, or compile it in the event-bridge dialect"),
    (&["exactly"], "write the string itself, or compile it in the event-bridge dialect"),
];

/// The help line for an operator of another language with its argument.
pub(super) fn translation(name: &str, argument: &Node) -> Option<String> {
    if let Some(condition) =
        special(name, argument).or_else(|| translate::condition(Dialect::Native, name, argument))
    {
        return Some(translate::advice(&condition));
    }
    if name == "$date"
        && let Some(time) = translate::time(argument)
    {
        return Some(format!("a time is a text: write {{\"$after\": {time}}}, or $before"));
    }
    if matches!(name, "$options" | "$flags") {
        let help = "write letter case as {\"$ignoreCase\": {\"$regex\": \"a\"}}, other flags as (?s) in the expression";
        return Some(help.to_owned());
    }
    FOREIGN.iter().find(|(names, _)| names.contains(&name)).map(|(_, help)| (*help).to_owned())
}

/// The native condition for an operator that [`translate`] does not know, with its argument.
fn special(name: &str, argument: &Node) -> Option<String> {
    match (name, &argument.kind) {
        ("$ref", Kind::String(pointer)) if pointer.starts_with('/') => {
            Some(one("$eq", one("$ref", short(argument)?)))
        }
        ("$elemMatch" | "$any", Kind::Object(_)) => Some(one("$some", short(argument)?)),
        ("$ne" | "$neq", Kind::Object(members))
            if !members.is_empty() && members.iter().all(|member| find(&member.key).is_some()) =>
        {
            Some(one("$anythingBut", short(argument)?))
        }
        // `_`, any one character, has no counterpart.
        ("$like", Kind::String(pattern)) if !pattern.contains('_') && pattern.len() <= 60 => {
            let pattern = pattern.replace('\\', "\\\\").replace('*', "\\*").replace('%', "*");
            Some(one("$wildcard", translate::quoted(&pattern)))
        }
        ("$length" | "$len", Kind::Number(_)) => Some(one("$size", short(argument)?)),
        ("$type", Kind::String(name)) => Some(
            match name.to_ascii_lowercase().as_str() {
                "string" => "{\"$startsWith\": \"\"}",
                "array" => "{\"$size\": {\"$gte\": 0}}",
                "bool" | "boolean" => "[true, false]",
                "null" => "null",
                "number" | "int" | "integer" | "long" | "double" | "decimal" => {
                    "{\"$between\": [-1.7976931348623157e308, 1.7976931348623157e308]}"
                }
                _ => return None,
            }
            .to_owned(),
        ),
        ("$expr", Kind::Object(members)) => {
            let [comparison] = members.as_slice() else { return None };
            let Kind::Array(sides) = &comparison.value.kind else { return None };
            let [a, b] = sides.as_slice() else { return None };
            let negated = comparison.key == "$ne";
            let operator = if negated { "$eq" } else { comparison.key.as_str() };
            if !matches!(operator, "$eq" | "$gt" | "$gte" | "$lt" | "$lte") {
                return None;
            }
            let (Kind::String(a), Kind::String(b)) = (&a.kind, &b.kind) else { return None };
            let path =
                |path: &'_ str| path.strip_prefix('$').filter(|path| is_plain_path(path)).map(str::to_owned);
            let pointer = format!("/{}", path(b)?.replace('.', "/"));
            let test = one(operator, one("$ref", translate::quoted(&pointer)));
            let test = if negated { one("$anythingBut", test) } else { test };
            Some(path(a)?.split('.').rev().fold(test, |inside, name| one(name, inside)))
        }
        _ => None,
    }
}

fn is_plain_path(path: &str) -> bool {
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    path.len() <= 60 && path.split('.').all(plain)
}
