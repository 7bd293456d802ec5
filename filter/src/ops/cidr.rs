//! `$cidr`: IP addresses in a block.
//!
//! The standard library parses addresses and rejects octets with leading zeros, since some systems read them as octal.
//! Families never mix, but an IPv4-mapped IPv6 address (`::ffff:1.2.3.4`) is in an IPv4 block too.

use std::fmt;
use std::net::IpAddr;

/// A block of addresses, host bits cleared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cidr {
    V4 { network: u32, prefix: u8 },
    V6 { network: u128, prefix: u8 },
}

/// The reason why a text is no block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CidrError {
    Address,
    /// The part after the slash is not a number of at most this many bits.
    Prefix {
        bits: u8,
    },
}

/// A parsed block, with details of its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) block: Cidr,
    /// Bits were set beyond the prefix; they are ignored.
    pub(crate) host_bits: bool,
}

impl Cidr {
    pub(crate) fn parse(text: &str) -> Result<Parsed, CidrError> {
        let (address, length) = text.split_once('/').unzip();
        let address: IpAddr = address.unwrap_or(text).parse().map_err(|_| CidrError::Address)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match length {
            None => bits,
            Some(length) => prefix_length(length, bits).ok_or(CidrError::Prefix { bits })?,
        };
        let block = match address {
            IpAddr::V4(address) => Self::V4 { network: address.to_bits() & mask_v4(prefix), prefix },
            IpAddr::V6(address) => Self::V6 { network: address.to_bits() & mask_v6(prefix), prefix },
        };
        Ok(Parsed { block, host_bits: block.first() != address })
    }

    /// The first address of the block.
    pub(crate) fn first(&self) -> IpAddr {
        match *self {
            Self::V4 { network, .. } => IpAddr::V4(network.into()),
            Self::V6 { network, .. } => IpAddr::V6(network.into()),
        }
    }

    /// Whether `text` is an address in the block.
    pub(crate) fn contains(&self, text: &str) -> bool {
        let Some(address) = address(text) else { return false };
        Self::around(address, self.is_ipv4(), self.prefix()).is_some_and(|block| block == *self)
    }

    /// The block of this family and length around an address; `None` if the address is of the other family.
    pub(crate) fn around(address: IpAddr, ipv4: bool, prefix: u8) -> Option<Self> {
        match (address, ipv4) {
            (IpAddr::V4(address), true) => {
                Some(Self::V4 { network: address.to_bits() & mask_v4(prefix), prefix })
            }
            (IpAddr::V6(address), true) => {
                let mapped = address.to_ipv4_mapped()?;
                Some(Self::V4 { network: mapped.to_bits() & mask_v4(prefix), prefix })
            }
            (IpAddr::V6(address), false) => {
                Some(Self::V6 { network: address.to_bits() & mask_v6(prefix), prefix })
            }
            (IpAddr::V4(_), false) => None,
        }
    }

    pub(crate) fn prefix(&self) -> u8 {
        match self {
            Self::V4 { prefix, .. } | Self::V6 { prefix, .. } => *prefix,
        }
    }

    pub(crate) fn is_ipv4(&self) -> bool {
        matches!(self, Self::V4 { .. })
    }
}

/// Parses an address.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    // The longest address has 45 characters; a longer string need not be parsed.
    if text.len() > 45 { None } else { text.parse().ok() }
}

/// Decimal digits, without sign or leading zero.
fn prefix_length(text: &str, bits: u8) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|&length| plain && length <= bits)
}

fn mask_v4(length: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(length.into())).unwrap_or(0)
}

fn mask_v6(length: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(length.into())).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cidr, CidrError};

    #[test]
    fn table() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::ffff:a01:203", true),
            ("10.0.0.0/8", "::a01:203", false),
            ("10.0.0.0/8", "010.0.0.1", false),
            ("10.0.0.0/8", "10.0.0.1 ", false),
            ("10.0.0.0/8", "10.0.1", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::", false),
            ("::/0", "1.2.3.4", false),
            ("::/0", "::ffff:1.2.3.4", true),
            ("::ffff:0:0/96", "1.2.3.4", false),
            ("::ffff:0:0/96", "::ffff:1.2.3.4", true),
            ("10.1.2.3/24", "10.1.2.200", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:DB8::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("2001:db8::/32", "2001:db8::1%eth0", false),
        ];
        for (block, address, expected) in cases {
            assert_eq!(Cidr::parse(block).unwrap().block.contains(address), expected, "{address} in {block}");
        }
    }

    #[test]
    fn invalid_blocks() {
        for text in ["", "x", "10.0.0.0/8/8 ", "300.0.0.0/8", "01.0.0.0/8", " 10.0.0.0/8"] {
            assert!(Cidr::parse(text).is_err(), "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/+8"] {
            assert_eq!(Cidr::parse(text), Err(CidrError::Prefix { bits: 32 }), "{text}");
        }
        assert_eq!(Cidr::parse("::/129"), Err(CidrError::Prefix { bits: 128 }));
        assert!(Cidr::parse("10.0.0.1/8").unwrap().host_bits);
        assert!(!Cidr::parse("10.0.0.0/8").unwrap().host_bits);
    }
}
