//! Carries DNS between sockets and the daemons' embedded resolvers.
//!
//! What reaches a resolver's socket leaves the engine as an event; the daemon's sans-I/O machine answers with actions;
//! this file turns actions into datagrams and connections from the container's or the host's namespace, and their
//! fate back into inputs of the machine. It decides nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::docker::daemon::Daemon;
use crate::docker::dns::{Action, Asker, Dial, ExchangeId, Incoming};
use crate::docker::dns_message::{TcpMessages, Transport, frame};
use crate::engine::Engine;
use crate::engine::id::{NamespaceId, ServiceId, SocketId};
use crate::engine::sys::Errno;

/// Most bytes read from a stream at once.
const READ: usize = 65_536;

/// The sockets behind every resolver of a world.
#[derive(Default)]
pub(crate) struct Resolvers {
    /// Where a resolver's container lives.
    places: BTreeMap<ServiceId, Resolver>,
    /// Connections of clients.
    clients: BTreeMap<SocketId, Client>,
    /// Attempts at outside servers, by their socket.
    attempts: BTreeMap<SocketId, Attempt>,
}

struct Resolver {
    daemon: usize,
    container: NamespaceId,
    host: NamespaceId,
}

struct Client {
    service: ServiceId,
    peer: SocketAddr,
    messages: TcpMessages,
}

struct Attempt {
    service: ServiceId,
    exchange: ExchangeId,
    /// What is still to be sent once a TCP connection stands.
    pending: Option<Vec<u8>>,
    messages: Option<TcpMessages>,
}

impl Resolvers {
    /// A resolver begins.
    pub(crate) fn start(
        &mut self,
        service: ServiceId,
        daemon: usize,
        container: NamespaceId,
        host: NamespaceId,
    ) {
        self.places.insert(service, Resolver { daemon, container, host });
    }

    /// The resolver that lives in a namespace.
    pub(crate) fn of(&self, namespace: NamespaceId) -> Option<ServiceId> {
        self.places.iter().find(|(_, place)| place.container == namespace).map(|(service, _)| *service)
    }

    /// From now on a resolver asks servers from its host's namespace, whatever it would have asked from its
    /// container's.
    pub(crate) fn ask_from_host(&mut self, service: ServiceId) {
        if let Some(place) = self.places.get_mut(&service) {
            place.container = place.host;
        }
    }

    /// A resolver ends; its exchanges are forgotten.
    pub(crate) fn stop(&mut self, engine: &mut Engine, service: ServiceId) {
        self.places.remove(&service);
        let clients = self.clients.iter().filter(|(_, c)| c.service == service).map(|(id, _)| *id);
        let attempts = self.attempts.iter().filter(|(_, a)| a.service == service).map(|(id, _)| *id);
        for id in clients.chain(attempts).collect::<Vec<_>>() {
            self.clients.remove(&id);
            self.attempts.remove(&id);
            engine.close(id);
        }
    }

    /// Something happened on a resolver's socket.
    pub(crate) fn event(
        &mut self,
        engine: &mut Engine,
        daemons: &mut [Daemon],
        service: ServiceId,
        socket: SocketId,
    ) {
        let Some(daemon) = self.places.get(&service).map(|p| p.daemon) else { return };
        let Some(daemon) = daemons.get_mut(daemon) else { return };
        if self.attempts.contains_key(&socket) {
            return self.attempt_event(engine, daemon, socket);
        }
        if self.clients.contains_key(&socket) {
            return self.client_event(engine, daemon, service, socket);
        }
        while let Ok((stream, peer)) = engine.tcp_accept(socket) {
            self.clients.insert(stream, Client { service, peer, messages: TcpMessages::default() });
        }
        while let Ok(datagram) = engine.udp_receive(socket) {
            let asker = Asker { socket: u64::from(socket.0), peer: datagram.source };
            let incoming = Incoming { asker, transport: Transport::Udp, bytes: &datagram.payload };
            let actions = query(engine, daemon, service, incoming);
            self.perform(engine, daemon, service, actions);
        }
    }

    /// When [`Resolvers::advance`] has something to do.
    pub(crate) fn deadline(&self, daemons: &[Daemon]) -> Option<Duration> {
        daemons.iter().filter_map(Daemon::dns_deadline).min()
    }

    /// Runs the resolvers' timers.
    pub(crate) fn advance(&mut self, engine: &mut Engine, daemons: &mut [Daemon], now: Duration) {
        for daemon in daemons {
            if daemon.dns_deadline().is_some_and(|due| due <= now) {
                for (service, action) in daemon.dns_advance(now) {
                    self.perform(engine, daemon, service, vec![action]);
                }
            }
        }
    }

    fn client_event(
        &mut self,
        engine: &mut Engine,
        daemon: &mut Daemon,
        service: ServiceId,
        socket: SocketId,
    ) {
        loop {
            match engine.tcp_receive(socket, READ) {
                Ok(bytes) if !bytes.is_empty() => {
                    let Some(client) = self.clients.get_mut(&socket) else { return };
                    client.messages.push(&bytes);
                    let peer = client.peer;
                    while let Some(message) = self.clients.get_mut(&socket).and_then(|c| c.messages.next()) {
                        let asker = Asker { socket: u64::from(socket.0), peer };
                        let incoming = Incoming { asker, transport: Transport::Tcp, bytes: &message };
                        let actions = query(engine, daemon, service, incoming);
                        self.perform(engine, daemon, service, actions);
                    }
                }
                Err(Errno::WouldBlock) => return,
                Ok(_) | Err(_) => {
                    self.clients.remove(&socket);
                    engine.close(socket);
                    return;
                }
            }
        }
    }

    fn attempt_event(&mut self, engine: &mut Engine, daemon: &mut Daemon, socket: SocketId) {
        let now = engine.now();
        loop {
            let Some(attempt) = self.attempts.get_mut(&socket) else { return };
            let (service, exchange) = (attempt.service, attempt.exchange);
            let result = if let Some(pending) = attempt.pending.take() {
                match engine.tcp_connected(socket) {
                    Ok(()) => {
                        daemon.dns_connected(now, service, exchange);
                        engine.tcp_send(socket, &pending).map(|_| None)
                    }
                    Err(Errno::WouldBlock) => {
                        attempt.pending = Some(pending);
                        return;
                    }
                    Err(error) => Err(error),
                }
            } else if let Some(messages) = &mut attempt.messages {
                match engine.tcp_receive(socket, READ) {
                    Ok(bytes) if bytes.is_empty() => Err(Errno::ConnectionReset),
                    Ok(bytes) => {
                        messages.push(&bytes);
                        Ok(messages.next())
                    }
                    Err(error) => Err(error),
                }
            } else {
                engine.udp_receive(socket).map(|datagram| Some(datagram.payload.to_vec()))
            };
            let actions = match result {
                Ok(Some(message)) => daemon.dns_reply(now, service, exchange, &message),
                Ok(None) => continue,
                Err(Errno::WouldBlock) => return,
                Err(_) => daemon.dns_error(now, service, exchange),
            };
            self.perform(engine, daemon, service, actions);
            if !self.attempts.contains_key(&socket) {
                return;
            }
        }
    }

    fn perform(
        &mut self,
        engine: &mut Engine,
        daemon: &mut Daemon,
        service: ServiceId,
        actions: Vec<Action>,
    ) {
        let mut actions = std::collections::VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Reply { asker, transport, bytes } => reply(engine, asker, transport, &bytes),
                Action::Abandon { exchange } => {
                    let found =
                        self.attempts.iter().find(|(_, a)| a.service == service && a.exchange == exchange);
                    if let Some(socket) = found.map(|(id, _)| *id) {
                        self.attempts.remove(&socket);
                        engine.close(socket);
                    }
                }
                Action::Forward { from, server, transport, bytes, exchange } => {
                    let Some(place) = self.places.get(&service) else { continue };
                    let namespace = match from {
                        Dial::Container => place.container,
                        Dial::Host => place.host,
                    };
                    match forward(engine, namespace, service, server, transport, &bytes) {
                        Ok((socket, pending)) => {
                            let messages = (transport == Transport::Tcp).then(TcpMessages::default);
                            self.attempts.insert(socket, Attempt { service, exchange, pending, messages });
                        }
                        Err(_) => actions.extend(daemon.dns_error(engine.now(), service, exchange)),
                    }
                }
            }
        }
    }
}

fn query(
    engine: &mut Engine,
    daemon: &mut Daemon,
    service: ServiceId,
    incoming: Incoming<'_>,
) -> Vec<Action> {
    let now = engine.now();
    // Seed 0 keeps the order of registration: drawing the last index each time leaves a shuffle without effect.
    let plain = engine.seed() == 0;
    let mut draw = |bound: u32| if plain { bound.saturating_sub(1) } else { engine.random() % bound.max(1) };
    daemon.dns_query(now, service, incoming, &mut draw)
}

fn reply(engine: &mut Engine, asker: Asker, transport: Transport, bytes: &[u8]) {
    let socket = SocketId(asker.socket as u32);
    // A client that went away misses its answer.
    match transport {
        Transport::Udp => {
            let _ = engine.udp_send(socket, Some(asker.peer), bytes);
        }
        Transport::Tcp => {
            if let Some(framed) = frame(bytes) {
                let _ = engine.tcp_send(socket, &framed);
            }
        }
    }
}

fn forward(
    engine: &mut Engine,
    namespace: NamespaceId,
    service: ServiceId,
    server: SocketAddr,
    transport: Transport,
    bytes: &[u8],
) -> Result<(SocketId, Option<Vec<u8>>), Errno> {
    match transport {
        Transport::Udp => {
            let socket = engine.udp_open(namespace)?;
            let unspecified = match server.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            let sent = engine
                .udp_bind(socket, SocketAddr::new(unspecified, 0))
                .and_then(|_| engine.udp_connect(socket, server))
                .and_then(|()| engine.udp_send(socket, None, bytes));
            if let Err(error) = sent {
                engine.close(socket);
                return Err(error);
            }
            engine.set_service(socket, service);
            Ok((socket, None))
        }
        Transport::Tcp => {
            let socket = engine.tcp_connect(namespace, None, server)?;
            engine.set_service(socket, service);
            Ok((socket, Some(frame(bytes).ok_or(Errno::MessageTooLong)?)))
        }
    }
}
