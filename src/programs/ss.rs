//! `ss [-tulnpaH46] [FILTER]`: sockets, as iproute2 6.1 prints them into a pipe; what it is asked for is in `ss_filter`.
//!
//! One of IPv6 that takes IPv4 too is on `*`, one with `IPV6_V6ONLY` on `[::]`.
//!
//! A listening socket has in `Recv-Q` the connections that wait to be accepted, in `Send-Q` how many may.
//!
//! Limits: ports are always numbers, UDP and TCP are the only sockets there are.

use std::net::SocketAddr;

use super::arguments;
use super::options::{Failure, Mistake, Options, Syntax, finish};
use super::ss_filter::Filter;
use crate::engine::sys::{ExitCode, SocketView, Sys, Transport};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "tulnpaHr46O",
    long: &[
        ("tcp", 't'),
        ("udp", 'u'),
        ("listening", 'l'),
        ("numeric", 'n'),
        ("processes", 'p'),
        ("all", 'a'),
        ("no-header", 'H'),
        ("resolve", 'r'),
        ("ipv4", '4'),
        ("ipv6", '6'),
        ("oneline", 'O'),
    ],
    stop_at_operand: false,
    usage: "ss [ OPTIONS ] [ FILTER ]\n   \
            -n, --numeric       don't resolve service names\n   \
            -a, --all           display all sockets\n   \
            -l, --listening     display listening sockets\n   \
            -p, --processes     show process using socket\n   \
            -4, --ipv4          display only IP version 4 sockets\n   \
            -6, --ipv6          display only IP version 6 sockets\n   \
            -t, --tcp           display only TCP sockets\n   \
            -u, --udp           display only UDP sockets\n   \
            -H, --no-header     Suppress header line\n",
};

/// Shows sockets.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let wrong =
        |what: String| Failure { text: format!("{what}\nUsage: {}", SYNTAX.usage), status: ExitCode(255) };
    let options = Options::read(words, &SYNTAX).map_err(|mistake| match mistake {
        Mistake::Unknown(option) if option.chars().count() == 1 => {
            wrong(format!("{program}: invalid option -- '{option}'"))
        }
        Mistake::Unknown(option) => wrong(format!("{program}: unrecognized option '--{option}'")),
        Mistake::NoValue(option) => wrong(format!("{program}: option requires an argument -- '{option}'")),
    })?;
    let filter = Filter::parse(&options.operands, SYNTAX.usage)?;
    let sockets = sys.sockets();
    let any = !options.has('t') && !options.has('u');
    let any_family = options.has('4') == options.has('6');
    let is_shown = |socket: &&SocketView| {
        let transport = match socket.transport {
            Transport::Tcp => any || options.has('t'),
            Transport::Udp => any || options.has('u'),
        };
        let server = socket.remote.is_none();
        let state = filter.wants(&state_of(socket));
        transport
            && (any_family || socket.local.is_ipv6() == options.has('6'))
            && state.unwrap_or(options.has('a') || options.has('l') == server)
            && filter.fits(socket)
    };
    let mut shown: Vec<&SocketView> = sockets.iter().filter(is_shown).collect();
    // UDP before TCP, IPv4 before IPv6.
    shown.sort_by_key(|socket| (socket.transport == Transport::Tcp, socket.local.is_ipv6()));
    let rows: Vec<Row> = shown.iter().map(|socket| Row::new(socket, options.has('p'))).collect();
    let with_transport = any || options.has('t') && options.has('u');
    sys.print(table(&rows, with_transport, !filter.is_one_state(), !options.has('H'))).await;
    Ok(ExitCode::SUCCESS)
}

struct Row {
    transport: String,
    state: String,
    queues: [String; 2],
    local: (String, String),
    peer: (String, String),
    process: String,
}

impl Row {
    fn new(socket: &SocketView, process: bool) -> Row {
        let dual = socket.local.is_ipv6() && !socket.v6only;
        let process = match socket.program.as_deref().and_then(|program| program.split_once('/')) {
            // Which descriptor it is nobody knows: 3 is the first that a program opens.
            Some((id, name)) if process => format!(" users:((\"{name}\",pid={id},fd=3))"),
            _ => String::new(),
        };
        let nobody = match (socket.local.is_ipv6(), dual) {
            (true, true) => "*",
            (true, false) => "[::]",
            (false, _) => "0.0.0.0",
        };
        Row {
            transport: socket.transport.to_string(),
            state: state_of(socket),
            queues: [
                socket.receive_queue.to_string(),
                socket.backlog.unwrap_or(socket.send_queue).to_string(),
            ],
            local: end(socket.local, dual),
            peer: socket.remote.map_or((nobody.to_owned(), "*".to_owned()), |remote| end(remote, false)),
            process,
        }
    }
}

/// A socket's state as `ss` prints it.
fn state_of(socket: &SocketView) -> String {
    match (socket.state.as_str(), socket.transport, socket.remote) {
        ("ESTABLISHED", ..) | (_, Transport::Udp, Some(_)) => "ESTAB".to_owned(),
        (_, Transport::Udp, None) | ("CLOSE" | "CLOSED", ..) => "UNCONN".to_owned(),
        ("FIN_WAIT1", ..) => "FIN-WAIT-1".to_owned(),
        ("FIN_WAIT2", ..) => "FIN-WAIT-2".to_owned(),
        ("SYN_RECV" | "SYN_RECEIVED", ..) => "SYN-RECV".to_owned(),
        (state, ..) => state.replace('_', "-"),
    }
}

fn end(address: SocketAddr, dual: bool) -> (String, String) {
    let port = address.port().to_string();
    match address {
        SocketAddr::V6(v6) if v6.ip().is_unspecified() && dual => ("*".to_owned(), port),
        SocketAddr::V6(v6) => (format!("[{}]", v6.ip()), port),
        SocketAddr::V4(v4) => (v4.ip().to_string(), port),
    }
}

fn table(rows: &[Row], with_transport: bool, with_state: bool, header: bool) -> String {
    let width = |title: &str, cell: &dyn Fn(&Row) -> usize, least: usize| {
        rows.iter().map(cell).chain([least, if header { title.len() } else { 0 }]).max().unwrap_or(0)
    };
    let transport = width("Netid", &|row| row.transport.len(), 0);
    let state = width("State", &|row| row.state.len(), 0);
    let receive = width("Recv-Q", &|row| row.queues[0].len(), 6);
    let send = width("Send-Q", &|row| row.queues[1].len(), 6);
    let (local, local_port) =
        (width("Local Address", &|row| row.local.0.len(), 0), width("Port", &|row| row.local.1.len(), 0));
    let (peer, peer_port) =
        (width("Peer Address", &|row| row.peer.0.len(), 0), width("Port", &|row| row.peer.1.len(), 0));
    let process = if header { "Process".len() } else { 0 };
    let line = |cells: [&str; 9]| {
        let mut text = if with_transport { format!("{:<transport$} ", cells[0]) } else { String::new() };
        if with_state {
            text += &format!("{:<state$} ", cells[1]);
        }
        text += &format!("{:<receive$} {:<send$} ", cells[2], cells[3]);
        text += &format!("{:>local$}:{:<local_port$} ", cells[4], cells[5]);
        text + &format!("{:>peer$}:{:<peer_port$}{:<process$}\n", cells[6], cells[7], cells[8])
    };
    let mut text = String::new();
    if header {
        let titles = ["Netid", "State", "Recv-Q", "Send-Q", "Local Address", "Port", "Peer Address", "Port"];
        let [a, b, c, d, e, f, g, h] = titles;
        text += &line([a, b, c, d, e, f, g, h, "Process"]);
    }
    for row in rows {
        let (local, peer) = (&row.local, &row.peer);
        let queues = &row.queues;
        text += &line([
            &row.transport,
            &row.state,
            &queues[0],
            &queues[1],
            &local.0,
            &local.1,
            &peer.0,
            &peer.1,
            &row.process,
        ]);
    }
    text
}
