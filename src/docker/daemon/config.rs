//! daemon.json: what can be set, what it is by default, and which settings contradict each other.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::docker::error::DockerError;
use crate::docker::images::ImageCatalogue;
use crate::docker::profile::Profile;

/// daemon.json, as far as networking goes. The defaults are dockerd's.
#[derive(Debug, Clone, PartialEq)]
pub struct DaemonConfig {
    /// The engine reproduced.
    pub profile: Profile,
    /// `bridge`: `none`, or the name of a bridge that stands in for docker0.
    pub bridge: Option<String>,
    /// `bip`: the default bridge's address and prefix.
    pub bip: Option<IpNet>,
    /// `bip6`.
    pub bip6: Option<IpNet>,
    /// `fixed-cidr`: the range of the default bridge's containers.
    pub fixed_cidr: Option<IpNet>,
    /// `fixed-cidr-v6`: the default bridge's IPv6 subnet.
    pub fixed_cidr_v6: Option<IpNet>,
    /// `default-gateway`.
    pub default_gateway: Option<IpAddr>,
    /// `default-gateway-v6`.
    pub default_gateway_v6: Option<IpAddr>,
    /// `mtu` of the default bridge.
    pub mtu: u32,
    /// `icc` of the default bridge.
    pub icc: bool,
    /// `ip`: the default bridge's default host address for published ports.
    pub ip: IpAddr,
    /// `ip-masq` of the default bridge.
    pub ip_masq: bool,
    /// `ipv6` of the default bridge.
    pub ipv6: bool,
    /// `iptables`.
    pub iptables: bool,
    /// `ip6tables`; `None` is the release's default.
    pub ip6tables: Option<bool>,
    /// `ip-forward`.
    pub ip_forward: bool,
    /// `ip-forward-no-drop`.
    pub ip_forward_no_drop: bool,
    /// `userland-proxy`.
    pub userland_proxy: bool,
    /// `allow-direct-routing`.
    pub allow_direct_routing: bool,
    /// `default-address-pools`: base and size.
    pub default_address_pools: Vec<(IpNet, u8)>,
    /// `default-network-opts`: options of new networks by driver.
    pub default_network_opts: BTreeMap<String, BTreeMap<String, String>>,
    /// `dns`.
    pub dns: Vec<IpAddr>,
    /// `dns-search`.
    pub dns_search: Vec<String>,
    /// `dns-opts`.
    pub dns_opts: Vec<String>,
    /// `host-gateway-ips`.
    pub host_gateway_ips: Vec<IpAddr>,
    /// `live-restore`.
    pub live_restore: bool,
    /// `proxies`: what the daemon itself pulls images through. There is no registry, so they are only shown.
    pub proxies: Proxies,
    /// What images run and expose.
    pub images: ImageCatalogue,
    /// The text of daemon.json that says all this, empty if there is no file: another one is read at the next start.
    pub file: String,
}

/// The daemon's own HTTP proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `http-proxy`.
    pub http: Option<String>,
    /// `https-proxy`.
    pub https: Option<String>,
    /// `no-proxy`.
    pub no: Option<String>,
}

impl Default for DaemonConfig {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            bridge: None,
            bip: None,
            bip6: None,
            fixed_cidr: None,
            fixed_cidr_v6: None,
            default_gateway: None,
            default_gateway_v6: None,
            mtu: 1500,
            icc: true,
            ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ip_masq: true,
            ipv6: false,
            iptables: true,
            ip6tables: None,
            ip_forward: true,
            ip_forward_no_drop: false,
            userland_proxy: true,
            allow_direct_routing: false,
            default_address_pools: Vec::new(),
            default_network_opts: BTreeMap::new(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_opts: Vec::new(),
            host_gateway_ips: Vec::new(),
            live_restore: false,
            proxies: Proxies::default(),
            images: ImageCatalogue::default(),
            file: String::new(),
        }
    }
}

impl DaemonConfig {
    /// Settings that contradict each other keep the daemon from starting.
    pub(super) fn verify(&self) -> Result<(), DockerError> {
        let refuse = |text: &str| Err(DockerError::bad_parameter(format!("failed to start daemon: {text}")));
        if self.bridge.as_deref().is_some_and(|name| !name.is_empty()) && self.bip.is_some() {
            return refuse("You specified -b & --bip, mutually exclusive options. Please specify only one");
        }
        if !self.iptables && !self.icc {
            return refuse(
                "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set \
                 --icc or --iptables to true",
            );
        }
        let without_subnet = self.bip6.or(self.fixed_cidr_v6).is_none();
        if self.ipv6 && without_subnet && !self.profile.default_ipv6_pool() && self.bridge.is_none() {
            return refuse(
                "Error initializing network controller: IPv6 is enabled for the default bridge, but no subnet is \
                 configured. Specify an IPv6 subnet using --fixed-cidr-v6",
            );
        }
        Ok(())
    }
}
