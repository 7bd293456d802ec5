//! The ids of rules: JSON strings or numbers, printed as they stand in the rules.
//!
//! Ids are compared by value, not by text: `"a"` equals `"\u0061"`, `1` equals `1.0`.

use std::hash::{BuildHasher as _, RandomState};

use filter::Limits;
use filter::json::{self, Kind, Node};
use hashbrown::HashTable;

/// The texts of all ids in one string: a million ids take two allocations.
#[derive(Debug, Default)]
pub(super) struct Ids {
    text: String,
    ends: Vec<usize>,
}

impl Ids {
    /// Appends an id as it stands in the rules; returns its number.
    pub(super) fn push(&mut self, text: &str) -> u32 {
        self.text.push_str(text);
        self.ends.push(self.text.len());
        (self.ends.len() - 1) as u32
    }

    /// The id of that number, as it stands in the rules; empty if there is none.
    pub(super) fn text(&self, number: u32) -> &str {
        let at = number as usize;
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or_default() };
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.text.get(start..end).unwrap_or_default()
    }
}

/// Finds the number of an id by its value. It keeps no values: those of a million ids would take more memory than their texts,
/// from which the value of one is read again when another has the same hash.
#[derive(Debug, Default)]
pub(super) struct IdTable {
    pub(super) ids: Ids,
    numbers: HashTable<u32>,
    seeds: RandomState,
}

impl IdTable {
    /// Appends an id of this text and value and returns its number; the error is that of an equal one.
    pub(super) fn add(&mut self, text: &str, value: &IdValue) -> Result<u32, u32> {
        let Self { ids, numbers, seeds } = self;
        let hash = seeds.hash_one(value);
        let is_same = |&number: &u32| IdValue::read(ids.text(number)).as_ref() == Some(value);
        if let Some(&number) = numbers.find(hash, is_same) {
            return Err(number);
        }
        let number = ids.push(text);
        let hash_of =
            |&number: &u32| IdValue::read(ids.text(number)).map_or(0, |value| seeds.hash_one(value));
        numbers.insert_unique(hash, number, hash_of);
        Ok(number)
    }
}

/// The value of an id, for comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum IdValue {
    Text(String),
    Integer(i128),
    /// The bits of a number that is no integer or is beyond 2^64.
    Float(u64),
}

impl IdValue {
    /// The value of an id as it stands in the rules; `None` if it is not JSON or its type cannot be an id.
    pub(super) fn read(text: &str) -> Option<Self> {
        json::parse(text, &Limits::new()).ok().as_ref().and_then(Self::of)
    }

    /// The value of a node; `None` if its type cannot be an id.
    pub(super) fn of(node: &Node) -> Option<Self> {
        match &node.kind {
            Kind::String(text) => Some(Self::Text(text.clone())),
            Kind::Number(number) => {
                let integer = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
                integer.map(Self::Integer).or_else(|| number.as_f64().map(Self::of_float))
            }
            _ => None,
        }
    }

    fn of_float(float: f64) -> Self {
        // Integral floats in this range are exact as i128, so `1.0` equals `1`.
        if float.fract() == 0.0 && float.abs() < 2_f64.powi(64) {
            Self::Integer(float as i128)
        } else {
            Self::Float(float.to_bits())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_by_value() {
        for (one, other) in
            [("\"a\"", "\"\\u0061\""), ("1", "1.0"), ("1", "1e0"), ("0", "-0"), ("1.5", "15e-1")]
        {
            assert_eq!(IdValue::read(one), IdValue::read(other), "{one} {other}");
        }
        for (one, other) in
            [("\"1\"", "1"), ("1", "2"), ("9007199254740993", "9007199254740992"), ("0.5", "0.25")]
        {
            assert_ne!(IdValue::read(one), IdValue::read(other), "{one} {other}");
        }
        assert_eq!(["null", "true", "[]", "{}"].map(IdValue::read), [const { None }; 4]);
    }

    #[test]
    fn ids_keep_their_text() {
        let mut ids = Ids::default();
        let numbers = ["\"a\"", "1.0", "\"\""].map(|id| ids.push(id));
        assert_eq!(numbers.map(|number| ids.text(number)), ["\"a\"", "1.0", "\"\""]);
        assert_eq!(ids.text(3), "");
    }

    #[test]
    fn a_table_finds_equal_ids_however_many_there_are() {
        let mut table = IdTable::default();
        for number in 0..1000 {
            let text = format!("\"id-{number}\"");
            let value = IdValue::read(&text).unwrap();
            assert_eq!(table.add(&text, &value), Ok(number));
        }
        let value = IdValue::read(r#""\u0069d-7""#).unwrap();
        assert_eq!(table.add(r#""\u0069d-7""#, &value), Err(7));
    }
}
