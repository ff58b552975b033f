//! A namespace's routing table: longest prefix first, then lowest metric, then oldest (`ip-route(8)`).
//!
//! One table per family; policy routing is not modelled. A linear scan over routes sorted by prefix length is faster
//! than a trie for the handful of routes that containers and hosts have, and a host with 1,000 networks still scans
//! in microseconds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::id::DeviceId;

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) destination: IpNet,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) device: DeviceId,
    pub(crate) source: Option<IpAddr>,
    pub(crate) metric: u32,
    /// Made by adding an address; leaves with it.
    pub(crate) connected: bool,
}

/// The routes of one namespace.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    ipv4: Vec<CompiledV4>,
    ipv6: Vec<CompiledV6>,
}

#[derive(Debug)]
struct CompiledV4 {
    network: u32,
    mask: u32,
    route: Route,
}

#[derive(Debug)]
struct CompiledV6 {
    network: u128,
    mask: u128,
    route: Route,
}

impl RouteTable {
    /// Adds a route; false if an equal destination with the same metric and device exists (`RTNETLINK answers: File
    /// exists`).
    pub(crate) fn add(&mut self, route: Route) -> bool {
        let same = |other: &Route| {
            other.destination == route.destination
                && other.metric == route.metric
                && other.device == route.device
        };
        let rank = (std::cmp::Reverse(route.destination.prefix_len()), route.metric);
        let before =
            |other: &Route| (std::cmp::Reverse(other.destination.prefix_len()), other.metric) <= rank;
        match route.destination {
            IpNet::V4(net) => {
                if self.ipv4.iter().any(|c| same(&c.route)) {
                    return false;
                }
                let at = self.ipv4.partition_point(|c| before(&c.route));
                reserve(&mut self.ipv4);
                let (network, mask) = (u32::from(net.network()), u32::from(net.netmask()));
                self.ipv4.insert(at, CompiledV4 { network, mask, route });
            }
            IpNet::V6(net) => {
                if self.ipv6.iter().any(|c| same(&c.route)) {
                    return false;
                }
                let at = self.ipv6.partition_point(|c| before(&c.route));
                reserve(&mut self.ipv6);
                let (network, mask) = (u128::from(net.network()), u128::from(net.netmask()));
                self.ipv6.insert(at, CompiledV6 { network, mask, route });
            }
        }
        true
    }

    /// Whether an equal route is there.
    pub(crate) fn contains(&self, route: &Route) -> bool {
        match route.destination {
            IpNet::V4(_) => self.ipv4.iter().any(|c| c.route == *route),
            IpNet::V6(_) => self.ipv6.iter().any(|c| c.route == *route),
        }
    }

    /// Removes an equal route; false if there is none.
    pub(crate) fn remove(&mut self, route: &Route) -> bool {
        let before = self.ipv4.len() + self.ipv6.len();
        self.retain(|other| other != route);
        self.ipv4.len() + self.ipv6.len() < before
    }

    /// Keeps the routes for which `keep` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Route) -> bool) {
        self.ipv4.retain(|c| keep(&c.route));
        self.ipv6.retain(|c| keep(&c.route));
    }

    /// The best route whose device `usable` accepts.
    pub(crate) fn lookup(&self, destination: IpAddr, usable: impl Fn(DeviceId) -> bool) -> Option<&Route> {
        match destination {
            IpAddr::V4(address) => {
                let address = u32::from(address);
                self.ipv4
                    .iter()
                    .find(|c| address & c.mask == c.network && usable(c.route.device))
                    .map(|c| &c.route)
            }
            IpAddr::V6(address) => {
                let address = u128::from(address);
                self.ipv6
                    .iter()
                    .find(|c| address & c.mask == c.network && usable(c.route.device))
                    .map(|c| &c.route)
            }
        }
    }

    /// All routes of one family: the default route first, then by destination, as BusyBox lists them.
    pub(crate) fn list(&self, ipv6: bool) -> Vec<&Route> {
        let mut routes: Vec<&Route> = if ipv6 {
            self.ipv6.iter().map(|c| &c.route).collect()
        } else {
            self.ipv4.iter().map(|c| &c.route).collect()
        };
        routes.sort_by_key(|r| (r.destination.prefix_len() != 0, r.destination.network(), r.metric));
        routes
    }
}

/// Room for one more. Containers have two routes, and there are thousands of containers.
fn reserve<T>(routes: &mut Vec<T>) {
    if routes.len() < 4 {
        routes.reserve_exact(1);
    }
}

/// True for addresses that a packet may not carry as its source or destination outside the loopback device.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback(),
    }
}

/// fe80::/10.
pub(crate) fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

/// The unspecified address of the same family.
pub(crate) fn unspecified_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(destination: &str, metric: u32, device: u32) -> Route {
        Route {
            destination: destination.parse().unwrap(),
            gateway: None,
            device: DeviceId(device),
            source: None,
            metric,
            connected: false,
        }
    }

    #[test]
    fn the_longest_prefix_wins_then_the_lowest_metric() {
        let mut table = RouteTable::default();
        for (i, (destination, metric)) in
            [("0.0.0.0/0", 0), ("10.0.0.0/8", 5), ("10.1.0.0/16", 9), ("10.1.0.0/16", 2)]
                .into_iter()
                .enumerate()
        {
            assert!(table.add(route(destination, metric, i as u32)));
        }
        assert!(!table.add(route("10.1.0.0/16", 2, 3)), "a duplicate was accepted");
        let find = |a: &str| table.lookup(a.parse().unwrap(), |_| true).map(|r| r.device.0);
        assert_eq!(find("10.1.2.3"), Some(3));
        assert_eq!(find("10.2.2.3"), Some(1));
        assert_eq!(find("8.8.8.8"), Some(0));
        assert_eq!(find("fd00::1"), None);
        assert_eq!(table.lookup("10.1.2.3".parse().unwrap(), |d| d.0 != 3).map(|r| r.device.0), Some(2));
    }
}
