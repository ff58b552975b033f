//! The one table of what differs between Docker Engine versions.
//!
//! A profile stands for an era, not for one release: 20.10 covers the behaviour up to 27, 28 the 28.x line, 29 the 29.x line.
//! Real engines of the first two were recorded, 20.10.24 and 28.5.2; 29 follows moby's source and tests. Every other file
//! asks a question here and never compares versions itself, so that the whole difference between two engines can be read
//! in this file. Options newer than the profile are accepted, stored and shown, but not applied, as an older engine does.

use std::net::IpAddr;
use std::time::Duration;
use std::{fmt, str::FromStr};

use thiserror::Error;

use super::cli::ports::Protocol;
use super::dns::ResolverPolicy;
use super::hosts_file::HostsStyle;

/// The Docker Engine era whose behaviour is reproduced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Docker Engine 20.10: derived MAC addresses, pools round robin, DOCKER-ISOLATION-STAGE chains in FORWARD.
    Docker20_10,
    /// Docker Engine 28: random MAC addresses, DOCKER-FORWARD, direct access to unpublished ports dropped.
    #[default]
    Docker28,
    /// Docker Engine 29: as 28, without the isolation chains.
    Docker29,
}

/// A profile name that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown Docker profile {found:?}: expected 20.10, 28 or 29")]
pub struct UnknownProfile {
    /// What was written.
    pub found: String,
}

/// In which order predefined address pools are handed to new networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolOrder {
    /// A freed pool is not used again before the list has wrapped around.
    RoundRobin,
    /// The first free pool of the list.
    LowestFree,
}

/// How an endpoint's addresses are announced when it comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcements {
    /// How many messages, 0 to 3.
    pub messages: u8,
    /// Time between two messages, 100 to 2,000 ms.
    pub interval: Duration,
}

/// Which chains the bridge driver creates and where its rules stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IptablesLayout {
    /// Per-network rules directly in FORWARD, isolation in DOCKER-ISOLATION-STAGE-1 and -2.
    Forward,
    /// DOCKER-FORWARD, DOCKER-CT and DOCKER-BRIDGE; isolation still in DOCKER-ISOLATION-STAGE-1 and -2.
    DockerForward,
    /// As [`IptablesLayout::DockerForward`], with DOCKER-INTERNAL in place of the isolation chains and no RETURN rules in
    /// nat DOCKER.
    DockerInternal,
}

/// How the number in a container's interface name is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceNumbering {
    /// A counter per namespace and prefix: a number freed by disconnect is not used again until the next start.
    EverIncreasing,
    /// The lowest number free in the namespace.
    LowestFree,
}

/// The look of a generated `/etc/resolv.conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolvConfFormat {
    /// `search`, `nameserver`, `options`, no comments.
    Bare,
    /// Docker's header, `nameserver`, `search`, `options`, and comments that name the external servers and overrides.
    Commented,
}

/// What the embedded resolver answers when no external server gave a usable reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsFailure {
    /// The last reply received, whatever its code, is passed through; without any reply the client hears nothing.
    LastReply,
    /// SERVFAIL.
    ServFail,
}

/// The namespace from which a query is sent to a server taken from the host's resolv.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsDialNamespace {
    /// Loopback servers from the host's namespace, all others from the container's.
    ContainerUnlessLoopback,
    /// All of them from the host's namespace.
    Host,
}

/// Where IPv6 is switched off for containers without an IPv6 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv6Switch {
    /// `net.ipv6.conf.all.disable_ipv6` of the namespace; each interface of an IPv6 network is then switched on.
    Namespace,
    /// `disable_ipv6` of each interface that belongs to a network without IPv6.
    Interface,
}

/// Flows of UDP that a newly published port makes an end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgottenFlows {
    /// All to its number.
    OfThePort,
    /// Those to its number at the address it is published on.
    OfTheAddress,
}

/// Which endpoint of a container carries its default route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayChoice {
    /// The first endpoint, in gateway order, with an IPv4 gateway.
    FirstIpv4,
    /// The first endpoint with gateways of both families, else the first of each family on its own.
    DualStackFirst,
}

impl Profile {
    /// How the embedded DNS server forwards.
    pub fn resolver_policy(self) -> ResolverPolicy {
        match self {
            Self::Docker20_10 => ResolverPolicy::docker_20_10(),
            Self::Docker28 | Self::Docker29 => ResolverPolicy::docker_28(),
        }
    }

    /// The form of /etc/hosts. Since 26 the loopback device of a container has ::1, and so has the file.
    pub fn hosts_style(self) -> HostsStyle {
        match self {
            Self::Docker20_10 => HostsStyle::Docker20_10,
            Self::Docker28 | Self::Docker29 => HostsStyle::Docker28 { ipv6: true },
        }
    }

    /// All profiles, oldest first.
    pub const ALL: [Self; 3] = [Self::Docker20_10, Self::Docker28, Self::Docker29];

    /// The version number `docker version` shows for the server.
    pub fn engine_version(self) -> &'static str {
        match self {
            Self::Docker20_10 => "20.10.24",
            Self::Docker28 => "28.5.2",
            Self::Docker29 => "29.7.2",
        }
    }

    /// Whether a subnet or range with host bits set, as 10.0.0.1/8, is refused; else it is taken and shown as written.
    pub fn refuses_host_bits(self) -> bool {
        self != Self::Docker20_10
    }

    /// The newest Engine API version the daemon speaks, as (major, minor).
    pub fn api_version(self) -> (u16, u16) {
        match self {
            Self::Docker20_10 => (1, 41),
            Self::Docker28 => (1, 51),
            Self::Docker29 => (1, 55),
        }
    }

    /// The oldest Engine API version the daemon speaks.
    pub fn minimum_api_version(self) -> (u16, u16) {
        match self {
            Self::Docker20_10 => (1, 12),
            Self::Docker28 => (1, 24),
            Self::Docker29 => (1, 44),
        }
    }

    /// Whether a bridge endpoint without a configured MAC address gets 02:42 followed by its IPv4 address.
    pub fn bridge_mac_from_ipv4(self) -> bool {
        self.is_20_10()
    }

    /// How often and how far apart the addresses of an endpoint that comes up are announced, unless the network says
    /// otherwise; `None`: they are not. A random MAC address makes it necessary: who knew the address before has
    /// another one in its tables.
    pub fn announces_addresses(self) -> Option<Announcements> {
        match self {
            Self::Docker20_10 => None,
            Self::Docker28 | Self::Docker29 => {
                Some(Announcements { messages: 3, interval: Duration::from_secs(1) })
            }
        }
    }

    /// Whether a container on the default bridge gets its MAC address behind the prefix of an IPv6 subnet that leaves
    /// room for it (up to /80), instead of the next free address.
    pub fn generates_ipv6_addresses(self) -> bool {
        self.is_20_10()
    }

    /// Whether `fixed-cidr` without `bip` is the default bridge's subnet; otherwise it is a range of the predefined one.
    pub fn fixed_range_is_a_subnet(self) -> bool {
        !self.is_20_10()
    }

    /// Whether network inspect shows an IPv6 gateway that was not asked for with its prefix length.
    pub fn shows_ipv6_gateway_length(self) -> bool {
        self.is_20_10()
    }

    /// The address that `host-gateway-ip` stands for: 28 keeps it in a list that came with it and does not shorten it.
    pub fn host_gateway_ip(self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) if self == Self::Docker28 => IpAddr::V6(address.to_ipv6_mapped()),
            IpAddr::V4(_) | IpAddr::V6(_) => address,
        }
    }

    /// Whether `host-gateway` stands for the default bridge's addresses of both families.
    pub fn host_gateway_of_both_families(self) -> bool {
        !self.is_20_10()
    }

    /// Whether a bridge device's own random MAC address starts with 02:42.
    pub fn bridge_device_mac_prefix(self) -> bool {
        self.is_20_10()
    }

    /// Whether a subnet that begins with the unspecified address asks for a predefined pool's network of that size
    /// (29.0); before, it was a subnet like any other.
    pub fn sizes_predefined_networks(self) -> bool {
        self == Self::Docker29
    }

    /// The order in which predefined pools are handed out.
    pub fn pool_order(self) -> PoolOrder {
        match self {
            Self::Docker20_10 => PoolOrder::RoundRobin,
            Self::Docker28 | Self::Docker29 => PoolOrder::LowestFree,
        }
    }

    /// The chains and the order of the bridge driver's rules.
    pub fn iptables_layout(self) -> IptablesLayout {
        match self {
            Self::Docker20_10 => IptablesLayout::Forward,
            Self::Docker28 => IptablesLayout::DockerForward,
            Self::Docker29 => IptablesLayout::DockerInternal,
        }
    }

    /// Whether packets from outside to an unpublished port of a container address are dropped (filter and raw table);
    /// otherwise the FORWARD policy decides.
    pub fn drops_direct_access(self) -> bool {
        !self.is_20_10()
    }

    /// Whether the engine manages ip6tables unless told otherwise (`ip6tables` in daemon.json).
    pub fn ip6tables_by_default(self) -> bool {
        !self.is_20_10()
    }

    /// Whether a container on an internal bridge network gets a default route through the bridge.
    pub fn internal_bridge_default_route(self) -> bool {
        self.is_20_10()
    }

    /// How container interfaces are numbered.
    pub fn interface_numbering(self) -> InterfaceNumbering {
        match self {
            Self::Docker20_10 => InterfaceNumbering::EverIncreasing,
            Self::Docker28 | Self::Docker29 => InterfaceNumbering::LowestFree,
        }
    }

    /// How the endpoint with the default route is chosen among the sorted ones.
    pub fn gateway_choice(self) -> GatewayChoice {
        match self {
            Self::Docker20_10 => GatewayChoice::FirstIpv4,
            Self::Docker28 | Self::Docker29 => GatewayChoice::DualStackFirst,
        }
    }

    /// Whether `gw-priority` of an endpoint is applied (API 1.48); an older engine ignores it.
    pub fn applies_gateway_priority(self) -> bool {
        !self.is_20_10()
    }

    /// Whether `--ipv4=false` is applied (API 1.48); an older engine ignores it.
    pub fn applies_ipv4_switch(self) -> bool {
        !self.is_20_10()
    }

    /// Whether a container may be created on several networks at once (API 1.44).
    pub fn several_networks_at_create(self) -> bool {
        !self.is_20_10()
    }

    /// Whether a container that names no network is shown with the mode `bridge`, not with `default` (26 and later).
    pub fn modes_name_the_default_network(self) -> bool {
        !self.is_20_10()
    }

    /// Whether all that is wrong with an endpoint's settings is said when the container is made (25 and later), instead of
    /// when it starts.
    pub fn checks_endpoints_at_create(self) -> bool {
        !self.is_20_10()
    }

    /// Whether a container's `die` event comes before it leaves its networks; else last, when whoever waited for its end
    /// has heard of it.
    pub fn dies_before_it_leaves(self) -> bool {
        self.is_20_10()
    }

    /// Whether network inspect shows the pools in the order and with the fields of the request; else those that were asked
    /// for come first, and the others without what was said of them.
    pub fn shows_pools_as_asked(self) -> bool {
        self.is_20_10()
    }

    /// Whether a container that does not run still shows the sandbox that it had.
    pub fn keeps_sandbox_ids(self) -> bool {
        self.is_20_10()
    }

    /// Whether the daemon looks at the host's forwarding once, at its start, instead of whenever it makes a container.
    pub fn looks_at_forwarding_once(self) -> bool {
        !self.is_20_10()
    }

    /// Whether network inspect shows no list of subnets, instead of an empty one, for a network without any.
    pub fn shows_no_subnets_as_null(self) -> bool {
        match self {
            Self::Docker20_10 => false,
            Self::Docker28 | Self::Docker29 => true,
        }
    }

    /// Whether an endpoint may carry its own MAC address (API 1.44).
    pub fn endpoint_mac_address(self) -> bool {
        !self.is_20_10()
    }

    /// Whether the endpoint options `com.docker.network.endpoint.sysctls` (27) and `.ifname` (28.1) are applied.
    pub fn applies_endpoint_driver_options(self) -> bool {
        !self.is_20_10()
    }

    /// Whether a container's interfaces are made when its runtime has written what `--sysctl` says, so that an interface
    /// cannot be named there; before, the runtime comes last.
    pub fn interfaces_follow_sysctls(self) -> bool {
        !self.is_20_10()
    }

    /// Where IPv6 is switched off.
    pub fn ipv6_switch(self) -> Ipv6Switch {
        match self {
            Self::Docker20_10 => Ipv6Switch::Namespace,
            Self::Docker28 | Self::Docker29 => Ipv6Switch::Interface,
        }
    }

    /// Whether `--ipv6` without an IPv6 subnet takes one from a unique local prefix instead of failing.
    pub fn default_ipv6_pool(self) -> bool {
        !self.is_20_10()
    }

    /// The look of generated resolv.conf files.
    pub fn resolv_conf_format(self) -> ResolvConfFormat {
        match self {
            Self::Docker20_10 => ResolvConfFormat::Bare,
            Self::Docker28 | Self::Docker29 => ResolvConfFormat::Commented,
        }
    }

    /// Whether the short container id (and an explicit host name) is shown among an endpoint's `Aliases`; newer
    /// engines show it in `DNSNames`.
    pub fn short_id_in_aliases(self) -> bool {
        self.is_20_10()
    }

    /// Whether network inspect shows `EnableIPv4` (API 1.48).
    pub fn shows_enable_ipv4(self) -> bool {
        !self.is_20_10()
    }

    /// Whether inspect of the default bridge shows its gateway on a daemon that never ran before.
    pub fn shows_default_bridge_gateway(self) -> bool {
        !self.is_20_10()
    }

    /// Whether container inspect still has the top-level address fields of `NetworkSettings` (gone in API 1.52).
    pub fn legacy_network_settings(self) -> bool {
        match self {
            Self::Docker20_10 | Self::Docker28 => true,
            Self::Docker29 => false,
        }
    }

    /// Whether network inspect has `Status` with the numbers of addresses in use (API 1.52).
    pub fn shows_ipam_status(self) -> bool {
        match self {
            Self::Docker20_10 | Self::Docker28 => false,
            Self::Docker29 => true,
        }
    }

    /// Whether the port allocator itself sees that 0.0.0.0 and a specific address clash; on an older engine the bind
    /// of the proxy fails instead, with another text.
    pub fn port_conflict_across_addresses(self) -> bool {
        !self.is_20_10()
    }

    /// What introduces the runtime's error about a container that it cannot start, for instance because its image does
    /// not have the program.
    pub fn runtime_error(self) -> &'static str {
        match self {
            Self::Docker20_10 => {
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
            }
            Self::Docker28 | Self::Docker29 => {
                "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: "
            }
        }
    }

    /// Whether a container that loses its gateway's network publishes on an internal one that is left, as far as the
    /// userland proxy goes.
    pub fn publishes_on_what_is_left(self) -> bool {
        self.is_20_10()
    }

    /// The status of `docker exec` of a program that is not there.
    pub fn missing_program_status(self) -> u8 {
        if self.is_20_10() { 126 } else { 127 }
    }

    /// Whether IPv4 and IPv6 bindings of one ephemeral port are allocated together and so get the same number.
    pub fn joint_port_allocation(self) -> bool {
        !self.is_20_10()
    }

    /// Whether dockerd opens the sockets its userland proxies listen on.
    pub fn proxies_inherit_sockets(self) -> bool {
        !self.is_20_10()
    }

    /// Whether several macvlan networks may have the same parent (27 and later).
    pub fn shares_macvlan_parents(self) -> bool {
        self != Self::Docker20_10
    }

    /// Whether a bridge is fe80::1 too, and asks if somebody has the IPv6 addresses of its gateways: newer ones leave the first
    /// to the kernel and set the second with `IFA_F_NODAD` (libnetwork `programIPv6Addresses`).
    pub fn asks_for_bridge_addresses(self) -> bool {
        self == Profile::Docker20_10
    }

    /// Whether the container's end of a veth pair is made on the host and moved into the container, with its interface number;
    /// 28 and later make it there.
    pub fn moves_container_interfaces(self) -> bool {
        self.is_20_10()
    }

    /// Whether a network that needs no gateway is spared the address of one (28 and later).
    pub fn skips_useless_gateways(self) -> bool {
        self != Self::Docker20_10
    }

    /// Whether a bridge network's gateway modes and trusted interfaces are applied (27 and 28.2); an older engine ignores
    /// them as it does any option it does not know.
    pub fn applies_gateway_modes(self) -> bool {
        !self.is_20_10()
    }

    /// Whether forwarding of a family is turned on with the first network that has it, and not at the daemon's start.
    pub fn forwards_when_a_network_needs_it(self) -> bool {
        !self.is_20_10()
    }

    /// Whether dockerd, told by firewalld that every rule is gone, writes the rules between networks again and keeps
    /// DOCKER-USER first; 20.10 forgets the former and puts what it writes above the latter.
    pub fn restores_isolation_on_reload(self) -> bool {
        !self.is_20_10()
    }

    /// Whether a port is published for each family by the endpoint that carries that family's default route; otherwise
    /// the endpoint with the IPv4 route does it for both.
    pub fn publishes_by_family(self) -> bool {
        !self.is_20_10()
    }

    /// Which flows of UDP to a port that is published from now on are forgotten, because they began before its rules: none,
    /// or, since 23, those to the port; since 29 only those to the published address.
    pub fn forgets_flows_when_publishing(self) -> Option<ForgottenFlows> {
        match self {
            Self::Docker20_10 => None,
            Self::Docker28 => Some(ForgottenFlows::OfThePort),
            Self::Docker29 => Some(ForgottenFlows::OfTheAddress),
        }
    }

    /// Whether a bridge device gets its network's MTU; otherwise it has that of the smallest port, once there is one.
    pub fn sets_bridge_mtu(self) -> bool {
        !self.is_20_10()
    }

    /// What the engine says to a port of a protocol that has none.
    pub fn unpublishable(self, protocol: Protocol) -> String {
        match self {
            Self::Docker20_10 => format!("invalid transport protocol: {protocol}"),
            Self::Docker28 | Self::Docker29 => "unknown protocol".to_owned(),
        }
    }

    /// Whether network rm names the active endpoints with their ids in its refusal.
    pub fn lists_active_endpoints(self) -> bool {
        !self.is_20_10()
    }

    /// What stands before the runtime's error about a container that it does not even begin.
    pub fn runtime_creation_error(self) -> &'static str {
        match self {
            Self::Docker20_10 => {
                "failed to create shim task: OCI runtime create failed: runc create failed: "
            }
            Self::Docker28 | Self::Docker29 => {
                "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
            }
        }
    }

    /// What stands before the error of a container that the runtime began and that could not be set up.
    pub fn runtime_init_error(self) -> String {
        let creation = self.runtime_creation_error();
        format!("{creation}unable to start container process: error during container init: ")
    }

    /// What stands before an error about a container's networks when it is started.
    pub fn network_setup_error_prefix(self) -> &'static str {
        match self {
            Self::Docker20_10 => "",
            Self::Docker28 | Self::Docker29 => "failed to set up container networking: ",
        }
    }

    fn is_20_10(self) -> bool {
        match self {
            Self::Docker20_10 => true,
            Self::Docker28 | Self::Docker29 => false,
        }
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "20.10" => Ok(Self::Docker20_10),
            "28" => Ok(Self::Docker28),
            "29" => Ok(Self::Docker29),
            other => Err(UnknownProfile { found: other.to_owned() }),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Docker20_10 => "20.10",
            Self::Docker28 => "28",
            Self::Docker29 => "29",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert_eq!(Profile::default(), Profile::Docker28);
        let error = "27".parse::<Profile>().unwrap_err();
        assert_eq!(error.to_string(), "unknown Docker profile \"27\": expected 20.10, 28 or 29");
    }

    #[test]
    fn the_eras_differ_as_recorded() {
        let layouts = Profile::ALL.map(Profile::iptables_layout);
        assert_eq!(
            layouts,
            [IptablesLayout::Forward, IptablesLayout::DockerForward, IptablesLayout::DockerInternal]
        );
        assert_eq!(Profile::Docker20_10.api_version(), (1, 41));
        assert_eq!(Profile::ALL.map(Profile::legacy_network_settings), [true, true, false]);
    }
}
