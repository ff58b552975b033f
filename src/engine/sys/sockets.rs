//! The sockets of a process: UDP, TCP, raw and packet sockets as programs see them.
//!
//! Each is a handle on a socket of the engine, which closes when the handle is dropped. Whatever waits does so by
//! being woken when something arrives for the socket; limits and errors are the engine's (`socket.rs` and its kin).

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use linkspan_nat::packet::{ICMP, ICMPV6};

use super::{Errno, Family, PacketStatistics, SeenFrame, Sys};
use crate::engine::Engine;
use crate::engine::id::SocketId;

impl Sys {
    /// Opens a UDP socket.
    pub fn udp_socket(&self) -> Result<UdpSocket, Errno> {
        let id = self.engine.borrow_mut().udp_open(self.namespace)?;
        self.name_socket(id);
        Ok(UdpSocket { handle: Handle { engine: self.engine.clone(), id } })
    }

    /// Opens a raw socket: it gets a copy of every packet of that IP protocol for this namespace, with IP header.
    /// [`Errno::PermissionDenied`] without `CAP_NET_RAW`.
    pub fn raw_socket(&self, family: Family, protocol: u8) -> Result<RawSocket, Errno> {
        self.needs_raw()?;
        self.open_raw(family, protocol)
    }

    /// Opens a socket for ICMP echoes, which everybody may: Docker sets `net.ipv4.ping_group_range` to all groups.
    /// Unlike Linux's it gets every ICMP message for this namespace, so that whoever asks looks for its identifier.
    pub fn ping_socket(&self, family: Family) -> Result<RawSocket, Errno> {
        let protocol = match family {
            Family::Ipv4 => ICMP,
            Family::Ipv6 => ICMPV6,
        };
        self.open_raw(family, protocol)
    }

    /// Sends an IPv4 packet with a header of one's own, as by a raw socket with `IP_HDRINCL`: it is routed and passes
    /// OUTPUT. Length, checksum, and a source or identification of zero are filled in.
    /// [`Errno::PermissionDenied`] without `CAP_NET_RAW`, [`Errno::InvalidArgument`] for what has no IPv4 header,
    /// [`Errno::MessageTooLong`] for more than the interface takes, [`Errno::NetworkUnreachable`] without a route.
    pub fn send_packet(&self, packet: &[u8]) -> Result<(), Errno> {
        self.needs_raw()?;
        self.engine.borrow_mut().raw_send_packet(self.namespace, packet)
    }

    fn open_raw(&self, family: Family, protocol: u8) -> Result<RawSocket, Errno> {
        let id = self.engine.borrow_mut().raw_open(self.namespace, family, protocol)?;
        Ok(RawSocket { handle: Handle { engine: self.engine.clone(), id } })
    }

    /// Opens a packet socket on an interface: it sees frames of one EtherType, or with `None` of all, and sends whole
    /// frames. [`Errno::PermissionDenied`] without `CAP_NET_RAW`.
    pub fn packet_socket(&self, interface: &str, ethertype: Option<u16>) -> Result<PacketSocket, Errno> {
        self.needs_raw()?;
        let id = self.engine.borrow_mut().packet_open(self.namespace, interface, ethertype)?;
        Ok(PacketSocket { handle: Handle { engine: self.engine.clone(), id } })
    }

    fn needs_raw(&self) -> Result<(), Errno> {
        if self.process.powers.raw { Ok(()) } else { Err(Errno::PermissionDenied) }
    }

    /// Listens for TCP connections, on the unspecified IPv6 address for those of IPv4 too. Port 0 picks a free one.
    pub fn tcp_listen(&self, address: SocketAddr, backlog: usize) -> Result<TcpListener, Errno> {
        self.listen(address, backlog, true)
    }

    /// The same with `IPV6_V6ONLY` on: `[::]` takes no IPv4 and so stands beside `0.0.0.0` on one port.
    pub fn tcp_listen_one_family(&self, address: SocketAddr, backlog: usize) -> Result<TcpListener, Errno> {
        self.listen(address, backlog, false)
    }

    fn listen(&self, address: SocketAddr, backlog: usize, dual_stack: bool) -> Result<TcpListener, Errno> {
        let id = self.engine.borrow_mut().tcp_listen(self.namespace, address, backlog, dual_stack)?;
        self.name_socket(id);
        Ok(TcpListener { sys: self.clone(), handle: Handle { engine: self.engine.clone(), id } })
    }

    /// Connects by TCP; waits for the handshake.
    pub async fn tcp_connect(&self, remote: SocketAddr) -> Result<TcpStream, Errno> {
        self.tcp_connect_from(None, remote).await
    }

    /// Connects by TCP from a given local address (its port may be 0).
    pub async fn tcp_connect_from(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<TcpStream, Errno> {
        let id = self.engine.borrow_mut().tcp_connect(self.namespace, local, remote)?;
        self.name_socket(id);
        let stream = TcpStream { handle: Handle { engine: self.engine.clone(), id } };
        stream.handle.wait(|engine, id| engine.tcp_connected(id)).await?;
        Ok(stream)
    }

    fn name_socket(&self, id: SocketId) {
        let name = self.process.arguments.first().map_or("-", String::as_str);
        let name = format!("{}/{}", self.process.id.0, name.rsplit('/').next().unwrap_or(name));
        self.engine.borrow_mut().name_socket(id, name);
    }
}

/// A datagram as a program receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub source: SocketAddr,
    /// Which local address it was sent to.
    pub destination: SocketAddr,
    /// What it says. For a raw socket: the whole IP packet.
    pub payload: Bytes,
}

struct Handle {
    engine: Rc<RefCell<Engine>>,
    id: SocketId,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.engine.borrow_mut().close(self.id);
    }
}

impl Handle {
    /// Repeats `operation` until it answers something else than `WouldBlock`.
    async fn wait<T>(
        &self,
        mut operation: impl FnMut(&mut Engine, SocketId) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        std::future::poll_fn(|context| {
            let mut engine = self.engine.borrow_mut();
            match operation(&mut engine, self.id) {
                Err(Errno::WouldBlock) => {
                    engine.register(self.id, context.waker());
                    Poll::Pending
                }
                result => Poll::Ready(result),
            }
        })
        .await
    }
}

/// A UDP socket.
pub struct UdpSocket {
    handle: Handle,
}

impl UdpSocket {
    /// Sets `IPV6_V6ONLY` before it is bound: `[::]` takes no IPv4 then.
    pub fn set_v6only(&self) {
        self.handle.engine.borrow_mut().udp_set_v6only(self.handle.id);
    }

    /// Binds to a local address; port 0 picks a free one. Returns the address bound.
    pub fn bind(&self, local: SocketAddr) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow_mut().udp_bind(self.handle.id, local)
    }

    /// Sets the peer: only its datagrams and errors arrive.
    pub fn connect(&self, remote: SocketAddr) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().udp_connect(self.handle.id, remote)
    }

    /// Sets the time to live of datagrams sent.
    pub fn set_ttl(&self, ttl: u8) {
        self.handle.engine.borrow_mut().set_ttl(self.handle.id, ttl);
    }

    /// The local address, unspecified until bound or connected.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow().local_address(self.handle.id)
    }

    /// Sends to the connected peer.
    pub fn send(&self, payload: &[u8]) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().udp_send(self.handle.id, None, payload)
    }

    /// Sends to anyone.
    pub fn send_to(&self, payload: &[u8], remote: SocketAddr) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().udp_send(self.handle.id, Some(remote), payload)
    }

    /// Sends to anyone from this address of the namespace, as with IP_PKTINFO.
    pub fn send_from(&self, source: IpAddr, payload: &[u8], remote: SocketAddr) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().udp_send_from(self.handle.id, source, remote, payload)
    }

    /// Waits for a datagram, or for a pending error of the connected peer.
    pub async fn receive(&self) -> Result<Datagram, Errno> {
        self.handle.wait(|engine, id| engine.udp_receive(id)).await
    }
}

/// A raw socket.
pub struct RawSocket {
    handle: Handle,
}

impl RawSocket {
    /// Sets the time to live of packets sent.
    pub fn set_ttl(&self, ttl: u8) {
        self.handle.engine.borrow_mut().set_ttl(self.handle.id, ttl);
    }

    /// Sends a message of the socket's protocol (for ICMP: with its header, checksum filled in for ICMPv6). The
    /// namespace adds the IP header. `source` overrides the source address.
    pub fn send_to(&self, message: &[u8], remote: IpAddr, source: Option<IpAddr>) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().raw_send(self.handle.id, message, remote, source)
    }

    /// Waits for a packet; the payload is the whole IP packet.
    pub async fn receive(&self) -> Result<Datagram, Errno> {
        self.handle.wait(|engine, id| engine.raw_receive(id)).await
    }
}

/// A packet socket on an interface.
pub struct PacketSocket {
    handle: Handle,
}

impl PacketSocket {
    /// Sends a whole frame, Ethernet header and all. [`Errno::InvalidArgument`] if it is shorter than that header,
    /// [`Errno::MessageTooLong`] if longer than the interface takes, [`Errno::NetworkDown`] and
    /// [`Errno::NoSuchDevice`] if that is down or gone.
    pub fn send(&self, frame: &[u8]) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().packet_send(self.handle.id, frame)
    }

    /// Waits for a frame; [`Errno::NetworkDown`] once when the interface goes down.
    pub async fn receive(&self) -> Result<SeenFrame, Errno> {
        self.handle.wait(|engine, id| engine.packet_receive(id)).await
    }

    /// Frames seen and missed since this was asked last.
    pub fn statistics(&self) -> Result<PacketStatistics, Errno> {
        self.handle.engine.borrow_mut().packet_statistics(self.handle.id)
    }
}

/// A listening TCP socket.
pub struct TcpListener {
    sys: Sys,
    handle: Handle,
}

impl TcpListener {
    /// The address it listens on.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow().local_address(self.handle.id)
    }

    /// Waits for a connection.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), Errno> {
        let (id, peer) = self.handle.wait(|engine, id| engine.tcp_accept(id)).await?;
        self.sys.name_socket(id);
        Ok((TcpStream { handle: Handle { engine: self.handle.engine.clone(), id } }, peer))
    }
}

/// A TCP connection. Dropping it closes it in order; unread data makes that a reset, as in Linux.
pub struct TcpStream {
    handle: Handle,
}

impl TcpStream {
    /// The local address.
    pub fn local_address(&self) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow().local_address(self.handle.id)
    }

    /// The peer's address.
    pub fn peer_address(&self) -> Result<SocketAddr, Errno> {
        self.handle.engine.borrow().peer_address(self.handle.id)
    }

    /// Waits for data: at most `limit` bytes; empty means the peer has finished sending.
    pub async fn read(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        self.handle.wait(|engine, id| engine.tcp_receive(id, limit)).await
    }

    /// Reads until the peer has finished, at most `limit` bytes.
    pub async fn read_to_end(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut all = Vec::new();
        while all.len() < limit {
            let part = self.read(limit - all.len()).await?;
            if part.is_empty() {
                break;
            }
            all.extend_from_slice(&part);
        }
        Ok(all)
    }

    /// Writes everything; waits while the peer's window is closed.
    pub async fn write_all(&self, data: &[u8]) -> Result<(), Errno> {
        let mut written = 0;
        while written < data.len() {
            written += self.handle.wait(|engine, id| engine.tcp_send(id, &data[written..])).await?;
        }
        Ok(())
    }

    /// Says that nothing more will be sent; the peer reads the end of the stream.
    pub fn shutdown(&self) -> Result<(), Errno> {
        self.handle.engine.borrow_mut().tcp_shutdown(self.handle.id)
    }

    /// Resets the connection.
    pub fn reset(&self) {
        self.handle.engine.borrow_mut().tcp_reset(self.handle.id);
    }
}
