//! Reading many specs: those of one kind are decoded once.
//!
//! ```text
//! {"cacheKey":"a","url":"https://a.test/1","interval":30,"responseFilter":{…}}
//!  └ read for each spec ──────────────────┘ └ a kind: looked up, and decoded when it is new
//! ```
//!
//! A batch of a million specs is mostly of a few kinds, which differ in `url` and `cacheKey` only. Decoding a kind compiles its
//! filters and takes several times as long as parsing its text; the settings would take kilobytes for each poll.

use std::collections::HashMap;
use std::sync::Arc;

use filter::decode::Place;
use filter::json::{Kind, Member, Node};

use super::alike::KnownTexts;
use super::identity::UrlReader;
use super::read::Reader;
use super::settings::Settings;
use super::{PollSpec, SpecError, SpecOptions, identity, pool};

/// The most kinds that are remembered; with more, all are forgotten, as a batch in which every spec differs gains nothing.
const KINDS: usize = 1024;

/// Reads specs one after the other and shares what they have in common.
///
/// ```
/// use filter::json;
/// use poller::{SpecOptions, SpecReader};
///
/// let mut reader = SpecReader::new(SpecOptions::new());
/// let text = r#"{"cacheKey": "a", "url": "https://a.test/1"} {"cacheKey": "b", "url": "https://a.test/2"}"#;
/// let keys: Vec<_> = json::parse_sequence(text, &filter::Limits::default())?
///     .iter()
///     .map(|node| reader.decode(node).map(|read| read.cache_key))
///     .collect::<Result<_, _>>()?;
/// assert_eq!(keys, [Some("a".to_owned()), Some("b".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SpecReader {
    options: SpecOptions,
    /// The kinds read so far, by the hashes of their members.
    kinds: HashMap<u64, KnownKind>,
    /// The texts of kinds that were written alike.
    texts: KnownTexts,
    urls: UrlReader,
}

#[derive(Debug)]
struct KnownKind {
    /// All members but `url` and `cacheKey`, in their order.
    members: Vec<Member>,
    settings: Arc<Settings>,
}

/// A spec that was read, and the key that it names for itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpecRead {
    /// The spec, without a [cache key](PollSpec::cache_key), since it may share everything but the URL with others.
    pub spec: PollSpec,
    /// The member `cacheKey`.
    pub cache_key: Option<String>,
}

impl SpecReader {
    /// A reader that has read nothing.
    #[must_use]
    pub fn new(options: SpecOptions) -> Self {
        Self { options, kinds: HashMap::new(), texts: KnownTexts::default(), urls: UrlReader::default() }
    }

    /// Reads a spec, as [`SpecOptions::decode`] does. Linear in the size of the spec.
    ///
    /// # Errors
    /// Every problem with its place.
    pub fn decode(&mut self, node: &Node) -> Result<SpecRead, SpecError> {
        let hash = pool::content_hash(node, &identity::NAMES);
        if let Some(known) = self.kinds.get(&hash)
            && let Some(read) = known.read(&self.options, &mut self.urls, node)
        {
            return Ok(read);
        }
        let mut spec = self.options.decode(node, "")?;
        // These settings are not shared yet.
        let cache_key = Arc::get_mut(&mut spec.settings).and_then(Settings::take_cache_key);
        if is_shared(&spec) {
            if self.kinds.len() >= KINDS {
                self.kinds.clear();
            }
            let members = rest(node).cloned().collect();
            self.kinds.insert(hash, KnownKind { members, settings: Arc::clone(&spec.settings) });
        }
        Ok(SpecRead { spec, cache_key })
    }

    /// Remembers how a spec is written that was [decoded](Self::decode) from this node of this text: those that differ from it only
    /// in the values of `url` and `cacheKey` are then [read without a tree](Self::read_alike).
    pub fn remember(&mut self, node: &Node, text: &str, read: &SpecRead) {
        if is_shared(&read.spec) {
            self.texts.learn(node, text, &read.spec.settings);
        }
    }

    /// Reads the spec at the beginning of a text, if it is [written](Self::remember) like an earlier one, and returns its length;
    /// `None` if it is not, or has a problem: then it is to be parsed and decoded. Takes about as long as to compare the texts.
    ///
    /// ```
    /// # use filter::json;
    /// # use poller::{SpecOptions, SpecReader};
    /// let mut reader = SpecReader::new(SpecOptions::new());
    /// let first = r#"{"url": "https://a.test/1", "interval": 30}"#;
    /// let node = json::parse(first, &filter::Limits::default())?;
    /// let read = reader.decode(&node)?;
    /// reader.remember(&node, first, &read);
    /// let (read, length) = reader.read_alike(r#"{"url": "https://a.test/2", "interval": 30} {}"#).expect("it is alike");
    /// assert_eq!((read.spec.url_text(), length), ("https://a.test/2", first.len()));
    /// assert!(reader.read_alike(r#"{"url": "https://a.test/2", "interval": 40}"#).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_alike(&mut self, text: &str) -> Option<(SpecRead, usize)> {
        let alike = self.texts.find(text)?;
        let key_len = self.options.limits.key_len;
        if alike.cache_key.is_some_and(|key| !identity::is_key(key, key_len)) {
            return None;
        }
        let url = clean_url(&self.options, &mut self.urls, alike.url)?;
        let spec = PollSpec { url, settings: Arc::clone(alike.settings) };
        Some((SpecRead { spec, cache_key: alike.cache_key.map(str::to_owned) }, alike.length))
    }
}

/// Whether what was found in a spec holds for every spec that differs from it in its URL and its key only.
///
/// Warnings name places in its text, and another spec has its own. Certificates get a warning that depends on the scheme of the URL.
fn is_shared(spec: &PollSpec) -> bool {
    spec.warnings().is_empty() && spec.request().tls.is_none()
}

impl KnownKind {
    /// Reads a spec of this kind; `None` if it is of another one, or not valid and without warnings.
    fn read(&self, options: &SpecOptions, urls: &mut UrlReader, node: &Node) -> Option<SpecRead> {
        if !pool::same_members(rest(node), &self.members) {
            return None;
        }
        let mut url = None;
        let mut key = None;
        let Kind::Object(members) = &node.kind else { return None };
        for member in members {
            let place = match member.key.as_str() {
                "url" => &mut url,
                "cacheKey" => &mut key,
                _ => continue,
            };
            if place.replace(&member.value).is_some() {
                // Twice the same member is a problem.
                return None;
            }
        }
        let url = clean_url(options, urls, Place::root(url?).text()?)?;
        let is_key = |key: &&str| identity::is_key(key, options.limits.key_len);
        let cache_key = match key {
            None => None,
            Some(node) => Some(Place::root(node).text().filter(is_key)?.to_owned()),
        };
        Some(SpecRead { spec: PollSpec { url, settings: Arc::clone(&self.settings) }, cache_key })
    }
}

/// The normal form of a URL; `None` if it has a problem, or a warning.
fn clean_url(options: &SpecOptions, urls: &mut UrlReader, text: &str) -> Option<Arc<str>> {
    let url = urls.read(text, || {
        let mut reader = Reader::new(options);
        let node = Node { span: None, kind: Kind::String(text.to_owned()) };
        let url = reader.url(Place { node: &node, pointer: "/url" });
        let is_clean = reader.problems.errors.is_empty() && reader.problems.warnings.is_empty();
        url.filter(|_| is_clean).ok_or(())
    });
    url.ok()
}

/// The members that make a kind.
fn rest(node: &Node) -> impl Iterator<Item = &Member> {
    let members: &[Member] = match &node.kind {
        Kind::Object(members) => members,
        _ => &[],
    };
    members.iter().filter(|member| !identity::NAMES.contains(&member.key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use filter::json;
    use proptest::prelude::*;

    fn node(text: &str) -> Node {
        json::parse(text, &filter::Limits::default()).unwrap()
    }

    #[test]
    fn specs_of_one_kind_share_their_settings() {
        let mut reader = SpecReader::new(SpecOptions::new());
        let mut read = |text: &str| reader.decode(&node(text)).unwrap();
        let one = read(r#"{"cacheKey":"a","url":"https://a.test/1","interval":30}"#);
        let two = read(r#"{ "interval": 30, "url": "https://a.test/2" }"#);
        let other = read(r#"{"url":"https://a.test/2","interval":40}"#);
        assert!(two.spec.shares_with(&one.spec) && !other.spec.shares_with(&one.spec));
        assert_eq!((one.cache_key.as_deref(), two.cache_key), (Some("a"), None));
        assert_eq!(two.spec.url_text(), "https://a.test/2");
    }

    const PARTS: [&str; 12] = [
        r#""url":"https://a.test/1""#,
        r#""url":"http://a.test/1""#,
        r#""requestInit":{"tls":{"cacert":{"$secret":"env:CA"}}}"#,
        r#""url":"https://a.test/${ID}""#,
        r#""url":"ftp://a.test""#,
        r#""cacheKey":"a""#,
        r#""cacheKey":"\n""#,
        r#""interval":30"#,
        r#""interval":30.0"#,
        r#""interval":1"#,
        r#""responseFilter":{"body":{"a":[1,{"$gt":2}]}}"#,
        r#""nonsense":1"#,
    ];

    #[test]
    fn a_warning_about_the_url_is_found_after_specs_without_it() {
        let spec = |url: &str| {
            format!(r#"{{"url":"{url}","requestInit":{{"tls":{{"cacert":{{"$secret":"env:CA"}}}}}}}}"#)
        };
        let mut reader = SpecReader::new(SpecOptions::new());
        let secure = spec("https://a.test/1");
        let read = reader.decode(&node(&secure)).unwrap();
        assert!(read.spec.warnings().is_empty(), "{:?}", read.spec.warnings());
        reader.remember(&node(&secure), &secure, &read);
        let plain = spec("http://a.test/1");
        assert!(reader.read_alike(&plain).is_none());
        assert_eq!(reader.decode(&node(&plain)).unwrap().spec.warnings().len(), 1);
    }

    proptest! {
        /// Whatever was read before, a spec is read as by itself.
        #[test]
        fn a_reader_reads_as_its_options_do(
            specs in proptest::collection::vec(proptest::collection::vec(0..PARTS.len(), 0..4), 1..12),
        ) {
            let options = SpecOptions::new();
            let mut reader = SpecReader::new(options.clone());
            for parts in specs {
                let text = format!("{{{}}}", parts.iter().map(|part| PARTS[*part]).collect::<Vec<_>>().join(","));
                let alike = reader.read_alike(&text);
                let (one, other) = (reader.decode(&node(&text)), options.decode(&node(&text), ""));
                if let Some((alike, length)) = alike {
                    let other = other.clone().unwrap();
                    prop_assert_eq!((&alike.spec, length), (&other, text.len()));
                    prop_assert_eq!(alike.cache_key.as_deref(), other.cache_key());
                    prop_assert!(other.warnings().is_empty());
                }
                if let Ok(read) = &one {
                    reader.remember(&node(&text), &text, read);
                }
                match (one, other) {
                    (Ok(one), Ok(other)) => {
                        prop_assert_eq!(&one.spec, &other);
                        prop_assert_eq!(one.spec.warnings(), other.warnings());
                        prop_assert_eq!(one.cache_key.as_deref(), other.cache_key());
                    }
                    (one, other) => prop_assert_eq!(one.err(), other.err()),
                }
            }
        }
    }
}
