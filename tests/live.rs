//! Real time with a real kernel: a process in a user, network and mount namespace of its own becomes a container, and
//! pings, resolves, connects and serves by the kernel's own sockets; then the recording of it is replayed.
//!
//! The process inside is this test binary, started again by `unshare` (util-linux) with the test [`peer`]: no other
//! program is needed and no privilege, but the machine must let ordinary users make user namespaces and open
//! `/dev/net/tun`. Where it does not, the tests that need it cannot tell anything: they say so on standard error, past
//! the harness, which would swallow it, and with `LINKSPAN_REQUIRE_LIVE=1` they fail.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail loudly")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, sockopt};
use rustix::process::{Pid, Signal, kill_process};

const FILE: &str = "\
name: shop
services:
  client: {image: busybox, command: sleep infinity, networks: [front], ports: ['8080:80']}
  web: {image: nginx, networks: [front]}
  db: {image: postgres, networks: [back]}
networks: {front: , back: }
world:
  links: {eth0: {delay: 5ms}}
checks:
  - web -> client: ok
  - web -> client:80: ok
  - world:outside -> 203.0.113.10:8080: ok
  - web -> client:81: refused
";

/// Set for the process inside.
const INSIDE: &str = "LINKSPAN_TEST_INSIDE";

/// How long anything may take before the test is called hung.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_real_process_is_a_container_and_its_recording_replays_the_same() {
    let Some(mut inside) = Inside::start("whole") else { return };
    let mut up = inside.up(&["--record", "recording.jsonl", "--events", "live.jsonl"]);
    let said = up.until("eth0 is up in process");
    assert!(said.contains("/etc/resolv.conf and /etc/hosts there are the container's"), "{said}");

    // By the container's own files: libc's resolver asks 169.254.1.1.
    assert_eq!(inside.ask("resolve web"), "172.18.0.3");
    assert_eq!(inside.ask("resolve www.example.test"), "198.51.100.7");
    assert_eq!(inside.ask("resolve db"), "nothing");
    assert_eq!(inside.ask("ping web"), "answered");
    assert_eq!(inside.ask("ping 172.19.0.2"), "silence");
    assert!(inside.ask("get web:80").contains("sees 172.18.0.2"));
    // Behind the simulated host's NAT.
    assert!(inside.ask("get www.example.test:80").contains("sees 203.0.113.10"));
    assert_eq!(inside.ask("get web:81"), "Connection refused (os error 111)");
    // The end of the process would stop a check that is under way.
    up.until("web -> client:81: refused");
    inside.end();

    let (output, code) = up.finish();
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("ended: an attached process ended"), "{output}");
    assert!(output.contains("passed: 4 checks"), "{output}");

    let replay = inside.linkspan(&["replay", "shop.yaml", "recording.jsonl", "--events", "replay.jsonl"]);
    assert_eq!(replay.status.code(), Some(0), "{replay:?}");
    let log = |name: &str| std::fs::read_to_string(inside.folder.join(name)).unwrap();
    let (live, again) = (log("live.jsonl"), log("replay.jsonl"));
    assert!(live.lines().count() > 300, "{}", live.lines().count());
    assert_eq!(live.lines().zip(again.lines()).find(|(a, b)| a != b), None);
    assert!(live == again, "one log is longer");
}

#[test]
fn a_signal_ends_it_and_the_device_is_gone() {
    let Some(mut inside) = Inside::start("signal") else { return };
    for signal in [Signal::INT, Signal::TERM] {
        let mut up = inside.up(&["--record", "recording.jsonl"]);
        up.until("eth0 is up in process");
        assert_eq!(inside.ask("device eth0"), "there");
        assert_eq!(inside.ask("ping web"), "answered");
        // Until the checks are made: what interrupts them is a run that did not pass.
        up.until("web -> client:81: refused");
        kill_process(Pid::from_child(&up.child), signal).unwrap();
        let (output, code) = up.finish();
        assert_eq!(code, Some(0), "{output}");
        assert!(output.contains("ended: interrupted"), "{output}");
        assert_eq!(inside.ask("device eth0"), "gone");
        let replay = inside.linkspan(&["replay", "-q", "shop.yaml", "recording.jsonl"]);
        assert_eq!(replay.status.code(), Some(0), "{replay:?}");
    }
    inside.end();
}

#[test]
fn what_is_typed_happens_and_is_recorded() {
    let Some(mut inside) = Inside::start("typed") else { return };
    let mut up = inside.up(&["--interactive", "--record", "recording.jsonl", "--events", "live.jsonl"]);
    up.until("web -> client:81: refused");
    assert_eq!(inside.ask("ping web"), "answered");
    up.type_line("web$ wget -q -O - http://client/");
    up.until("    real");
    up.type_line("docker network disconnect shop_front shop-web-1");
    up.type_line("host$ ping -c 1 -W 1 172.18.0.3");
    up.until("100% packet loss");
    assert_eq!(inside.ask("ping 172.18.0.3"), "silence");
    assert_eq!(inside.ask("resolve web"), "nothing");
    up.type_line("nonsense");
    up.until("type a docker command, an event, or PLACE$ COMMAND");
    inside.end();
    let (output, code) = up.finish();
    assert_eq!(code, Some(0), "{output}");
    let replay = inside.linkspan(&["replay", "shop.yaml", "recording.jsonl", "--events", "replay.jsonl"]);
    assert_eq!(replay.status.code(), Some(0), "{replay:?}");
    let log = |name: &str| std::fs::read_to_string(inside.folder.join(name)).unwrap();
    assert!(log("live.jsonl") == log("replay.jsonl"));
    assert!(String::from_utf8_lossy(&replay.stdout).contains("docker network disconnect"));
}

#[test]
fn a_device_in_the_way_is_named() {
    let Some(mut inside) = Inside::start("busy") else { return };
    let mut first = inside.up(&[]);
    first.until("eth0 is up in process");
    let second = inside.up(&[]);
    let (output, code) = second.finish();
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("TAP device \"eth0\" is in use by another process"), "{output}");
    assert_eq!(inside.ask("device eth0"), "there");
    first.until("web -> client:81: refused");
    inside.end();
    assert_eq!(first.finish().1, Some(0));
}

#[test]
fn what_cannot_be_attached_is_refused_before_anything_runs() {
    let folder = folder("refusals");
    let own = std::process::id().to_string();
    for (tap, expected) in [
        ("client".to_owned(), "expected CONTAINER=PID, such as client=4242"),
        ("client=0".to_owned(), "expected CONTAINER=PID"),
        ("client=four".to_owned(), "expected CONTAINER=PID"),
        (
            format!("clint={own}"),
            "there is no container \"clint\" in this file; it has client, web, db, shop-client-1, shop-web-1, shop-db-1",
        ),
        ("client=2147483647".to_owned(), "there is no process 2147483647"),
        ("client=4294967295".to_owned(), "there is no process 4294967295"),
        (format!("client={own}"), "is in linkspan's own network namespace: start it in one of its own"),
    ] {
        let output = linkspan(&folder, &["up", "shop.yaml", "--tap", &tap]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{tap}: {errors}");
        assert!(errors.contains(expected), "{tap}: {errors}");
        assert_eq!(output.stdout, b"", "{tap}");
    }
    let twice = format!("client={own}");
    let output = linkspan(&folder, &["up", "shop.yaml", "--tap", &twice, "--tap", &twice]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("--tap shop-client-1: given twice"), "{errors}");
}

/// The process inside: does what its standard input says, one line each, and answers with one line.
#[test]
#[ignore = "the process inside; the other tests of this file start it"]
fn peer() {
    if std::env::var(INSIDE).is_err() {
        return;
    }
    // Before linkspan comes, so that the checks find a server whenever they are made.
    let server = TcpListener::bind("0.0.0.0:80").unwrap();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            // To close before the request was read would reset the connection.
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nreal\n");
        }
    });
    let mut out = std::io::stdout();
    writeln!(out, "ready").unwrap();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (word, rest) = line.split_once(' ').unwrap();
        let answer = match word {
            "resolve" => resolve(rest).map_or("nothing".to_owned(), |address| address.ip().to_string()),
            "ping" => if ping(rest) { "answered" } else { "silence" }.to_owned(),
            "get" => get(rest).unwrap_or_else(|error| error.to_string()),
            "device" => {
                let devices = std::fs::read_to_string("/proc/net/dev").unwrap();
                if devices.contains(&format!("{rest}:")) { "there" } else { "gone" }.to_owned()
            }
            other => panic!("{other}"),
        };
        writeln!(out, "{}", answer.replace(['\r', '\n'], " ")).unwrap();
    }
}

fn resolve(name: &str) -> Option<SocketAddr> {
    (name, 0).to_socket_addrs().ok()?.find(SocketAddr::is_ipv4)
}

/// One echo request and its answer, by a raw socket: root of a user namespace may.
fn ping(name: &str) -> bool {
    let Some(target) = resolve(name) else { return false };
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)).unwrap();
    let patience = if name == "web" { PATIENCE } else { Duration::from_millis(300) };
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(patience)).unwrap();
    // Type 8, code 0, checksum, identifier, sequence number.
    let request = [8, 0, 0xe5, 0xca, 0x12, 0x34, 0, 1];
    if rustix::net::sendto(&socket, &request, SendFlags::empty(), &target).is_err() {
        return false;
    }
    let mut packet = [0; 1_500];
    while let Ok((length, _)) = rustix::net::recv(&socket, &mut packet, RecvFlags::empty()) {
        if packet[20..length].starts_with(&[0, 0]) && packet[24..26] == [0x12, 0x34] {
            return true;
        }
    }
    false
}

fn get(place: &str) -> std::io::Result<String> {
    let (name, port) = place.split_once(':').unwrap();
    let address = SocketAddr::new(resolve(name).unwrap().ip(), port.parse().unwrap());
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// The process inside, seen from here.
struct Inside {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Inside {
    /// Starts it; `None` if the machine forbids it, which is said aloud.
    fn start(test: &str) -> Option<Inside> {
        if let Err(why) = permitted() {
            let text = format!("NOT TESTED: live::{test} cannot run on this machine: {why}\n");
            assert!(std::env::var("LINKSPAN_REQUIRE_LIVE").is_err(), "{text}");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--mount"]).arg(std::env::current_exe().unwrap());
        command.args(["peer", "--exact", "--ignored", "--nocapture"]).env(INSIDE, "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let questions = child.stdin.take();
        let mut inside = Inside { child, questions, answers, folder: folder(test) };
        // The harness has something to say first.
        while inside.line() != "ready" {}
        Some(inside)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "the process inside ended");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        self.line()
    }

    fn end(&mut self) {
        self.questions = None;
        assert!(self.child.wait().unwrap().success());
    }

    fn up(&self, arguments: &[&str]) -> Up {
        let tap = format!("client={}", self.child.id());
        let mut command = Command::new(env!("CARGO_BIN_EXE_linkspan"));
        command.args(["up", "shop.yaml", "--tap", &tap]).args(arguments).current_dir(&self.folder);
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdin(Stdio::piped()).stdout(writer.try_clone().unwrap()).stderr(writer);
        Up { child: command.spawn().unwrap(), lines: BufReader::new(reader), said: String::new() }
    }

    fn linkspan(&self, arguments: &[&str]) -> Output {
        linkspan(&self.folder, arguments)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `linkspan up`.
struct Up {
    child: Child,
    lines: BufReader<std::io::PipeReader>,
    said: String,
}

impl Up {
    fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Reads until a line contains a text; the line.
    fn until(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            self.said.push_str(&line);
            assert!(read > 0, "linkspan ended without saying {text:?}: {}", self.said);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// What it said, and its exit code.
    fn finish(mut self) -> (String, Option<i32>) {
        self.lines.read_to_string(&mut self.said).unwrap();
        let code = self.child.wait().unwrap().code();
        (std::mem::take(&mut self.said), code)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this machine lets an ordinary process be a container.
fn permitted() -> Result<(), String> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", env!("CARGO_BIN_EXE_linkspan"), "doctor"]);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("the program `unshare` cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let tap = text.lines().find_map(|line| line.strip_prefix("TAP device")).unwrap_or_default().trim();
    if tap.starts_with("opened as") { Ok(()) } else { Err(tap.to_owned()) }
}

fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("live-{test}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("shop.yaml"), FILE).unwrap();
    path
}

fn linkspan(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkspan"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}
