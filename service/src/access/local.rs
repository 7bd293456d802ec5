//! Requests to a service without keys: from this machine, and from no page but its own.

use std::net::IpAddr;

use http::uri::Authority;
use http::{HeaderMap, Method, header};

use crate::problem::{Kind, Problem};

pub(super) fn check<B>(request: &http::Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.clone()),
        None => text(headers, header::HOST.as_str()).and_then(|host| host.parse::<Authority>().ok()),
    };
    let Some(host) = host.filter(|host| is_this_machine(host.host())) else {
        return Err(refused(
            "the request names no host of this machine, as localhost or 127.0.0.1; a service for other machines needs keys",
        ));
    };
    match headers.get(header::ORIGIN) {
        Some(origin) => {
            let same = origin.to_str().is_ok_and(|origin| {
                origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
                    == Some(host.as_str())
            });
            if !same {
                return Err(refused("the request comes from a web page of another origin"));
            }
        }
        None => {
            // Browsers say it of requests without an origin too. A person may follow a link to here.
            let site = text(headers, "sec-fetch-site").unwrap_or("none");
            let navigates =
                text(headers, "sec-fetch-mode") == Some("navigate") && request.method() == Method::GET;
            if !matches!(site, "none" | "same-origin") && !navigates {
                return Err(refused("the request comes from a web page of another origin"));
            }
        }
    }
    Ok(())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn is_this_machine(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => {
            let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(Kind::Forbidden, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)]) -> bool {
        let mut request = http::Request::get("/v1/polls");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in
            ["localhost:7655", "127.0.0.1:7655", "[::1]:7655", "127.9.9.9", "LOCALHOST", "a.localhost:1"]
        {
            assert!(of(&[("host", host)]), "{host}");
        }
        for host in ["evil.example:7655", "192.168.0.1", "localhost.evil.example", "[::2]", "0.0.0.0", ""] {
            assert!(!of(&[("host", host)]), "{host}");
        }
        assert!(!of(&[]));
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let host = ("host", "localhost:7655");
        assert!(of(&[host, ("origin", "http://localhost:7655")]));
        for origin in
            ["http://localhost:3000", "https://evil.example", "null", "http://localhost:7655.evil.example"]
        {
            assert!(!of(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(of(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(of(&[host, ("sec-fetch-site", "none")]));
        assert!(!of(&[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]));
        assert!(!of(&[host, ("sec-fetch-site", "same-site")]), "another port of this machine");
        assert!(of(&[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]), "a link");
    }
}
