//! Kernel settings that containers ask for: `--sysctl`, which runc writes, and an endpoint's option, which libnetwork
//! writes once the interface is there.
//!
//! Reference: `api/server/router/container` and `daemon/container_operations.go`, libnetwork `osl/interface_linux.go`.
//! Settings of files that a namespace has and nothing here asks for, as `net.core.optmem_max`, are shown by inspect and do
//! nothing; those of files that it has not are refused.

use std::collections::BTreeMap;

use linkspan_nat::interface::InterfaceName;

use super::error::DockerError;
use super::kernel_files;
use super::profile::Profile;
use super::request::{ContainerCreate, EndpointConfig, NetworkMode};
use crate::engine::plan::{SettingError, Sysctl};

/// The endpoint option; `IFNAME` in it stands for the interface.
const ENDPOINT_OPTION: &str = "com.docker.network.endpoint.sysctls";

/// Refuses settings of single interfaces where interfaces are made after runc has written the settings.
pub(super) fn check_create(create: &ContainerCreate, profile: Profile) -> Result<(), DockerError> {
    let private = !matches!(create.network_mode, NetworkMode::Container(_) | NetworkMode::Host);
    if !profile.interfaces_follow_sysctls() || !private {
        return Ok(());
    }
    let of_interface = |key: &str| {
        let parts: Vec<&str> = key.splitn(5, '.').collect();
        matches!(parts.as_slice(), ["net", _, _, name, _] if name.starts_with("eth"))
    };
    match create.sysctls.keys().find(|key| of_interface(key)) {
        Some(key) => Err(DockerError::system(format!(
            "interface specific sysctl setting {key:?} must be supplied using driver option '{ENDPOINT_OPTION}'"
        ))),
        None => Ok(()),
    }
}

/// What is wrong with an endpoint's settings, one text for each.
pub(super) fn check_endpoint(config: &EndpointConfig, profile: Profile) -> Vec<String> {
    let recognised = |setting: &&str| {
        let parts: Vec<&str> = setting.splitn(5, '.').collect();
        matches!(parts.as_slice(), [_, "ipv4" | "ipv6" | "mpls", _, "IFNAME" | "ifname", _])
    };
    of_endpoint(config, profile)
        .filter(|setting| !recognised(setting))
        .map(|setting| {
            format!(
                "unrecognised network interface sysctl '{setting}'; represent 'net.X.Y.ethN.Z=V' as \
                 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        })
        .collect()
}

/// An endpoint's settings for the interface that it got, or why one cannot be written.
pub(super) fn interface_settings(
    config: &EndpointConfig,
    profile: Profile,
    device: InterfaceName,
) -> Result<Vec<Sysctl>, String> {
    let mut settings = Vec::new();
    for setting in of_endpoint(config, profile) {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("expected sysctl '{setting}' to have format name=value"))?;
        let parts: Vec<&str> = key.split('.').collect();
        let &[root, family, group, _, name] = parts.as_slice() else {
            return Err(format!("expected sysctl '{setting}' to have format net.X.Y.IFNAME.Z"));
        };
        if (root, group) == ("net", "neigh") {
            continue;
        }
        let path = format!("{root}/{family}/{group}/{device}/{name}");
        match Sysctl::parse(&path, value) {
            Ok(sysctl) => settings.push(sysctl),
            Err(SettingError::Unknown) => return Err(format!("/proc/sys/{path} is not a sysctl file")),
            Err(errno) => {
                let errno = errno.to_string().to_lowercase();
                return Err(format!(
                    "unable to write to '/proc/sys/{path}': write /proc/sys/{path}: {errno}"
                ));
            }
        }
    }
    Ok(settings)
}

fn of_endpoint(config: &EndpointConfig, profile: Profile) -> impl Iterator<Item = &str> {
    let option = config.driver_opts.get(ENDPOINT_OPTION);
    option.filter(|_| profile.applies_endpoint_driver_options()).into_iter().flat_map(|text| text.split(','))
}

/// What `--sysctl` sets in a namespace with these interfaces, or runc's words for why it cannot.
pub(super) fn namespace_settings(
    sysctls: &BTreeMap<String, String>,
    interfaces: &[InterfaceName],
) -> Result<Vec<Sysctl>, String> {
    let is_interface = |name: &str| name == "lo" || interfaces.iter().any(|known| known.as_str() == name);
    let judged = sysctls.iter().map(|(key, value)| judge(key, value, is_interface));
    judged.filter_map(Result::transpose).collect()
}

/// Why a container that has a network namespace of its own cannot have a setting, whichever interfaces it gets.
pub fn refusal(key: &str, value: &str) -> Option<String> {
    judge(key, value, |_| true).err()
}

/// A setting that acts, nothing for one that does not, or runc's words for one that cannot be written.
fn judge(key: &str, value: &str, is_interface: impl Fn(&str) -> bool) -> Result<Option<Sysctl>, String> {
    let path = key.replace('.', "/");
    match Sysctl::parse(&path, value) {
        Ok(sysctl) if sysctl.device().is_none_or(|device| is_interface(device.as_str())) => Ok(Some(sysctl)),
        Ok(_) => Err(missing(&path)),
        Err(SettingError::Unknown)
            if path.starts_with("net/") && !kernel_files::may_exist(&path, is_interface) =>
        {
            Err(missing(&path))
        }
        Err(SettingError::Unknown) => Ok(None),
        Err(errno) => Err(format!("write /proc/sys/{path}: {}", errno.to_string().to_lowercase())),
    }
}

/// Whether a setting of a network namespace changes anything here, if it exists.
pub fn acts(key: &str) -> bool {
    let path = key.replace('.', "/");
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["net", "ipv4", "conf", _, name] => matches!(
            *name,
            "accept_local"
                | "arp_announce"
                | "arp_ignore"
                | "forwarding"
                | "proxy_arp"
                | "route_localnet"
                | "rp_filter"
        ),
        ["net", "ipv6", "conf", _, name] => matches!(*name, "disable_ipv6" | "forwarding"),
        ["net", "ipv4", name] => matches!(
            *name,
            "icmp_echo_ignore_all"
                | "icmp_echo_ignore_broadcasts"
                | "icmp_msgs_burst"
                | "icmp_msgs_per_sec"
                | "icmp_ratelimit"
                | "icmp_ratemask"
                | "ip_default_ttl"
                | "ip_forward"
                | "ip_local_port_range"
                | "ip_local_reserved_ports"
        ),
        ["net", "ipv6", "icmp", name] => {
            matches!(*name, "echo_ignore_all" | "echo_ignore_multicast" | "ratelimit" | "ratemask")
        }
        ["net", "core", name] => *name == "somaxconn",
        ["net", "bridge", name] => matches!(*name, "bridge-nf-call-iptables" | "bridge-nf-call-ip6tables"),
        _ => false,
    }
}

fn missing(path: &str) -> String {
    format!("open /proc/sys/{path}: no such file or directory")
}

/// Whether `--sysctl` takes IPv6 from a container's loopback device, which is how dockerd tells.
pub(super) fn disables_ipv6(sysctls: &BTreeMap<String, String>) -> bool {
    let on = |key: &str| sysctls.get(key).is_some_and(|value| value.trim() != "0");
    on("net.ipv6.conf.all.disable_ipv6") || on("net.ipv6.conf.lo.disable_ipv6")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(option: &str) -> EndpointConfig {
        let mut config = EndpointConfig::on("app");
        config.driver_opts.insert(ENDPOINT_OPTION.to_owned(), option.to_owned());
        config
    }

    #[test]
    fn what_a_namespace_has_not_is_refused_as_runc_does() {
        let eth0 = [InterfaceName::parse("eth0").unwrap()];
        let set = |key: &str| {
            namespace_settings(&BTreeMap::from([(key.to_owned(), "1".to_owned())]), &eth0)
                .map(|set| set.len())
        };
        assert_eq!(set("net.ipv4.conf.eth0.rp_filter"), Ok(1));
        assert_eq!(set("net.core.somaxconn"), Ok(1));
        assert_eq!(set("net.core.optmem_max"), Ok(0));
        assert_eq!(set("net.ipv4.neigh.default.base_reachable_time_ms"), Ok(0));
        assert_eq!(set("kernel.msgmax"), Ok(0));
        for path in
            ["net/foo/bar", "net/ipv4/conf/eth1/rp_filter", "net/ipv4/neigh/default/gc_thresh3", "net/ipv4/x"]
        {
            let refusal = format!("open /proc/sys/{path}: no such file or directory");
            assert_eq!(set(&path.replace('/', ".")), Err(refusal));
        }
    }

    #[test]
    fn the_option_is_a_list_and_ifname_its_interface() {
        let eth0 = InterfaceName::parse("eth0").unwrap();
        let good = endpoint("net.ipv4.conf.IFNAME.forwarding=1,net.ipv6.conf.ifname.accept_ra=2");
        assert_eq!(check_endpoint(&good, Profile::Docker28), Vec::<String>::new());
        assert_eq!(interface_settings(&good, Profile::Docker28, eth0).unwrap().len(), 2);
        assert_eq!(interface_settings(&good, Profile::Docker20_10, eth0).unwrap().len(), 0);
        for (option, refusal) in [
            (
                "net.ipv4.conf.IFNAME.forwarding",
                "expected sysctl 'net.ipv4.conf.IFNAME.forwarding' to have format name=value",
            ),
            (
                "net.ipv4.conf.IFNAME.a.b=1",
                "expected sysctl 'net.ipv4.conf.IFNAME.a.b=1' to have format net.X.Y.IFNAME.Z",
            ),
            ("net.ipv4.conf.IFNAME.nosuch=1", "/proc/sys/net/ipv4/conf/eth0/nosuch is not a sysctl file"),
            (
                "net.ipv4.conf.IFNAME.rp_filter=x",
                "unable to write to '/proc/sys/net/ipv4/conf/eth0/rp_filter': write \
                 /proc/sys/net/ipv4/conf/eth0/rp_filter: invalid argument",
            ),
        ] {
            assert_eq!(
                check_endpoint(&endpoint(option), Profile::Docker28),
                Vec::<String>::new(),
                "{option}"
            );
            let refused = interface_settings(&endpoint(option), Profile::Docker28, eth0).unwrap_err();
            assert_eq!(refused, refusal);
        }
    }
}
