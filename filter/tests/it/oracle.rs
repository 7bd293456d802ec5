//! docs/filter-language.md as naive code: the meaning of a filter, straight from its JSON.
//!
//! It shares no code with the crate, is not optimised, and expects valid filters. Functions have the names and the
//! order of docs/filter-language.md's sections, so that both can be read side by side.

use std::cmp::Ordering;
use std::net::IpAddr;

use serde_json::{Map, Number, Value};

/// A value, or `None` for a missing field.
type Maybe<'v> = Option<&'v Value>;

pub(crate) mod native {
    use super::*;

    /// "Top level: judges the event itself, whatever it is."
    pub(crate) fn filter(filter: &Value, event: &Value) -> bool {
        match filter {
            Value::Array(conditions) => conditions.iter().any(|one| condition(one, Some(event), event)),
            Value::Object(members) if is_matcher(members) => matcher(members, Some(event), event),
            _ => fields(filter, event, event),
        }
    }

    /// "The event itself: null satisfies only `{}`; anything else that is not an object, an array too, is read as an
    /// object without fields."
    fn fields(filter: &Value, event: &Value, root: &Value) -> bool {
        let members = object(filter);
        if event.is_null() {
            return members.is_empty();
        }
        let none = Map::new();
        let fields = event.as_object().unwrap_or(&none);
        members.iter().all(|(key, node)| member(key, node, fields, root))
    }

    fn member(key: &str, value: &Value, fields: &Map<String, Value>, root: &Value) -> bool {
        let whole = Value::Object(fields.clone());
        match key {
            "$or" => array(value).iter().any(|one| self::fields(one, &whole, root)),
            "$and" => array(value).iter().all(|one| self::fields(one, &whole, root)),
            "$nor" => !array(value).iter().any(|one| self::fields(one, &whole, root)),
            _ => node(value, fields.get(key.strip_prefix('$').unwrap_or(key)), root),
        }
    }

    fn node(node: &Value, value: Maybe<'_>, root: &Value) -> bool {
        match node {
            Value::Array(conditions) => conditions.iter().any(|one| condition(one, value, root)),
            Value::Object(members) if !is_matcher(members) => nested(node, value, root),
            _ => condition(node, value, root),
        }
    }

    /// "An object is a matcher when it has keys and all are operators."
    fn is_matcher(members: &Map<String, Value>) -> bool {
        let operator = |key: &String| {
            key.starts_with('$') && !key.starts_with("$$") && !["$or", "$and", "$nor"].contains(&&**key)
        };
        !members.is_empty() && members.keys().all(operator)
    }

    /// "A nested filter on a missing or null field holds only if it is `{}`. On an array it holds if SOME element
    /// matches it. Any other value is read as an object without fields; so are, inside that array, scalars and arrays."
    fn nested(node: &Value, value: Maybe<'_>, root: &Value) -> bool {
        match value {
            None | Some(Value::Null) => object(node).is_empty(),
            Some(Value::Array(elements)) => elements.iter().any(|element| fields(node, element, root)),
            Some(other) => fields(node, other, root),
        }
    }

    fn condition(condition: &Value, value: Maybe<'_>, root: &Value) -> bool {
        match condition {
            Value::Object(matcher) => self::matcher(matcher, value, root),
            literal => equals(literal, value),
        }
    }

    /// "ALL must hold, on the same value."
    fn matcher(matcher: &Map<String, Value>, value: Maybe<'_>, root: &Value) -> bool {
        matcher.iter().all(|(operator, argument)| self::operator(operator, argument, value, root))
    }

    pub(super) fn operator(operator: &str, argument: &Value, value: Maybe<'_>, root: &Value) -> bool {
        let text = value.and_then(Value::as_str);
        let number = value.and_then(as_number);
        let elements = value.and_then(Value::as_array);
        let against = |bound: &Value| number.map(|number| compare(number, as_number(bound).unwrap()));
        match operator {
            "$startsWith" => text.is_some_and(|text| text.starts_with(string(argument))),
            "$endsWith" => text.is_some_and(|text| text.ends_with(string(argument))),
            "$contains" => text.is_some_and(|text| text.contains(string(argument))),
            "$ignoreCaseEquals" => text.is_some_and(|text| collates(text, string(argument))),
            "$regex" => text.is_some_and(|text| regex::Regex::new(string(argument)).unwrap().is_match(text)),
            "$wildcard" => text.is_some_and(|text| wildcard(string(argument), text)),
            "$cidr" => text.is_some_and(|text| cidr(string(argument), text)),
            "$ignoreCase" => text.is_some_and(|text| {
                object(argument)
                    .iter()
                    .all(|(operator, argument)| in_any_case(operator, string(argument), text))
            }),
            "$before" => text.and_then(moment).is_some_and(|time| time < moment(string(argument)).unwrap()),
            "$after" => text.and_then(moment).is_some_and(|time| time > moment(string(argument)).unwrap()),
            "$eq" | "$gt" | "$gte" | "$lt" | "$lte" if argument.is_object() => {
                let pointer = string(&argument["$ref"]);
                value.zip(referred(pointer, root)).is_some_and(|(a, b)| compares(operator, a, b))
            }
            "$eq" => equals(argument, value),
            "$gt" => against(argument) == Some(Ordering::Greater),
            "$gte" => against(argument).is_some_and(Ordering::is_ge),
            "$lt" => against(argument) == Some(Ordering::Less),
            "$lte" => against(argument).is_some_and(Ordering::is_le),
            "$between" => {
                against(&argument[0]).is_some_and(Ordering::is_ge)
                    && against(&argument[1]).is_some_and(Ordering::is_le)
            }
            "$includes" => elements
                .is_some_and(|elements| elements.iter().any(|element| equals(argument, Some(element)))),
            "$size" => {
                elements.is_some_and(|elements| node(argument, Some(&Value::from(elements.len())), root))
            }
            "$some" => {
                elements.is_some_and(|elements| elements.iter().any(|element| judge(argument, element, root)))
            }
            "$every" => {
                elements.is_some_and(|elements| elements.iter().all(|element| judge(argument, element, root)))
            }
            "$exists" => value.is_some() == (*argument == Value::Bool(true)),
            "$isNull" => (value == Some(&Value::Null)) == (*argument == Value::Bool(true)),
            "$anythingBut" => match argument {
                Value::Object(inner) => !matcher(inner, value, root),
                Value::Array(literals) => !literals.iter().any(|literal| equals(literal, value)),
                literal => !equals(literal, value),
            },
            "$not" => match value {
                None | Some(Value::Null | Value::Object(_)) => false,
                Some(Value::Array(elements)) => {
                    !elements.iter().any(|element| equals(argument, Some(element)))
                }
                Some(_) => !equals(argument, value),
            },
            "$all" => array(argument).iter().all(|one| condition(one, value, root)),
            "$none" => !array(argument).iter().any(|one| condition(one, value, root)),
            other => panic!("{other} is no operator"),
        }
    }

    /// "A filter applies to an element as to an event."
    fn judge(argument: &Value, element: &Value, root: &Value) -> bool {
        match argument {
            Value::Array(conditions) => conditions.iter().any(|one| condition(one, Some(element), root)),
            Value::Object(members) if is_matcher(members) => matcher(members, Some(element), root),
            _ => fields(argument, element, root),
        }
    }
}

pub(crate) mod trigger_dev {
    use super::*;

    pub(crate) fn filter(filter: &Value, event: &Value) -> bool {
        let members = object(filter);
        if event.is_null() {
            return members.is_empty();
        }
        members.iter().all(|(name, node)| match node {
            Value::Array(items) => conditions(items, event.get(name)),
            _ => nested(node, event.get(name)),
        })
    }

    fn nested(node: &Value, value: Maybe<'_>) -> bool {
        match value {
            None | Some(Value::Null) => object(node).is_empty(),
            Some(Value::Array(elements)) => elements.iter().any(|element| filter(node, element)),
            Some(other) => filter(node, other),
        }
    }

    /// "An array of matchers is all-of. `[]` holds for any value, missing too."
    fn conditions(items: &[Value], value: Maybe<'_>) -> bool {
        let matchers = items.iter().filter_map(Value::as_object);
        if matchers.clone().count() == items.len() {
            matchers
                .flatten()
                .all(|(operator, argument)| native::operator(operator, argument, value, &Value::Null))
        } else {
            items.iter().any(|literal| equals(literal, value))
        }
    }
}

pub(crate) mod event_bridge {
    use super::*;

    pub(crate) fn pattern(pattern: &Value, event: &Value) -> bool {
        match event {
            Value::Null => false,
            Value::Object(fields) => on_object(pattern, fields),
            _ => on_object(pattern, &Map::new()),
        }
    }

    fn on_object(pattern: &Value, fields: &Map<String, Value>) -> bool {
        object(pattern).iter().all(|(name, node)| match combinator(name, node) {
            Some(patterns) => patterns.iter().any(|one| on_object(one, fields)),
            None => field(node, fields.get(name)),
        })
    }

    /// "`$or` is the combinator when its value is an array of two or more non-empty objects none of which has an
    /// operator's name as a key; otherwise it is a field."
    fn combinator<'p>(name: &str, node: &'p Value) -> Option<&'p Vec<Value>> {
        const OPERATORS: [&str; 9] = [
            "exactly",
            "prefix",
            "suffix",
            "equals-ignore-case",
            "wildcard",
            "numeric",
            "exists",
            "cidr",
            "anything-but",
        ];
        let plain = |item: &Value| {
            item.as_object()
                .is_some_and(|map| !map.is_empty() && !map.keys().any(|key| OPERATORS.contains(&&**key)))
        };
        node.as_array().filter(|items| name == "$or" && items.len() >= 2 && items.iter().all(plain))
    }

    fn field(node: &Value, value: Maybe<'_>) -> bool {
        match node {
            Value::Array(conditions) => {
                let scalars = scalars(value);
                conditions.iter().any(|one| match one.get("exists") {
                    Some(Value::Bool(wanted)) => scalars.is_empty() != *wanted,
                    _ => scalars.iter().any(|scalar| condition(one, scalar)),
                })
            }
            _ => nested(node, value),
        }
    }

    /// "The scalars (null too) at its field: the value itself, or, where it is an array, each scalar in it, nested
    /// arrays too."
    fn scalars(value: Maybe<'_>) -> Vec<&Value> {
        elements(value).into_iter().filter(|value| !value.is_object()).collect()
    }

    /// The elements that are no arrays, at any depth.
    fn elements(value: Maybe<'_>) -> Vec<&Value> {
        match value {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().flat_map(|item| elements(Some(item))).collect(),
            Some(other) => vec![other],
        }
    }

    /// "On any other array it holds if SOME element, nested arrays included, has a scalar at one of its paths and
    /// matches all of it."
    fn nested(node: &Value, value: Maybe<'_>) -> bool {
        match value {
            Some(Value::Object(fields)) => on_object(node, fields),
            Some(Value::Array(_)) => {
                let candidates: Vec<&Map<String, Value>> = elements(value)
                    .into_iter()
                    .filter_map(Value::as_object)
                    .filter(|fields| names_a_scalar(node, fields))
                    .collect();
                if candidates.is_empty() {
                    on_object(node, &Map::new())
                } else {
                    candidates.into_iter().any(|fields| on_object(node, fields))
                }
            }
            _ => on_object(node, &Map::new()),
        }
    }

    fn names_a_scalar(pattern: &Value, fields: &Map<String, Value>) -> bool {
        object(pattern).iter().any(|(name, node)| match (combinator(name, node), node) {
            (Some(patterns), _) => patterns.iter().any(|one| names_a_scalar(one, fields)),
            (None, Value::Array(_)) => !scalars(fields.get(name)).is_empty(),
            (None, _) => elements(fields.get(name))
                .into_iter()
                .filter_map(Value::as_object)
                .any(|inner| names_a_scalar(node, inner)),
        })
    }

    fn condition(condition: &Value, scalar: &Value) -> bool {
        let Value::Object(matcher) = condition else { return equals(condition, Some(scalar)) };
        let (operator, argument) = matcher.iter().next().unwrap();
        let text = scalar.as_str();
        match operator.as_str() {
            "exactly" => text == argument.as_str(),
            "prefix" => text.is_some_and(|text| match argument.get("equals-ignore-case") {
                Some(prefix) => folded(text, &format!("^(?:{})", regex::escape(string(prefix)))),
                None => text.starts_with(string(argument)),
            }),
            "suffix" => text.is_some_and(|text| match argument.get("equals-ignore-case") {
                Some(suffix) => folded(text, &format!("(?:{})$", regex::escape(string(suffix)))),
                None => text.ends_with(string(argument)),
            }),
            "equals-ignore-case" => {
                text.is_some_and(|text| folded(text, &format!("^(?:{})$", regex::escape(string(argument)))))
            }
            "wildcard" => text.is_some_and(|text| wildcard(string(argument), text)),
            "cidr" => text.is_some_and(|text| cidr(string(argument), text)),
            "numeric" => as_number(scalar).is_some_and(|number| {
                array(argument).chunks(2).all(|pair| {
                    let order = compare(number, as_number(&pair[1]).unwrap());
                    match string(&pair[0]) {
                        "=" => order.is_eq(),
                        "<" => order.is_lt(),
                        "<=" => order.is_le(),
                        ">" => order.is_gt(),
                        _ => order.is_ge(),
                    }
                })
            }),
            "anything-but" => match argument {
                Value::Array(literals) => !literals.iter().any(|literal| equals(literal, Some(scalar))),
                Value::Object(inner) => {
                    let (operator, argument) = inner.iter().next().unwrap();
                    let one = |argument: &Value| {
                        self::condition(&serde_json::json!({ operator: argument }), scalar)
                    };
                    match argument {
                        Value::Array(several) => !several.iter().any(one),
                        single => !one(single),
                    }
                }
                literal => !equals(literal, Some(scalar)),
            },
            other => panic!("{other} is no operator"),
        }
    }

    /// "Ignore-case is Unicode simple case folding", which is what the regex crate's `i` flag does.
    fn folded(text: &str, pattern: &str) -> bool {
        regex::Regex::new(&format!("(?is){pattern}")).unwrap().is_match(text)
    }
}

/// "A literal equals a value of the same type and value; it does not look inside an array."
fn equals(literal: &Value, value: Maybe<'_>) -> bool {
    match (literal, value) {
        (Value::Number(a), Some(Value::Number(b))) => compare(a, b) == Ordering::Equal,
        (Value::Array(_) | Value::Object(_), _) => false,
        (literal, Some(value)) => literal == value,
        (_, None) => false,
    }
}

/// "Integers within i64/u64 are exact, also against floats."
fn compare(a: &Number, b: &Number) -> Ordering {
    let (whole_a, rest_a) = parts(a);
    let (whole_b, rest_b) = parts(b);
    whole_a.cmp(&whole_b).then(rest_a.partial_cmp(&rest_b).unwrap())
}

/// The integer part of a number, clamped to i128, and the fraction above it. For a clamped number the fraction is the
/// number itself, so that large numbers still compare.
fn parts(number: &Number) -> (i128, f64) {
    if let Some(int) = number.as_i64() {
        (int.into(), 0.0)
    } else if let Some(int) = number.as_u64() {
        (int.into(), 0.0)
    } else {
        let float = number.as_f64().unwrap();
        let limit = 2.0_f64.powi(100);
        if float.abs() < limit {
            (float.floor() as i128, float - float.floor())
        } else {
            (if float < 0.0 { -(1 << 101) } else { 1 << 101 }, float)
        }
    }
}

/// "A string equal to it under Unicode root collation at secondary strength, alternate non-ignorable."
fn collates(a: &str, b: &str) -> bool {
    use icu_collator::CollatorBorrowed;
    use icu_collator::options::{AlternateHandling, CollatorOptions, Strength};
    thread_local! {
        static ROOT: CollatorBorrowed<'static> = {
            let mut options = CollatorOptions::default();
            options.strength = Some(Strength::Secondary);
            options.alternate_handling = Some(AlternateHandling::NonIgnorable);
            CollatorBorrowed::try_new(Default::default(), options).unwrap()
        };
    }
    ROOT.with(|root| root.compare(a, b)) == Ordering::Equal
}

/// "`*` is any run of characters, `\*` and `\\` are literal."
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut pattern = pattern.chars();
    match pattern.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = pattern.as_str();
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| wildcard(rest, &text[at..]))
        }
        Some(character) => {
            let character = if character == '\\' { pattern.next().unwrap() } else { character };
            text.strip_prefix(character).is_some_and(|rest| wildcard(pattern.as_str(), rest))
        }
    }
}

/// "A pointer that leads nowhere, or through or to an array or object, makes the condition not hold."
fn referred<'v>(pointer: &str, event: &'v Value) -> Maybe<'v> {
    let mut at = event;
    for step in pointer.split('/').skip(1) {
        at = at.as_object()?.get(&step.replace("~1", "/").replace("~0", "~"))?;
    }
    Some(at).filter(|end| !end.is_object() && !end.is_array())
}

/// "Numbers by value, strings by code point, others only by `$eq`."
fn compares(operator: &str, value: &Value, other: &Value) -> bool {
    let order = match (value, other) {
        (Value::Number(a), Value::Number(b)) => compare(a, b),
        (Value::String(a), Value::String(b)) => a.chars().cmp(b.chars()),
        _ => return operator == "$eq" && value == other,
    };
    match operator {
        "$eq" => order.is_eq(),
        "$gt" => order.is_gt(),
        "$gte" => order.is_ge(),
        "$lt" => order.is_lt(),
        _ => order.is_le(),
    }
}

/// "Letter case aside (Unicode simple folding of both sides)."
fn in_any_case(operator: &str, argument: &str, text: &str) -> bool {
    let fold = |text: &str| -> String {
        let mapper = icu_casemap::CaseMapper::new();
        text.chars().map(|character| mapper.simple_fold(character)).collect()
    };
    let (folded, wanted) = (fold(text), fold(argument));
    match operator {
        "$eq" => folded == wanted,
        "$startsWith" => folded.starts_with(&wanted),
        "$endsWith" => folded.ends_with(&wanted),
        "$contains" => folded.contains(&wanted),
        "$wildcard" => wildcard(&wanted, &folded),
        "$regex" => regex::RegexBuilder::new(argument).case_insensitive(true).build().unwrap().is_match(text),
        other => panic!("{other} is no text operator"),
    }
}

/// "RFC 3339", as nanoseconds since the year 0, digits of the fraction after the ninth left out.
fn moment(text: &str) -> Option<i128> {
    static FORM: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
        let date = r"^([0-9]{4})-([0-9]{2})-([0-9]{2})";
        let time = r"[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?";
        let offset = r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))$";
        regex::Regex::new(&format!("{date}{time}{offset}")).unwrap()
    });
    let form = FORM.captures(text)?;
    let part = |at: usize| form.get(at).map_or(0, |part| part.as_str().parse::<i128>().unwrap());
    let (year, month, day) = (part(1), part(2), part(3));
    let (hour, minute, second) = (part(4), part(5), part(6));
    let leap = |year: i128| year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
    let length = |year: i128, month: i128| match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=length(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 || part(9) > 23 || part(10) > 59 {
        return None;
    }
    // Day by day.
    let mut days = 0;
    for earlier in 0..year {
        days += if leap(earlier) { 366 } else { 365 };
    }
    for earlier in 1..month {
        days += length(year, earlier);
    }
    days += day - 1;
    let east = part(9) * 60 + part(10);
    let east = if form.get(8).is_some_and(|sign| sign.as_str() == "-") { -east } else { east };
    let minutes = days * 24 * 60 + hour * 60 + minute - east;
    if second == 60 && minutes.rem_euclid(24 * 60) != 23 * 60 + 59 {
        return None;
    }
    let fraction = form.get(7).map_or("", |digits| digits.as_str());
    let nanoseconds: i128 = format!("{fraction:0<9}")[..9].parse().unwrap();
    Some((minutes * 60 + second) * 1_000_000_000 + nanoseconds)
}

/// "An IPv4/IPv6 address inside the block; families never mix, `::ffff:1.2.3.4` counts as IPv4 too."
fn cidr(block: &str, text: &str) -> bool {
    let (network, length) = block.split_once('/').unwrap_or((block, "128"));
    let length: usize = length.parse().unwrap();
    let Ok(address) = text.parse::<IpAddr>() else { return false };
    let network: IpAddr = network.parse().unwrap();
    let same = |a: &[u8], b: &[u8]| {
        let bits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:08b}")).collect::<String>();
        bits(a).chars().take(length).eq(bits(b).chars().take(length))
    };
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(&a.octets(), &b.octets()),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(&a.octets(), &b.octets()),
        (IpAddr::V4(a), IpAddr::V6(b)) => b.to_ipv4_mapped().is_some_and(|b| same(&a.octets(), &b.octets())),
        (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

fn string(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn as_number(value: &Value) -> Option<&Number> {
    match value {
        Value::Number(number) => Some(number),
        _ => None,
    }
}
