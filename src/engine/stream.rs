//! TCP sockets of namespaces: between programs and `crate::tcp`, which speaks the protocol.
//!
//! Segments carry partial checksums, as datagrams do (see `udp`): between namespaces none is computed. What a connection
//! over IPv4 can send at once is one frame that says how it is to be segmented, as over a veth pair of Linux with its TCP
//! segmentation offload: it passes hooks, routes and bridges once, and is cut only where somebody could tell: on a wire
//! that takes time or loses frames, at the engine's edge, and in captures.

use std::net::{IpAddr, SocketAddr};

use linkspan_nat::packet::{IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH};
use linkspan_switch::frame::{Checksum, Segmentation, SegmentationKind, TraceId};

use super::Engine;
use super::errno::Errno;
use super::flow::Handle;
use super::id::{NamespaceId, SocketId};
use super::ip::Packet;
use super::namespace_settings::NamespaceParameter;
use super::route::unspecified_like;
use super::socket::{SocketKind, free_port, meant};
use crate::tcp::{
    Change, ConnectionId, Departure, Ingress, ListenOptions, Options, Scope, Sender, SocketError, State,
    TcpError,
};

/// Most bytes handed over by one read.
const READ_LIMIT: usize = 65_536;
/// Where a TCP header has its checksum.
const TCP_CHECKSUM: u16 = 16;

impl Engine {
    /// Listens on a local address; port 0 picks a free one.
    pub(crate) fn tcp_listen(
        &mut self,
        namespace: NamespaceId,
        address: SocketAddr,
        backlog: usize,
        dual_stack: bool,
    ) -> Result<SocketId, Errno> {
        self.alive(namespace)?;
        if !address.ip().is_unspecified() && !self.is_local(namespace, address.ip()) {
            return Err(Errno::AddressNotAvailable);
        }
        let scope = Scope(namespace.0);
        let port = match address.port() {
            0 => self.pick_port(namespace, |engine, port| {
                !engine.tcp.is_listening(scope, SocketAddr::new(address.ip(), port))
            })?,
            port => port,
        };
        let local = SocketAddr::new(address.ip(), port);
        let most = self.namespace_settings.number(namespace, NamespaceParameter::SOMAXCONN);
        let backlog = backlog.min(usize::try_from(most).unwrap_or(0));
        let options = ListenOptions { backlog, dual_stack, ..ListenOptions::default() };
        let listener = self.tcp.listen(scope, local, options).map_err(errno)?;
        let id = self.sockets.insert(namespace, SocketKind::Listener(listener));
        self.sockets.by_listener.insert(listener, id);
        Ok(id)
    }

    /// Starts a connection.
    pub(crate) fn tcp_connect(
        &mut self,
        namespace: NamespaceId,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<SocketId, Errno> {
        let local = local.unwrap_or(SocketAddr::new(unspecified_like(remote.ip()), 0));
        let remote = SocketAddr::new(meant(remote.ip(), local.ip()), remote.port());
        let source = if local.ip().is_unspecified() {
            self.source_towards(namespace, remote.ip())?
        } else if self.is_local(namespace, local.ip()) {
            local.ip()
        } else {
            return Err(Errno::AddressNotAvailable);
        };
        let scope = Scope(namespace.0);
        let port = match local.port() {
            0 => self.pick_port(namespace, |engine, port| {
                // Linux begins at a random port, so that one connected to itself is rare there; counting upwards would
                // meet what counts upwards too, such as the ports Docker hands out.
                let from = SocketAddr::new(source, port);
                from != remote
                    && engine.tcp.lookup(scope, from, remote).is_none()
                    && !engine.tcp.is_listening(scope, from)
            })?,
            port => port,
        };
        let mtu = self.tcp_mtu(namespace, remote.ip());
        let from = SocketAddr::new(source, port);
        let connection = self
            .tcp
            .connect(self.now, scope, from, remote, mtu as usize, Options::default())
            .map_err(errno)?;
        let id = self.sockets.insert(namespace, SocketKind::Stream(connection));
        self.tcp.set_owner(connection, id.0);
        Ok(id)
    }

    /// Whether a connection attempt succeeded.
    pub(crate) fn tcp_connected(&mut self, id: SocketId) -> Result<(), Errno> {
        let SocketKind::Stream(connection) = self.sockets.get(id)?.kind else {
            return Err(Errno::InvalidArgument);
        };
        if let Some(error) = self.tcp.take_error(connection) {
            return Err(socket_errno(error));
        }
        match self.tcp.state(connection) {
            State::Pending | State::SynSent | State::SynReceived => Err(Errno::WouldBlock),
            State::Closed => Err(Errno::ConnectionReset),
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => Ok(()),
        }
    }

    /// The next connection of a listener and its peer.
    pub(crate) fn tcp_accept(&mut self, id: SocketId) -> Result<(SocketId, SocketAddr), Errno> {
        let socket = self.sockets.get(id)?;
        let (namespace, service) = (socket.namespace, socket.service);
        let SocketKind::Listener(listener) = socket.kind else { return Err(Errno::InvalidArgument) };
        let connection = self.tcp.accept(listener).map_err(errno)?;
        let (_, peer) = self.tcp.addresses(connection).ok_or(Errno::ConnectionReset)?;
        let stream = self.sockets.insert(namespace, SocketKind::Stream(connection));
        if let Ok(socket) = self.sockets.get_mut(stream) {
            socket.service = service;
        }
        self.tcp.set_owner(connection, stream.0);
        // Data may have come with the handshake.
        self.sockets.notify(stream);
        Ok((stream, peer))
    }

    /// Reads at most `limit` bytes; empty is the end of the stream.
    pub(crate) fn tcp_receive(&mut self, id: SocketId, limit: usize) -> Result<Vec<u8>, Errno> {
        let SocketKind::Stream(connection) = self.sockets.get(id)?.kind else {
            return Err(Errno::NotConnected);
        };
        self.tcp.receive(connection, limit.min(READ_LIMIT)).map_err(errno)
    }

    /// Writes; returns how much was taken.
    pub(crate) fn tcp_send(&mut self, id: SocketId, data: &[u8]) -> Result<usize, Errno> {
        let SocketKind::Stream(connection) = self.sockets.get(id)?.kind else {
            return Err(Errno::NotConnected);
        };
        self.tcp.send(connection, data).map_err(errno)
    }

    /// Announces the end of what is sent.
    pub(crate) fn tcp_shutdown(&mut self, id: SocketId) -> Result<(), Errno> {
        let SocketKind::Stream(connection) = self.sockets.get(id)?.kind else {
            return Err(Errno::NotConnected);
        };
        self.tcp.shutdown_write(connection).map_err(errno)
    }

    /// Resets a connection.
    pub(crate) fn tcp_reset(&mut self, id: SocketId) {
        if let Ok(SocketKind::Stream(connection)) = self.sockets.get(id).map(|s| &s.kind) {
            // A connection that is gone needs no reset.
            let _ = self.tcp.abort(*connection);
        }
    }

    /// A socket of this kind was closed.
    pub(super) fn tcp_release(&mut self, kind: &SocketKind) {
        match kind {
            // What is gone already needs no closing.
            SocketKind::Listener(listener) => drop(self.tcp.close_listener(*listener)),
            SocketKind::Stream(connection) => drop(self.tcp.close(*connection)),
            SocketKind::Udp { .. } | SocketKind::Raw { .. } | SocketKind::Packet(_) => {}
        }
    }

    /// The MTU of the way to an address.
    pub(super) fn tcp_mtu(&self, namespace: NamespaceId, towards: IpAddr) -> u32 {
        let Some(hop) = self.route(namespace, towards) else { return 1_500 };
        let device = self.device_mtu(hop.device);
        match self.namespaces[namespace.index()].as_ref() {
            Some(space) => space.path_mtu(self.now, towards, device),
            None => device,
        }
    }

    /// Gives a segment to its connection or listener. `None`: nobody wants it and a reset is due. Which socket took it
    /// is only looked up if somebody watches.
    pub(super) fn tcp_ingress(
        &mut self,
        namespace: NamespaceId,
        packet: &Packet,
        mtu: u32,
    ) -> Option<TcpReceiver> {
        let view = packet.view()?;
        let local = SocketAddr::new(view.destination(), view.destination_port()?);
        let remote = SocketAddr::new(view.source(), view.source_port()?);
        let scope = Scope(namespace.0);
        // A segment that ends a connection is delivered to it all the same.
        let known = if self.watched { self.tcp.lookup(scope, local, remote) } else { None };
        match self.tcp.ingress(self.now, scope, packet.frame.bytes(), true, mtu as usize) {
            Ingress::Consumed => {
                if !self.watched {
                    return Some(TcpReceiver::Stack);
                }
                let connection = known.or_else(|| self.tcp.lookup(scope, local, remote));
                let socket = connection.and_then(|connection| self.tcp_socket(connection));
                Some(socket.map_or(TcpReceiver::Stack, TcpReceiver::Socket))
            }
            Ingress::Overflow => Some(TcpReceiver::BacklogFull),
            Ingress::Malformed => Some(TcpReceiver::Malformed),
            Ingress::NoSocket => None,
        }
    }

    /// The socket of a connection, until its program closes it.
    fn tcp_socket(&self, connection: ConnectionId) -> Option<SocketId> {
        self.tcp.owner(connection).map(SocketId)
    }

    /// Sends what TCP has to send and wakes whom it woke; true if there was something.
    pub(super) fn tcp_egress(&mut self) -> bool {
        let mut packets = std::mem::take(&mut self.tcp_outgoing);
        let pool = &self.pool;
        self.tcp.egress(self.now, &mut |Departure { scope, sender, packet, segment_size }| {
            let mut frame = pool.copy_of(packet);
            let (start, kind) = if packet.first().is_some_and(|first| first >> 4 == 6) {
                (IPV6_HEADER_LENGTH, SegmentationKind::Tcp6)
            } else {
                (IPV4_HEADER_LENGTH, SegmentationKind::Tcp4)
            };
            frame.set_segmentation(segment_size.map(|size| Segmentation { kind, size }));
            frame.set_checksum(Checksum::Partial { start: start as u16, offset: TCP_CHECKSUM });
            packets.push((NamespaceId(scope.0), frame, sender));
        });
        let any = !packets.is_empty();
        for (namespace, mut frame, sender) in packets.drain(..) {
            if self.default_ttl(namespace, true).is_some() {
                self.set_default_ttl(namespace, frame.bytes_mut());
            }
            let known = sender.map_or(Handle::default(), |sender| Handle::from_bits(sender.way));
            let by = self.ip_send_along(known, namespace, frame);
            if let Some(Sender { connection, .. }) = sender
                && by != known
            {
                self.tcp.remember_way(connection, by.to_bits());
            }
        }
        self.tcp_outgoing = packets;
        while let Some(change) = self.tcp.take_change() {
            let socket = match change {
                Change::Connection(connection) => self.tcp_socket(connection),
                Change::Listener(listener) => self.sockets.by_listener.get(&listener).copied(),
            };
            if let Some(socket) = socket {
                self.sockets.notify(socket);
            }
        }
        any
    }

    /// An ICMP error about a segment.
    pub(super) fn tcp_error(
        &mut self,
        trace: TraceId,
        namespace: NamespaceId,
        local: SocketAddr,
        remote: SocketAddr,
        error: Errno,
        mtu: Option<u32>,
    ) {
        let Some(connection) = self.tcp.lookup(Scope(namespace.0), local, remote) else { return };
        if let Some(mtu) = mtu {
            // A connection its program closed keeps its size.
            let _ = self.tcp.set_mtu(connection, mtu as usize);
            return;
        }
        let failure = match error {
            Errno::HostUnreachable => SocketError::HostUnreachable,
            Errno::NetworkUnreachable => SocketError::NetworkUnreachable,
            Errno::PermissionDenied => SocketError::PermissionDenied,
            Errno::ProtocolNotAvailable => SocketError::ProtocolUnavailable,
            _ => SocketError::ConnectionRefused,
        };
        let connecting = self.tcp.state(connection) == State::SynSent;
        if self.tcp.error(connection, failure).is_ok()
            && connecting
            && self.tcp.state(connection) != State::SynSent
            && let Some(socket) = self.tcp_socket(connection)
        {
            self.sockets.notify(socket);
            self.socket_error(trace, namespace, socket, error);
        }
    }

    /// Whether a port is never given to whoever asks for any (`net.ipv4.ip_local_reserved_ports`).
    pub(super) fn is_reserved(&self, namespace: NamespaceId, port: u16) -> bool {
        self.namespace_settings.has(namespace, NamespaceParameter::IP_LOCAL_RESERVED_PORTS, port)
    }

    fn pick_port(
        &mut self,
        namespace: NamespaceId,
        free: impl Fn(&Engine, u16) -> bool,
    ) -> Result<u16, Errno> {
        let space =
            self.namespaces.get(namespace.index()).and_then(Option::as_ref).ok_or(Errno::BadDescriptor)?;
        let free = |port| !self.is_reserved(namespace, port) && free(self, port);
        let port = free_port(space.local_ports, space.next_port, free).ok_or(Errno::AddressInUse)?;
        if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
            space.next_port = port.wrapping_add(1);
        }
        Ok(port)
    }
}

/// Who took a segment.
pub(super) enum TcpReceiver {
    /// A socket.
    Socket(SocketId),
    /// A connection that no program holds any more.
    Stack,
    /// Nobody: the listener's backlog is full.
    BacklogFull,
    /// Nobody: it is no TCP segment.
    Malformed,
}

fn errno(error: TcpError) -> Errno {
    match error {
        TcpError::AddressInUse(_) => Errno::AddressInUse,
        TcpError::AddressInvalid(_) | TcpError::NotPending(_) => Errno::InvalidArgument,
        TcpError::WouldBlock => Errno::WouldBlock,
        TcpError::BrokenPipe => Errno::BrokenPipe,
        TcpError::Failed(error) => socket_errno(error),
        TcpError::UnknownConnection(_) | TcpError::UnknownListener(_) => Errno::BadDescriptor,
    }
}

fn socket_errno(error: SocketError) -> Errno {
    match error {
        SocketError::ConnectionRefused => Errno::ConnectionRefused,
        SocketError::ConnectionReset => Errno::ConnectionReset,
        SocketError::BrokenPipe => Errno::BrokenPipe,
        SocketError::TimedOut => Errno::TimedOut,
        SocketError::NetworkUnreachable => Errno::NetworkUnreachable,
        SocketError::HostUnreachable => Errno::HostUnreachable,
        SocketError::PermissionDenied => Errno::PermissionDenied,
        SocketError::ProtocolUnavailable => Errno::ProtocolNotAvailable,
    }
}
