//! daemon.json and the docker command's own configuration.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::docker::client::ClientVersion;
use crate::docker::profile::Profile;

/// daemon.json. `None` is Docker's default for the profile.
#[derive(Clone, Debug, Default)]
pub struct Daemon {
    /// The text of the file, empty if there is none.
    pub file: String,
    /// The engine's version, when said.
    pub profile: Option<Profile>,
    /// `bridge`.
    pub bridge: Option<String>,
    /// `bip`, host bits kept.
    pub bip: Option<IpNet>,
    /// `bip6`, host bits kept.
    pub bip6: Option<IpNet>,
    /// `fixed-cidr`.
    pub fixed_cidr: Option<IpNet>,
    /// `fixed-cidr-v6`.
    pub fixed_cidr_v6: Option<IpNet>,
    /// `default-gateway`.
    pub default_gateway: Option<IpAddr>,
    /// `default-gateway-v6`.
    pub default_gateway_v6: Option<IpAddr>,
    /// `mtu`.
    pub mtu: Option<u32>,
    /// `icc`.
    pub icc: Option<bool>,
    /// `ip`.
    pub ip: Option<IpAddr>,
    /// `ip-masq`.
    pub ip_masq: Option<bool>,
    /// `ipv6`.
    pub ipv6: Option<bool>,
    /// `iptables`.
    pub iptables: Option<bool>,
    /// `ip6tables`.
    pub ip6tables: Option<bool>,
    /// `ip-forward`.
    pub ip_forward: Option<bool>,
    /// `ip-forward-no-drop`.
    pub ip_forward_no_drop: Option<bool>,
    /// `userland-proxy`.
    pub userland_proxy: Option<bool>,
    /// `allow-direct-routing`.
    pub allow_direct_routing: Option<bool>,
    /// `live-restore`.
    pub live_restore: Option<bool>,
    /// `default-address-pools`: base and prefix length of each network.
    pub default_address_pools: Vec<(IpNet, u8)>,
    /// `default-network-opts`: driver, then options.
    pub default_network_opts: Vec<(String, Vec<(String, String)>)>,
    /// `dns`.
    pub dns: Vec<IpAddr>,
    /// `dns-opts`.
    pub dns_opts: Vec<String>,
    /// `dns-search`.
    pub dns_search: Vec<String>,
    /// `host-gateway-ip` or `host-gateway-ips`.
    pub host_gateway_ips: Vec<IpAddr>,
    /// `proxies`: http, https, no-proxy.
    pub proxies: Vec<(String, String)>,
}

/// The docker command's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its version.
    pub version: ClientVersion,
    /// By the daemon's URL, or `default`.
    pub proxies: Vec<(String, ClientProxy)>,
}

/// One entry of the client's `proxies`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientProxy {
    /// `httpProxy`.
    pub http: Option<String>,
    /// `httpsProxy`.
    pub https: Option<String>,
    /// `noProxy`.
    pub no: Option<String>,
    /// `ftpProxy`.
    pub ftp: Option<String>,
    /// `allProxy`.
    pub all: Option<String>,
}
