//! The netfilter hooks as the IP layer and bridges run them: what a hook needs to know of the host goes in, and its
//! verdict is carried out.
//!
//! The hooks themselves (tables, connection tracking, translation) are nat's; here they are given the interface names,
//! the kinds of addresses and the addresses that MASQUERADE and REDIRECT take. Fragments are put
//! together first, as `nf_defrag_ipv4` and `nf_defrag_ipv6` do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use linkspan_nat::evaluate::TraceStep;
use linkspan_nat::netfilter::{Defragmentation, DropCause, HookContext, HookStep, Verdict};
use linkspan_nat::packet::{IpVersion, PacketMut};
use linkspan_nat::rule::{AddressType, TcpMss};
use linkspan_nat::ruleset::Hook;
use rand_xoshiro::rand_core::Rng;

use super::Engine;
use super::device::Device;
use super::event::{DropReason, EventKind};
use super::id::{DeviceId, NamespaceId};
use super::ip::{Packet, checksum_state, is_v6_link_local};
use super::namespace::Namespace;
use super::route::is_loopback;

impl Engine {
    /// Runs one netfilter hook. `None`: the packet went no further (and was counted), or waits as a fragment.
    #[inline]
    pub(super) fn hook(
        &mut self,
        namespace: NamespaceId,
        hook: Hook,
        packet: Packet,
        ingress: Option<DeviceId>,
        egress: Option<DeviceId>,
    ) -> Option<Packet> {
        let netfilter = &mut self.namespaces.get_mut(namespace.index())?.as_mut()?.netfilter;
        let family = packet.family();
        if !netfilter.is_active(family) {
            return Some(packet);
        }
        if !packet.layout.is_fragment() {
            if netfilter.is_idle(family, hook, packet.tracked) {
                return Some(packet);
            }
            return self.filter(namespace, hook, packet, ingress, egress);
        }
        self.draft = None;
        let packet = self.hook_fragment(namespace, hook, packet, ingress.or(egress))?;
        self.filter(namespace, hook, packet, ingress, egress)
    }

    /// Connection tracking needs whole packets.
    #[cold]
    fn hook_fragment(
        &mut self,
        namespace: NamespaceId,
        hook: Hook,
        packet: Packet,
        device: Option<DeviceId>,
    ) -> Option<Packet> {
        let space = self.namespaces.get_mut(namespace.index())?.as_mut()?;
        match space.netfilter.defragment(self.now, hook, &packet.layout, packet.frame.bytes()) {
            Defragmentation::Pass => Some(packet),
            Defragmentation::Held => {
                self.arm_fragments(namespace);
                None
            }
            Defragmentation::Complete { packet: bytes, largest_fragment } => {
                self.replaced(namespace, packet, &bytes, largest_fragment)
            }
            Defragmentation::Dropped(_) => {
                self.drop_frame(packet.frame, Some(namespace), device, DropReason::Fragment);
                None
            }
        }
    }

    #[inline]
    fn filter(
        &mut self,
        namespace: NamespaceId,
        hook: Hook,
        mut packet: Packet,
        ingress: Option<DeviceId>,
        egress: Option<DeviceId>,
    ) -> Option<Packet> {
        let mut steps = (self.watched || self.draft.is_some()).then(Vec::new);
        let verdict = self.traverse(namespace, hook, &mut packet, ingress, egress, steps.as_mut())?;
        let accepted = verdict == Verdict::Accept;
        if let Some(draft) = &mut self.draft {
            draft.passed(steps.take().unwrap_or_default(), packet.tracked);
        }
        if let Some(mut steps) = steps.filter(|_| self.watched)
            && (!steps.is_empty() || !accepted)
        {
            // Rules that were looked at and did not match are as many as there are networks; nobody tells of them.
            steps.retain(|step| !matches!(step, HookStep::Table(TraceStep::Rule { matched: false, .. })));
            let trace = packet.frame.trace();
            self.event(trace, |_| EventKind::Filtered { namespace, hook, ingress, egress, steps, accepted });
        }
        if accepted {
            return Some(packet);
        }
        self.refuse(namespace, packet, ingress.or(egress), verdict);
        None
    }

    /// Ends a packet that a hook did not accept.
    #[cold]
    fn refuse(&mut self, namespace: NamespaceId, packet: Packet, device: Option<DeviceId>, verdict: Verdict) {
        let reason = match verdict {
            Verdict::Accept => return,
            Verdict::Drop(cause) => drop_reason(&cause),
            Verdict::Reject { with, .. } => {
                self.reject(namespace, &packet, with);
                if let (Some(connection), Some(Some(space))) =
                    (packet.tracked, self.namespaces.get_mut(namespace.index()))
                {
                    space.netfilter.release(connection);
                }
                DropReason::Rejected
            }
        };
        self.drop_frame(packet.frame, Some(namespace), device, reason);
    }

    #[inline(never)]
    fn traverse(
        &mut self,
        namespace: NamespaceId,
        hook: Hook,
        packet: &mut Packet,
        ingress: Option<DeviceId>,
        egress: Option<DeviceId>,
        trace: Option<&mut Vec<HookStep>>,
    ) -> Option<Verdict> {
        let devices = &self.devices;
        let Namespace { netfilter, local, routes, devices: present, .. } =
            self.namespaces.get_mut(namespace.index())?.as_deref_mut()?;
        let name = |d: Option<DeviceId>| d.and_then(|d| devices[d.index()].as_ref()).map(|d| d.name);
        let broadcast = |a: Ipv4Addr| {
            let nets = |d: DeviceId| devices[d.index()].as_ref().map(|d| &d.addresses);
            [ingress, egress].into_iter().flatten().filter_map(nets).flatten().any(|net| match net {
                IpNet::V4(net) => net.prefix_len() < 31 && net.broadcast() == a,
                IpNet::V6(_) => false,
            })
        };
        let address_type = |a: IpAddr| match a {
            a if a.is_unspecified() => AddressType::Unspec,
            a if is_loopback(a) || local.contains(a) => AddressType::Local,
            a if a.is_multicast() => AddressType::Multicast,
            IpAddr::V4(a) if a.is_broadcast() || broadcast(a) => AddressType::Broadcast,
            _ => AddressType::Unicast,
        };
        let masquerade_source = |destination: IpAddr| {
            let way = routes.lookup(destination, |device| Some(device) == egress);
            let towards = way.and_then(|route| route.gateway).unwrap_or(destination);
            primary_address(devices, egress, towards).or_else(|| {
                present.iter().find_map(|device| primary_address(devices, Some(*device), towards))
            })
        };
        let ipv4 = packet.layout.version() == IpVersion::V4;
        let like = if ipv4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let redirect_address = || primary_address(devices, ingress, like);
        let random = &mut self.random;
        let mut draw = || random.next_u32() as u16;
        let mut context = HookContext {
            now: self.now,
            in_interface: name(ingress),
            out_interface: name(egress),
            physical_in: name(packet.physical_ingress),
            physical_out: name(packet.physical_egress),
            bridged: packet.physical_egress.is_some(),
            mac: None,
            mark: packet.frame.mark(),
            connection: packet.tracked,
            address_type: &address_type,
            masquerade_source: &masquerade_source,
            redirect_address: &redirect_address,
            random: &mut draw,
            tcp_mss: None,
            logged: Vec::new(),
            trace,
        };
        let checksum = checksum_state(&packet.frame);
        let mut edit = PacketMut::with_layout(packet.frame.bytes_mut(), packet.layout, checksum)?;
        let verdict = netfilter.traverse(hook, &mut edit, &mut context);
        let (mark, connection) = (context.mark, context.connection);
        if let Some(clamp) = context.tcp_mss {
            let mtu = egress.and_then(|d| devices[d.index()].as_ref()).map_or(1_500, |d| d.mtu);
            edit.clamp_mss(segment_limit(clamp, mtu, ipv4));
        }
        packet.frame.set_mark(mark);
        packet.tracked = connection;
        Some(verdict)
    }
}

/// The address of a device towards a next hop, one of its subnet if there is any (`inet_select_addr` with global scope):
/// what MASQUERADE and REDIRECT use. Loopback addresses have the scope of their host and are none.
fn primary_address(devices: &[Option<Device>], device: Option<DeviceId>, towards: IpAddr) -> Option<IpAddr> {
    let device = devices.get(device?.index())?.as_ref()?;
    let same = |net: &&IpNet| {
        let address = net.addr();
        address.is_ipv4() == towards.is_ipv4() && !is_v6_link_local(address) && !is_loopback(address)
    };
    let mut own = device.addresses.iter().filter(same);
    let first = own.clone().next();
    own.find(|net| net.contains(&towards)).or(first).map(IpNet::addr)
}

fn drop_reason(cause: &DropCause) -> DropReason {
    match cause {
        DropCause::Rule(_) | DropCause::Policy { .. } => DropReason::Filtered,
        DropCause::TableFull => DropReason::ConnectionTableFull,
        DropCause::Clash => DropReason::NoFreePort,
        DropCause::NoLocalAddress(_) | DropCause::DeviceChanged | DropCause::Untranslatable => {
            DropReason::Untranslatable
        }
    }
}

/// The segment size that a TCPMSS rule allows: what was said, or what the outgoing device takes.
fn segment_limit(clamp: TcpMss, mtu: u32, ipv4: bool) -> u16 {
    let headers = if ipv4 { 40 } else { 60 };
    match clamp {
        TcpMss::Set(size) => size,
        TcpMss::ClampToPmtu => u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX),
    }
}
