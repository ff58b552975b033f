//! `docker-proxy`: Docker's userland proxy, one per published port and host address. It listens for one family only,
//! as moby's does: a port published everywhere has one proxy on 0.0.0.0 and one on [::].
//!
//! TCP: every connection accepted is joined to a connection to the container, each direction closed by itself. If the
//! container does not take the connection, the client's is reset. UDP: every client address has a socket of its own
//! towards the container, given up after 90 seconds without an answer. With `-use-listen-fd`, as dockerd starts it since
//! 28, answers to a client come from the address it asked; before, from the one the host's routes choose, and a client
//! that asked another one does not see them.
//!
//! SCTP: programs here have no sockets of it, so the port is held and nothing relayed; packets that arrive for it are
//! translated before they reach it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use super::arguments;
use super::options::{Failure, finish};
use super::relay::relay;
use super::tasks::{First, Tasks, first};
use crate::engine::sys::{Errno, ExitCode, Sys, TcpStream, Transport, UdpSocket};

/// docker-proxy's UDPConnTrackTimeout.
const UDP_IDLE: Duration = Duration::from_secs(90);

/// Connections that wait to be accepted (`net.core.somaxconn` of a recent kernel, which Go's `Listen` takes).
const BACKLOG: usize = 4_096;

/// Forwards a published port.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

/// `dockerd`, as far as it listens on published ports itself: without a userland proxy it keeps the port from others and
/// accepts nothing.
pub(crate) async fn hold(sys: Sys) -> ExitCode {
    let result = keep(&sys).await;
    finish(&sys, result).await
}

async fn keep(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    if is_sctp(words) {
        return std::future::pending().await;
    }
    let options = Options::parse(program, words)?;
    let (transport, host) = (options.transport, options.socket("host")?);
    let refused = |errno| cannot_bind(transport, host, errno);
    match transport {
        Transport::Tcp => {
            let _listener = sys.tcp_listen_one_family(host, BACKLOG).map_err(refused)?;
            std::future::pending().await
        }
        Transport::Udp => {
            let socket = sys.udp_socket().map_err(refused)?;
            socket.set_v6only();
            socket.bind(host).map_err(refused)?;
            std::future::pending().await
        }
    }
}

/// Whether the port is one of SCTP.
fn is_sctp(words: &[String]) -> bool {
    words.windows(2).any(|words| words == ["-proto", "sctp"])
}

fn cannot_bind(transport: Transport, host: SocketAddr, errno: Errno) -> Failure {
    let text = match errno {
        Errno::AddressInUse => "address already in use",
        Errno::AddressNotAvailable => "cannot assign requested address",
        other => other.text(),
    };
    let family = if host.is_ipv6() { "6" } else { "4" };
    Failure { text: format!("listen {transport}{family} {host}: bind: {text}\n"), status: ExitCode::FAILURE }
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    if is_sctp(words) {
        return std::future::pending().await;
    }
    let options = Options::parse(program, words)?;
    let transport = options.transport;
    let (host, container) = (options.socket("host")?, options.socket("container")?);
    let bind = |errno| cannot_bind(transport, host, errno);
    let inherited = options.inherited();
    match transport {
        Transport::Tcp => {
            let listener = sys.tcp_listen_one_family(host, BACKLOG).map_err(bind)?;
            let mut tasks = Tasks::new();
            loop {
                match first(listener.accept(), tasks.run()).await {
                    First::Left(Ok((stream, _))) => {
                        tasks.push(Box::pin(forward_stream(sys.clone(), stream, container)));
                    }
                    First::Left(Err(_)) => return Ok(ExitCode::FAILURE),
                    First::Right(never) => match never {},
                }
            }
        }
        Transport::Udp => {
            let socket = sys.udp_socket().map_err(bind)?;
            socket.set_v6only();
            socket.bind(host).map_err(bind)?;
            forward_datagrams(sys, Rc::new(socket), container, inherited).await;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The command line.
struct Options<'a> {
    program: &'a str,
    transport: Transport,
    values: BTreeMap<String, String>,
}

impl<'a> Options<'a> {
    fn parse(program: &'a str, words: &[String]) -> Result<Options<'a>, Failure> {
        let mut values = BTreeMap::new();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let name = word.trim_start_matches('-');
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None if name == "use-listen-fd" => (name, "true".to_owned()),
                None => (name, rest.next().cloned().unwrap_or_default()),
            };
            let known = ["proto", "host-ip", "host-port", "container-ip", "container-port", "use-listen-fd"];
            if !known.contains(&name) {
                let text = format!("flag provided but not defined: -{name}\n");
                return Err(Failure { text, status: ExitCode(2) });
            }
            values.insert(name.to_owned(), value);
        }
        let transport = match values.get("proto").map(String::as_str) {
            None | Some("tcp") => Transport::Tcp,
            Some("udp") => Transport::Udp,
            Some(other) => return Err(Failure::new(program, format!("unsupported protocol {other}"))),
        };
        Ok(Options { program, transport, values })
    }

    /// Whether the listening socket is dockerd's, which tells the addresses datagrams were sent to.
    fn inherited(&self) -> bool {
        self.values.get("use-listen-fd").is_some_and(|value| value == "true")
    }

    /// `-SIDE-ip` and `-SIDE-port`.
    fn socket(&self, side: &str) -> Result<SocketAddr, Failure> {
        let (ip, port) = (format!("{side}-ip"), format!("{side}-port"));
        Ok(SocketAddr::new(self.value::<IpAddr>(&ip)?, self.value::<u16>(&port)?))
    }

    fn value<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let found = self.values.get(name);
        found.and_then(|value| value.parse().ok()).ok_or_else(|| {
            let found = found.map_or("nothing", String::as_str);
            Failure::new(self.program, format!("expected an address or number for -{name}, found '{found}'"))
        })
    }
}

async fn forward_stream(sys: Sys, client: TcpStream, container: SocketAddr) {
    let Ok(backend) = sys.tcp_connect(container).await else {
        client.reset();
        return;
    };
    relay(&client, &backend).await;
}

/// A client, and the address it asked where that matters.
type Client = (SocketAddr, Option<IpAddr>);
type Clients = Rc<RefCell<BTreeMap<Client, Rc<UdpSocket>>>>;

async fn forward_datagrams(sys: &Sys, front: Rc<UdpSocket>, container: SocketAddr, inherited: bool) {
    let clients: Clients = Rc::default();
    let mut tasks = Tasks::new();
    loop {
        let datagram = match first(front.receive(), tasks.run()).await {
            First::Left(Ok(datagram)) => datagram,
            First::Left(Err(Errno::BadDescriptor)) => return,
            First::Left(Err(_)) => continue,
            First::Right(never) => match never {},
        };
        let client = (datagram.source, inherited.then(|| datagram.destination.ip()));
        let known = clients.borrow().get(&client).cloned();
        let back = match known {
            Some(back) => back,
            None => {
                let Ok(back) = sys.udp_socket() else { continue };
                if back.connect(container).is_err() {
                    continue;
                }
                let back = Rc::new(back);
                clients.borrow_mut().insert(client, back.clone());
                tasks.push(Box::pin(answer(
                    sys.clone(),
                    front.clone(),
                    back.clone(),
                    client,
                    clients.clone(),
                )));
                back
            }
        };
        let _ = back.send(&datagram.payload);
    }
}

/// Carries a client's answers back until none came for a while.
async fn answer(sys: Sys, front: Rc<UdpSocket>, back: Rc<UdpSocket>, client: Client, clients: Clients) {
    loop {
        match sys.timeout(UDP_IDLE, back.receive()).await {
            Some(Ok(datagram)) => {
                let _ = match client {
                    (address, Some(asked)) => front.send_from(asked, &datagram.payload, address),
                    (address, None) => front.send_to(&datagram.payload, address),
                };
            }
            // The container may be about to listen: the proxy keeps the socket.
            Some(Err(Errno::ConnectionRefused)) => {}
            Some(Err(_)) | None => break,
        }
    }
    clients.borrow_mut().remove(&client);
}
