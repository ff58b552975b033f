//! Local sockets of every kind, and raw ones; UDP is in `udp.rs`, TCP in `stream.rs`.
//!
//! A datagram waits in its socket's [`ReceiveBuffer`]; what does not fit is dropped and counted. Waiting programs are woken in the order they came.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::task::Waker;

use hashbrown::HashMap;
use linkspan_nat::emit::{self, IpHeader};
use linkspan_nat::packet::ICMPV6;
use linkspan_nat::rule::Family;
use linkspan_switch::frame::Frame;

use super::errno::Errno;
use super::id::{NamespaceId, ServiceId, SocketId};
use super::ip::Packet;
use super::packet_socket::{PacketSocket, PacketSockets};
use super::receive_buffer::{Ends, ReceiveBuffer};
use super::route::unspecified_like;
use super::sys::Datagram;
use super::udp::Towards;
use super::{Engine, plan};
use crate::tcp::{ConnectionId, ListenerId};

/// The sockets of an engine.
#[derive(Default)]
pub(crate) struct Sockets {
    table: Vec<Option<Socket>>,
    free: Vec<u32>,
    /// The sockets by namespace.
    of: BTreeSet<(NamespaceId, SocketId)>,
    /// UDP sockets by namespace and port, in order of binding.
    pub(super) udp: HashMap<(NamespaceId, u16), Vec<SocketId>>,
    raw: BTreeMap<NamespaceId, Vec<SocketId>>,
    pub(super) packet: PacketSockets,
    pub(crate) by_listener: HashMap<ListenerId, SocketId>,
    /// Service sockets with something to read, in order, each at most once.
    pub(crate) ready: VecDeque<SocketId>,
}

pub(crate) struct Socket {
    pub(crate) namespace: NamespaceId,
    pub(crate) kind: SocketKind,
    pub(crate) ttl: Option<u8>,
    pub(crate) program: Option<String>,
    pub(crate) service: Option<ServiceId>,
    pub(super) error: Option<Errno>,
    pub(super) towards: Option<Box<Towards>>,
    pub(super) received: ReceiveBuffer,
    wakers: Vec<Waker>,
    queued: bool,
    /// `IPV6_V6ONLY` of a UDP socket; a listener's is in `tcp`.
    pub(super) v6only: bool,
}

pub(crate) enum SocketKind {
    Udp { local: Option<SocketAddr>, remote: Option<SocketAddr> },
    Raw { family: Family, protocol: u8 },
    Packet(Box<PacketSocket>),
    Listener(ListenerId),
    Stream(ConnectionId),
}

impl Socket {
    /// Bytes that wait to be read.
    pub(crate) fn received_bytes(&self) -> usize {
        self.received.len()
    }

    /// Wakes who waits; true if the socket is to be queued for its service.
    #[inline]
    fn announce(&mut self) -> bool {
        if !self.wakers.is_empty() {
            for waker in self.wakers.drain(..) {
                waker.wake();
            }
        }
        let queue = self.service.is_some() && !self.queued;
        self.queued |= queue;
        queue
    }
}

impl Sockets {
    pub(crate) fn insert(&mut self, namespace: NamespaceId, kind: SocketKind) -> SocketId {
        let socket = Socket {
            namespace,
            kind,
            ttl: None,
            program: None,
            service: None,
            error: None,
            towards: None,
            received: ReceiveBuffer::default(),
            wakers: Vec::new(),
            queued: false,
            v6only: false,
        };
        let id = match self.free.pop() {
            Some(index) => {
                self.table[index as usize] = Some(socket);
                SocketId(index)
            }
            None => {
                // By an eighth, not by half of what is there: most sockets of a run are services that stay.
                if self.table.len() == self.table.capacity() {
                    self.table.reserve_exact(self.table.len() / 8 + 16);
                }
                self.table.push(Some(socket));
                SocketId((self.table.len() - 1) as u32)
            }
        };
        self.of.insert((namespace, id));
        id
    }

    pub(crate) fn get(&self, id: SocketId) -> Result<&Socket, Errno> {
        self.table.get(id.index()).and_then(Option::as_ref).ok_or(Errno::BadDescriptor)
    }

    pub(crate) fn get_mut(&mut self, id: SocketId) -> Result<&mut Socket, Errno> {
        self.table.get_mut(id.index()).and_then(Option::as_mut).ok_or(Errno::BadDescriptor)
    }

    /// Every socket of a namespace, by id.
    pub(crate) fn of(&self, namespace: NamespaceId) -> Vec<SocketId> {
        let range = (namespace, SocketId(0))..=(namespace, SocketId(u32::MAX));
        self.of.range(range).map(|(_, id)| *id).collect()
    }

    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        let socket = self.table.get_mut(id.index())?.take()?;
        self.free.push(id.0);
        self.of.remove(&(socket.namespace, id));
        match &socket.kind {
            SocketKind::Udp { local: Some(local), .. } => {
                let key = (socket.namespace, local.port());
                if let Some(list) = self.udp.get_mut(&key) {
                    list.retain(|other| *other != id);
                    if list.is_empty() {
                        self.udp.remove(&key);
                    }
                }
            }
            SocketKind::Udp { local: None, .. } => {}
            SocketKind::Raw { .. } => {
                if let Some(list) = self.raw.get_mut(&socket.namespace) {
                    list.retain(|other| *other != id);
                }
            }
            SocketKind::Packet(packet) => {
                let device = packet.device();
                if let Some(list) = self.packet.get_mut(&device) {
                    list.retain(|other| *other != id);
                    if list.is_empty() {
                        self.packet.remove(&device);
                    }
                }
            }
            SocketKind::Listener(listener) => {
                self.by_listener.remove(listener);
            }
            // Its connection knows it until it is closed.
            SocketKind::Stream(_) => {}
        }
        if socket.queued {
            self.ready.retain(|other| *other != id);
        }
        Some(socket)
    }

    /// Puts a datagram, of whose frame only the payload is left, into a socket's receive buffer; gives it back if that
    /// is full.
    #[inline]
    pub(super) fn push(&mut self, id: SocketId, ends: &Rc<Ends>, frame: Frame) -> Result<(), Frame> {
        let Some(Some(socket)) = self.table.get_mut(id.index()) else { return Err(frame) };
        socket.received.push(ends, frame)?;
        if socket.announce() {
            self.ready.push_back(id);
        }
        Ok(())
    }

    /// Something changed on a socket: wakes who waits, or queues it for its service.
    pub(crate) fn notify(&mut self, id: SocketId) {
        let Some(Some(socket)) = self.table.get_mut(id.index()) else { return };
        if socket.announce() {
            self.ready.push_back(id);
        }
    }

    /// Datagrams that wait to be read.
    pub(super) fn waiting(&self) -> usize {
        self.table.iter().flatten().map(|socket| socket.received.count()).sum()
    }

    pub(super) fn bound(&self, namespace: NamespaceId, port: u16) -> &[SocketId] {
        self.udp.get(&(namespace, port)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn udp_addresses(&self, id: SocketId) -> (Option<SocketAddr>, Option<SocketAddr>) {
        match self.get(id).map(|s| &s.kind) {
            Ok(SocketKind::Udp { local, remote }) => (*local, *remote),
            _ => (None, None),
        }
    }
}

/// The destination that a socket bound to `local` means: the unspecified one is oneself, by the bound address or else
/// by loopback (`ip_route_output_key`); in IPv6 always by loopback (`tcp_v6_connect`, `udpv6_sendmsg`).
pub(super) fn meant(remote: IpAddr, local: IpAddr) -> IpAddr {
    match (remote, local) {
        (IpAddr::V4(remote), IpAddr::V4(local)) if remote.is_unspecified() && !local.is_unspecified() => {
            IpAddr::V4(local)
        }
        (IpAddr::V4(remote), _) if remote.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (IpAddr::V6(remote), _) if remote.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ => remote,
    }
}

impl Engine {
    /// The source address a packet to `destination` would carry.
    pub(super) fn source_towards(
        &self,
        namespace: NamespaceId,
        destination: IpAddr,
    ) -> Result<IpAddr, Errno> {
        self.alive(namespace)?;
        if destination.is_ipv6() && self.without_ipv6(namespace) {
            return Err(Errno::AddressNotAvailable);
        }
        if destination == IpAddr::V4(Ipv4Addr::BROADCAST) || destination.is_multicast() {
            let hop = self.route(namespace, destination);
            let source = hop.and_then(|hop| self.source_for(namespace, &hop, destination));
            return source
                .or_else(|| self.any_ipv4(namespace).map(IpAddr::V4))
                .ok_or(Errno::NetworkUnreachable);
        }
        let hop = self.route(namespace, destination).ok_or(Errno::NetworkUnreachable)?;
        if let IpAddr::V4(a) = destination
            && a.is_loopback()
        {
            return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        self.source_for(namespace, &hop, destination).ok_or(Errno::AddressNotAvailable)
    }

    /// The header of a local packet. As Linux with `IP_PMTUDISC_WANT`: may not be fragmented if it fits the path.
    fn header(
        &mut self,
        namespace: NamespaceId,
        source: IpAddr,
        to: IpAddr,
        protocol: u8,
        length: usize,
    ) -> IpHeader {
        let now = self.now;
        let device = self.route_any(namespace, to, source).map_or(1_500, |hop| self.device_mtu(hop.device));
        let mut header = IpHeader::new(source, to, protocol);
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            let mtu = space.path_mtu(now, to, device);
            header.dont_fragment = length + 20 <= mtu as usize;
            space.next_identification = space.next_identification.wrapping_add(1);
            header.identification = space.next_identification;
        }
        header
    }

    fn send_segment(
        &mut self,
        namespace: NamespaceId,
        header: &IpHeader,
        segment: &[u8],
    ) -> Result<(), Errno> {
        let packet = emit::emit_ip(header, segment).map_err(|_| Errno::MessageTooLong)?;
        let frame = self.pool.copy_of(&packet);
        self.ip_send(namespace, frame);
        Ok(())
    }

    /// Sends an IP packet from a namespace's own stack as it is, as a raw socket with `IP_HDRINCL` would: its route is
    /// looked up and OUTPUT is passed. It is copied.
    pub fn transmit_packet(&mut self, namespace: NamespaceId, packet: &[u8]) {
        let frame = self.pool.copy_of(packet);
        self.ip_send(namespace, frame);
    }

    /// Sends an IPv4 packet of a program's own as `raw_send_hdrinc` does: the kernel fills in the length, the header's
    /// checksum, and the source and the identification where they are zero.
    pub(crate) fn raw_send_packet(&mut self, namespace: NamespaceId, packet: &[u8]) -> Result<(), Errno> {
        const HEADER: usize = 20;
        self.alive(namespace)?;
        let mut packet = packet.to_vec();
        let header = match packet.first() {
            Some(first) if first >> 4 == 4 => usize::from(first & 0xf) * 4,
            _ => return Err(Errno::InvalidArgument),
        };
        if header < HEADER || packet.len() < header {
            return Err(Errno::InvalidArgument);
        }
        let address = |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        let (mut source, destination) = (address(12), IpAddr::V4(address(16)));
        if source.is_unspecified()
            && let IpAddr::V4(own) = self.source_towards(namespace, destination)?
        {
            source = own;
        }
        let hop = self.route_any(namespace, destination, source.into()).ok_or(Errno::NetworkUnreachable)?;
        let length = u16::try_from(packet.len()).map_err(|_| Errno::MessageTooLong)?;
        if u32::from(length) > self.device_mtu(hop.device) {
            return Err(Errno::MessageTooLong);
        }
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        if packet[4..6] == [0, 0]
            && let Some(Some(space)) = self.namespaces.get_mut(namespace.index())
        {
            space.next_identification = space.next_identification.wrapping_add(1);
            packet[4..6].copy_from_slice(&space.next_identification.to_be_bytes());
        }
        packet[10..12].fill(0);
        packet[12..16].copy_from_slice(&source.octets());
        let sum = linkspan_nat::checksum::checksum(&packet[..header]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        self.transmit_packet(namespace, &packet);
        Ok(())
    }

    /// Opens a raw socket.
    pub(crate) fn raw_open(
        &mut self,
        namespace: NamespaceId,
        family: Family,
        protocol: u8,
    ) -> Result<SocketId, Errno> {
        self.alive(namespace)?;
        if family == Family::Ipv6 && self.without_ipv6(namespace) {
            return Err(Errno::AddressFamilyNotSupported);
        }
        self.namespace_changed(namespace);
        let id = self.sockets.insert(namespace, SocketKind::Raw { family, protocol });
        self.sockets.raw.entry(namespace).or_default().push(id);
        Ok(id)
    }

    /// Sends a message of a raw socket's protocol.
    pub(crate) fn raw_send(
        &mut self,
        id: SocketId,
        message: &[u8],
        remote: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<(), Errno> {
        let socket = self.sockets.get(id)?;
        let (namespace, ttl) = (socket.namespace, socket.ttl);
        let SocketKind::Raw { protocol, .. } = socket.kind else { return Err(Errno::InvalidArgument) };
        let remote = meant(remote, source.unwrap_or(unspecified_like(remote)));
        let own = match source {
            Some(source) if self.is_local(namespace, source) => source,
            Some(_) => return Err(Errno::AddressNotAvailable),
            None => self.source_towards(namespace, remote)?,
        };
        if self.route_any(namespace, remote, own).is_none() {
            return Err(Errno::NetworkUnreachable);
        }
        let mut header = self.header(namespace, own, remote, protocol, message.len());
        header.ttl = ttl.or_else(|| self.default_ttl(namespace, remote.is_ipv4())).unwrap_or(header.ttl);
        if protocol != ICMPV6 || message.len() < 4 {
            return self.send_segment(namespace, &header, message);
        }
        let mut message = message.to_vec();
        message[2..4].copy_from_slice(&[0, 0]);
        let sum = linkspan_nat::checksum::transport(own, remote, ICMPV6, &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.send_segment(namespace, &header, &message)
    }

    /// The next packet of a raw socket.
    pub(crate) fn raw_receive(&mut self, id: SocketId) -> Result<Datagram, Errno> {
        self.udp_receive(id)
    }

    /// Gives raw sockets their copies; true if one took it.
    pub(super) fn raw_deliver(&mut self, namespace: NamespaceId, packet: &Packet) -> bool {
        let Some(list) = self.sockets.raw.get(&namespace) else { return false };
        let Some(view) = packet.view() else { return false };
        let ends = Rc::new(Ends {
            source: SocketAddr::new(view.source(), 0),
            destination: SocketAddr::new(view.destination(), 0),
        });
        let wanted = packet.layout.protocol();
        let ipv4 = view.source().is_ipv4();
        let takers: Vec<SocketId> = list
            .iter()
            .copied()
            .filter(|id| match self.sockets.get(*id).map(|s| &s.kind) {
                Ok(SocketKind::Raw { family, protocol }) => {
                    *protocol == wanted && (*family == Family::Ipv4) == ipv4
                }
                _ => false,
            })
            .collect();
        for id in &takers {
            // A raw socket whose buffer is full misses its copy, as on Linux.
            let _ = self.sockets.push(*id, &ends, packet.frame.share());
        }
        !takers.is_empty()
    }

    /// Who is woken when something changes on the socket.
    pub(crate) fn register(&mut self, id: SocketId, waker: &Waker) {
        match self.sockets.get_mut(id) {
            Ok(socket) => {
                if !socket.wakers.iter().any(|w| w.will_wake(waker)) {
                    socket.wakers.push(waker.clone());
                }
            }
            // The next call answers that the descriptor is gone.
            Err(_) => waker.wake_by_ref(),
        }
    }

    /// Sets the time to live of what a socket sends.
    pub(crate) fn set_ttl(&mut self, id: SocketId, ttl: u8) {
        if let Ok(socket) = self.sockets.get_mut(id) {
            socket.ttl = Some(ttl);
        }
    }

    /// Says which program a socket belongs to.
    pub(crate) fn name_socket(&mut self, id: SocketId, program: String) {
        if let Ok(socket) = self.sockets.get_mut(id) {
            socket.program = Some(program);
        }
    }

    /// The local address of a socket.
    pub(crate) fn local_address(&self, id: SocketId) -> Result<SocketAddr, Errno> {
        match &self.sockets.get(id)?.kind {
            SocketKind::Udp { local, .. } => {
                Ok(local.unwrap_or(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))))
            }
            SocketKind::Raw { .. } | SocketKind::Packet(_) => Err(Errno::InvalidArgument),
            SocketKind::Listener(listener) => {
                self.tcp.listener_address(*listener).ok_or(Errno::BadDescriptor)
            }
            SocketKind::Stream(connection) => {
                self.tcp.addresses(*connection).map(|(local, _)| local).ok_or(Errno::BadDescriptor)
            }
        }
    }

    /// The peer's address.
    pub(crate) fn peer_address(&self, id: SocketId) -> Result<SocketAddr, Errno> {
        match &self.sockets.get(id)?.kind {
            SocketKind::Udp { remote, .. } => remote.ok_or(Errno::NotConnected),
            SocketKind::Stream(connection) => {
                self.tcp.addresses(*connection).map(|(_, peer)| peer).ok_or(Errno::NotConnected)
            }
            SocketKind::Raw { .. } | SocketKind::Packet(_) | SocketKind::Listener(_) => {
                Err(Errno::NotConnected)
            }
        }
    }

    /// Closes a socket. Closing twice is no error.
    pub(crate) fn close(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(id) else { return };
        if matches!(socket.kind, SocketKind::Udp { .. } | SocketKind::Raw { .. }) {
            self.namespace_changed(socket.namespace);
        }
        self.observe();
        self.tcp_release(&socket.kind);
        for waker in socket.wakers {
            waker.wake();
        }
    }

    /// Opens the socket of a service.
    pub(super) fn service_listen(
        &mut self,
        namespace: NamespaceId,
        address: SocketAddr,
        transport: plan::Transport,
        service: ServiceId,
    ) -> Result<SocketId, Errno> {
        let id = match transport {
            plan::Transport::Udp => {
                let id = self.udp_open(namespace)?;
                if let Err(error) = self.udp_bind(id, address) {
                    self.sockets.remove(id);
                    return Err(error);
                }
                id
            }
            plan::Transport::Tcp => self.tcp_listen(namespace, address, 128, true)?,
        };
        self.sockets.get_mut(id)?.service = Some(service);
        Ok(id)
    }

    /// What happens on a socket is reported to a service from now on.
    pub(crate) fn set_service(&mut self, id: SocketId, service: ServiceId) {
        if let Ok(socket) = self.sockets.get_mut(id) {
            socket.service = Some(service);
        }
    }

    /// The next service socket with something to do: a datagram, a new connection, data, or the end of one.
    pub fn take_service_event(&mut self) -> Option<(ServiceId, SocketId)> {
        loop {
            let id = self.sockets.ready.pop_front()?;
            if let Ok(socket) = self.sockets.get_mut(id) {
                socket.queued = false;
                if let Some(service) = socket.service {
                    return Some((service, id));
                }
            }
        }
    }

    pub(super) fn alive(&self, namespace: NamespaceId) -> Result<(), Errno> {
        match self.namespaces.get(namespace.index()) {
            Some(Some(_)) => Ok(()),
            _ => Err(Errno::BadDescriptor),
        }
    }
}

/// True if two local addresses cannot be bound to one port.
pub(super) fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_unspecified() || b.is_unspecified()) && (a.is_ipv4() == b.is_ipv4())
}

/// The first free port from `start` on, wrapping round in the range.
pub(super) fn free_port(range: (u16, u16), start: u16, free: impl Fn(u16) -> bool) -> Option<u16> {
    let (first, last) = range;
    let start = if (first..=last).contains(&start) { start } else { first };
    (start..=last).chain(first..start).find(|port| free(*port))
}
