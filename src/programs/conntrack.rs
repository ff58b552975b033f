//! `conntrack`: the tracked connections of a host, listed, counted and forgotten (conntrack-tools 1.4.7).
//!
//! Events (`-E`) and making entries by hand (`-I`, `-U`) are not reproduced.

use std::net::IpAddr;

use ipnet::IpNet;

use super::arguments;
use super::options::{Failure, Mistake, Options, Syntax, finish};
use crate::engine::sys::{ExitCode, FlowFilter, Sys};

/// Long options without a letter: the ports of the first packet and of the answers, the state.
const PORTS: [char; 4] = ['\u{1}', '\u{2}', '\u{3}', '\u{4}'];
const STATE: char = '\u{5}';

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "LDFCs:d:r:q:p:f:ngj\u{1}:\u{2}:\u{3}:\u{4}:\u{5}:",
    long: &[
        ("dump", 'L'),
        ("delete", 'D'),
        ("flush", 'F'),
        ("count", 'C'),
        ("src", 's'),
        ("orig-src", 's'),
        ("dst", 'd'),
        ("orig-dst", 'd'),
        ("reply-src", 'r'),
        ("reply-dst", 'q'),
        ("protonum", 'p'),
        ("proto", 'p'),
        ("family", 'f'),
        ("src-nat", 'n'),
        ("dst-nat", 'g'),
        ("any-nat", 'j'),
        ("sport", PORTS[0]),
        ("orig-port-src", PORTS[0]),
        ("dport", PORTS[1]),
        ("orig-port-dst", PORTS[1]),
        ("reply-port-src", PORTS[2]),
        ("reply-port-dst", PORTS[3]),
        ("state", STATE),
    ],
    stop_at_operand: false,
    usage: "conntrack [commands] [options]",
};

/// The protocols that the program knows, with whether they have ports.
const PROTOCOLS: [(&str, u8, bool); 9] = [
    ("tcp", 6, true),
    ("udp", 17, true),
    ("udplite", 136, true),
    ("sctp", 132, true),
    ("dccp", 33, true),
    ("icmp", 1, false),
    ("icmpv6", 58, false),
    ("ipv6-icmp", 58, false),
    ("gre", 47, false),
];

/// Lists, counts or forgets connections.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let options = Options::read(words, &SYNTAX).map_err(|mistake| {
        let dashed = |option: String| match option.chars().count() {
            1 => format!("-{option}"),
            _ => format!("--{option}"),
        };
        wrong(
            program,
            match mistake {
                Mistake::Unknown(option) => format!("unknown option `{}'", dashed(option)),
                Mistake::NoValue(option) => format!("option `{}' requires an argument", dashed(option)),
            },
        )
    })?;
    let commands: Vec<char> =
        ['L', 'D', 'F', 'C'].into_iter().filter(|letter| options.has(*letter)).collect();
    let &[command] = commands.as_slice() else {
        if commands.is_empty() {
            let version = "Command line interface for the connection tracking system. Version 1.4.7";
            sys.print(format!("{version}\nUsage: {}\n", SYNTAX.usage)).await;
            return Ok(ExitCode::SUCCESS);
        }
        return Err(wrong(program, "Invalid commands combination"));
    };
    if options.operands.iter().any(|table| table != "conntrack") {
        return Err(wrong(program, "only the table `conntrack' is reproduced"));
    }
    let filter = filter(program, &options)?;
    let count = match command {
        'C' | 'F' if filter != FlowFilter::default() => {
            let option = if filter.protocol.is_some() { "option `--protonum'" } else { "option" };
            return Err(wrong(program, format!("Illegal {option} with this command")));
        }
        'C' => {
            sys.print(format!("{}\n", sys.connections(&filter).len())).await;
            return Ok(ExitCode::SUCCESS);
        }
        'L' => show(sys, &sys.connections(&filter)).await,
        _ => {
            let forgotten = sys.forget_connections(&filter).map_err(|_| Failure {
                text: told(
                    program,
                    "Operation failed: sorry, you must be root or get CAP_NET_ADMIN capability to do this",
                ),
                status: ExitCode::FAILURE,
            })?;
            if command == 'F' {
                sys.print_error(told(program, "connection tracking table has been emptied.")).await;
                return Ok(ExitCode::SUCCESS);
            }
            show(sys, &forgotten).await
        }
    };
    let done = if command == 'L' { "shown" } else { "deleted" };
    sys.print_error(told(program, format!("{count} flow entries have been {done}."))).await;
    // Nothing to list is no failure, nothing to delete is.
    Ok(if count == 0 && command == 'D' { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn filter(program: &str, options: &Options) -> Result<FlowFilter, Failure> {
    let known = match options.value('p') {
        None => None,
        Some(text) => {
            let named =
                PROTOCOLS.iter().find(|(name, number, _)| *name == text || number.to_string() == text);
            let other = || text.parse::<u8>().ok().map(|number| (number, false));
            let known = named.map(|(_, number, ports)| (*number, *ports)).or_else(other);
            Some(known.ok_or_else(|| wrong(program, format!("`{text}' unsupported protocol")))?)
        }
    };
    let mut filter = FlowFilter {
        protocol: known.map(|(number, _)| number),
        source_translated: options.has('n'),
        destination_translated: options.has('g'),
        translated: options.has('j'),
        state: options.value(STATE).map(str::to_owned),
        ipv6: match options.value('f') {
            None => None,
            Some("ipv4") => Some(false),
            Some("ipv6") => Some(true),
            Some(other) => return Err(wrong(program, format!("`{other}' unsupported protocol"))),
        },
        ..FlowFilter::default()
    };
    for (slot, letter) in filter.ends.iter_mut().zip(['s', 'd', 'r', 'q']) {
        let Some(text) = options.value(letter) else { continue };
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        *slot = Some(net.map_err(|_| wrong(program, format!("Invalid IP address `{text}'")))?);
    }
    for (slot, letter) in filter.ports.iter_mut().zip(PORTS) {
        let Some(text) = options.value(letter) else { continue };
        if !known.is_some_and(|(_, ports)| ports) {
            let name = SYNTAX.long.iter().find(|(_, known)| *known == letter).map_or("", |(name, _)| name);
            return Err(wrong(program, format!("unknown option `--{name}'")));
        }
        // As atoi(3) has it.
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        *slot = Some(digits.parse().unwrap_or(0));
    }
    Ok(filter)
}

async fn show(sys: &Sys, lines: &[String]) -> usize {
    for line in lines {
        sys.print(format!("{}\n", line.trim_end_matches('\n'))).await;
    }
    lines.len()
}

fn told(program: &str, text: impl AsRef<str>) -> String {
    format!("{program} v1.4.7 (conntrack-tools): {}\n", text.as_ref())
}

/// A command line that makes no sense.
fn wrong(program: &str, text: impl AsRef<str>) -> Failure {
    let hint = format!("Try `{program} -h' or '{program} --help' for more information.");
    Failure { text: told(program, text) + &told(program, hint), status: ExitCode(2) }
}
