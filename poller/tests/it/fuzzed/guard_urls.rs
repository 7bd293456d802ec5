//! Text as a URL: the guard agrees with an independent judgement of addresses.
//!
//! The first byte picks how the text becomes a host. The judgement here works on numbers and shares no table or code with the
//! guard: it is the list of the special registries of IANA for IPv4 and IPv6, written as comparisons.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use poller::http::Guard;
use url::{Host, Url};

/// What the guards may do with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Allowed for everybody.
    Public,
    /// Allowed for a local guard.
    Local,
    /// Never without a rule.
    Special,
}

fn kind4(address: Ipv4Addr) -> Kind {
    let [a, b, c, d] = address.octets();
    let metadata = matches!(
        [a, b, c, d],
        [100, 100, 100, 200] | [100, 80, 80, 80] | [100, 96, 0, 96] | [192, 0, 0, 192] | [168, 63, 129, 16]
    );
    match (a, b, c) {
        _ if metadata => Kind::Special,
        (0, ..) | (224..=255, ..) | (169, 254, _) => Kind::Special,
        (192, 0, 0) | (192, 0, 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            Kind::Special
        }
        (127, ..) | (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Kind::Local,
        _ => Kind::Public,
    }
}

/// The kind of an IPv6 address, as far as the registries leave no doubt.
fn kind6(address: Ipv6Addr) -> Option<Kind> {
    let bits = u128::from(address);
    let segments = address.segments();
    let inner = |shift: u32| kind4(Ipv4Addr::from((bits >> shift) as u32));
    Some(match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => inner(0),
        [0x2002, ..] => inner(80),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Local,
        [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] | [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Special,
        // Metadata services have unique local addresses too.
        [0xfd00, ..] => return None,
        [0xfc00..=0xfdff, ..] => Kind::Local,
        // Documentation, and what is not global unicast.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Kind::Special,
        [0x2001, 0..=0x1ff, ..] => return None,
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => return None,
    })
}

/// Holds for any input.
pub(crate) fn check(data: &[u8]) {
    let Some((form, rest)) = data.split_first() else { return };
    let text = match (form % 6, rest) {
        (0, [a, b, c, d, ..]) => format!("http://{a}.{b}.{c}.{d}/"),
        (1, rest) if rest.len() >= 16 => {
            let bytes: [u8; 16] = rest[..16].try_into().unwrap_or_default();
            format!("https://[{}]:8443/x?y", Ipv6Addr::from(bytes))
        }
        (2, [a, b, c, d, ..]) => format!("http://{}/", u32::from_be_bytes([*a, *b, *c, *d])),
        (3, rest) => match std::str::from_utf8(rest) {
            Ok(host) => format!("http://{host}/"),
            Err(_) => return,
        },
        (4, rest) => match std::str::from_utf8(rest) {
            Ok(host) => format!("https://ann:pw@{host}/"),
            Err(_) => return,
        },
        (_, rest) => match std::str::from_utf8(rest) {
            Ok(text) => text.to_owned(),
            Err(_) => return,
        },
    };
    let Ok(url) = Url::parse(&text) else { return };
    let (public, local) = (Guard::public_only(), Guard::local());
    let (by_public, by_local) = (public.check_url(&url), local.check_url(&url));
    assert!(by_public.is_err() || by_local.is_ok(), "what everybody may ask, a local user may: {url}");
    for refused in [&by_public, &by_local].into_iter().filter_map(|checked| checked.as_ref().err()) {
        let message = refused.to_string();
        assert!(
            url.password().is_none_or(|password| password.len() < 6 || !message.contains(password)),
            "{message}"
        );
    }
    if !matches!(url.scheme(), "http" | "https") {
        assert!(by_public.is_err(), "{url}");
        assert!(by_local.is_err() || url.scheme() == "unix", "{url}");
        return;
    }
    if !url.username().is_empty() || url.password().is_some() {
        assert!(by_local.is_err(), "{url}");
        return;
    }
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) => {
            assert!(by_public.is_ok(), "names are judged when they are resolved: {url}");
            return;
        }
        None => unreachable!("http and https have a host"),
    };
    assert_eq!(by_public.is_ok(), public.check(address).is_ok(), "{url}");
    let kind = match address {
        IpAddr::V4(address) => Some(kind4(address)),
        IpAddr::V6(address) => kind6(address),
    };
    match kind {
        Some(kind) => {
            assert_eq!(by_public.is_ok(), kind == Kind::Public, "{address} is {kind:?}");
            assert_eq!(by_local.is_ok(), kind <= Kind::Local, "{address} is {kind:?}");
        }
        // In doubt only a local user may.
        None => assert!(
            by_public.is_err() || matches!(address, IpAddr::V6(address) if address.segments()[0] == 0x2001)
        ),
    }
    // An exact rule opens every address, and a denial closes it again.
    let opened = Guard::public_only().allow(address.into());
    let stands_for_another = matches!(address, IpAddr::V6(address)
        if matches!(address.segments(), [0x64, 0xff9b, ..] | [0x2002, ..] | [0, 0, 0, 0, 0, 0xffff, ..]));
    assert!(opened.check(address).is_ok() || stands_for_another, "{address}");
    assert!(opened.deny(address.into()).check(address).is_err(), "{address}");
}
