//! daemon.json as the daemon takes it. What the file leaves out keeps Docker's default, which [`DaemonConfig`] knows.

use super::{Runs, image_catalogue, pairs};
use crate::docker::daemon::{DaemonConfig, Proxies};
use crate::scenario::model::Scenario;

/// The daemon's settings, with the images of the scenario.
#[must_use]
pub fn daemon_config(scenario: &Scenario, runs: Runs<'_>) -> DaemonConfig {
    let daemon = &scenario.daemon;
    let default = DaemonConfig::default();
    let proxy =
        |key: &str| daemon.proxies.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    DaemonConfig {
        profile: daemon.profile.unwrap_or(default.profile),
        bridge: daemon.bridge.clone(),
        bip: daemon.bip,
        bip6: daemon.bip6,
        fixed_cidr: daemon.fixed_cidr,
        fixed_cidr_v6: daemon.fixed_cidr_v6,
        default_gateway: daemon.default_gateway,
        default_gateway_v6: daemon.default_gateway_v6,
        mtu: daemon.mtu.unwrap_or(default.mtu),
        icc: daemon.icc.unwrap_or(default.icc),
        ip: daemon.ip.unwrap_or(default.ip),
        ip_masq: daemon.ip_masq.unwrap_or(default.ip_masq),
        ipv6: daemon.ipv6.unwrap_or(default.ipv6),
        iptables: daemon.iptables.unwrap_or(default.iptables),
        ip6tables: daemon.ip6tables,
        ip_forward: daemon.ip_forward.unwrap_or(default.ip_forward),
        ip_forward_no_drop: daemon.ip_forward_no_drop.unwrap_or(default.ip_forward_no_drop),
        userland_proxy: daemon.userland_proxy.unwrap_or(default.userland_proxy),
        allow_direct_routing: daemon.allow_direct_routing.unwrap_or(default.allow_direct_routing),
        default_address_pools: daemon.default_address_pools.clone(),
        default_network_opts: daemon
            .default_network_opts
            .iter()
            .map(|(driver, options)| (driver.clone(), pairs(options)))
            .collect(),
        dns: daemon.dns.clone(),
        dns_search: daemon.dns_search.clone(),
        dns_opts: daemon.dns_opts.clone(),
        host_gateway_ips: daemon.host_gateway_ips.clone(),
        live_restore: daemon.live_restore.unwrap_or(default.live_restore),
        proxies: Proxies { http: proxy("http-proxy"), https: proxy("https-proxy"), no: proxy("no-proxy") },
        file: daemon.file.clone(),
        images: image_catalogue(scenario, runs),
    }
}
