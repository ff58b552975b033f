//! `getent hosts|ahosts|ahostsv4|ahostsv6 [NAME]...`: what the resolver of a program gets, as glibc 2.36 prints it.

use std::net::IpAddr;

use super::arguments;
use super::options::{Failure, finish};
use super::resolver::{Want, hosts, resolve, reverse};
use crate::engine::sys::{ExitCode, Sys};

const HINT: &str = "Try `getent --help' or `getent --usage' for more information.\n";

/// Asks for every name; status 2 if one of them is not known.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let result = run(&sys).await;
    finish(&sys, result).await
}

async fn run(sys: &Sys) -> Result<ExitCode, Failure> {
    let (program, words) = arguments(sys);
    let wrong = |what: String| Failure { text: format!("{what}\n{HINT}"), status: ExitCode::FAILURE };
    let Some((database, names)) = words.split_first() else {
        return Err(wrong(format!("{program}: wrong number of arguments")));
    };
    let want = match database.as_str() {
        "hosts" | "ahosts" => Want::Any,
        "ahostsv4" => Want::Ipv4,
        "ahostsv6" => Want::Ipv6,
        "passwd" | "group" | "services" | "networks" | "protocols" | "shadow" | "aliases" | "ethers" => {
            return Err(Failure::new(
                program,
                format!("the database '{database}' is not supported, hosts is"),
            ));
        }
        other => return Err(wrong(format!("Unknown database: {other}"))),
    };
    if names.is_empty() {
        for (address, names) in hosts(sys) {
            let line = match database.as_str() {
                "hosts" => line(address, &names),
                _ => sockets(&[address], names.first().map_or("", String::as_str)),
            };
            sys.print(line).await;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut status = ExitCode::SUCCESS;
    for name in names {
        let text = match (database.as_str(), name.parse::<IpAddr>()) {
            ("hosts", Ok(address)) => match alias(sys, address) {
                Some(names) => Some(line(address, &names)),
                None => reverse(sys, address).await.map(|name| line(address, &[name])),
            },
            ("hosts", Err(_)) => {
                // As gethostbyname2(3) asks: IPv6 first, IPv4 if there is none.
                let mut found = resolve(sys, name, Want::Ipv6).await.unwrap_or_default();
                if found.is_empty() {
                    found = resolve(sys, name, Want::Ipv4).await.unwrap_or_default();
                }
                let shown = |address: &IpAddr| {
                    let names = alias(sys, *address).filter(|names| names.contains(name));
                    line(*address, &names.unwrap_or_else(|| vec![name.clone()]))
                };
                (!found.is_empty()).then(|| found.iter().map(shown).collect())
            }
            _ => {
                let found = resolve(sys, name, want).await.unwrap_or_default();
                (!found.is_empty()).then(|| sockets(&found, name))
            }
        };
        match text {
            Some(text) => sys.print(text).await,
            None => status = ExitCode(2),
        }
    }
    Ok(status)
}

/// The names of an address in `/etc/hosts`.
fn alias(sys: &Sys, address: IpAddr) -> Option<Vec<String>> {
    hosts(sys).into_iter().find(|(known, _)| *known == address).map(|(_, names)| names)
}

fn line(address: IpAddr, names: &[String]) -> String {
    format!("{:<15} {}\n", address.to_string(), names.join(" "))
}

/// A line for each kind of socket; the first of all has the name.
fn sockets(addresses: &[IpAddr], name: &str) -> String {
    let mut text = String::new();
    for (index, address) in addresses.iter().enumerate() {
        let address = address.to_string();
        let name = if index == 0 { name } else { "" };
        text += &format!("{address:<15} STREAM {name}\n{address:<15} DGRAM  \n{address:<15} RAW    \n");
    }
    text
}
