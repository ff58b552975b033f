//! Address resolution: ARP messages that arrive and are sent, what they and NDP's teach the neighbour table, and its timers.
//! The table itself is in `neighbour`, the messages' bytes are in `arp` and `ndp`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use linkspan_switch::ethernet::{ETHERNET_HEADER_LEN, EtherType, EthernetHeader};
use linkspan_switch::frame::{Frame, TraceId};
use linkspan_switch::mac::MacAddress;

use super::arp::{self, ArpMessage, Operation};
use super::event::{DropReason, EventKind, NeighbourState, Receiver};
use super::id::{DeviceId, NamespaceId};
use super::neighbour::TimerAction;
use super::{Engine, Timer};

impl Engine {
    /// An ARP message reaches the stack of the device's namespace.
    pub(super) fn arp_receive(&mut self, namespace: NamespaceId, device: DeviceId, frame: Frame) {
        let Some(message) = ArpMessage::parse(frame.bytes()) else {
            return self.drop_frame(frame, Some(namespace), Some(device), DropReason::BadPacket);
        };
        let may_know = |address| self.address_filters.may_know(namespace, address);
        let conf = self.devices[device.index()].as_ref().map(|d| d.ipv4).unwrap_or_default();
        if !may_know(message.target) && !may_know(message.sender) && !conf.proxy_arp() {
            debug_assert!(!self.is_local(namespace, message.target.into()) || message.target.is_loopback());
            debug_assert!(!self.has_neighbour(namespace, device, message.sender.into()));
            return self.arp_not_for_us(namespace, device, &message, frame);
        }
        let trace = frame.trace();
        let ours = self.is_local(namespace, IpAddr::V4(message.target)) && !message.target.is_loopback();
        let sender = IpAddr::V4(message.sender);
        let known = !message.sender.is_unspecified();
        let request = message.operation == Operation::Request;
        let answered = request && (ours || known && self.proxies(namespace, device, message.target));
        // The kernel asks where a request would be routed, and does not answer one that would not be.
        let refused = match answered && known {
            true => self.refuse_source(namespace, device, message.sender, message.target),
            false => None,
        };
        let answered = answered && refused.is_none();
        if answered && ours && self.ignores(namespace, device, conf.arp_ignore(), &message) {
            return self.arp_not_for_us(namespace, device, &message, frame);
        }
        if known {
            let solicited = message.operation == Operation::Reply && ours;
            self.learn_neighbour(trace, namespace, device, sender, message.sender_mac, solicited, answered);
        }
        if let Some(reason) = refused {
            return self.drop_frame(frame, Some(namespace), Some(device), reason);
        }
        if answered {
            self.event(trace, |_| EventKind::Delivered {
                namespace,
                receiver: Receiver::Stack,
                source: sender,
                source_port: 0,
                destination_port: 0,
            });
            let mac = self.devices[device.index()].as_ref().map_or(MacAddress::ZERO, |d| d.mac);
            let reply = ArpMessage {
                operation: Operation::Reply,
                sender_mac: mac,
                sender: message.target,
                target_mac: message.sender_mac,
                target: message.sender,
            };
            self.send_arp(device, reply, message.sender_mac);
        } else if !ours {
            self.arp_not_for_us(namespace, device, &message, frame);
        }
    }

    /// `arp_ignore`: whether a request for an address of the namespace is not answered on this device.
    fn ignores(
        &self,
        namespace: NamespaceId,
        device: DeviceId,
        arp_ignore: u8,
        message: &ArpMessage,
    ) -> bool {
        let target = IpAddr::V4(message.target);
        let on_device = |also: Ipv4Addr| {
            self.devices[device.index()].as_ref().is_some_and(|device| {
                let has = |net: &IpNet| net.contains(&target) && net.contains(&IpAddr::V4(also));
                device.has_address(target) && device.addresses.iter().any(has)
            })
        };
        match arp_ignore {
            1 => !on_device(message.target),
            2 => match message.sender.is_unspecified() {
                true => !on_device(message.target),
                false => !on_device(message.sender),
            },
            3 => !self.namespaces[namespace.index()].as_ref().is_some_and(|space| space.local.owns(target)),
            8 => true,
            _ => false,
        }
    }

    /// `proxy_arp`: whether a device answers for an address to which its namespace forwards by another one. Linux waits a
    /// random part of 0.8 s first (`proxy_delay`), here the answer goes at once.
    fn proxies(&self, namespace: NamespaceId, device: DeviceId, target: Ipv4Addr) -> bool {
        let Some(Some(receiver)) = self.devices.get(device.index()) else { return false };
        let group = target.is_multicast() || target.is_broadcast() || target.is_loopback();
        receiver.ipv4.proxy_arp()
            && receiver.ipv4_forward
            && !group
            && !self.is_local(namespace, target.into())
            && self.route(namespace, target.into()).is_some_and(|hop| hop.device != device)
    }

    /// An ARP message about an address that the namespace does not have.
    fn arp_not_for_us(
        &mut self,
        namespace: NamespaceId,
        device: DeviceId,
        message: &ArpMessage,
        frame: Frame,
    ) {
        // An announcement is for everyone who hears it.
        if message.sender != message.target {
            self.drop_frame(frame, Some(namespace), Some(device), DropReason::NotForUs);
        }
    }

    /// A neighbour's own message showed its hardware address.
    #[allow(
        clippy::too_many_arguments,
        reason = "the fields of ARP's and NDP's messages, under one set of names"
    )]
    pub(super) fn learn_neighbour(
        &mut self,
        trace: TraceId,
        namespace: NamespaceId,
        device: DeviceId,
        address: IpAddr,
        mac: MacAddress,
        solicited: bool,
        create: bool,
    ) {
        let now = self.now;
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else { return };
        if create {
            self.address_filters.note(namespace, address);
        }
        let update = space.neighbours.update(now, device, address, mac, solicited, create);
        if let Some(state) = update.changed {
            self.namespace_changed(namespace);
            self.event(trace, |_| EventKind::Neighbour { device, address, mac: Some(mac), state });
        }
        for frame in update.released {
            self.send_with_mac(device, mac, frame);
        }
    }

    /// Whether the namespace has an entry for the neighbour, in whatever state.
    fn has_neighbour(&self, namespace: NamespaceId, device: DeviceId, address: IpAddr) -> bool {
        let space = self.namespaces.get(namespace.index()).and_then(Option::as_ref);
        space.is_some_and(|space| space.neighbours.contains(device, address))
    }

    pub(super) fn neighbour_timer(&mut self, namespace: NamespaceId, device: DeviceId, address: IpAddr) {
        let now = self.now;
        let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) else { return };
        space.epoch += 1;
        match space.neighbours.timer(now, device, address) {
            TimerAction::None => {}
            TimerAction::Solicit { mac, arm, state } => {
                let trace = self.new_trace();
                self.event(trace, |_| EventKind::Neighbour { device, address, mac, state });
                self.solicit(device, address, mac);
                self.timers.push(arm, u64::MAX, Timer::Neighbour { namespace, device, address });
            }
            TimerAction::Failed { waiting } => {
                let trace = waiting.front().map_or_else(|| self.new_trace(), Frame::trace);
                let state = NeighbourState::Failed;
                self.event(trace, |_| EventKind::Neighbour { device, address, mac: None, state });
                for frame in waiting {
                    self.neighbour_failed(namespace, device, frame);
                }
            }
        }
    }

    /// Asks who has an address: by broadcast, or by unicast to confirm what is known.
    pub(super) fn solicit(&mut self, device: DeviceId, address: IpAddr, mac: Option<MacAddress>) {
        let Some(Some(sender)) = self.devices.get(device.index()) else { return };
        match address {
            IpAddr::V4(target) => {
                let own = self.announced(device, target);
                let request = ArpMessage {
                    operation: Operation::Request,
                    sender_mac: sender.mac,
                    sender: own.unwrap_or(Ipv4Addr::UNSPECIFIED),
                    target_mac: mac.unwrap_or(MacAddress::ZERO),
                    target,
                };
                self.send_arp(device, request, mac.unwrap_or(MacAddress::BROADCAST));
            }
            IpAddr::V6(target) => self.send_solicitation(device, target, mac),
        }
    }

    /// The address that asks for a neighbour (`arp_announce`): that of the packet which waits for it, if it is ours and, with
    /// 1, of a subnet of the device that the neighbour is in too; else an address of the device, preferably of the
    /// neighbour's subnet; else any.
    fn announced(&self, device: DeviceId, target: Ipv4Addr) -> Option<Ipv4Addr> {
        let sender = self.devices.get(device.index())?.as_ref()?;
        let space = self.namespaces.get(sender.namespace.index())?.as_ref()?;
        let own = || sender.addresses.iter().filter_map(ipv4);
        let waiting = || {
            let packet = space.neighbours.first_waiting(device, target.into())?;
            let source: [u8; 4] = packet.bytes().get(12..16)?.try_into().ok()?;
            Some(Ipv4Addr::from(source)).filter(|source| space.is_local((*source).into()))
        };
        let source = match sender.ipv4.arp_announce() {
            1 => waiting().filter(|source| own().any(|net| net.contains(source) && net.contains(&target))),
            2 => None,
            _ => waiting(),
        };
        source
            .or_else(|| own().find(|net| net.contains(&target)).map(|net| net.addr()))
            .or_else(|| own().next().map(|net| net.addr()))
            .or_else(|| self.any_ipv4(sender.namespace))
    }

    pub(super) fn send_arp(&mut self, device: DeviceId, message: ArpMessage, destination: MacAddress) {
        let mut frame = self.pool.frame(ETHERNET_HEADER_LEN + arp::LENGTH);
        frame.set_trace(self.new_trace());
        if let Ok(bytes) = (&mut frame.bytes_mut()[ETHERNET_HEADER_LEN..]).try_into() {
            message.emit(bytes);
        }
        let header = EthernetHeader { destination, source: message.sender_mac, ethertype: EtherType::ARP };
        // The frame was made with room for the header.
        let _ = header.emit(frame.bytes_mut());
        self.transmit(device, frame, None);
    }
}

fn ipv4(net: &IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(*net),
        IpNet::V6(_) => None,
    }
}
