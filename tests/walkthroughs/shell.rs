//! Plays a walkthrough: its lines are run by a real `sh` one by one, literally, and what they call (`docker`, `hostx`,
//! `sleep` and the other helpers of the recordings) comes back here and happens in a simulated world.
//!
//! Each helper is a small script that leaves its arguments in a folder, says so through a named pipe and waits for its
//! answer. One call is served at a time, in the order of the line, so the transcript does not depend on the machine. Time is
//! the world's: `sleep` and `date` are helpers too.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use linkspan::docker::profile::Profile;
use linkspan::engine::errno::Errno;
use linkspan::engine::sys::{ExitCode, Sys};
use linkspan::world::{Location, own_program};

use crate::recorded::{Answer, Stage};

/// What a walkthrough may call.
const HELPERS: [&str; 13] = [
    "docker", "docker20", "hostx", "outx", "rules", "waitfor", "digc", "ttyx", "udpask", "udpecho",
    "restartd", "sleep", "date",
];

/// `HELPER ARGUMENTS`: hands them over and does what the answer says.
const STUB: &str = r#"#!/bin/sh
mkfifo "$WALK/$$.done"
printf '%s\0' "${0##*/}" "$@" > "$WALK/$$.call"
echo "$$ ${BEHIND:-}" > "$WALK/calls"
read -r line < "$WALK/$$.done"
. "$WALK/$$.answer"
"#;

/// Runs the lines of a walkthrough as the recording did.
const PLAY: &str = r#"
lines=$1
cd "$WALK/cwd" || exit 2
acc=
while IFS= read -r line <&9; do
  case $line in '#'*|'. "'*|'') [ -z "$acc" ] && continue ;; esac
  case $line in *\\) acc="$acc${line%?}"; continue ;; esac
  line="$acc$line"; acc=
  printf '$ %s\n' "$line"
  case $line in
  *' &') BEHIND=1; export BEHIND; eval "${line% &}" </dev/null 2>&1; unset BEHIND; printf '[exit 0]\n' ;;
  *) eval "$line" </dev/null 2>&1
     printf '[exit %d]\n' $? ;;
  esac
done 9<"$lines"
"#;

/// The transcript of a walkthrough, unmasked.
pub(crate) fn play(walkthrough: &Path, profile: Profile) -> String {
    let text = fs::read_to_string(walkthrough).unwrap();
    let header = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("# {key}:")));
        line.map_or("", str::trim).to_owned()
    };
    // The recording's host is called dk.
    let mut stage = Stage::called("dk", profile, &header("daemon"));
    stage.world.add_program("udpask", own_program(ask));
    stage.world.add_program("udpecho", own_program(echo));
    // The recording's LAN gateway has this address, and its machine outside all of 198.51.100.0/24.
    let hosts = "127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n127.0.1.1 dk\\n";
    let prepared = [
        stage.on_host(&format!("printf '{hosts}' > /etc/hosts")),
        stage.outside("ip link set lan0 address 02:00:c0:a8:32:01"),
        stage.outside("ip addr add 198.51.100.1/24 dev lo"),
    ];
    for answer in prepared {
        assert_eq!(answer.exit, 0, "{}", answer.text());
    }
    let resolv = header("resolv");
    if !resolv.is_empty() {
        let written = stage.on_host(&format!("printf '{resolv}' > /etc/resolv.conf"));
        assert_eq!(written.exit, 0, "{}", written.text());
    }
    let folder = Folder::new(&format!("{}-{profile}", walkthrough.file_stem().unwrap().to_str().unwrap()));
    stage.client_folder = folder.path("cwd");
    let calls = folder.path("calls");
    assert!(Command::new("mkfifo").arg(&calls).status().unwrap().success());
    let mut shell = Command::new("sh")
        .args(["-c", PLAY, "sh"])
        .arg(walkthrough)
        .env("WALK", &folder.0)
        .env("PATH", format!("{}:{}", folder.path("bin").display(), std::env::var("PATH").unwrap()))
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()
        .unwrap();
    // A helper that is never answered would wait for ever.
    let waiting = Group(shell.id());
    // Our own end for writing keeps the pipe open between calls, and says when the shell is done.
    let mut end = OpenOptions::new().read(true).write(true).open(&calls).unwrap();
    let requests = BufReader::new(File::open(&calls).unwrap());
    let mut output = shell.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut transcript = String::new();
        output.read_to_string(&mut transcript).unwrap();
        shell.wait().unwrap();
        end.write_all(b"end\n").unwrap();
        transcript
    });
    for request in requests.lines() {
        let request = request.unwrap();
        if request == "end" {
            break;
        }
        let (call, behind) = request.split_once(' ').unwrap();
        let words = fs::read_to_string(folder.path(&format!("{call}.call"))).unwrap();
        let words: Vec<String> = words.split_terminator('\0').map(str::to_owned).collect();
        let answer = serve(&mut stage, &words, !behind.is_empty());
        folder.answer(call, &answer);
    }
    std::mem::forget(waiting);
    reader.join().unwrap()
}

/// A process group that ends with whoever serves it, should that one fail.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-9", "--", &format!("-{}", self.0)]).status();
    }
}

/// A folder of its own, removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("linkspan-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("bin")).unwrap();
        fs::create_dir(path.join("cwd")).unwrap();
        for helper in HELPERS {
            let file = path.join("bin").join(helper);
            fs::write(&file, STUB).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Lets a helper print its answer and end.
    fn answer(&self, call: &str, answer: &Answer) {
        let mut script = String::new();
        for (number, (error, text)) in answer.pieces.iter().enumerate() {
            let file = self.path(&format!("{call}.{number}"));
            fs::write(&file, text).unwrap();
            let to = if *error { " >&2" } else { "" };
            script.push_str(&format!("cat '{}'{to}\n", file.display()));
        }
        script.push_str(&format!("exit {}\n", answer.exit));
        fs::write(self.path(&format!("{call}.answer")), script).unwrap();
        fs::write(self.path(&format!("{call}.done")), "done\n").unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn serve(stage: &mut Stage, words: &[String], behind: bool) -> Answer {
    let (helper, arguments) = words.split_first().unwrap();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outside = Location::Machine("outside".to_owned());
    let host = Location::Host(stage.host);
    let nothing = Answer::default();
    match (helper.as_str(), texts.as_slice()) {
        ("docker", _) => stage.docker_words(arguments),
        ("docker20", _) => stage.docker20_words(arguments),
        ("hostx", program) if behind => {
            let words = program.iter().map(|word| (*word).to_owned()).collect();
            stage.world.start(&host, words).unwrap();
            nothing
        }
        ("hostx", program) => stage.run(&host, program),
        ("outx", program) => stage.run(&outside, program),
        ("rules", [table]) => stage.run(&host, &["iptables", "-t", table, "-S"]),
        ("digc", [container, rest @ ..]) => {
            let mut words = vec!["dig", "+nocmd", "+nocookie", "+time=3", "+tries=1", "@127.0.0.11"];
            words.extend(rest);
            let container = Location::Container(stage.host, (*container).to_owned());
            stage.run(&container, &words)
        }
        ("udpask", [place, rest @ ..]) => {
            let place = match *place {
                "host" => host,
                "outside" => outside,
                container => Location::Container(stage.host, container.to_owned()),
            };
            let words: Vec<&str> = ["udpask"].iter().chain(rest).copied().collect();
            stage.run(&place, &words)
        }
        ("udpecho", [container, port]) => {
            let place = Location::Container(stage.host, (*container).to_owned());
            stage.world.start(&place, vec!["udpecho".to_owned(), (*port).to_owned()]).unwrap();
            stage.world.wait(Duration::from_millis(500)).unwrap();
            nothing
        }
        ("restartd", []) => {
            stage.restart_daemon();
            nothing
        }
        ("sleep", [seconds]) => {
            stage.world.wait(Duration::from_secs_f64(seconds.parse().unwrap())).unwrap();
            nothing
        }
        ("date", ["+%s"]) => Answer::said(format!("{}\n", stage.seconds())),
        (helper, _) => {
            Answer { exit: 127, ..Answer::failed(format!("{helper}: not played here: {texts:?}\n")) }
        }
    }
}

/// `udpask HOST PORT TEXT`: one datagram, and the answer to it.
async fn ask(sys: Sys) -> ExitCode {
    let [_, host, port, text] = sys.arguments() else { return ExitCode(2) };
    let remote: SocketAddr = format!("{host}:{port}").parse().unwrap();
    let asked = async {
        let socket = sys.udp_socket()?;
        socket.connect(remote)?;
        socket.send(text.as_bytes())?;
        socket.receive().await
    };
    match sys.timeout(Duration::from_millis(1500), asked).await {
        Some(Ok(datagram)) => {
            sys.print(format!("{}\n", String::from_utf8_lossy(&datagram.payload))).await;
            ExitCode(0)
        }
        Some(Err(Errno::ConnectionRefused)) => {
            sys.print("refused\n").await;
            ExitCode(1)
        }
        Some(Err(error)) => {
            sys.print(format!("{error}\n")).await;
            ExitCode(1)
        }
        None => {
            sys.print("no answer\n").await;
            ExitCode(1)
        }
    }
}

/// `udpecho PORT`: answers datagrams with the address they came from, until none came for eight seconds.
async fn echo(sys: Sys) -> ExitCode {
    let [_, port] = sys.arguments() else { return ExitCode(2) };
    let local: SocketAddr = format!("0.0.0.0:{port}").parse().unwrap();
    let Ok(socket) = sys.udp_socket() else { return ExitCode(1) };
    if socket.bind(local).is_err() {
        return ExitCode(1);
    }
    while let Some(Ok(datagram)) = sys.timeout(Duration::from_secs(8), socket.receive()).await {
        let mut answer = format!("from {}: ", datagram.source.ip()).into_bytes();
        answer.extend(datagram.payload);
        if socket.send_to(&answer, datagram.source).is_err() {
            return ExitCode(1);
        }
    }
    ExitCode(0)
}
