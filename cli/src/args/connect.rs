//! The arguments about connections: certificates, proxies, sizes.

use std::path::PathBuf;

use clap::Args;
use poller::Limits;
use poller::http::IpNet;

use super::values;

/// How to connect to servers.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConnectArgs {
    /// Trust the certificates in this PEM file, in addition to those of the system: an authority's, or the very
    /// certificate of a server
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    pub(crate) cacert: Option<PathBuf>,

    /// Show the certificate in this PEM file to servers that ask for one
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of --cert, if it is not in the same file
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "Connections")]
    pub(crate) key: Option<PathBuf>,

    /// Accept every certificate of servers. Anyone on the way can then read and change everything
    #[arg(long, conflicts_with = "cacert", help_heading = "Connections")]
    pub(crate) insecure: bool,

    /// Send requests through this proxy, such as http://proxy:3128 or socks5h://proxy:1080; env:NAME reads it from
    /// there, with its password. By default those of http_proxy, https_proxy, all_proxy and no_proxy, in either case;
    /// "" for none
    #[arg(long, value_name = "URL", help_heading = "Connections")]
    pub(crate) proxy: Option<String>,

    /// Ask these hosts directly: names with their subdomains, addresses, networks, separated by commas
    #[arg(long, value_name = "HOSTS", help_heading = "Connections")]
    pub(crate) no_proxy: Option<String>,

    /// Ask addresses in this network too, such as 169.254.7.0/24; may be repeated. Loopback and private addresses are
    /// asked anyway. A cloud's metadata service needs its exact address
    #[arg(long = "allow-network", value_name = "CIDR", value_parser = values::network, help_heading = "Connections")]
    pub(crate) allow_networks: Vec<IpNet>,

    /// Reject bodies that are larger than this after decompression, such as 20MiB or 500k; 10MiB by default
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Connections")]
    pub(crate) max_body: Option<u64>,
}

impl ConnectArgs {
    /// Those of a command that connects to nothing and only checks addresses: nothing of the environment either.
    pub(crate) fn direct(allow_networks: &[IpNet]) -> Self {
        Self { proxy: Some(String::new()), allow_networks: allow_networks.to_vec(), ..Self::default() }
    }

    /// `limits` with the limits given on the command line.
    pub(crate) fn apply(&self, mut limits: Limits) -> Limits {
        limits.max_body = self.max_body.unwrap_or(limits.max_body);
        limits
    }
}
