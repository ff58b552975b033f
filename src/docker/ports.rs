//! Which host port a published port gets.
//!
//! Every host address and protocol has its own set and its own cursor: ephemeral ports come from the host's range,
//! after the last one handed out, and wrap. What else listens on the host is part of the question, because dockerd
//! binds what it publishes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::cli::ports::{PortPublish, PortRange, Protocol};
use super::outcome::HostView;
use super::profile::Profile;
use super::request::ExposedPort;
use crate::engine::plan::Transport;

/// Linux's default `net.ipv4.ip_local_port_range`.
const EPHEMERAL: (u16, u16) = (32768, 60999);

/// How many ports the engine tries before it gives up (`maxAllocatePortAttempts` of libnetwork's bridge driver).
const LISTEN_ATTEMPTS: u8 = 10;

/// The ports a daemon has in use.
#[derive(Debug, Clone, Default)]
pub struct Ports {
    taken: BTreeSet<(Protocol, u16, IpAddr)>,
    /// The last port handed out of a range.
    cursors: BTreeMap<(IpAddr, Protocol, PortRange), u16>,
    /// Given back during this request: the proxy's socket may still be in the host's view.
    returned: BTreeSet<(Protocol, u16, IpAddr)>,
}

/// What is asked for: the addresses that get the same port, and the container's side for messages.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub(super) publish: &'a PortPublish,
    pub(super) addresses: &'a [IpAddr],
    pub(super) container: SocketAddr,
}

impl Ports {
    /// A new request begins.
    pub(super) fn begin(&mut self) {
        self.returned.clear();
    }

    /// Takes one host port on all addresses wanted. The error is the engine's text without the driver's wrapping.
    pub(super) fn allocate(
        &mut self,
        profile: Profile,
        wanted: &Wanted<'_>,
        view: &HostView,
        userland_proxy: bool,
    ) -> Result<u16, String> {
        let protocol = wanted.publish.protocol;
        let asked = wanted.publish.host_port.filter(|range| range.last != 0);
        let range = asked.unwrap_or_else(|| {
            let (first, last) = view.port_range.unwrap_or(EPHEMERAL);
            PortRange { first: first.max(1), last: last.max(first).max(1) }
        });
        let Some(first_address) = wanted.addresses.first().copied() else {
            return Err("no host address".to_owned());
        };
        // dockerd binds all of them and then listens on one after the other, which is when the kernel notices.
        let unheard = profile.joint_port_allocation()
            && protocol == Protocol::Tcp
            && (1..wanted.addresses.len()).any(|at| {
                let (before, address) = (&wanted.addresses[..at], wanted.addresses[at]);
                before.iter().any(|other| overlap_in_family(*other, address))
            });
        let refused = || Err("failed to listen on TCP socket: address already in use".to_owned());
        if asked.is_some() && range.first == range.last {
            for address in wanted.addresses {
                self.check(profile, *address, protocol, range.first, wanted, view, userland_proxy)?;
            }
            if unheard {
                return refused();
            }
            self.take(wanted.addresses, protocol, range.first);
            return Ok(range.first);
        }
        let mut attempts = if unheard { LISTEN_ATTEMPTS } else { 1 };
        let key = (first_address, protocol, range);
        let size = u32::from(range.last - range.first) + 1;
        let last = self.cursors.get(&key).copied().unwrap_or(range.last);
        for step in 1..=size {
            let offset = (u32::from(last.saturating_sub(range.first)) + step) % size;
            let port = range.first + u16::try_from(offset).unwrap_or(0);
            let free = wanted.addresses.iter().all(|address| {
                self.check(profile, *address, protocol, port, wanted, view, userland_proxy).is_ok()
            });
            if free {
                for address in wanted.addresses {
                    self.cursors.insert((*address, protocol, range), port);
                }
                attempts -= 1;
                if unheard && attempts > 0 {
                    continue;
                }
                if unheard {
                    return refused();
                }
                self.take(wanted.addresses, protocol, port);
                return Ok(port);
            }
        }
        if unheard { refused() } else { Err("all ports are allocated".to_owned()) }
    }

    fn take(&mut self, addresses: &[IpAddr], protocol: Protocol, port: u16) {
        self.taken.extend(addresses.iter().map(|address| (protocol, port, *address)));
    }

    /// Gives a port back.
    pub(super) fn release(&mut self, address: IpAddr, protocol: Protocol, port: u16) {
        if self.taken.remove(&(protocol, port, address)) {
            self.returned.insert((protocol, port, address));
        }
    }

    /// Whether no port is in use.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    #[expect(clippy::too_many_arguments, reason = "one question with all that its answer depends on")]
    fn check(
        &self,
        profile: Profile,
        address: IpAddr,
        protocol: Protocol,
        port: u16,
        wanted: &Wanted<'_>,
        view: &HostView,
        userland_proxy: bool,
    ) -> Result<(), String> {
        let host = SocketAddr::new(address, port);
        let allocated =
            |holder: IpAddr| Err(format!("Bind for {holder}:{port} failed: port is already allocated"));
        // dockerd's own socket has no such introduction.
        let starting = if userland_proxy { "Error starting userland proxy: " } else { "" };
        let bind = |why: &str| {
            if profile.port_conflict_across_addresses() {
                let container = wanted.container;
                Err(format!("failed to bind host port for {host}:{container}/{protocol}: {why}"))
            } else {
                let family = if address.is_ipv4() { 4 } else { 6 };
                Err(format!("{starting}listen {protocol}{family} {host}: bind: {why}"))
            }
        };
        if self.taken.contains(&(protocol, port, address)) {
            return allocated(address);
        }
        if protocol == Protocol::Sctp && !view.sctp {
            // Like the recorded kernel, this one has no SCTP sockets, and dockerd opens one for every host port.
            return match profile.port_conflict_across_addresses() {
                true if userland_proxy => Err(format!(
                    "error starting userland proxy: failed to listen on {host}: protocol not supported"
                )),
                true => bind("protocol not supported"),
                false => Err(format!("{starting}protocol not supported")),
            };
        }
        if let Some(holder) = self.clash(address, protocol, port) {
            if profile.port_conflict_across_addresses() {
                return allocated(holder);
            }
            return bind("address already in use");
        }
        if !view.owns(address) {
            return bind("cannot assign requested address");
        }
        let foreign = view.devices.listening(port).iter().any(|(socket, transport)| {
            let same = matches!(
                (transport, protocol),
                (Transport::Tcp, Protocol::Tcp) | (Transport::Udp, Protocol::Udp)
            );
            let own = (protocol, socket.port(), socket.ip());
            same && overlap(socket.ip(), address)
                && !self.taken.contains(&own)
                && !self.returned.contains(&own)
        });
        if foreign { bind("address already in use") } else { Ok(()) }
    }

    /// An address in use that this one shares the port with.
    fn clash(&self, address: IpAddr, protocol: Protocol, port: u16) -> Option<IpAddr> {
        if !address.is_unspecified() {
            let any = match address {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            return self.taken.contains(&(protocol, port, any)).then_some(any);
        }
        let first = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let last = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));
        let mut same_port = self.taken.range((protocol, port, first)..=(protocol, port, last));
        same_port.find(|(_, _, taken)| taken.is_ipv4() == address.is_ipv4()).map(|(_, _, taken)| *taken)
    }
}

/// Whether a socket bound to `one` keeps another from `other`. What a program binds to `::` takes IPv4 too.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let both_families = one == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    both_families || overlap_in_family(one, other)
}

/// The same for sockets that keep to their family, as dockerd's do.
fn overlap_in_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4() && (one == other || one.is_unspecified() || other.is_unspecified())
}

/// The order in which the ports of one container are programmed.
pub(super) fn sort(profile: Profile, ports: &mut [PortPublish]) {
    let fixed =
        |port: &PortPublish| port.host_port.filter(|range| range.last != 0).map_or(0, |range| range.first);
    if profile.joint_port_allocation() {
        ports.sort_by_key(|port| {
            let range = port.host_port.filter(|range| range.last != 0);
            let exact = range.is_some_and(|range| range.first == range.last);
            (!exact, port.container_port, port.protocol, fixed(port), port.host_ip)
        });
    } else {
        // As go-connections sorts them: the highest host port first, then the highest container port, TCP before the rest;
        // what leads to one container port stays together, against its order on the command line.
        let mut sorted: Vec<PortPublish> = ports.to_vec();
        sorted.sort_by_key(|port| (Reverse(fixed(port)), Reverse(port.container_port), port.protocol));
        let mut order: Vec<ExposedPort> = Vec::new();
        for port in sorted.iter().map(PortPublish::exposed) {
            if !order.contains(&port) {
                order.push(port);
            }
        }
        ports.reverse();
        ports.sort_by_key(|port| order.iter().position(|exposed| *exposed == port.exposed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::outcome::HostTable;

    const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    fn ask(ports: &mut Ports, profile: Profile, text: &str, view: &HostView) -> Result<u16, String> {
        let publish = PortPublish::parse(text).unwrap()[0];
        let addresses = [publish.host_ip.unwrap_or(ANY)];
        let container = SocketAddr::new("172.17.0.2".parse().unwrap(), publish.container_port);
        ports.allocate(profile, &Wanted { publish: &publish, addresses: &addresses, container }, view, true)
    }

    #[test]
    fn ephemeral_ports_count_upwards_and_wrap() {
        let view = HostView { port_range: Some((32768, 32770)), ..HostView::default() };
        let mut ports = Ports::default();
        let profile = Profile::Docker28;
        assert_eq!(ask(&mut ports, profile, "80", &view), Ok(32768));
        ports.release(ANY, Protocol::Tcp, 32768);
        assert_eq!(ask(&mut ports, profile, "80", &view), Ok(32769));
        assert_eq!(ask(&mut ports, profile, "53/udp", &view), Ok(32768));
        assert_eq!(ask(&mut ports, profile, "80", &view), Ok(32770));
        assert_eq!(ask(&mut ports, profile, "80", &view), Ok(32768));
        assert_eq!(ask(&mut ports, profile, "80", &view), Err("all ports are allocated".to_owned()));
        assert_eq!(ask(&mut ports, profile, "9000-9001:80", &view), Ok(9000));
        assert_eq!(ask(&mut ports, profile, "9000-9001:80", &view), Ok(9001));
    }

    #[test]
    fn conflicts_are_told_as_each_release_does() {
        let listening = vec![("0.0.0.0:8088".parse().unwrap(), Transport::Tcp)];
        let devices = std::rc::Rc::new(HostTable { listening, ..HostTable::default() });
        let view = HostView { devices, ..HostView::default() };
        for (profile, specific, process, foreign) in [
            (
                Profile::Docker20_10,
                "Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
                "Error starting userland proxy: listen tcp4 0.0.0.0:8088: bind: address already in use",
                "Error starting userland proxy: listen tcp4 10.9.9.9:1: bind: cannot assign requested address",
            ),
            (
                Profile::Docker28,
                "Bind for 0.0.0.0:8080 failed: port is already allocated",
                "failed to bind host port for 0.0.0.0:8088:172.17.0.2:80/tcp: address already in use",
                "failed to bind host port for 10.9.9.9:1:172.17.0.2:80/tcp: cannot assign requested address",
            ),
        ] {
            let mut ports = Ports::default();
            assert_eq!(ask(&mut ports, profile, "8080:80", &view), Ok(8080));
            let taken = "Bind for 0.0.0.0:8080 failed: port is already allocated";
            assert_eq!(ask(&mut ports, profile, "8080:80", &view), Err(taken.to_owned()));
            assert_eq!(ask(&mut ports, profile, "127.0.0.1:8080:80", &view), Err(specific.to_owned()));
            assert_eq!(ask(&mut ports, profile, "8088:80", &view), Err(process.to_owned()));
            assert_eq!(ask(&mut ports, profile, "10.9.9.9:1:80", &view), Err(foreign.to_owned()));
        }
    }
}
