//! `dig [@SERVER] [-x ADDRESS] [-t TYPE] NAME [TYPE] [+short] [+tcp]...`: one query and the answer in full.
//!
//! Without EDNS. Of the `+` options those that choose what is shown, `tcp`, `norecurse` and `ignore` are known; others are
//! accepted and change nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::arguments;
use super::dns::{self, Reply};
use super::nslookup::record_type;
use super::options::{Failure, finish};
use super::resolver::{self, DNS_PORT, Manner, StubConfig, Want, resolve};
use crate::engine::sys::{ExitCode, Sys};
use domain::base::iana::Rtype;

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
                option => request.shown.option(option),
            }
        } else if word == "-x" {
            let address: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
            let address = address.ok_or_else(|| Failure::new(program, "Invalid IP address"))?;
            (request.name, request.kind) = (dns::reverse_name(address), Rtype::PTR);
        } else if word == "-t" {
            request.kind = words.next().and_then(|word| record_type(word)).unwrap_or(Rtype::A);
        } else if request.name.is_empty() {
            request.name = word.clone();
        } else {
            let invalid = || Failure::new(program, format!("unknown type '{word}'"));
            request.kind = record_type(word).ok_or_else(invalid)?;
        }
    }
    if request.name.is_empty() {
        return Err(Failure::usage("", "dig [@SERVER] [-x ADDRESS] NAME [TYPE] [+short]"));
    }
    // What may be long is asked by TCP.
    manner.tcp |= request.kind == Rtype::ANY;
    for server in servers.iter().flat_map(|server| [server; 3]) {
        let server = SocketAddr::new(*server, DNS_PORT);
        let before = sys.now();
        if let Ok(Some(reply)) =
            resolver::ask(sys, server, &request.name, request.kind, config.timeout, manner).await
        {
            let time = (sys.now() - before).as_millis();
            sys.print(request.show(&reply, server, time, manner, &date(sys.now()))).await;
            return Ok(ExitCode::SUCCESS);
        }
    }
    sys.print(";; connection timed out; no servers could be reached\n").await;
    Ok(ExitCode(9))
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
        }
        if self.shown.question {
            let name = format!("{}.", self.name.trim_end_matches('.'));
            let head = if self.shown.comments { ";; QUESTION SECTION:\n" } else { "" };
            text += &format!("{head};{}IN\t{}\n", to_column(&name, 32), self.kind);
            text += if self.shown.comments { "\n" } else { "" };
        }
        if self.shown.answer && !reply.answers.is_empty() {
            text += if self.shown.comments { ";; ANSWER SECTION:\n" } else { "" };
            for record in &reply.answers {
                let owner = to_column(&format!("{}.", record.owner), 24);
                text += &format!("{owner}{}\tIN\t{}\t{}\n", record.ttl, record.rtype, record.data);
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

/// Fills up with tabs to a column, at least one blank.
fn to_column(text: &str, column: usize) -> String {
    if text.len() >= column {
        return format!("{text} ");
    }
    let tabs = (column - text.len()).div_ceil(8);
    format!("{text}{}", "\t".repeat(tabs))
}
