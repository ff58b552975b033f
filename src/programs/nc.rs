//! `nc`: a TCP or UDP connection joined to standard input and output.
//!
//! Listening takes one connection; with `-k` or `-ll` it goes on listening. Standard input's end half-closes a TCP
//! connection; the program ends when the peer has closed too. `-e` must come last: everything behind it is a program
//! whose standard streams are the connection, as in BusyBox, one for each connection at the same time. With `-u -l` the
//! connection is the peer whose datagram comes first, and there is one only: datagrams are what the program reads, an
//! empty one is the end, and what it writes at once is a datagram. `-e` with `-u` alone is not modelled. `-q` is accepted
//! and does nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::options::{Failure, Options, Syntax, duration, finish, invalid_number};
use super::resolver::{Want, remote_host, resolve};
use super::tasks::{First, Tasks, first};
use super::text::SENDING;
use super::{arguments, httpd, listen};
use crate::engine::sys::{Child, Errno, ExitCode, Launch, Pipe, Sys, TcpStream, UdpSocket};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "lkup:w:zvns:q:i:46",
    long: &[],
    stop_at_operand: false,
    usage: "nc [OPTIONS] HOST PORT [-e PROG ARGS]  - connect\n\
            nc [OPTIONS] -l -p PORT [HOST] [PORT] [-e PROG ARGS]  - listen",
};

/// Connects or listens.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let (words, served) = split_program(words);
    let options = Options::parse(program, &words, &SYNTAX)?;
    match served {
        Some([]) => {
            return Err(Failure::usage(
                &format!("{program}: option requires an argument: e\n"),
                SYNTAX.usage,
            ));
        }
        Some(_) if options.has('u') && !options.has('l') => {
            return Err(Failure::new(program, "-u with -e is not modelled here without -l"));
        }
        _ => {}
    }
    let limit = match options.value('w') {
        Some(text) => Some(duration(text).ok_or_else(|| invalid_number(program, text))?),
        None => None,
    };
    let connection = Connection { sys, program, options: &options, limit, served };
    match (options.has('l'), options.has('u')) {
        (true, false) => connection.listen_tcp().await,
        (true, true) => connection.listen_udp().await,
        (false, false) => connection.connect_tcp().await,
        (false, true) => connection.connect_udp().await,
    }
}

/// Splits a command line at `-e`, which may also be the last of joined letters (`-lke`): what is in front of it, and the
/// program with its arguments.
pub(super) fn split_program(words: &[String]) -> (Vec<String>, Option<&[String]>) {
    let ends_in_e = |word: &String| {
        let letters = word.strip_prefix('-').and_then(|letters| letters.strip_suffix('e'));
        letters.is_some_and(|letters| letters.bytes().all(|letter| b"lkuzvn46".contains(&letter)))
    };
    match words.iter().position(ends_in_e) {
        None => (words.to_vec(), None),
        Some(at) => {
            let mut own = words[..at].to_vec();
            let joined = words[at].trim_end_matches('e');
            if joined != "-" {
                own.push(joined.to_owned());
            }
            (own, Some(&words[at + 1..]))
        }
    }
}

struct Connection<'a> {
    sys: &'a Sys,
    program: &'a str,
    options: &'a Options,
    limit: Option<Duration>,
    /// What `-e` names.
    served: Option<&'a [String]>,
}

impl Connection<'_> {
    async fn listen_tcp(&self) -> Result<ExitCode, Failure> {
        let (address, port) = self.local()?;
        let listener =
            httpd::listen(self.sys, address, port, 1).map_err(|errno| self.fail(format!("bind: {errno}")))?;
        let local = listener.local_address().map_err(|errno| self.fail(errno.text()))?;
        self.say(format!("listening on {local} ...")).await;
        let mut running = Tasks::new();
        loop {
            let accept = async {
                match first(listener.accept(), running.run()).await {
                    First::Left(accepted) => accepted,
                    First::Right(never) => match never {},
                }
            };
            let accepted = self.within(accept).await;
            let accepted = accepted.ok_or_else(|| self.fail("timeout"))?;
            let (stream, peer) = accepted.map_err(|errno| self.fail(format!("accept: {errno}")))?;
            self.say(format!("connect to {local} from {} ({peer})", peer.ip())).await;
            match (self.served, self.listens_on()) {
                (Some(served), true) => {
                    let child = self.start(served)?;
                    running.push(Box::pin(serve(stream, child)));
                }
                (Some(served), false) => {
                    serve(stream, self.start(served)?).await;
                    return Ok(ExitCode::SUCCESS);
                }
                (None, true) => join(self.sys, &stream).await,
                (None, false) => {
                    join(self.sys, &stream).await;
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }

    /// More than one connection is taken.
    fn listens_on(&self) -> bool {
        self.options.has('k') || self.options.count('l') > 1
    }

    /// Starts the program of `-e`.
    fn start(&self, served: &[String]) -> Result<Served, Failure> {
        let (stdin, stdout) = (Pipe::new(), Pipe::new());
        let launch = Launch {
            arguments: served.to_vec(),
            environment: self.sys.environment(),
            stdin: stdin.clone(),
            stdout: stdout.clone(),
            stderr: stdout.clone(),
            replaces: false,
        };
        let name = served.first().map_or("", String::as_str);
        let child =
            self.sys.launch(launch).map_err(|errno| self.fail(format!("can't execute '{name}': {errno}")))?;
        Ok(Served { child, stdin, stdout })
    }

    async fn listen_udp(&self) -> Result<ExitCode, Failure> {
        let (address, port) = self.local()?;
        let failed = |errno: Errno| self.fail(format!("bind: {errno}"));
        let socket = match address {
            None => listen::bind_any(self.sys, port).map_err(failed)?,
            Some(address) => {
                let socket = self.sys.udp_socket().map_err(failed)?;
                socket.bind(SocketAddr::new(address, port)).map_err(failed)?;
                socket
            }
        };
        // The first datagram says who the peer is.
        let datagram = socket.receive().await.map_err(|errno| self.fail(format!("recvfrom: {errno}")))?;
        if let Some(served) = self.served {
            socket.connect(datagram.source).map_err(|errno| self.fail(format!("connect: {errno}")))?;
            serve_udp(socket, datagram.payload.to_vec(), self.start(served)?).await;
            return Ok(ExitCode::SUCCESS);
        }
        let _ = self.sys.write(&datagram.payload).await;
        let send = async {
            loop {
                let data = self.sys.read(MAX_DATAGRAM).await;
                self.sys.worked(SENDING * data.len());
                if data.is_empty() || socket.send_to(&data, datagram.source).is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let receive = async {
            while let Ok(datagram) = socket.receive().await {
                if self.sys.write(&datagram.payload).await.is_err() {
                    break;
                }
            }
        };
        match self.within(first(send, receive)).await {
            Some(First::Left(()) | First::Right(())) | None => Ok(ExitCode::SUCCESS),
        }
    }

    /// The host and the ports: two words, or one with a colon between them.
    fn remote(&self) -> Result<(&str, &str), Failure> {
        match self.options.operands.as_slice() {
            [host, ports] => Some((host.as_str(), ports.as_str())),
            [both] => both.rsplit_once(':'),
            _ => None,
        }
        .ok_or_else(|| Failure::usage("", SYNTAX.usage))
    }

    async fn connect_tcp(&self) -> Result<ExitCode, Failure> {
        let (host, ports) = self.remote()?;
        let address = self.address(host).await?;
        let mut status = ExitCode::SUCCESS;
        for port in self.ports(ports)? {
            let remote = SocketAddr::new(address, port);
            let local = self.source(address)?;
            let connected = self.within(self.sys.tcp_connect_from(local, remote)).await;
            match connected {
                Some(Ok(stream)) => {
                    self.say(format!("{host} ({remote}) open")).await;
                    match self.served {
                        _ if self.options.has('z') => {}
                        Some(served) => serve(stream, self.start(served)?).await,
                        None => join(self.sys, &stream).await,
                    }
                }
                other => {
                    let reason = match other {
                        Some(Err(errno)) => errno.text(),
                        _ => Errno::TimedOut.text(),
                    };
                    let text = match self.options.has('v') {
                        true => format!("{host} ({remote}): {reason}"),
                        false => format!("can't connect to {}: {reason}", remote_host(address)),
                    };
                    status = finish(self.sys, Err(self.fail(text))).await;
                }
            }
        }
        Ok(status)
    }

    async fn connect_udp(&self) -> Result<ExitCode, Failure> {
        let (host, ports) = self.remote()?;
        let address = self.address(host).await?;
        let port = self.ports(ports)?.next().unwrap_or(0);
        let remote = SocketAddr::new(address, port);
        let failed = |errno: Errno| self.fail(format!("can't connect to {}: {errno}", remote_host(address)));
        let socket = self.sys.udp_socket().map_err(failed)?;
        if let Some(local) = self.source(address)? {
            socket.bind(local).map_err(|errno| self.fail(format!("bind: {errno}")))?;
        }
        socket.connect(remote).map_err(failed)?;
        if self.options.has('z') {
            return self.probe_udp(&socket, host, remote).await;
        }
        let send = async {
            loop {
                let data = self.sys.read(MAX_DATAGRAM).await;
                self.sys.worked(SENDING * data.len());
                if data.is_empty() {
                    break;
                }
                socket.send(&data)?;
            }
            Ok::<(), Errno>(())
        };
        let receive = async {
            loop {
                let datagram = socket.receive().await?;
                if self.sys.write(&datagram.payload).await.is_err() {
                    return Ok::<(), Errno>(());
                }
            }
        };
        // Like BusyBox, go on listening when standard input has ended; -w is what ends it then.
        let send = async {
            send.await?;
            std::future::pending::<Result<(), Errno>>().await
        };
        match self.within(first(send, receive)).await {
            Some(First::Left(Err(errno))) => Err(self.fail(format!("write: {errno}"))),
            Some(First::Right(Err(errno))) => Err(self.fail(format!("read: {errno}"))),
            _ => Ok(ExitCode::SUCCESS),
        }
    }

    /// An empty datagram, and a second for somebody to complain.
    async fn probe_udp(
        &self,
        socket: &UdpSocket,
        host: &str,
        remote: SocketAddr,
    ) -> Result<ExitCode, Failure> {
        let sent = socket.send(&[0]);
        let patience = self.limit.unwrap_or(Duration::from_secs(1));
        let answer = self.sys.timeout(patience, socket.receive()).await;
        match (sent, answer) {
            (Err(errno), _) | (_, Some(Err(errno))) => Err(self.fail(format!("{host} ({remote}): {errno}"))),
            _ => {
                self.say(format!("{host} ({remote}) open")).await;
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    async fn address(&self, host: &str) -> Result<IpAddr, Failure> {
        let want = match (self.options.has('4'), self.options.has('6')) {
            (true, false) => Want::Ipv4,
            (false, true) => Want::Ipv6,
            _ => Want::Any,
        };
        let bad = || self.fail(format!("bad address '{host}'"));
        resolve(self.sys, host, want).await.map_err(|_| bad())?.first().copied().ok_or_else(bad)
    }

    /// One port, or a range `LOW-HIGH`.
    fn ports(&self, text: &str) -> Result<std::ops::RangeInclusive<u16>, Failure> {
        let bad = |_| self.fail(format!("bad port '{text}'"));
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        Ok(low.parse().map_err(bad)?..=high.parse().map_err(bad)?)
    }

    fn local(&self) -> Result<(Option<IpAddr>, u16), Failure> {
        let operand = self.options.operands.iter().find(|word| word.parse::<u16>().is_ok());
        let port = self.options.value('p').or(operand.map(String::as_str)).unwrap_or("0");
        let port = port.parse().map_err(|_| self.fail(format!("bad local port '{port}'")))?;
        let address = match self.options.value('s') {
            None => self.options.operands.iter().find_map(|word| word.parse::<IpAddr>().ok()),
            Some(text) => Some(text.parse().map_err(|_| self.fail(format!("bad address '{text}'")))?),
        };
        Ok((address, port))
    }

    fn source(&self, remote: IpAddr) -> Result<Option<SocketAddr>, Failure> {
        if self.options.value('s').is_none() && self.options.value('p').is_none() {
            return Ok(None);
        }
        let port = self.options.number(self.program, 'p', 0u16)?;
        let any: IpAddr = match remote {
            IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let address = match self.options.value('s') {
            None => any,
            Some(text) => text.parse().map_err(|_| self.fail(format!("bad address '{text}'")))?,
        };
        Ok(Some(SocketAddr::new(address, port)))
    }

    async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.limit {
            Some(limit) => self.sys.timeout(limit, work).await,
            None => Some(work.await),
        }
    }

    async fn say(&self, text: String) {
        if self.options.has('v') {
            self.sys.print_error(text + "\n").await;
        }
    }

    fn fail(&self, message: impl AsRef<str>) -> Failure {
        Failure::new(self.program, message)
    }
}

/// The largest UDP payload over IPv4.
const MAX_DATAGRAM: usize = 65_507;

/// Copies both ways until the peer has closed; standard input's end only half-closes.
async fn join(sys: &Sys, stream: &TcpStream) {
    let send = async {
        loop {
            let data = sys.read(65_536).await;
            sys.worked(SENDING * data.len());
            if data.is_empty() {
                let _ = stream.shutdown();
                return;
            }
            if stream.write_all(&data).await.is_err() {
                return;
            }
        }
    };
    let receive = async {
        while let Ok(data) = stream.read(65_536).await {
            if data.is_empty() || sys.write(&data).await.is_err() {
                break;
            }
        }
    };
    // The peer's end is the end, even if standard input stays open.
    let forever = async {
        send.await;
        std::future::pending::<()>().await;
    };
    match first(receive, forever).await {
        First::Left(()) | First::Right(()) => {}
    }
}

/// A program whose standard streams are a connection.
struct Served {
    child: Child,
    stdin: Pipe,
    stdout: Pipe,
}

/// Copies between a connection and its program until the program has ended and what it printed is sent.
async fn serve(stream: TcpStream, served: Served) {
    let Served { child, stdin, stdout } = served;
    let receive = async {
        while let Ok(data) = stream.read(65_536).await {
            if data.is_empty() || stdin.write_all(&data).await.is_err() {
                break;
            }
        }
        stdin.close_writer();
        std::future::pending::<()>().await;
    };
    let send = async {
        loop {
            let data = stdout.read(65_536).await;
            if data.is_empty() || stream.write_all(&data).await.is_err() {
                stdout.close_reader();
                let _ = stream.shutdown();
                return;
            }
        }
    };
    first(send, first(receive, ended(child, &stdout))).await;
}

/// Copies between the peer of a connected UDP socket and a program until the program has ended and what it printed is sent.
async fn serve_udp(socket: UdpSocket, first_payload: Vec<u8>, served: Served) {
    let Served { child, stdin, stdout } = served;
    let receive = async {
        let mut payload = Ok(first_payload);
        while let Ok(data) = payload {
            if data.is_empty() || stdin.write_all(&data).await.is_err() {
                break;
            }
            payload = socket.receive().await.map(|datagram| datagram.payload.to_vec());
        }
        stdin.close_writer();
        std::future::pending::<()>().await;
    };
    let send = async {
        loop {
            let data = stdout.read(MAX_DATAGRAM).await;
            if data.is_empty() || socket.send(&data).is_err() {
                stdout.close_reader();
                return;
            }
        }
    };
    first(send, first(receive, ended(child, &stdout))).await;
}

/// Closes what a program printed to when it has ended, so that whoever sends that on finds its end.
async fn ended(child: Child, stdout: &Pipe) {
    child.wait().await;
    stdout.close_writer();
    std::future::pending::<()>().await;
}
