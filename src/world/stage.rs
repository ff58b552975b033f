//! Building the stage: LANs, machines and Docker hosts, before any daemon starts.
//!
//! A LAN is a namespace of its own with one bridge; every NIC on it is a wire to a port of that bridge. The default
//! stage is the one of the recorded engine: a Docker host with eth0 203.0.113.10/24 and lan0 192.168.50.2/24, and an
//! outside machine that is the router, the DNS server and the Internet in one (203.0.113.1, 203.0.113.53,
//! 192.168.50.1, 198.51.100.7 and .8) and has no route to Docker's subnets.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{World, WorldError};
pub use crate::engine::plan::LinkQuality;
use crate::engine::plan::{
    DeviceName, DeviceSpec, InterfaceName, InterfaceParameter, NamespaceName, NextHop, Op, Owner, Plan,
    SettingScope, Sysctl,
};

/// A network card of a host or machine.
#[derive(Debug, Clone, PartialEq)]
pub struct NicSpec {
    /// Its name.
    pub name: String,
    /// Addresses with their prefix.
    pub addresses: Vec<IpNet>,
    /// The LAN it is plugged into; `None` leaves it unplugged.
    pub lan: Option<String>,
    /// Largest IP packet.
    pub mtu: u32,
    /// Hardware address; `None` draws one from the seed.
    pub mac: Option<[u8; 6]>,
    /// Quality of the wire, the same in both directions.
    pub quality: LinkQuality,
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RouteSpec {
    /// Destination; 0.0.0.0/0 or ::/0 is the default route.
    pub destination: IpNet,
    /// Gateway.
    pub gateway: IpAddr,
}

/// A machine: a Docker host or something outside.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineSpec {
    /// Its name, which is its namespace's too.
    pub name: String,
    /// Network cards.
    pub nics: Vec<NicSpec>,
    /// Addresses on its loopback device.
    pub loopback: Vec<IpNet>,
    /// Routes.
    pub routes: Vec<RouteSpec>,
    /// Forwards packets.
    pub forward: bool,
    /// /etc/resolv.conf.
    pub resolv_conf: String,
    /// `net.ipv4.ip_local_port_range`.
    pub local_ports: Option<(u16, u16)>,
    /// Further kernel settings, of the machine or of its NICs, as `sysctl -w` takes them. What this kernel does not have,
    /// and what an interface has that is not there yet, changes nothing.
    pub sysctls: Vec<(String, String)>,
    /// `iptables` command lines before anything else runs.
    pub rules: Vec<Vec<String>>,
    /// Its kernel has SCTP sockets.
    pub sctp: bool,
}

impl World {
    /// Makes a LAN of this name, if there is none.
    pub fn add_lan(&mut self, name: &str) -> Result<(), WorldError> {
        if self.lans.contains_key(name) {
            return Ok(());
        }
        let owner = self.next_machine_owner();
        let namespace = NamespaceName::new(format!("lan:{name}"));
        let bridge = interface("br0")?;
        let device = DeviceName { namespace: namespace.clone(), name: bridge };
        let mut plan = Plan::new();
        plan.push(
            owner,
            Op::AddNamespace {
                namespace: namespace.clone(),
                disable_ipv6: true,
                ipv4_forward: false,
                unprivileged: false,
            },
        );
        plan.push(
            owner,
            Op::AddDevice { device: device.clone(), spec: DeviceSpec::Bridge, mac: None, mtu: LAN_MTU },
        );
        plan.push(owner, Op::SetUp { device });
        self.apply(&plan)?;
        self.lans.insert(name.to_owned(), Lan { namespace, ports: 0 });
        Ok(())
    }

    /// Makes a machine's namespace, NICs, addresses and routes, and plugs it in.
    pub(super) fn add_namespace(&mut self, spec: &MachineSpec) -> Result<NamespaceName, WorldError> {
        let owner = self.next_machine_owner();
        let namespace = NamespaceName::new(spec.name.clone());
        let mut plan = Plan::new();
        plan.push(
            owner,
            Op::AddNamespace {
                namespace: namespace.clone(),
                disable_ipv6: false,
                ipv4_forward: false,
                unprivileged: false,
            },
        );
        let device = |name: &str| -> Result<DeviceName, WorldError> {
            Ok(DeviceName { namespace: namespace.clone(), name: interface(name)? })
        };
        for address in &spec.loopback {
            plan.push(owner, Op::add_address(device("lo")?, *address));
        }
        for nic in &spec.nics {
            let card = device(&nic.name)?;
            let mac = nic.mac.map(linkspan_mac);
            plan.push(
                owner,
                Op::AddDevice { device: card.clone(), spec: DeviceSpec::Nic, mac, mtu: nic.mtu },
            );
            // The machine has run for a while: nobody is asked any more if its addresses are somebody else's.
            accept_dad(&mut plan, owner, &card, false);
            if let Some(lan) = &nic.lan {
                self.plug(&mut plan, owner, &card, lan, nic.quality)?;
            }
            for address in &nic.addresses {
                plan.push(owner, Op::add_address(card.clone(), *address));
            }
            plan.push(owner, Op::SetUp { device: card.clone() });
            accept_dad(&mut plan, owner, &card, true);
        }
        for route in &spec.routes {
            plan.push(
                owner,
                Op::AddRoute {
                    namespace: namespace.clone(),
                    destination: route.destination,
                    next_hop: NextHop::Gateway(route.gateway),
                    device: None,
                    source: None,
                    metric: 0,
                },
            );
        }
        let mut set = |sysctl| plan.push(owner, Op::SetSysctl { namespace: namespace.clone(), sysctl });
        if spec.forward {
            set(Sysctl::Ipv4Forward(true));
            set(Sysctl::Ipv6Forward(true));
        }
        if let Some((first, last)) = spec.local_ports {
            set(Sysctl::LocalPortRange(first, last));
        }
        let there = |device: InterfaceName| {
            device.as_str() == "lo" || spec.nics.iter().any(|nic| nic.name == device.as_str())
        };
        for (key, value) in &spec.sysctls {
            match Sysctl::parse(&key.replace('.', "/"), value) {
                Ok(sysctl) if sysctl.device().is_none_or(there) => set(sysctl),
                Ok(_) | Err(_) => {}
            }
        }
        self.apply(&plan)?;
        Ok(namespace)
    }

    fn plug(
        &mut self,
        plan: &mut Plan,
        owner: Owner,
        card: &DeviceName,
        lan: &str,
        quality: LinkQuality,
    ) -> Result<(), WorldError> {
        self.add_lan(lan)?;
        let Some(lan) = self.lans.get_mut(lan) else { return Ok(()) };
        lan.ports += 1;
        let port =
            DeviceName { namespace: lan.namespace.clone(), name: interface(&format!("port{}", lan.ports))? };
        plan.push(
            owner,
            Op::AddDevice { device: port.clone(), spec: DeviceSpec::Nic, mac: None, mtu: LAN_MTU },
        );
        plan.push(owner, Op::Connect { a: card.clone(), b: port.clone(), quality: Box::new([quality; 2]) });
        plan.push(
            owner,
            Op::SetMaster {
                device: port.clone(),
                bridge: interface("br0")?,
                hairpin: false,
                isolated: false,
            },
        );
        plan.push(owner, Op::SetUp { device: port });
        self.cables.push(card.clone());
        Ok(())
    }
}

/// A LAN: its switch's namespace, and how many ports were given out.
pub(super) struct Lan {
    pub(super) namespace: NamespaceName,
    pub(super) ports: u32,
}

/// A LAN carries jumbo frames; what limits a path is its NICs.
const LAN_MTU: u32 = 9_000;

fn interface(name: &str) -> Result<crate::engine::plan::InterfaceName, WorldError> {
    crate::engine::plan::InterfaceName::parse(name).map_err(|error| WorldError::Name(error.to_string()))
}

fn linkspan_mac(octets: [u8; 6]) -> crate::engine::plan::MacAddress {
    crate::engine::plan::MacAddress(octets)
}

/// Whether a device asks if somebody has its addresses.
fn accept_dad(plan: &mut Plan, owner: Owner, device: &DeviceName, accept: bool) {
    let scope = SettingScope::Interface(device.name);
    let sysctl = Sysctl::interface(scope, InterfaceParameter::ACCEPT_DAD, accept.into());
    plan.push(owner, Op::SetSysctl { namespace: device.namespace.clone(), sysctl });
}
