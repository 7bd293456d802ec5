//! Removes secrets that a server sends back from every text that is shown about an attempt.
//!
//! The explanation of a response quotes its values, an error names the place that a redirect leads to, and some servers echo the
//! request. The response itself is the user's data and stays unchanged, but notes, explanations and errors go into logs and onto
//! screens, so the secrets of the request are removed from them. Only the secrets of this one request are known, for as long as
//! it lives. [`forms`] lists what is searched for, and [`views`] the readings of the text in which [`Secrets::hide`] searches.
//!
//! ```text
//!   text ──► its readings ──► the six letters at each place ──► a hash of beginnings ──► binary search among them ──► [secret]
//! ```
//!
//! Case does not count, since host names and schemes arrive in lower case. A quotation may end within a secret, so every
//! beginning is hidden, from [`SHORTEST`] letters on. Shorter ones are not: a pin of four digits would hide every year, and a
//! text that is like other text gives nothing away. An automaton over all secrets was the alternative; it takes longer to
//! build than most texts take to search.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, OnceLock};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::forms::{self, SHORTEST};
use super::views::{self, View};

/// The replacement of a secret.
const HIDDEN: &str = "[secret]";

/// The secret texts of one or several requests, to be hidden in what quotes a response.
///
/// ```
/// use poller::redact::Secrets;
/// use poller::secret::SecretString;
///
/// let mut secrets = Secrets::default();
/// secrets.add_secret(&SecretString::from("Bearer s3cret-token"));
/// assert_eq!(secrets.hide("unknown token s3cret-token"), "unknown token [secret]");
/// assert_eq!(secrets.hide("no host S3CRET-TOKEN.x"), "no host [secret].x");
/// ```
///
/// Secrets shorter than six letters are not hidden, since that would hide other text too.
#[derive(Clone, Default)]
pub struct Secrets {
    values: Vec<SecretString>,
    /// Hashes of the values: a reference is resolved at each sending, mostly to the same secret.
    known: HashSet<u64>,
    hasher: RandomState,
    /// Made when a text is searched for the first time: most attempts show none.
    index: OnceLock<Arc<Index>>,
}

impl Secrets {
    /// Adds a secret, such as the value of a header or a body.
    pub fn add_secret(&mut self, secret: &SecretString) {
        self.add(secret.expose_secret());
    }

    pub(crate) fn add(&mut self, secret: &str) {
        // The first line of a PEM text is that of all others.
        let pem = secret.strip_prefix("-----BEGIN ").and_then(|rest| rest.split_once('\n'));
        let secret = pem.map_or(secret, |(_, content)| content);
        if !self.known.insert(self.hasher.hash_one(secret)) {
            return;
        }
        self.values.push(SecretString::from(secret));
        self.index = OnceLock::new();
    }

    /// Whether there is anything to hide.
    pub(crate) const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The text without the secrets. Takes time linear in its length, and in that of the secrets the first time.
    #[must_use]
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.values.is_empty() {
            return Cow::Borrowed(text);
        }
        let index = self.index.get_or_init(|| Arc::new(Index::new(&self.values)));
        let mut found = Vec::new();
        for view in views::of(text) {
            index.find(view, &mut found);
        }
        found.sort_unstable();
        let (mut hidden, mut shown) = (String::new(), 0);
        for (start, end) in found {
            // What another reading has found in the same place is hidden already.
            if end <= shown {
                continue;
            }
            if start >= shown {
                hidden.push_str(&text[shown..start]);
                hidden.push_str(HIDDEN);
            }
            shown = end;
        }
        if shown == 0 { Cow::Borrowed(text) } else { Cow::Owned(hidden + &text[shown..]) }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.values.len())
    }
}

/// What is searched for.
struct Index {
    /// Hashes of the first letters of all needles.
    starts: HashSet<u64>,
    /// Needles that begin with the secret itself, in order.
    plain: Vec<Needle>,
    /// Needles that begin with a name or syntax, in order.
    led: Vec<Needle>,
}

/// A folded text, and how many letters of it must be present.
type Needle = (Zeroizing<Vec<char>>, usize);

impl Index {
    fn new(values: &[SecretString]) -> Self {
        let (mut starts, mut plain, mut led) = (HashSet::new(), Vec::new(), Vec::new());
        for value in values {
            forms::of(value.expose_secret(), &mut |form, lead| {
                let letters: Zeroizing<Vec<char>> = Zeroizing::new(form.chars().map(fold).collect());
                if letters.len() < SHORTEST {
                    return;
                }
                let least = letters.len().min(lead + SHORTEST);
                starts.insert(hash(&letters));
                if lead == 0 { plain.push((letters, least)) } else { led.push((letters, least)) }
            });
        }
        for needles in [&mut plain, &mut led] {
            needles.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            needles.dedup_by(|(a, _), (b, _)| a == b);
        }
        Self { starts, plain, led }
    }

    /// Adds the places of secrets in a reading, each from its first byte in the text to its end.
    fn find(&self, mut view: View, found: &mut Vec<(usize, usize)>) {
        view.letters.iter_mut().for_each(|letter| *letter = fold(*letter));
        let mut at = 0;
        while let Some(here) = view.letters.get(at..).filter(|here| here.len() >= SHORTEST) {
            let Some(length) = self.longest(here) else {
                at += 1;
                continue;
            };
            found.push((view.places[at].0, view.places[at + length - 1].1));
            at += length;
        }
    }

    /// The length of the longest beginning of a needle at the beginning of `text`, which has at least [`SHORTEST`] letters.
    fn longest(&self, text: &[char]) -> Option<usize> {
        if !self.starts.contains(&hash(text)) {
            return None;
        }
        let longest = |needles: &[Needle]| {
            // In a sorted list, the longest common beginning is that of a neighbour.
            let after = needles.partition_point(|(needle, _)| needle.as_slice() <= text);
            let neighbours = needles.get(after.saturating_sub(1)..).unwrap_or_default().iter().take(2);
            let common = |needle: &[char]| text.iter().zip(needle).take_while(|(a, b)| a == b).count();
            neighbours.map(|(needle, least)| (common(needle), *least)).filter(|(n, least)| n >= least).max()
        };
        let (plain, led) = (longest(&self.plain), longest(&self.led));
        plain.max(led).map(|(length, _)| length)
    }
}

/// A letter without its case.
fn fold(letter: char) -> char {
    if letter.is_ascii() {
        letter.to_ascii_lowercase()
    } else {
        letter.to_lowercase().next().unwrap_or(letter)
    }
}

/// A hash of the first letters. The set keeps hashes instead of letters, so that it holds no part of a secret.
fn hash(letters: &[char]) -> u64 {
    // FNV-1a. Collisions cost a search that finds nothing.
    letters.iter().take(SHORTEST).fold(0xcbf2_9ce4_8422_2325, |hash, letter| {
        (hash ^ u64::from(u32::from(*letter))).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_once_and_the_first_line_of_pem_is_none() {
        let mut secrets = Secrets::default();
        for _ in 0..3 {
            secrets.add("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----\n");
        }
        assert_eq!(secrets.values.len(), 1);
        assert_eq!(secrets.hide("-----BEGIN CERTIFICATE-----"), "-----BEGIN CERTIFICATE-----");
        assert_eq!(secrets.hide("key MIIEvQIBADAN"), "key [secret]");
    }

    fn hidden(secret: &str, text: &str) -> String {
        let mut secrets = Secrets::default();
        secrets.add(secret);
        assert_eq!(format!("{secrets:?}"), "Secrets(1)", "Debug shows nothing");
        secrets.hide(text).into_owned()
    }

    #[test]
    fn echoes_are_hidden_whole_or_in_part() {
        let token = "Bearer eyJhbGciOi.J9_x-y==";
        for (text, shown) in [
            ("auth is \"Bearer eyJhbGciOi.J9_x-y==\", expected", "auth is \"Bearer [secret]\", expected"),
            ("auth is \"eyJhbGciOi.J9_x-y\"", "auth is \"[secret]\""),
            // A quotation that ends within the token, and a quotation too short to identify it.
            ("auth is \"eyJhbGc…", "auth is \"[secret]…"),
            ("auth is \"eyJh…", "auth is \"eyJh…"),
            ("twice eyJhbGciOi.J9_x-y, eyJhbGciOi.J9_x-y", "twice [secret], [secret]"),
            ("status is \"PENDING\"", "status is \"PENDING\""),
        ] {
            assert_eq!(hidden(token, text), shown);
        }
        // Tokens of one issuer begin alike.
        let two = "a=eyJhbGciOi.first; b=eyJhbGciOi.second";
        assert_eq!(hidden(two, "eyJhbGciOi.second, eyJhbGciOi.first"), "[secret], [secret]");
    }

    #[test]
    fn names_of_values_and_short_words_are_no_secrets() {
        let cookie = "session=abcdef-123; theme=dark; lang=en";
        assert_eq!(
            hidden(cookie, "session is abcdef-123, theme is dark"),
            "session is [secret], theme is dark"
        );
        let body = r#"{"client_id": "1234", "client_secret": "tell-nobody"}"#;
        assert_eq!(
            hidden(body, "client_secret is tell-nobody, year 1234"),
            "client_secret is [secret], year 1234"
        );
        let padded = "a=c2VjcmV0;b=c2VjcmV1=; c=c2VjcmV2==";
        assert_eq!(hidden(padded, "c2VjcmV0 c2VjcmV1= c2VjcmV2=="), "[secret] [secret] [secret]");
        assert_eq!(hidden("1234", "in 1234"), "in 1234");
        assert_eq!(hidden("", "anything"), "anything");
        assert_eq!(hidden("über-geheim", "so über-geheim war es"), "so [secret] war es");
    }

    #[test]
    fn values_with_spaces_and_syntax_are_hidden_whole() {
        for secret in [
            "correct horse battery staple",
            "a b c d e f g h",
            "one:two,three;four=five six",
            "k=1,v=2,w=3",
            "p:q:r:s:t:u",
            "it's \"quoted\" \\ here",
            "50% & more/less?",
        ] {
            assert_eq!(hidden(secret, &format!("got {secret}.")), "got [secret].", "{secret}");
            let quoted = serde_json::to_string(secret).unwrap();
            assert_eq!(hidden(secret, &format!("got {quoted}")), "got \"[secret]\"", "{secret}");
            for header in [format!("ApiKey {secret}"), format!("Token {secret}"), format!("key={secret}")] {
                assert!(!hidden(&header, &format!("got {secret}.")).contains(secret), "{header}");
            }
            let body = serde_json::json!({"client_secret": secret}).to_string();
            assert_eq!(hidden(&body, &format!("secret is {quoted}")), "secret is \"[secret]\"", "{body}");
        }
    }

    #[test]
    fn other_cases_and_encodings_are_hidden() {
        for secret in ["Bearer sK_live_4242AbCd", "sK_live_4242AbCd"] {
            for echo in [
                "sk_live_4242abcd",
                "SK_LIVE_4242ABCD",
                "c0tfbGl2ZV80MjQyQWJDZA==", // base64
                "c0tfbGl2ZV80MjQyQWJDZA",
            ] {
                assert_eq!(hidden(secret, &format!("no host {echo}.x")), "no host [secret].x", "{echo}");
            }
        }
        // The whole header, and the secret behind one letter and behind two; the last letters are shared with what follows.
        for (echo, shown) in [
            ("QmVhcmVyIHNLX2xpdmVfNDI0MkFiQ2Q=", "QmVhcmVyIH[secret]"),
            ("eHNLX2xpdmVfNDI0MkFiQ2Qh", "eH[secret]h"),
            ("eHhzS19saXZlXzQyNDJBYkNkIQ==", "eHh[secret]IQ=="),
        ] {
            assert_eq!(hidden("Bearer sK_live_4242AbCd", echo), shown);
        }
        assert_eq!(hidden("~~~???>>>", "fn5-Pz8_Pj4- and fn5+Pz8/Pj4+"), "[secret] and [secret]"); // both alphabets
        assert_eq!(
            hidden("a b/c d/e", "at /x?k=a%20b%2Fc%20d%2Fe and a+b%2Fc+d%2Fe"),
            "at /x?k=[secret] and [secret]"
        );
        assert_eq!(hidden("GEHEIM-ÄÖÜ", "geheim-äöü"), "[secret]");
    }

    #[test]
    fn escapes_hide_nothing() {
        let secret = "Bearer tok3n/A+b&d<e>\u{e9}-0123456789";
        let bare = &secret["Bearer ".len()..];
        let each = |write: fn(char) -> String| bare.chars().map(write).collect::<String>();
        for echo in [
            each(|c| c.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect()),
            each(|c| format!("\\u{:04X}", u32::from(c))),
            each(|c| format!("&#{};", u32::from(c))),
            each(|c| format!("&#x{:x};", u32::from(c))),
            // Only some letters, as `encodeURIComponent`, `htmlspecialchars` and PHP's `json_encode` do it.
            bare.replace('/', "%2F").replace('+', "%2B").replace('&', "%26"),
            bare.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            bare.replace('/', "\\/").replace('\u{e9}', "\\u00e9"),
            // Twice.
            bare.replace('/', "%252F").replace('+', "%252B"),
            bare.replace('&', "&amp;amp;"),
            format!("{}\n  {}", &bare[..9], "and more"),
            [&bare[..4], "\r\n", &bare[4..]].concat(),
            bare.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ] {
            let shown = hidden(secret, &format!("got {echo}."));
            assert!(shown.starts_with("got [secret]"), "{echo}: {shown}");
            for piece in ["0123456789", "%31%32", "u0031", "#49;", "#x31;", "31323334"] {
                assert!(!shown.contains(piece), "{echo}: {shown}");
            }
        }
        // Base64 as e-mail has it, in lines.
        let long =
            "a-token-of-more-letters-than-a-line-of-base64-for-mail-has-0123456789-0123456789-0123456789";
        let mut lines = String::new();
        for line in
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, long).as_bytes().chunks(76)
        {
            lines.push_str(std::str::from_utf8(line).unwrap());
            lines.push_str("\r\n");
        }
        assert_eq!(hidden(long, &lines), "[secret]\r\n");
        // Nothing else is changed.
        for text in ["100% of\nall", "a\\u0041b & c &amp; d", "%41%42%43%44%45%46"] {
            assert_eq!(hidden(secret, text), text);
        }
    }

    #[test]
    fn the_parts_of_basic_authorization_are_known_by_themselves() {
        // user-name:open-sesame
        for scheme in ["Basic", "basic", "BASIC"] {
            let header = format!("{scheme} dXNlci1uYW1lOm9wZW4tc2VzYW1l");
            for (echo, shown) in [
                ("user-name said open-sesame", "[secret] said [secret]"),
                ("user-name:open-sesame", "[secret]"),
                ("DXNLCI1UYW1LOM9WZW4TC2VZYW1L", "[secret]"),
                ("b3Blbi1zZXNhbWU=", "[secret]"), // base64 of the password
            ] {
                assert_eq!(hidden(&header, echo), shown, "{header}");
            }
        }
        // sk_live_42424242: and nothing, as Stripe has it.
        assert_eq!(
            hidden("Basic c2tfbGl2ZV80MjQyNDI0Mjo=", "unknown key sk_live_42424242"),
            "unknown key [secret]"
        );
    }

    /// A text as long as the largest body, with a body as long as the secret: both are gone through once.
    #[test]
    fn time_is_linear() {
        let words = |n: usize| (0..n).map(|i| format!("\"name{i}\": \"value-{i:07}\", ")).collect::<String>();
        let secret = words(30_000);
        let mut secrets = Secrets::default();
        secrets.add(&secret);
        let text = format!("{} {}", secret, "value-0 name1 sess ".repeat(50_000));
        let shown = secrets.hide(&text);
        assert!(!shown.contains("value-0000001") && shown.contains("name1"));
        // The same letters again and again, of which every place begins a secret.
        let mut secrets = Secrets::default();
        secrets.add(&"aaaaaaaa".repeat(50_000));
        assert_eq!(secrets.hide(&"a".repeat(900_000)), "[secret][secret][secret]");
    }
}
