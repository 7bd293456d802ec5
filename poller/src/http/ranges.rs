//! The table of address ranges that are not public.
//!
//! The tables follow the IANA special-purpose address registries (RFC 6890, as updated up to 2025), widened where a
//! narrower entry would be of no use to an HTTP client: all of 2001::/23 is closed although parts of it are routable,
//! and so is everything outside 2000::/3, the only block of IPv6 from which public addresses are given out.
//!
//! An IPv6 address can embed an IPv4 address, and an attacker may use that form. [`stands_for`] extracts it, so
//! `::ffff:127.0.0.1`, `64:ff9b::7f00:1` and `2002:7f00:1::` are judged as 127.0.0.1. `IpAddr::is_global` was rejected: it is
//! unstable, ignores embedded addresses, and could change a security decision with a compiler upgrade.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

use super::metadata;

/// The class of a range, by which the guard decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// This machine.
    Loopback,
    /// A private network: RFC 1918, shared address space, unique local addresses.
    Private,
    /// Never a valid destination: link-local, multicast, reserved, documentation.
    Special,
    /// A cloud's metadata service: only its exact address opens it.
    Metadata,
}

/// A named range of addresses that is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) network: IpNet,
    pub(super) name: &'static str,
    pub(super) class: Class,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8, name: &'static str, class: Class) -> Range {
    Range { network: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)), name, class }
}

const fn v6(segments: [u16; 8], prefix: u8, name: &'static str, class: Class) -> Range {
    let [a, b, c, d, e, f, g, h] = segments;
    let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
    Range { network: IpNet::V6(Ipv6Net::new_assert(address, prefix)), name, class }
}

use Class::{Loopback, Private, Special};

/// The first range that contains an address counts, so narrow ranges come before wide ones.
#[rustfmt::skip]
const RANGES: &[Range] = &[
    v4(0, 0, 0, 0, 32, "unspecified", Special),
    v4(0, 0, 0, 0, 8, "this network", Special),
    v4(10, 0, 0, 0, 8, "private", Private),
    v4(100, 64, 0, 0, 10, "shared address space", Private),
    v4(127, 0, 0, 0, 8, "loopback", Loopback),
    v4(169, 254, 0, 0, 16, "link-local", Special),
    v4(172, 16, 0, 0, 12, "private", Private),
    v4(192, 0, 0, 0, 24, "protocol assignments", Special),
    v4(192, 0, 2, 0, 24, "documentation", Special),
    v4(192, 88, 99, 0, 24, "6to4 relays", Special),
    v4(192, 168, 0, 0, 16, "private", Private),
    v4(198, 18, 0, 0, 15, "benchmarking", Special),
    v4(198, 51, 100, 0, 24, "documentation", Special),
    v4(203, 0, 113, 0, 24, "documentation", Special),
    v4(224, 0, 0, 0, 4, "multicast", Special),
    v4(255, 255, 255, 255, 32, "broadcast", Special),
    v4(240, 0, 0, 0, 4, "reserved", Special),

    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified", Special),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback", Loopback),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4-compatible", Special),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local IPv4 translation", Special),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard-only", Special),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo", Special),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking", Special),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "protocol assignments", Special),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation", Special),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation", Special),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "segment routing", Special),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local", Private),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local", Special),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local", Special),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast", Special),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 3, "unassigned", Special),
    v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 2, "unassigned", Special),
    v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 1, "unassigned", Special),
];

/// The range of an address; `None` for a public one. Embedded addresses are not extracted: see [`stands_for`].
pub(super) fn range_of(address: IpAddr) -> Option<Range> {
    // Some metadata services lie outside all ranges of the table.
    let metadata = metadata::service_at(address);
    let metadata = metadata.map(|network| Range { network, name: "cloud metadata", class: Class::Metadata });
    metadata.or_else(|| RANGES.iter().find(|range| range.network.contains(&address)).copied())
}

/// The address of a URL whose host is one.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Whether an address, or the IPv4 address embedded in it, is public.
pub(super) fn is_public(address: IpAddr) -> bool {
    range_of(stands_for(address).unwrap_or(address)).is_none()
}

/// The IPv4 address that an IPv6 address leads to: IPv4-mapped, NAT64 by the well-known prefix, or 6to4.
///
/// This address alone decides what is allowed: a network of the outer form opens nothing. IPv4-compatible, Teredo and local translation prefixes are closed as ranges, whatever is inside.
pub(super) fn stands_for(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        _ => None,
    }
}

/// A network of IPv4-mapped addresses as the IPv4 network that it stands for; any other network as it is.
pub(super) fn as_inner(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let inner = v6.network().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let inner = inner.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    inner.map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(address: &str) -> Option<&'static str> {
        let address: IpAddr = address.parse().unwrap();
        range_of(stands_for(address).unwrap_or(address)).map(|range| range.name)
    }

    #[test]
    fn public_addresses_are_in_no_range() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2a00::",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "2001:db9::",
        ] {
            assert_eq!(name(address), None, "{address}");
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn each_range_has_its_first_and_last_address() {
        for range in RANGES {
            for address in [range.network.network(), range.network.broadcast()] {
                assert!(range_of(address).is_some(), "{address} of {}", range.network);
                assert!(!is_public(address), "{address} of {}", range.network);
            }
            assert_eq!(range.network, range.network.trunc(), "{} has host bits", range.name);
        }
    }

    #[test]
    fn embedded_addresses_are_judged_as_ipv4() {
        for (address, expected) in [
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "cloud metadata"),
            ("::127.0.0.1", "IPv4-compatible"),
            ("64:ff9b::10.0.0.1", "private"),
            ("64:ff9b:1::10.0.0.1", "local IPv4 translation"),
            ("2002:7f00:1::", "loopback"),
            ("2002:c0a8:101::1", "private"),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
            ("fd00:ec2::254", "cloud metadata"),
            ("fd12::1", "unique local"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("0.1.2.3", "this network"),
            ("255.255.255.255", "broadcast"),
            ("64:ff9b::1:0:0:1", "unassigned"),
        ] {
            assert_eq!(name(address), Some(expected), "{address}");
        }
    }
}
