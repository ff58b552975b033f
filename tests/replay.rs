//! A world with something outside, without any privilege: a station of this file's own takes a container's place, what
//! it sends is recorded, and the recording run in virtual time makes the same events, byte for byte.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail loudly")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::rc::Rc;
use std::time::Duration;

use etherparse::{Icmpv4Type, PacketBuilder, SlicedPacket, TransportSlice};
use linkspan::lab::outside::{
    Attachment, Moment, Outside, OutsideError, Port, Replacement, container, run_outside, shared,
};
use linkspan::run::recording::{Header, LIMIT, Recorder, Recording, Replay, StopReason};
use linkspan::scenario::report::{Progress, Report, RunOptions};
use linkspan::scenario::{LoadOptions, MemorySource, Scenario, load};

const FILE: &str = "\
name: shop
services:
  client: {image: busybox, command: sleep infinity, networks: [front], ports: ['8080:80/udp']}
  web: {image: nginx, networks: [front]}
networks: {front: , }
steps:
  - {in: web, run: ping -c 2 client}
  - wait 1s
checks:
  - web -> client: ok
  - host -> 172.18.0.2: ok
";

/// What the station may take to answer; not a round number, so that its frames fall between the world's deadlines.
const THINKING: Duration = Duration::from_nanos(123_457);

/// A small host: answers ARP and ping, and asks one name by DNS at a given moment.
struct Station {
    own: Option<Replacement>,
    asks: Option<Duration>,
    /// A line that is typed, and when.
    types: Option<(Duration, String)>,
    until: Duration,
    /// Frames to send and when.
    queue: VecDeque<(Duration, Vec<u8>)>,
    now: Duration,
    recorder: Recorder,
    /// Payloads of UDP datagrams that came.
    answers: Vec<Vec<u8>>,
}

impl Station {
    fn new(out: File, containers: &[String]) -> Station {
        let header = Header { seed: 0, containers: containers.to_vec() };
        Station {
            own: None,
            asks: Some(Duration::from_millis(1_500)),
            types: Some((Duration::from_secs(20), "web$ ping -c 1 client".to_owned())),
            until: Duration::from_secs(30),
            queue: VecDeque::new(),
            now: Duration::ZERO,
            recorder: Recorder::new(Box::new(out), &header, LIMIT).unwrap(),
            answers: Vec::new(),
        }
    }

    fn mac(&self) -> [u8; 6] {
        self.own.as_ref().unwrap().interfaces[0].mac
    }

    fn address(&self) -> Ipv4Addr {
        match self.own.as_ref().unwrap().interfaces[0].addresses[0].addr() {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => panic!("an IPv4 network"),
        }
    }

    fn send(&mut self, time: Duration, frame: Vec<u8>) {
        let at = self.queue.partition_point(|(other, _)| *other <= time);
        self.queue.insert(at, (time, frame));
    }

    fn query(&self) -> Vec<u8> {
        let resolver = self.own.as_ref().unwrap().resolver.as_ref().unwrap();
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(b"\x03web\x00\x00\x01\x00\x01");
        let (source, destination) = (self.address().octets(), resolver.address.octets());
        let builder = PacketBuilder::ethernet2(self.mac(), resolver.mac).ipv4(source, destination, 64);
        let mut frame = Vec::new();
        builder.udp(40_000, 53).write(&mut frame, &message).unwrap();
        frame
    }

    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let (mac, address) = (self.mac(), self.address().octets());
        let sender: [u8; 6] = frame[6..12].try_into().unwrap();
        if frame[12..14] == [8, 6] {
            let request = frame[21] == 1 && frame[38..42] == address;
            let mut reply = frame.to_vec();
            reply[..6].copy_from_slice(&sender);
            reply[6..12].copy_from_slice(&mac);
            reply[21] = 2;
            reply.copy_within(22..32, 32);
            reply[22..28].copy_from_slice(&mac);
            reply[28..32].copy_from_slice(&address);
            return request.then_some(reply);
        }
        let packet = SlicedPacket::from_ethernet(frame).unwrap();
        let Some(etherparse::NetSlice::Ipv4(ip)) = &packet.net else { return None };
        match packet.transport {
            Some(TransportSlice::Icmpv4(icmp)) => {
                let Icmpv4Type::EchoRequest(echo) = icmp.icmp_type() else { return None };
                let back = ip.header().source();
                let builder = PacketBuilder::ethernet2(mac, sender).ipv4(address, back, 64);
                let mut reply = Vec::new();
                builder.icmpv4_echo_reply(echo.id, echo.seq).write(&mut reply, icmp.payload()).unwrap();
                Some(reply)
            }
            Some(TransportSlice::Udp(udp)) => {
                self.answers.push(udp.payload().to_vec());
                None
            }
            _ => None,
        }
    }
}

impl Outside for Station {
    fn wait(&mut self, now: Duration, until: Duration) -> Result<Moment, OutsideError> {
        self.now = now;
        if until <= now {
            return Ok(Moment::Reached);
        }
        if self.asks.is_some_and(|at| at <= until) {
            let at = self.asks.take().unwrap();
            self.send(at, self.query());
        }
        if self.types.as_ref().is_some_and(|(at, _)| *at <= until) {
            let (time, line) = self.types.take().unwrap();
            self.recorder.typed(time, &line).unwrap();
            return Ok(Moment::Command { time, line });
        }
        let moment = match self.queue.front().map(|(time, _)| *time) {
            Some(time) if time <= until => {
                let time = time.max(now + Duration::from_nanos(1));
                let frames = self.queue.drain(..1).map(|(_, frame)| (Port(0), frame)).collect();
                Moment::Frames { time, frames }
            }
            _ if self.until <= until => Moment::Stop { time: self.until },
            _ => Moment::Reached,
        };
        match &moment {
            Moment::Frames { time, frames } => self.recorder.entered(*time, frames).unwrap(),
            Moment::Stop { time } => self.recorder.stop(*time, StopReason::Interrupted).unwrap(),
            Moment::Reached | Moment::Command { .. } => {}
        }
        Ok(moment)
    }

    fn emit(&mut self, port: Port, frame: &[u8]) {
        assert_eq!(port, Port(0));
        self.recorder.emitted(port, frame);
        if let Some(reply) = self.answer(frame) {
            self.send(self.now + THINKING, reply);
        }
    }
}

fn scenario(text: &str) -> Scenario {
    let source = MemorySource::default().with_file("shop.yaml", text);
    load(&source, Path::new("shop.yaml"), &LoadOptions::default()).unwrap()
}

/// Runs a scenario with an outside; the report and the event log.
fn run(
    scenario: &Scenario,
    outside: Rc<RefCell<dyn Outside>>,
    containers: &[String],
    mut begin: impl FnMut(&[Replacement]),
) -> (Report, Vec<String>) {
    let mut log = Vec::new();
    let mut begun = |replacements: &[Replacement]| {
        begin(replacements);
        Ok(Vec::new())
    };
    let mut attachment = Attachment { containers, outside, begin: &mut begun };
    let options = RunOptions { json: true, ..RunOptions::default() };
    let report = run_outside(scenario, &options, &mut attachment, &mut |progress| {
        if let Progress::Json { lines } = progress {
            log.extend_from_slice(lines);
        }
    });
    (report, log)
}

fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{test}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// A station's run: report, event log, what it heard, and the file of its recording.
fn recorded(test: &str) -> (Report, Vec<String>, Vec<Vec<u8>>, PathBuf) {
    let scenario = scenario(FILE);
    let containers = [container(&scenario, "client").unwrap()];
    let file = folder(test).join("recording.jsonl");
    let station = shared(Station::new(File::create(&file).unwrap(), &containers));
    let (report, log) = run(&scenario, station.clone(), &containers, |replacements| {
        station.borrow_mut().own = Some(replacements[0].clone());
    });
    let answers = station.borrow().answers.clone();
    (report, log, answers, file)
}

#[test]
fn a_station_outside_is_the_container() {
    let (report, log, answers, _) = recorded("station");
    assert!(report.passed(), "{report:?}");
    assert!(report.steps[0].output.contains("2 packets transmitted, 2 packets received"), "{report:?}");
    // The embedded resolver answered: the identifier of the query, and web's address at the end.
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(answer[..2], [0x12, 0x34]);
    assert_eq!(answer[answer.len() - 4..], [172, 18, 0, 3]);
    assert_eq!(report.totals.time, Duration::from_secs(30));
    assert!(log.len() > 100);
    // The line typed at 20 s was done then: an echo request left web.
    let typed = "\"time_ns\":20000000000,";
    assert!(log.iter().any(|line| line.contains(typed) && line.contains("echo request")));
}

#[test]
fn the_replay_makes_the_same_events_byte_for_byte() {
    let (report, log, _, file) = recorded("same");
    let recording = Recording::open(&file).unwrap();
    let expected = recording.emitted;
    assert!(expected.frames > 3 && recording.entries.len() > 3, "{recording:?}");
    let containers = recording.header.containers.clone();
    let replay = shared(Replay::new(recording));
    let (again, log_again) = run(&scenario(FILE), replay.clone(), &containers, |_| {});
    let differing = log.iter().zip(&log_again).find(|(a, b)| a != b);
    assert_eq!(differing, None);
    assert_eq!(log.len(), log_again.len());
    assert_eq!(again.totals, report.totals);
    assert_eq!(replay.borrow().emitted(), expected);
    assert_eq!(replay.borrow().left(), 0);
}

#[test]
fn a_replaced_container_answers_only_from_outside() {
    let scenario = scenario(&FILE.replace("  - {in: web, run: ping -c 2 client}\n", ""));
    let containers = [container(&scenario, "client").unwrap()];
    // Nobody is there: at once the end, and before it nothing.
    struct Nobody;
    impl Outside for Nobody {
        fn wait(&mut self, now: Duration, until: Duration) -> Result<Moment, OutsideError> {
            let end = Duration::from_secs(100);
            let over = until > now && until >= end;
            Ok(if over { Moment::Stop { time: end } } else { Moment::Reached })
        }
        fn emit(&mut self, _: Port, _: &[u8]) {}
    }
    let (report, _) = run(&scenario, shared(Nobody), &containers, |_| {});
    let found: Vec<bool> = report.checks.iter().map(|check| check.failure.is_none()).collect();
    assert_eq!(found, [false, false], "{report:?}");
}

#[test]
fn what_would_be_done_in_a_replaced_container_is_left_out_aloud() {
    let text = "services: {a: {image: nginx}, b: {image: nginx}}\nsteps: [{in: a, run: ping -c 1 b}]\n\
                checks: [a -> b:80: ok, b -> a:80: timeout]\n";
    let scenario = scenario(&format!("name: x\n{text}").replace("timeout", "unreachable"));
    let containers = [container(&scenario, "a").unwrap()];
    let recording = Recording {
        header: Header { seed: 0, containers: containers.to_vec() },
        entries: Vec::new(),
        stop: (Duration::from_secs(100), StopReason::ProcessEnded),
        emitted: linkspan::run::recording::Emitted::NONE,
    };
    let (report, _) = run(&scenario, shared(Replay::new(recording)), &containers, |_| {});
    let warnings: Vec<&str> = report.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings, ["left out: ping -c 1 b", "left out: a -> b:80: ok"]);
    assert_eq!((report.steps.len(), report.checks.len()), (0, 1));
    assert!(report.passed(), "{report:?}");
}

fn linkspan(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkspan"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_command_replays_and_notices_another_file() {
    let (_, log, _, recording) = recorded("command");
    let folder = recording.parent().unwrap();
    std::fs::write(folder.join("shop.yaml"), FILE).unwrap();
    let output =
        linkspan(folder, &["replay", "-q", "shop.yaml", "recording.jsonl", "--events", "events.jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let events = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    assert_eq!(events.lines().collect::<Vec<_>>(), log);

    std::fs::write(folder.join("other.yaml"), FILE.replace("ping -c 2", "ping -c 1")).unwrap();
    let output = linkspan(folder, &["replay", "-q", "other.yaml", "recording.jsonl"]);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert!(
        errors(&output).contains("the replay went another way than the recorded run"),
        "{}",
        errors(&output)
    );

    std::fs::write(folder.join("fewer.yaml"), "services: {web: {image: nginx}}\n").unwrap();
    let output = linkspan(folder, &["replay", "fewer.yaml", "recording.jsonl"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("recorded with another file"), "{}", errors(&output));
    assert!(errors(&output).contains("there is no container \"shop-client-1\""), "{}", errors(&output));
}

#[test]
fn what_is_no_whole_recording_is_refused() {
    let (_, _, _, recording) = recorded("refused");
    let folder = recording.parent().unwrap();
    std::fs::write(folder.join("shop.yaml"), FILE).unwrap();
    let whole = std::fs::read(&recording).unwrap();
    std::fs::write(folder.join("cut.jsonl"), &whole[..whole.len() - 3]).unwrap();
    let mut file = File::create(folder.join("garbage.jsonl")).unwrap();
    file.write_all(&[0xff; 4_096]).unwrap();
    for (name, expected) in [
        ("cut.jsonl", "without saying why"),
        ("garbage.jsonl", "expected the first line of a recording"),
        ("shop.yaml", "expected the first line of a recording"),
        ("absent.jsonl", "cannot be read: No such file"),
    ] {
        let output = linkspan(folder, &["replay", "shop.yaml", name]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let text = errors(&output);
        assert!(text.contains(name) && text.contains(expected), "{name}: {text}");
    }
}
