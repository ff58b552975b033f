//! The `bridge` driver: a Linux bridge on the host that carries the gateway's address, a veth pair per endpoint.
//!
//! Reference: libnetwork `drivers/bridge`. Options that no release knows are kept and ignored, as dockerd does.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;
use linkspan_nat::interface::InterfaceName;
use linkspan_switch::mac::MacAddress;

use super::super::error::DockerError;
use super::super::profile::{Announcements, Profile};
use super::super::rules::{BridgeRules, GatewayMode};
use crate::engine::plan::{
    DeviceName, DeviceSpec, DuplicateDetection, NamespaceName, NextHop, Op, Owner, Plan, Sysctl,
};

/// The MTU of a device nobody configured.
pub(in super::super) const DEFAULT_MTU: u32 = 1500;
/// The smallest MTU that IPv6 takes (RFC 8200 section 5): Linux takes IPv6 from a device with a smaller one.
pub(in super::super) const IPV6_MIN_MTU: u32 = 1280;
/// The smallest and largest MTU an Ethernet device takes.
const MTU_RANGE: std::ops::RangeInclusive<u32> = 68..=65_535;

/// The longest name the kernel takes for an interface.
pub(in super::super) const LONGEST_NAME: usize = 15;

/// The link-local address every IPv6 bridge carries beside its gateway's.
const BRIDGE_LINK_LOCAL: &str = "fe80::1/64";

/// A bridge network's options, read.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeConfig {
    pub(in super::super) bridge: Option<InterfaceName>,
    pub(in super::super) masquerade: bool,
    pub(in super::super) icc: bool,
    pub(in super::super) host_binding: IpAddr,
    pub(in super::super) inhibit_ipv4: bool,
    pub(in super::super) mtu: u32,
    pub(in super::super) prefix: String,
    pub(in super::super) source_v4: Option<IpAddr>,
    pub(in super::super) source_v6: Option<IpAddr>,
    pub(in super::super) mode_v4: GatewayMode,
    pub(in super::super) mode_v6: GatewayMode,
    pub(in super::super) default_bridge: bool,
    /// Interfaces of the host from which containers may be reached by their own addresses.
    pub(in super::super) trusted: Vec<InterfaceName>,
    pub(in super::super) announcements: Option<Announcements>,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            bridge: None,
            masquerade: true,
            icc: true,
            host_binding: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            inhibit_ipv4: false,
            mtu: 0,
            prefix: "eth".to_owned(),
            source_v4: None,
            source_v6: None,
            mode_v4: GatewayMode::Nat,
            mode_v6: GatewayMode::Nat,
            default_bridge: false,
            trusted: Vec::new(),
            announcements: None,
        }
    }
}

impl BridgeConfig {
    /// Reads the options of `docker network create -o`.
    pub(in super::super) fn parse(
        options: &BTreeMap<String, String>,
        profile: Profile,
    ) -> Result<Self, DockerError> {
        let announcements = announcements(options, profile)?;
        let mut config = Self { announcements, ..Self::default() };
        for (key, value) in options {
            let bad = |why: String| {
                DockerError::bad_parameter(format!("failed to parse {key} value: {value} ({why})"))
            };
            let flag = || {
                parse_bool(value)
                    .ok_or_else(|| bad(format!("strconv.ParseBool: parsing {value:?}: invalid syntax")))
            };
            let address = || value.parse::<IpAddr>().map_err(|_| bad("nil ip".to_owned()));
            match key.as_str() {
                "com.docker.network.bridge.name" if !value.is_empty() => {
                    config.bridge = Some(InterfaceName::parse(value).map_err(|_| {
                        DockerError::system(match (value.len() > LONGEST_NAME, profile) {
                            (true, Profile::Docker20_10) => {
                                "failed to check bridge interface existence: numerical result out of range"
                            }
                            (true, Profile::Docker28 | Profile::Docker29) => "numerical result out of range",
                            (false, _) => "invalid argument",
                        })
                    })?);
                }
                // Newer engines have read it before the driver does; this one reads it and goes by `--ipv6` alone.
                "com.docker.network.enable_ipv6" => {
                    flag()?;
                }
                "com.docker.network.bridge.enable_ip_masquerade" => config.masquerade = flag()?,
                "com.docker.network.bridge.enable_icc" => config.icc = flag()?,
                "com.docker.network.bridge.inhibit_ipv4" => config.inhibit_ipv4 = flag()?,
                "com.docker.network.bridge.default_bridge" => config.default_bridge = flag()?,
                "com.docker.network.bridge.host_binding_ipv4" => config.host_binding = address()?,
                "com.docker.network.host_ipv4" => config.source_v4 = Some(address()?),
                "com.docker.network.host_ipv6" => config.source_v6 = Some(address()?),
                "com.docker.network.driver.mtu" => {
                    let mtu: i64 = value
                        .parse()
                        .map_err(|_| bad(format!("strconv.Atoi: parsing {value:?}: invalid syntax")))?;
                    let fits = u32::try_from(mtu).ok().filter(|mtu| *mtu == 0 || MTU_RANGE.contains(mtu));
                    config.mtu = fits.ok_or_else(|| {
                        DockerError::bad_parameter(match profile {
                            // The kernel's answer to whoever makes the bridge.
                            Profile::Docker28 | Profile::Docker29 if mtu > 0 => "invalid argument".to_owned(),
                            Profile::Docker20_10 | Profile::Docker28 | Profile::Docker29 => {
                                format!("invalid MTU number: {mtu}")
                            }
                        })
                    })?;
                }
                "com.docker.network.container_iface_prefix" => config.prefix.clone_from(value),
                "com.docker.network.bridge.gateway_mode_ipv4" if profile.applies_gateway_modes() => {
                    config.mode_v4 = gateway_mode(value).map_err(bad)?;
                }
                "com.docker.network.bridge.gateway_mode_ipv6" if profile.applies_gateway_modes() => {
                    config.mode_v6 = gateway_mode(value).map_err(bad)?;
                }
                "com.docker.network.bridge.trusted_host_interfaces" if profile.applies_gateway_modes() => {
                    // A name that no device can have matches no packet.
                    let names = value.split(':').filter(|name| !name.is_empty());
                    config.trusted = names.filter_map(|name| InterfaceName::parse(name).ok()).collect();
                }
                _ => {}
            }
        }
        Ok(config)
    }

    /// The rules' view of one family of a network.
    pub(in super::super) fn rules(
        &self,
        bridge: InterfaceName,
        subnet: IpNet,
        internal: bool,
    ) -> BridgeRules<'_> {
        let v4 = subnet.addr().is_ipv4();
        BridgeRules {
            bridge,
            subnet,
            masquerade: self.masquerade,
            source: if v4 { self.source_v4 } else { self.source_v6 },
            icc: self.icc,
            internal,
            mode: self.mode(!v4),
            trusted: &self.trusted,
        }
    }

    /// How one family's gateway works.
    pub(in super::super) fn mode(&self, v6: bool) -> GatewayMode {
        if v6 { self.mode_v6 } else { self.mode_v4 }
    }

    /// The MTU of the container's devices.
    pub(in super::super) fn device_mtu(&self) -> u32 {
        if self.mtu == 0 { DEFAULT_MTU } else { self.mtu }
    }
}

/// A bridge device to make.
pub(in super::super) struct BridgeDevice<'a> {
    pub(in super::super) namespace: &'a NamespaceName,
    pub(in super::super) name: InterfaceName,
    /// `None` uses the device that is there.
    pub(in super::super) create: bool,
    pub(in super::super) mac: Option<MacAddress>,
    pub(in super::super) mtu: u32,
    /// The gateway's addresses; none with an isolated gateway.
    pub(in super::super) addresses: Vec<IpNet>,
    /// Whether the bridge asks if somebody has them.
    pub(in super::super) detection: DuplicateDetection,
    /// It is fe80::1 too, if it has IPv6 addresses.
    pub(in super::super) link_local: bool,
    /// Published loopback addresses are reached through the bridge: there is no userland proxy.
    pub(in super::super) route_localnet: bool,
}

/// The bridge of a new network.
pub(in super::super) fn create(plan: &mut Plan, owner: Owner, bridge: &BridgeDevice<'_>) {
    let device = DeviceName { namespace: bridge.namespace.clone(), name: bridge.name };
    let namespace = || bridge.namespace.clone();
    if bridge.create {
        let (mac, mtu) = (bridge.mac, bridge.mtu);
        plan.push(owner, Op::AddDevice { device: device.clone(), spec: DeviceSpec::Bridge, mac, mtu });
    }
    if bridge.route_localnet {
        let sysctl = Sysctl::route_localnet(bridge.name, true);
        plan.push(owner, Op::SetSysctl { namespace: namespace(), sysctl });
    }
    if bridge.addresses.iter().any(|address| address.addr().is_ipv6()) {
        let sysctl = Sysctl::DisableIpv6(bridge.name, false);
        plan.push(owner, Op::SetSysctl { namespace: namespace(), sysctl });
        if bridge.link_local
            && let Ok(address) = BRIDGE_LINK_LOCAL.parse()
            && !bridge.addresses.contains(&address)
        {
            let detection = DuplicateDetection::Wanted;
            plan.push(owner, Op::AddAddress { device: device.clone(), address, detection });
        }
    }
    for address in &bridge.addresses {
        let (address, detection) = (*address, bridge.detection);
        plan.push(owner, Op::AddAddress { device: device.clone(), address, detection });
    }
    plan.push(owner, Op::SetUp { device });
}

/// A container's attachment to make.
pub(in super::super) struct Attachment<'a> {
    pub(in super::super) host: &'a NamespaceName,
    pub(in super::super) container: &'a NamespaceName,
    pub(in super::super) bridge: InterfaceName,
    pub(in super::super) host_device: InterfaceName,
    pub(in super::super) device: InterfaceName,
    pub(in super::super) mac: MacAddress,
    /// Whether the container's end is made on the host and moved.
    pub(in super::super) moved: bool,
    pub(in super::super) mtu: u32,
    pub(in super::super) hairpin: bool,
    pub(in super::super) addresses: Vec<IpNet>,
    pub(in super::super) announcements: Option<Announcements>,
    /// Further addresses (`--link-local-ip`), which are not announced.
    pub(in super::super) link_local: Vec<IpNet>,
    /// What to set `disable_ipv6` of the container's device to; `None` leaves it.
    pub(in super::super) disable_ipv6: Option<bool>,
    /// Settings of the container's device that the endpoint asks for.
    pub(in super::super) sysctls: Vec<Sysctl>,
}

/// Gives a container's device its addresses: what IPAM gave is nobody else's, what the user gave may be.
pub(super) fn add_addresses(
    plan: &mut Plan,
    owner: Owner,
    device: &DeviceName,
    allocated: &[IpNet],
    given: &[IpNet],
) {
    let allocated = allocated.iter().map(|address| (address, DuplicateDetection::Omitted));
    let given = given.iter().map(|address| (address, DuplicateDetection::Wanted));
    for (address, detection) in allocated.chain(given) {
        plan.push(owner, Op::AddAddress { device: device.clone(), address: *address, detection });
    }
}

/// The veth pair of a new endpoint.
pub(in super::super) fn join(plan: &mut Plan, owner: Owner, attachment: &Attachment<'_>) {
    let host = DeviceName { namespace: attachment.host.clone(), name: attachment.host_device };
    let device = DeviceName { namespace: attachment.container.clone(), name: attachment.device };
    let (peer_mac, moved) = (Some(attachment.mac), attachment.moved);
    let spec = DeviceSpec::Veth { peer: device.clone(), peer_mac, moved };
    plan.push(owner, Op::AddDevice { device: host.clone(), spec, mac: None, mtu: attachment.mtu });
    let (bridge, hairpin) = (attachment.bridge, attachment.hairpin);
    plan.push(owner, Op::SetMaster { device: host.clone(), bridge, hairpin, isolated: false });
    plan.push(owner, Op::SetUp { device: host });
    if let Some(disable) = attachment.disable_ipv6 {
        let sysctl = Sysctl::DisableIpv6(attachment.device, disable);
        plan.push(owner, Op::SetSysctl { namespace: attachment.container.clone(), sysctl });
    }
    for address in attachment.addresses.iter().map(IpNet::addr) {
        plan.push(owner, Op::ForgetConnections { namespace: attachment.host.clone(), address });
    }
    add_addresses(plan, owner, &device, &attachment.addresses, &attachment.link_local);
    for sysctl in &attachment.sysctls {
        let (namespace, sysctl) = (attachment.container.clone(), sysctl.clone());
        plan.push(owner, Op::SetSysctl { namespace, sysctl });
    }
    plan.push(owner, Op::SetUp { device: device.clone() });
    if let Some(Announcements { messages, interval }) = attachment.announcements {
        for address in attachment.addresses.iter().map(IpNet::addr) {
            plan.push(owner, Op::Announce { device: device.clone(), address, messages, interval });
        }
    }
}

/// A default route of a container.
pub(in super::super) fn default_route(
    plan: &mut Plan,
    owner: Owner,
    namespace: &NamespaceName,
    device: InterfaceName,
    gateway: IpAddr,
) {
    let (destination, metric) = match gateway {
        IpAddr::V4(any) => (IpNet::new(IpAddr::V4(any), 0), 0),
        // IP6_RT_PRIO_USER, what `ip -6 route` shows for a route without a metric.
        IpAddr::V6(any) => (IpNet::new(IpAddr::V6(any), 0), 1024),
    };
    let Ok(destination) = destination else { return };
    plan.push(
        owner,
        Op::AddRoute {
            namespace: namespace.clone(),
            destination: destination.trunc(),
            next_hop: NextHop::Gateway(gateway),
            device: Some(device),
            source: None,
            metric,
        },
    );
}

/// The network's own number of announcements and time between them, else the release's.
pub(super) fn announcements(
    options: &BTreeMap<String, String>,
    profile: Profile,
) -> Result<Option<Announcements>, DockerError> {
    const MESSAGES: &str = "com.docker.network.advertise_addr_nmsgs";
    const INTERVAL: &str = "com.docker.network.advertise_addr_ms";
    let Some(mut announcements) = profile.announces_addresses() else { return Ok(None) };
    let number = |key: &str, what: &str, range: std::ops::RangeInclusive<u16>| {
        let Some(text) = options.get(key) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| {
            DockerError::bad_parameter(format!("value for option {key} {text:?} must be {what}"))
        })?;
        match u16::try_from(number).ok().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (first, last) = range.into_inner();
                let text = format!("{key} must be in the range {first} to {last}");
                Err(DockerError::bad_parameter(text))
            }
        }
    };
    if let Some(messages) = number(MESSAGES, "an integer", 0..=3)? {
        announcements.messages = u8::try_from(messages).unwrap_or(u8::MAX);
    }
    if let Some(milliseconds) = number(INTERVAL, "integer milliseconds", 100..=2_000)? {
        announcements.interval = Duration::from_millis(milliseconds.into());
    }
    Ok(Some(announcements).filter(|announcements| announcements.messages > 0))
}

fn gateway_mode(value: &str) -> Result<GatewayMode, String> {
    match value {
        "" | "nat" => Ok(GatewayMode::Nat),
        "nat-unprotected" => Ok(GatewayMode::NatUnprotected),
        "routed" => Ok(GatewayMode::Routed),
        "isolated" => Ok(GatewayMode::Isolated),
        other => Err(format!("unknown gateway mode {other}")),
    }
}

/// Go's `strconv.ParseBool`.
pub(in super::super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
