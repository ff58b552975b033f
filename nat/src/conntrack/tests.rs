use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const RST: u8 = 0x04;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn tuple(protocol: u8, client: u8, source_port: u16, destination_port: u16) -> Tuple {
    let (source, destination) = ([10, 0, 0, client].into(), [10, 0, 1, 1].into());
    Tuple { source, destination, protocol, source_port, destination_port }
}

fn udp(client: u8) -> TrackedPacket {
    TrackedPacket { tuple: tuple(UDP, client, 1000, 53), tcp_flags: None, length: 100 }
}

fn tcp(flags: u8) -> TrackedPacket {
    TrackedPacket { tuple: tuple(TCP, 1, 40000, 80), tcp_flags: Some(flags), length: 40 }
}

fn answer(packet: TrackedPacket) -> TrackedPacket {
    TrackedPacket { tuple: packet.tuple.inverted().unwrap(), ..packet }
}

fn pass(table: &mut Conntrack, now: Duration, packet: TrackedPacket) -> (ConnectionId, CtState) {
    match table.track(now, &packet) {
        Tracking::Connection { id, state, .. } => (table.confirm(now, id).unwrap(), state),
        other => panic!("{other:?}"),
    }
}

#[test]
fn udp_becomes_a_stream_after_two_seconds() {
    let mut table = Conntrack::default();
    let (id, state) = pass(&mut table, seconds(0), udp(1));
    assert_eq!((state, table.get(id).unwrap().expires()), (CtState::New, seconds(30)));
    assert_eq!(pass(&mut table, seconds(1), udp(1)), (id, CtState::New));
    assert_eq!(pass(&mut table, seconds(1), answer(udp(1))), (id, CtState::Established));
    assert_eq!(pass(&mut table, seconds(2), udp(1)), (id, CtState::Established));
    assert_eq!(table.get(id).unwrap().expires(), seconds(32));
    pass(&mut table, seconds(3), udp(1));
    let connection = table.get(id).unwrap();
    assert!(connection.status().contains(Status::ASSURED) && connection.expires() == seconds(123));
    assert_eq!(connection.counters(Direction::Original), FlowCounters { packets: 4, bytes: 400 });
    assert_eq!(connection.counters(Direction::Reply), FlowCounters { packets: 1, bytes: 100 });
    assert_eq!(table.lookup(seconds(122), &udp(1).tuple), Some((id, Direction::Original)));
    assert_eq!(table.lookup(seconds(123), &udp(1).tuple), None);
    assert_eq!((table.expire(seconds(123)), table.count(), table.deadline()), (1, 0, None));
}

#[test]
fn tcp_is_assured_by_the_handshake_and_ends_by_reset() {
    let mut table = Conntrack::default();
    let (id, _) = pass(&mut table, seconds(0), tcp(SYN));
    assert_eq!(table.get(id).unwrap().expires(), seconds(120));
    pass(&mut table, seconds(50), tcp(SYN));
    assert_eq!(table.get(id).unwrap().expires(), seconds(120), "a repeated SYN must not prolong");
    assert_eq!(pass(&mut table, seconds(51), answer(tcp(SYN_ACK))), (id, CtState::Established));
    assert!(!table.get(id).unwrap().status().contains(Status::ASSURED));
    pass(&mut table, seconds(52), tcp(ACK));
    let connection = table.get(id).unwrap();
    assert!(connection.status().contains(Status::ASSURED));
    assert_eq!(connection.tcp_state(), Some(TcpState::Established));
    assert_eq!(connection.expires(), seconds(432_052));
    pass(&mut table, seconds(60), tcp(RST));
    assert_eq!(table.get(id).unwrap().expires(), seconds(70));
    assert_eq!(table.expire(seconds(65)), 0);
    assert_eq!(table.deadline(), Some(seconds(70)));
}

#[test]
fn a_refused_connection_is_forgotten_at_once_but_not_for_its_reset() {
    let mut table = Conntrack::default();
    let (id, _) = pass(&mut table, seconds(0), tcp(SYN));
    assert_eq!(pass(&mut table, seconds(0), answer(tcp(RST | ACK))).0, id);
    assert!(table.get(id).is_some_and(|c| c.status().contains(Status::DYING)));
    assert_eq!(table.lookup(seconds(0), &tcp(SYN).tuple), None);
    assert!(table.list(seconds(0)).is_empty());
    assert_eq!(pass(&mut table, seconds(0), tcp(SYN)).1, CtState::New);
}

#[test]
fn a_connection_is_picked_up_unless_strict() {
    let mut table = Conntrack::default();
    let (id, state) = pass(&mut table, seconds(0), tcp(ACK));
    assert_eq!((state, table.get(id).unwrap().expires()), (CtState::New, seconds(300)));
    pass(&mut table, seconds(0), answer(tcp(ACK)));
    pass(&mut table, seconds(0), tcp(ACK));
    assert_eq!(table.get(id).unwrap().expires(), seconds(432_000));
    table.flush(&ConnectionFilter::default());
    table.set_loose(false);
    assert_eq!(table.track(seconds(0), &tcp(ACK)), Tracking::Invalid);
    assert_eq!((table.count(), table.statistics().invalid), (0, 1));
}

#[test]
fn only_questions_open_icmp() {
    let mut table = Conntrack::default();
    let echo = |kind: u16| TrackedPacket { tuple: tuple(ICMP, 1, 7, kind << 8), tcp_flags: None, length: 84 };
    assert_eq!(table.track(seconds(0), &answer(echo(8))), Tracking::Invalid);
    let (id, _) = pass(&mut table, seconds(0), echo(8));
    assert_eq!(pass(&mut table, seconds(29), answer(echo(8))), (id, CtState::Established));
    assert_eq!(table.get(id).unwrap().expires(), seconds(59));
}

#[test]
fn an_error_is_related_to_the_flow_it_quotes() {
    let mut table = Conntrack::default();
    let (id, _) = pass(&mut table, seconds(0), udp(1));
    let quoted = udp(1).tuple;
    let expected = Tracking::Connection { id, direction: Direction::Reply, state: CtState::Related };
    assert_eq!(table.track_error(seconds(0), &quoted, quoted.source), expected);
    assert_eq!(table.track_error(seconds(0), &quoted, [9, 9, 9, 9].into()), Tracking::Invalid);
    let back = quoted.inverted().unwrap();
    let expected = Tracking::Connection { id, direction: Direction::Original, state: CtState::Related };
    assert_eq!(table.track_error(seconds(0), &back, back.source), expected);
    assert_eq!(table.track_error(seconds(0), &udp(2).tuple, quoted.source), Tracking::Invalid);
}

#[test]
fn both_tuples_are_inserted_or_neither() {
    let mut table = Conntrack::default();
    pass(&mut table, seconds(0), udp(1));
    let Tracking::Connection { id, .. } = table.track(seconds(0), &udp(2)) else { panic!() };
    let taken = answer(udp(1)).tuple;
    table.get_mut(id).unwrap().tuples[1] = taken;
    assert_eq!(table.confirm(seconds(0), id), Err(ConfirmError::Clash { tuple: taken }));
    assert_eq!(table.lookup(seconds(0), &udp(2).tuple), None);
    assert_eq!(table.confirm(seconds(0), id), Err(ConfirmError::Gone));
    assert_eq!((table.count(), table.statistics().insert_failed), (1, 1));
}

#[test]
fn two_first_packets_of_one_flow_become_one_connection() {
    let mut table = Conntrack::default();
    let Tracking::Connection { id: first, .. } = table.track(seconds(0), &udp(1)) else { panic!() };
    let Tracking::Connection { id: second, .. } = table.track(seconds(0), &udp(1)) else { panic!() };
    assert_eq!(table.confirm(seconds(0), first), Ok(first));
    assert_eq!(table.confirm(seconds(0), second), Ok(first));
    assert_eq!(table.count(), 1);
}

#[test]
fn a_full_table_gives_up_the_oldest_that_is_not_assured() {
    let mut table = Conntrack::default();
    table.set_maximum(2);
    pass(&mut table, seconds(0), tcp(SYN));
    pass(&mut table, seconds(0), answer(tcp(SYN_ACK)));
    pass(&mut table, seconds(0), tcp(ACK));
    pass(&mut table, seconds(0), udp(1));
    pass(&mut table, seconds(0), udp(2));
    assert_eq!(table.lookup(seconds(0), &udp(1).tuple), None);
    assert!(table.lookup(seconds(0), &udp(2).tuple).is_some());
    for now in [1, 3] {
        pass(&mut table, seconds(now), answer(udp(2)));
    }
    assert_eq!(table.track(seconds(3), &udp(3)), Tracking::Full);
    let expected = ConntrackStatistics { drop: 1, early_drop: 1, ..Default::default() };
    assert_eq!((table.count(), table.statistics()), (2, expected));
}

#[test]
fn a_packet_that_is_lost_leaves_nothing_behind() {
    let mut table = Conntrack::default();
    let Tracking::Connection { id, .. } = table.track(seconds(0), &udp(1)) else { panic!() };
    table.release(id);
    assert_eq!((table.count(), table.get(id).is_none()), (0, true));
    table.track(seconds(0), &udp(1));
    assert_eq!(table.count(), 1);
    assert_eq!((table.expire(IN_FLIGHT), table.count()), (1, 0));
    let (id, _) = pass(&mut table, seconds(20), udp(1));
    table.release(id);
    assert!(table.get(id).is_some());
}

#[test]
fn flushing_selects_by_owner_address_and_port() {
    let mut table = Conntrack::default();
    let owner = ConnectionOwner(7);
    let (id, _) = pass(&mut table, seconds(0), udp(1));
    table.set_owner(id, 1, Some(owner));
    pass(&mut table, seconds(0), udp(2));
    pass(&mut table, seconds(0), tcp(SYN));
    let port = ConnectionFilter { protocol: Some(UDP), destination_port: Some(54), ..Default::default() };
    assert_eq!(table.flush(&port), 0);
    assert_eq!(table.flush(&ConnectionFilter::owned_by(owner)), 1);
    assert!(table.get(id).is_none() && table.lookup(seconds(0), &udp(1).tuple).is_none());
    let address = ConnectionFilter { address: Some([10, 0, 0, 2].into()), ..Default::default() };
    assert_eq!(table.flush(&address), 1);
    assert_eq!(table.flush(&ConnectionFilter { protocol: Some(TCP), ..Default::default() }), 1);
    assert_eq!(table.count(), 0);
}

#[test]
fn timers_do_not_pile_up() {
    let mut table = Conntrack::default();
    for _ in 0..10_000 {
        pass(&mut table, seconds(0), udp(1));
        table.flush(&ConnectionFilter::default());
    }
    assert!(table.timers.len() < 100, "{}", table.timers.len());
    assert_eq!(table.slots.len(), 1);
}

/// UDP alone, written down as plainly as possible.
#[derive(Default)]
struct Model {
    flows: BTreeMap<Tuple, Flow>,
}

struct Flow {
    answered: bool,
    began: Duration,
    expires: Duration,
}

impl Model {
    fn packet(&mut self, now: Duration, tuple: Tuple) -> (CtState, Direction) {
        self.flows.retain(|_, flow| flow.expires > now);
        let reply = tuple.inverted().unwrap();
        let (key, direction) = if self.flows.contains_key(&reply) && !self.flows.contains_key(&tuple) {
            (reply, Direction::Reply)
        } else {
            (tuple, Direction::Original)
        };
        let flow =
            self.flows.entry(key).or_insert(Flow { answered: false, began: now, expires: Duration::ZERO });
        let stream = flow.answered && now > flow.began + seconds(2);
        flow.expires = now + if stream { seconds(120) } else { seconds(30) };
        let established = flow.answered || direction == Direction::Reply;
        flow.answered |= direction == Direction::Reply;
        (if established { CtState::Established } else { CtState::New }, direction)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Packet { client: u8, port: u16, reply: bool },
    Wait(u64),
    Expire,
    Flush(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..3, 1u16..3, any::<bool>())
            .prop_map(|(client, port, reply)| Step::Packet { client, port, reply }),
        3 => prop_oneof![0u64..40_000, Just(2_000), Just(30_000), Just(120_000)].prop_map(Step::Wait),
        1 => Just(Step::Expire),
        1 => (0u8..3).prop_map(Step::Flush),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn the_table_agrees_with_the_model(steps in steps(), seed: u64) {
        let mut table = Conntrack::new(seed);
        let mut model = Model::default();
        let mut now = Duration::ZERO;
        for step in steps {
            match step {
                Step::Packet { client, port, reply } => {
                    let mut packet = udp(client);
                    packet.tuple.destination_port = port;
                    if reply {
                        packet = answer(packet);
                    }
                    let Tracking::Connection { id, direction, state } = table.track(now, &packet) else {
                        return Err(TestCaseError::fail("not tracked"));
                    };
                    prop_assert_eq!(table.confirm(now, id), Ok(id));
                    prop_assert_eq!((state, direction), model.packet(now, packet.tuple));
                }
                Step::Wait(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Expire => {
                    table.expire(now);
                    prop_assert!(table.deadline().is_none_or(|deadline| deadline > now));
                    prop_assert_eq!(table.count(), table.list(now).len());
                }
                Step::Flush(client) => {
                    let address = IpAddr::from([10, 0, 0, client]);
                    table.flush(&ConnectionFilter { address: Some(address), ..Default::default() });
                    model.flows.retain(|tuple, _| tuple.source != address && tuple.destination != address);
                }
            }
            let mut listed: Vec<_> =
                table.list(now).iter().map(|(_, c)| (*c.original(), c.expires())).collect();
            listed.sort();
            let expected: Vec<_> =
                model.flows.iter().filter(|(_, f)| f.expires > now).map(|(t, f)| (*t, f.expires)).collect();
            prop_assert_eq!(listed, expected);
            prop_assert_eq!(table.table.len(), 2 * table.unassured.len() + 2 * table.slots.iter()
                .filter(|s| s.connection.as_ref().is_some_and(|c| c.status.contains(Status::ASSURED))).count());
        }
    }
}

#[test]
fn what_happens_is_told_while_somebody_listens() {
    let mut table = Conntrack::default();
    pass(&mut table, seconds(0), udp(1));
    let mut from = table.listen(seconds(1));
    let mut heard = |table: &mut Conntrack| {
        let heard = table.events_from(from);
        from = heard.next;
        assert_eq!(heard.lost, 0);
        let line = |event| crate::conntrack_text::event_line(event, false);
        heard.events.iter().map(line).collect::<Vec<_>>()
    };
    // It began before.
    pass(&mut table, seconds(1), answer(udp(1)));
    assert!(heard(&mut table).is_empty());
    pass(&mut table, seconds(1), udp(2));
    let ends = "src=10.0.0.2 dst=10.0.1.1 sport=1000 dport=53";
    let back = "src=10.0.1.1 dst=10.0.0.2 sport=53 dport=1000";
    assert_eq!(heard(&mut table), [format!("    [NEW] udp      17 30 {ends} [UNREPLIED] {back}")]);
    table.set_event_time(seconds(2));
    pass(&mut table, seconds(2), answer(udp(2)));
    pass(&mut table, seconds(2), answer(udp(2)));
    assert_eq!(heard(&mut table), [format!(" [UPDATE] udp      17 30 {ends} {back}")], "once");
    table.set_event_time(seconds(5));
    pass(&mut table, seconds(5), udp(2));
    assert_eq!(heard(&mut table), [format!(" [UPDATE] udp      17 120 {ends} {back} [ASSURED]")]);
    table.set_event_time(seconds(125));
    table.expire(seconds(125));
    assert_eq!(heard(&mut table), [format!("[DESTROY] udp      17 {ends} {back} [ASSURED]")]);
    // What is taken away has time left.
    let (id, _) = pass(&mut table, seconds(125), udp(3));
    table.remove(id);
    assert!(heard(&mut table)[1].starts_with("[DESTROY] udp      17 30 src="));
    table.stop_listening();
    pass(&mut table, seconds(126), udp(4));
    assert!(table.events_from(0).events.is_empty());
}

#[test]
fn events_that_nobody_fetches_are_lost_and_counted() {
    let mut table = Conntrack::default();
    let from = table.listen(seconds(0));
    for number in 0..6_000 {
        let packet = TrackedPacket { tuple: tuple(UDP, 1, number, 53), ..udp(1) };
        pass(&mut table, seconds(0), packet);
    }
    let heard = table.events_from(from);
    assert_eq!((heard.lost, heard.events.len(), heard.next), (1_904, 4_096, 6_000));
}
