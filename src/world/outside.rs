//! What is outside a world: a clock to wait by, and processes of the machine that are containers in it.
//!
//! A world alone jumps from deadline to deadline. With an [`Outside`] it asks instead: "wait until then", and hears
//! either that the moment has come or that frames arrived before it ([`Moment`]). Whoever answers owns the clock and
//! the descriptors (`run/live.rs`) or a recording of them (`run/replay.rs`); nothing below this file knows which. The
//! contract makes a run a function of the scenario, the seed and the moments: a deadline is served at its own time,
//! however late the answer came, and frames carry the time at which they enter.
//!
//! # How a process outside takes a container's place
//!
//! [`World::replace`] leaves the container's namespace where dockerd put it and moves only its addresses out, the way
//! Kata Containers attach a virtual machine: the container's `eth0` loses its addresses and gets another hardware
//! address, and becomes one port of a bridge in the container's namespace; the other port is a device of kind
//! `External`. Frames then pass between the Docker bridge and the outside unchanged, and the process outside, with the
//! container's hardware and IP addresses, is the container: published ports, neighbours and captures see no difference.
//! The bridge passes no netfilter hooks (`bridge-nf-call-iptables=0` in that namespace).
//!
//! # Names
//!
//! Docker's resolver listens on 127.0.0.11 in the container's namespace, and 127/8 never leaves a kernel's loopback.
//! So the resolver gets one more address, which the process can reach by its interface: 169.254.1.1 (the address that
//! podman gives pasta as `--dns-forward`; link-local, so that it collides with no Docker subnet and no route; the next
//! container gets .2, and so on), on the bridge inside the container's namespace. No one else on the Docker network
//! sees it, no rule of Docker's stands between, and it works on an internal network. The address of slirp4netns
//! (10.0.2.3) would need a subnet of its own, the bridge's gateway a listener on port 53 of the host.
//!
//! Limits: networks that a container joins after it was replaced do not appear outside. Queries that the embedded
//! resolver sends on leave from the Docker host, as the container's namespace has no address any more; on an internal
//! network there was no way out before, and there is none now.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;

use super::{HostId, Location, World, WorldError};
use crate::engine::id::DeviceId;
use crate::engine::plan::{
    DeviceName, DeviceSpec, InterfaceName, MacAddress, NextHop, Op, Plan, Sysctl, Transport,
};
use crate::engine::sys::Family;
use crate::engine::view::{InterfaceKind, InterfaceView, RouteView, Scope};

/// The network of the resolvers' outer addresses; the first container's is .1 of it.
const RESOLVERS: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 0);

/// Most containers that may be replaced: what `RESOLVERS` has addresses for.
pub const MOST_REPLACED: usize = 254;

/// The port of the Domain Name System (RFC 1035, 4.2).
const DOMAIN: u16 = 53;

/// Docker's embedded resolver as a container's resolv.conf names it.
const EMBEDDED_RESOLVER: &str = "127.0.0.11";

/// Where waiting is done and where frames come from. See the module documentation.
pub trait Outside {
    /// Waits until `until`, at most. `now` is the world's time.
    ///
    /// The answer's time is after `now` and not after `until`. If `until` is not after `now`, the answer is
    /// [`Moment::Reached`] at once. [`Duration::MAX`] is for ever.
    fn wait(&mut self, now: Duration, until: Duration) -> Result<Moment, OutsideError>;

    /// A frame leaves the world by a port, checksums complete and segments cut.
    fn emit(&mut self, port: Port, frame: &[u8]);
}

/// An edge of the world: one interface of a replaced container. Numbered from 0 in the order of replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u16);

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// The moment that was waited for has come.
    Reached,
    /// Frames arrived before it.
    Frames {
        /// When they enter the world.
        time: Duration,
        /// Where each arrived, in order.
        frames: Vec<(Port, Vec<u8>)>,
    },
    /// Somebody typed a line. It is done when what is under way is over.
    Command {
        /// When.
        time: Duration,
        /// The line, without its end.
        line: String,
    },
    /// The run is to end.
    Stop {
        /// When.
        time: Duration,
    },
}

/// The outside failed; in a reader's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutsideError(pub String);

/// What a process has to be given so that it is a container of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The container's name.
    pub container: String,
    /// Its interfaces, `lo` left out.
    pub interfaces: Vec<Interface>,
    /// Its routes, connected ones left out.
    pub routes: Vec<Route>,
    /// Where its names are resolved; `None` if the container has no embedded resolver (the default bridge).
    pub resolver: Option<Resolver>,
    /// /etc/resolv.conf, the resolver's address in place of 127.0.0.11.
    pub resolv_conf: String,
    /// /etc/hosts.
    pub hosts: String,
}

/// An interface to be made outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The port its frames come and go by.
    pub port: Port,
    /// Its name, `eth0`.
    pub name: String,
    /// Hardware address.
    pub mac: [u8; 6],
    /// Largest IP packet.
    pub mtu: u32,
    /// Addresses with their prefix.
    pub addresses: Vec<IpNet>,
}

/// A route to be made outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destination; 0.0.0.0/0 or ::/0 is the default route.
    pub destination: IpNet,
    /// Gateway; `None`: the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface's name.
    pub interface: String,
    /// Lower wins.
    pub metric: u32,
}

/// Docker's embedded resolver as the process outside reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// Its address, on the link.
    pub address: Ipv4Addr,
    /// Its hardware address, so that nobody has to ask for it aloud.
    pub mac: [u8; 6],
    /// The interface by which it is reached.
    pub interface: String,
}

/// The outside and which device is which port.
pub(super) struct Outdoors {
    outside: Rc<RefCell<dyn Outside>>,
    ports: Vec<DeviceId>,
    numbers: BTreeMap<DeviceId, Port>,
    replaced: usize,
    /// Lines that nobody has taken.
    commands: VecDeque<String>,
    stopped: bool,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.0)
    }
}

impl World {
    /// From now on time passes as `outside` says.
    pub fn enter(&mut self, outside: Rc<RefCell<dyn Outside>>) {
        self.outside = Some(Outdoors {
            outside,
            ports: Vec::new(),
            numbers: BTreeMap::new(),
            replaced: 0,
            commands: VecDeque::new(),
            stopped: false,
        });
    }

    /// The next line that somebody outside typed.
    pub fn take_command(&mut self) -> Option<String> {
        self.outside.as_mut()?.commands.pop_front()
    }

    /// Whether the outside has ended the run.
    pub fn is_stopped(&self) -> bool {
        self.outside.as_ref().is_some_and(|outdoors| outdoors.stopped)
    }

    /// Makes a process outside take the place of a running container; says what the process has to be given.
    ///
    /// # Errors
    /// [`WorldError::NoPlace`] and [`WorldError::NotRunning`] if there is no such container;
    /// [`WorldError::NoInterface`] if it has no interface of its own (`network_mode: host` or `none`).
    pub fn replace(&mut self, host: HostId, container: &str) -> Result<Replacement, WorldError> {
        let place = self.locate(&Location::Container(host, container.to_owned()))?;
        let (number, first) = match &self.outside {
            Some(outdoors) => (outdoors.replaced, outdoors.ports.len()),
            None => {
                return Err(WorldError::Outside(OutsideError("nothing is outside this world".to_owned())));
            }
        };
        let own = self.engine.borrow().interfaces(place.namespace);
        let own: Vec<InterfaceView> = own.into_iter().filter(|i| i.kind == InterfaceKind::Veth).collect();
        let namespace = self.engine.borrow().namespace_name(place.namespace).cloned();
        let (Some(namespace), false) = (namespace, own.is_empty() || number >= MOST_REPLACED) else {
            return Err(WorldError::NoInterface(container.to_owned()));
        };
        let routes: Vec<Route> = [Family::Ipv4, Family::Ipv6]
            .into_iter()
            .flat_map(|family| self.engine.borrow().routes(place.namespace, family))
            .filter(|route| !route.connected && own.iter().any(|i| i.name == route.device))
            .map(Route::from)
            .collect();

        let owner = self.next_machine_owner();
        let mut plan = Plan::new();
        plan.push(
            owner,
            Op::SetSysctl { namespace: namespace.clone(), sysctl: Sysctl::BridgeNetfilter(false) },
        );
        let device = |name: &str| {
            let name = InterfaceName::parse(name).map_err(|error| WorldError::Name(error.to_string()))?;
            Ok::<_, WorldError>(DeviceName { namespace: namespace.clone(), name })
        };
        let mut edges = Vec::new();
        let mut bridges = Vec::new();
        for (at, interface) in own.iter().enumerate() {
            let (inner, edge) = (device(&interface.name)?, device(&format!("outside{at}"))?);
            let bridge = device(&format!("bridge{at}"))?;
            for address in &interface.addresses {
                let address = address.address;
                plan.push(owner, Op::RemoveAddress { device: inner.clone(), address });
            }
            plan.push(owner, Op::SetMac { device: inner.clone(), mac: None });
            for (device, spec) in [(&bridge, DeviceSpec::Bridge), (&edge, DeviceSpec::External)] {
                let (device, mtu) = (device.clone(), interface.mtu);
                plan.push(owner, Op::AddDevice { device, spec, mac: None, mtu });
            }
            // A bridge that says nothing by itself: no link-local address, no neighbour discovery.
            for device in [&bridge, &edge] {
                let sysctl = Sysctl::DisableIpv6(device.name, true);
                plan.push(owner, Op::SetSysctl { namespace: namespace.clone(), sysctl });
            }
            for port in [&inner, &edge] {
                let (device, bridge) = (port.clone(), bridge.name);
                plan.push(owner, Op::SetMaster { device, bridge, hairpin: false, isolated: false });
            }
            for up in [&edge, &bridge] {
                plan.push(owner, Op::SetUp { device: up.clone() });
            }
            edges.push(edge);
            bridges.push(bridge);
        }
        self.apply(&plan)?;

        let edges: Vec<DeviceId> =
            edges.iter().filter_map(|edge| self.engine.borrow().device(edge)).collect();
        let resolver = match bridges.first().zip(own.first()) {
            Some((bridge, interface)) => self.move_resolver(number, bridge, interface, &routes)?,
            None => None,
        };
        if let Some(outdoors) = &mut self.outside {
            outdoors.replaced += 1;
            for (at, device) in edges.iter().enumerate() {
                outdoors.numbers.insert(*device, Port((first + at) as u16));
            }
            outdoors.ports.extend(edges);
        }
        let interfaces = own.iter().enumerate().map(|(at, view)| Interface {
            port: Port((first + at) as u16),
            name: view.name.clone(),
            mac: view.mac.0,
            mtu: view.mtu,
            addresses: outer_addresses(view),
        });
        let resolv_conf = place.files.text("/etc/resolv.conf");
        Ok(Replacement {
            container: container.to_owned(),
            interfaces: interfaces.collect(),
            routes,
            resolv_conf: match &resolver {
                Some(resolver) => resolv_conf.replace(EMBEDDED_RESOLVER, &resolver.address.to_string()),
                None => resolv_conf,
            },
            resolver,
            hosts: place.files.text("/etc/hosts"),
        })
    }

    /// Gives the embedded resolver of a namespace its outer address on a bridge there.
    fn move_resolver(
        &mut self,
        number: usize,
        bridge: &DeviceName,
        interface: &InterfaceView,
        routes: &[Route],
    ) -> Result<Option<Resolver>, WorldError> {
        let namespace = self.namespace(&bridge.namespace)?;
        let own = interface.addresses.iter().map(|a| a.address.addr()).find(IpAddr::is_ipv4);
        let (Some(service), Some(own)) = (self.resolvers.of(namespace), own) else { return Ok(None) };
        let address = Ipv4Addr::from(u32::from(RESOLVERS) + number as u32 + 1);
        let owner = self.next_machine_owner();
        let mut plan = Plan::new();
        let device = bridge.clone();
        plan.push(owner, Op::add_address(device, IpNet::from(IpAddr::V4(address))));
        plan.push(
            owner,
            Op::AddRoute {
                namespace: bridge.namespace.clone(),
                destination: IpNet::from(own),
                next_hop: NextHop::OnLink,
                device: Some(bridge.name),
                source: Some(IpAddr::V4(address)),
                metric: 0,
            },
        );
        let (device, mac) = (bridge.clone(), interface.mac);
        plan.push(owner, Op::AddNeighbour { device, address: own, mac });
        for transport in [Transport::Udp, Transport::Tcp] {
            let (namespace, address) = (bridge.namespace.clone(), SocketAddr::from((address, DOMAIN)));
            plan.push(owner, Op::Listen { namespace, address, transport, service });
        }
        self.apply(&plan)?;
        if routes.iter().any(|route| route.destination.prefix_len() == 0) {
            self.resolvers.ask_from_host(service);
        }
        let views = self.engine.borrow().interfaces(namespace);
        let mac = views.iter().find(|view| view.name == bridge.name.as_str()).map(|view| view.mac);
        Ok(mac.map(|mac: MacAddress| Resolver { address, mac: mac.0, interface: interface.name.clone() }))
    }

    /// Hands over what left, and waits; in virtual time the moment has always come.
    pub(super) fn await_outside(&mut self, until: Duration) -> Result<Moment, WorldError> {
        let now = self.now();
        let Some(outdoors) = &self.outside else { return Ok(Moment::Reached) };
        let mut outside = outdoors.outside.borrow_mut();
        let mut engine = self.engine.borrow_mut();
        while let Some((device, frame)) = engine.take_output() {
            // A device that is no port any more belonged to a container that is gone.
            if let Some(port) = outdoors.numbers.get(&device) {
                outside.emit(*port, frame.bytes());
            }
        }
        outside.wait(now, until).map_err(WorldError::Outside)
    }

    /// Keeps a line until it is taken.
    pub(super) fn typed(&mut self, line: String) {
        if let Some(outdoors) = &mut self.outside {
            outdoors.commands.push_back(line);
        }
    }

    /// The outside ends the run.
    pub(super) fn end(&mut self) {
        if let Some(outdoors) = &mut self.outside {
            outdoors.stopped = true;
        }
    }

    /// Frames enter by their ports.
    pub(super) fn receive(&mut self, frames: &[(Port, Vec<u8>)]) -> Result<(), WorldError> {
        for (port, frame) in frames {
            let device = self.outside.as_ref().and_then(|o| o.ports.get(usize::from(port.0)).copied());
            let device = device.ok_or_else(|| {
                WorldError::Outside(OutsideError(format!("a frame arrived at {port}, which is not there")))
            })?;
            self.engine.borrow_mut().input(device, frame);
        }
        self.settle()
    }
}

impl From<RouteView> for Route {
    fn from(view: RouteView) -> Route {
        Route {
            destination: view.destination,
            gateway: view.gateway,
            interface: view.device,
            metric: view.metric,
        }
    }
}

/// The addresses a process outside is given; link-local ones are its own kernel's affair.
fn outer_addresses(view: &InterfaceView) -> Vec<IpNet> {
    view.addresses.iter().filter(|a| a.scope == Scope::Global).map(|a| a.address).collect()
}
