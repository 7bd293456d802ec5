//! Plain values that look like references to secrets or like templates, and are sent as they stand.
//!
//! `"authorization": "env:API_TOKEN"` sends these very words, and a server that checks them answers 401, five times. Such values
//! are warnings: they are possible, but almost never meant. The message quotes only the part that looks like a reference,
//! since the rest of the value may be secret.

use filter::decode::Place;

use super::read::Reader;

/// The part of a value that looks like a reference, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lookalike<'t> {
    pub(super) part: &'t str,
    pub(super) help: String,
}

impl Reader<'_> {
    pub(super) fn warn_of_lookalike(&mut self, place: Place<'_>, found: Option<Lookalike<'_>>) {
        if let Some(Lookalike { part, help }) = found {
            self.problems.warn(place, format!("{part:?} is sent as it stands"), help);
        }
    }
}

/// Looks for a reference in the value of a header: `env:NAME`, `file:PATH` or `@PATH` as its last word, behind nothing or the
/// scheme of an `authorization`; `$NAME` as a word, `${NAME}` and `{{NAME}}` anywhere.
pub(super) fn in_header(value: &str) -> Option<Lookalike<'_>> {
    let (prefix, last) = value.rsplit_once(' ').map_or(("", value), |(before, last)| (before, last));
    let is_scheme = !prefix.contains(' ') && prefix.chars().all(|c| c.is_ascii_alphabetic());
    let reference = match last.split_once(':') {
        Some(("env", name)) if is_name(name) => Some(last.to_owned()),
        Some(("file", path)) if !path.is_empty() => Some(last.to_owned()),
        _ => last
            .strip_prefix('@')
            .filter(|path| path.starts_with(['/', '.', '~']))
            .map(|path| format!("file:{path}")),
    };
    if let Some(reference) = reference.filter(|_| is_scheme) {
        return Some(Lookalike { part: last, help: secret(&reference, prefix) });
    }
    let braced = last.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| is_name(name));
    let bare = last.strip_prefix('$').filter(|name| is_name(name) && is_upper(name));
    let whole = braced.or(bare).filter(|_| is_scheme);
    if let Some(name) = whole {
        return Some(Lookalike { part: last, help: secret(&format!("env:{name}"), prefix) });
    }
    in_text(value)
}

/// Looks for a template in a URL: `${NAME}` and `{{NAME}}` anywhere, `$NAME` as a segment or the value of a parameter.
pub(super) fn in_url(url: &str) -> Option<Lookalike<'_>> {
    let mut parts = url.split(['/', '?', '&', '=', ';', '#']);
    let variable =
        parts.find(|part| part.strip_prefix('$').is_some_and(|name| is_name(name) && is_upper(name)));
    variable.map(|part| Lookalike { part, help: template() }).or_else(|| in_text(url))
}

/// Looks for `${NAME}` and `{{NAME}}`. Linear in the length of the text.
fn in_text(text: &str) -> Option<Lookalike<'_>> {
    [("${", "}"), ("{{", "}}")].into_iter().find_map(|(open, close)| {
        text.match_indices(open).find_map(|(start, _)| {
            let inner = &text[start + open.len()..];
            // A name is short: the search does not run to the end of the text for each opening.
            let end =
                inner.char_indices().take(LONGEST_NAME).find(|(at, _)| inner[*at..].starts_with(close))?.0;
            let part = &text[start..start + open.len() + end + close.len()];
            is_name(inner[..end].trim()).then(|| Lookalike { part, help: template() })
        })
    })
}

/// The longest name in a template, with blanks around it.
const LONGEST_NAME: usize = 100;

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Names of variables in shells and CI systems; `$filter` and the like are parameters of OData.
fn is_upper(name: &str) -> bool {
    name.chars().any(|c| c.is_ascii_uppercase()) && !name.chars().any(|c| c.is_ascii_lowercase())
}

fn secret(reference: &str, prefix: &str) -> String {
    let prefix = if prefix.is_empty() { String::new() } else { format!(", \"prefix\": \"{prefix} \"") };
    format!("write {{\"$secret\": {reference:?}{prefix}}} for a secret")
}

fn template() -> String {
    "nothing replaces it here; `poll` fills in {{NAME}} with --variable NAME=VALUE".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(value: &str) -> Option<&str> {
        in_header(value).map(|found| found.part)
    }

    #[test]
    fn values_of_headers_that_look_like_references() {
        for (value, found) in [
            ("env:API_TOKEN", "env:API_TOKEN"),
            ("Bearer env:API_TOKEN", "env:API_TOKEN"),
            ("file:/run/token", "file:/run/token"),
            ("Bearer @/run/secrets/token", "@/run/secrets/token"),
            ("@./token", "@./token"),
            ("$API_TOKEN", "$API_TOKEN"),
            ("Bearer $TOKEN", "$TOKEN"),
            ("Bearer ${API_TOKEN}", "${API_TOKEN}"),
            ("a ${{ secrets.TOKEN }} b", "{{ secrets.TOKEN }}"),
            ("token={{TOKEN}}", "{{TOKEN}}"),
        ] {
            assert_eq!(part(value), Some(found), "{value}");
        }
    }

    #[test]
    fn ordinary_values_are_left_alone() {
        for value in [
            "",
            "application/json",
            "Bearer abc.def-123$",
            "@bob",
            "a b @/x",
            "text/html; charset=utf-8, */*",
            "max-age=0",
            "$",
            "$5",
            "$filter",
            "${}",
            "{{}}",
            "{{ not a name }}",
            "{\"a\":{\"b\":{}}}",
            "env:",
            "env:a b",
            "Mon, 01 Jan 2026 00:00:00 GMT",
        ] {
            assert_eq!(part(value), None, "{value}");
        }
    }

    #[test]
    fn urls_have_templates_but_no_references() {
        let part = |url| in_url(url).map(|found| found.part);
        assert_eq!(part("https://a.example/jobs/$JOB_ID"), Some("$JOB_ID"));
        assert_eq!(part("https://a.example/jobs?id=$ID&x=1"), Some("$ID"));
        assert_eq!(part("https://a.example/jobs/${id}/x"), Some("${id}"));
        assert_eq!(part("https://{{host}}/jobs"), Some("{{host}}"));
        assert_eq!(part("https://a.example/jobs?$filter=a&$top=3"), None);
        assert_eq!(part("https://a.example/@bob/env:x"), None);
    }

    #[test]
    fn help_names_the_reference() {
        let help = in_header("Bearer env:T").unwrap().help;
        assert_eq!(help, r#"write {"$secret": "env:T", "prefix": "Bearer "} for a secret"#);
    }

    #[test]
    fn many_openings_cost_linear_time() {
        let text = "${".repeat(500_000);
        assert_eq!(in_text(&text), None);
    }
}
