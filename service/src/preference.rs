//! How long a request is willing to wait: `?wait=25`, or `Prefer: wait=25` (RFC 7240).

use std::time::Duration;

use http::HeaderMap;

use crate::problem::Problem;

/// The wait that a request asks for, at most `longest`; `None` if it does not wait. The parameter comes before the header.
///
/// A preference that cannot be understood is ignored, as RFC 7240 wants it; a parameter is an error.
pub(crate) fn wait(
    parameter: Option<&str>,
    headers: &HeaderMap,
    longest: Duration,
) -> Result<Option<Duration>, Problem> {
    let seconds = match parameter {
        Some(text) => Some(text.parse::<u32>().map_err(|_| {
            Problem::bad_request(format!(
                "wait is {:?}, expected a whole number of seconds",
                text.chars().take(40).collect::<String>()
            ))
        })?),
        None => headers.get_all("prefer").iter().filter_map(|value| preferred(value.to_str().ok()?)).next(),
    };
    Ok(seconds.filter(|seconds| *seconds > 0).map(|s| Duration::from_secs(s.into()).min(longest)))
}

fn preferred(header: &str) -> Option<u32> {
    header.split([',', ';']).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("wait").then(|| value.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parameter: Option<&str>, prefer: Option<&str>) -> Result<Option<u64>, Problem> {
        let mut headers = HeaderMap::new();
        if let Some(prefer) = prefer {
            headers.insert("prefer", prefer.parse().unwrap());
        }
        wait(parameter, &headers, Duration::from_secs(60)).map(|wait| wait.map(|wait| wait.as_secs()))
    }

    #[test]
    fn the_parameter_comes_before_the_header_and_both_are_bounded() {
        assert_eq!(of(None, None).unwrap(), None);
        assert_eq!(of(Some("25"), Some("wait=5")).unwrap(), Some(25));
        assert_eq!(of(Some("4000000000"), None).unwrap(), Some(60));
        assert_eq!(of(None, Some("respond-async, wait=5")).unwrap(), Some(5));
        assert_eq!(of(None, Some("Wait=\"7\"; x=y")).unwrap(), Some(7));
        assert_eq!(of(Some("0"), None).unwrap(), None);
        assert_eq!(of(None, Some("wait=soon")).unwrap(), None);
        for wrong in ["", "-1", "1.5", "99999999999", "soon"] {
            assert!(of(Some(wrong), None).is_err(), "{wrong}");
        }
    }
}
