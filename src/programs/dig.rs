//! `dig [@SERVER] [-x ADDRESS] [-t TYPE] NAME [TYPE] [+short] [+tcp] [+bufsize=SIZE]...`: one query and the answer in full.
//!
//! Unlike BIND's it asks without EDNS unless `+edns` or `+bufsize` says so, and never sends a cookie; so it was when what it
//! prints was recorded. Of the `+` options those that choose what is shown, `tcp`, `norecurse`, `ignore`, `edns`, `bufsize`,
//! `time`, `tries` and `retry` are known; others are accepted and change nothing. An answer that was cut is asked for again by
//! TCP unless `+ignore` is there. Words and columns are those of BIND 9.18.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::arguments;
use super::dns::{self, Edns, Reply};
use super::nslookup::record_type;
use super::options::{Failure, finish};
use super::resolver::{self, DNS_PORT, Manner, StubConfig, Want, resolve};
use crate::engine::sys::{Errno, ExitCode, Sys};
use domain::base::iana::Rtype;

/// How long one question waits for its answer (`+time`).
const PATIENCE: Duration = Duration::from_secs(5);
/// How often one server is asked (`+tries`).
const TRIES: u64 = 3;
/// The largest number of an option.
const MOST: u64 = 65_535;
/// The size that EDNS offers when nothing says another.
const BUFFER_SIZE: u16 = 1232;
const USAGE: &str = "\
Usage:  dig [@server] [-x address] [-t type] name [type] {+option}
        +[no]all, +[no]comments, +[no]question, +[no]answer, +[no]stats
                            (what is shown)
        +[no]short          (the answers' data alone)
        +[no]tcp            (TCP from the start)
        +[no]recurse        (ask the server to ask others)
        +[no]ignore         (take an answer that was cut)
        +[no]edns[=version] (send an OPT record; no is the default)
        +bufsize[=size]     (the UDP payload size in it) [1232]
        +time=seconds, +tries=times, +retry=times
";

/// Asks one query.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let config = StubConfig::of(sys);
    let mut request = Request { name: String::new(), kind: Rtype::A, shown: Shown::EVERYTHING };
    let mut manner = Manner::STUB;
    let (mut patience, mut tries) = (PATIENCE, TRIES);
    let (mut version, mut size) = (None, None);
    let mut servers: Vec<IpAddr> = config.servers.clone();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(server) = word.strip_prefix('@') {
            let fail = || Failure {
                text: format!("dig: couldn't get address for '{server}': not found\n"),
                status: ExitCode(10),
            };
            servers = resolve(sys, server, Want::Any).await.map_err(|_| fail())?;
        } else if let Some(option) = word.strip_prefix('+') {
            match option {
                "tcp" | "vc" => manner.tcp = true,
                "notcp" | "novc" => manner.tcp = false,
                "rec" | "recurse" => manner.recursive = true,
                "norec" | "norecurse" => manner.recursive = false,
                "ignore" => manner.ignore_truncation = true,
                "noignore" => manner.ignore_truncation = false,
                "edns" => version = Some(0),
                "noedns" => version = None,
                "bufsize" => size = Some(BUFFER_SIZE),
                option => match option.split_once('=') {
                    Some(("time" | "timeout", seconds)) => {
                        patience = Duration::from_secs(number(seconds)?.max(1))
                    }
                    Some(("edns", text)) => version = Some(option_value(text, "edns")?),
                    Some(("bufsize", text)) => size = Some(option_value(text, "buffer size")?),
                    Some(("tries", times)) => tries = number(times)?.max(1),
                    Some(("retry", times)) => tries = number(times)?.saturating_add(1),
                    _ => request.shown.option(option),
                },
            }
        } else if word == "-x" {
            let address: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
            let address = address.ok_or_else(|| Failure::new(program, "Invalid IP address"))?;
            (request.name, request.kind) = (dns::reverse_name(address), Rtype::PTR);
        } else if word == "-h" {
            sys.print(USAGE).await;
            return Ok(ExitCode::SUCCESS);
        } else if word == "--help" {
            return Err(Failure {
                text: format!("Invalid option: {word}\n{USAGE}"),
                status: ExitCode::FAILURE,
            });
        } else if word == "-t" {
            request.kind = words.next().and_then(|word| record_type(word)).unwrap_or(Rtype::A);
        } else if let Some(kind) = record_type(word) {
            request.kind = kind;
        } else if request.name.is_empty() {
            request.name = word.clone();
        } else {
            return Err(Failure::new(program, format!("unknown type '{word}'")));
        }
    }
    if request.name.is_empty() {
        return Err(Failure::usage("", "dig [@SERVER] [-x ADDRESS] NAME [TYPE] [+short]"));
    }
    // A size means EDNS, whatever else is said about it.
    manner.edns = match (version, size) {
        (None, None) => None,
        (version, size) => Some(Edns { version: version.unwrap_or(0), size: size.unwrap_or(BUFFER_SIZE) }),
    };
    // What may be long is asked by TCP.
    manner.tcp |= request.kind == Rtype::ANY;
    for server in servers.iter().flat_map(|server| (0..tries).map(move |_| server)) {
        let server = SocketAddr::new(*server, DNS_PORT);
        let before = sys.now();
        let mut answer = resolver::ask_once(sys, server, &request.name, request.kind, patience, manner).await;
        if let Ok(Some(reply)) = &answer
            && reply.truncated
            && !manner.tcp
            && !manner.ignore_truncation
        {
            if request.shown.comments && !request.shown.short {
                sys.print(";; Truncated, retrying in TCP mode.\n").await;
            }
            manner.tcp = true;
            answer = resolver::ask_once(sys, server, &request.name, request.kind, patience, manner).await;
        }
        let why = match answer {
            Ok(Some(reply)) => {
                let time = (sys.now() - before).as_millis();
                sys.print(request.show(&reply, server, time, manner, &date(sys.now()))).await;
                return Ok(ExitCode::SUCCESS);
            }
            Ok(None) | Err(Errno::TimedOut) => "timed out",
            Err(Errno::ConnectionRefused) => "connection refused",
            Err(Errno::HostUnreachable) => "host unreachable",
            Err(Errno::NetworkUnreachable) => "network unreachable",
            Err(_) => "unexpected error",
        };
        let (ip, port) = (server.ip(), server.port());
        let line = match manner.tcp {
            true => format!(";; Connection to {ip}#{port}({ip}) for {} failed: {why}.\n", request.name),
            false => format!(";; communications error to {ip}#{port}: {why}\n"),
        };
        sys.print(line).await;
    }
    sys.print(";; no servers could be reached\n").await;
    Ok(ExitCode(9))
}

/// The number of an option, at most what dig takes.
fn number(text: &str) -> Result<u64, Failure> {
    let number = text.parse().ok().filter(|number| *number <= MOST);
    number.ok_or_else(|| Failure {
        text: format!("dig: '{text}' is not a valid number\n"),
        status: ExitCode::FAILURE,
    })
}

/// The number of an option whose complaint names it.
fn option_value<T: std::str::FromStr>(text: &str, name: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| {
        let why = match text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            true => "out of range",
            false => "not a valid number",
        };
        let text = format!("invalid {name} '{text}': {why}\ndig: Couldn't parse {name}\n");
        Failure { text, status: ExitCode(10) }
    })
}

struct Request {
    name: String,
    kind: Rtype,
    shown: Shown,
}

#[derive(Clone, Copy)]
struct Shown {
    short: bool,
    comments: bool,
    question: bool,
    answer: bool,
    statistics: bool,
}

impl Shown {
    const EVERYTHING: Shown =
        Shown { short: false, comments: true, question: true, answer: true, statistics: true };

    fn option(&mut self, option: &str) {
        let (name, on) = option.strip_prefix("no").map_or((option, true), |name| (name, false));
        match name {
            "short" => self.short = on,
            "comments" => self.comments = on,
            "question" => self.question = on,
            "answer" => self.answer = on,
            "stats" => self.statistics = on,
            "all" => {
                *self = Shown { short: self.short, comments: on, question: on, answer: on, statistics: on };
            }
            _ => {}
        }
    }
}

impl Request {
    fn show(
        &self,
        reply: &Reply,
        server: SocketAddr,
        milliseconds: u128,
        manner: Manner,
        when: &str,
    ) -> String {
        if self.shown.short {
            return reply.answers.iter().map(|record| format!("{}\n", record.data)).collect();
        }
        let mut text = String::new();
        if self.shown.comments {
            let [questions, answers, authorities, additional] = reply.counts;
            text += &format!(
                ";; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: {}, id: {}\n;; flags: {}; QUERY: \
                 {questions}, ANSWER: {answers}, AUTHORITY: {authorities}, ADDITIONAL: {additional}\n{}\n",
                dns::rcode_name(reply.rcode),
                reply.id,
                reply.flags.join(" "),
                match reply.flags.contains(&"rd") && !reply.flags.contains(&"ra") {
                    true => ";; WARNING: recursion requested but not available\n",
                    false => "",
                },
            );
            if let Some(Edns { version, size }) = reply.edns {
                text += &format!(";; OPT PSEUDOSECTION:\n; EDNS: version: {version}, flags:; udp: {size}\n");
            }
        }
        if self.shown.question {
            let name = format!("{}.", self.name.trim_end_matches('.'));
            let head = if self.shown.comments { ";; QUESTION SECTION:\n" } else { "" };
            text += &format!("{head};{}\n", row(&[(0, &name), (32, "IN"), (40, &self.kind.to_string())]));
            text += if self.shown.comments { "\n" } else { "" };
        }
        if self.shown.answer && !reply.answers.is_empty() {
            text += if self.shown.comments { ";; ANSWER SECTION:\n" } else { "" };
            for record in &reply.answers {
                let (owner, ttl) = (format!("{}.", record.owner), record.ttl.to_string());
                let (kind, data) = (record.rtype.to_string(), record.data.to_string());
                let cells = [(0, owner.as_str()), (24, &ttl), (32, "IN"), (40, &kind), (48, &data)];
                text += &format!("{}\n", row(&cells));
            }
            text += if self.shown.comments { "\n" } else { "" };
        }
        if self.shown.statistics {
            let transport = if manner.tcp { "TCP" } else { "UDP" };
            text += &format!(
                ";; Query time: {milliseconds} msec\n;; SERVER: {}#{}({}) ({transport})\n;; WHEN: {when}\n;; MSG SIZE  rcvd: {}\n\n",
                server.ip(),
                server.port(),
                server.ip(),
                reply.size,
            );
        }
        text
    }
}

/// A moment as `date` prints it.
fn date(now: Duration) -> String {
    let date = super::http::date(now);
    match date.split([',', ' ']).filter(|word| !word.is_empty()).collect::<Vec<&str>>()[..] {
        [weekday, day, month, year, time, _] => format!("{weekday} {month} {day} {time} UTC {year}"),
        _ => date,
    }
}

/// Cells with the columns they begin at, or a column later than the one before ends: tabs as far as they go, then blanks
/// (`indent` of BIND's lib/dns/masterdump.c).
fn row(cells: &[(usize, &str)]) -> String {
    let (mut text, mut at) = (String::new(), 0);
    for (column, cell) in cells {
        let to = if at == 0 { *column } else { (at + 1).max(*column) };
        let tabs = to / 8 - at / 8;
        let blanks = if tabs == 0 { to - at } else { to % 8 };
        text += &"\t".repeat(tabs);
        text += &" ".repeat(blanks);
        text += cell;
        at = to + cell.len();
    }
    text
}
