//! `conntrack`: the tracked connections of a host, listed, counted, forgotten and watched (conntrack-tools 1.4.7).
//!
//! `-E` tells what happens to connections that begin from then on, until it is ended; `-e` chooses from NEW, UPDATES (UPDATE)
//! and DESTROY. `-o` knows `extended` and `timestamp`. Making entries by hand (`-I`, `-U`) is not reproduced.

use std::net::IpAddr;

use ipnet::IpNet;

use super::arguments;
use super::http::EPOCH;
use super::options::{Failure, Mistake, Options, Syntax, finish};
use crate::engine::sys::{ExitCode, FlowFilter, FlowWatch, Sys};

/// Long options without a letter: the ports of the first packet and of the answers, the state.
const PORTS: [char; 4] = ['\u{1}', '\u{2}', '\u{3}', '\u{4}'];
const STATE: char = '\u{5}';

pub(super) const SYNTAX: Syntax = Syntax {
    letters: "LDFCEhe:o:s:d:r:q:p:f:ngj\u{1}:\u{2}:\u{3}:\u{4}:\u{5}:",
    long: &[
        ("dump", 'L'),
        ("delete", 'D'),
        ("flush", 'F'),
        ("count", 'C'),
        ("event", 'E'),
        ("help", 'h'),
        ("event-mask", 'e'),
        ("output", 'o'),
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
    usage: "conntrack [commands] [options]\n\nCommands:\n  \
            -L [table] [options]\t\tList connections\n  \
            -D [table] parameters\t\tDelete connections\n  \
            -F [table]\t\t\tFlush the table\n  \
            -C [table]\t\t\tShow their number\n  \
            -E [table] [options]\t\tShow events\n\nOptions:\n  \
            -e, --event-mask eventmask\tALL, or of NEW, UPDATES and DESTROY\n  \
            -o, --output type[,...]\textended, timestamp\n  \
            -s, -d, -r, -q, -p, -f, -n, -g, -j, --sport, --dport, --reply-port-src, --reply-port-dst, --state",
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
        ['L', 'D', 'F', 'C', 'E'].into_iter().filter(|letter| options.has(*letter)).collect();
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
    if command != 'E' && options.has('e') {
        return Err(wrong(program, "Illegal option `--event-mask' with this command"));
    }
    let output = Output::parse(program, &options)?;
    if command == 'E' {
        let kinds = event_mask(program, &options)?;
        return watch(sys, program, FlowWatch { filter, kinds, extended: output.extended }, output).await;
    }
    let count = match command {
        'C' | 'F' if filter != FlowFilter::default() => {
            let option = if filter.protocol.is_some() { "option `--protonum'" } else { "option" };
            return Err(wrong(program, format!("Illegal {option} with this command")));
        }
        'C' => {
            sys.print(format!("{}\n", sys.connections(&filter).len())).await;
            return Ok(ExitCode::SUCCESS);
        }
        'L' if output.extended => show(sys, &sys.connections_extended(&filter)).await,
        'L' => show(sys, &sys.connections(&filter)).await,
        _ => {
            let forgotten = sys.forget_connections(&filter).map_err(|_| not_permitted(program))?;
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

/// What `-o` asks for.
#[derive(Clone, Copy, Default)]
struct Output {
    extended: bool,
    timestamp: bool,
}

impl Output {
    fn parse(program: &str, options: &Options) -> Result<Output, Failure> {
        let mut output = Output::default();
        for word in options.value('o').into_iter().flat_map(|list| list.split(',')) {
            match word {
                "extended" => output.extended = true,
                "timestamp" => output.timestamp = true,
                other => return Err(wrong(program, format!("Bad parameter `{other}'"))),
            }
        }
        Ok(output)
    }
}

/// Whether connections that are new, that change and that end are told of.
fn event_mask(program: &str, options: &Options) -> Result<[bool; 3], Failure> {
    let Some(list) = options.value('e') else { return Ok([true; 3]) };
    let mut kinds = [false; 3];
    for word in list.split(',') {
        match word {
            "ALL" => kinds = [true; 3],
            "NEW" => kinds[0] = true,
            "UPDATES" | "UPDATE" => kinds[1] = true,
            "DESTROY" => kinds[2] = true,
            other => return Err(wrong(program, format!("Bad parameter `{other}'"))),
        }
    }
    Ok(kinds)
}

async fn watch(sys: &Sys, program: &str, watch: FlowWatch, output: Output) -> Result<ExitCode, Failure> {
    let mut events = sys.flow_events(watch).map_err(|_| not_permitted(program))?;
    loop {
        let heard = events.receive().await;
        if heard.lost > 0 {
            let text = "WARNING: We have hit ENOBUFS! We are losing events.\nThis message means that the current \
                        netlink socket buffer size is too small.\nPlease, check --buffer-size in conntrack(8) manpage.";
            sys.print_error(told(program, text)).await;
        }
        for event in heard.events {
            let time = match output.timestamp {
                true => format!("[{}.{:06}]\t", EPOCH + event.at.as_secs(), event.at.subsec_micros()),
                false => String::new(),
            };
            sys.print(format!("{time}{}\n", event.line)).await;
        }
    }
}

fn not_permitted(program: &str) -> Failure {
    let text = "Operation failed: sorry, you must be root or get CAP_NET_ADMIN capability to do this";
    Failure { text: told(program, text), status: ExitCode::FAILURE }
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
