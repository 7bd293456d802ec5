//! The text of folded settings, and the texts that are like it.
//!
//! Tenants who write their own specs write them after one example: the members are the same, and some values differ. The text
//! of such a spec is kept as a [delta](super::delta) to one that was folded before. A pool knows one base for each of the last
//! [shapes](shape) of specs; a text that is like none of them is kept whole and becomes a base.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use secrecy::SecretString;

use super::delta;
use super::settings::SpecText;
use super::stored::are_same;

/// The text of a spec in little memory, with its secrets. Clones share both.
#[derive(Clone)]
pub(super) struct FoldedText {
    /// The text, or its delta to the base.
    bytes: Arc<[u8]>,
    /// What few texts have to themselves; `None` for a whole text without secrets.
    context: Option<Arc<Context>>,
}

#[derive(Clone, Default)]
struct Context {
    base: Option<Arc<str>>,
    /// The inline secrets, by the numbers that are in the text instead of them.
    secrets: Option<Arc<[SecretString]>>,
}

impl FoldedText {
    /// The text as it is.
    pub(super) fn whole(SpecText { text, secrets }: SpecText) -> Self {
        let context = secrets.map(|secrets| Arc::new(Context { base: None, secrets: Some(secrets) }));
        Self { bytes: text.into(), context }
    }

    /// The text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        let base = self.context.as_ref().and_then(|context| context.base.as_deref());
        match base {
            None => Cow::Borrowed(str::from_utf8(&self.bytes).expect("invariant: it was made of a text")),
            Some(base) => {
                Cow::Owned(delta::unpack(&self.bytes, base).expect("invariant: it was packed with this base"))
            }
        }
    }

    /// The inline secrets; `None` if there are none.
    pub(super) fn secrets(&self) -> Option<&Arc<[SecretString]>> {
        self.context.as_ref()?.secrets.as_ref()
    }

    /// Whether both are the same text with the same secrets.
    pub(super) fn same(&self, other: &Self) -> bool {
        let [one, two] = [self, other].map(|text| text.secrets().map_or(&[][..], |secrets| secrets));
        self.text() == other.text() && are_same(one, two)
    }
}

impl fmt::Debug for FoldedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoldedText").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// The number of bases of a pool, a power of two. Together they take some megabytes at most.
const BASES: usize = 256;

/// The bases of the texts of one pool. It never grows: a newer base takes the place of an older one, which lives on with the
/// texts that were packed with it.
pub(super) struct Bases {
    /// By shape.
    bases: Box<[Option<Arc<Context>>]>,
    /// Where the last base is, for texts of a new shape: some have names of their own in them.
    last: usize,
    hasher: RandomState,
}

impl Bases {
    pub(super) fn new() -> Self {
        Self { bases: Box::default(), last: 0, hasher: RandomState::new() }
    }

    /// The same text in less memory, if one like it is known. Linear.
    pub(super) fn pack(&mut self, whole: &FoldedText) -> FoldedText {
        let text = whole.text();
        if text.len() > delta::LONGEST {
            return whole.clone();
        }
        if self.bases.is_empty() {
            self.bases = vec![None; BASES].into();
        }
        let place = self.shape(&text) % BASES;
        for base in [place, self.last] {
            let Some(base) = &self.bases[base] else { continue };
            let Some(packed) = delta::pack(&text, base.base.as_deref().unwrap_or_default()) else { continue };
            let context = match whole.secrets() {
                None => Arc::clone(base),
                Some(secrets) => {
                    Arc::new(Context { secrets: Some(Arc::clone(secrets)), ..Context::clone(base) })
                }
            };
            return FoldedText { bytes: packed.into(), context: Some(context) };
        }
        self.bases[place] = Some(Arc::new(Context { base: Some(text.into()), secrets: None }));
        self.last = place;
        whole.clone()
    }

    /// A hash of what texts of one shape have in common: the names of members, in their order.
    fn shape(&self, text: &str) -> usize {
        let mut hasher = self.hasher.build_hasher();
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('"') {
            let (mut ends, mut escaped) = (after.len(), false);
            for (place, byte) in after.bytes().enumerate() {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => {
                        ends = place;
                        break;
                    }
                    _ => {}
                }
            }
            let (name, after) = after.split_at(ends);
            rest = after.get(1..).unwrap_or_default();
            if rest.starts_with(':') {
                hasher.write(name.as_bytes());
                hasher.write_u8(b'"');
            }
        }
        hasher.finish() as usize
    }
}

impl fmt::Debug for Bases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bases").field("known", &self.bases.iter().flatten().count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> FoldedText {
        FoldedText::whole(SpecText { text: text.into(), secrets: None })
    }

    fn spec(header: &str, own: &str) -> FoldedText {
        text(&format!(
            r#"{{"requestInit":{{"headers":{{"{header}":"of {own}"}}}},"responseFilter":{{"body":{{"status":["a \"done\": {own}"]}}}}}}"#
        ))
    }

    #[test]
    fn texts_like_an_earlier_one_are_packed() {
        let mut bases = Bases::new();
        let first = bases.pack(&spec("x-tenant", "1"));
        assert!(first.context.is_none(), "there was none");
        for (header, own) in [("x-tenant", "2"), ("x-tenant", "1"), ("x-tenant-2", "3")] {
            let whole = spec(header, own);
            let packed = bases.pack(&whole);
            assert!(packed.bytes.len() < whole.bytes.len() / 2, "{}", packed.bytes.len());
            assert!(packed.same(&whole) && packed.text() == whole.text());
        }
        assert!(!bases.pack(&spec("x-tenant", "2")).same(&spec("x-tenant", "3")));
        let other = bases.pack(&text(r#"{"timeout":17,"interval":30,"requestTimeout":4}"#));
        assert!(other.context.is_none(), "it is like none");
    }

    #[test]
    fn shapes_are_the_names_of_members() {
        let bases = Bases::new();
        let shape = |text: &str| bases.shape(text);
        assert_eq!(shape(r#"{"a":"b","c":[1,"\"d\":"]}"#), shape(r#"{"a":"e\\","c":["d",{}]}"#));
        assert_ne!(shape(r#"{"a":1,"c":2}"#), shape(r#"{"c":1,"a":2}"#));
        assert_ne!(shape(r#"{"a":{"c":2}}"#), shape(r#"{"ac":2}"#));
        // What is no JSON has some shape as well.
        for broken in ["", "\"", "\"a\\", "\"ä\":\"", "{\"a\":"] {
            shape(broken);
        }
    }

    #[test]
    fn secrets_stay_with_their_texts() {
        let mut bases = Bases::new();
        let secret = |secret: &str| {
            let secrets: Arc<[SecretString]> = Arc::new([secret.to_owned().into()]);
            let text = r#"{"requestInit":{"headers":{"authorization":{"$sealed":0}}}}"#.into();
            FoldedText::whole(SpecText { text, secrets: Some(secrets) })
        };
        bases.pack(&secret("hunter1"));
        let [two, three] = ["hunter2", "hunter3"].map(|text| bases.pack(&secret(text)));
        assert!(two.bytes.len() < 10 && two.same(&secret("hunter2")) && !two.same(&three));
        assert!(!format!("{two:?} {bases:?}").contains("hunter"));
        let base = bases.bases.iter().flatten().next().unwrap();
        assert!(base.secrets.is_none(), "a base has none");
    }
}
