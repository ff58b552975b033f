//! Two namespaces of one stack joined by a link in virtual time, seen only through the public interface.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;

use smoltcp::wire::{Ipv4Packet, Ipv6Packet, TcpPacket};

use super::segment::emit;
use super::*;

const CLIENT: Scope = Scope(1);
const SERVER: Scope = Scope(2);
const MTU: usize = 1500;

/// What the link does to the nth packet: how often it arrives and how late.
type Fate = Box<dyn FnMut(u64) -> Vec<Duration>>;

/// The stack under test and a link between its two scopes, or from a scope to itself.
struct Link {
    stack: TcpStack,
    now: Duration,
    flight: BTreeMap<(Duration, u64), (Scope, Vec<u8>)>,
    sent: Vec<(Duration, Scope, Segment, usize)>,
    fate: Fate,
    is_loopback: bool,
    answers_resets: bool,
}

impl Link {
    fn new() -> Self {
        Link::with(Box::new(|_| vec![Duration::from_millis(1)]))
    }

    fn with(fate: Fate) -> Self {
        let (stack, now, flight, sent) = (TcpStack::new(7), Duration::ZERO, BTreeMap::new(), Vec::new());
        Link { stack, now, flight, sent, fate, is_loopback: false, answers_resets: true }
    }

    fn put(&mut self, from: Scope, packet: Vec<u8>) {
        let segment = Segment::parse(&packet, false).expect("what is sent is a valid packet");
        self.sent.push((self.now, from, segment, packet.len()));
        let to = match (self.is_loopback, from) {
            (true, same) => same,
            (false, CLIENT) => SERVER,
            (false, _) => CLIENT,
        };
        let number = self.sent.len() as u64;
        for (copy, delay) in (self.fate)(number).into_iter().enumerate() {
            self.flight.insert((self.now + delay, number * 4 + copy as u64), (to, packet.clone()));
        }
    }

    fn flush(&mut self) {
        let mut packets = Vec::new();
        self.stack.egress(
            self.now,
            &mut |Departure { scope, packet, segment_size, .. }| match segment_size {
                None => packets.push((scope, finished(packet))),
                Some(size) => {
                    packets.extend(cut(&finished(packet), size.into()).into_iter().map(|s| (scope, s)))
                }
            },
        );
        for (scope, packet) in packets {
            self.put(scope, packet);
        }
    }

    /// Runs until `end`, calling `program` before every step and at least every 10 ms.
    fn run_with(&mut self, end: Duration, program: &mut dyn FnMut(&mut TcpStack)) {
        self.steps(end, Some(ms(10)), program);
    }

    fn steps(&mut self, end: Duration, tick: Option<Duration>, program: &mut dyn FnMut(&mut TcpStack)) {
        for _ in 0..2_000_000 {
            program(&mut self.stack);
            self.flush();
            let arrival = self.flight.keys().next().map(|(at, _)| *at);
            let Some(next) = [arrival, self.stack.deadline(), tick.map(|tick| self.now + tick)]
                .into_iter()
                .flatten()
                .min()
            else {
                break;
            };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.stack.advance(self.now);
            while let Some(entry) = self.flight.first_entry()
                && entry.key().0 <= self.now
            {
                let (scope, packet) = entry.remove();
                let result = self.stack.ingress(self.now, scope, &packet, false, MTU);
                if result == Ingress::NoSocket && self.answers_resets {
                    let reset = TcpStack::reset_reply(&packet).expect("only a RST has no answer");
                    self.put(scope, reset);
                }
            }
        }
        self.now = self.now.max(end);
        self.stack.advance(self.now);
        self.flush();
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.steps(end, None, &mut |_| {});
    }

    fn listen(&mut self, address: &str, options: ListenOptions) -> ListenerId {
        self.stack.listen(SERVER, address.parse().unwrap(), options).unwrap()
    }

    fn connect(&mut self, local: &str, remote: &str) -> ConnectionId {
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        self.stack.connect(self.now, CLIENT, local, remote, MTU, Options::default()).unwrap()
    }

    fn pair(&mut self) -> (ConnectionId, ConnectionId) {
        let listener = self.listen("0.0.0.0:80", ListenOptions::default());
        let client = self.connect("10.0.0.1:1000", "10.0.0.2:80");
        self.run(ms(20));
        (client, self.stack.accept(listener).unwrap())
    }

    fn read(&mut self, id: ConnectionId) -> Vec<u8> {
        self.stack.receive(id, 100_000).unwrap()
    }

    fn changes(&mut self) -> Vec<Change> {
        std::iter::from_fn(|| self.stack.take_change()).collect()
    }

    fn syns(&self) -> Vec<u64> {
        let initial = self.sent.iter().filter(|(_, _, segment, _)| segment.is_initial());
        initial.map(|(at, ..)| at.as_secs()).collect()
    }

    fn resets(&self) -> usize {
        self.sent.iter().filter(|(_, _, segment, _)| segment.control == TcpControl::Rst).count()
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
}

/// The segments of a packet that is still to be cut, as a network card sends them.
fn cut(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let whole = Segment::parse(packet, false).unwrap();
    let network = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let start = network + usize::from(TcpPacket::new_unchecked(&packet[network..]).header_len());
    let chunks = packet[start..].chunks(size);
    let last = chunks.len() - 1;
    let segment = |(index, chunk): (usize, &[u8])| {
        let mut octets = [&packet[..start], chunk].concat();
        let length = octets.len() as u16;
        if network == 20 {
            let mut ip = Ipv4Packet::new_unchecked(&mut octets);
            ip.set_total_len(length);
            ip.fill_checksum();
        } else {
            Ipv6Packet::new_unchecked(&mut octets).set_payload_len(length - 40);
        }
        let mut tcp = TcpPacket::new_unchecked(&mut octets[network..]);
        tcp.set_seq_number(tcp.seq_number() + index * size);
        if index != last {
            tcp.set_fin(false);
            tcp.set_psh(false);
        }
        tcp.fill_checksum(&whole.remote.ip().into(), &whole.local.ip().into());
        octets
    };
    chunks.enumerate().map(segment).collect()
}

/// A sent packet as it leaves a machine: with its checksum.
fn finished(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let (source, destination, header): (IpAddr, IpAddr, usize) = match packet[0] >> 4 {
        4 => {
            let ip = Ipv4Packet::new_unchecked(&packet);
            (ip.src_addr().into(), ip.dst_addr().into(), usize::from(ip.header_len()))
        }
        _ => {
            let ip = Ipv6Packet::new_unchecked(&packet);
            (ip.src_addr().into(), ip.dst_addr().into(), ip.header_len())
        }
    };
    let mut tcp = TcpPacket::new_unchecked(&mut packet[header..]);
    let partial = u64::from(tcp.checksum());
    tcp.fill_checksum(&source.into(), &destination.into());
    // What was left in the field stands for the pseudo header.
    let complete = tcp.checksum();
    tcp.set_checksum(0);
    let segment = &packet[header..];
    let words =
        segment.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low)));
    let sum = words.sum::<u64>() + partial;
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    assert_eq!(!(folded as u16), complete, "the pseudo header's sum is in the checksum field");
    packet[header + 16..header + 18].copy_from_slice(&complete.to_be_bytes());
    packet
}

#[test]
fn data_flows_both_ways_after_the_handshake() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    assert_eq!(
        (link.stack.state(client), link.stack.state(server)),
        (State::Established, State::Established)
    );
    assert_eq!(link.stack.receive(server, 8), Err(TcpError::WouldBlock));
    link.changes();
    assert_eq!(link.stack.send(client, b"question"), Ok(8));
    link.run(ms(50));
    assert_eq!(link.changes(), [Change::Connection(server)]);
    assert_eq!(link.read(server), b"question");
    assert_eq!(link.stack.send(server, b"answer"), Ok(6));
    link.run(ms(50));
    assert_eq!(link.read(client), b"answer");
    assert_eq!(link.stack.addresses(server).unwrap().1, "10.0.0.1:1000".parse().unwrap());
}

#[test]
fn each_side_may_half_close_first_and_nothing_is_left() {
    for client_first in [true, false] {
        let mut link = Link::new();
        let (client, server) = link.pair();
        let (first, second) = if client_first { (client, server) } else { (server, client) };
        link.stack.send(first, b"last words").unwrap();
        link.stack.shutdown_write(first).unwrap();
        assert_eq!(link.stack.send(first, b"more"), Err(TcpError::BrokenPipe));
        link.run(ms(100));
        assert_eq!(link.read(second), b"last words");
        assert_eq!(link.read(second), b"", "end of stream");
        assert_eq!((link.stack.state(first), link.stack.state(second)), (State::FinWait2, State::CloseWait));
        link.stack.send(second, &pattern(5000)).unwrap();
        link.stack.close(second).unwrap();
        link.run(ms(200));
        assert_eq!(link.stack.state(first), State::TimeWait);
        assert_eq!(link.read(first), pattern(5000), "data is readable in TIME-WAIT");
        assert_eq!(link.read(first), b"");
        link.stack.close(first).unwrap();
        link.run(seconds(59));
        assert_eq!(link.stack.connections().len(), 1, "TIME-WAIT lasts");
        link.run(seconds(2));
        assert_eq!(link.stack.connections(), []);
        assert_eq!((link.stack.deadline(), link.resets()), (None, 0));
    }
}

/// As tcpdump shows it between Linux hosts: FIN, FIN, ACK where the program closes in answer, FIN and an ACK of its own
/// 40 ms later where it does not.
#[test]
fn the_acknowledgment_of_a_fin_waits_for_a_fin() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    let begin = link.sent.len();
    link.stack.close(client).unwrap();
    link.run_with(link.now + ms(100), &mut |stack| {
        if stack.state(server) == State::CloseWait {
            stack.close(server).unwrap();
        }
    });
    let told = |sent: &[(Duration, Scope, Segment, usize)]| -> Vec<(Scope, TcpControl)> {
        sent.iter().map(|(_, from, segment, _)| (*from, segment.control)).collect()
    };
    let expected = [(CLIENT, TcpControl::Fin), (SERVER, TcpControl::Fin), (CLIENT, TcpControl::None)];
    assert_eq!(told(&link.sent[begin..]), expected);

    let mut link = Link::new();
    let (client, server) = link.pair();
    let begin = link.sent.len();
    link.stack.shutdown_write(client).unwrap();
    link.run(ms(100));
    assert_eq!(told(&link.sent[begin..]), [(CLIENT, TcpControl::Fin), (SERVER, TcpControl::None)]);
    assert_eq!(link.sent[begin + 1].0 - link.sent[begin].0, ms(41), "a millisecond on the way and the delay");
    assert_eq!(link.stack.state(server), State::CloseWait);
}

#[test]
fn both_may_close_at_once() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    link.stack.close(client).unwrap();
    link.stack.close(server).unwrap();
    link.run(ms(100));
    let states: Vec<State> = link.stack.connections().iter().map(|entry| entry.state).collect();
    assert_eq!(states, [State::TimeWait, State::TimeWait]);
    link.run(seconds(61));
    assert_eq!((link.stack.connections().len(), link.resets()), (0, 0));
}

#[test]
fn an_abort_sends_one_reset() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    link.stack.send(server, b"in flight").unwrap();
    link.flush();
    link.stack.abort(client).unwrap();
    link.run(ms(100));
    assert_eq!(link.stack.receive(server, 8), Err(SocketError::ConnectionReset.into()));
    assert_eq!(link.stack.receive(server, 8), Ok(Vec::new()), "the error is told once");
    assert_eq!(link.stack.send(server, b"x"), Err(TcpError::BrokenPipe));
    link.stack.close(server).unwrap();
    assert_eq!(link.stack.connections(), []);
    // One for the abort, one of the caller's for the data that was under way to nobody.
    assert_eq!(link.resets(), 2);
}

#[test]
fn closing_with_unread_data_resets() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    link.stack.send(client, b"unread").unwrap();
    link.run(ms(100));
    link.stack.close(server).unwrap();
    link.run(ms(100));
    assert_eq!(link.stack.take_error(client), Some(SocketError::ConnectionReset));
    assert_eq!(link.resets(), 1);
}

#[test]
fn a_closed_port_refuses() {
    let mut link = Link::new();
    let client = link.connect("10.0.0.1:1000", "10.0.0.2:81");
    link.run(ms(100));
    assert_eq!(link.changes(), [Change::Connection(client)]);
    assert_eq!(link.stack.receive(client, 8), Err(SocketError::ConnectionRefused.into()));
    assert_eq!((link.sent.len(), link.stack.counters().no_socket), (2, 1));
}

#[test]
fn a_backlog_holds_as_many_as_it_says() {
    for (backlog, drops) in [(128, false), (8, true)] {
        let mut link = Link::new();
        let options = ListenOptions { backlog, ..ListenOptions::default() };
        let listener = link.listen("10.0.0.2:80", options);
        let clients: Vec<ConnectionId> =
            (0..100).map(|n| link.connect(&format!("10.0.0.1:{}", 2000 + n), "10.0.0.2:80")).collect();
        let mut accepted = 0;
        link.run_with(seconds(120), &mut |stack| {
            while stack.accept(listener).is_ok() {
                accepted += 1;
            }
        });
        assert_eq!(link.stack.counters().listen_drops > 0, drops);
        let established = clients.iter().filter(|id| link.stack.state(**id) == State::Established).count();
        assert_eq!(accepted, established);
        assert_eq!(link.resets(), 0);
        if !drops {
            assert_eq!(accepted, 100);
        } else {
            // Eight are served at each of the eight times the others' SYN comes round.
            assert!(accepted >= 7 * 8 && link.stack.counters().timeouts == 0, "{accepted}");
        }
    }
}

#[test]
fn a_syn_flood_is_bounded_and_forgotten() {
    let mut link = Link::with(Box::new(|_| vec![]));
    let listener = link.listen("0.0.0.0:80", ListenOptions { backlog: 16, ..ListenOptions::default() });
    for n in 0..1000_u16 {
        let from = SocketAddr::from(([10, 1, (n >> 8) as u8, n as u8], 5000));
        let syn = emit(from, "10.0.0.2:80".parse().unwrap(), TcpControl::Syn, 1, None, 1000, 64);
        link.stack.ingress(link.now, SERVER, &syn, false, MTU);
    }
    assert_eq!((link.stack.connections().len(), link.stack.counters().listen_drops), (16, 984));
    link.run(seconds(62));
    assert_eq!(link.sent.len(), 16 * 6, "a SYN-ACK and five retries each");
    link.run(seconds(2));
    assert_eq!(link.stack.connections(), []);
    assert_eq!(link.stack.accept(listener), Err(TcpError::WouldBlock));
}

#[test]
fn a_syn_is_retried_as_linux_does() {
    let mut link = Link::with(Box::new(|_| vec![]));
    let client = link.connect("10.0.0.1:1000", "10.0.0.2:80");
    link.run(seconds(126));
    assert_eq!(link.stack.state(client), State::SynSent);
    link.run(seconds(2));
    assert_eq!(link.syns(), [0, 1, 3, 7, 15, 31, 63]);
    assert_eq!(link.stack.take_error(client), Some(SocketError::TimedOut));
    assert_eq!(
        (
            link.stack.lookup(CLIENT, "10.0.0.1:1000".parse().unwrap(), "10.0.0.2:80".parse().unwrap()),
            link.resets()
        ),
        (None, 0)
    );
    assert_eq!(link.stack.deadline(), None);
}

#[test]
fn a_lost_syn_is_repaired_after_one_second() {
    let mut link = Link::with(Box::new(|n| if n == 1 { vec![] } else { vec![ms(1)] }));
    let listener = link.listen("0.0.0.0:80", ListenOptions::default());
    link.connect("10.0.0.1:1000", "10.0.0.2:80");
    link.run(ms(1010));
    assert!(link.stack.accept(listener).is_ok());
    assert_eq!(link.syns(), [0, 1]);
}

#[test]
fn a_slow_reader_closes_and_reopens_the_window() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    let data = pattern(100_000);
    let mut sent = 0;
    link.run_with(seconds(10), &mut |stack| sent += stack.send(client, &data[sent..]).unwrap_or(0));
    assert_eq!(sent, 2 * 16 * 1024, "both buffers are full");
    let mut received = Vec::new();
    link.run_with(seconds(60), &mut |stack| {
        sent += stack.send(client, &data[sent..]).unwrap_or(0);
        received.extend(stack.receive(server, 1000).unwrap_or_default());
    });
    assert_eq!(received, data);
}

#[test]
fn a_window_update_that_is_lost_is_asked_for() {
    let lossy = Rc::new(Cell::new(false));
    let fate = lossy.clone();
    let mut link = Link::with(Box::new(move |_| if fate.get() { vec![] } else { vec![ms(1)] }));
    let (client, server) = link.pair();
    let data = pattern(60_000);
    let mut sent = 0;
    link.run_with(seconds(10), &mut |stack| sent += stack.send(client, &data[sent..]).unwrap_or(0));
    lossy.set(true);
    let mut received = link.read(server);
    link.run(ms(500));
    lossy.set(false);
    link.run_with(seconds(120), &mut |stack| {
        sent += stack.send(client, &data[sent..]).unwrap_or(0);
        received.extend(stack.receive(server, 60_000).unwrap_or_default());
    });
    assert_eq!(received, data);
}

#[test]
fn a_reset_that_crosses_a_fin_ends_both_sides() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    link.stack.shutdown_write(client).unwrap();
    link.stack.abort(server).unwrap();
    link.run(ms(20));
    assert_eq!(link.stack.receive(client, 8), Err(SocketError::ConnectionReset.into()));
    assert_eq!(link.stack.state(client), State::Closed);
    assert_eq!(link.stack.connections().len(), 1, "the program still holds its end");
    link.stack.close(client).unwrap();
    assert_eq!(link.stack.connections().len(), 0);
    assert_eq!(link.stack.deadline(), None);
}

#[test]
fn an_icmp_error_fails_a_connecting_socket_only() {
    let mut link = Link::with(Box::new(|_| vec![]));
    let client = link.connect("10.0.0.1:1000", "10.0.0.2:80");
    // As long as `connect` is at it, the error waits for the next SYN.
    link.stack.error(client, SocketError::NetworkUnreachable).unwrap();
    assert_eq!(link.stack.state(client), State::SynSent);
    link.run(ms(10));
    link.stack.error(client, SocketError::HostUnreachable).unwrap();
    assert_eq!(link.changes(), [Change::Connection(client)]);
    assert_eq!(link.stack.receive(client, 8), Err(SocketError::HostUnreachable.into()));
    let mut link = Link::new();
    let (client, _) = link.pair();
    link.stack.error(client, SocketError::HostUnreachable).unwrap();
    assert_eq!(link.stack.state(client), State::Established);
    link.fate = Box::new(|_| vec![]);
    link.stack.send(client, b"unanswered").unwrap();
    link.run(seconds(930));
    assert_eq!(link.stack.take_error(client), Some(SocketError::HostUnreachable));
}

#[test]
fn loopback_and_ipv6_work_within_one_namespace() {
    for address in ["127.0.0.1", "127.8.9.10", "[::1]", "[fe80::1]"] {
        let mut link = Link::new();
        link.is_loopback = true;
        let wildcard: SocketAddr = "[::]:80".parse().unwrap();
        let dual = ListenOptions { dual_stack: true, ..ListenOptions::default() };
        let listener = link.stack.listen(CLIENT, wildcard, dual).unwrap();
        let client = link.connect(&format!("{address}:1000"), &format!("{address}:80"));
        link.run(ms(50));
        let server = link.stack.accept(listener).unwrap();
        link.stack.send(client, b"to myself").unwrap();
        link.run(ms(50));
        assert_eq!(link.read(server), b"to myself");
    }
}

#[test]
fn addresses_in_use_are_refused() {
    let mut link = Link::new();
    link.listen("10.0.0.2:80", ListenOptions::default());
    let mut listen = |scope, address: &str| {
        link.stack.listen(scope, address.parse().unwrap(), ListenOptions::default()).is_ok()
    };
    assert!(!listen(SERVER, "0.0.0.0:80"));
    assert!(!listen(SERVER, "10.0.0.2:80"));
    assert!(listen(SERVER, "10.0.0.3:80"));
    assert!(listen(SERVER, "[::]:80"));
    assert!(!listen(SERVER, "[fd00::1]:80"));
    assert!(listen(CLIENT, "0.0.0.0:80"));
    link.connect("10.0.0.1:1000", "10.0.0.2:80");
    let again = link.stack.connect(
        Duration::ZERO,
        CLIENT,
        "10.0.0.1:1000".parse().unwrap(),
        "10.0.0.2:80".parse().unwrap(),
        MTU,
        Options::default(),
    );
    assert_eq!(again, Err(TcpError::AddressInUse("10.0.0.1:1000".parse().unwrap())));
}

#[test]
fn the_most_specific_listener_is_chosen() {
    let mut link = Link::new();
    let any = link.listen("0.0.0.0:0", ListenOptions::default());
    let port = link.listen("0.0.0.0:80", ListenOptions::default());
    link.connect("10.0.0.1:1000", "10.0.0.2:80");
    link.connect("10.0.0.1:1000", "192.0.2.77:443");
    link.run(ms(50));
    let at_port = link.stack.accept(port).unwrap();
    let at_any = link.stack.accept(any).unwrap();
    assert_eq!(link.stack.addresses(at_port).unwrap().0, "10.0.0.2:80".parse().unwrap());
    assert_eq!(link.stack.addresses(at_any).unwrap().0, "192.0.2.77:443".parse().unwrap());
}

#[test]
fn packets_keep_to_the_mtu() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    link.stack.send(client, &pattern(9000)).unwrap();
    link.run(ms(100));
    assert_eq!(link.sent.iter().map(|(.., length)| *length).max(), Some(1500));
    link.read(server);
    link.sent.clear();
    link.stack.set_mtu(client, 576).unwrap();
    link.stack.send(client, &pattern(9000)).unwrap();
    link.run(ms(100));
    assert_eq!(link.sent.iter().map(|(.., length)| *length).max(), Some(576));
    assert_eq!(link.read(server), pattern(9000));
}

#[test]
fn the_smallest_mtu_of_ipv4_carries_data_both_ways() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    for (from, to) in [(client, server), (server, client)] {
        link.stack.set_mtu(from, 68).unwrap();
        link.sent.clear();
        link.stack.send(from, &pattern(300)).unwrap();
        link.run(ms(200));
        assert!(link.sent.iter().all(|(.., length)| *length <= 68));
        assert_eq!(link.read(to), pattern(300));
    }
}

#[test]
fn with_offload_what_is_sent_at_once_is_one_packet_over_ipv4() {
    for (client, server) in [("10.0.0.1:1000", "10.0.0.2:80"), ("[fd00::1]:1000", "[fd00::2]:80")] {
        let mut link = Link::new();
        link.stack = TcpStack::new(7).with_segmentation_offload();
        let listener = link.listen(server, ListenOptions::default());
        let client = link.connect(client, server);
        link.run(ms(20));
        let server = link.stack.accept(listener).unwrap();
        // The congestion window grows.
        for _ in 0..4 {
            link.stack.send(client, &pattern(9000)).unwrap();
            link.run(ms(100));
            assert_eq!(link.read(server), pattern(9000));
            link.run(ms(100));
        }
        link.stack.send(client, &pattern(9000)).unwrap();
        let mut packets = Vec::new();
        link.stack.egress(link.now, &mut |departure| {
            packets.push((departure.packet.to_vec(), departure.segment_size))
        });
        if packets[0].0[0] >> 4 == 6 {
            assert!(packets.iter().all(|(packet, size)| packet.len() <= 1500 && size.is_none()));
            assert_eq!(packets.len(), 6, "six full segments, and Nagle's algorithm keeps the rest back");
            continue;
        }
        // IP, TCP and the timestamp.
        let header = 20 + 20 + 12;
        assert_eq!(packets.len(), 1);
        assert_eq!((packets[0].0.len(), packets[0].1), (header + 9000, Some(1448)));
        for segment in cut(&finished(&packets[0].0), 1448) {
            assert!(segment.len() <= 1500);
            link.put(CLIENT, segment);
        }
        link.run(ms(100));
        assert_eq!(link.read(server), pattern(9000));
    }
}

#[test]
fn a_withheld_connection_waits_for_the_decision() {
    for admitted in [true, false] {
        let mut link = Link::new();
        let options = ListenOptions { withhold: true, ..ListenOptions::default() };
        let listener = link.listen("0.0.0.0:0", options);
        let client = link.connect("10.0.0.1:1000", "192.0.2.1:443");
        link.run(ms(500));
        assert_eq!(link.changes(), [Change::Listener(listener)]);
        assert_eq!(link.sent.len(), 1, "no SYN-ACK");
        let server = link.stack.accept(listener).unwrap();
        assert_eq!(link.stack.state(server), State::Pending);
        if admitted {
            link.stack.admit(server).unwrap();
            link.run(ms(100));
            assert_eq!(link.stack.state(server), State::Established);
            assert!(link.stack.can_send(client));
            assert_eq!(link.stack.admit(server), Err(TcpError::NotPending(server)));
        } else {
            link.stack.refuse(server).unwrap();
            link.run(ms(100));
            assert_eq!(link.stack.take_error(client), Some(SocketError::ConnectionRefused));
            assert_eq!(link.resets(), 1);
        }
    }
}

#[test]
fn keepalive_finds_a_dead_peer() {
    let mut link = Link::new();
    let (client, _) = link.pair();
    let keepalive = Keepalive { idle: seconds(30), interval: seconds(5), count: 3 };
    link.stack.set_keepalive(client, Some(keepalive)).unwrap();
    link.run(seconds(300));
    assert_eq!(link.stack.state(client), State::Established, "a living peer answers");
    link.fate = Box::new(|_| vec![]);
    link.run(seconds(80));
    assert_eq!(link.stack.take_error(client), Some(SocketError::TimedOut));
}

#[test]
fn an_orphan_in_fin_wait_2_is_reaped() {
    let mut link = Link::new();
    let (client, server) = link.pair();
    link.stack.close(client).unwrap();
    link.run(seconds(59));
    assert_eq!(link.stack.connections()[0].state, State::FinWait2);
    link.run(seconds(2));
    assert_eq!(link.stack.connections().len(), 1);
    assert_eq!(link.stack.state(server), State::CloseWait);
}

#[test]
fn malformed_segments_change_nothing() {
    let mut link = Link::new();
    let (_, server) = link.pair();
    let before = link.stack.connections();
    let (from, to) = ("10.0.0.1:1000".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    let good = emit(from, to, TcpControl::None, 1, Some(1), 0, 64);
    for length in 0..good.len() {
        assert_eq!(link.stack.ingress(link.now, SERVER, &good[..length], true, MTU), Ingress::Malformed);
    }
    for (at, value) in [(32, 0x10), (32, 0xf0), (33, 0x07), (20, 0), (9, 17), (6, 0x20), (12, 224)] {
        let mut bad = good.clone();
        bad[at] = value;
        if at == 20 {
            bad[21] = 0;
        }
        assert_eq!(link.stack.ingress(link.now, SERVER, &bad, true, MTU), Ingress::Malformed, "{at}");
    }
    assert_eq!(link.stack.connections(), before);
    assert_eq!(link.stack.state(server), State::Established);
}

#[test]
fn a_namespace_goes_without_a_packet() {
    let mut link = Link::new();
    link.pair();
    link.sent.clear();
    link.stack.abort_scope(SERVER);
    link.run(seconds(1));
    assert_eq!((link.stack.connections().len(), link.stack.listeners().len(), link.sent.len()), (1, 0, 0));
}

#[test]
fn ten_thousand_connections_cost_no_more_per_segment() {
    let mut costs = Vec::new();
    for connections in [1, 10_000_u32] {
        let mut link = Link::new();
        let small = Options { receive_buffer: 1024, send_buffer: 1024, ..Options::default() };
        let options = ListenOptions { backlog: 4096, connection: small, ..ListenOptions::default() };
        let listener = link.listen("0.0.0.0:80", options);
        let mut last = None;
        for n in 0..connections {
            let local = SocketAddr::from(([10, 1, (n >> 8) as u8, n as u8], 5000));
            let remote = "10.0.0.2:80".parse().unwrap();
            let client = link.stack.connect(link.now, CLIENT, local, remote, MTU, small).unwrap();
            last = Some(client);
            if n % 1000 == 0 || n + 1 == connections {
                link.run(ms(20));
                while link.stack.accept(listener).is_ok() {}
            }
        }
        let client = last.unwrap();
        assert_eq!(link.stack.connections().len() as u32, 2 * connections);
        link.run(seconds(2));
        let before = link.stack.counters().sockets_polled;
        link.stack.send(client, b"x").unwrap();
        link.run(ms(100));
        costs.push(link.stack.counters().sockets_polled - before);
    }
    assert_eq!(costs[0], costs[1]);
    assert!(costs[0] <= 8, "{costs:?}");
}

#[test]
fn equal_seeds_give_equal_packets() {
    let run = |seed| {
        let mut link = Link::new();
        link.stack = TcpStack::new(seed);
        link.pair();
        link.sent.iter().map(|(_, _, segment, _)| *segment).collect::<Vec<Segment>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn octets_arrive_once_and_in_order(
        fates in prop::collection::vec(0_u8..12, 40..200),
        length in 1_usize..60_000,
        offload: bool,
    ) {
        let fate = move |n: u64| match fates.get(n as usize - 1) {
            Some(0) => vec![],
            Some(1) => vec![ms(1), ms(30)],
            Some(2) => vec![ms(25)],
            Some(3) => vec![ms(4), ms(4)],
            Some(_) | None => vec![ms(1)],
        };
        let mut link = Link::with(Box::new(fate));
        if offload {
            link.stack = TcpStack::new(7).with_segmentation_offload();
        }
        let listener = link.listen("0.0.0.0:80", ListenOptions::default());
        let client = link.connect("10.0.0.1:1000", "10.0.0.2:80");
        let data = pattern(length);
        let (mut sent, mut received, mut server, mut ended) = (0, Vec::new(), None, false);
        link.run_with(seconds(600), &mut |stack| {
            if sent < data.len() {
                sent += stack.send(client, &data[sent..]).unwrap_or(0);
                if sent == data.len() {
                    stack.shutdown_write(client).unwrap();
                }
            }
            server = server.or_else(|| stack.accept(listener).ok());
            if let Some(server) = server && !ended && let Ok(octets) = stack.receive(server, 3000) {
                received.extend_from_slice(&octets);
                if octets.is_empty() {
                    ended = true;
                    stack.close(server).unwrap();
                    stack.close(client).unwrap();
                }
            }
        });
        prop_assert!(ended);
        prop_assert_eq!(received, data);
        link.run(seconds(200));
        prop_assert_eq!(link.stack.connections().len(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_segment_brings_the_stack_down(
        segments in prop::collection::vec(
            (0_u8..32, -70_000_i32..70_000, -70_000_i32..70_000, any::<u16>(), 0_usize..1400, any::<bool>()),
            1..60,
        ),
    ) {
        let mut link = Link::new();
        let (client, server) = link.pair();
        let template = |link: &Link, from: Scope| {
            link.sent.iter().rev().find(|(_, scope, segment, _)| *scope == from && segment.acknowledgment.is_some())
                .map(|(_, _, segment, _)| *segment).unwrap()
        };
        link.answers_resets = false;
        for (flags, sequence, acknowledgment, window, length, close) in segments {
            let last = template(&link, CLIENT);
            let near = |value: u32, offset: i32| if offset % 3 == 0 { value } else { value.wrapping_add_signed(offset) };
            let mut packet = emit(
                last.remote,
                last.local,
                TcpControl::None,
                near(last.sequence, sequence),
                Some(near(last.acknowledgment.unwrap(), acknowledgment)),
                window,
                64,
            );
            packet[33] = flags;
            packet.resize(40 + length, 0xaa);
            packet[2..4].copy_from_slice(&(40 + length as u16).to_be_bytes());
            link.stack.ingress(link.now, SERVER, &packet, true, MTU);
            let _ = link.stack.send(server, &[1; 500]);
            let _ = link.stack.send(client, &[1; 500]);
            if close {
                let _ = link.stack.shutdown_write(server);
            }
            link.run(ms(5));
        }
        let _ = link.stack.close(client);
        let _ = link.stack.close(server);
        link.run(seconds(2000));
        prop_assert_eq!(link.stack.connections().len(), 0);
    }
}
