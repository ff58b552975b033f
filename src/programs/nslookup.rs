//! `nslookup [-type=TYPE] [-port=N] HOST [SERVER]`: asks name servers directly, `/etc/hosts` plays no part.
//!
//! As BusyBox 1.35: without a type it asks for A and AAAA (PTR for an address); a name without dots gets the search
//! domains and is then not asked for as it is. Each server has five seconds and two tries.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use domain::base::iana::{Rcode, Rtype};

use super::arguments;
use super::dns::{self, Data, Record, Reply};
use super::options::{Failure, finish};
use super::resolver::{self, DNS_PORT, StubConfig, Want, resolve};
use super::tasks::{Task, Tasks};
use crate::engine::sys::{Errno, ExitCode, Sys};

const USAGE: &str = "nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]\n\n\
    Query DNS about HOST\n\n\
    QUERY_TYPE: soa,ns,a,aaaa,cname,mx,txt,srv,ptr,any";

/// Time for one server, shared by [`TRIES`].
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a query is sent to one server.
const TRIES: u32 = 2;

/// Asks a name server.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let Request { host, server, types, port } = Request::parse(program, words)?;
    let config = StubConfig::of(sys);
    let servers: Vec<(String, SocketAddr)> = match server {
        Some(name) => {
            let bad = || Failure::new(program, format!("bad address '{name}'"));
            let address =
                *resolve(sys, &name, Want::Any).await.map_err(|_| bad())?.first().ok_or_else(bad)?;
            vec![(name.clone(), SocketAddr::new(address, port))]
        }
        None => config.servers.iter().map(|s| (s.to_string(), SocketAddr::new(*s, port))).collect(),
    };
    let queries = queries(&host, &types, &config);
    for (name, server) in servers {
        let replies = match ask_all(sys, server, &queries).await {
            Ok(replies) => replies,
            Err(errno) => {
                sys.print_error(format!("{program}: write to '{name}': {errno}\n")).await;
                continue;
            }
        };
        if replies.iter().all(Option::is_none) {
            continue;
        }
        sys.print(format!("Server:\t\t{name}\nAddress:\t{server}\n\n")).await;
        let mut status = ExitCode::SUCCESS;
        for ((asked, _), reply) in queries.iter().zip(replies) {
            let Some(reply) = reply else { continue };
            if reply.rcode != Rcode::NOERROR {
                status = ExitCode::FAILURE;
            }
            sys.print(show(asked, &reply)).await;
        }
        return Ok(status);
    }
    sys.print(";; connection timed out; no servers could be reached\n\n").await;
    Ok(ExitCode::FAILURE)
}

struct Request {
    host: String,
    server: Option<String>,
    types: Vec<Rtype>,
    port: u16,
}

impl Request {
    fn parse(program: &str, words: &[String]) -> Result<Request, Failure> {
        let mut types = Vec::new();
        let mut port = DNS_PORT;
        let mut operands = Vec::new();
        for word in words {
            let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) else {
                operands.push(word.clone());
                continue;
            };
            match option.split_once('=') {
                Some(("type" | "t" | "ty" | "typ" | "querytype" | "query" | "q", kind)) => {
                    let kind = record_type(kind);
                    types.push(
                        kind.ok_or_else(|| Failure::new(program, format!("invalid query type \"{word}\"")))?,
                    );
                }
                Some(("port", number)) => {
                    port = number.parse().map_err(|_| super::options::invalid_number(program, number))?;
                }
                Some(("timeout" | "retry", _)) => {}
                None if option == "debug" => {}
                _ => {
                    return Err(Failure::usage(
                        &format!("{program}: unrecognized option: {option}\n"),
                        USAGE,
                    ));
                }
            }
        }
        let mut operands = operands.into_iter();
        match (operands.next(), operands.next(), operands.next()) {
            (Some(host), server, None) => Ok(Request { host, server, types, port }),
            _ => Err(Failure::usage("", USAGE)),
        }
    }
}

/// The record type of a name people type, in any case.
pub(crate) fn record_type(name: &str) -> Option<Rtype> {
    Some(match name.to_ascii_lowercase().as_str() {
        "a" => Rtype::A,
        "aaaa" => Rtype::AAAA,
        "any" => Rtype::ANY,
        "cname" => Rtype::CNAME,
        "mx" => Rtype::MX,
        "ns" => Rtype::NS,
        "ptr" => Rtype::PTR,
        "soa" => Rtype::SOA,
        "srv" => Rtype::SRV,
        "txt" => Rtype::TXT,
        _ => return None,
    })
}

fn queries(host: &str, types: &[Rtype], config: &StubConfig) -> Vec<(String, Rtype)> {
    let address = host.parse::<IpAddr>().ok();
    let types = match (types, address) {
        ([], Some(_)) => &[Rtype::PTR][..],
        ([], None) => &[Rtype::A, Rtype::AAAA][..],
        (types, _) => types,
    };
    let mut queries = Vec::new();
    for kind in types {
        match address {
            Some(address) if *kind == Rtype::PTR => queries.push((dns::reverse_name(address), *kind)),
            _ if host.contains('.') || config.search.is_empty() => queries.push((host.to_owned(), *kind)),
            _ => queries.extend(config.search.iter().map(|domain| (format!("{host}.{domain}"), *kind))),
        }
    }
    queries
}

/// Sends every query to one server at once.
async fn ask_all(
    sys: &Sys,
    server: SocketAddr,
    queries: &[(String, Rtype)],
) -> Result<Vec<Option<Reply>>, Errno> {
    let results = std::rc::Rc::new(std::cell::RefCell::new(vec![Ok(None); queries.len()]));
    let mut tasks = Tasks::new();
    for (index, (name, kind)) in queries.iter().cloned().enumerate() {
        let (sys, results) = (sys.clone(), results.clone());
        let task: Task = Box::pin(async move {
            let mut result = Ok(None);
            for _ in 0..TRIES {
                result =
                    resolver::ask(&sys, server, &name, kind, PATIENCE / TRIES, resolver::Manner::STUB).await;
                if !matches!(result, Ok(None)) {
                    break;
                }
            }
            results.borrow_mut()[index] = result;
        });
        tasks.push(task);
    }
    tasks.finish().await;
    let results = results.take();
    results.into_iter().collect()
}

fn show(asked: &str, reply: &Reply) -> String {
    let asked = asked.trim_end_matches('.');
    if reply.rcode != Rcode::NOERROR {
        return format!("** server can't find {asked}: {}\n\n", dns::rcode_name(reply.rcode));
    }
    let head = if reply.authoritative { "" } else { "Non-authoritative answer:\n" };
    let answers: String = reply.answers.iter().map(show_record).collect();
    format!("{head}{answers}\n")
}

fn show_record(record: &Record) -> String {
    let owner = &record.owner;
    match &record.data {
        Data::Address(address) => format!("Name:\t{owner}\nAddress: {address}\n"),
        Data::Alias(name) => format!("{owner}\tcanonical name = {name}\n"),
        Data::Pointer(name) => format!("{owner}\tname = {name}\n"),
        Data::NameServer(name) => format!("{owner}\tnameserver = {name}\n"),
        Data::Mail(preference, host) => format!("{owner}\tmail exchanger = {preference} {host}\n"),
        Data::Text(strings) => strings.iter().map(|text| format!("{owner}\ttext = \"{text}\"\n")).collect(),
        Data::Service(priority, weight, port, target) => {
            format!("{owner}\tservice = {priority} {weight} {port} {target}\n")
        }
        Data::Start(server, mailbox, [serial, refresh, retry, expire, minimum]) => format!(
            "{owner}\n\torigin = {server}\n\tmail addr = {mailbox}\n\tserial = {serial}\n\trefresh = {refresh}\n\
             \tretry = {retry}\n\texpire = {expire}\n\tminimum = {minimum}\n"
        ),
        Data::Other(text) => format!("{owner}\t{text}\n"),
    }
}
