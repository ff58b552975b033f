//! A host with `eth0` (203.0.113.10) and `docker0` (172.17.0.1/16) seen from outside: packets go through its hooks
//! under rules written as iptables commands, and what comes out is compared byte for byte or field for field.

#![allow(clippy::unwrap_used)]

use linkspan_nat::conntrack::{ConnectionFilter, ConnectionOwner, Direction, Status};
use linkspan_nat::conntrack_text::{Accounting, line};
use linkspan_nat::emit::{TcpSegment, emit_echo_request, emit_tcp, emit_udp};
use linkspan_nat::evaluate::TraceStep;
use linkspan_nat::fragment::{Reassembler, Reassembly, refragment};
use linkspan_nat::icmp::{IcmpError, emit_echo_reply, emit_error};
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::netfilter::{
    Defragmentation, DropCause, HookContext, HookStep, Netfilter, PacketConnection, Verdict,
};
use linkspan_nat::packet::{ChecksumState, Layout, PacketMut, PacketView, TcpFlags};
use linkspan_nat::rule::{AddressType, CtState, Family, RejectWith};
use linkspan_nat::ruleset::{Hook, RuleOwner};
use linkspan_nat::text::{apply_command, parse_command};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const HOST: &str = "203.0.113.10";
const GATEWAY: &str = "172.17.0.1";
const WEB: &str = "172.17.0.2:80";
const CLIENT: &str = "203.0.113.99:50000";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

struct Host {
    netfilter: Netfilter,
    now: Duration,
    random: u16,
    trace: Vec<HookStep>,
    connection: Option<PacketConnection>,
}

/// What left the host: the packets, cut to the outgoing MTU, or why there is none.
type Outcome = Result<Vec<Vec<u8>>, Verdict>;

impl Host {
    fn new(rules: &[&str]) -> Host {
        let mut host = Host {
            netfilter: Netfilter::new(1),
            now: Duration::ZERO,
            random: 0,
            trace: Vec::new(),
            connection: None,
        };
        for rule in rules {
            host.rule(rule, None);
        }
        host
    }

    fn rule(&mut self, rule: &str, owner: Option<u64>) {
        let words: Vec<&str> = rule.split_whitespace().collect();
        let parsed = parse_command(Family::Ipv4, &words).unwrap();
        apply_command(self.netfilter.rules_mut(Family::Ipv4), &parsed, owner.map(RuleOwner)).unwrap();
    }

    fn hook(&mut self, hook: Hook, packet: &mut [u8], devices: [Option<&str>; 2]) -> Verdict {
        let name = |device: Option<&str>| device.map(|device| InterfaceName::parse(device).unwrap());
        let out = devices[1].map(ToOwned::to_owned);
        let random = self.random;
        let mut context = HookContext {
            now: self.now,
            in_interface: name(devices[0]),
            out_interface: name(devices[1]),
            physical_in: None,
            physical_out: None,
            bridged: false,
            mac: None,
            mark: 0,
            connection: self.connection,
            address_type: &|address| match address {
                address if [ip(HOST), ip(GATEWAY)].contains(&address) => AddressType::Local,
                _ => AddressType::Unicast,
            },
            masquerade_source: &|_| match out.as_deref() {
                Some("eth0") => Some(ip(HOST)),
                Some("docker0") => Some(ip(GATEWAY)),
                _ => None,
            },
            redirect_address: &|| Some(ip(GATEWAY)),
            random: &mut || random,
            tcp_mss: None,
            logged: Vec::new(),
            trace: Some(&mut self.trace),
        };
        let mut packet = PacketMut::parse(packet, ChecksumState::Complete).unwrap();
        let verdict = self.netfilter.traverse(hook, &mut packet, &mut context);
        assert!(packet.view().transport_checksum_is_valid() && packet.view().header_checksum_is_valid());
        self.connection = context.connection;
        verdict
    }

    /// Forwards a packet: prerouting, routing by the destination it then has, forward, postrouting.
    fn forward(&mut self, packet: &[u8], from: &str) -> Outcome {
        self.connection = None;
        let layout = Layout::parse(packet).unwrap();
        let (mut packet, limit) = match self.netfilter.defragment(self.now, Hook::Prerouting, &layout, packet)
        {
            Defragmentation::Pass => (packet.to_vec(), 1500),
            Defragmentation::Held => return Ok(Vec::new()),
            Defragmentation::Complete { packet, largest_fragment } => (packet, largest_fragment),
            Defragmentation::Dropped(error) => panic!("{error}"),
        };
        self.step(Hook::Prerouting, &mut packet, [Some(from), None])?;
        let destination = PacketView::parse(&packet).unwrap().destination();
        if [ip(HOST), ip(GATEWAY)].contains(&destination) {
            self.step(Hook::Input, &mut packet, [Some(from), None])?;
            return Ok(vec![packet]);
        }
        let to = if destination.to_string().starts_with("172.17.") { "docker0" } else { "eth0" };
        self.step(Hook::Forward, &mut packet, [Some(from), Some(to)])?;
        self.step(Hook::Postrouting, &mut packet, [None, Some(to)])?;
        Ok(refragment(&packet, limit, 0).unwrap())
    }

    fn step(&mut self, hook: Hook, packet: &mut [u8], devices: [Option<&str>; 2]) -> Result<(), Verdict> {
        match self.hook(hook, packet, devices) {
            Verdict::Accept => Ok(()),
            verdict => Err(verdict),
        }
    }

    fn one(&mut self, packet: &[u8], from: &str) -> Vec<u8> {
        let mut packets = self.forward(packet, from).unwrap();
        assert_eq!(packets.len(), 1);
        packets.remove(0)
    }

    fn lines(&self) -> Vec<String> {
        let list = self.netfilter.list_connections(self.now);
        list.into_iter().map(|(_, c)| line(c, self.now, Accounting::Hidden)).collect()
    }
}

fn tcp(from: &str, to: &str, flags: TcpFlags) -> Vec<u8> {
    emit_tcp(at(from), at(to), 64, &TcpSegment { flags, ..TcpSegment::default() }, b"").unwrap()
}

fn udp(from: &str, to: &str) -> Vec<u8> {
    emit_udp(at(from), at(to), 64, b"question").unwrap()
}

/// "source -> destination" of a packet with ports.
fn ends(packet: &[u8]) -> String {
    let view = PacketView::parse(packet).unwrap();
    let (from, to) = (view.source_port().unwrap(), view.destination_port().unwrap());
    format!("{} -> {}", SocketAddr::new(view.source(), from), SocketAddr::new(view.destination(), to))
}

const PUBLISH: &str = "-t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80";
const PUBLISH_UDP: &str = "-t nat -A PREROUTING -p udp --dport 5353 -j DNAT --to-destination 172.17.0.2:53";
const MASQUERADE: &str = "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE";

#[test]
fn a_published_port_is_translated_there_and_back() {
    let mut host = Host::new(&[PUBLISH, MASQUERADE]);
    let syn = host.one(&tcp(CLIENT, "203.0.113.10:8080", TcpFlags::SYN), "eth0");
    assert_eq!(ends(&syn), "203.0.113.99:50000 -> 172.17.0.2:80");
    let answer = host.one(&tcp(WEB, CLIENT, TcpFlags::SYN.union(TcpFlags::ACK)), "docker0");
    assert_eq!(ends(&answer), "203.0.113.10:8080 -> 203.0.113.99:50000");
    host.one(&tcp(CLIENT, "203.0.113.10:8080", TcpFlags::ACK), "eth0");
    assert_eq!(
        host.lines(),
        ["tcp      6 432000 ESTABLISHED src=203.0.113.99 dst=203.0.113.10 sport=50000 dport=8080 \
          src=172.17.0.2 dst=203.0.113.99 sport=80 dport=50000 [ASSURED] mark=0 use=1"]
    );
    let (_, connection) = host.netfilter.list_connections(host.now)[0];
    assert!(connection.status().contains(Status::DST_NAT) && !connection.status().contains(Status::SRC_NAT));
    assert_eq!(connection.counters(Direction::Original).packets, 2);
}

#[test]
fn the_trace_tells_rule_and_translation() {
    let mut host = Host::new(&[PUBLISH]);
    host.one(&tcp(CLIENT, "203.0.113.10:8080", TcpFlags::SYN), "eth0");
    let matched = host.trace.iter().any(
        |step| matches!(step, HookStep::Table(TraceStep::Rule { rule, matched: true }) if rule.number == 1),
    );
    assert!(matched);
    let bound = host.trace.iter().find_map(|step| match step {
        HookStep::Bound { hook: Hook::Prerouting, binding, rule: Some(_) } => Some(*binding),
        _ => None,
    });
    let bound = bound.unwrap();
    assert_eq!((bound.before.destination, bound.before.destination_port), (ip(HOST), 8080));
    assert_eq!((bound.after.destination, bound.after.destination_port), (ip("172.17.0.2"), 80));
    let rewritten = host.trace.iter().filter(|step| matches!(step, HookStep::Rewritten { .. })).count();
    assert_eq!(rewritten, 1);
}

#[test]
fn masquerade_keeps_the_port_until_it_clashes() {
    let mut host = Host::new(&[MASQUERADE]);
    let server = "198.51.100.7:53";
    let first = host.one(&udp("172.17.0.2:4000", server), "docker0");
    assert_eq!(ends(&first), "203.0.113.10:4000 -> 198.51.100.7:53");
    host.random = 10;
    let second = host.one(&udp("172.17.0.3:4000", server), "docker0");
    assert_eq!(ends(&second), "203.0.113.10:1034 -> 198.51.100.7:53");
    let back = host.one(&udp(server, "203.0.113.10:1034"), "eth0");
    assert_eq!(ends(&back), "198.51.100.7:53 -> 172.17.0.3:4000");
    let back = host.one(&udp(server, "203.0.113.10:4000"), "eth0");
    assert_eq!(ends(&back), "198.51.100.7:53 -> 172.17.0.2:4000");
}

#[test]
fn a_container_reaches_itself_through_its_published_port() {
    let mut host = Host::new(&[
        PUBLISH,
        "-t nat -A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp --dport 80 -j MASQUERADE",
    ]);
    let syn = host.one(&tcp("172.17.0.2:41000", "203.0.113.10:8080", TcpFlags::SYN), "docker0");
    assert_eq!(ends(&syn), "172.17.0.1:41000 -> 172.17.0.2:80");
    let answer = tcp(WEB, "172.17.0.1:41000", TcpFlags::SYN.union(TcpFlags::ACK));
    let answer = host.one(&answer, "docker0");
    assert_eq!(ends(&answer), "203.0.113.10:8080 -> 172.17.0.2:41000");
}

#[test]
fn errors_are_translated_with_what_they_quote() {
    let mut host = Host::new(&[MASQUERADE, PUBLISH_UDP]);
    // A router on the way out cannot deliver what a container sent.
    let sent = udp("172.17.0.2:4000", "198.51.100.7:53");
    let out = host.one(&sent, "docker0");
    let error = emit_error(&out, IcmpError::HostUnreachable, ip("203.0.113.1")).unwrap();
    let inside = host.one(&error, "eth0");
    let view = PacketView::parse(&inside).unwrap();
    assert_eq!((view.source(), view.destination()), (ip("203.0.113.1"), ip("172.17.0.2")));
    assert_eq!(view.embedded_tuple(), PacketView::parse(&sent).unwrap().tuple());
    assert!(view.embedded().unwrap().header_checksum_is_valid());
    assert!(host.connection.is_some_and(|c| c.state == CtState::Related));
    // A container refuses what a client sent to a published port.
    let sent = udp(CLIENT, "203.0.113.10:5353");
    let delivered = host.one(&sent, "eth0");
    assert_eq!(ends(&delivered), "203.0.113.99:50000 -> 172.17.0.2:53");
    let error = emit_error(&delivered, IcmpError::PortUnreachable, ip("172.17.0.2")).unwrap();
    let outside = host.one(&error, "docker0");
    let view = PacketView::parse(&outside).unwrap();
    assert_eq!((view.source(), view.destination()), (ip(HOST), ip("203.0.113.99")));
    assert_eq!(view.embedded_tuple(), PacketView::parse(&sent).unwrap().tuple());
    // A client complains about the answer of a published port.
    let answer = host.one(&udp("172.17.0.2:53", CLIENT), "docker0");
    let error = emit_error(&answer, IcmpError::PortUnreachable, ip("203.0.113.99")).unwrap();
    let inside = host.one(&error, "eth0");
    let view = PacketView::parse(&inside).unwrap();
    assert_eq!(view.destination(), ip("172.17.0.2"));
    assert_eq!(view.embedded_tuple(), PacketView::parse(&udp("172.17.0.2:53", CLIENT)).unwrap().tuple());
}

#[test]
fn the_answer_to_a_rejected_packet_is_translated_back() {
    let mut host = Host::new(&[PUBLISH_UDP, "-A FORWARD -p udp -j REJECT"]);
    let sent = udp(CLIENT, "203.0.113.10:5353");
    let mut packet = sent.clone();
    assert_eq!(host.hook(Hook::Prerouting, &mut packet, [Some("eth0"), None]), Verdict::Accept);
    let verdict = host.hook(Hook::Forward, &mut packet, [Some("eth0"), Some("docker0")]);
    assert!(matches!(verdict, Verdict::Reject { with: RejectWith::IcmpUnreachable(3), .. }), "{verdict:?}");
    let rejected = host.connection.unwrap();
    let mut error = emit_error(&packet, IcmpError::PortUnreachable, ip(HOST)).unwrap();
    host.connection = host.netfilter.answer_connection(rejected);
    assert_eq!(host.hook(Hook::Output, &mut error, [None, Some("eth0")]), Verdict::Accept);
    assert_eq!(host.hook(Hook::Postrouting, &mut error, [None, Some("eth0")]), Verdict::Accept);
    assert_eq!(
        PacketView::parse(&error).unwrap().embedded_tuple(),
        PacketView::parse(&sent).unwrap().tuple()
    );
    host.netfilter.release(rejected);
    assert_eq!(host.netfilter.conntrack_mut().count(), 0);
    assert_eq!(host.netfilter.drops().reject, 1);
}

#[test]
fn flushing_an_owner_ends_its_udp_flows() {
    let mut host = Host::new(&[]);
    host.rule(PUBLISH_UDP, Some(7));
    host.rule(PUBLISH, Some(8));
    host.one(&udp(CLIENT, "203.0.113.10:5353"), "eth0");
    host.one(&tcp(CLIENT, "203.0.113.10:8080", TcpFlags::SYN), "eth0");
    // The rule is gone, but the flow goes on to the old container until it is flushed.
    host.netfilter.rules_mut(Family::Ipv4).delete_owner(RuleOwner(7));
    assert_eq!(
        ends(&host.one(&udp(CLIENT, "203.0.113.10:5353"), "eth0")),
        "203.0.113.99:50000 -> 172.17.0.2:53"
    );
    assert_eq!(host.netfilter.flush_owner(ConnectionOwner(7)), 1);
    assert_eq!(
        ends(&host.one(&udp(CLIENT, "203.0.113.10:5353"), "eth0")),
        "203.0.113.99:50000 -> 203.0.113.10:5353"
    );
    assert!(host.lines()[0].starts_with("tcp"), "{:?}", host.lines());
    let filter = ConnectionFilter { destination_port: Some(8080), ..ConnectionFilter::default() };
    assert_eq!(host.netfilter.conntrack_mut().flush(&filter), 1);
}

/// Sends a datagram in fragments of `mtu` and joins what comes out.
fn through_in_fragments(host: &mut Host, packet: &[u8], from: &str, mtu: usize) -> Vec<u8> {
    let mut reassembler = Reassembler::default();
    let mut whole = None;
    let pieces = refragment(packet, mtu, 1).unwrap();
    assert!(pieces.len() > 2);
    for piece in pieces {
        for out in host.forward(&piece, from).unwrap() {
            assert!(out.len() <= mtu, "{} bytes came out of an MTU of {mtu}", out.len());
            if let Reassembly::Complete { packet, .. } = reassembler.push(host.now, &out) {
                whole = Some(packet);
            }
        }
    }
    let whole = whole.unwrap();
    assert!(PacketView::parse(&whole).unwrap().transport_checksum_is_valid());
    whole
}

#[test]
fn fragments_are_translated_as_one_datagram() {
    let mut host = Host::new(&[PUBLISH_UDP, MASQUERADE]);
    let data: Vec<u8> = (0..3000).map(|n| n as u8).collect();
    let big = emit_udp(at(CLIENT), at("203.0.113.10:5353"), 64, &data).unwrap();
    let inside = through_in_fragments(&mut host, &big, "eth0", 1400);
    assert_eq!(ends(&inside), "203.0.113.99:50000 -> 172.17.0.2:53");
    assert_eq!(PacketView::parse(&inside).unwrap().payload(), data);
    let answer = emit_udp(at("172.17.0.2:53"), at(CLIENT), 64, &data).unwrap();
    let outside = through_in_fragments(&mut host, &answer, "docker0", 1400);
    assert_eq!(ends(&outside), "203.0.113.10:5353 -> 203.0.113.99:50000");
    // A large ping from a container to the world and its reply.
    let ping = emit_echo_request(ip("172.17.0.2"), ip("198.51.100.7"), 64, 9, 1, &data).unwrap();
    let outside = through_in_fragments(&mut host, &ping, "docker0", 1400);
    let view = PacketView::parse(&outside).unwrap();
    assert_eq!((view.source(), view.icmp_id(), view.payload()), (ip(HOST), Some(9), &data[..]));
    let reply = through_in_fragments(&mut host, &emit_echo_reply(&outside).unwrap(), "eth0", 1400);
    let view = PacketView::parse(&reply).unwrap();
    assert_eq!((view.source(), view.destination()), (ip("198.51.100.7"), ip("172.17.0.2")));
}

#[test]
fn without_tracking_fragments_pass_untouched() {
    let mut host = Host::new(&["-A FORWARD -i docker0 -j DROP"]);
    let big = emit_udp(at(CLIENT), at("172.17.0.2:53"), 64, &[7; 3000]).unwrap();
    for piece in refragment(&big, 1400, 1).unwrap() {
        assert_eq!(host.one(&piece, "eth0"), piece);
    }
    assert_eq!((host.connection, host.netfilter.deadline()), (None, None));
    let dropped = host.forward(&udp("172.17.0.2:53", CLIENT), "docker0");
    assert!(matches!(dropped, Err(Verdict::Drop(DropCause::Rule(rule))) if &*rule.chain == "FORWARD"));
    assert_eq!(host.netfilter.drops().rule, 1);
}

#[test]
fn rules_ask_for_where_a_connection_began() {
    // 8080 and 8081 lead to one port of one container; only what the client asked for tells them apart.
    let mut host = Host::new(&[
        PUBLISH,
        "-t nat -A PREROUTING -p tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80",
        "-A FORWARD -m conntrack --ctdir REPLY --ctstate ESTABLISHED --ctrepldst 203.0.113.99 -j ACCEPT",
        "-A FORWARD -m conntrack --ctproto 6 --ctorigdst 203.0.113.0/24 --ctorigdstport 8080 --ctdir ORIGINAL -j ACCEPT",
        "-A FORWARD -m conntrack --ctstate DNAT ! --ctstatus SEEN_REPLY ! --ctorigsrcport 50001 --ctexpire 0 -j ACCEPT",
        "-A FORWARD -j DROP",
    ]);
    let syn_ack = TcpFlags::SYN.union(TcpFlags::ACK);
    assert!(host.forward(&tcp(CLIENT, "203.0.113.10:8080", TcpFlags::SYN), "eth0").is_ok());
    assert!(host.forward(&tcp(WEB, CLIENT, syn_ack), "docker0").is_ok());
    assert!(host.forward(&tcp("203.0.113.99:50001", "203.0.113.10:8081", TcpFlags::SYN), "eth0").is_err());
    // What has not been let through yet has no time left.
    let from = "203.0.113.99:50002";
    assert_eq!(host.forward(&tcp(from, "203.0.113.10:8081", TcpFlags::SYN), "eth0").err(), None);
    assert!(host.forward(&tcp(WEB, from, syn_ack), "docker0").is_ok());
    assert!(host.forward(&tcp(from, "203.0.113.10:8081", TcpFlags::ACK), "eth0").is_err());
    let rules = host.netfilter.rules_mut(Family::Ipv4);
    let words = ["-L", "FORWARD", "-v", "-n"];
    let list = apply_command(rules, &parse_command(Family::Ipv4, &words).unwrap(), None).unwrap();
    let packets: Vec<&str> = list.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(packets, ["2", "1", "1", "2"], "{list}");
}

#[test]
fn only_answers_pass_a_stateful_filter() {
    let mut host = Host::new(&[
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -i docker0 -j ACCEPT",
        "-P FORWARD DROP",
    ]);
    let policy =
        Verdict::Drop(DropCause::Policy { table: linkspan_nat::ruleset::Table::Filter, hook: Hook::Forward });
    let server = "198.51.100.7:53";
    assert_eq!(host.forward(&udp(server, "172.17.0.2:4000"), "eth0"), Err(policy.clone()));
    assert_eq!(host.netfilter.conntrack_mut().count(), 0, "a dropped packet leaves no connection");
    let out = host.one(&udp("172.17.0.2:4000", server), "docker0");
    host.one(&udp(server, "172.17.0.2:4000"), "eth0");
    let error = emit_error(&out, IcmpError::PortUnreachable, ip("198.51.100.7")).unwrap();
    host.one(&error, "eth0");
    host.now = Duration::from_secs(31);
    assert_eq!(host.forward(&udp(server, "172.17.0.2:4000"), "eth0"), Err(policy));
}

#[test]
fn a_redirect_leads_to_the_host_itself() {
    let mut host =
        Host::new(&["-t nat -A PREROUTING -i docker0 -p udp --dport 53 -j REDIRECT --to-ports 5300"]);
    let delivered = host.one(&udp("172.17.0.2:4000", "198.51.100.7:53"), "docker0");
    assert_eq!(ends(&delivered), "172.17.0.2:4000 -> 172.17.0.1:5300");
    let mut answer = udp("172.17.0.1:5300", "172.17.0.2:4000");
    host.connection = None;
    assert_eq!(host.hook(Hook::Output, &mut answer, [None, Some("docker0")]), Verdict::Accept);
    assert_eq!(host.hook(Hook::Postrouting, &mut answer, [None, Some("docker0")]), Verdict::Accept);
    assert_eq!(ends(&answer), "198.51.100.7:53 -> 172.17.0.2:4000");
}

#[test]
fn translation_outlives_its_rules() {
    let mut host = Host::new(&[PUBLISH]);
    host.one(&tcp(CLIENT, "203.0.113.10:8080", TcpFlags::SYN), "eth0");
    host.rule("-t nat -F", None);
    let answer = host.one(&tcp(WEB, CLIENT, TcpFlags::SYN.union(TcpFlags::ACK)), "docker0");
    assert_eq!(ends(&answer), "203.0.113.10:8080 -> 203.0.113.99:50000");
    let refused = Host::new(&[]).one(&tcp(CLIENT, "203.0.113.10:8080", TcpFlags::SYN), "eth0");
    assert_eq!(ends(&refused), "203.0.113.99:50000 -> 203.0.113.10:8080");
}

#[test]
fn the_reset_of_a_refused_connection_is_translated() {
    let mut host = Host::new(&[PUBLISH]);
    host.one(&tcp(CLIENT, "203.0.113.10:8080", TcpFlags::SYN), "eth0");
    let reset = host.one(&tcp(WEB, CLIENT, TcpFlags::RST.union(TcpFlags::ACK)), "docker0");
    assert_eq!(ends(&reset), "203.0.113.10:8080 -> 203.0.113.99:50000");
    assert!(host.lines().is_empty());
}

#[test]
fn two_ways_to_one_server_do_not_mix() {
    let mut host = Host::new(&[PUBLISH]);
    let direct = host.one(&tcp(CLIENT, WEB, TcpFlags::SYN), "eth0");
    assert_eq!(ends(&direct), "203.0.113.99:50000 -> 172.17.0.2:80");
    host.random = 5;
    let published = host.one(&tcp(CLIENT, "203.0.113.10:8080", TcpFlags::SYN), "eth0");
    assert_eq!(ends(&published), "203.0.113.99:1029 -> 172.17.0.2:80");
    let answer = tcp(WEB, "203.0.113.99:1029", TcpFlags::SYN.union(TcpFlags::ACK));
    assert_eq!(ends(&host.one(&answer, "docker0")), "203.0.113.10:8080 -> 203.0.113.99:50000");
}

#[test]
fn a_masqueraded_flow_does_not_change_its_device() {
    let mut host = Host::new(&[MASQUERADE]);
    let packet = udp("172.17.0.2:4000", "198.51.100.7:53");
    host.one(&packet, "docker0");
    let mut again = packet.clone();
    host.connection = None;
    assert_eq!(host.hook(Hook::Prerouting, &mut again, [Some("docker0"), None]), Verdict::Accept);
    let verdict = host.hook(Hook::Postrouting, &mut again, [None, Some("eth1")]);
    assert_eq!(verdict, Verdict::Drop(DropCause::DeviceChanged));
    assert!(host.lines().is_empty());
    // The next packet begins anew, where no address is to be had.
    let mut again = packet.clone();
    host.connection = None;
    assert_eq!(host.hook(Hook::Prerouting, &mut again, [Some("docker0"), None]), Verdict::Accept);
    let verdict = host.hook(Hook::Postrouting, &mut again, [None, Some("eth1")]);
    assert!(matches!(verdict, Verdict::Drop(DropCause::NoLocalAddress(Some(_)))), "{verdict:?}");
    assert_eq!(again, packet);
}

#[test]
fn marks_and_exemptions_take_effect() {
    let mut host = Host::new(&[
        "-t raw -A PREROUTING -p udp --dport 9 -j CT --notrack",
        "-t mangle -A PREROUTING -p udp -j CONNMARK --set-mark 5",
        MASQUERADE,
    ]);
    host.one(&udp("172.17.0.2:4000", "198.51.100.7:53"), "docker0");
    assert!(host.lines()[0].ends_with("mark=5 use=1"), "{:?}", host.lines());
    let exempt = udp("172.17.0.2:4000", "198.51.100.7:9");
    assert_eq!(host.one(&exempt, "docker0"), exempt);
    assert!(host.connection.is_some_and(|c| c.state == CtState::Untracked));
    assert_eq!(host.lines().len(), 1);
}

#[test]
fn ipv6_is_translated_by_its_own_rules() {
    let mut host = Host::new(&[PUBLISH_UDP]);
    let words: Vec<&str> = "-t nat -A PREROUTING -p udp --dport 5353 -j DNAT --to-destination [fd00::2]:53"
        .split_whitespace()
        .collect();
    let sent = udp("[2001:db8::99]:50000", "[2001:db8::10]:5353");
    assert_eq!(host.one(&sent, "eth0"), sent);
    let parsed = parse_command(Family::Ipv6, &words).unwrap();
    apply_command(host.netfilter.rules_mut(Family::Ipv6), &parsed, None).unwrap();
    let inside = host.one(&sent, "eth0");
    assert_eq!(ends(&inside), "[2001:db8::99]:50000 -> [fd00::2]:53");
    let error = emit_error(&inside, IcmpError::PortUnreachable6, ip("fd00::2")).unwrap();
    let outside = host.one(&error, "docker0");
    let view = PacketView::parse(&outside).unwrap();
    assert_eq!((view.source(), view.destination()), (ip("2001:db8::10"), ip("2001:db8::99")));
    assert_eq!(view.embedded_tuple(), PacketView::parse(&sent).unwrap().tuple());
    assert_eq!(
        host.lines(),
        ["udp      17 30 src=2001:db8::99 dst=2001:db8::10 sport=50000 dport=5353 [UNREPLIED] \
          src=fd00::2 dst=2001:db8::99 sport=53 dport=50000 mark=0 use=1"]
    );
    let large = emit_echo_request(ip("2001:db8::99"), ip("fd00::2"), 64, 3, 1, &[1; 3000]).unwrap();
    assert_eq!(through_in_fragments(&mut host, &large, "eth0", 1400), large);
}
