//! `ip`: BusyBox's in containers, iproute2's under `/usr/sbin/ip` on hosts. They differ in what a line says, not in
//! what it means: [`Style`] is the difference.
//!
//! Changes are in `ip_change`; a process without CAP_NET_ADMIN, such as one in a container, is refused.

use super::options::{Failure, finish};
use super::{arguments, ip_address, ip_change, ip_neighbour, ip_route};
use crate::engine::sys::{ExitCode, Family, Sys};

/// Whose output to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// BusyBox 1.35.
    BusyBox,
    /// iproute2 6.1.
    Iproute2,
}

/// What the options in front of the object say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Show {
    /// Whose output to print.
    pub(crate) style: Style,
    /// `-4` or `-6`.
    pub(crate) family: Option<Family>,
    /// `-o`: one line per entry.
    pub(crate) one_line: bool,
    /// `-s`: with counters.
    pub(crate) statistics: bool,
    /// `-br`: iproute2's short table.
    pub(crate) brief: bool,
    /// `-d`: iproute2's lines about the kind of device.
    pub(crate) details: bool,
}

const USAGE: &str =
    "ip [OPTIONS] address|route|link|neigh [ARGS]\n\nOPTIONS := -f[amily] inet|inet6|link | -o[neline]";

/// BusyBox's `ip`.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys, Style::BusyBox).await;
    finish(&sys, result).await
}

/// iproute2's `ip`.
pub(crate) async fn iproute2(sys: Sys) -> ExitCode {
    let result = run(&sys, Style::Iproute2).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys, style: Style) -> Result<ExitCode, Failure> {
    let (_, words) = arguments(sys);
    let mut show =
        Show { style, family: None, one_line: false, statistics: false, brief: false, details: false };
    let mut words = words.iter().map(String::as_str).collect::<std::collections::VecDeque<_>>();
    while let Some(option) = words.front().and_then(|word| word.strip_prefix('-')) {
        match option.trim_start_matches('-') {
            "4" => show.family = Some(Family::Ipv4),
            "6" => show.family = Some(Family::Ipv6),
            "0" => {}
            "o" | "oneline" => show.one_line = true,
            "s" | "stats" | "statistics" if style == Style::Iproute2 => show.statistics = true,
            "br" | "brief" if style == Style::Iproute2 => show.brief = true,
            "d" | "details" if style == Style::Iproute2 => show.details = true,
            "c" | "color" | "n" | "N" if style == Style::Iproute2 => {}
            "f" | "family" => {
                words.pop_front();
                show.family = match words.front() {
                    Some(&"inet") => Some(Family::Ipv4),
                    Some(&"inet6") => Some(Family::Ipv6),
                    Some(&"link") => None,
                    other => return Err(invalid(other.copied().unwrap_or_default())),
                };
            }
            _ => return Err(unrecognized(style, option)),
        }
        words.pop_front();
    }
    let Some(object) = words.pop_front() else { return Err(Failure::usage("", USAGE)) };
    let words: Vec<&str> = words.into();
    if let (Some(object), Some((verb, rest))) = (object_of(object), words.split_first()) {
        let change = match object {
            Object::Address => ip_change::address,
            Object::Link => ip_change::link,
            Object::Route => ip_change::route,
            Object::Neighbour => ip_change::neighbour,
        };
        if let Some(changed) = change(sys, show, verb, rest) {
            return changed.map(|()| ExitCode::SUCCESS);
        }
    }
    let text = match object_of(object) {
        Some(Object::Address) => ip_address::addresses(sys, show, &words)?,
        Some(Object::Link) => ip_address::links(sys, show, &words)?,
        Some(Object::Route) => ip_route::routes(sys, show, &words)?,
        Some(Object::Neighbour) => ip_neighbour::neighbours(sys, show, &words)?,
        None if style == Style::Iproute2 => {
            let text = format!("Object \"{object}\" is unknown, try \"ip help\".\n");
            return Err(Failure { text, status: ExitCode::FAILURE });
        }
        None => return Err(invalid(object)),
    };
    sys.print(text).await;
    Ok(ExitCode::SUCCESS)
}

enum Object {
    Address,
    Link,
    Route,
    Neighbour,
}

/// Objects may be shortened, as in `ip a` and `ip r`.
fn object_of(word: &str) -> Option<Object> {
    let starts = |full: &str| !word.is_empty() && full.starts_with(word);
    if starts("address") {
        Some(Object::Address)
    } else if starts("link") {
        Some(Object::Link)
    } else if starts("route") {
        Some(Object::Route)
    } else if starts("neighbour") || starts("neighbor") {
        Some(Object::Neighbour)
    } else {
        None
    }
}

/// The words behind `show`, `list` or a short form of them, if they begin with one.
pub(crate) fn behind_show<'a>(words: &'a [&'a str]) -> &'a [&'a str] {
    match words.split_first() {
        Some((first, rest)) if ["show", "list", "lst"].iter().any(|full| full.starts_with(first)) => rest,
        _ => words,
    }
}

/// BusyBox's complaint about a word it does not know.
pub(crate) fn invalid(word: &str) -> Failure {
    Failure::new("ip", format!("invalid argument '{word}' to 'ip'"))
}

/// How a device that is not there is reported.
pub(crate) fn no_device(style: Style, name: &str) -> Failure {
    match style {
        Style::BusyBox => Failure::new("ip", format!("can't find device '{name}'")),
        Style::Iproute2 => {
            Failure { text: format!("Device \"{name}\" does not exist.\n"), status: ExitCode::FAILURE }
        }
    }
}

fn unrecognized(style: Style, option: &str) -> Failure {
    match style {
        Style::BusyBox => Failure::usage("", USAGE),
        Style::Iproute2 => Failure {
            text: format!("Option \"-{option}\" is unknown, try \"ip -help\".\n"),
            status: ExitCode(255),
        },
    }
}
