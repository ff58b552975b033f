//! Whether a command line would run here as it does in a real image: its programs are known and take the options given.
//!
//! Who decides between a command and a stand-in for it asks this. Only option letters are judged, because an image's own
//! program may have more of them than ours; a wrong operand is the command's own mistake and runs into it. What expansion
//! supplies is taken to be right.

use super::options::{Options, Syntax};
use super::sh::Words;
use super::{
    arp, base_name, conntrack, find, grep, head, hostname, http_proxy, httpd, nc, netstat, ping, route, seq,
    sh, sort, sysctl, tail, timeout, tr, traceroute, wc, wget,
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
        ("wget", Some(arguments)) if arguments.iter().any(|word| word.starts_with("https:")) => false,
        (name, Some(arguments)) => syntax(name).is_none_or(|syntax| takes(name, &arguments, syntax)),
        (_, None) => true,
    }
}

fn takes(program: &str, arguments: &[String], syntax: &Syntax) -> bool {
    Options::parse(program, arguments, syntax).is_ok()
}

/// The options of a program that reads its command line as getopt does.
fn syntax(program: &str) -> Option<&'static Syntax> {
    Some(match program {
        "arp" => &arp::SYNTAX,
        "conntrack" => &conntrack::SYNTAX,
        "grep" => &grep::SYNTAX,
        "hostname" => &hostname::SYNTAX,
        "http-proxy" => &http_proxy::SYNTAX,
        "httpd" => &httpd::SYNTAX,
        "netstat" => &netstat::SYNTAX,
        "ping" | "ping6" => &ping::SYNTAX,
        "route" => &route::SYNTAX,
        "seq" => &seq::SYNTAX,
        "sort" => &sort::SYNTAX,
        "sysctl" => &sysctl::SYNTAX,
        "tr" => &tr::SYNTAX,
        "traceroute" | "traceroute6" => &traceroute::SYNTAX,
        "wc" => &wc::SYNTAX,
        "wget" => &wget::SYNTAX,
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
            "echo $(curl -s x)",
            "(curl x)",
            "A=`curl x`",
            "exec nginx -g 'daemon off;'",
            "if true; then\n npm start\nfi",
            "f() { npm start; }; f",
            "eval npm start",
            "eval \"$X\"",
            "$CMD",
            ". /env.sh; httpd -f",
            "[[ -f /x ]]",
            "echo 'open",
            "timeout 5 curl x",
            "env A=1 curl x",
            "sh -c 'curl x'",
            "wget -q https://localhost/",
        ] {
            assert!(!runs(&["sh", "-c", script]), "{script}");
        }
        assert!(!runs(&["sh", "/start.sh"]) && !runs(&["bash", "--login"]) && !runs(&["sh", "-c"]));
    }

    #[test]
    fn options_that_a_known_program_refuses_keep_a_command_from_running() {
        assert!(runs(&["tail", "-5", "-f", "/dev/null"]) && runs(&["nc", "-lk", "-p", "9", "-e", "cat"]));
        assert!(runs(&["busybox", "httpd", "-f"]) && runs(&["env", "A=1", "sleep", "5"]) && runs(&["sh"]));
        assert!(!runs(&["nc", "-l", "--proxy", "x"]) && !runs(&["nc", "-lp", "9", "-e", "python3"]));
        assert!(!runs(&["httpd", "--foreground"]) && !runs(&["busybox", "crond"]) && !runs(&[]));
    }
}
