//! The programs that read text, from outside: what BusyBox 1.35 printed for the same, and how much they take.

use std::time::Duration;

use super::testing::{Started, World};
use super::text::{BROKEN_PIPE, LONGEST, MOST};
use crate::engine::sys::{ExitCode, Sys};

fn text(output: &str, status: u8) -> (String, u8) {
    (output.to_owned(), status)
}

/// Two files: `/t1` with five lines, `/t2` without a last line end.
fn world() -> World {
    let world = World::new();
    world.file("/t1", "a1\nb2\nc3\na4\nd5\n");
    world.file("/t2", "x\ny a");
    world
}

#[test]
fn grep_prints_as_busybox_does() {
    let world = world();
    let run = |line: &str| world.run("a", line);
    assert_eq!(run("grep -A1 a /t1"), text("a1\nb2\n--\na4\nd5\n", 0));
    assert_eq!(run("grep -n -B1 4 /t1"), text("3-c3\n4:a4\n", 0));
    let around = "/t1:1:a1\n/t1-2-b2\n--\n/t1:4:a4\n/t1-5-d5\n--\n/t2:2:y a\n";
    assert_eq!(run("grep -n -A1 a /t1 /t2"), text(around, 0));
    assert_eq!(run("grep -c a /t1 /t2"), text("/t1:2\n/t2:1\n", 0));
    assert_eq!(run("grep -m1 a /t1 /t2"), text("/t1:a1\n/t2:y a\n", 0));
    assert_eq!(run("grep -l 1 /t1 /t2"), text("/t1\n", 0));
    assert_eq!(run("grep -on [ad] /t1"), text("1:a\n4:a\n5:d\n", 0));
    assert_eq!(run("grep -hw a /t1 /t2"), text("y a\n", 0));
    assert_eq!(run("grep -vx -e a. -e d5 /t1"), text("b2\nc3\n", 0));
    assert_eq!(run("grep -s a /nosuch"), text("", 2));
    assert_eq!(run("grep a /nosuch /t2"), text("grep: /nosuch: No such file or directory\n/t2:y a\n", 2));
    assert_eq!(run("grep -E ( /t1").1, 2);
    assert_eq!(world.sh("a", "echo 'aXbX' | grep -oE 'X|b'").0, "X\nb\nX\n");
    assert_eq!(world.sh("a", "printf 'a\\r\\n' | grep a | cat -v").0, "a^M\n");
}

#[test]
fn a_file_that_cannot_be_opened_leaves_the_others() {
    let world = world();
    let run = |line: &str| world.run("a", line);
    let reason = "/nosuch: No such file or directory\n";
    assert_eq!(run("cut -c1 /nosuch /t2"), text(&format!("cut: {reason}x\ny\n"), 1));
    assert_eq!(run("sed p /nosuch /t2"), text(&format!("sed: {reason}x\nx\ny a\ny a"), 1));
    assert_eq!(run("head -n1 /nosuch /t2"), text(&format!("head: {reason}==> /t2 <==\nx\n"), 1));
    assert_eq!(run("sort /nosuch /t2"), text(&format!("sort: {reason}x\ny a\n"), 2));
    assert_eq!(
        run("cat /nosuch /t2"),
        text("cat: can't open '/nosuch': No such file or directory\nx\ny a", 1)
    );
    let counts = "        1         3         5 /t2\n        1         3         5 total\n";
    assert_eq!(run("wc /nosuch /t2"), text(&format!("wc: {reason}{counts}"), 1));
}

#[test]
fn ends_and_beginnings() {
    let world = world();
    let run = |line: &str| world.run("a", line);
    assert_eq!(run("head -n1 /t1 /t2"), text("==> /t1 <==\na1\n\n==> /t2 <==\nx\n", 0));
    assert_eq!(run("head -c -2 /t1"), text("a1\nb2\nc3\na4\nd", 0));
    assert_eq!(run("head -n -2 /t1"), text("a1\nb2\nc3\n", 0));
    assert_eq!(run("head -n 1x"), text("head: invalid number '1x'\n", 1));
    assert_eq!(run("tail -qn1 /t1 /t2"), text("d5\ny a", 0));
    assert_eq!(run("tail -n1 /t1 /t2"), text("==> /t1 <==\nd5\n\n==> /t2 <==\ny a", 0));
    assert_eq!(run("tail -c 3 /t1"), text("d5\n", 0));
    assert_eq!(run("tail -n +4 /t1"), text("a4\nd5\n", 0));
    assert_eq!(run("tail -c +12 /t1"), text("\nd5\n", 0));
    assert_eq!(run("sort -k2 -t3 -r /t1").0, "d5\nc3\nb2\na4\na1\n");
    world.file("/n", "b:10\na:9\nc:9\nb:10\n");
    assert_eq!(run("sort -t: -k2,2nr -k1,1r /n"), text("b:10\nb:10\nc:9\na:9\n", 0));
    assert_eq!(run("sort -t: -k2n -u /n"), text("a:9\nb:10\n", 0));
}

#[test]
fn sed_replaces_groups() {
    let sh = |script: &str| World::new().sh("a", script);
    assert_eq!(sh("echo '  inet 10.0.0.2/24' | sed 's/.*inet \\([0-9.]*\\).*/\\1/'"), text("10.0.0.2\n", 0));
    assert_eq!(sh("echo 'a-b' | sed -E 's/(.)-(.)/\\2-\\1/'"), text("b-a\n", 0));
    assert_eq!(sh("echo aaa | sed 's/^a/b/g'"), text("baa\n", 0));
    assert_eq!(sh("echo abc | sed 's/x*/-/g'"), text("-a-b-c-\n", 0));
    assert_eq!(sh("echo a | sed -E 's/(/x/'"), text("sed: bad regex '(': Unmatched ( or \\(\n", 1));
}

#[test]
fn xargs_runs_command_by_command() {
    let world = World::new();
    let xargs = world.start("a", &["xargs", "-n1", "echo", "got"]);
    for word in ["one\n", "two\n"] {
        assert_eq!(write(&world, &xargs, word.as_bytes()), Ok(()));
        assert_eq!(xargs.text(), format!("got {word}"));
    }
    let sh = |script: &str| world.sh("a", script);
    assert_eq!(sh("printf \"a 'b c\\nd\" | xargs echo"), text("xargs: unmatched single quote\n", 1));
    assert_eq!(sh("printf '1 2 3' | xargs -n1 sh -c 'exit 255'").1, 124);
    assert_eq!(sh("printf '1 2 3' | xargs -n1 false").1, 123);
    assert_eq!(sh("seq 20000 | xargs | wc -l"), text("4\n", 0));
    assert_eq!(sh("seq 12 | xargs -s 20 echo"), text("1 2 3 4 5 6 7\n8 9 10 11 12\n", 0));
}

/// Writes into a program and lets it run; the error is its broken pipe.
fn write(world: &World, started: &Started, bytes: &[u8]) -> Result<(), u8> {
    let pipe = started.stdin.clone();
    let mut writing = std::pin::pin!(async move { pipe.write_all(bytes).await });
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        let polled = writing.as_mut().poll(&mut context);
        world.settle();
        if let Some(status) = started.status() {
            return Err(status);
        }
        if polled.is_ready() {
            return Ok(());
        }
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_writer() {
    let world = World::new();
    let sh = |script: &str| world.sh("a", &format!("set -o pipefail; {script}"));
    assert_eq!(sh("yes | head -n 1"), text("y\n", 141));
    assert_eq!(sh("yes x y | grep -m2 x"), text("x y\nx y\n", 141));
    assert_eq!(sh("seq 1000000000 | grep -m1 5"), text("5\n", 141));
    assert_eq!(sh("yes | grep -q y"), text("", 141));
    assert_eq!(sh("yes | sed 2q"), text("y\ny\n", 141));
    for filter in ["cat", "grep y", "sed s/a/b/", "cut -c1", "tail -n +2", "tr y y", "tee /dev/null"] {
        assert_eq!(sh(&format!("yes | {filter} | head -n 1")), text("y\n", 141), "{filter}");
    }
    let killed = "xargs: 'echo' terminated by signal 13\n";
    assert_eq!(world.sh("a", "yes | xargs -n1 echo | head -n 1"), text(&format!("y\n{killed}"), 0));
    assert_eq!(world.sh("a", "while :; do echo y; done | head -n 1"), text("y\n", 0));
}

#[test]
fn a_long_pipeline_ends_as_fast_as_a_short_one() {
    for stages in [1, 10, 25, 60] {
        let world = World::new();
        let script = format!("yes |{} head -n 5", " cat |".repeat(stages));
        assert_eq!(world.sh("a", &script), text(&"y\n".repeat(5), 0));
        let took = world.engine.borrow().now();
        assert!(took < Duration::from_secs(1), "{stages}: {took:?}");
    }
}

#[test]
fn a_writer_that_pauses_ends_when_its_reader_has_gone() {
    let world = World::new();
    let writer = world.start_program("a", |sys| Box::pin(write_at_length(sys)), &["writer"]);
    world.settle();
    assert_eq!((writer.status(), world.engine.borrow().now()), (None, Duration::ZERO));
    writer.output.close_reader();
    world.settle();
    assert_eq!((writer.status(), world.engine.borrow().now()), (Some(141), Duration::ZERO));
}

/// Takes long to find out what to write.
async fn write_at_length(sys: Sys) -> ExitCode {
    sys.worked(usize::MAX);
    sys.rest().await;
    match sys.write(b"x").await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => BROKEN_PIPE,
    }
}

#[test]
fn printf_pads_as_far_as_it_is_told_or_refuses() {
    let world = World::new();
    assert_eq!(
        world.sh("a", "printf '%100000d' 1 | wc -c; printf '%-70000s|' a | wc -c"),
        text("100000\n70001\n", 0)
    );
    assert_eq!(world.sh("a", "printf '%05d|%-3s|%3s' 42 a é"), text("00042|a  |  é", 0));
    for width in ["99999999", "99999999999999999999999"] {
        let refused = text("out of memory: output is larger than 16 MiB", 1);
        let (said, status) = world.sh("a", &format!("printf '%{width}d' 1"));
        assert_eq!(
            (said.trim_end().trim_start_matches("sh: ").trim_start_matches("printf: ").to_owned(), status),
            refused
        );
    }
    let many = world.sh("a", "printf '%9000000d' 1 2 | wc -c");
    assert!(many.0.ends_with("\n9000000\n"), "{many:?}");
}

#[test]
fn devices_are_opened_by_name_and_by_redirection() {
    let world = World::new();
    for device in ["zero", "urandom", "random"] {
        for script in [
            "head -c 70000 </dev/D | wc -c",
            "head -c 70000 /dev/D | wc -c",
            "cat /dev/D | head -c 70000 | wc -c",
        ] {
            let script = script.replace('D', device);
            assert_eq!(world.sh("a", &script), text("70000\n", 0), "{script}");
        }
    }
    assert_eq!(world.sh("a", "head -c 3 </dev/zero | cat -v"), text("^@^@^@", 0));
    assert_eq!(world.sh("a", "[ $(head -c 9 </dev/urandom | wc -c) = 9 ] && cat </dev/null"), text("", 0));
    assert_eq!(world.sh("a", "echo gone >/dev/null; echo gone >/dev/zero; cat /dev/null"), text("", 0));
    assert_eq!(world.sh("a", "(echo said >/dev/stderr) 2>&1 >/dev/null | tr s S"), text("Said\n", 0));
    assert_eq!(world.sh("a", "echo in | cat /dev/stdin; echo in | cat </dev/stdin"), text("in\nin\n", 0));
    let names = "null\nrandom\nstderr\nstdin\nstdout\nurandom\nzero\n";
    assert_eq!(world.sh("a", "ls /dev; ls /dev/null"), text(&format!("{names}/dev/null\n"), 0));
}

#[test]
fn a_line_without_end_and_too_much_to_sort_are_refused() {
    let world = World::new();
    let piece = vec![b'x'; 65_536];
    let long = format!("out of memory: a line is longer than {} KiB\n", LONGEST / 1_024);
    for (program, status) in
        [("grep y", 2), ("cut -c1", 1), ("sed p", 1), ("sort", 2), ("xargs", 1), ("head -n -1", 1)]
    {
        let words: Vec<&str> = program.split(' ').collect();
        let started = world.start("a", &words);
        let pieces = (0..).take_while(|_| write(&world, &started, &piece).is_ok()).count();
        let (limit, message) = match words[0] {
            "head" => (MOST, "out of memory: what is to be kept is larger than 16 MiB\n".to_owned()),
            _ => (LONGEST, long.clone()),
        };
        assert!(pieces <= limit / piece.len() + 2, "{program}: {pieces} pieces");
        assert_eq!((started.text(), started.status()), (format!("{}: {message}", words[0]), Some(status)));
    }
    let lines = "some words of a line\n".repeat(3_000);
    let sort = world.start("a", &["sort"]);
    let pieces = (0..).take_while(|_| write(&world, &sort, lines.as_bytes()).is_ok()).count();
    assert!(pieces * lines.len() <= MOST + lines.len(), "{pieces} pieces");
    assert_eq!(sort.text(), "sort: out of memory: more than 16 MiB cannot be sorted\n");
}
