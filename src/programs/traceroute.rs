//! `traceroute` and `traceroute6`: probes with a growing time to live, and who complains about them.
//!
//! Probes are UDP datagrams to ports from 33434 on, or echo requests with `-I`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::arguments;
use super::icmp::{self, Message};
use super::options::{Failure, Options, Syntax, finish};
use super::ping::milliseconds;
use super::resolver::{Want, resolve, reverse};
use crate::engine::sys::{Errno, ExitCode, Family, RawSocket, Sys, UdpSocket};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "46FIlnrdvxf:m:p:q:s:t:w:z:i:",
    long: &[],
    stop_at_operand: false,
    usage: "traceroute [-46FIlnrv] [-f 1ST_TTL] [-m MAXTTL] [-q PROBES] [-p PORT]\n\
            \t[-t TOS] [-w WAIT_SEC] [-s SRC_IP] [-i IFACE]\n\
            \t[-z PAUSE_MSEC] HOST [BYTES]",
};

/// The first port probed (traceroute's tradition).
const FIRST_PORT: u16 = 33_434;

/// UDP's IP protocol number.
const UDP: u8 = 17;

/// Traces the way to a host.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let (host, size) = match options.operands.as_slice() {
        [host] => (host, None),
        [host, size] => (host, Some(size)),
        _ => return Err(Failure::usage("", SYNTAX.usage)),
    };
    let want = match (options.has('4'), options.has('6') || program == "traceroute6") {
        (_, true) => Want::Ipv6,
        (true, false) => Want::Ipv4,
        (false, false) => Want::Any,
    };
    let most: u8 = options.number(program, 'm', 30)?;
    let first: u8 = options.number(program, 'f', 1)?;
    let size: usize = match size {
        Some(text) => text.parse().map_err(|_| super::options::invalid_number(program, text))?,
        None => 46,
    };
    let bad_address = || Failure::new(program, format!("bad address '{host}'"));
    let target =
        *resolve(sys, host, want).await.map_err(|_| bad_address())?.first().ok_or_else(bad_address)?;
    let mut tracer =
        Tracer::open(sys, target, options.has('I'), size, options.number(program, 'p', FIRST_PORT)?)
            .map_err(|errno| Failure::new(program, format!("socket: {errno}")))?;
    let patience = Duration::from_secs(options.number(program, 'w', 3u64)?);
    let probes: u32 = options.number(program, 'q', 3)?;
    sys.print(format!("traceroute to {host} ({target}), {most} hops max, {size} byte packets\n")).await;
    for ttl in first..=most {
        sys.print(format!("{ttl:>2}")).await;
        let (mut last, mut arrived, mut unreachable) = (None, false, 0);
        for _ in 0..probes {
            let sent = sys.now();
            let reply = match tracer.send(ttl) {
                Ok(()) => sys.timeout(patience, tracer.answer()).await,
                Err(errno) => return Err(Failure::new(program, format!("sendto: {errno}"))),
            };
            let Some(answer) = reply else {
                sys.print("  *").await;
                continue;
            };
            if last != Some(answer.from) {
                last = Some(answer.from);
                let name = if options.has('n') { None } else { Some(reverse(sys, answer.from).await) };
                let text = match name {
                    None => format!("  {}", answer.from),
                    Some(name) => {
                        let name = name.unwrap_or_else(|| answer.from.to_string());
                        format!("  {name} ({})", answer.from)
                    }
                };
                sys.print(text).await;
            }
            sys.print(format!("  {} ms{}", milliseconds(answer.at - sent), answer.mark)).await;
            arrived |= answer.arrived;
            unreachable += u32::from(!answer.mark.is_empty());
        }
        sys.print("\n").await;
        if arrived || (probes > 0 && unreachable >= probes.saturating_sub(1).max(1)) {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Tracer {
    sys: Sys,
    target: IpAddr,
    listener: RawSocket,
    udp: Option<UdpSocket>,
    payload: Vec<u8>,
    id: u16,
    port: u16,
    sequence: u16,
}

struct Answer {
    from: IpAddr,
    at: Duration,
    arrived: bool,
    mark: &'static str,
}

impl Tracer {
    fn open(sys: &Sys, target: IpAddr, echo: bool, size: usize, port: u16) -> Result<Tracer, Errno> {
        let (family, protocol) =
            if target.is_ipv6() { (Family::Ipv6, icmp::ICMPV6) } else { (Family::Ipv4, icmp::ICMP) };
        let headers = if target.is_ipv6() { 48 } else { 28 };
        Ok(Tracer {
            sys: sys.clone(),
            target,
            listener: sys.raw_socket(family, protocol)?,
            udp: if echo { None } else { Some(sys.udp_socket()?) },
            payload: vec![0; size.saturating_sub(headers)],
            id: (sys.random() & 0xffff) as u16,
            port,
            sequence: 0,
        })
    }

    fn send(&mut self, ttl: u8) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        match &self.udp {
            Some(socket) => {
                socket.set_ttl(ttl);
                socket.send_to(&self.payload, SocketAddr::new(self.target, self.probed_port()))
            }
            None => {
                self.listener.set_ttl(ttl);
                let message =
                    icmp::echo_request(self.target.is_ipv6(), self.id, self.sequence, &self.payload);
                self.listener.send_to(&message, self.target, None)
            }
        }
    }

    fn probed_port(&self) -> u16 {
        self.port.wrapping_add(self.sequence)
    }

    /// Waits for a message about the last probe.
    async fn answer(&self) -> Answer {
        loop {
            let Ok(datagram) = self.listener.receive().await else {
                // The namespace is gone: nothing more will come, and asking again would spin.
                std::future::pending::<()>().await;
                continue;
            };
            let (from, at) = (datagram.source.ip(), self.sys.now());
            match icmp::parse(&datagram.payload) {
                Some(Message::EchoReply { id, sequence, .. })
                    if self.udp.is_none() && (id, sequence) == (self.id, self.sequence) =>
                {
                    return Answer { from, at, arrived: true, mark: "" };
                }
                Some(Message::TimeExceeded(quoted)) if self.is_mine(&quoted) => {
                    return Answer { from, at, arrived: false, mark: "" };
                }
                Some(Message::Unreachable { code, quoted }) if self.is_mine(&quoted) => {
                    let mark = self.mark(code);
                    return Answer { from, at, arrived: mark.is_empty(), mark };
                }
                _ => {}
            }
        }
    }

    fn is_mine(&self, quoted: &icmp::Quoted) -> bool {
        let word = |at: usize| u16::from_be_bytes([quoted.payload[at], quoted.payload[at + 1]]);
        match &self.udp {
            Some(_) => quoted.protocol == UDP && word(2) == self.probed_port(),
            None => quoted.protocol != UDP && (word(4), word(6)) == (self.id, self.sequence),
        }
    }

    /// traceroute's letters for the codes of "destination unreachable"; a closed port is what it hopes for.
    fn mark(&self, code: u8) -> &'static str {
        match (self.target.is_ipv6(), code) {
            (false, 3) | (true, 4) => "",
            (false, 0) | (true, 0) => " !N",
            (false, 1) | (true, 3) => " !H",
            (false, 2) => " !P",
            (false, 4) => " !F",
            (false, 9 | 10 | 13) | (true, 1) => " !X",
            _ => " !",
        }
    }
}
