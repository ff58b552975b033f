//! Settings of single interfaces: `net.ipv4.conf.*` and `net.ipv6.conf.*`, with the values a fresh namespace has.
//!
//! `all` and `default` are scopes beside the interfaces themselves. `forwarding` and `disable_ipv6` are kept with the
//! namespaces and devices, which ask for them often; everything else is remembered here once somebody writes it. This
//! kernel acts upon these two, on what `Ipv4Settings` has and on `accept_dad` and `dad_transmits`; the rest can be read back. Reference: Linux
//! `Documentation/networking/ip-sysctl.rst`, `net/ipv4/devinet.c`, `net/ipv6/addrconf.c`.

use std::collections::BTreeMap;

use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::Family;

use super::Engine;
use super::errno::Errno;
use super::id::{DeviceId, NamespaceId};

/// Whose setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingScope {
    /// `all`: what it does to the interfaces depends on the setting.
    All,
    /// `default`: what new interfaces start with.
    Default,
    /// One interface.
    Interface(InterfaceName),
}

/// A setting that every interface has: one of the files below `/proc/sys/net/ipv4/conf/IF` or its IPv6 counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceParameter {
    family: Family,
    place: u8,
}

/// A setting of an interface with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceSetting {
    /// Whose.
    pub scope: SettingScope,
    /// Which.
    pub parameter: InterfaceParameter,
    /// Its value.
    pub value: i64,
}

impl InterfaceParameter {
    /// `net.ipv6.conf.*.accept_dad`: whether addresses are asked for before they count as the interface's own.
    pub const ACCEPT_DAD: Self = Self { family: Family::Ipv6, place: 0 };
    const ACCEPT_LOCAL: Self = Self { family: Family::Ipv4, place: 0 };
    const ARP_ANNOUNCE: Self = Self { family: Family::Ipv4, place: 4 };
    const ARP_IGNORE: Self = Self { family: Family::Ipv4, place: 7 };
    /// `net.ipv6.conf.*.dad_transmits`: how often.
    pub(super) const DAD_TRANSMITS: Self = Self { family: Family::Ipv6, place: 16 };
    const PROXY_ARP: Self = Self { family: Family::Ipv4, place: 24 };
    /// `net.ipv4.conf.*.route_localnet`: addresses of 127.0.0.0/8 are routed through the interface like others.
    pub const ROUTE_LOCALNET: Self = Self { family: Family::Ipv4, place: 26 };
    const RP_FILTER: Self = Self { family: Family::Ipv4, place: 27 };

    /// The parameter with this name.
    pub fn find(family: Family, name: &str) -> Option<Self> {
        let place = definitions(family).iter().position(|definition| definition.name == name)?;
        Some(Self { family, place: u8::try_from(place).ok()? })
    }

    /// Those of one family, by name.
    pub(super) fn all(family: Family) -> impl Iterator<Item = Self> {
        (0..definitions(family).len())
            .filter_map(move |place| u8::try_from(place).ok().map(|place| Self { family, place }))
    }

    /// The file's name.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// IPv4 or IPv6.
    pub fn family(self) -> Family {
        self.family
    }

    /// Whether it may be set to this value.
    pub(super) fn takes(self, value: i64) -> bool {
        let (least, most) = self.definition().range;
        (least..=most).contains(&value)
    }

    fn definition(self) -> &'static Definition {
        &definitions(self.family)[usize::from(self.place)]
    }
}

/// What a parameter starts with.
struct Definition {
    name: &'static str,
    /// Of interfaces and `default`.
    value: i64,
    /// Of `all`.
    all: i64,
    /// Of `lo`.
    loopback: i64,
    range: (i64, i64),
}

const fn starts(name: &'static str, value: i64) -> Definition {
    Definition { name, value, all: value, loopback: value, range: (i32::MIN as i64, i32::MAX as i64) }
}

impl Definition {
    const fn all(self, all: i64) -> Self {
        Self { all, ..self }
    }

    const fn loopback(self, loopback: i64) -> Self {
        Self { loopback, ..self }
    }

    const fn within(self, least: i64, most: i64) -> Self {
        Self { range: (least, most), ..self }
    }
}

fn definitions(family: Family) -> &'static [Definition] {
    match family {
        Family::Ipv4 => &IPV4,
        Family::Ipv6 => &IPV6,
    }
}

/// As read in a fresh namespace of Linux 6.18; sorted.
static IPV4: [Definition; 33] = [
    starts("accept_local", 0),
    starts("accept_redirects", 1),
    starts("accept_source_route", 1).all(0),
    starts("arp_accept", 0),
    starts("arp_announce", 0),
    starts("arp_evict_nocarrier", 1),
    starts("arp_filter", 0),
    starts("arp_ignore", 0),
    starts("arp_notify", 0),
    starts("bc_forwarding", 0),
    starts("bootp_relay", 0),
    starts("disable_policy", 0).loopback(1),
    starts("disable_xfrm", 0).loopback(1),
    starts("drop_gratuitous_arp", 0),
    starts("drop_unicast_in_l2_multicast", 0),
    starts("force_igmp_version", 0),
    starts("forwarding", 0),
    starts("igmpv2_unsolicited_report_interval", 10_000),
    starts("igmpv3_unsolicited_report_interval", 1_000),
    starts("ignore_routes_with_linkdown", 0),
    starts("log_martians", 0),
    // Only a multicast routing daemon's socket changes it.
    starts("mc_forwarding", 0).within(1, 0),
    starts("medium_id", 0),
    starts("promote_secondaries", 0),
    starts("proxy_arp", 0),
    starts("proxy_arp_pvlan", 0),
    starts("route_localnet", 0),
    starts("rp_filter", 0),
    starts("secure_redirects", 1),
    starts("send_redirects", 1),
    starts("shared_media", 1),
    starts("src_valid_mark", 0),
    starts("tag", 0),
];

/// The same.
static IPV6: [Definition; 49] = [
    starts("accept_dad", 1).all(0).loopback(-1),
    starts("accept_ra", 1),
    starts("accept_ra_defrtr", 1),
    starts("accept_ra_from_local", 0),
    starts("accept_ra_min_hop_limit", 1),
    starts("accept_ra_min_lft", 0),
    starts("accept_ra_mtu", 1),
    starts("accept_ra_pinfo", 1),
    starts("accept_ra_rt_info_max_plen", 0),
    starts("accept_ra_rt_info_min_plen", 0),
    starts("accept_ra_rtr_pref", 1),
    starts("accept_redirects", 1),
    starts("accept_source_route", 0),
    starts("accept_untracked_na", 0).within(0, 2),
    starts("addr_gen_mode", 0).within(0, 3),
    starts("autoconf", 1),
    starts("dad_transmits", 1),
    starts("disable_ipv6", 0),
    starts("disable_policy", 0),
    starts("drop_unicast_in_l2_multicast", 0),
    starts("drop_unsolicited_na", 0),
    starts("enhanced_dad", 1),
    starts("force_mld_version", 0),
    starts("force_tllao", 0),
    starts("forwarding", 0),
    starts("hop_limit", 64).within(1, 255),
    starts("ignore_routes_with_linkdown", 0),
    starts("keep_addr_on_down", 0),
    starts("max_addresses", 16),
    starts("max_desync_factor", 600),
    starts("mc_forwarding", 0).within(1, 0),
    starts("mldv1_unsolicited_report_interval", 10_000),
    starts("mldv2_unsolicited_report_interval", 1_000),
    starts("mtu", 1_280).loopback(65_536).within(1_280, 65_536),
    starts("ndisc_evict_nocarrier", 1).within(0, 1),
    starts("ndisc_notify", 0),
    starts("ndisc_tclass", 0).within(0, 255),
    starts("proxy_ndp", 0),
    starts("ra_defrtr_metric", 1_024),
    starts("regen_max_retry", 3),
    starts("router_solicitation_delay", 1),
    starts("router_solicitation_interval", 4),
    starts("router_solicitation_max_interval", 3_600),
    starts("router_solicitations", -1),
    starts("suppress_frag_ndisc", 1),
    starts("temp_prefered_lft", 86_400),
    starts("temp_valid_lft", 604_800),
    starts("use_oif_addrs_only", 0),
    starts("use_tempaddr", 0).loopback(-1),
];

/// What packets and ARP messages ask of an interface, put together from its own settings and those of `all` whenever one is
/// written (`IN_DEV_ORCONF`, `IN_DEV_MAXCONF` in Linux's `include/linux/inetdevice.h`), so that asking costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ipv4Settings(u16);

/// `rp_filter` of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReversePath {
    /// 0: sources are not asked for.
    Any,
    /// 1: the source is reached by the interface that the packet came by (RFC 3704 section 2.2).
    Strict,
    /// 2: it is reached by any interface (RFC 3704 section 2.4).
    Loose,
}

impl Ipv4Settings {
    const ACCEPT_LOCAL: u16 = 1;
    const PROXY_ARP: u16 = 1 << 1;
    const ROUTE_LOCALNET: u16 = 1 << 2;
    /// Where the values of two and four bits begin.
    const RP_FILTER: u16 = 4;
    const ARP_ANNOUNCE: u16 = 6;
    const ARP_IGNORE: u16 = 8;

    /// From what a parameter says of `all` and of the interface.
    fn of(setting: impl Fn(InterfaceParameter) -> [i64; 2]) -> Ipv4Settings {
        let any = |parameter, bit| if setting(parameter) == [0, 0] { 0 } else { bit };
        let most = |parameter, highest: i64| {
            let [all, own] = setting(parameter);
            // What is not known means the same as 0, but for `rp_filter`, where it is loose.
            let most = all.max(own);
            u16::try_from(most).ok().filter(|_| most <= highest)
        };
        Ipv4Settings(
            any(InterfaceParameter::ACCEPT_LOCAL, Self::ACCEPT_LOCAL)
                | any(InterfaceParameter::PROXY_ARP, Self::PROXY_ARP)
                | any(InterfaceParameter::ROUTE_LOCALNET, Self::ROUTE_LOCALNET)
                | most(InterfaceParameter::RP_FILTER, 2).unwrap_or(2) << Self::RP_FILTER
                | most(InterfaceParameter::ARP_ANNOUNCE, 2).unwrap_or(0) << Self::ARP_ANNOUNCE
                | most(InterfaceParameter::ARP_IGNORE, 8).unwrap_or(0) << Self::ARP_IGNORE,
        )
    }

    /// Packets may have a source of our own (`accept_local`).
    pub(super) fn accept_local(self) -> bool {
        self.0 & Self::ACCEPT_LOCAL != 0
    }

    /// ARP answers for those to whom we forward (`proxy_arp`).
    #[inline]
    pub(super) fn proxy_arp(self) -> bool {
        self.0 & Self::PROXY_ARP != 0
    }

    /// 127.0.0.0/8 is routed like other addresses (`route_localnet`).
    pub(super) fn route_localnet(self) -> bool {
        self.0 & Self::ROUTE_LOCALNET != 0
    }

    /// What is asked of sources (`rp_filter`).
    #[inline]
    pub(super) fn rp_filter(self) -> ReversePath {
        match self.0 >> Self::RP_FILTER & 3 {
            0 => ReversePath::Any,
            1 => ReversePath::Strict,
            _ => ReversePath::Loose,
        }
    }

    /// Which address asks for neighbours (`arp_announce`).
    pub(super) fn arp_announce(self) -> u8 {
        (self.0 >> Self::ARP_ANNOUNCE & 3) as u8
    }

    /// Which requests are not answered (`arp_ignore`).
    pub(super) fn arp_ignore(self) -> u8 {
        (self.0 >> Self::ARP_IGNORE & 15) as u8
    }
}

/// Whose setting, where interfaces may be renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    All,
    Default,
    Device(DeviceId),
}

/// The settings of a namespace's interfaces that somebody wrote and that are not kept with the devices.
pub(super) type Written = BTreeMap<(Holder, InterfaceParameter), i64>;

impl Engine {
    /// Whom a scope means in a namespace.
    pub(super) fn setting_holder(&self, namespace: NamespaceId, scope: SettingScope) -> Option<Holder> {
        match scope {
            SettingScope::All => Some(Holder::All),
            SettingScope::Default => Some(Holder::Default),
            SettingScope::Interface(name) => {
                let space = self.namespaces.get(namespace.index())?.as_ref()?;
                space.by_name.get(&name).map(Holder::Device)
            }
        }
    }

    /// A setting as it stands; `None` if there is no such interface.
    pub(super) fn interface_setting(
        &self,
        namespace: NamespaceId,
        scope: SettingScope,
        parameter: InterfaceParameter,
    ) -> Option<i64> {
        let holder = self.setting_holder(namespace, scope)?;
        let space = self.namespaces.get(namespace.index())?.as_ref()?;
        let device = match holder {
            Holder::Device(id) => self.devices.get(id.index())?.as_ref(),
            Holder::All | Holder::Default => None,
        };
        let kept_there = match (parameter.family, parameter.name(), holder) {
            (Family::Ipv4, "forwarding", Holder::All) => Some(space.ipv4_forward),
            (Family::Ipv4, "forwarding", Holder::Default) => Some(space.ipv4_forward_default),
            (Family::Ipv4, "forwarding", Holder::Device(_)) => device.map(|d| d.ipv4_forward),
            (Family::Ipv6, "forwarding", holder) if !space.written.contains_key(&(holder, parameter)) => {
                Some(space.ipv6_forward)
            }
            (Family::Ipv4, "accept_redirects", Holder::All)
                if !space.written.contains_key(&(holder, parameter)) =>
            {
                Some(!space.ipv4_forward)
            }
            (Family::Ipv6, "disable_ipv6", Holder::All) => Some(space.ipv6_disabled),
            (Family::Ipv6, "disable_ipv6", Holder::Default) => Some(space.ipv6_disabled_default),
            (Family::Ipv6, "disable_ipv6", Holder::Device(_)) => device.map(|d| d.ipv6_disabled),
            _ => None,
        };
        if let Some(flag) = kept_there {
            return Some(flag.into());
        }
        if let Some(value) = space.written.get(&(holder, parameter)) {
            return Some(*value);
        }
        let definition = parameter.definition();
        Some(match (parameter.family, holder, device) {
            (_, Holder::All, _) => definition.all,
            (Family::Ipv6, _, Some(device)) if definition.name == "mtu" => device.mtu.into(),
            (_, _, Some(device)) if !device.is_ethernet() => definition.loopback,
            // IPv4's defaults reach the interfaces that have no value of their own at once.
            (Family::Ipv4, Holder::Device(_), _) => {
                *space.written.get(&(Holder::Default, parameter)).unwrap_or(&definition.value)
            }
            _ => definition.value,
        })
    }

    /// Writes a setting that is kept here alone, and returns the value before.
    pub(super) fn write_interface_setting(
        &mut self,
        namespace: NamespaceId,
        setting: &InterfaceSetting,
    ) -> Result<i64, Errno> {
        let InterfaceSetting { scope, parameter, value } = *setting;
        let before = self.interface_setting(namespace, scope, parameter).ok_or(Errno::NoSuchFile)?;
        let holder = self.setting_holder(namespace, scope).ok_or(Errno::NoSuchFile)?;
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.written.insert((holder, parameter), value);
        }
        if parameter.family == Family::Ipv4 {
            self.refresh_ipv4_settings(namespace);
        }
        Ok(before)
    }

    /// Whether 127.0.0.0/8 is routed through a device: if it or `all` says so.
    pub(super) fn routes_localnet(&self, device: DeviceId) -> bool {
        self.devices.get(device.index()).and_then(Option::as_ref).is_some_and(|d| d.ipv4.route_localnet())
    }

    /// Puts together again what the namespace's interfaces are asked for.
    fn refresh_ipv4_settings(&mut self, namespace: NamespaceId) {
        let Some(Some(space)) = self.namespaces.get(namespace.index()) else { return };
        for id in space.devices.clone() {
            let Some(Some(device)) = self.devices.get(id.index()) else { continue };
            let own = SettingScope::Interface(device.name);
            let value = |scope, parameter| self.interface_setting(namespace, scope, parameter).unwrap_or(0);
            let settings =
                Ipv4Settings::of(|parameter| [value(SettingScope::All, parameter), value(own, parameter)]);
            if let Some(Some(device)) = self.devices.get_mut(id.index()) {
                device.ipv4 = settings;
            }
        }
    }

    /// IPv6's defaults are copied when an interface is made; IPv4's are asked for.
    pub(super) fn start_interface_settings(&mut self, namespace: NamespaceId, device: DeviceId) {
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else { return };
        let copied: Vec<_> = space
            .written
            .iter()
            .filter(|((holder, parameter), _)| *holder == Holder::Default && parameter.family == Family::Ipv6)
            .map(|((_, parameter), value)| ((Holder::Device(device), *parameter), *value))
            .collect();
        space.written.extend(copied);
        if space.written.keys().any(|(_, parameter)| parameter.family == Family::Ipv4) {
            self.refresh_ipv4_settings(namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_and_found_by_name() {
        for family in [Family::Ipv4, Family::Ipv6] {
            assert!(definitions(family).is_sorted_by(|a, b| a.name < b.name));
            for parameter in InterfaceParameter::all(family) {
                assert_eq!(InterfaceParameter::find(family, parameter.name()), Some(parameter));
            }
            assert_eq!(InterfaceParameter::find(family, "nosuch"), None);
        }
        let named = [
            (InterfaceParameter::ACCEPT_DAD, "accept_dad"),
            (InterfaceParameter::ACCEPT_LOCAL, "accept_local"),
            (InterfaceParameter::ARP_ANNOUNCE, "arp_announce"),
            (InterfaceParameter::ARP_IGNORE, "arp_ignore"),
            (InterfaceParameter::DAD_TRANSMITS, "dad_transmits"),
            (InterfaceParameter::PROXY_ARP, "proxy_arp"),
            (InterfaceParameter::ROUTE_LOCALNET, "route_localnet"),
            (InterfaceParameter::RP_FILTER, "rp_filter"),
        ];
        for (parameter, name) in named {
            assert_eq!(parameter.name(), name);
        }
    }
}
