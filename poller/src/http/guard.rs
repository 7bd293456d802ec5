//! The guard: which addresses and URLs the client may request.
//!
//! Often the operator of the poller does not choose a poll's URL, the names in DNS or the redirects of a server. Without a
//! guard, each of them could make this process send requests to its own machine, its network or a cloud's metadata service.
//! The guard is data, and its check is a pure function of an address:
//!
//! ```text
//!   URL ──► check_url: scheme, credentials, host ──► IP literal ──────────────► check ──► connect
//!    ▲                                               name ──► resolver ──► check each address ──► connect to those allowed
//!    └──────────────────────────── redirect ◄──────────────────────────────────────────────────── response
//! ```
//!
//! - The checked addresses are those of the connection: the check is in the resolver, so a name that changes its addresses
//!   between check and use (DNS rebinding) gains nothing. A check of the name beforehand would leave that gap.
//! - IP literals never reach a resolver; [`Guard::check_url`] checks them, for the first URL and for every redirect.
//! - A denied network wins over an allowed one, and an allowed one over the built-in ranges, except that a cloud's metadata
//!   service ([`metadata`](super::metadata)) is opened only by its exact address.
//! - Of an IPv6 address that stands for an IPv4 address (IPv4-mapped, NAT64, 6to4), the IPv4 address decides; both can be denied.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use url::Url;

use super::ranges::{self, Class, Range};
use super::unix;

/// Which addresses may be requested.
///
/// ```
/// use poller::http::Guard;
///
/// let public = Guard::public_only();
/// assert!(public.check([1, 1, 1, 1].into()).is_ok());
/// let forbidden = public.check([127, 0, 0, 1].into()).unwrap_err();
/// assert_eq!(forbidden.to_string(), "127.0.0.1 is in loopback 127.0.0.0/8");
///
/// // Only this network beside the public addresses, without one machine in it:
/// let office = Guard::public_only().allow("10.1.0.0/16".parse()?).deny("10.1.0.9/32".parse()?);
/// assert!(office.check([10, 1, 2, 3].into()).is_ok());
/// assert!(office.check([10, 1, 0, 9].into()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Guard {
    local: bool,
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
}

impl Guard {
    /// Public addresses only: the default, because a library does not know who wrote a URL.
    #[must_use]
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Public, loopback and private addresses: for a tool whose user writes the URLs.
    ///
    /// Private are those of RFC 1918, the shared address space 100.64.0.0/10, and IPv6's unique local addresses. Link-local
    /// addresses, multicast, reserved ranges and cloud metadata services, also those among the private addresses, stay
    /// forbidden.
    #[must_use]
    pub fn local() -> Self {
        Self { local: true, ..Self::default() }
    }

    /// Every address but those of metadata services: for a proxy, which the owner of the client has chosen.
    pub(super) fn anywhere() -> Self {
        Self::local().allow(Ipv4Net::default().into()).allow(Ipv6Net::default().into())
    }

    /// Allows a network, in any range. A cloud's metadata service in it stays forbidden unless its exact address is allowed:
    /// `169.254.169.254/32`.
    #[must_use]
    pub fn allow(mut self, network: IpNet) -> Self {
        self.allow.push(network);
        self
    }

    /// Denies a network, even if another rule allows it.
    #[must_use]
    pub fn deny(mut self, network: IpNet) -> Self {
        self.deny.push(network);
        self
    }

    /// The allowed networks.
    #[must_use]
    pub fn allowed(&self) -> &[IpNet] {
        &self.allow
    }

    /// The denied networks.
    #[must_use]
    pub fn denied(&self) -> &[IpNet] {
        &self.deny
    }

    /// The guard for redirects of a public server: public addresses only, as far as this guard allows them.
    ///
    /// A public server must not choose requests inside the network of this process, even where the user may.
    #[must_use]
    pub fn without_local(&self) -> Self {
        Self { local: false, allow: Vec::new(), deny: self.deny.clone() }
    }

    /// Whether an address may be requested.
    ///
    /// # Errors
    /// The range or network that forbids it. Takes time linear in the number of ranges and networks.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let stands_for = ranges::stands_for(address);
        let decides = stands_for.unwrap_or(address);
        let holds = |network: &IpNet, address| ranges::as_inner(*network).contains(&address);
        let denies = |network: &&IpNet| network.contains(&address) || holds(network, decides);
        if let Some(network) = self.deny.iter().find(denies).copied() {
            return Err(Reason::Denied { address, network }.into());
        }
        let allows = |network: &IpNet| holds(network, decides);
        let exact = |network: &IpNet| ranges::as_inner(*network) == IpNet::from(decides);
        let refused = |range, exact_only| Reason::Range { address, stands_for, range, exact_only };
        match ranges::range_of(decides) {
            None => Ok(()),
            Some(Range { class: Class::Metadata, .. }) if self.allow.iter().any(exact) => Ok(()),
            Some(range @ Range { class: Class::Metadata, .. }) => {
                Err(refused(range, self.allow.iter().any(allows)).into())
            }
            Some(_) if self.allow.iter().any(allows) => Ok(()),
            Some(Range { class: Class::Loopback | Class::Private, .. }) if self.local => Ok(()),
            Some(range) => Err(refused(range, false).into()),
        }
    }

    /// Whether a URL may be requested: http or https, no credentials, and an allowed address if its host is an IP literal.
    /// Names are checked when they are resolved. The URL of a unix socket may be requested by a [local](Self::local) guard.
    ///
    /// # Errors
    /// What forbids it. The message never shows credentials, path or query.
    ///
    /// ```
    /// use poller::http::Guard;
    /// use url::Url;
    ///
    /// let guard = Guard::local();
    /// assert!(guard.check_url(&Url::parse("http://localhost:8080/job")?).is_ok());
    /// let metadata = guard.check_url(&Url::parse("http://[::ffff:169.254.169.254]/")?).unwrap_err();
    /// assert_eq!(
    ///     metadata.to_string(),
    ///     "::ffff:169.254.169.254 stands for 169.254.169.254, which is in cloud metadata 169.254.169.254/32",
    /// );
    /// # Ok::<(), url::ParseError>(())
    /// ```
    pub fn check_url(&self, url: &Url) -> Result<(), Forbidden> {
        if url.scheme() == unix::SCHEME {
            return match unix::split(url) {
                Some(_) if self.local => Ok(()),
                Some(_) => Err(Reason::Socket.into()),
                None => Err(Reason::NoSocket.into()),
            };
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Reason::Scheme(url.scheme().to_owned()).into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Reason::Credentials.into());
        }
        if url.host().is_none() {
            return Err(Reason::NoHost.into());
        }
        ranges::literal(url).map_or(Ok(()), |address| self.check(address))
    }
}

/// Why the guard forbids an address or a URL.
///
/// ```
/// use poller::http::Guard;
///
/// let forbidden = Guard::local().check([224, 0, 0, 1].into()).unwrap_err();
/// assert_eq!(forbidden.address(), Some([224, 0, 0, 1].into()));
/// assert_eq!(forbidden.network(), Some("224.0.0.0/4".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Forbidden {
    #[from]
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Reason {
    /// `exact_only`: an allowed network contains the address, but only its exact address would open it.
    #[error("{address} {}is in {} {}{}", via(stands_for), range.name, range.network, wider(*exact_only))]
    Range { address: IpAddr, stands_for: Option<IpAddr>, range: Range, exact_only: bool },
    #[error("{address} is in the denied network {network}")]
    Denied { address: IpAddr, network: IpNet },
    #[error("expected an http or https URL, found the scheme {0}")]
    Scheme(String),
    #[error("the URL carries credentials; give them in an authorization header instead")]
    Credentials,
    #[error("the URL has no host")]
    NoHost,
    #[error("a unix socket is a place of this machine, and the guard allows public addresses only")]
    Socket,
    #[error("expected the URL of a socket as unix:/PATH/TO.SOCK:/PATH")]
    NoSocket,
}

fn via(stands_for: &Option<IpAddr>) -> String {
    stands_for.map_or_else(String::new, |inner| format!("stands for {inner}, which "))
}

const fn wider(exact_only: bool) -> &'static str {
    if exact_only { ", which a wider allowed network does not open" } else { "" }
}

impl Forbidden {
    /// Whether an allowed network would lift this refusal.
    pub(super) const fn can_be_allowed(&self) -> bool {
        matches!(self.reason, Reason::Range { .. })
    }

    /// The address, if the reason is one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match &self.reason {
            Reason::Range { address, .. } | Reason::Denied { address, .. } => Some(*address),
            _ => None,
        }
    }

    /// The range or denied network that the address is in.
    #[must_use]
    pub const fn network(&self) -> Option<IpNet> {
        match &self.reason {
            Reason::Range { range, .. } => Some(range.network),
            Reason::Denied { network, .. } => Some(*network),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, address: &str) -> Result<(), String> {
        guard.check(address.parse().unwrap()).map_err(|forbidden| forbidden.to_string())
    }

    fn net(network: &str) -> IpNet {
        network.parse().unwrap()
    }

    #[test]
    fn local_opens_loopback_and_private_and_nothing_else() {
        let (public, local) = (Guard::public_only(), Guard::local());
        for address in
            ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:127.0.0.1"]
        {
            assert!(check(&public, address).is_err(), "{address}");
            assert_eq!(check(&local, address), Ok(()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "::",
            "169.254.1.1",
            "169.254.169.254",
            "fd00:ec2::254",
            "fe80::1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(check(&local, address).is_err(), "{address}");
        }
    }

    #[test]
    fn lists_apply_to_both_forms_and_denial_wins() {
        let guard =
            Guard::public_only().allow(net("10.0.0.0/8")).deny(net("10.9.0.0/16")).deny(net("64:ff9b::/96"));
        assert_eq!(check(&guard, "10.1.1.1"), Ok(()));
        assert_eq!(check(&guard, "::ffff:10.1.1.1"), Ok(()));
        assert_eq!(
            check(&guard, "::ffff:10.9.1.1").unwrap_err(),
            "::ffff:10.9.1.1 is in the denied network 10.9.0.0/16"
        );
        assert!(check(&guard, "64:ff9b::8.8.8.8").is_err());
        assert_eq!(check(&guard, "8.8.8.8"), Ok(()));
    }

    #[test]
    fn only_its_exact_address_opens_a_metadata_service() {
        for (address, wider) in [
            ("169.254.169.254", "169.254.0.0/16"),
            ("168.63.129.16", "0.0.0.0/0"),
            ("fd00:42::42", "fd00::/8"),
            ("100.96.0.96", "100.96.0.96/31"),
            ("::ffff:169.254.169.254", "::ffff:0:0/96"),
            ("64:ff9b::169.254.169.254", "169.254.0.0/16"),
        ] {
            let wide = Guard::local().allow(net(wider));
            let refused = check(&wide, address).unwrap_err();
            assert!(refused.ends_with("which a wider allowed network does not open"), "{refused}");
            let decides = ranges::stands_for(address.parse().unwrap()).unwrap_or(address.parse().unwrap());
            assert_eq!(check(&wide.allow(decides.into()), address), Ok(()), "{address}");
        }
        // The allowed network must contain the address that decides; then the text does not speak of it.
        assert!(check(&Guard::local(), "fd00:ec2::23").unwrap_err().ends_with("fd00:ec2::23/128"));
    }

    #[test]
    fn the_inner_address_decides_what_is_allowed() {
        let inner = ["::ffff:10.1.1.1", "64:ff9b::10.1.1.1", "2002:a01:101::1"];
        for address in inner {
            for outer in ["64:ff9b::/96", "2002::/16", "2002:a01:101::/48", "::/0"] {
                assert!(
                    check(&Guard::public_only().allow(net(outer)), address).is_err(),
                    "{address} {outer}"
                );
            }
            for network in ["10.0.0.0/8", "::ffff:10.0.0.0/104"] {
                assert_eq!(check(&Guard::public_only().allow(net(network)), address), Ok(()), "{address}");
                let denied = Guard::local().deny(net(network));
                assert!(check(&denied, address).is_err() && check(&denied, "10.1.1.1").is_err(), "{address}");
            }
        }
        assert_eq!(check(&Guard::public_only().allow(net("::ffff:10.0.0.0/104")), "10.1.1.1"), Ok(()));
        assert!(check(&Guard::public_only().deny(net("2002::/16")), "2002:808:808::1").is_err());
    }

    #[test]
    fn after_a_public_hop_nothing_local_is_left() {
        let guard = Guard::local().allow(net("169.254.7.0/24")).deny(net("8.8.8.8/32")).without_local();
        for address in ["127.0.0.1", "10.0.0.1", "169.254.7.1", "8.8.8.8"] {
            assert!(check(&guard, address).is_err(), "{address}");
        }
        assert_eq!(check(&guard, "1.1.1.1"), Ok(()));
    }

    #[test]
    fn a_guard_is_written_as_data() {
        let guard = Guard::local().allow(net("169.254.7.0/24"));
        let text = serde_json::to_string(&guard).unwrap();
        assert_eq!(text, r#"{"local":true,"allow":["169.254.7.0/24"],"deny":[]}"#);
        assert_eq!(serde_json::from_str::<Guard>(&text).unwrap(), guard);
        assert_eq!(serde_json::from_str::<Guard>("{}").unwrap(), Guard::public_only());
        assert!(serde_json::from_str::<Guard>(r#"{"locale":true}"#).is_err());
    }

    #[test]
    fn urls_are_checked_without_showing_secrets() {
        let guard = Guard::public_only();
        for (url, expected) in [
            ("ftp://example.com/", "expected an http or https URL, found the scheme ftp"),
            (
                "https://user:hunter2@example.com/",
                "the URL carries credentials; give them in an authorization header instead",
            ),
            ("http://0x7f.1/", "127.0.0.1 is in loopback 127.0.0.0/8"),
            ("http://2130706433/", "127.0.0.1 is in loopback 127.0.0.0/8"),
            ("http://127.0.0.1./", "127.0.0.1 is in loopback 127.0.0.0/8"),
            ("http://[::1]:8080/", "::1 is in loopback ::1/128"),
        ] {
            let found = guard.check_url(&Url::parse(url).unwrap()).unwrap_err().to_string();
            assert_eq!(found, expected, "{url}");
        }
        assert_eq!(guard.check_url(&Url::parse("https://example.com/?token=x").unwrap()), Ok(()));
    }
}
