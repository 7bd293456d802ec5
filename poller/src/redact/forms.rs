//! The forms in which a server may echo a secret.
//!
//! ```text
//!   Bearer abc…             abc…               the rest after a scheme
//!   session=abc…; a=b       abc…               each value, without its name
//!   {"key": "a b c …"}      a b c …            each quoted text that is no name
//!   any                     word for word      letters without syntax between them
//!   Basic dXNlcjpwYXNz      user, pass         the parts of the credentials
//!   each of them            YWJj…  616263…  a+b   as base64, hexadecimal digits, in a form
//! ```
//!
//! The names are no secrets: to hide them would make a note useless.

use base64::Engine as _;
use base64::engine::general_purpose::{
    STANDARD as BASE64, STANDARD_NO_PAD as UNPADDED, URL_SAFE as URL_BASE64, URL_SAFE_NO_PAD as URL_UNPADDED,
};
use secrecy::zeroize::Zeroizing;
use url::form_urlencoded;

/// The length in letters of the shortest secret that is hidden, and of the shortest beginning.
pub(super) const SHORTEST: usize = 6;

/// The longest secret that is searched for as a whole and in its encodings, in bytes. Longer ones are bodies, of which the words
/// and the quoted texts are searched for.
const LONGEST: usize = 8 << 10;

/// The longest name or syntax before a secret, in letters.
const LONGEST_LEAD: usize = 64;

/// The schemes before a secret in a header, which are not secret.
const SCHEMES: [&str; 13] = [
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "digest",
    "geniekey",
    "hawk",
    "jwt",
    "negotiate",
    "ntlm",
    "oauth",
    "splunk",
    "token",
];

/// Calls `found` with each form of a secret, and the number of its first letters that are no secret. Linear in the length of the
/// secret.
pub(super) fn of(secret: &str, found: &mut impl FnMut(&str, usize)) {
    let secret = secret.trim();
    words(secret, found);
    if secret.len() > LONGEST {
        return quoted(secret, &mut |text| whole(text, found));
    }
    let rest = after_scheme(secret);
    part(rest, found);
    if let Some((_, rest)) = secret.split_once(' ') {
        part(rest, found);
    }
    for piece in [rest].into_iter().chain(rest.split([';', ',', '&', '\n'])) {
        part(piece, found);
        for (_, value) in [piece.split_once('='), piece.split_once(':')].into_iter().flatten() {
            part(value, found);
        }
    }
    quoted(rest, &mut |text| part(text, found));
    if let Some(pair) = basic(secret) {
        credentials(&pair, found);
    }
}

/// A user and a password, together and each by itself.
fn credentials(pair: &str, found: &mut impl FnMut(&str, usize)) {
    words(pair, found);
    part(pair, found);
    if let Some((user, password)) = pair.split_once(':') {
        part(user, found);
        part(password, found);
    }
}

/// A part of a secret as a whole and in its encodings.
fn part(text: &str, found: &mut impl FnMut(&str, usize)) {
    // Brackets and quotes around a secret identify nothing.
    let text = text.trim_matches([' ', '"', '\'', '{', '}', '[', ']']);
    if text.chars().count() >= SHORTEST {
        whole(text, found);
        encoded(text, found);
    }
}

/// A text as it is, and as JSON quotes it.
fn whole(text: &str, found: &mut impl FnMut(&str, usize)) {
    let lead = lead(text);
    if lead > LONGEST_LEAD {
        return;
    }
    found(text, lead);
    if let Ok(quoted) = serde_json::to_string(text).map(Zeroizing::new)
        && quoted.len() > text.len() + 2
    {
        let escapes = text.chars().take(lead).filter(|letter| matches!(letter, '"' | '\\')).count();
        found(&quoted[1..quoted.len() - 1], lead + escapes);
    }
}

/// Base64, hexadecimal digits and percent-encoding of a text.
fn encoded(text: &str, found: &mut impl FnMut(&str, usize)) {
    // A secret may stand within what is encoded, as in a whole header. Three bytes are four letters of base64, so what is before
    // it matters by its length modulo three, and by the letters that it shares with it.
    for (before, shared) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = Zeroizing::new([&[0; 2][..before], text.as_bytes()].concat());
        for engine in [&BASE64, &URL_BASE64] {
            found(&Zeroizing::new(engine.encode(&*bytes))[shared..], 0);
        }
    }
    // Two digits a byte, so twice as many must be there; six digits are in any number.
    let digits: Zeroizing<String> = Zeroizing::new(text.bytes().map(|byte| format!("{byte:02x}")).collect());
    found(&digits, SHORTEST);
    // As in a form, and as in a path.
    let percent =
        |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let form = percent(text);
    let lead = lead(text);
    if *form != text && lead <= LONGEST_LEAD {
        let (lead, _) = text.split_at(text.char_indices().nth(lead).map_or(text.len(), |(end, _)| end));
        let lead = percent(lead);
        found(&form, lead.len());
        let spaces = lead.matches('+').count();
        found(&Zeroizing::new(form.replace('+', "%20")), lead.len() + 2 * spaces);
    }
}

/// Calls `found` with each text between double quotes that is no name.
fn quoted(secret: &str, found: &mut impl FnMut(&str)) {
    let mut rest = secret;
    while let Some((_, from)) = rest.split_once('"') {
        let mut escaped = false;
        let end = from.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let Some(end) = end else { return };
        let (text, after) = from.split_at(end);
        if !names(after) {
            // As written, and as meant.
            found(text);
            if text.contains('\\')
                && let Ok(meant) = serde_json::from_str::<String>(&format!("\"{text}\"")).map(Zeroizing::new)
            {
                found(&meant);
            }
        }
        rest = &after[1..];
    }
}

/// The words of a secret, except names and schemes.
fn words(secret: &str, found: &mut impl FnMut(&str, usize)) {
    let mut rest = secret;
    while let Some((word, after)) = first_word(rest) {
        rest = after;
        if word.chars().count() >= SHORTEST && !names(after) && !is_scheme(word) {
            found(word, 0);
        }
    }
}

/// The number of letters before the first that is secret: syntax, names, and what separates them.
fn lead(text: &str) -> usize {
    let mut rest = text;
    loop {
        let (word, after) = first_word(rest).unwrap_or_default();
        if !names(after) {
            // Syntax before a name is no secret, but before a value it is a part of it.
            let lead = if rest.len() == text.len() { 0 } else { text.len() - word.len() - after.len() };
            return text[..lead].chars().count();
        }
        rest = after;
    }
}

/// The user and the password of a `Basic` header.
fn basic(secret: &str) -> Option<Zeroizing<String>> {
    let (scheme, encoded) =
        secret.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))?;
    debug_assert!(is_scheme(scheme));
    let encoded = encoded.trim().trim_end_matches('=');
    let bytes = UNPADDED.decode(encoded).or_else(|_| URL_UNPADDED.decode(encoded)).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

fn after_scheme(secret: &str) -> &str {
    match secret.split_once(' ') {
        Some((scheme, rest)) if is_scheme(scheme) => rest.trim_start(),
        _ => secret,
    }
}

/// The first word of a text, and what follows it.
fn first_word(text: &str) -> Option<(&str, &str)> {
    let word = &text[text.find(is_of_word)?..];
    Some(word.split_at(word.find(|letter| !is_of_word(letter)).unwrap_or(word.len())))
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

fn is_scheme(word: &str) -> bool {
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_end_where_the_secret_begins() {
        for (text, expected) in [
            ("token-abc", 0),
            ("session=abcdef", "session=".len()),
            ("\"client_id\": \"1234\"", "\"client_id\": \"".len()),
            ("{\"a\": {\"b\": \"c\"}}", "{\"a\": {\"b\": \"".len()),
            ("(abc) def", 0),
            ("one:two", "one:".len()),
            ("", 0),
        ] {
            assert_eq!(lead(text), expected, "{text}");
        }
    }
}
