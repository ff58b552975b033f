//! `hping3`: TCP, UDP and ICMP packets with a header of one's own, and what comes back (hping 3.0.0-alpha-2).
//!
//! Packets leave by a raw socket with a header of their own: they are routed and pass OUTPUT, and where connection tracking
//! is at work, fragments are put together there, as on Linux. What comes back is read from a packet socket on the interface
//! of the route. A count that is reached is waited for a second. It ends with status 0 if anything came back, else 1.
//!
//! A subset: IPv4; the options of [`SYNTAX`], any other is refused. `--flood` takes virtual time, more and more of it
//! ([`Flood`]). Names of those who send ICMP errors are not looked up. Needs CAP_NET_RAW.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::arguments;
use super::arping::own_address;
use super::craft::{self, Flood, IpHeader, TCP, TcpHeader, UDP, random_address};
use super::icmp::{self, ICMP, Message};
use super::options::{Failure, Mistake, Options, Syntax, finish};
use super::resolver::{Want, resolve};
use crate::engine::sys::{Errno, ExitCode, PacketSocket, PacketType, Sys};

/// Long options without a letter.
const FAST: char = '\u{1}';
const FASTER: char = '\u{2}';
const FLOOD: char = '\u{3}';
const RANDOM_SOURCE: char = '\u{4}';

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "hc:i:nqI:12a:t:N:fxyg:m:s:kp:w:M:L:FSRPAUXYd:\u{1}\u{2}\u{3}\u{4}",
    long: &[
        ("help", 'h'),
        ("count", 'c'),
        ("interval", 'i'),
        ("fast", FAST),
        ("faster", FASTER),
        ("flood", FLOOD),
        ("numeric", 'n'),
        ("quiet", 'q'),
        ("interface", 'I'),
        ("icmp", '1'),
        ("udp", '2'),
        ("spoof", 'a'),
        ("rand-source", RANDOM_SOURCE),
        ("ttl", 't'),
        ("id", 'N'),
        ("frag", 'f'),
        ("morefrag", 'x'),
        ("dontfrag", 'y'),
        ("fragoff", 'g'),
        ("mtu", 'm'),
        ("baseport", 's'),
        ("keep", 'k'),
        ("destport", 'p'),
        ("win", 'w'),
        ("setseq", 'M'),
        ("setack", 'L'),
        ("fin", 'F'),
        ("syn", 'S'),
        ("rst", 'R'),
        ("push", 'P'),
        ("ack", 'A'),
        ("urg", 'U'),
        ("xmas", 'X'),
        ("ymas", 'Y'),
        ("data", 'd'),
    ],
    stop_at_operand: false,
    usage: "hping3 host [options]\n\
            supported here:\n\
            \x20 -c  --count COUNT     packets to send\n\
            \x20 -i  --interval N|uN   seconds, or microseconds, between two (--fast: 0.1 s, --faster: 1 us)\n\
            \x20     --flood           as fast as can be, replies are not shown\n\
            \x20 -n  --numeric   -q  --quiet   -I  --interface NAME\n\
            \x20 -1  --icmp   -2  --udp   (neither: TCP)\n\
            \x20 -a  --spoof ADDRESS   --rand-source   -t  --ttl N   -N  --id N\n\
            \x20 -f  --frag   -m  --mtu N   -x  --morefrag   -y  --dontfrag   -g  --fragoff BYTES\n\
            \x20 -s  --baseport PORT   -k  --keep   -p  --destport [+][+]PORT   -w  --win N\n\
            \x20 -M  --setseq N   -L  --setack N\n\
            \x20 -F --fin  -S --syn  -R --rst  -P --push  -A --ack  -U --urg  -X --xmas  -Y --ymas\n\
            \x20 -d  --data BYTES",
};

/// TCP's flags by option letter, with the letter that shows them, in the order of hping's output.
const FLAGS: [(char, char, u8); 8] = [
    ('R', 'R', 0x04),
    ('S', 'S', 0x02),
    ('A', 'A', 0x10),
    ('F', 'F', 0x01),
    ('P', 'P', 0x08),
    ('U', 'U', 0x20),
    ('X', 'X', 0x40),
    ('Y', 'Y', 0x80),
];

/// IPv4's EtherType.
const IPV4: u16 = 0x0800;

/// Bytes of each piece with `-f`, as `-m` leaves it.
const PIECE: u16 = 16;

/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends packets and shows what comes back.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Tcp(u8),
    Udp,
    Icmp,
}

/// How the destination port changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Never,
    /// With every answer.
    Answered,
    /// With every packet.
    Sent,
}

struct Plan {
    mode: Mode,
    target: Ipv4Addr,
    own: Ipv4Addr,
    random_source: bool,
    spoofed: Option<Ipv4Addr>,
    ttl: u8,
    identification: Option<u16>,
    more_fragments: bool,
    dont_fragment: bool,
    offset: u16,
    piece: Option<u16>,
    base_port: u16,
    keep: bool,
    port: u16,
    step: Step,
    window: u16,
    sequence: Option<u32>,
    acknowledgement: Option<u32>,
    data: Vec<u8>,
    count: Option<u32>,
    interval: Duration,
    flood: bool,
    quiet: bool,
    echo: u16,
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::read(words, &SYNTAX).map_err(|mistake| match mistake {
        Mistake::Unknown(option) => usage(&format!("{program}: unrecognized option: {option}\n")),
        Mistake::NoValue(option) => usage(&format!("{program}: option requires an argument: {option}\n")),
    })?;
    if options.has('h') {
        return Err(usage(""));
    }
    let [host] = options.operands.as_slice() else {
        return Err(usage(&format!("{program}: you must specify one host\n")));
    };
    let unknown = |name: &str| Failure::new(program, format!("Unable to resolve '{name}'"));
    let target = address(sys, host).await.ok_or_else(|| unknown(host))?;
    let spoofed = match options.value('a') {
        None => None,
        Some(name) => Some(address(sys, name).await.ok_or_else(|| unknown(name))?),
    };
    let unreachable = || Failure::new(program, format!("no route to {target}"));
    let name = match options.value('I') {
        Some(name) => name.to_owned(),
        None => sys.route_to(IpAddr::V4(target)).map_err(|_| unreachable())?.device,
    };
    let socket = sys.packet_socket(&name, Some(IPV4)).map_err(|errno| match errno {
        Errno::PermissionDenied => Failure {
            text: format!("[open_sockraw] socket(): {errno}\n[main] can't open raw socket\n"),
            status: ExitCode::FAILURE,
        },
        _ => Failure::new(program, format!("interface {name}: {errno}")),
    })?;
    let device = sys.interfaces().into_iter().find(|device| device.name == name).ok_or_else(unreachable)?;
    let own = own_address(&device, target).ok_or_else(unreachable)?;
    let plan = Plan::read(sys, program, &options, target, own, spoofed)?;
    let headers = match plan.mode {
        Mode::Tcp(_) => 40,
        Mode::Udp | Mode::Icmp => 28,
    };
    let mode = match plan.mode {
        Mode::Tcp(0) => "NO FLAGS are set".to_owned(),
        Mode::Tcp(flags) => format!("{} set", flag_letters(flags)),
        Mode::Udp => "udp mode set".to_owned(),
        Mode::Icmp => "icmp mode set".to_owned(),
    };
    sys.print(format!(
        "HPING {host} ({name} {target}): {mode}, {headers} headers + {} data bytes\n",
        plan.data.len()
    ))
    .await;
    if plan.flood {
        sys.print("hping in flood mode, no replies will be shown\n").await;
    }
    let statistics = plan.run(sys, program, &socket).await?;
    sys.print_error(statistics.text(host)).await;
    Ok(ExitCode(u8::from(statistics.received == 0)))
}

async fn address(sys: &Sys, name: &str) -> Option<Ipv4Addr> {
    match resolve(sys, name, Want::Ipv4).await.ok()?.first()? {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }
}

fn usage(complaint: &str) -> Failure {
    Failure { text: format!("{complaint}usage: {}\n", SYNTAX.usage), status: ExitCode::FAILURE }
}

fn flag_letters(flags: u8) -> String {
    FLAGS.iter().filter(|(_, _, bit)| flags & bit != 0).map(|(_, letter, _)| *letter).collect()
}

impl Plan {
    fn read(
        sys: &Sys,
        program: &str,
        options: &Options,
        target: Ipv4Addr,
        own: Ipv4Addr,
        spoofed: Option<Ipv4Addr>,
    ) -> Result<Plan, Failure> {
        let wrong = |what: &str, text: &str| Failure::new(program, format!("{what}: '{text}' is not valid"));
        let flags = FLAGS.iter().filter(|(option, _, _)| options.has(*option)).map(|(_, _, bit)| bit);
        let mode = match (options.has('1'), options.has('2')) {
            (true, true) => return Err(usage(&format!("{program}: -1 and -2 exclude each other\n"))),
            (true, false) => Mode::Icmp,
            (false, true) => Mode::Udp,
            (false, false) => Mode::Tcp(flags.fold(0, |all, bit| all | bit)),
        };
        let interval = match options.value('i') {
            None if options.has(FASTER) => Duration::from_micros(1),
            None if options.has(FAST) => Duration::from_millis(100),
            None => Duration::from_secs(1),
            Some(text) => match text.strip_prefix('u') {
                Some(micros) => micros.parse().ok().map(Duration::from_micros),
                None => text.parse().ok().map(Duration::from_secs),
            }
            .filter(|interval| !interval.is_zero())
            .ok_or_else(|| wrong("interval", text))?,
        };
        let (port, step) = match options.value('p') {
            None => (0, Step::Never),
            Some(text) => {
                let (number, step) = match (text.strip_prefix("++"), text.strip_prefix('+')) {
                    (Some(number), _) => (number, Step::Sent),
                    (None, Some(number)) => (number, Step::Answered),
                    (None, None) => (text, Step::Never),
                };
                (number.parse().map_err(|_| wrong("destination port", text))?, step)
            }
        };
        let random_port = 1_024 + (sys.random() & 0x7ff) as u16;
        let size: u16 = options.number(program, 'd', 0)?;
        let piece: u16 = options.number(program, 'm', PIECE)?;
        let optional =
            |letter| options.value(letter).map(|_| options.number(program, letter, 0u32)).transpose();
        Ok(Plan {
            mode,
            target,
            own,
            random_source: options.has(RANDOM_SOURCE),
            spoofed,
            ttl: options.number(program, 't', 64)?,
            identification: options.value('N').map(|_| options.number(program, 'N', 0)).transpose()?,
            more_fragments: options.has('x'),
            dont_fragment: options.has('y'),
            offset: options.number(program, 'g', 0)?,
            piece: (options.has('f') || options.has('m')).then_some((piece & !7).max(8)),
            base_port: options.number(program, 's', random_port)?,
            keep: options.has('k'),
            port,
            step,
            window: options.number(program, 'w', 64)?,
            sequence: optional('M')?,
            acknowledgement: optional('L')?,
            data: vec![b'X'; usize::from(size)],
            count: optional('c')?,
            interval,
            flood: options.has(FLOOD),
            quiet: options.has('q') || options.has(FLOOD),
            echo: (sys.random() & 0xffff) as u16,
        })
    }

    async fn run(&self, sys: &Sys, program: &str, socket: &PacketSocket) -> Result<Statistics, Failure> {
        let mut statistics = Statistics::default();
        let mut pace = Flood::default();
        let mut next = sys.now();
        loop {
            let done = self.count.is_some_and(|count| statistics.sent >= count as usize);
            if !done {
                let sent = self.send(sys, &statistics);
                sent.map_err(|errno| Failure::new(program, format!("[send_ip] sendto: {errno}")))?;
                statistics.sent(sys.now());
                if self.flood {
                    pace.pause(sys).await;
                    continue;
                }
                next += self.interval;
            }
            let until = if done { sys.now() + PATIENCE } else { next };
            while let Some(seen) = sys.timeout(until.saturating_sub(sys.now()), socket.receive()).await {
                let Ok(seen) = seen else {
                    sys.sleep_until(until).await;
                    break;
                };
                if seen.kind == PacketType::Host
                    && let Some(answer) = self.read_answer(&seen.frame, &statistics)
                {
                    let took = statistics.answered(answer.number, sys.now());
                    if !self.quiet {
                        let rtt =
                            if answer.timed { format!(" rtt={:.1} ms", millis(took)) } else { String::new() };
                        sys.print(format!("{}{rtt}\n", answer.text)).await;
                    }
                }
            }
            if done {
                return Ok(statistics);
            }
        }
    }

    fn send(&self, sys: &Sys, statistics: &Statistics) -> Result<(), Errno> {
        let number = statistics.sent as u16;
        let source = match self.spoofed {
            _ if self.random_source => random_address(sys),
            Some(spoofed) => spoofed,
            None => self.own,
        };
        let random = (sys.random() & 0xffff) as u16;
        let mut header = IpHeader {
            source,
            destination: self.target,
            protocol: match self.mode {
                Mode::Tcp(_) => TCP,
                Mode::Udp => UDP,
                Mode::Icmp => ICMP,
            },
            ttl: self.ttl,
            // Zero would let the kernel choose one for each piece.
            identification: self.identification.unwrap_or(random.max(1)),
            dont_fragment: self.dont_fragment,
            more_fragments: self.more_fragments,
            offset: self.offset,
        };
        let port = self.port.wrapping_add(match self.step {
            Step::Never => 0,
            Step::Answered => statistics.received as u16,
            Step::Sent => number,
        });
        let ports = (self.source_port(number), port);
        let content = match self.mode {
            Mode::Tcp(flags) => {
                let tcp = TcpHeader {
                    ports,
                    sequence: self.sequence.unwrap_or_else(|| sys.random()),
                    acknowledgement: self.acknowledgement.unwrap_or_else(|| sys.random()),
                    flags,
                    window: self.window,
                };
                craft::tcp(&header, &tcp, &self.data)
            }
            Mode::Udp => craft::udp(&header, ports, &self.data),
            Mode::Icmp => icmp::echo_request(false, self.echo, number, &self.data),
        };
        let Some(piece) = self.piece.filter(|piece| content.len() > usize::from(*piece)) else {
            return sys.send_packet(&header.packet(&content));
        };
        let mut pieces = content.chunks(usize::from(piece)).peekable();
        while let Some(bytes) = pieces.next() {
            header.more_fragments = self.more_fragments || pieces.peek().is_some();
            sys.send_packet(&header.packet(bytes))?;
            header.offset = header.offset.saturating_add(piece);
        }
        Ok(())
    }

    fn source_port(&self, number: u16) -> u16 {
        if self.keep { self.base_port } else { self.base_port.wrapping_add(number) }
    }

    /// An answer to one of the packets that were sent.
    fn read_answer(&self, frame: &[u8], statistics: &Statistics) -> Option<Answer> {
        let packet = frame.get(14..)?;
        let header = usize::from(*packet.first()? & 0xf) * 4;
        let total = usize::from(word(packet, 2)?);
        let content = packet.get(header..total.min(packet.len()))?;
        let from = Ipv4Addr::from(*packet.get(12..16)?.first_chunk::<4>()?);
        let (protocol, ttl, id) = (packet[9], packet[8], word(packet, 4)?);
        if protocol == ICMP
            && let Some(text) = self.read_error(packet, from)
        {
            // Which one it is about is not looked for.
            return Some(Answer { number: statistics.sent.saturating_sub(1), text, timed: false });
        }
        if from != self.target {
            return None;
        }
        let fragmented = if word(packet, 6)? & 0x4000 != 0 { "DF " } else { "" };
        let head = format!("len={total} ip={from} ttl={ttl} {fragmented}id={id}");
        let sent = |port: u16| match self.keep {
            true => (port == self.base_port).then(|| statistics.sent.saturating_sub(1)),
            false => statistics.latest(port.wrapping_sub(self.base_port)),
        };
        let (number, text) = match (self.mode, protocol) {
            (Mode::Tcp(_), TCP) => {
                let number = sent(word(content, 2)?)?;
                let flags = flag_letters(*content.get(13)?);
                let (port, window) = (word(content, 0)?, word(content, 14)?);
                (number, format!("{head} sport={port} flags={flags} seq={number} win={window}"))
            }
            (Mode::Udp, UDP) => {
                let number = sent(word(content, 2)?)?;
                (number, format!("{head} seq={number}"))
            }
            (Mode::Icmp, ICMP) => match icmp::parse(packet)? {
                Message::EchoReply { id, sequence, .. } if id == self.echo => {
                    (statistics.latest(sequence)?, format!("{head} icmp_seq={sequence}"))
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(Answer { number, text, timed: true })
    }

    /// An ICMP error about a packet to the target.
    fn read_error(&self, packet: &[u8], from: Ipv4Addr) -> Option<String> {
        let (what, quoted) = match icmp::parse(packet)? {
            Message::TimeExceeded(quoted) => ("TTL 0 during transit", quoted),
            Message::Unreachable { code, quoted } => {
                let what = match code {
                    0 => "Network Unreachable",
                    1 => "Host Unreachable",
                    2 => "Protocol Unreachable",
                    3 => "Port Unreachable",
                    4 => "Fragmentation Needed/DF set",
                    13 => "Packet filtered",
                    _ => "Unreachable",
                };
                (what, quoted)
            }
            Message::EchoReply { .. } => return None,
        };
        (quoted.destination == Some(IpAddr::V4(self.target))).then(|| format!("ICMP {what} from ip={from}"))
    }
}

struct Answer {
    /// The packet it answers.
    number: usize,
    text: String,
    timed: bool,
}

/// Packets whose time of sending is remembered, so that a long run stays small.
const REMEMBERED: usize = 1_024;

#[derive(Default)]
struct Statistics {
    sent: usize,
    /// When the last ones were sent, each at its number modulo [`REMEMBERED`].
    lately: Vec<Duration>,
    received: usize,
    sum: Duration,
    range: Option<(Duration, Duration)>,
}

impl Statistics {
    fn sent(&mut self, now: Duration) {
        match self.lately.get_mut(self.sent % REMEMBERED) {
            Some(time) => *time = now,
            None => self.lately.push(now),
        }
        self.sent += 1;
    }

    /// The packet that was sent last of those whose number begins again after 65,535.
    fn latest(&self, number: u16) -> Option<usize> {
        let last = self.sent.checked_sub(1)?;
        last.checked_sub(usize::from((last as u16).wrapping_sub(number)))
    }

    fn answered(&mut self, number: usize, now: Duration) -> Duration {
        let since = self.lately.get(number % REMEMBERED).copied().unwrap_or(now);
        let took = now.saturating_sub(since);
        self.received += 1;
        self.sum += took;
        let (least, most) = self.range.unwrap_or((took, took));
        self.range = Some((least.min(took), most.max(took)));
        took
    }

    fn text(&self, host: &str) -> String {
        let Statistics { sent, received, .. } = self;
        let lost = (100 * sent.saturating_sub(*received)).checked_div(*sent).unwrap_or(0);
        let (least, most) = self.range.unwrap_or_default();
        let average = millis(self.sum) / (*received).max(1) as f64;
        format!(
            "\n--- {host} hping statistic ---\n\
             {sent} packets transmitted, {received} packets received, {lost}% packet loss\n\
             round-trip min/avg/max = {:.1}/{average:.1}/{:.1} ms\n",
            millis(least),
            millis(most)
        )
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..at + 2)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;
    use crate::engine::sys::{Powers, Privilege};

    fn served(world: &World) {
        world.start("b", &["listen", "80/tcp", "53/udp"]);
        world.settle();
    }

    #[test]
    fn open_and_closed_ports_answer_with_their_flags() {
        let world = World::new();
        served(&world);
        let (printed, status) = world.run("a", "hping3 -S -c 2 -p ++80 -s 5000 10.0.0.3");
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[0], "HPING 10.0.0.3 (eth0 10.0.0.3): S set, 40 headers + 0 data bytes", "{printed}");
        assert!(lines[1].starts_with("len=44 ip=10.0.0.3 ttl=64 "), "{printed}");
        assert!(
            lines[1].contains(" sport=80 flags=SA seq=0 win=") && lines[1].ends_with(" rtt=0.0 ms"),
            "{printed}"
        );
        assert!(lines[2].contains(" sport=81 flags=RA seq=1 win=0 "), "{printed}");
        let end = "\n--- 10.0.0.3 hping statistic ---\n\
                   2 packets transmitted, 2 packets received, 0% packet loss\n\
                   round-trip min/avg/max = 0.0/0.0/0.0 ms\n";
        assert!(printed.ends_with(end) && status == 0, "{printed}");
    }

    #[test]
    fn udp_and_icmp_have_their_answers() {
        let world = World::new();
        let (printed, status) = world.run("a", "hping3 -2 -c 1 -p 9 10.0.0.3");
        assert!(printed.contains("udp mode set, 28 headers + 0 data bytes"), "{printed}");
        assert!(printed.contains("ICMP Port Unreachable from ip=10.0.0.3\n") && status == 0, "{printed}");
        let (printed, _) = world.run("a", "hping3 -1 -c 2 -d 10 -i u100 10.0.0.3");
        assert!(printed.contains("icmp mode set, 28 headers + 10 data bytes"), "{printed}");
        assert!(
            printed.contains("len=38 ip=10.0.0.3 ttl=64 ") && printed.contains(" icmp_seq=1 rtt="),
            "{printed}"
        );
        let (printed, _) = world.run("a", "hping3 -S -c 1 -t 1 -p 80 10.1.0.2");
        assert!(printed.contains("ICMP TTL 0 during transit from ip=10.0.0.1"), "{printed}");
        // A SYN in pieces of 16 bytes arrives whole.
        served(&world);
        assert!(world.run("a", "hping3 -S -f -c 1 -p 80 10.0.0.3").0.contains("flags=SA"));
    }

    #[test]
    fn what_others_are_made_to_have_sent_is_answered_to_them() {
        let world = World::new();
        served(&world);
        let (printed, status) = world.run("a", "hping3 -S -q -a 10.0.0.1 -c 3 -p 80 -i u10 10.0.0.3");
        assert!(printed.contains("3 packets transmitted, 0 packets received, 100% packet loss"), "{printed}");
        assert_eq!(status, 1);
    }

    #[test]
    fn a_flood_ends_with_its_count_and_takes_time() {
        let world = World::new();
        served(&world);
        let before = world.engine.borrow().now();
        let (printed, _) = world.run("a", "hping3 -S --flood --rand-source -c 2000 -p 80 10.0.0.3");
        assert!(printed.contains("hping in flood mode, no replies will be shown\n"), "{printed}");
        assert!(printed.contains("2000 packets transmitted, 0 packets received"), "{printed}");
        assert!(world.engine.borrow().now() - before >= Duration::from_millis(20));
    }

    #[test]
    fn what_is_not_reproduced_is_refused_with_what_is() {
        let world = World::new();
        for (line, says) in [
            (
                "hping3 --scan 1-30 10.0.0.3",
                "hping3: unrecognized option: scan\nusage: hping3 host [options]\nsupported here:",
            ),
            ("hping3 -Z 10.0.0.3", "hping3: unrecognized option: Z\n"),
            ("hping3 -S", "hping3: you must specify one host\n"),
            ("hping3 -1 -2 10.0.0.3", "exclude each other"),
            ("hping3 -i u0 10.0.0.3", "interval: 'u0' is not valid"),
            ("hping3 -p http 10.0.0.3", "destination port: 'http' is not valid"),
            ("hping3 nosuchhost", "Unable to resolve 'nosuchhost'"),
            ("hping3 -I eth7 10.0.0.3", "interface eth7: No such device"),
            ("hping3 -c 1 -d 2000 10.0.0.3", "[send_ip] sendto: Message too long"),
        ] {
            let (printed, status) = world.run("a", line);
            assert!(printed.contains(says) && status == 1, "{line}: {printed}");
        }
        let powers = Powers { privilege: Privilege::Ordinary, raw: false };
        let hping = world.start_as("a", powers, &["hping3", "-c", "1", "10.0.0.3"]);
        assert_eq!(world.finish(&hping), 1);
        assert_eq!(
            hping.text(),
            "[open_sockraw] socket(): Operation not permitted\n[main] can't open raw socket\n"
        );
    }
}
