//! The site of an origin: what its owner has one of, while ports and subdomains cost nothing.

use url::Host;

/// The registrable domain of an origin's host by the Public Suffix List; its address (of IPv6 the network of 64 bits, which is
/// what one customer gets); of a unix socket, the whole origin.
pub(crate) fn of_origin(origin: &str) -> String {
    let Some(authority) = origin.split_once("://").map(|(_, authority)| authority) else {
        return origin.to_owned();
    };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    match Host::parse(host) {
        Ok(Host::Ipv4(address)) => address.to_string(),
        Ok(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.to_string(),
            None => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        },
        Ok(Host::Domain(name)) => of_name(&name),
        Err(_) => host.to_owned(),
    }
}

/// The registrable domain of a host name; the name itself if it has none, such as a public suffix.
pub(crate) fn of_name(name: &str) -> String {
    let name = name.trim_end_matches('.');
    psl::domain_str(name).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_subdomains_are_of_one_site() {
        for (origin, site) in [
            ("https://example.com", "example.com"),
            ("http://a.b.example.com:8080", "example.com"),
            ("https://a.example.co.uk", "example.co.uk"),
            // A suffix under which customers register names.
            ("https://a.b.github.io", "b.github.io"),
            ("https://example.com.", "example.com"),
            ("http://localhost:3000", "localhost"),
            ("http://a.test", "a.test"),
            ("http://b.a.test", "a.test"),
            ("http://co.uk", "co.uk"),
            ("http://127.0.0.1:9", "127.0.0.1"),
            ("http://[::1]:9", "0:0:0:0::/64"),
            ("http://[2001:db8:1:2:3::4]", "2001:db8:1:2::/64"),
            ("http://[::ffff:10.0.0.1]:80", "10.0.0.1"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(of_origin(origin), site, "{origin}");
        }
    }
}
