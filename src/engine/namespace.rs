//! A network namespace: devices, addresses, routes, neighbours, the five netfilter hooks and its own fragments.
//!
//! A container, a Docker host, a router and an outside machine are all this one type; Linux is the model.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;
use ipnet::Ipv4Net;
use linkspan_nat::fragment::Reassembler;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::netfilter::Netfilter;
use linkspan_nat::ruleset::RuleSet;

use super::id::DeviceId;
use super::interface_numbers::InterfaceNumbers;
use super::interface_settings::Written;
use super::neighbour::NeighbourTable;
use super::plan::NamespaceName;
use super::route::RouteTable;

/// Destinations whose path MTU is remembered; the one that expires first makes room for another.
const PATH_MTU_LIMIT: usize = 1_024;
/// `net.ipv4.route.mtu_expires`.
const PATH_MTU_EXPIRY: Duration = Duration::from_secs(600);

/// Addresses that few hold and every broadcast asks for: a container's are beside its other fields, not in a table of
/// their own.
#[derive(Default)]
pub(crate) struct LocalAddresses {
    /// Each with the number of devices that have it.
    few: [Option<(IpAddr, u32)>; 4],
    more: Option<Box<HashMap<IpAddr, u32>>>,
    /// Networks of the addresses of `lo`: every address of them is local (`fib_add_ifaddr`).
    looped: Vec<Ipv4Net>,
}

impl LocalAddresses {
    /// Whether packets to the address end here: a device has it, or `lo` its network.
    #[inline]
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.owns(address) || self.looped.iter().any(|network| network_has(network, address))
    }

    /// Whether a device has the address itself.
    #[inline]
    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        self.few.iter().flatten().any(|(known, _)| *known == address)
            || self.more.as_ref().is_some_and(|more| more.contains_key(&address))
    }

    /// `lo` has an address of this network. 127.0.0.0/8 is local anyhow, and a network of one address is that address:
    /// false, and nothing is noted.
    pub(crate) fn add_looped(&mut self, network: Ipv4Net) -> bool {
        let wide = network.prefix_len() < 32 && !network.addr().is_loopback();
        if wide {
            self.looped.push(network);
        }
        wide
    }

    /// `lo` has an address of this network no more.
    pub(crate) fn remove_looped(&mut self, network: Ipv4Net) {
        if let Some(at) = self.looped.iter().position(|known| *known == network) {
            self.looped.remove(at);
        }
    }

    /// One device more has the address.
    pub(crate) fn add(&mut self, address: IpAddr) {
        if let Some((_, count)) = self.few.iter_mut().flatten().find(|(known, _)| *known == address) {
            *count += 1;
        } else if let Some(count) = self.more.as_mut().and_then(|more| more.get_mut(&address)) {
            *count += 1;
        } else if let Some(free) = self.few.iter_mut().find(|place| place.is_none()) {
            *free = Some((address, 1));
        } else {
            self.more.get_or_insert_default().insert(address, 1);
        }
    }

    /// One device less has the address.
    pub(crate) fn remove(&mut self, address: IpAddr) {
        for place in &mut self.few {
            if let Some((known, count)) = place
                && *known == address
            {
                *count -= 1;
                if *count == 0 {
                    *place = None;
                }
                return;
            }
        }
        if let Some(more) = &mut self.more
            && let Some(count) = more.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                more.remove(&address);
            }
        }
    }
}

fn network_has(network: &Ipv4Net, address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if network.contains(&address))
}

/// Devices by name. A container has two, which are beside its other fields; a host has as many as it has containers.
#[derive(Default)]
pub(crate) struct DeviceNames {
    few: [Option<(InterfaceName, DeviceId)>; 2],
    more: BTreeMap<InterfaceName, DeviceId>,
}

impl DeviceNames {
    /// The device of a name.
    pub(crate) fn get(&self, name: &InterfaceName) -> Option<DeviceId> {
        let few = self.few.iter().flatten().find(|(known, _)| known == name);
        few.map(|(_, id)| *id).or_else(|| self.more.get(name).copied())
    }

    /// A device has a name, which is free.
    pub(crate) fn insert(&mut self, name: InterfaceName, id: DeviceId) {
        match self.few.iter_mut().find(|place| place.is_none()) {
            Some(free) => *free = Some((name, id)),
            None => {
                self.more.insert(name, id);
            }
        }
    }

    /// A name is free again.
    pub(crate) fn remove(&mut self, name: &InterfaceName) {
        match self.few.iter_mut().find(|place| place.is_some_and(|(known, _)| known == *name)) {
            Some(place) => *place = None,
            None => {
                self.more.remove(name);
            }
        }
    }

    /// All names, in no order that means anything.
    pub(crate) fn names(&self) -> impl Iterator<Item = InterfaceName> {
        self.few.iter().flatten().map(|(name, _)| *name).chain(self.more.keys().copied())
    }
}

/// A namespace.
pub(crate) struct Namespace {
    pub(crate) name: NamespaceName,
    /// In order of creation; `lo` is the first.
    pub(crate) devices: Vec<DeviceId>,
    pub(crate) by_name: DeviceNames,
    pub(crate) loopback: DeviceId,
    pub(crate) numbers: InterfaceNumbers,
    /// Addresses of this namespace's devices.
    pub(crate) local: LocalAddresses,
    pub(crate) routes: RouteTable,
    pub(crate) neighbours: NeighbourTable,
    pub(crate) netfilter: Netfilter,
    /// Once there was a fragment.
    pub(crate) reassembler: Option<Box<Reassembler>>,
    pub(crate) ipv4_forward: bool,
    /// What new devices start with.
    pub(crate) ipv4_forward_default: bool,
    /// Begins with `ping_group_range` and `ip_unprivileged_port_start` of everybody.
    pub(crate) unprivileged: bool,
    pub(crate) ipv6_forward: bool,
    pub(crate) ipv6_disabled: bool,
    /// What new devices start with.
    pub(crate) ipv6_disabled_default: bool,
    pub(crate) written: Written,
    pub(crate) bridge_netfilter: bool,
    pub(crate) local_ports: (u16, u16),
    pub(crate) next_port: u16,
    pub(crate) next_identification: u16,
    /// Moves when something changes that remembered decisions rest on and no plan did it.
    pub(crate) epoch: u64,
    path_mtu: BTreeMap<IpAddr, (u32, Duration)>,
}

impl Namespace {
    /// An empty namespace around its loopback device, with these rules of IPv4 and IPv6.
    pub(crate) fn new(
        name: NamespaceName,
        loopback: DeviceId,
        ipv6_disabled: bool,
        rules: [RuleSet; 2],
        hash_seed: u64,
    ) -> Namespace {
        Namespace {
            name,
            devices: vec![loopback],
            by_name: DeviceNames::default(),
            loopback,
            numbers: InterfaceNumbers::default(),
            local: LocalAddresses::default(),
            routes: RouteTable::default(),
            neighbours: NeighbourTable::default(),
            netfilter: Netfilter::with_rules(rules, hash_seed),
            reassembler: None,
            ipv4_forward: false,
            ipv4_forward_default: false,
            unprivileged: false,
            ipv6_forward: false,
            ipv6_disabled,
            ipv6_disabled_default: ipv6_disabled,
            written: Written::new(),
            bridge_netfilter: false,
            local_ports: (32_768, 60_999),
            next_port: 0,
            next_identification: 0,
            epoch: 0,
            path_mtu: BTreeMap::new(),
        }
    }

    /// True if packets to this address end here.
    pub(crate) fn is_local(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) if a.is_loopback() => true,
            _ => self.local.contains(address),
        }
    }

    /// Remembers that packets to a destination may be at most `mtu` bytes.
    pub(crate) fn learn_path_mtu(&mut self, now: Duration, destination: IpAddr, mtu: u32) {
        self.epoch += 1;
        self.path_mtu.retain(|_, (_, expiry)| *expiry > now);
        if self.path_mtu.len() >= PATH_MTU_LIMIT {
            let first = self.path_mtu.iter().min_by_key(|(_, (_, expiry))| *expiry).map(|(a, _)| *a);
            if let Some(first) = first {
                self.path_mtu.remove(&first);
            }
        }
        self.path_mtu.insert(destination, (mtu, now + PATH_MTU_EXPIRY));
    }

    /// The largest packet towards a destination over a device of MTU `device_mtu`.
    pub(crate) fn path_mtu(&self, now: Duration, destination: IpAddr, device_mtu: u32) -> u32 {
        self.path_mtu_until(now, destination, device_mtu).0
    }

    /// The same, and until when it holds.
    pub(crate) fn path_mtu_until(
        &self,
        now: Duration,
        destination: IpAddr,
        device_mtu: u32,
    ) -> (u32, Duration) {
        if self.path_mtu.is_empty() {
            return (device_mtu, Duration::MAX);
        }
        match self.path_mtu.get(&destination) {
            Some((mtu, expiry)) if *expiry > now => (device_mtu.min(*mtu), *expiry),
            _ => (device_mtu, Duration::MAX),
        }
    }
}
