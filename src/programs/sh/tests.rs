//! Scripts from outside. What they print and their status is what BusyBox 1.35 gave for them.

use std::time::Duration;

use crate::programs::testing::World;

#[test]
fn scripts_do_what_they_do_in_busybox() {
    for (script, output, status) in SCRIPTS {
        let world = World::new();
        assert_eq!(world.sh("a", script), ((*output).to_owned(), *status), "{script}");
    }
}

#[test]
fn files_are_run_line_by_line_and_errors_name_the_line() {
    let world = World::new();
    world.file("/s", "echo a\n\nnosuch\ncat <<E\nx\nE\n(nosuch)\nif\n");
    let output = "a\n/s: line 3: nosuch: not found\nx\n/s: line 7: nosuch: not found\n\
                  /s: line 8: syntax error: unexpected end of file (expecting \"then\")\n";
    assert_eq!(world.run("a", "sh /s"), (output.to_owned(), 2));
    world.file("/t", "#!/bin/sh\nset -eu\nN=${1:-none}\nexec echo \"$0\" \"$N\" \"$@\"\n");
    assert_eq!(world.run("a", "sh /t one two"), ("/t one one two\n".to_owned(), 0));
}

#[test]
fn patterns_become_the_names_of_files() {
    for (script, output) in [
        ("echo /w/*.txt", "/w/a.txt /w/b.txt\n"),
        ("echo w/?.txt", "w/a.txt w/b.txt\n"),
        ("echo /*/[!a]*", "/w/b.txt /w/c.html /w/sub\n"),
        ("cat /w/*/*", "deep\n"),
        ("P=/w/*.html; echo $P \"$P\"", "/w/c.html /w/*.html\n"),
        ("echo '/w/*' /w/\\* /w/x*", "/w/* /w/* /w/x*\n"),
        (
            "set -f; echo /w/*; (echo /w/*); set +f; for f in /w/s*; do echo \"<$f>\"; done",
            "/w/*\n/w/*\n</w/sub>\n",
        ),
        ("echo /w/.*", "/w/.hidden\n"),
    ] {
        let world = World::new();
        for (path, text) in [
            ("/w/b.txt", ""),
            ("/w/a.txt", ""),
            ("/w/c.html", ""),
            ("/w/.hidden", ""),
            ("/w/sub/x", "deep\n"),
        ] {
            world.file(path, text);
        }
        assert_eq!(world.sh("a", script), (output.to_owned(), 0), "{script}");
    }
}

#[test]
fn a_loop_that_never_waits_lets_time_pass() {
    for endless in ["while :; do :; done", "until false; do :; done", "while sh; do :; done"] {
        let world = World::new();
        let looping = world.start("a", &["sh", "-c", endless]);
        looping.stdin.close_writer();
        assert_eq!(world.sh("a", "sleep 5; echo five"), ("five\n".to_owned(), 0), "{endless}");
        assert!(world.engine.borrow().now().as_secs() >= 5, "{endless}");
    }
}

#[test]
fn loops_of_one_place_spin_in_turns() {
    let took = |many: u32| {
        let world = World::new();
        let spin = "(i=0; while [ $i -lt 600 ]; do i=$((i+1)); done) &";
        assert_eq!(world.sh("a", &format!("{} wait", spin.repeat(many as usize))), (String::new(), 0));
        world.engine.borrow().now()
    };
    let one = took(1);
    assert!(one >= Duration::from_millis(500), "{one:?}");
    assert!(took(10) >= 10 * one, "{:?}", took(10));
}

#[test]
fn time_that_passes_by_itself_is_not_added_to() {
    let world = World::new();
    let before = world.engine.borrow().now();
    world.sh("a", "for i in 1 2 3; do sleep 1; done");
    assert_eq!(world.engine.borrow().now() - before, Duration::from_secs(3));
}

#[test]
fn a_script_cannot_eat_the_memory() {
    let world = World::new();
    for (script, message) in [
        ("A=0123456789; while :; do A=$A$A; done", "sh: out of memory\n"),
        ("A=0123456789; while :; do set -- $A \"$@\" \"$@\"; done", "sh: out of memory\n"),
        ("A=x; while :; do A=x$A; export V$A=$A$A$A; done", "sh: out of memory\n"),
        ("A=$(while :; do echo 0123456789012345678901234567890123456789; done | cat)", "sh: out of memory\n"),
        ("f() { f; }; f", "sh: functions and compound commands nest deeper than 32 levels\n"),
        ("eval 'A=\"eval \\$A\"; eval $A'", "sh: eval and . nest too deep\n"),
    ] {
        let (output, status) = world.sh("a", script);
        assert_eq!((output.as_str(), status), (message, 2), "{script}");
    }
}

/// Script, what it prints on both streams, status.
const SCRIPTS: &[(&str, &str, u8)] = &[
    (
        "if true; then echo a; elif false; then echo b; else echo c; fi; if false; then echo a; elif true; then echo b; fi; if false; then :; fi; echo $?",
        "a\nb\n0\n",
        0,
    ),
    ("for i in 1 2 3; do echo $i; done; for i in; do echo no; done; echo $?", "1\n2\n3\n0\n", 0),
    (
        "i=0; while [ $i -lt 3 ]; do i=$((i+1)); [ $i = 2 ] && continue; echo $i; done; until [ $i -ge 5 ]; do i=$((i + 1)); done; echo $i",
        "1\n3\n5\n",
        0,
    ),
    (
        "for i in 1 2; do for j in a b; do [ $j = b ] && continue 2; echo $i$j; break 2; done; done; echo end",
        "1a\nend\n",
        0,
    ),
    (
        "case abc in x|y) echo no;; a*) echo yes;; *) echo other;; esac; case \"a*\" in \"a*\") echo literal;; esac; case b in [!a]) echo set;; esac; case x in y) ;; esac; echo $?",
        "yes\nliteral\nset\n0\n",
        0,
    ),
    ("(A=1; exit 3); echo $? $A; { echo group; false; }; echo $?", "3\ngroup\n1\n", 0),
    (
        "f() { echo \"f $1 $#\"; return 4; echo no; }; f x \"y z\"; echo $?; f | cat; echo $(f q)",
        "f x 2\n4\nf  0\nf q 1\n",
        0,
    ),
    ("f() { local a=1; b=2; echo $a$b; }; a=0; f; echo $a$b", "12\n02\n", 0),
    (
        "set -- \"a b\" c; for i in \"$@\"; do echo \"<$i>\"; done; for i in $*; do echo \"<$i>\"; done; echo \"$#:$1:$*\"; shift; echo \"$1\"; shift 5; echo $?",
        "<a b>\n<c>\n<a>\n<b>\n<c>\n2:a b:a b c\nc\n1\n",
        0,
    ),
    (
        "x() { echo \"$@\" | cat; }; x 1 '2  3'; printf \"<%s>\" \"$@\" \"\"; echo; echo \"a\"\"b\"'c' \"\" | cat",
        "1 2  3\n<>\nabc \n",
        0,
    ),
    (
        "A=; echo \"${A:-d}\" \"${A-d}\" \"${B-e}\" \"${B:=f}\" \"$B\" \"${B:+g}\" \"${#B}\"; P=/a/b.txt; echo ${P##*/} ${P%/*} ${P%.*} ${P#/a}",
        "d  e f f g 1\nb.txt /a /a/b /b.txt\n",
        0,
    ),
    (
        "B=\"x  y\"; echo ${N:-a  \"b  c\"} $B \"$B\"; set -- -x; if [ \"${1#-}\" != \"$1\" ]; then set -- server \"$@\"; fi; echo \"$@\"",
        "a b  c x y x  y\nserver -x\n",
        0,
    ),
    (
        "echo $((1 + 2 * 3)) $(( (4 - 1) % 2 )) $((5 > 3 && 2 != 2)); n=4; echo $((n*n)) $((-n))",
        "7 1 0\n16 -4\n",
        0,
    ),
    (
        "echo \"$(echo \"a  b\")\" $(echo 'c  d') `echo e`; echo \"$(echo \")\")\"; X=$(false) ; echo $?; X=$(exit 7); echo $?",
        "a  b c d e\n)\n1\n7\n",
        0,
    ),
    (
        "cat <<E\na $((1+1)) $(echo \"b\") \"q\" \\$x\nE\ncat <<'E' | wc -l\n$A\nb\nE\necho done",
        "a 2 b \"q\" $x\n2\ndone\n",
        0,
    ),
    ("while read a b; do echo \"[$a|$b]\"; done <<E\n1 2 3\n  x   y  \n\nE", "[1|2 3]\n[x|y]\n[|]\n", 0),
    (
        "printf 'a:b:c\\n' | while IFS=: read -r x y; do echo \"$x $y\"; done; IFS=:; v=1:2; for i in $v; do echo $i; done",
        "a b:c\n1\n2\n",
        0,
    ),
    (
        "set -e; false || echo saved; if false; then :; fi; ! true; (false; echo no) || echo or; false; echo never",
        "saved\nno\n",
        1,
    ),
    ("set -e; f() { false; echo in; }; f || echo no; f; echo never", "in\n", 1),
    ("set -u; echo ${A:-ok}; echo $A; echo never", "ok\nsh: A: parameter not set\n", 2),
    ("set -x; A=\"b c\"; echo \"$A\" d; [ a = a ]", "+ A='b c'\n+ echo 'b c' d\nb c d\n+ '[' a '=' a ]\n", 0),
    (
        "true && ! false && echo neg; ! true || echo or; false | true; echo $?; set -o pipefail; false | true; echo $?",
        "neg\nor\n0\n1\n",
        0,
    ),
    (
        "echo a >/f1; echo b >>/f1; { echo c; echo d; } >>/f1; while read l; do echo \"<$l>\"; done </f1",
        "<a>\n<b>\n<c>\n<d>\n",
        0,
    ),
    (
        "for i in a b; do echo $i; done | while read x; do echo \"$x$x\"; done; (echo sub; echo err >&2) 2>&1 | cat",
        "aa\nbb\nsub\nerr\n",
        0,
    ),
    (
        "[ -n \"\" ]; echo $?; [ -z \"\" -a 1 -lt 2 ]; echo $?; test a = b -o ! a = b; echo $?; [ 1 -eq x ]; echo $?; [ a b ]; echo $?; [; echo $?",
        "1\n0\n0\nsh: x: bad number\n2\nsh: b: unknown operand\n2\nsh: missing ]\n2\n",
        0,
    ),
    (
        "printf '%s-%d|%5s|%-3s|%03d\\n' a 3 x y 7; printf '%s\\n' 1 2; printf '%d\\n' x; echo $?; printf 'no end'; printf '%%\\t%x\\n' 255",
        "a-3|    x|y  |007\n1\n2\nsh: invalid number 'x'\n0\n1\nno end%\tff\n",
        0,
    ),
    (
        "command -v cd; command -v nosuch; echo $?; command echo c; type=1; eval 'echo $type; type=2'; echo $type",
        "cd\n127\nc\n1\n2\n",
        0,
    ),
    (
        "nosuch; echo $?; nosuch 2>/dev/null || echo $?; ./nosuch; cat </nosuch; echo $?",
        "sh: nosuch: not found\n127\n127\nsh: ./nosuch: not found\nsh: can't open /nosuch: no such file\n1\n",
        0,
    ),
    ("trap 'echo bye $?' EXIT; echo a; exit 3", "a\nbye 3\n", 3),
    (
        "x=1; (x=2; echo $x); echo $x; x=3 sh -c 'echo $x'; y=4; sh -c 'echo <$y>'; export y; sh -c 'echo \"<$y>\"'",
        "2\n1\n3\nsh: syntax error: unexpected end of file\n<4>\n",
        0,
    ),
    ("if true; then echo a", "sh: syntax error: unexpected end of file (expecting \"fi\")\n", 2),
    ("echo before\nfi", "before\nsh: syntax error: unexpected \"fi\"\n", 2),
    ("echo )", "sh: syntax error: unexpected \")\"\n", 2),
    ("echo 'a", "sh: syntax error: unterminated quoted string\n", 2),
    ("for 1 in a; do :; done", "sh: syntax error: bad for loop variable\n", 2),
    ("break; continue; echo out", "out\n", 0),
    ("shift x; echo never", "sh: shift: line 0: Illegal number: x\n", 2),
    ("exit foo", "sh: exit: line 0: Illegal number: foo\n", 2),
    ("set -Z", "sh: set: line 0: illegal option -Z\n", 2),
    ("local a", "sh: local: line 0: not in a function\n", 2),
    (". /nosuch; echo never", "sh: .: line 0: can't open '/nosuch': No such file or directory\n", 2),
    ("echo ${A:?}; echo never", "sh: A: parameter not set or null\n", 2),
    ("echo ${A:?gone}; echo never", "sh: A: gone\n", 2),
    ("echo $((1/0)); echo never", "sh: divide by zero\n", 2),
    ("echo $((1+)); echo never", "sh: arithmetic syntax error\n", 2),
    ("echo ${A!}", "sh: syntax error: bad substitution\n", 2),
    ("sleep 5 & echo first; wait; echo then; (sleep 1; exit 6) & wait $!; echo $?", "first\nthen\n6\n", 0),
    ("echo 1 && echo 2 && false & wait $!; echo $?", "1\n2\n1\n", 0),
    ("sleep 100 & kill $!; wait $!; echo $?", "Terminated\n143\n", 0),
    (
        "seq 3; seq 2 2 6 | tail -n 1; seq -s , 3 1; echo $(seq 5 -2 1); for i in $(seq 1 2); do echo i$i; done",
        "1\n2\n3\n6\n5 3 1\ni1\ni2\n",
        0,
    ),
    ("n=0; while :; do n=$((n+1)); if [ $n -gt 5 ]; then break; fi; done; echo $n", "6\n", 0),
    ("a() { b \"$1\" x; }; b() { echo \"$1$2\"; }; a 1; if a 2 >/dev/null; then echo ok; fi", "1x\nok\n", 0),
    ("f() { [ $1 -le 0 ] && return; echo $1; f $(($1-1)); }; f 3", "3\n2\n1\n", 0),
    (
        "case $# in 0) echo none;; esac; case \"\" in \"\") echo empty;; esac; case a in (a) echo paren;; esac",
        "none\nempty\nparen\n",
        0,
    ),
    (
        "if [ -f /nosuch ]; then echo no; fi; echo x > /f2; [ -f /f2 ] && [ -s /f2 ] && [ -e /f2 ] && echo file; [ -d /nosuch ] || echo nodir",
        "file\nnodir\n",
        0,
    ),
    ("echo \"a\\$b \\\\ \\\" \\z\" 'c\\d' e\\ f; echo a#b # comment", "a$b \\ \" \\z c\\d e f\na#b\n", 0),
    (
        "A=1 B=$A; echo \"$A$B\"; A=2 echo $A; echo ${A}x \"${A}\"y; : ${D:=dd}; echo $D; unset D; echo ${D-unset}",
        "11\n1\n1x 1y\ndd\nunset\n",
        0,
    ),
    (
        "{ echo out; echo err >&2; } 2>/dev/null; echo hi 2>&1 >/dev/null; exec 2>&1; nosuch",
        "out\nsh: nosuch: not found\n",
        127,
    ),
    ("exec echo replaced; echo never", "replaced\n", 0),
    ("read a b <<E; echo \"$a,$b\"; read x </dev/null; echo $?\nonly\nE", "only,\n1\n", 0),
    (
        "echo 'x\\ty'; echo -e 'x\\ty'; echo -n a; echo b; echo \"$(printf 'a\\n\\n\\n').\"",
        "x\\ty\nx\ty\nab\na.\n",
        0,
    ),
];
