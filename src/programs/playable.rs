//! Whether a command line would run here as it does in a real image: its programs are known and take the options given.
//!
//! Who decides between a command and a stand-in for it asks this. Only option letters are judged, because an image's own
//! program may have more of them than ours; a wrong operand is the command's own mistake and runs into it. What expansion
//! supplies is taken to be right.

use super::clients::{self, Client};
use super::options::{Options, Syntax};
use super::sh::Words;
use super::{
    arp, arping, awk, base_name, conntrack, curl, cut, date, dsniff, find, grep, head, hostname, hping3,
    http_proxy, httpd, id, iptables, nc, netstat, nstat, ping, ps, route, sed, seq, sh, sort, ss, sysctl,
    tail, telnet, timeout, tr, traceroute, uniq, wc, wget, which, xargs,
};

/// Commands that start commands (`env timeout 5 sh -c ...`), one inside another.
const DEEPEST: u32 = 40;

/// Whether a command can run; `own` tells which programs are there besides those of [`find`]. Those take any options.
pub fn can_run(argv: &[String], own: &dyn Fn(&str) -> bool) -> bool {
    let words: Words = argv.iter().cloned().map(Some).collect();
    can_start(&words, own, 0)
}

fn can_start(words: &[Option<String>], own: &dyn Fn(&str) -> bool, depth: u32) -> bool {
    let Some((Some(program), rest)) = words.split_first() else { return false };
    if depth > DEEPEST {
        return false;
    }
    if own(program) {
        return true;
    }
    if find(program).is_none() {
        return false;
    }
    let name = base_name(program);
    let literal: Option<Vec<String>> = rest.iter().cloned().collect();
    match (name, literal) {
        ("busybox", _) if !rest.is_empty() => can_start(rest, own, depth + 1),
        ("env", _) => {
            let assigns =
                |word: &&Option<String>| word.as_ref().is_some_and(|word| word == "-i" || word.contains('='));
            let command = &rest[rest.iter().take_while(assigns).count()..];
            command.is_empty() || can_start(command, own, depth + 1)
        }
        ("sh" | "ash" | "bash", Some(arguments)) => sh::programs(&arguments)
            .is_some_and(|programs| programs.iter().all(|words| can_start(words, own, depth + 1))),
        ("timeout", Some(arguments)) => match Options::parse(name, &arguments, &timeout::SYNTAX) {
            Ok(options) => {
                let command: Words = options.operands.into_iter().skip(1).map(Some).collect();
                can_start(&command, own, depth + 1)
            }
            Err(_) => false,
        },
        // What they start is not known.
        ("sh" | "ash" | "bash" | "timeout", None) => false,
        ("head", Some(arguments)) => takes(name, &head::text_count(&arguments), &head::SYNTAX),
        ("tail", Some(arguments)) => takes(name, &head::text_count(&arguments), &tail::SYNTAX),
        ("nc", Some(arguments)) => match nc::split_program(&arguments) {
            (options, None) => takes(name, &options, &nc::SYNTAX),
            (options, Some(served)) => {
                let served: Words = served.iter().cloned().map(Some).collect();
                takes(name, &options, &nc::SYNTAX) && can_start(&served, own, depth + 1)
            }
        },
        // There is no TLS here, and servers of images have it.
        ("wget" | "curl", Some(arguments)) if arguments.iter().any(|word| word.starts_with("https:")) => {
            false
        }
        (name, literal) => match (Client::of(name), literal) {
            (Some(client), _) => {
                // What expansion supplies is a value (`-U "$USER"`), whose text does not matter, or has its option with
                // it (`-p$PASSWORD`).
                let known: Vec<String> = rest.iter().flatten().cloned().collect();
                let filled: Vec<String> =
                    rest.iter().map(|word| word.clone().unwrap_or_else(|| "x".to_owned())).collect();
                clients::takes(client, &known) || clients::takes(client, &filled)
            }
            (None, Some(arguments)) => syntax(name).is_none_or(|syntax| takes(name, &arguments, syntax)),
            (None, None) => true,
        },
    }
}

/// The first program of a command line that is not here; `own` as for [`can_run`]. `None` too if nobody can tell before
/// it runs: an expansion names the program, or a file is the script.
pub fn missing_program(argv: &[String], own: &dyn Fn(&str) -> bool) -> Option<String> {
    let words: Words = argv.iter().cloned().map(Some).collect();
    missing_in(&words, own, 0)
}

fn missing_in(words: &[Option<String>], own: &dyn Fn(&str) -> bool, depth: u32) -> Option<String> {
    let (program, rest) = words.split_first()?;
    let program = program.as_ref()?;
    if depth > DEEPEST || own(program) {
        return None;
    }
    if find(program).is_none() {
        return Some(program.clone());
    }
    let literal: Option<Vec<String>> = rest.iter().cloned().collect();
    match (base_name(program), literal) {
        ("busybox", _) => missing_in(rest, own, depth + 1),
        ("env", _) => {
            let assigns =
                |word: &&Option<String>| word.as_ref().is_some_and(|word| word == "-i" || word.contains('='));
            missing_in(&rest[rest.iter().take_while(assigns).count()..], own, depth + 1)
        }
        ("sh" | "ash" | "bash", Some(arguments)) => {
            let programs = sh::programs(&arguments)?;
            programs.iter().find_map(|words| missing_in(words, own, depth + 1))
        }
        ("timeout", Some(arguments)) => {
            let options = Options::parse("timeout", &arguments, &timeout::SYNTAX).ok()?;
            let command: Words = options.operands.into_iter().skip(1).map(Some).collect();
            missing_in(&command, own, depth + 1)
        }
        _ => None,
    }
}

fn takes(program: &str, arguments: &[String], syntax: &Syntax) -> bool {
    Options::parse(program, arguments, syntax).is_ok()
}

/// The options of a program that reads its command line as getopt does.
fn syntax(program: &str) -> Option<&'static Syntax> {
    Some(match program {
        "arp" => &arp::SYNTAX,
        "arping" => &arping::SYNTAX,
        "arpspoof" => &dsniff::ARPSPOOF,
        "conntrack" => &conntrack::SYNTAX,
        "curl" => &curl::SYNTAX,
        "cut" => &cut::SYNTAX,
        "date" => &date::SYNTAX,
        "grep" => &grep::SYNTAX,
        "hostname" => &hostname::SYNTAX,
        "hping3" => &hping3::SYNTAX,
        "ip6tables-restore" | "iptables-restore" => &iptables::RESTORE_SYNTAX,
        "http-proxy" => &http_proxy::SYNTAX,
        "httpd" => &httpd::SYNTAX,
        "macof" => &dsniff::MACOF,
        "netstat" => &netstat::SYNTAX,
        "nstat" => &nstat::SYNTAX,
        "ping" | "ping6" => &ping::SYNTAX,
        "route" => &route::SYNTAX,
        "sed" => &sed::SYNTAX,
        "seq" => &seq::SYNTAX,
        "sort" => &sort::SYNTAX,
        "sysctl" => &sysctl::SYNTAX,
        "tr" => &tr::SYNTAX,
        "traceroute" | "traceroute6" => &traceroute::SYNTAX,
        "wc" => &wc::SYNTAX,
        "wget" => &wget::SYNTAX,
        "which" => &which::SYNTAX,
        "xargs" => &xargs::SYNTAX,
        "uniq" => &uniq::SYNTAX,
        "telnet" => &telnet::SYNTAX,
        "ss" => &ss::SYNTAX,
        "ps" => &ps::PS,
        "pgrep" => &ps::PGREP,
        "pidof" => &ps::PIDOF,
        "id" => &id::SYNTAX,
        "awk" => &awk::SYNTAX,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(words: &[&str]) -> bool {
        let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        can_run(&argv, &|name| name == "mine")
    }

    #[test]
    fn a_script_runs_if_its_programs_are_known() {
        for script in [
            "exit 3",
            "for i in 1 2; do echo $i; done",
            "httpd -f -p 8080 & wait",
            "sleep 3; exec httpd -f",
            "wget -qO- http://localhost:9999/ || exit 1",
            "wget -qO- http://localhost/ >/dev/null 2>&1",
            "trap 'rm -f /x' TERM; while :; do sleep 1 & wait $!; done",
            "say() { echo \"$1\"; }; say 'a; npm start'",
            "command -v curl || echo none",
            "(ip addr; echo $(hostname)) | grep 'x|y'",
            "A=1 mine --anything && { exec >/dev/null; tail -f /dev/null; }",
            "eval 'echo a'",
            "until pg_isready -h db -U \"$USER\" -q; do sleep 1; done; echo up",
            "curl -fsS --max-time 3 http://localhost/ || exit 1",
            "redis-cli -a \"$PASSWORD\" ping | grep PONG",
            "mysqladmin ping -h localhost -uroot -p$PASSWORD",
            "mongosh localhost:27017/test --quiet --eval 'db.runCommand(\"ping\").ok'",
            "healthcheck.sh --connect --innodb_initialized",
            "nc -z db 5432",
        ] {
            assert!(runs(&["sh", "-c", script]), "{script}");
            assert!(runs(&["/bin/bash", "-euc", script]), "{script}");
        }
    }

    #[test]
    fn a_script_with_a_program_that_is_not_here_does_not_run() {
        for script in [
            "npm start",
            "sleep 1; npm start",
            "echo $(frob -s x)",
            "(frob x)",
            "A=`frob x`",
            "exec nginx -g 'daemon off;'",
            "if true; then\n npm start\nfi",
            "f() { npm start; }; f",
            "eval npm start",
            "eval \"$X\"",
            "$CMD",
            ". /env.sh; httpd -f",
            "[[ -f /x ]]",
            "echo 'open",
            "timeout 5 frob x",
            "env A=1 frob x",
            "sh -c 'frob x'",
            "wget -q https://localhost/",
            "curl -f https://localhost/",
            "curl --http3 http://localhost/",
            "redis-cli set a b",
            "mongosh --eval 'db.drop()'",
            "healthcheck.sh --mine",
        ] {
            assert!(!runs(&["sh", "-c", script]), "{script}");
        }
        assert!(!runs(&["sh", "/start.sh"]) && !runs(&["bash", "--login"]) && !runs(&["sh", "-c"]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |script: &str| {
            let argv = ["sh", "-c", script].map(str::to_owned);
            missing_program(&argv, &|name| name == "mine")
        };
        assert_eq!(missing("sleep 1; timeout 3 wgett x | cat").as_deref(), Some("wgett"));
        assert_eq!(missing("env A=1 busybox frob").as_deref(), Some("frob"));
        for nothing in ["mine -x", "wget --frob x", "$CMD", "sh /x.sh", "f() { :; }; f", "echo 'open"] {
            assert_eq!(missing(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn options_that_a_known_program_refuses_keep_a_command_from_running() {
        assert!(runs(&["tail", "-5", "-f", "/dev/null"]) && runs(&["nc", "-lk", "-p", "9", "-e", "cat"]));
        assert!(runs(&["busybox", "httpd", "-f"]) && runs(&["env", "A=1", "sleep", "5"]) && runs(&["sh"]));
        assert!(!runs(&["nc", "-l", "--proxy", "x"]) && !runs(&["nc", "-lp", "9", "-e", "python3"]));
        assert!(!runs(&["httpd", "--foreground"]) && !runs(&["busybox", "crond"]) && !runs(&[]));
    }
}
