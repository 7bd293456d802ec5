//! Removes secrets that a server sends back from every text that quotes a response.
//!
//! The explanation of a response quotes its values, and some servers echo the request. The response itself is the user's data
//! and stays unchanged, but notes and explanations go into logs and onto screens, so the secrets of the answered request are
//! removed from them. Only the secrets of this one request are known, for as long as it lives.
//!
//! A server seldom echoes a secret as it was sent: it echoes the token of `Bearer abc…`, or one value of a cookie, and a quote
//! may end within it. The search is therefore for the words of a secret, and for every beginning of a word, from
//! [`SHORTEST`] letters on. Shorter words are ignored: a pin of four digits would hide every year, and a word that is like
//! other text gives nothing away.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};

/// The length of the shortest word that is hidden, and of the shortest beginning.
const SHORTEST: usize = 6;

/// The replacement of a secret.
const HIDDEN: &str = "[secret]";

/// The secret texts of one request.
#[derive(Default)]
pub(crate) struct Secrets {
    words: Vec<SecretString>,
}

impl Secrets {
    /// Adds a secret value of a header, or a secret body.
    pub(crate) fn add(&mut self, secret: &str) {
        let mut rest = secret;
        while let Some(start) = rest.find(is_of_word) {
            let word = &rest[start..];
            let length = word.find(|letter| !is_of_word(letter)).unwrap_or(word.len());
            let (word, after) = word.split_at(length);
            rest = after;
            if word.chars().count() >= SHORTEST && !names(after) && !is_scheme(word) && !self.has(word) {
                self.words.push(SecretString::from(word));
            }
        }
        // A server that decodes the credentials may echo the password alone.
        if let Some(encoded) = secret.strip_prefix("Basic ")
            && let Ok(Ok(pair)) = BASE64.decode(encoded.trim()).map(String::from_utf8)
            && let Some((_, password)) = pair.split_once(':')
        {
            self.add(password);
        }
    }

    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|known| known.expose_secret() == word)
    }

    /// Whether there is anything to hide.
    pub(crate) const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The text without the secrets. Linear in its length, for each word.
    pub(crate) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let (mut hidden, mut shown) = (String::new(), 0);
        // The next place of the beginning of each word.
        let places = |word: &SecretString, from: usize| text[from..].find(least(word)).map(|at| from + at);
        let mut next: Vec<_> = self.words.iter().map(|word| (places(word, 0), word)).collect();
        while let Some(start) = next.iter().filter_map(|(place, _)| *place).min() {
            // Of words with the same beginning, the one with the longest match.
            let here = next.iter().filter(|(place, _)| *place == Some(start));
            let longest = here.map(|(_, word)| common(&text[start..], word.expose_secret())).max();
            hidden.push_str(&text[shown..start]);
            hidden.push_str(HIDDEN);
            shown = start + longest.unwrap_or_default();
            for (place, word) in &mut next {
                if place.is_some_and(|place| place < shown) {
                    *place = places(word, shown);
                }
            }
        }
        if shown == 0 { Cow::Borrowed(text) } else { Cow::Owned(hidden + &text[shown..]) }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.words.len())
    }
}

/// The letters of tokens, keys and passwords; other characters are syntax.
fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || "-_.~+/!#$%*^|@?".contains(letter)
}

/// Whether the text after a word makes it a name, as in `session=…` and `"key": …`.
fn names(after: &str) -> bool {
    let after = after.trim_start_matches(['"', '\'']);
    let begins = |value: &str| value.starts_with(|first| is_of_word(first) || "\"'{[".contains(first));
    match (after.strip_prefix('='), after.trim_start().strip_prefix(':')) {
        // A `=` without a value ends a word in Base64.
        (Some(value), _) => begins(value),
        (None, Some(value)) => begins(value.trim_start()),
        (None, None) => false,
    }
}

/// The schemes before a secret in a header, which are not secret.
fn is_scheme(word: &str) -> bool {
    const SCHEMES: [&str; 5] = ["bearer", "basic", "digest", "apikey", "negotiate"];
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// The beginning of a word that must be present for it to be hidden.
fn least(word: &SecretString) -> &str {
    let word = word.expose_secret();
    word.char_indices().nth(SHORTEST).map_or(word, |(end, _)| &word[..end])
}

/// The length in bytes of the common beginning of both.
fn common(text: &str, word: &str) -> usize {
    text.chars().zip(word.chars()).take_while(|(a, b)| a == b).map(|(letter, _)| letter.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(secret: &str, text: &str) -> String {
        let mut secrets = Secrets::default();
        secrets.add(secret);
        assert_eq!(
            format!("{secrets:?}"),
            format!("Secrets({})", secrets.words.len()),
            "Debug shows nothing"
        );
        secrets.hide(text).into_owned()
    }

    #[test]
    fn echoes_are_hidden_whole_or_in_part() {
        let token = "Bearer eyJhbGciOi.J9_x-y==";
        for (text, shown) in [
            ("auth is \"Bearer eyJhbGciOi.J9_x-y==\", expected", "auth is \"Bearer [secret]==\", expected"),
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
        assert_eq!(hidden(padded, "c2VjcmV0 c2VjcmV1= c2VjcmV2=="), "[secret] [secret]= [secret]==");
        assert_eq!(hidden("1234", "in 1234"), "in 1234");
        assert_eq!(hidden("", "anything"), "anything");
        assert_eq!(hidden("über-geheim", "so über-geheim war es"), "so [secret] war es");
    }

    #[test]
    fn the_password_of_basic_authorization_is_known_by_itself() {
        // user:open-sesame
        assert_eq!(hidden("Basic dXNlcjpvcGVuLXNlc2FtZQ==", "user said open-sesame"), "user said [secret]");
    }
}
