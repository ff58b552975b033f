//! UDP sockets: binding, sending, receiving, and which socket a datagram is for.
//!
//! A packet that a namespace makes itself carries a partial checksum, as on Linux: it is finished where it leaves
//! what linkspan can see into (a wire that may damage it, an external device, a capture), and between namespaces
//! never. What a socket's last datagram found out (source, path MTU) is kept for the next to the same peer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use linkspan_nat::checksum;
use linkspan_nat::emit::{self, IpHeader};
use linkspan_nat::packet::{IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, UDP};
use linkspan_switch::ethernet::ETHERNET_HEADER_LEN;
use linkspan_switch::frame::{Checksum, Frame, Pool, TraceId};

use super::Engine;
use super::errno::Errno;
use super::flow::{Basis, Handle};
use super::id::{NamespaceId, SocketId};
use super::receive_buffer::Waiting;
use super::route::unspecified_like;
use super::socket::{Socket, SocketKind, Sockets, free_port, meant, overlap};
use super::sys::Datagram;

/// Largest UDP payload over IPv4.
const UDP_LIMIT: usize = 65_507;
const UDP_HEADER_LENGTH: usize = 8;

/// How a socket's datagrams to one peer begin.
pub(super) struct Towards {
    remote: SocketAddr,
    source: SocketAddr,
    ttl: Option<u8>,
    mtu: u32,
    /// The headers of a datagram without payload and identification, behind room for that of Ethernet, which is filled in
    /// if `first` names a decision.
    headers: [u8; ETHERNET_HEADER_LEN + IPV6_HEADER_LENGTH + UDP_HEADER_LENGTH],
    /// Sums of the IPv4 header and of the pseudo header, both without lengths.
    header_sum: u16,
    pseudo_sum: u16,
    /// By which such datagrams leave the namespace; it rests on `basis`.
    first: Handle,
    basis: Basis,
    until: Duration,
}

impl Towards {
    fn new(
        source: SocketAddr,
        remote: SocketAddr,
        ttl: Option<u8>,
        mtu: u32,
        basis: Basis,
        until: Duration,
    ) -> Result<Towards, Errno> {
        let plain = IpHeader::new(source.ip(), remote.ip(), UDP);
        let header = IpHeader { ttl: ttl.unwrap_or(plain.ttl), dont_fragment: false, ..plain };
        let mut ip = Vec::new();
        emit::emit_ip_header(&header, 0, &mut ip).map_err(|_| Errno::AddressFamilyNotSupported)?;
        let mut header_sum = 0;
        if source.is_ipv4() {
            ip[2..4].fill(0);
            ip[10..12].fill(0);
            header_sum = checksum::sum(&ip);
        }
        let mut headers = [0; ETHERNET_HEADER_LEN + IPV6_HEADER_LENGTH + UDP_HEADER_LENGTH];
        let packet = &mut headers[ETHERNET_HEADER_LEN..];
        packet[..ip.len()].copy_from_slice(&ip);
        packet[ip.len()..][..2].copy_from_slice(&source.port().to_be_bytes());
        packet[ip.len() + 2..][..2].copy_from_slice(&remote.port().to_be_bytes());
        let pseudo_sum = checksum::pseudo_header(source.ip(), remote.ip(), UDP, 0);
        let first = Handle::default();
        Ok(Towards { remote, source, ttl, mtu, headers, header_sum, pseudo_sum, first, basis, until })
    }

    /// Datagrams leave by this decision, with this Ethernet header.
    fn leave_by(&mut self, (first, header): (Handle, [u8; ETHERNET_HEADER_LEN])) {
        self.first = first;
        self.headers[..ETHERNET_HEADER_LEN].copy_from_slice(&header);
    }

    /// Bytes of a datagram's packet.
    #[inline]
    fn packet_length(&self, payload: &[u8]) -> usize {
        let header = if self.source.is_ipv4() { IPV4_HEADER_LENGTH } else { IPV6_HEADER_LENGTH };
        header + UDP_HEADER_LENGTH + payload.len()
    }

    /// A datagram in its packet.
    fn packet(&self, pool: &Pool, identification: u16, payload: &[u8]) -> Result<Frame, Errno> {
        let mut frame = self.frame(pool, identification, payload)?;
        frame.pull_front(ETHERNET_HEADER_LEN);
        Ok(frame)
    }

    /// A datagram in its Ethernet frame. Its checksum is left to whoever needs one: between namespaces nobody does.
    #[inline]
    fn frame(&self, pool: &Pool, identification: u16, payload: &[u8]) -> Result<Frame, Errno> {
        const IPV4: usize = ETHERNET_HEADER_LEN + IPV4_HEADER_LENGTH + UDP_HEADER_LENGTH;
        let length = (UDP_HEADER_LENGTH + payload.len()) as u16;
        let sum = checksum::add(self.pseudo_sum, length);
        let mut frame;
        let start = match self.headers.first_chunk::<IPV4>() {
            Some(headers) if self.source.is_ipv4() => {
                let total = u16::try_from(IPV4_HEADER_LENGTH + UDP_HEADER_LENGTH + payload.len());
                let total = total.map_err(|_| Errno::MessageTooLong)?;
                // As Linux with IP_PMTUDISC_WANT: may not be fragmented if it fits the path.
                let flags: u16 = if u32::from(total) <= self.mtu { 0x4000 } else { 0 };
                let fields = u64::from(total) + u64::from(identification) + u64::from(flags);
                let header_checksum = !checksum::fold(u64::from(self.header_sum) + fields);
                frame = pool.packet(headers, payload, |headers| {
                    headers[16..18].copy_from_slice(&total.to_be_bytes());
                    headers[18..20].copy_from_slice(&identification.to_be_bytes());
                    headers[20..22].copy_from_slice(&flags.to_be_bytes());
                    headers[24..26].copy_from_slice(&header_checksum.to_be_bytes());
                    headers[38..40].copy_from_slice(&length.to_be_bytes());
                    headers[40..42].copy_from_slice(&sum.to_be_bytes());
                });
                ETHERNET_HEADER_LEN + IPV4_HEADER_LENGTH
            }
            _ => {
                frame = pool.packet(&self.headers, payload, |headers| {
                    headers[18..20].copy_from_slice(&length.to_be_bytes());
                    headers[58..60].copy_from_slice(&length.to_be_bytes());
                    headers[60..62].copy_from_slice(&sum.to_be_bytes());
                });
                ETHERNET_HEADER_LEN + IPV6_HEADER_LENGTH
            }
        };
        frame.set_checksum(Checksum::Partial { start: start as u16, offset: 6 });
        Ok(frame)
    }
}

impl Engine {
    /// Opens a UDP socket.
    pub(crate) fn udp_open(&mut self, namespace: NamespaceId) -> Result<SocketId, Errno> {
        self.alive(namespace)?;
        Ok(self.sockets.insert(namespace, SocketKind::Udp { local: None, remote: None }))
    }

    /// Sets `IPV6_V6ONLY`: bound to `[::]`, a UDP socket takes no IPv4.
    pub(crate) fn udp_set_v6only(&mut self, id: SocketId) {
        if let Ok(socket) = self.sockets.get_mut(id) {
            socket.v6only = true;
        }
    }

    /// Binds a UDP socket; port 0 picks one from the namespace's range.
    pub(crate) fn udp_bind(&mut self, id: SocketId, local: SocketAddr) -> Result<SocketAddr, Errno> {
        let socket = self.sockets.get(id)?;
        let namespace = socket.namespace;
        self.namespace_changed(namespace);
        let socket = self.sockets.get(id)?;
        match &socket.kind {
            SocketKind::Udp { local: None, .. } => {}
            _ => return Err(Errno::InvalidArgument),
        }
        if !local.ip().is_unspecified() && !local.ip().is_multicast() && !self.is_local(namespace, local.ip())
        {
            return Err(Errno::AddressNotAvailable);
        }
        let taken = |sockets: &Sockets, port: u16| {
            sockets.bound(namespace, port).iter().any(|other| {
                let other = sockets.udp_addresses(*other).0;
                other.is_some_and(|other| overlap(other.ip(), local.ip()))
            })
        };
        let port = if local.port() != 0 {
            if taken(&self.sockets, local.port()) {
                return Err(Errno::AddressInUse);
            }
            local.port()
        } else {
            let sockets = &self.sockets;
            let free = |port| !taken(sockets, port);
            let space = self
                .namespaces
                .get(namespace.index())
                .and_then(Option::as_ref)
                .ok_or(Errno::BadDescriptor)?;
            let free = |port| !self.is_reserved(namespace, port) && free(port);
            free_port(space.local_ports, space.next_port, free).ok_or(Errno::AddressInUse)?
        };
        if local.port() == 0
            && let Some(Some(space)) = self.namespaces.get_mut(namespace.index())
        {
            space.next_port = port.wrapping_add(1);
        }
        let bound = SocketAddr::new(local.ip(), port);
        if let Ok(socket) = self.sockets.get_mut(id)
            && let SocketKind::Udp { local, .. } = &mut socket.kind
        {
            *local = Some(bound);
        }
        self.sockets.udp.entry((namespace, port)).or_default().push(id);
        Ok(bound)
    }

    /// Sets the peer of a UDP socket.
    pub(crate) fn udp_connect(&mut self, id: SocketId, peer: SocketAddr) -> Result<(), Errno> {
        let namespace = self.sockets.get(id)?.namespace;
        self.namespace_changed(namespace);
        let bound = self.sockets.udp_addresses(id).0.map_or(unspecified_like(peer.ip()), |local| local.ip());
        let peer = SocketAddr::new(meant(peer.ip(), bound), peer.port());
        let source = self.source_towards(namespace, peer.ip())?;
        if self.sockets.udp_addresses(id).0.is_none() {
            self.udp_bind(id, SocketAddr::new(source, 0))?;
        }
        match &mut self.sockets.get_mut(id)?.kind {
            SocketKind::Udp { local, remote } => {
                *remote = Some(peer);
                if let Some(local) = local
                    && local.ip().is_unspecified()
                {
                    local.set_ip(source);
                }
                Ok(())
            }
            _ => Err(Errno::InvalidArgument),
        }
    }

    /// Sends a datagram to `remote`, or to the connected peer.
    pub(crate) fn udp_send(
        &mut self,
        id: SocketId,
        remote: Option<SocketAddr>,
        payload: &[u8],
    ) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(id)?;
        let SocketKind::Udp { remote: peer, .. } = socket.kind else { return Err(Errno::InvalidArgument) };
        match remote.or(peer) {
            Some(remote) => self.udp_send_to(id, &remote, payload),
            None => Err(socket.error.take().unwrap_or(Errno::NotConnected)),
        }
    }

    /// Sends a datagram to `remote`, whether the socket is connected or not.
    fn udp_send_to(&mut self, id: SocketId, remote: &SocketAddr, payload: &[u8]) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(id)?;
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        if !matches!(socket.kind, SocketKind::Udp { .. }) {
            return Err(Errno::InvalidArgument);
        }
        if payload.len() > UDP_LIMIT {
            return Err(Errno::MessageTooLong);
        }
        let (namespace, ttl, remote) = (socket.namespace, socket.ttl, *remote);
        if let Some(way) = &socket.towards
            && way.remote == remote
            && way.ttl == ttl
            && way.basis.epoch == self.epoch
            && self.now < way.until
            && let Some(Some(space)) = self.namespaces.get_mut(namespace.index())
            && way.basis.namespace_epoch == space.epoch
        {
            space.next_identification = space.next_identification.wrapping_add(1);
            if !self.observed
                && let Some(exit) =
                    self.flows.way_out(way.first, &mut space.netfilter, self.now, way.packet_length(payload))
            {
                let frame = way.frame(&self.pool, space.next_identification, payload)?;
                let first = way.first;
                self.send_framed(first, exit, frame);
                return Ok(());
            }
            let frame = way.packet(&self.pool, space.next_identification, payload)?;
            self.udp_send_undecided(id, namespace, frame);
            return Ok(());
        }
        let way = self.udp_towards(namespace, id, ttl, None, remote)?;
        let space = self.namespaces[namespace.index()].as_mut().ok_or(Errno::BadDescriptor)?;
        space.next_identification = space.next_identification.wrapping_add(1);
        let frame = way.packet(&self.pool, space.next_identification, payload)?;
        self.sockets.get_mut(id)?.towards = Some(Box::new(way));
        self.udp_send_undecided(id, namespace, frame);
        Ok(())
    }

    /// Sends a datagram from this address of the namespace, whatever the socket is bound to: `sendmsg(2)` with IP_PKTINFO.
    pub(crate) fn udp_send_from(
        &mut self,
        id: SocketId,
        source: IpAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(id)?;
        if payload.len() > UDP_LIMIT {
            return Err(Errno::MessageTooLong);
        }
        let (namespace, ttl) = (socket.namespace, socket.ttl);
        let way = self.udp_towards(namespace, id, ttl, Some(source), remote)?;
        let space = self.namespaces[namespace.index()].as_mut().ok_or(Errno::BadDescriptor)?;
        space.next_identification = space.next_identification.wrapping_add(1);
        let frame = way.packet(&self.pool, space.next_identification, payload)?;
        self.ip_send(namespace, frame);
        Ok(())
    }

    /// Sends a datagram the ordinary way, and sees whether that is known then.
    #[cold]
    fn udp_send_undecided(&mut self, id: SocketId, namespace: NamespaceId, frame: Frame) {
        self.ip_send(namespace, frame);
        let key = |socket: &Socket| socket.towards.as_ref().map(|way| (way.basis, way.source, way.remote));
        let Some((basis, source, remote)) = self.sockets.get(id).ok().and_then(key) else { return };
        if let Some(first) = self.first_decision(&basis, UDP, source, remote)
            && let Ok(Socket { towards: Some(way), .. }) = self.sockets.get_mut(id)
        {
            way.leave_by(first);
        }
    }

    /// Finds out how a socket's datagrams to a peer begin.
    #[cold]
    fn udp_towards(
        &mut self,
        namespace: NamespaceId,
        id: SocketId,
        ttl: Option<u8>,
        from: Option<IpAddr>,
        remote: SocketAddr,
    ) -> Result<Towards, Errno> {
        let (mut local, _) = self.sockets.udp_addresses(id);
        let bound = from.or(local.map(|local| local.ip())).unwrap_or(unspecified_like(remote.ip()));
        let remote = SocketAddr::new(meant(remote.ip(), bound), remote.port());
        let source = match (from, local) {
            (Some(from), _) => from,
            (None, Some(local)) if !local.ip().is_unspecified() => local.ip(),
            (None, _) => self.source_towards(namespace, remote.ip())?,
        };
        if source.is_ipv4() != remote.is_ipv4() {
            return Err(Errno::AddressFamilyNotSupported);
        }
        let hop = self.route_any(namespace, remote.ip(), source).ok_or(Errno::NetworkUnreachable)?;
        if local.is_none() {
            local = Some(self.udp_bind(id, SocketAddr::new(unspecified_like(remote.ip()), 0))?);
        }
        let device_mtu = self.device_mtu(hop.device);
        let space = self.namespaces[namespace.index()].as_ref().ok_or(Errno::BadDescriptor)?;
        let (mtu, until) = space.path_mtu_until(self.now, remote.ip(), device_mtu);
        let source = SocketAddr::new(source, local.map_or(0, |local| local.port()));
        let basis = self.basis(namespace).ok_or(Errno::BadDescriptor)?;
        let used = ttl.or_else(|| self.default_ttl(namespace, remote.is_ipv4()));
        let mut way = Towards { ttl, ..Towards::new(source, remote, used, mtu, basis, until)? };
        if let Some(first) = self.first_decision(&basis, UDP, source, remote) {
            way.leave_by(first);
        }
        Ok(way)
    }

    /// Sends a datagram from a service's socket (see [`Engine::take_service_event`]).
    ///
    /// # Errors
    /// As `sendto(2)`: no route, an earlier ICMP error, a payload that is too long.
    pub fn send_datagram(&mut self, id: SocketId, remote: SocketAddr, payload: &[u8]) -> Result<(), Errno> {
        self.udp_send_to(id, &remote, payload)
    }

    /// The next datagram; a pending error first.
    pub(crate) fn udp_receive(&mut self, id: SocketId) -> Result<Datagram, Errno> {
        let socket = self.sockets.get_mut(id)?;
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let Waiting { ends, frame } = socket.received.pop().ok_or(Errno::WouldBlock)?;
        let payload = self.payloads.copy(frame.bytes());
        Ok(Datagram { source: ends.source, destination: ends.destination, payload })
    }

    /// Copies the next datagram of a service's socket (see [`Engine::take_service_event`]) to `buffer`; its length
    /// and sender. What is longer than the buffer is cut off, as by `recvfrom(2)`. `None` if none waits.
    pub fn receive_datagram(&mut self, id: SocketId, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let socket = self.sockets.get_mut(id).ok()?;
        let Waiting { ends, frame } = socket.received.pop()?;
        let bytes = frame.bytes();
        let taken = bytes.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&bytes[..taken]);
        Some((taken, ends.source))
    }

    /// The UDP socket for a datagram: the one that is bound most specifically, a connected one first.
    pub(super) fn udp_lookup(
        &self,
        namespace: NamespaceId,
        to: SocketAddr,
        from: SocketAddr,
    ) -> Option<SocketId> {
        let candidates = self.sockets.bound(namespace, to.port()).iter().copied();
        let takes_ipv4 = |id: &SocketId, local: SocketAddr| {
            local.is_ipv6() && self.sockets.get(*id).is_ok_and(|socket| !socket.v6only)
        };
        let score = |id: &SocketId| -> Option<u8> {
            let (local, remote) = self.sockets.udp_addresses(*id);
            let local = local?;
            let own = if local.ip() == to.ip() {
                2
            } else if local.ip().is_unspecified()
                && (local.is_ipv4() == to.is_ipv4() || takes_ipv4(id, local))
            {
                0
            } else {
                return None;
            };
            match remote {
                None => Some(own),
                Some(remote) if remote == from => Some(own + 4),
                Some(_) => None,
            }
        };
        let mut best: Option<(u8, SocketId)> = None;
        for id in candidates {
            if let Some(points) = score(&id)
                && best.is_none_or(|(top, _)| points > top)
            {
                best = Some((points, id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// An ICMP error about a datagram: only a connected socket hears of it, and of soft ones only if fatal.
    pub(super) fn udp_error(
        &mut self,
        trace: TraceId,
        namespace: NamespaceId,
        local: SocketAddr,
        remote: SocketAddr,
        errno: Errno,
        fatal: bool,
    ) {
        let Some(id) = self.udp_lookup(namespace, local, remote) else { return };
        let connected = self.sockets.udp_addresses(id).1.is_some();
        // Linux: a connected UDP socket gets hard errors; EHOSTUNREACH from a failed neighbour is one for it too.
        if connected && (fatal || errno == Errno::HostUnreachable || errno == Errno::NetworkUnreachable) {
            if let Ok(socket) = self.sockets.get_mut(id) {
                socket.error = Some(errno);
            }
            self.sockets.notify(id);
            self.socket_error(trace, namespace, id, errno);
        }
    }
}
