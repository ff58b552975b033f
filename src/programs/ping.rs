//! `ping` and `ping6`: ICMP echo requests, once a second.
//!
//! As BusyBox 1.35: it sends on a schedule whether answers come or not, waits `-W` seconds (10) after the last request
//! if none was answered, otherwise for two round trips, at least a second. ICMP errors are not shown.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::options::{Failure, Options, Syntax, duration, finish, invalid_number};
use super::resolver::{Want, resolve};
use super::{arguments, icmp};
use crate::engine::sys::{Datagram, ExitCode, Family, Scope, Sys};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "qvAc:s:t:w:W:I:np:46i:",
    long: &[],
    stop_at_operand: false,
    usage: "ping [OPTIONS] HOST\n\n\
            Send ICMP ECHO_REQUESTs to HOST\n\n\
            \t-4,-6\t\tForce IP or IPv6 name resolution\n\
            \t-c CNT\t\tSend only CNT pings\n\
            \t-s SIZE\t\tSend SIZE data bytes in packets (default 56)\n\
            \t-i SECS\t\tInterval\n\
            \t-A\t\tPing as soon as reply is received\n\
            \t-t TTL\t\tSet TTL\n\
            \t-I IFACE/IP\tSource interface or IP address\n\
            \t-W SEC\t\tSeconds to wait for the first response (default 10)\n\
            \t\t\t(after all -c CNT packets are sent)\n\
            \t-w SEC\t\tSeconds until ping exits (default:infinite)\n\
            \t\t\t(can exit earlier with -c CNT)\n\
            \t-q\t\tQuiet, only display output at start/finish\n\
            \t-p HEXBYTE\tPayload pattern",
};

/// Pings a host.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let [host] = options.operands.as_slice() else { return Err(Failure::usage("", SYNTAX.usage)) };
    let want = match (options.has('4'), options.has('6') || program == "ping6") {
        (_, true) => Want::Ipv6,
        (true, false) => Want::Ipv4,
        (false, false) => Want::Any,
    };
    let size: u64 = options.number(program, 's', 56)?;
    let size = u16::try_from(size)
        .map_err(|_| Failure::new(program, format!("number {size} is not in 0..65535 range")))?;
    let interval = options.value('i').unwrap_or("1");
    let plan = Plan {
        host: host.clone(),
        count: options.number(program, 'c', 0)?,
        size: usize::from(size),
        interval: duration(interval).ok_or_else(|| invalid_number(program, interval))?.max(MIN_INTERVAL),
        patience: Duration::from_secs(options.number(program, 'W', 10)?),
        deadline: options
            .value('w')
            .map(|_| options.number(program, 'w', 0u64))
            .transpose()?
            .filter(|s| *s > 0),
        ttl: options.value('t').map(|_| options.number(program, 't', 64)).transpose()?,
        quiet: options.has('q'),
    };
    let bad_address = || Failure::new(program, format!("bad address '{host}'"));
    let (name, scope) = match host.split_once('%') {
        Some((name, device)) => (name, Some(device)),
        None => (host.as_str(), None),
    };
    if scope.is_some_and(|device| !sys.interfaces().iter().any(|known| known.name == device)) {
        return Err(bad_address());
    }
    let target =
        *resolve(sys, name, want).await.map_err(|_| bad_address())?.first().ok_or_else(bad_address)?;
    let source = match options.value('I') {
        None => scope.map(|device| Source::on(sys, device, target)),
        Some(text) => Some(Source::find(sys, program, text, target)?),
    };
    let shown = if scope.is_some() { host.clone() } else { target.to_string() };
    plan.run(sys, program, target, &shown, source).await
}

/// The status of a program that SIGPIPE ended.
const SIGPIPE: ExitCode = ExitCode(128 + 13);

/// Keeps `-i 0` from standing still in time.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Where `-I` makes packets come from.
struct Source {
    address: IpAddr,
    /// An address is shown in the first line, a device is not.
    shown: bool,
}

impl Source {
    /// The address of the device behind `%` that goes with a target.
    fn on(sys: &Sys, device: &str, target: IpAddr) -> Source {
        let device = sys.interfaces().into_iter().find(|known| known.name == device);
        let addresses = device.into_iter().flat_map(|device| device.addresses);
        let mut own = addresses.filter(|held| held.address.addr().is_ipv6() == target.is_ipv6());
        let link = own.clone().find(|held| held.scope == Scope::Link);
        let address = link.or_else(|| own.next()).map(|held| held.address.addr());
        // Without one, sending says what is wrong.
        Source { address: address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), shown: false }
    }

    fn find(sys: &Sys, program: &str, text: &str, target: IpAddr) -> Result<Source, Failure> {
        if let Some(device) = sys.interfaces().into_iter().find(|device| device.name == text) {
            let mut addresses = device.addresses.iter().map(|a| a.address.addr());
            let address = addresses.find(|address| address.is_ipv4() == target.is_ipv4());
            let missing = || Failure::new(program, "sendto: Network is unreachable");
            return Ok(Source { address: address.ok_or_else(missing)?, shown: false });
        }
        let address = text.parse().map_err(|_| Failure::new(program, format!("bad address '{text}'")))?;
        Ok(Source { address, shown: true })
    }
}

struct Plan {
    host: String,
    count: u64,
    size: usize,
    interval: Duration,
    patience: Duration,
    deadline: Option<u64>,
    ttl: Option<u8>,
    quiet: bool,
}

#[derive(Default)]
struct Statistics {
    transmitted: u64,
    received: u64,
    repeated: u64,
    times: Vec<Duration>,
    sent: BTreeMap<u16, Duration>,
    seen: BTreeSet<u16>,
}

/// What happens next if no packet comes.
enum Next {
    Send(Duration),
    End(Duration),
}

impl Plan {
    async fn run(
        &self,
        sys: &Sys,
        program: &str,
        target: IpAddr,
        shown: &str,
        source: Option<Source>,
    ) -> Result<ExitCode, Failure> {
        let family = if target.is_ipv6() { Family::Ipv6 } else { Family::Ipv4 };
        let socket = sys
            .ping_socket(family)
            .map_err(|errno| Failure::new(program, format!("can't create raw socket: {errno}")))?;
        if let Some(ttl) = self.ttl {
            socket.set_ttl(ttl);
        }
        let from =
            source.as_ref().filter(|s| s.shown).map_or(String::new(), |s| format!(" from {}", s.address));
        sys.print(format!("PING {} ({shown}){from}: {} data bytes\n", self.host, self.size)).await;
        let source = source.map(|source| source.address);
        let id = (sys.random() & 0xffff) as u16;
        let start = sys.now();
        let mut statistics = Statistics::default();
        let mut next = Next::Send(start);
        loop {
            let (Next::Send(at) | Next::End(at)) = next;
            let left = at.saturating_sub(sys.now());
            let packet = if left.is_zero() { None } else { sys.timeout(left, socket.receive()).await };
            match (packet, &next) {
                (Some(Ok(datagram)), _) => {
                    self.receive(sys, id, &datagram, &mut statistics).await?;
                    if self.count > 0 && statistics.received >= self.count {
                        break;
                    }
                }
                (Some(Err(errno)), _) => {
                    return Err(Failure::new(program, format!("recvfrom: {errno}")));
                }
                (None, Next::End(_)) => break,
                (None, Next::Send(_)) => {
                    if self.deadline.is_some_and(|limit| sys.now() - start >= Duration::from_secs(limit)) {
                        break;
                    }
                    let sequence = (statistics.transmitted & 0xffff) as u16;
                    let message = icmp::echo_request(target.is_ipv6(), id, sequence, &self.payload(sys));
                    statistics.transmitted += 1;
                    statistics.sent.insert(sequence, sys.now());
                    statistics.seen.remove(&sequence);
                    socket
                        .send_to(&message, target, source)
                        .map_err(|errno| Failure::new(program, format!("sendto: {errno}")))?;
                    next = self.next(sys.now(), start, &statistics);
                }
            }
        }
        self.summarise(sys, &statistics).await;
        let incomplete = self.deadline.is_some() && statistics.received < self.count;
        Ok(if statistics.received == 0 || incomplete { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// The time of sending in microseconds, then zeros, as BusyBox fills its packets.
    fn payload(&self, sys: &Sys) -> Vec<u8> {
        let mut payload = vec![0; self.size];
        if let Some(stamp) = payload.first_chunk_mut::<4>() {
            *stamp = (sys.now().as_micros() as u32).to_le_bytes();
        }
        payload
    }

    fn next(&self, now: Duration, start: Duration, statistics: &Statistics) -> Next {
        if self.count == 0 || statistics.transmitted < self.count {
            let end = self.deadline.map(|limit| start + Duration::from_secs(limit));
            let send = now + self.interval;
            return Next::Send(end.map_or(send, |end| send.min(end)));
        }
        let longest = statistics.times.iter().max();
        // tmax / (512*1024) seconds is two round trips, rounded down.
        let patience = longest.map_or(self.patience, |time| {
            Duration::from_secs((time.as_micros() as u64 / (512 * 1024)).max(1))
        });
        Next::End(now + patience)
    }

    async fn receive(
        &self,
        sys: &Sys,
        id: u16,
        datagram: &Datagram,
        statistics: &mut Statistics,
    ) -> Result<(), Failure> {
        let Some(icmp::Message::EchoReply { id: theirs, sequence, length, ttl }) =
            icmp::parse(&datagram.payload)
        else {
            return Ok(());
        };
        let Some(sent) = statistics.sent.get(&sequence).copied().filter(|_| theirs == id) else {
            return Ok(());
        };
        let time = sys.now() - sent;
        statistics.times.push(time);
        let repeated = !statistics.seen.insert(sequence);
        if repeated {
            statistics.repeated += 1;
        } else {
            statistics.received += 1;
        }
        if self.quiet {
            return Ok(());
        }
        let from = datagram.source.ip();
        let time = if self.size >= 4 { format!(" time={} ms", milliseconds(time)) } else { String::new() };
        let repeated = if repeated { " (DUP!)" } else { "" };
        let line = format!("{length} bytes from {from}: seq={sequence} ttl={ttl}{time}{repeated}\n");
        // Whoever prints for ever must notice that nobody reads: SIGPIPE ends the real one.
        let closed = |_| Failure { text: String::new(), status: SIGPIPE };
        sys.write(line.as_bytes()).await.map_err(closed)
    }

    async fn summarise(&self, sys: &Sys, statistics: &Statistics) {
        let Statistics { transmitted, received, repeated, times, .. } = statistics;
        let lost = transmitted.saturating_sub(*received) * 100;
        let lost = lost.checked_div(*transmitted).unwrap_or(0);
        let repeated = if *repeated > 0 { format!("{repeated} duplicates, ") } else { String::new() };
        sys.print(format!(
            "\n--- {} ping statistics ---\n{transmitted} packets transmitted, {received} packets received, \
             {repeated}{lost}% packet loss\n",
            self.host
        ))
        .await;
        if let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) {
            let average = times.iter().sum::<Duration>() / times.len() as u32;
            let [least, average, most] = [*least, average, *most].map(milliseconds);
            sys.print(format!("round-trip min/avg/max = {least}/{average}/{most} ms\n")).await;
        }
    }
}

/// Milliseconds with three decimals.
pub(crate) fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}
