//! Packet sockets, packet(7): frames of one interface as they are on the wire, sent and received past the IP layer.
//!
//! A socket is bound to an interface and to one EtherType or to all of them. With all it sees every frame that the
//! interface receives, before a bridge or a child takes it, and every frame that others send by it; with one EtherType
//! it sees what is left for the interface's own stack, whatever hardware address the frame is for, as
//! `__netif_receive_skb_core` has it. What it sends goes out as it is: no route, no neighbour, no hook, no conntrack.
//!
//! A copy of what was seen waits in a queue that is bounded as `net.core.rmem_default`; what does not fit is missed and
//! counted by the socket (`PACKET_STATISTICS`). The frame itself goes on, so that this is no [`DropReason`]. Frames
//! are shown as captures show them: checksums complete, segments cut. `lo` has no Ethernet header on its wire; here it
//! shows one of zeros, as Linux's has.
//!
//! While no packet socket is open in the engine nothing is asked about them: [`Engine::observed`] is the one flag that
//! fast paths look at.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use linkspan_nat::interface::InterfaceName;
use linkspan_switch::ethernet::{ETHERNET_HEADER_LEN, EtherType, EthernetHeader};
use linkspan_switch::frame::Frame;
use linkspan_switch::mac::MacAddress;
use linkspan_switch::vlan::VLAN_TAG_LEN;

use super::errno::Errno;
use super::ethernet::network_offset;
use super::event::DropReason;
use super::id::{DeviceId, NamespaceId, SocketId};
use super::receive_buffer::{DATAGRAM_OVERHEAD, LIMIT};
use super::socket::SocketKind;
use super::{Engine, captured_segments};

/// A frame as a packet socket sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFrame {
    /// Whom it is for, or that it leaves.
    pub kind: PacketType,
    /// The whole frame with its Ethernet header.
    pub frame: Bytes,
}

/// Whom a frame on an interface is for (`sll_pkttype` of packet(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketType {
    /// The interface's hardware address.
    Host,
    /// Everybody.
    Broadcast,
    /// A group.
    Multicast,
    /// Another hardware address.
    OtherHost,
    /// It leaves by the interface.
    Outgoing,
}

/// What a packet socket has seen (`PACKET_STATISTICS`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PacketStatistics {
    /// Frames for this socket, missed ones too.
    pub packets: u64,
    /// Frames missed because the receive buffer was full.
    pub drops: u64,
}

/// What a packet socket has beside what all sockets have.
pub(crate) struct PacketSocket {
    device: DeviceId,
    /// `None`: all of them (`ETH_P_ALL`).
    ethertype: Option<EtherType>,
    waiting: VecDeque<SeenFrame>,
    bytes: usize,
    statistics: PacketStatistics,
}

/// The packet sockets of every device that has some, in order of opening.
pub(super) type PacketSockets = BTreeMap<DeviceId, Vec<SocketId>>;

impl PacketSocket {
    fn push(&mut self, seen: SeenFrame) -> bool {
        self.statistics.packets += 1;
        let charged = self.bytes + DATAGRAM_OVERHEAD * self.waiting.len();
        if charged + seen.frame.len() + DATAGRAM_OVERHEAD > LIMIT {
            self.statistics.drops += 1;
            return false;
        }
        self.bytes += seen.frame.len();
        self.waiting.push_back(seen);
        true
    }

    fn pop(&mut self) -> Option<SeenFrame> {
        let seen = self.waiting.pop_front()?;
        self.bytes -= seen.frame.len();
        Some(seen)
    }

    /// The device it is bound to.
    pub(super) fn device(&self) -> DeviceId {
        self.device
    }
}

impl Engine {
    /// Opens a packet socket on an interface of the namespace.
    pub(crate) fn packet_open(
        &mut self,
        namespace: NamespaceId,
        interface: &str,
        ethertype: Option<u16>,
    ) -> Result<SocketId, Errno> {
        self.alive(namespace)?;
        let device = self.device_called(namespace, interface).ok_or(Errno::NoSuchDevice)?;
        let socket = PacketSocket {
            device,
            ethertype: ethertype.map(EtherType),
            waiting: VecDeque::new(),
            bytes: 0,
            statistics: PacketStatistics::default(),
        };
        let id = self.sockets.insert(namespace, SocketKind::Packet(Box::new(socket)));
        self.sockets.packet.entry(device).or_default().push(id);
        self.observe();
        Ok(id)
    }

    /// Sends a whole frame by the socket's interface.
    pub(crate) fn packet_send(&mut self, id: SocketId, frame: &[u8]) -> Result<(), Errno> {
        let device = self.packet_socket(id)?.device;
        let Some(Some(sender)) = self.devices.get(device.index()) else { return Err(Errno::NoSuchDevice) };
        if !sender.up {
            return Err(Errno::NetworkDown);
        }
        let header = EthernetHeader::parse(frame).map_err(|_| Errno::InvalidArgument)?;
        let tag = if header.ethertype == EtherType::VLAN { VLAN_TAG_LEN } else { 0 };
        if frame.len() > ETHERNET_HEADER_LEN + tag + sender.mtu as usize {
            return Err(Errno::MessageTooLong);
        }
        let (namespace, ethernet) = (sender.namespace, sender.is_ethernet());
        let mut copy = self.pool.copy_of(frame);
        copy.set_trace(self.new_trace());
        if !ethernet {
            if !matches!(header.ethertype, EtherType::IPV4 | EtherType::IPV6) {
                self.drop_frame(copy, Some(namespace), Some(device), DropReason::UnknownEtherType);
                return Ok(());
            }
            copy.pull_front(ETHERNET_HEADER_LEN);
        }
        self.packet_sender = Some(id);
        self.transmit(device, copy, None);
        self.packet_sender = None;
        Ok(())
    }

    /// The next frame that the socket saw; that its interface went away or down first.
    pub(crate) fn packet_receive(&mut self, id: SocketId) -> Result<SeenFrame, Errno> {
        if let Some(error) = self.sockets.get_mut(id)?.error.take() {
            return Err(error);
        }
        self.packet_socket(id)?.pop().ok_or(Errno::WouldBlock)
    }

    /// Frames seen and missed since this was asked last.
    pub(crate) fn packet_statistics(&mut self, id: SocketId) -> Result<PacketStatistics, Errno> {
        Ok(std::mem::take(&mut self.packet_socket(id)?.statistics))
    }

    fn packet_socket(&mut self, id: SocketId) -> Result<&mut PacketSocket, Errno> {
        match &mut self.sockets.get_mut(id)?.kind {
            SocketKind::Packet(socket) => Ok(socket),
            _ => Err(Errno::InvalidArgument),
        }
    }

    /// Notes whether anybody looks at frames.
    pub(super) fn observe(&mut self) {
        self.observed = self.watched || !self.sockets.packet.is_empty();
    }

    /// Shows a frame that a device received to sockets for all EtherTypes.
    #[cold]
    pub(super) fn show_received(&mut self, device: DeviceId, frame: &Frame) {
        self.show(device, frame, None, |socket, _| socket.ethertype.is_none());
    }

    /// Shows a frame that is for a device's own stack to sockets for its EtherType.
    #[cold]
    pub(super) fn show_own(&mut self, device: DeviceId, frame: &Frame) {
        self.show(device, frame, None, |socket, ethertype| socket.ethertype == Some(ethertype));
    }

    /// Shows a frame that a device sends to sockets for all EtherTypes, but not to the one that sent it.
    #[cold]
    pub(super) fn show_sent(&mut self, device: DeviceId, frame: &Frame) {
        self.show(device, frame, Some(PacketType::Outgoing), |socket, _| socket.ethertype.is_none());
    }

    fn show(
        &mut self,
        device: DeviceId,
        frame: &Frame,
        direction: Option<PacketType>,
        wants: impl Fn(&PacketSocket, EtherType) -> bool,
    ) {
        let Some(Some(owner)) = self.devices.get(device.index()) else { return };
        let Some(sockets) = self.sockets.packet.get(&device) else { return };
        let (ethernet, mac) = (owner.is_ethernet(), owner.mac);
        let ethertype = match EthernetHeader::parse(frame.bytes()) {
            Ok(header) if ethernet => header.ethertype,
            _ => version(frame.bytes()),
        };
        let mut shown = None;
        for id in sockets.clone() {
            let Ok(SocketKind::Packet(socket)) = self.sockets.get(id).map(|socket| &socket.kind) else {
                continue;
            };
            if Some(id) == self.packet_sender && direction.is_some() || !wants(socket, ethertype) {
                continue;
            }
            let shown = shown.get_or_insert_with(|| {
                let bytes = captured_segments(frame, network_offset(frame, ethernet));
                let whole = |bytes: Bytes| if ethernet { bytes } else { with_zeros(&bytes, ethertype) };
                bytes.into_iter().map(whole).collect::<Vec<_>>()
            });
            for bytes in shown.iter() {
                let kind = direction.unwrap_or_else(|| received_as(bytes, mac, ethernet));
                if let Ok(socket) = self.packet_socket(id)
                    && socket.push(SeenFrame { kind, frame: bytes.clone() })
                {
                    self.sockets.notify(id);
                }
            }
        }
    }

    /// The interface went down or away: its packet sockets hear of it (`packet_notifier`).
    pub(super) fn packet_sockets_down(&mut self, device: DeviceId) {
        for id in self.sockets.packet.get(&device).cloned().unwrap_or_default() {
            if let Ok(socket) = self.sockets.get_mut(id) {
                socket.error = Some(Errno::NetworkDown);
            }
            self.sockets.notify(id);
        }
    }

    fn device_called(&self, namespace: NamespaceId, name: &str) -> Option<DeviceId> {
        let name = InterfaceName::parse(name).ok()?;
        self.namespaces.get(namespace.index())?.as_ref()?.by_name.get(&name)
    }
}

/// `skb->pkt_type` of a received frame.
fn received_as(frame: &[u8], own: MacAddress, ethernet: bool) -> PacketType {
    match EthernetHeader::parse(frame) {
        _ if !ethernet => PacketType::Host,
        Ok(header) if header.destination == MacAddress::BROADCAST => PacketType::Broadcast,
        Ok(header) if header.destination.is_multicast() => PacketType::Multicast,
        Ok(header) if header.destination == own => PacketType::Host,
        _ => PacketType::OtherHost,
    }
}

/// The EtherType that an IP packet on `lo` would have.
fn version(packet: &[u8]) -> EtherType {
    match packet.first().map(|first| first >> 4) {
        Some(6) => EtherType::IPV6,
        _ => EtherType::IPV4,
    }
}

fn with_zeros(packet: &[u8], ethertype: EtherType) -> Bytes {
    let mut frame = BytesMut::with_capacity(ETHERNET_HEADER_LEN + packet.len());
    frame.put_bytes(0, ETHERNET_HEADER_LEN - 2);
    frame.put_u16(ethertype.0);
    frame.put_slice(packet);
    frame.freeze()
}
