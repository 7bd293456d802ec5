//! The beginning of a response's body, for a person who has to find out why a poll did not match.
//!
//! A failed job often says why in its body only, and an error page says it in its first lines. The excerpt is short,
//! sanitized, and without the secrets of the request that a server may echo.

use std::fmt::Write as _;

use poller::RecordedResponse;

use super::sanitize;

/// How much of a body is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    lines: usize,
    chars: usize,
}

impl Size {
    /// For a poll that runs alone.
    pub(crate) const WHOLE: Self = Self { lines: 20, chars: 1500 };
    /// For one of several polls.
    pub(crate) const SHORT: Self = Self { lines: 4, chars: 300 };
}

/// The indented lines that show the body: a title, then the text. `hide` removes secrets from a text.
pub(crate) fn excerpt(response: &RecordedResponse, size: Size, hide: impl Fn(&str) -> String) -> String {
    let body = response.body();
    let status = response.status();
    if body.is_empty() {
        return format!("\n  the response ({status}) has no body");
    }
    let bytes = super::humanize::count(body.len(), "byte");
    let Some(text) = text_of(body) else {
        let kind = response
            .headers()
            .get("content-type")
            .map_or_else(|| "unknown content".to_owned(), |kind| sanitize::excerpt(&hide(kind), 60));
        return format!("\n  the response ({status}) has a body that is not text: {bytes} of {kind}");
    };
    // Secrets are looked for in more than is shown, because the limit must not cut one in two.
    let from: String = text.chars().take(8 * size.chars).collect();
    let hidden = hide(&from).replace("\r\n", "\n");
    let shown = sanitize::block(&hidden);
    let mut report = format!("\n  the body of the response ({status}, {bytes}):");
    let (mut lines, mut chars, mut cut) = (0, 0, from.len() < text.len());
    for line in shown.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let left = size.chars.saturating_sub(chars);
        if lines == size.lines || left == 0 {
            cut = true;
            break;
        }
        let _ = write!(report, "\n    {}", sanitize::excerpt(&line.replace('\t', "  "), left));
        let length = line.chars().count();
        cut |= length > left;
        chars += length;
        lines += 1;
    }
    if cut {
        report.push_str("\n    … --json prints the whole body");
    }
    report
}

/// The body as text, as long as it is UTF-8 without NUL; a truncated last letter does not matter.
fn text_of(body: &[u8]) -> Option<&str> {
    const LOOKED_AT: usize = 64 << 10;
    let beginning = &body[..body.len().min(LOOKED_AT)];
    let text = match std::str::from_utf8(beginning) {
        Err(error) if error.error_len().is_none() => &beginning[..error.valid_up_to()],
        _ => beginning,
    };
    std::str::from_utf8(text).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: impl Into<Vec<u8>>, size: Size) -> String {
        let response = RecordedResponse::new(502, [("content-type", "image/png")], body.into());
        excerpt(&response, size, |text| text.replace("s3cret", "[secret]"))
    }

    #[test]
    fn the_first_lines_are_shown_without_secrets_and_control_characters() {
        assert_eq!(
            shown("<html>\r\n\n\t<h1>Bad \x1b[2Jgateway s3cret</h1>", Size::SHORT),
            "\n  the body of the response (502, 41 bytes):\n    <html>\n      <h1>Bad ␛[2Jgateway [secret]</h1>"
        );
    }

    #[test]
    fn long_bodies_are_cut_and_say_so() {
        for body in ["x".repeat(100_000), "line\n".repeat(100_000), "ä".repeat(40_000)] {
            let text = shown(body, Size::SHORT);
            assert!(text.ends_with("\n    … --json prints the whole body"), "{text}");
            assert!(text.chars().count() < 450, "{text}");
        }
        let fits = shown("x".repeat(300), Size::SHORT);
        assert!(fits.ends_with("xxx"), "{fits}");
    }

    #[test]
    fn a_body_that_is_empty_or_not_text_is_named() {
        assert_eq!(shown("", Size::SHORT), "\n  the response (502) has no body");
        for body in [vec![0xff, 0xfe, 0], b"a\0b".to_vec()] {
            assert!(shown(body, Size::SHORT).ends_with("is not text: 3 bytes of image/png"));
        }
    }

    #[test]
    fn a_secret_at_the_limit_is_not_cut_in_two() {
        let text = shown(format!("{}s3cret", "x".repeat(297)), Size::SHORT);
        assert!(!text.contains("s3c") && text.contains("[s…"), "{text}");
    }
}
