//! `arping`: who has an IPv4 address on this link, asked past the IP layer (BusyBox 1.35).
//!
//! A question a second, by broadcast until the first answer and to the one who answered from then on. With `-U` and `-A`
//! it announces an address of its own instead, with `-D` it finds out whether somebody has an address that it means to
//! take. As BusyBox's it counts no broadcasts once `-c` is given. Needs CAP_NET_RAW.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::arguments;
use super::options::{Failure, Options, Syntax, finish};
use super::resolver::{Want, resolve};
use crate::engine::sys::{
    Errno, ExitCode, InterfaceKind, InterfaceView, MacAddress, PacketSocket, PacketType, Sys,
};

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "UDAqfbc:w:I:s:",
    long: &[],
    stop_at_operand: false,
    usage: "arping [-fqbDUA] [-c CNT] [-w TIMEOUT] [-I IFACE] [-s SRC_IP] DST_IP\n\n\
            Send ARP requests/replies\n\n\
            \t-f\t\tQuit on first ARP reply\n\
            \t-q\t\tQuiet\n\
            \t-b\t\tKeep broadcasting, don't go unicast\n\
            \t-D\t\tExit with 1 if DST_IP replies\n\
            \t-U\t\tUnsolicited ARP mode, update your neighbors\n\
            \t-A\t\tARP answer mode, update your neighbors\n\
            \t-c N\t\tStop after sending N ARP requests\n\
            \t-w TIMEOUT\tSeconds to wait for ARP reply\n\
            \t-I IFACE\tInterface to use (default eth0)\n\
            \t-s SRC_IP\tSender IP address\n\
            \tDST_IP\t\tTarget IP address",
};

/// ARP's EtherType.
pub(super) const ARP: u16 = 0x0806;
/// Hardware and protocol of ARP for IPv4 on Ethernet, with the lengths of their addresses (RFC 826).
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// What is wrong with the arguments once the command line could be read.
const UNUSABLE: ExitCode = ExitCode(2);

/// Asks who has an address.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::parse(program, words, &SYNTAX)?;
    let [host] = options.operands.as_slice() else { return Err(Failure::usage("", SYNTAX.usage)) };
    let count: Option<u32> = options.value('c').map(|_| options.number(program, 'c', 0)).transpose()?;
    let patience: u64 = options.number(program, 'w', 0)?;
    let refused = |text: String| Failure { status: UNUSABLE, ..Failure::new(program, text) };
    let name = options.value('I').unwrap_or("eth0");
    let socket = sys.packet_socket(name, Some(ARP)).map_err(|errno| match errno {
        Errno::PermissionDenied => Failure::new(program, format!("socket: {errno}")),
        _ => refused(format!("interface {name} not found: {errno}")),
    })?;
    let device = sys.interfaces().into_iter().find(|device| device.name == name);
    let device = device.ok_or_else(|| refused(format!("interface {name} not found: No such device")))?;
    if !device.up {
        return Err(refused(format!("interface {name} is down")));
    }
    if device.kind == InterfaceKind::Loopback {
        let status = if options.has('D') { ExitCode::SUCCESS } else { UNUSABLE };
        return Err(Failure { status, ..refused(format!("interface {name} is not ARPable")) });
    }
    let target = address(sys, host).await.ok_or_else(|| refused(format!("bad address '{host}'")))?;
    let announces = options.has('U') || options.has('A');
    let given = match options.value('s') {
        None if announces => Some(target),
        None => None,
        Some(text) => Some(address(sys, text).await.ok_or_else(|| refused(format!("bad address '{text}'")))?),
    };
    let source = match given {
        Some(given) if !is_own(sys, given) => {
            return Err(refused(format!("bind: {}", Errno::AddressNotAvailable)));
        }
        Some(given) => given,
        None if options.has('D') => Ipv4Addr::UNSPECIFIED,
        None => own_address(&device, target)
            .ok_or_else(|| refused("no source address in not-DAD mode".to_owned()))?,
    };
    let asking = Asking {
        socket,
        own: device.mac.0,
        source,
        target,
        answers: options.has('A'),
        announces,
        probes: options.has('D'),
        quits: options.has('f') || options.has('D'),
        quiet: options.has('q'),
        stays_broadcast: options.has('b'),
        limit: count,
        patience: (patience > 0).then(|| Duration::from_secs(patience)),
    };
    if !asking.quiet {
        sys.print(format!("ARPING {target} from {source} {name}\n")).await;
    }
    asking.run(sys).await.map_err(|errno| refused(format!("sendto: {errno}")))
}

async fn address(sys: &Sys, text: &str) -> Option<Ipv4Addr> {
    match resolve(sys, text, Want::Ipv4).await.ok()?.first()? {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }
}

fn is_own(sys: &Sys, address: Ipv4Addr) -> bool {
    let mut held = sys.interfaces().into_iter().flat_map(|device| device.addresses);
    address.is_loopback() || held.any(|held| held.address.addr() == address)
}

/// The address of a device towards a target: of its subnet, else the first.
pub(super) fn own_address(device: &InterfaceView, target: Ipv4Addr) -> Option<Ipv4Addr> {
    let mut held = device.addresses.iter().filter(|held| held.address.addr().is_ipv4());
    let near = held.clone().find(|held| held.address.contains(&IpAddr::V4(target)));
    match near.or_else(|| held.next())?.address.addr() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// An ARP message in its frame.
pub(super) fn message(
    destination: [u8; 6],
    reply: bool,
    sender: ([u8; 6], Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
) -> Vec<u8> {
    let mut frame = [&destination[..], &sender.0, &ARP.to_be_bytes(), &ETHERNET_IPV4].concat();
    frame.extend([0, if reply { 2 } else { 1 }]);
    for (mac, address) in [sender, target] {
        frame.extend(mac);
        frame.extend(address.octets());
    }
    frame
}

/// What an ARP message says.
struct Heard {
    reply: bool,
    sender: ([u8; 6], Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
}

impl Heard {
    fn parse(frame: &[u8]) -> Option<Heard> {
        let message = frame.get(14..42)?;
        let pair = |at: usize| {
            let mac = message[at..at + 6].first_chunk::<6>()?;
            let address = message[at + 6..at + 10].first_chunk::<4>()?;
            Some((*mac, Ipv4Addr::from(*address)))
        };
        let known = message.starts_with(&ETHERNET_IPV4) && message[6] == 0 && matches!(message[7], 1 | 2);
        if !known {
            return None;
        }
        Some(Heard { reply: message[7] == 2, sender: pair(8)?, target: pair(18)? })
    }
}

struct Asking {
    socket: PacketSocket,
    own: [u8; 6],
    source: Ipv4Addr,
    target: Ipv4Addr,
    answers: bool,
    announces: bool,
    probes: bool,
    quits: bool,
    quiet: bool,
    stays_broadcast: bool,
    limit: Option<u32>,
    patience: Option<Duration>,
}

#[derive(Default)]
struct Counts {
    sent: u32,
    broadcasts: u32,
    received: u32,
    requests: u32,
    heard_by_all: u32,
}

const SECOND: Duration = Duration::from_secs(1);

impl Asking {
    async fn run(&self, sys: &Sys) -> Result<ExitCode, Errno> {
        let mut counts = Counts::default();
        let mut towards = [0xff; 6];
        let start = sys.now();
        // As BusyBox: whatever is due is looked at once a second, half a second late.
        let end = self.patience.map(|patience| start + patience + SECOND / 2);
        let mut tick = start;
        loop {
            if self.limit.is_some_and(|limit| counts.sent >= limit) || end.is_some_and(|end| tick > end) {
                return Ok(self.finish(sys, &counts).await);
            }
            self.send(towards, &mut counts)?;
            let sent = sys.now();
            if self.announces && self.limit.is_some_and(|limit| counts.sent >= limit) {
                return Ok(self.finish(sys, &counts).await);
            }
            tick += SECOND;
            while let Some(seen) = sys.timeout(tick.saturating_sub(sys.now()), self.socket.receive()).await {
                let Ok(seen) = seen else {
                    sys.sleep_until(tick).await;
                    break;
                };
                let Some(heard) = Heard::parse(&seen.frame).filter(|heard| self.concerns(heard, seen.kind))
                else {
                    continue;
                };
                counts.received += 1;
                counts.heard_by_all += u32::from(seen.kind != PacketType::Host);
                counts.requests += u32::from(!heard.reply);
                if !self.quiet {
                    self.show(sys, &heard, seen.kind, sys.now() - sent).await;
                }
                if self.quits {
                    return Ok(self.finish(sys, &counts).await);
                }
                if !self.stays_broadcast {
                    towards = heard.sender.0;
                }
            }
        }
    }

    fn send(&self, towards: [u8; 6], counts: &mut Counts) -> Result<(), Errno> {
        let named = if self.answers { self.own } else { towards };
        let frame = message(towards, self.answers, (self.own, self.source), (named, self.target));
        self.socket.send(&frame)?;
        counts.sent += 1;
        counts.broadcasts += u32::from(self.limit.is_none() && towards == [0xff; 6]);
        Ok(())
    }

    fn concerns(&self, heard: &Heard, kind: PacketType) -> bool {
        let mine = match kind {
            PacketType::Host | PacketType::Broadcast | PacketType::Multicast => true,
            PacketType::OtherHost | PacketType::Outgoing => false,
        };
        let asked = if self.probes {
            heard.sender.0 != self.own && (self.source.is_unspecified() || heard.target.1 == self.source)
        } else {
            heard.target == (self.own, self.source)
        };
        mine && asked && heard.sender.1 == self.target
    }

    async fn show(&self, sys: &Sys, heard: &Heard, kind: PacketType, took: Duration) {
        let cast = if kind == PacketType::Host { "Uni" } else { "Broad" };
        let what = if heard.reply { "reply" } else { "request" };
        let (mac, address) = (MacAddress(heard.sender.0), heard.sender.1);
        let mut line = format!("{cast}cast {what} from {address} [{mac}]");
        if heard.target.1 != self.source {
            line += &format!(" for {}", heard.target.1);
        }
        if heard.target.0 != self.own {
            line += &format!(" for [{}]", MacAddress(heard.target.0));
        }
        let micros = took.as_micros();
        sys.print(format!("{line} {}.{:03}ms\n", micros / 1_000, micros % 1_000)).await;
    }

    async fn finish(&self, sys: &Sys, counts: &Counts) -> ExitCode {
        if !self.quiet {
            let Counts { sent, broadcasts, received, requests, heard_by_all } = counts;
            sys.print(format!(
                "Sent {sent} probe(s) ({broadcasts} broadcast(s))\n\
                 Received {received} response(s) ({requests} request(s), {heard_by_all} broadcast(s))\n"
            ))
            .await;
        }
        let heard = counts.received > 0;
        match (self.probes, self.announces) {
            (true, _) => ExitCode(u8::from(heard)),
            (false, true) => ExitCode::SUCCESS,
            (false, false) => ExitCode(u8::from(!heard)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use crate::engine::sys::{Powers, Privilege};

    /// What BusyBox 1.35 printed on a veth pair; times and addresses are this world's.
    #[test]
    fn answers_and_their_absence_are_printed_as_busybox_does() {
        let world = World::new();
        let answer = "Unicast reply from 10.0.0.3 [02:42:0a:00:00:03] 0.000ms\n";
        let head = "ARPING 10.0.0.3 from 10.0.0.2 eth0\n";
        let twice =
            "Sent 2 probe(s) (0 broadcast(s))\nReceived 2 response(s) (0 request(s), 0 broadcast(s))\n";
        assert_eq!(world.run("a", "arping -c 2 10.0.0.3"), (format!("{head}{answer}{answer}{twice}"), 0));
        let first =
            "Sent 1 probe(s) (1 broadcast(s))\nReceived 1 response(s) (0 request(s), 0 broadcast(s))\n";
        assert_eq!(world.run("a", "arping -f -I eth0 10.0.0.3"), (format!("{head}{answer}{first}"), 0));
        let thrice =
            "Sent 3 probe(s) (1 broadcast(s))\nReceived 3 response(s) (0 request(s), 0 broadcast(s))\n";
        let printed = format!("{head}{answer}{answer}{answer}{thrice}");
        assert_eq!(world.run("a", "arping -w 2 10.0.0.3"), (printed, 0));
        let nobody = "ARPING 10.0.0.9 from 10.0.0.2 eth0\nSent 3 probe(s) (0 broadcast(s))\n\
                      Received 0 response(s) (0 request(s), 0 broadcast(s))\n";
        assert_eq!(world.run("a", "arping -w 2 -c 5 10.0.0.9"), (nobody.to_owned(), 1));
        assert_eq!(world.run("a", "arping -q -c 1 10.0.0.3"), (String::new(), 0));
    }

    #[test]
    fn an_address_that_is_taken_is_found_before_it_is_used() {
        let world = World::new();
        let (printed, status) = world.run("a", "arping -D -c 2 10.0.0.3");
        assert!(
            printed.starts_with("ARPING 10.0.0.3 from 0.0.0.0 eth0\nUnicast reply from 10.0.0.3 ["),
            "{printed}"
        );
        assert!(printed.contains("Sent 1 probe(s)"), "it ends with the first answer: {printed}");
        assert_eq!(status, 1);
        assert_eq!(world.run("a", "arping -q -D -c 2 10.0.0.9").1, 0);
        assert_eq!(world.run("a", "arping -q -D -s 10.0.0.2 -c 2 10.0.0.3").1, 1);
    }

    #[test]
    fn an_announcement_moves_the_entries_of_those_who_know_the_address() {
        let world = World::new();
        world.run("b", "ping -c 1 10.0.0.2");
        let powers = Powers { privilege: Privilege::NetAdmin, raw: true };
        let change =
            world.start_as("a", powers, &["ip", "link", "set", "eth0", "address", "02:00:00:00:00:77"]);
        world.finish(&change);
        for options in ["-U", "-A"] {
            let (printed, status) = world.run("a", &format!("arping {options} -c 1 10.0.0.2"));
            let counted = "Sent 1 probe(s) (0 broadcast(s))\n\
                           Received 0 response(s) (0 request(s), 0 broadcast(s))\n";
            assert_eq!(printed, format!("ARPING 10.0.0.2 from 10.0.0.2 eth0\n{counted}"));
            assert_eq!(status, 0);
            assert!(world.run("b", "ip neigh").0.contains("02:00:00:00:00:77"));
        }
    }

    #[test]
    fn what_cannot_be_done_is_said_with_busyboxs_words() {
        let world = World::new();
        let refusals = [
            ("arping -U -c 1 10.0.0.3", "arping: bind: Cannot assign requested address\n", 2),
            ("arping -c 1 -s 10.0.0.7 10.0.0.3", "arping: bind: Cannot assign requested address\n", 2),
            ("arping -c 1 -I v9 10.0.0.3", "arping: interface v9 not found: No such device\n", 2),
            ("arping -c 1 -I lo 127.0.0.1", "arping: interface lo is not ARPable\n", 2),
            ("arping -D -I lo 127.0.0.1", "arping: interface lo is not ARPable\n", 0),
            ("arping -c 1 nosuchhost", "arping: bad address 'nosuchhost'\n", 2),
            ("arping -c x 10.0.0.3", "arping: invalid number 'x'\n", 1),
        ];
        for (line, text, status) in refusals {
            assert_eq!(world.run("a", line), (text.to_owned(), status), "{line}");
        }
        assert!(world.run("a", "arping -c 1").0.contains("Usage: arping [-fqbDUA]"));
        let powers = Powers { privilege: Privilege::Ordinary, raw: false };
        let arping = world.start_as("a", powers, &["arping", "-c", "1", "10.0.0.3"]);
        let status = world.finish(&arping);
        assert_eq!((arping.text(), status), ("arping: socket: Operation not permitted\n".to_owned(), 1));
    }
}
