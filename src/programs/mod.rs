//! What runs in a namespace: the small programs people use to look at a network, and the servers they look at.
//!
//! They behave and print like BusyBox 1.35, because that is what the recordings and most images contain; on hosts the
//! paths under `/usr/sbin` and `/sbin` are the iproute2, netfilter and conntrack tools.
//!
//! # Adding a program
//!
//! Write one file with `pub(crate) async fn main(sys: Sys) -> ExitCode` and add one line to [`find`]. A program may use
//! nothing but [`crate::engine::sys`] and the helpers next to it: `options` for its command line, `resolver` for
//! names, `tasks` to do several things at once. It gets its arguments from `arguments`, never from
//! `Sys::arguments`, so that `busybox NAME` works. It waits only by awaiting, and what it opened closes when it returns.
//!
//! # What a launcher must know
//!
//! A program never closes its standard streams: several programs of one shell share them. Whoever made a pipe closes
//! it when the process that writes it has ended; the shell does so for the pipes of a pipeline.

mod arp;
mod arping;
mod awk;
mod bridge;
mod busybox;
mod cat;
mod clients;
mod conntrack;
mod craft;
mod curl;
mod cut;
mod date;
mod devices;
mod dig;
pub(crate) mod dns;
mod docker_proxy;
mod dsniff;
mod echo;
mod env;
mod files;
mod getent;
mod grep;
mod head;
mod hostname;
mod hping3;
mod http;
mod http_client;
mod http_proxy;
mod httpd;
pub(crate) mod icmp;
mod id;
mod ifconfig;
mod ip;
mod ip_address;
mod ip_change;
mod ip_details;
mod ip_neighbour;
mod ip_route;
mod iptables;
mod listen;
mod ls;
mod nc;
mod netstat;
mod nslookup;
mod nstat;
pub(crate) mod options;
mod ping;
mod playable;
mod printf;
mod ps;
mod regex;
mod relay;
pub(crate) mod resolver;
mod route;
mod sed;
mod seq;
mod sh;
mod sleep;
mod sort;
mod ss;
mod ss_filter;
mod status;
mod sysctl;
mod tail;
pub(crate) mod tasks;
mod telnet;
mod test;
mod text;
mod timeout;
mod tr;
mod traceroute;
mod uname;
mod uniq;
mod wc;
mod wget;
mod which;
mod xargs;
mod yes;

#[cfg(test)]
mod more_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;
#[cfg(test)]
mod tools_tests;

use crate::engine::sys::{Program, Sys};
pub use playable::{can_run, missing_program};

/// GNU's `timeout`, which a machine has where an image has BusyBox's.
pub fn gnu_timeout() -> Program {
    |sys| Box::pin(timeout::gnu(sys))
}

/// The names under which people look for programs, for whoever guesses what was meant.
pub const NAMES: &[&str] = &[
    "arp",
    "arping",
    "arpspoof",
    "ash",
    "awk",
    "bash",
    "brctl",
    "bridge",
    "busybox",
    "cat",
    "conntrack",
    "curl",
    "cut",
    "date",
    "dig",
    "echo",
    "env",
    "false",
    "getent",
    "grep",
    "head",
    "hostname",
    "hping3",
    "httpd",
    "id",
    "ifconfig",
    "ip",
    "ip6tables",
    "ip6tables-restore",
    "ip6tables-save",
    "iptables",
    "iptables-restore",
    "iptables-save",
    "kill",
    "listen",
    "ls",
    "macof",
    "mkdir",
    "mongosh",
    "mysqladmin",
    "nc",
    "netstat",
    "nslookup",
    "nstat",
    "pg_isready",
    "pgrep",
    "pidof",
    "ping",
    "ping6",
    "pkill",
    "printenv",
    "printf",
    "ps",
    "rabbitmq-diagnostics",
    "redis-cli",
    "rm",
    "route",
    "sed",
    "seq",
    "sh",
    "sleep",
    "sort",
    "ss",
    "sysctl",
    "tail",
    "tee",
    "telnet",
    "test",
    "timeout",
    "touch",
    "tr",
    "traceroute",
    "traceroute6",
    "true",
    "uname",
    "uniq",
    "wc",
    "wget",
    "which",
    "whoami",
    "xargs",
    "yes",
];

/// The program of a name, or of a path to it. `None`: no such program.
///
/// `/usr/sbin/ip` and `/sbin/ip` are iproute2's, every other `ip` is BusyBox's.
pub fn find(name: &str) -> Option<Program> {
    let base = match name {
        "/usr/sbin/ip" | "/sbin/ip" => "iproute2",
        _ => name.rsplit('/').next().unwrap_or(name),
    };
    let program: Program = match base {
        "arp" => |sys| Box::pin(arp::main(sys)),
        "arping" => |sys| Box::pin(arping::main(sys)),
        "arpspoof" => |sys| Box::pin(dsniff::arpspoof(sys)),
        "brctl" => |sys| Box::pin(bridge::brctl(sys)),
        "bridge" => |sys| Box::pin(bridge::main(sys)),
        "busybox" => |sys| Box::pin(busybox::main(sys)),
        "cat" => |sys| Box::pin(cat::main(sys)),
        "conntrack" => |sys| Box::pin(conntrack::main(sys)),
        "curl" => |sys| Box::pin(curl::main(sys)),
        "dig" => |sys| Box::pin(dig::main(sys)),
        "docker-proxy" => |sys| Box::pin(docker_proxy::main(sys)),
        "dockerd" => |sys| Box::pin(docker_proxy::hold(sys)),
        "echo" => |sys| Box::pin(echo::main(sys)),
        "env" => |sys| Box::pin(env::main(sys)),
        "false" => |sys| Box::pin(status::failure(sys)),
        "grep" => |sys| Box::pin(grep::main(sys)),
        "head" => |sys| Box::pin(head::main(sys)),
        "hostname" => |sys| Box::pin(hostname::main(sys)),
        "hping3" => |sys| Box::pin(hping3::main(sys)),
        "http-proxy" => |sys| Box::pin(http_proxy::main(sys)),
        "healthcheck.sh"
        | "mariadb-admin"
        | "mongo"
        | "mongosh"
        | "mysqladmin"
        | "pg_isready"
        | "rabbitmq-diagnostics"
        | "redis-cli"
        | "valkey-cli" => |sys| Box::pin(clients::main(sys)),
        "httpd" => |sys| Box::pin(httpd::main(sys)),
        "id" => |sys| Box::pin(id::main(sys)),
        "ifconfig" => |sys| Box::pin(ifconfig::main(sys)),
        "ip" => |sys| Box::pin(ip::main(sys)),
        "ip6tables" => |sys| Box::pin(iptables::ipv6(sys)),
        "ip6tables-save" => |sys| Box::pin(iptables::save_ipv6(sys)),
        "iproute2" => |sys| Box::pin(ip::iproute2(sys)),
        "iptables" => |sys| Box::pin(iptables::ipv4(sys)),
        "ip6tables-restore" => |sys| Box::pin(iptables::restore_ipv6(sys)),
        "iptables-restore" => |sys| Box::pin(iptables::restore_ipv4(sys)),
        "iptables-save" => |sys| Box::pin(iptables::save_ipv4(sys)),
        "listen" => |sys| Box::pin(listen::main(sys)),
        "ls" => |sys| Box::pin(ls::main(sys)),
        "macof" => |sys| Box::pin(dsniff::macof(sys)),
        "nc" => |sys| Box::pin(nc::main(sys)),
        "netstat" => |sys| Box::pin(netstat::main(sys)),
        "nslookup" => |sys| Box::pin(nslookup::main(sys)),
        "nstat" => |sys| Box::pin(nstat::main(sys)),
        "ping" | "ping6" => |sys| Box::pin(ping::main(sys)),
        "printf" => |sys| Box::pin(printf::main(sys)),
        "printenv" => |sys| Box::pin(env::printenv(sys)),
        "route" => |sys| Box::pin(route::main(sys)),
        "seq" => |sys| Box::pin(seq::main(sys)),
        "sh" | "ash" | "bash" => |sys| Box::pin(sh::main(sys)),
        "sleep" => |sys| Box::pin(sleep::main(sys)),
        "sort" => |sys| Box::pin(sort::main(sys)),
        "sysctl" => |sys| Box::pin(sysctl::main(sys)),
        "tail" => |sys| Box::pin(tail::main(sys)),
        "test" | "[" => |sys| Box::pin(test::main(sys)),
        "timeout" => |sys| Box::pin(timeout::main(sys)),
        "tr" => |sys| Box::pin(tr::main(sys)),
        "traceroute" | "traceroute6" => |sys| Box::pin(traceroute::main(sys)),
        "true" => |sys| Box::pin(status::success(sys)),
        "uname" => |sys| Box::pin(uname::main(sys)),
        "wc" => |sys| Box::pin(wc::main(sys)),
        "wget" => |sys| Box::pin(wget::main(sys)),
        "cut" => |sys| Box::pin(cut::main(sys)),
        "date" => |sys| Box::pin(date::main(sys)),
        "mkdir" => |sys| Box::pin(files::mkdir(sys)),
        "rm" => |sys| Box::pin(files::rm(sys)),
        "sed" => |sys| Box::pin(sed::main(sys)),
        "tee" => |sys| Box::pin(files::tee(sys)),
        "touch" => |sys| Box::pin(files::touch(sys)),
        "which" => |sys| Box::pin(which::main(sys)),
        "xargs" => |sys| Box::pin(xargs::main(sys)),
        "yes" => |sys| Box::pin(yes::main(sys)),
        "awk" => |sys| Box::pin(awk::main(sys)),
        "getent" => |sys| Box::pin(getent::main(sys)),
        "kill" => |sys| Box::pin(ps::kill(sys)),
        "pgrep" => |sys| Box::pin(ps::pgrep(sys)),
        "pkill" => |sys| Box::pin(ps::pkill(sys)),
        "pidof" => |sys| Box::pin(ps::pidof(sys)),
        "ps" => |sys| Box::pin(ps::ps(sys)),
        "ss" => |sys| Box::pin(ss::main(sys)),
        "telnet" => |sys| Box::pin(telnet::main(sys)),
        "uniq" => |sys| Box::pin(uniq::main(sys)),
        "whoami" => |sys| Box::pin(id::whoami(sys)),
        _ => return None,
    };
    Some(program)
}

/// The program's name without its path, and its arguments; a leading `busybox` is skipped.
pub(crate) fn arguments(sys: &Sys) -> (&str, &[String]) {
    let mut all = sys.arguments();
    if all.len() > 1 && base_name(&all[0]) == "busybox" {
        all = &all[1..];
    }
    match all.split_first() {
        Some((name, rest)) => (base_name(name), rest),
        None => ("", &[]),
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
