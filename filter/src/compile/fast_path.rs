//! The fast path for the most frequent filters: objects whose fields must each be a string, one of a few strings, or satisfy one
//! operator on a text.
//!
//! ```text
//!  text ─► fast path ──────────────────────────────► program
//!            └ any other filter ─► tree ─► … ─► compile ┘
//! ```
//!
//! Large sets consist mostly of such filters, and building a tree took most of the time of adding one. The fast path builds no
//! tree, so it has no pointers, messages or warnings: a filter with another operator, an escape or an error is read again, from
//! the beginning of the text, by the reader of its dialect. Little is lost then, since the fast path handles only small filters.
//!
//! Invariant: a filter that the fast path accepts has no warnings, and its program equals the compiler's, number by number.

use smallvec::SmallVec;

use crate::dialect::Dialect;
use crate::dialect::lookalike::is_of_paths;
use crate::dialect::translate::is_name_of_an_operator;
use crate::limits::Limits;
use crate::ops::{Leaf, Literal, LiteralSet};
use crate::program::{Condition, Member, NameId, Node, Pattern, Program, Run, Test};

/// The deepest nesting of objects and arrays; each level is a recursive call.
const DEPTH: usize = 8;

/// The most distinct names, which are compared one by one.
const NAMES: usize = 8;

/// The class of bytes that end a string, or make it one with an escape or an error.
const ENDS: u8 = 1;

/// The class of bytes [of paths](is_of_paths).
const OF_PATHS: u8 = 2;

/// The class of each byte.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if byte < 0x20 || byte == b'"' as usize || byte == b'\\' as usize {
            classes[byte] = ENDS;
        } else if is_of_paths(byte as u8) {
            classes[byte] = OF_PATHS;
        }
        byte += 1;
    }
    classes
};

/// Reads a filter of the fast path into an empty program, in place, since moving one takes a tenth as long as reading a small filter.
/// Returns whether the text has no whitespace outside strings; `None` if the fast path does not accept it. Takes time linear in the
/// length of the text.
pub(crate) fn read(dialect: Dialect, text: &str, limits: &Limits, program: &mut Program) -> Option<bool> {
    if text.len() > limits.text_bytes() {
        return None;
    }
    let mut reader = Reader {
        dialect,
        text,
        at: 0,
        compact: true,
        known: SmallVec::new(),
        gathered: SmallVec::new(),
        program,
    };
    reader.expect(b'{')?;
    let root = reader.pattern(limits.depth().min(DEPTH), false)?;
    if reader.next().is_some() {
        return None;
    }
    reader.program.finish(root);
    Some(reader.compact)
}

struct Reader<'t, 'p> {
    dialect: Dialect,
    text: &'t str,
    at: usize,
    compact: bool,
    /// The names so far.
    known: SmallVec<[(&'t str, NameId); NAMES]>,
    /// Members of the objects that are open.
    gathered: SmallVec<[Member; 4]>,
    program: &'p mut Program,
}

impl<'t> Reader<'t, '_> {
    /// The rest of a non-empty object; `depth`: the levels that may follow.
    fn pattern(&mut self, depth: usize, nested: bool) -> Option<Pattern> {
        let inside = depth.checked_sub(1)?;
        let start = self.gathered.len();
        loop {
            self.expect(b'"')?;
            let (name, text) = self.name()?;
            // An operator in a nested filter is a warning.
            if nested && is_name_of_an_operator(text) {
                return None;
            }
            // A duplicate key is an error, or a warning.
            let again =
                |member: &Member| matches!(member, Member::Field { name: other, .. } if *other == name);
            if self.gathered[start..].iter().any(again) {
                return None;
            }
            self.expect(b':')?;
            let node = self.field(inside)?;
            self.gathered.push(Member::Field { name, node });
            match self.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        let members = self.program.members.extend_from_slice(&self.gathered[start..]);
        self.gathered.truncate(start);
        Some(Pattern { members })
    }

    fn field(&mut self, depth: usize) -> Option<Node> {
        let scalars = self.dialect == Dialect::EventBridge;
        match self.next()? {
            b'{' if self.dialect == Dialect::Native && self.rest().starts_with("\"$") => {
                depth.checked_sub(1)?;
                self.matcher().map(Node::Any)
            }
            b'{' => {
                let pattern = self.pattern(depth, true)?;
                let pattern = self.program.patterns.add(pattern);
                Some(if scalars {
                    Node::NestedScalars { pattern, absent: false }
                } else {
                    Node::Nested(pattern)
                })
            }
            b'[' => {
                let inside = depth.checked_sub(1)?;
                let first = self.next()?;
                let conditions = match first {
                    b'"' => self.strings()?,
                    b'{' => {
                        inside.checked_sub(1)?;
                        let only = self.matcher()?;
                        self.expect(b']')?;
                        only
                    }
                    _ => return None,
                };
                Some(match self.dialect {
                    Dialect::EventBridge => Node::Scalars { conditions, absent: false },
                    Dialect::TriggerDev if first == b'{' => Node::All(conditions),
                    Dialect::TriggerDev | Dialect::Native => Node::Any(conditions),
                })
            }
            b'"' if self.dialect == Dialect::Native => {
                let text = self.string()?;
                Some(Node::Any(self.any_of(&[text])))
            }
            _ => None,
        }
    }

    /// The rest of an object of one operator on a text.
    fn matcher(&mut self) -> Option<Run<Condition>> {
        self.expect(b'"')?;
        let operator = self.string()?;
        self.expect(b':')?;
        self.expect(b'"')?;
        let text = self.string()?;
        self.expect(b'}')?;
        let leaf = self.program.leaves.add(self.dialect.on_text(operator, text)?);
        let tests = self.program.tests.one(Test::Leaf(leaf));
        Some(self.program.conditions.one(Condition { tests }))
    }

    /// The rest of an array of distinct strings, from inside the first one.
    fn strings(&mut self) -> Option<Run<Condition>> {
        let mut texts: SmallVec<[&str; LiteralSet::FEW]> = SmallVec::new();
        loop {
            let text = self.string()?;
            if texts.len() == LiteralSet::FEW || texts.contains(&text) {
                return None;
            }
            texts.push(text);
            match self.next()? {
                b',' => self.expect(b'"')?,
                b']' => return Some(self.any_of(&texts)),
                _ => return None,
            }
        }
    }

    fn any_of(&mut self, texts: &[&str]) -> Run<Condition> {
        let Program { conditions, tests, leaves, .. } = &mut *self.program;
        let mut condition = |text: &str| {
            let leaf = leaves.add(Leaf::Equals(Literal::String(text.into())));
            Condition { tests: tests.one(Test::Leaf(leaf)) }
        };
        match texts {
            [text] => conditions.one(condition(text)),
            texts => conditions.extend(texts.iter().map(|&text| condition(text))),
        }
    }

    /// The rest of a key, if it is a field name in every dialect.
    fn name(&mut self) -> Option<(NameId, &'t str)> {
        let (name, classes) = self.classified()?;
        if let Some((_, id)) = self.known.iter().find(|(known, _)| *known == name) {
            return Some((*id, name));
        }
        if name.starts_with('$') || self.known.len() == NAMES || classes & OF_PATHS != 0 {
            return None;
        }
        let id = self.program.names.add(name);
        self.known.push((name, id));
        Some((id, name))
    }

    /// The rest of a string without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'t str> {
        self.classified().map(|(text, _)| text)
    }

    /// The rest of a string without escapes, and the union of the classes of its bytes.
    #[inline]
    fn classified(&mut self) -> Option<(&'t str, u8)> {
        let bytes = self.text.as_bytes().get(self.at..)?;
        let mut classes = 0;
        let length = bytes.iter().position(|&byte| {
            let class = CLASSES[usize::from(byte)];
            classes |= class;
            class & ENDS != 0
        })?;
        let end = self.at + length;
        let string = self.text.get(self.at..end)?;
        self.at = end + 1;
        (bytes[length] == b'"').then_some((string, classes))
    }

    /// The next byte, whitespace skipped.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            self.at += 1;
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.compact = false,
                _ => return Some(byte),
            }
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::{DEPTH, read};
    use crate::dialect::operators::OPERATORS;
    use crate::dialect::{Dialect, event_bridge};
    use crate::limits::Limits;
    use crate::options::FilterOptions;
    use crate::program::Program;

    /// Whether the fast path accepts the text; then the result must be that of the tree's path.
    fn check(dialect: Dialect, text: &str, limits: Limits) -> bool {
        let mut program = Program::empty();
        if read(dialect, text, &limits, &mut program).is_none() {
            return false;
        }
        let options = FilterOptions::new().dialect(dialect).limits(limits);
        let filter = options.parse_tree(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(&program, filter.program(), "{text:?}");
        assert_eq!(filter.warnings(), [], "{text:?}");
        assert_eq!(options.parse(text).unwrap().source().as_str(), filter.source().as_str(), "{text:?}");
        true
    }

    #[test]
    fn accepts_string_filters_and_nothing_else() {
        let eight = r#""a":["1","2","3","4","5","6","7","8"#;
        let fields = r#""a":["1"],"b":["1"],"c":["1"],"d":["1"],"e":["1"],"f":["1"],"g":["1"],"h":["1"]"#;
        let nested = |levels: usize| format!("{}[\"x\"]{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        let (all, none): (&[Dialect], &[Dialect]) = (&Dialect::ALL, &[]);
        for (text, dialects) in [
            (r#"{"a":["x"]}"#, all),
            (r#"{"a":{"b":["x"],"a":["x","y z","é"]}, "b":[""]}"#, all),
            (" {\n\"a\" : [ \"x\" , \"\" ]\t}\r\n", all),
            (r#"{"a":"x","b":["x"]}"#, &[Dialect::Native]),
            (&format!("{{{eight}\"]}}"), all),
            (&format!("{{{eight}\",\"9\"]}}"), none),
            (&format!("{{{fields}}}"), all),
            (&format!("{{{fields},\"i\":[\"1\"]}}"), none),
            (&nested(DEPTH - 1), all),
            (&nested(DEPTH), none),
            ("", none),
            ("{}", none),
            ("[]", none),
            (r#"{"a":{}}"#, none),
            (r#"{"a":[]}"#, none),
            (r#"{"a":["x","x"]}"#, none),
            (r#"{"a":[{"prefix":"x"}]}"#, &[Dialect::EventBridge]),
            (r#"{"b":{"a":[ { "wildcard" : "x*" } ]}}"#, &[Dialect::EventBridge]),
            (r#"{"a":[{"$startsWith":"x"}]}"#, &[Dialect::Native, Dialect::TriggerDev]),
            (r#"{"a":{"$endsWith":""}}"#, &[Dialect::Native]),
            (r#"{"a":{"$wildcard":"x**y"}}"#, &[Dialect::Native]),
            (r#"{"a":[{"$contains":"x"}]}"#, &[Dialect::Native]),
            (r#"{"a":[{"wildcard":"x**y"}]}"#, none),
            (r#"{"a":[{"wildcard":"x?"}]}"#, none),
            (r#"{"a":[{"prefix":"x"},{"prefix":"y"}]}"#, none),
            (r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, none),
            (r#"{"a":[{"prefix":{"equals-ignore-case":"x"}}]}"#, none),
            (r#"{"a":[{"numeric":"x"}]}"#, none),
            (r#"{"a":{"$$startsWith":"x"}}"#, none),
            (r#"{"a":[{"$cidr":"x"}]}"#, none),
            (r#"{"a":[{"prefix":"x"}"#, none),
            (r#"{"a":["x"],"a":["y"]}"#, none),
            (r#"{"$or":["x"]}"#, none),
            (r#"{"$$a":["x"]}"#, none),
            (r#"{"a":["\u0078"]}"#, none),
            (r#"{"a":[1]}"#, none),
            (r#"{"a":[["x"]]}"#, none),
            (r#"{"a":[{"exists":true}]}"#, none),
            (r#"{"a":["x"]"#, none),
            (r#"{"a":["x"]}}"#, none),
            (r#"{"a":["x",]}"#, none),
            (r#"{"a":["x"],}"#, none),
            (r#"{"a":["x"]é}"#, none),
            ("{\"a\":[\"\n\"]}", none),
        ] {
            for dialect in Dialect::ALL {
                let accepted = check(dialect, text, Limits::new());
                assert_eq!(accepted, dialects.contains(&dialect), "{text:?} in {dialect}");
            }
        }
    }

    #[test]
    fn limits_are_kept() {
        let text = r#"{"a":{"b":["x"]}}"#;
        assert!(check(Dialect::Native, text, Limits::new().with_depth(3).with_text_bytes(text.len())));
        assert!(!check(Dialect::Native, text, Limits::new().with_depth(2)));
        for (text, dialect, depth) in [
            (r#"{"a":[{"prefix":"x"}]}"#, Dialect::EventBridge, 3),
            (r#"{"a":{"$startsWith":"x"}}"#, Dialect::Native, 2),
        ] {
            assert!(check(dialect, text, Limits::new().with_depth(depth)), "{text}");
            assert!(!check(dialect, text, Limits::new().with_depth(depth - 1)), "{text}");
            let refused = FilterOptions::new().dialect(dialect).limits(Limits::new().with_depth(depth - 1));
            assert!(refused.parse(text).is_err(), "{text}");
        }
        assert!(!check(Dialect::Native, text, Limits::new().with_text_bytes(text.len() - 1)));
    }

    fn string() -> impl Strategy<Value = String> {
        let plain = ["a", "b", "c d", "é", "", "prefix", "exists"].map(|text| format!("\"{text}\""));
        let special = ["$or", "$gt", "$$a", r"a\n", r"\u0061"].map(|text| format!("\"{text}\""));
        prop_oneof![12 => proptest::sample::select(plain.to_vec()), 1 => proptest::sample::select(special.to_vec())]
    }

    /// Texts of filters; some have a character changed.
    fn text() -> impl Strategy<Value = String> {
        let joined = |parts: Vec<String>| parts.join(",");
        let other =
            proptest::sample::select(&["1", "null", "[]", "{}", r#"{"exists":true}"#, r#"{"$gt":1}"#]);
        let argument =
            prop_oneof![9 => string(), 1 => "[a*?\\\\.$]{0,4}".prop_map(|text| format!("\"{text}\""))];
        let on_texts =
            ["prefix", "suffix", "exactly", "equals-ignore-case", "wildcard", "$startsWith", "$endsWith"];
        let operators: Vec<&str> =
            OPERATORS.iter().map(|operator| operator.name).chain(event_bridge::OPERATORS).collect();
        let operator =
            prop_oneof![proptest::sample::select(on_texts.to_vec()), proptest::sample::select(operators)];
        let matcher = (operator, argument)
            .prop_map(|(operator, argument)| format!("{{\"{operator}\":{argument}}}"))
            .boxed();
        let scalars = prop_oneof![9 => string(), 1 => other.prop_map(str::to_owned), 1 => matcher.clone()];
        let space = || prop_oneof![9 => Just(""), 1 => Just(" "), 1 => Just("\n")];
        let array = vec(scalars, 0..4).prop_map(move |items| format!("[{}]", joined(items)));
        let value = prop_oneof![4 => array, 1 => string(), 1 => matcher.clone(), 3 => matcher.prop_map(|one| format!("[{one}]"))];
        let object = value.prop_recursive(4, 16, 4, move |inner| {
            let member =
                (string(), space(), inner).prop_map(|(key, space, value)| format!("{key}:{space}{value}"));
            (vec(member, 0..4), space())
                .prop_map(move |(members, space)| format!("{{{}{space}}}", joined(members)))
        });
        let change =
            prop_oneof![4 => Just(None), 1 => (any::<prop::sample::Index>(), "[{}:,\"a ]?").prop_map(Some)];
        (object, change).prop_map(|(text, change)| {
            let mut characters: Vec<String> = text.chars().map(String::from).collect();
            if let Some((place, new)) = change {
                let place = place.index(characters.len());
                characters[place] = new;
            }
            characters.concat()
        })
    }

    #[test]
    fn many_of_the_generated_texts_are_accepted() {
        let mut runner = TestRunner::deterministic();
        let mut read = || {
            let text = text().new_tree(&mut runner).unwrap().current();
            Dialect::ALL.into_iter().filter(|&dialect| check(dialect, &text, Limits::new())).count() > 0
        };
        let accepted = (0..1000).filter(|_| read()).count();
        assert!((100..800).contains(&accepted), "{accepted} of 1000");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn programs_equal_the_compilers(text in text()) {
            for dialect in Dialect::ALL {
                check(dialect, &text, Limits::new());
            }
        }
    }
}
