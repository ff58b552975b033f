//! Programs that show what runs and who talks, and `awk`, from outside.

use super::testing::World;

fn text(output: &str, status: u8) -> (String, u8) {
    (output.to_owned(), status)
}

/// What a program of `awk` prints of these lines.
fn awk(arguments: &[&str], input: &str) -> (String, u8) {
    let world = World::new();
    world.file("/in", input);
    world.run_words("a", &[&["awk"], arguments, &["/in"]].concat())
}

#[test]
fn awk_calls_the_functions_of_a_program() {
    let run = |program: &str| awk(&[program], "one\n");
    // Recursion, a variable of the call alone, one of the program that has the same name in another function.
    let factorial = "function f(n) { if (n < 2) return 1; return n * f(n - 1) } BEGIN { print f(10), f(1) }";
    assert_eq!(run(factorial), text("3628800 1\n", 0));
    let own = "func inner() { i = i + 1 } function outer(i) { i = 7; inner(); return i }\n\
               BEGIN { i = 1; print outer(), i }";
    assert_eq!(run(own), text("7 2\n", 0));
    // Arrays are the caller's, also one that is made by the function, and one handed on.
    let arrays = "function fill(list, n,  k) { for (k = 1; k <= n; k++) list[k] = k * k }\n\
                  function more(list) { fill(list, 4); delete list[1]; return length(list) }\n\
                  BEGIN { fill(a, 2); a[\"x\"]; print a[2], more(a), (1 in a), a[4]; print split(\"p q\", b), b[2] }";
    assert_eq!(run(arrays), text("4 4 0 16\n2 q\n", 0));
    let own_array =
        "function f(n, t) { t[n] = n; if (n > 0) f(n - 1); return length(t) } { print f(3), length(t), k }";
    assert_eq!(run(own_array), text("1 0 \n", 0));
    assert_eq!(
        run("function f(s) { sub(/n/, \"N\", s); return s } { print f($1), $1; print f() \"-\" }"),
        text("oNe one\n-\n", 0)
    );
    let refused = |program: &str, message: &str| {
        assert_eq!(run(program), text(&format!("awk: cmd. line:1: {message}\n"), 1), "{program}");
    };
    refused("{ print g(1) }", "function 'g' is not defined");
    refused("function f(a) { } function f(b) { }", "function 'f' is defined already");
    refused("function length(a) { }", "function 'length' is defined already");
    refused("function f() { next } { f() }", "'next' inside a function is not supported");
    refused("function f(a) { return a } { f(1, 2) }", "a function is called with too many arguments");
    refused("function f(a) { return f(a + 1) } { f(1) }", "functions call one another deeper than 40 levels");
    let deep = format!("function f(a) {{ return {}f(a) }} {{ f(1) }}", "!".repeat(40));
    refused(&deep, "expressions of calls nest deeper than 300 levels");
    refused("{ return 1 }", "Unexpected token");
}

#[test]
fn awk_prints_fields_that_a_pattern_selects() {
    let routes = "default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n";
    assert_eq!(awk(&["/^default/ {print $3}"], routes), text("10.0.0.1\n", 0));
    assert_eq!(
        awk(&["$2 == \"dev\" {print $1, NR; next} {print NF \":\" $NF}"], routes).0,
        "5:eth0\n10.0.0.0/24 2\n"
    );
    assert_eq!(awk(&["-F:", "{print $2}"], "a:b:c\n"), text("b\n", 0));
    assert_eq!(awk(&["-F", "[/ ]+", "{print $2}"], "a / b\n"), text("b\n", 0));
    assert_eq!(awk(&["!/x/"], "x\ny\n"), text("y\n", 0));
    assert_eq!(awk(&["NR > 1 && $1 ~ \"^b\""], "b1\nb2\nc\n"), text("b2\n", 0));
    assert_eq!(awk(&["-v", "n=2", "NR == n"], "a\nb\n"), text("b\n", 0));
    let sum = "function add(a, b) { return a + b } { print add($1, add($2, 1)) }";
    assert_eq!(awk(&[sum], "1 2\n3 4\n"), text("4\n8\n", 0));
    let lines = "1\na\n2\nb\n3\na b\n4\na\n5\n";
    assert_eq!(awk(&["/a/,/b/"], lines), text("a\n2\nb\na b\na\n5\n", 0));
    assert_eq!(
        awk(&["NR == 2, NR == 3 {print NR}  /4/,\n/9/ {n++} END {print n}"], lines),
        text("2\n3\n3\n", 0)
    );
}

#[test]
fn awk_counts_and_calculates() {
    let sum = "{sum += $1} END {print sum, sum / NR; printf \"%5.2f|%-4s|%03d|%x|%c%%\\n\", sum/3, \"ab\", 7, 255, 65}";
    assert_eq!(awk(&[sum], "1\n2\n5\n"), text("8 2.66667\n 2.67|ab  |007|ff|A%\n", 0));
    let counts =
        "{count[$1]++} END {for (k in count) print k, count[k]; print length(count), (\"b\" in count)}";
    assert_eq!(awk(&[counts], "b\na\nb\n"), text("a 1\nb 2\n2 1\n", 0));
    let numbers = "BEGIN {print 1e6, 0.1 + 0.2, 100000000000, -3 % 2, 2 ^ 3 ^ 2, 1 == 1.0, \"10\" < \"9\", 10 < 9, 1e300}";
    assert_eq!(awk(&[numbers], ""), text("1000000 0.3 100000000000 -1 512 1 1 0 1e+300\n", 0));
    let texts = "BEGIN {print 1 \" \" 2+3 \"x\"; print -1 \" \" -1; print substr(\"hello\", 0, 3) substr(\"hello\", 4); x = \"aab\"; \
                 n = gsub(/a/, \"<&>\", x); print n, x, index(x, \"b\"), toupper(x), length(\"ab\"), int(-3.7)}";
    assert_eq!(awk(&[texts], ""), text("1 5x\n-1-1\nhelo\n2 <a><a>b 7 <A><A>B 2 -3\n", 0));
    let split = "BEGIN {n = split(\"a:b:c\", p, \":\"); for (i = n; i; i--) printf p[i]; print \"\"; while (j < 3) j++; print j++, ++j; exit 3}";
    assert_eq!(awk(&[split], ""), text("cba\n3 5\n", 3));
    let changed =
        "{$2 = \"x\"; print; NF = 1; print; sub(/a/, \"b\"); print $1, match(\"xyz\", /y/), RSTART, RLENGTH}";
    assert_eq!(awk(&[changed], "a b\n"), text("a x\na\nb 2 2 1\n", 0));
    assert_eq!(
        awk(
            &["{if ($1 > 9) print \"big\"; else if ($1 > 5) print \"mid\"\nelse print \"small\"}"],
            "10\n6\n1\n"
        )
        .0,
        "big\nmid\nsmall\n"
    );
    assert_eq!(awk(&["{print $1 > 2 ? \"a\" : \"b\"}"], "1\n").1, 1, "it would write into a file");
    assert_eq!(awk(&["{print ($1 > 2 ? \"a\" : \"b\"), $1 / 2 / 2}"], "4\n"), text("a 1\n", 0));
}

#[test]
fn awk_refuses_by_name() {
    let refused = |program: &str, what: &str| {
        assert_eq!(awk(&[program], "a\n"), text(&format!("awk: cmd. line:{what}\n"), 1), "{program}");
    };
    refused("{getline}", "1: 'getline' is not supported");
    refused("{\nprint | \"sort\"}", "2: output into and input from commands ('|') is not supported");
    refused("{print > \"/f\"}", "1: output into files ('>') is not supported");
    refused("{print frob(1)}", "1: function 'frob' is not defined");
    refused("{print", "1: Unexpected token");
    refused("{prin $1}}", "1: Unexpected token");
    refused("{print $-1}", "1: Access to negative field");
    refused("BEGIN {print 1 / 0}", "1: Division by zero");
    refused("/(/", "1: bad regex '(': Unmatched ( or \\(");
    refused("BEGIN {while (1) x++}", "1: more than 1000000 steps for one record: a loop without end?");
    refused(
        "BEGIN {x = \"aaaaaaaa\"; while (1) x = x x}",
        "1: out of memory: a text is longer than 1024 KiB",
    );
    refused("{$99999999 = 1}", "1: out of memory: there is no field beyond 65536");
    assert_eq!(awk(&[&format!("BEGIN {{print {}1}}", "(".repeat(100_000))], "").1, 1);
    assert_eq!(awk(&[&format!("BEGIN {{print {}1}}", "-".repeat(100_000))], "").1, 1);
    assert_eq!(World::new().sh("a", "yes | awk '{print; print}' | head -n 3"), text("y\ny\ny\n", 0));
}

#[test]
fn uniq_prints_as_busybox_does() {
    let world = World::new();
    world.file("/u", "a\na\nb\nA\nc\nc\n");
    let run = |line: &str| world.run("a", line);
    assert_eq!(run("uniq -c /u"), text("      2 a\n      1 b\n      1 A\n      2 c\n", 0));
    assert_eq!(run("uniq -d /u"), text("a\nc\n", 0));
    assert_eq!(run("uniq -u /u"), text("b\nA\n", 0));
    assert_eq!(run("uniq -f 1 /u"), text("a\n", 0));
    assert_eq!(run("uniq -w 1 -i /u"), text("a\nb\nA\nc\n", 0));
    assert_eq!(run("uniq /nosuch"), text("uniq: can't open '/nosuch': No such file or directory\n", 1));
    assert_eq!(world.sh("a", "sort -r /u | uniq -c | head -n 1"), text("      2 c\n", 0));
}

#[test]
fn processes_are_listed_found_and_ended() {
    let world = World::new();
    world.file("/etc/passwd", "root:x:0:0::/:/bin/sh\nnode:x:1000:1000::/:/bin/sh\n");
    let sleep = world.start("a", &["sleep", "1d"]);
    let other = world.start("a", &["/bin/tail", "-f", "/dev/null"]);
    world.start("b", &["sleep", "2d"]);
    world.settle();
    let listed = "PID   USER     TIME  COMMAND\n    1 node      0:00 sleep 1d\n    2 node      0:00 /bin/tail -f /dev/null\n    \
                  4 node      0:00 ps\n";
    assert_eq!(world.run("a", "ps"), text(listed, 0));
    assert_eq!(
        world.run("a", "ps -o pid,comm"),
        text("PID   COMMAND\n    1 sleep\n    2 tail\n    5 ps\n", 0)
    );
    assert_eq!(world.run("a", "pgrep -l sl"), text("1 sleep\n", 0));
    assert_eq!(world.run("a", "pgrep -f -a null$"), text("2 /bin/tail -f /dev/null\n", 0));
    assert_eq!(world.run("a", "pgrep -x slee"), text("", 1));
    assert_eq!(world.run("a", "pidof tail sleep"), text("2 1\n", 0));
    assert_eq!(world.run("a", "pidof nosuch"), text("", 1));
    assert_eq!(world.run("a", "busybox kill 3"), text("kill: can't kill pid 3: No such process\n", 1));
    assert_eq!(world.run("a", "busybox kill"), text("kill: you need to specify whom to kill\n", 1));
    assert_eq!(world.run("a", "busybox kill -0 1"), text("", 0));
    assert_eq!(sleep.status(), None);
    assert_eq!((world.run("a", "busybox kill -9 1"), sleep.status()), (text("", 0), Some(137)));
    assert_eq!((world.run("a", "pkill -HUP tail"), other.status()), (text("", 0), Some(129)));
    assert_eq!(world.sh("a", "sleep 9 & kill $(pidof sleep); wait $!"), text("Terminated\n", 143));
}

#[test]
fn a_user_is_told_by_number_and_name() {
    let world = World::new();
    assert_eq!(world.run("a", "id"), text("uid=1000 gid=1000 groups=1000\n", 0));
    assert_eq!(world.run("a", "whoami"), text("whoami: unknown uid 1000\n", 1));
    world.file("/etc/passwd", "node:x:1000:1001::/:/bin/sh\n");
    world.file("/etc/group", "staff:x:1000:\n");
    assert_eq!(world.run("a", "id"), text("uid=1000(node) gid=1000(staff) groups=1000(staff)\n", 0));
    assert_eq!(world.run("a", "id -un"), text("node\n", 0));
    assert_eq!(world.run("a", "id -g"), text("1000\n", 0));
    assert_eq!(world.run("a", "id nosuch"), text("id: unknown user nosuch\n", 1));
    assert_eq!(world.run("host", "id"), text("uid=0(root) gid=0(root) groups=0(root)\n", 0));
    assert_eq!(world.run("host", "whoami"), text("root\n", 0));
}

#[test]
fn ss_prints_as_iproute2_does() {
    let world = World::new();
    world.start("a", &["nc", "-l", "-p", "5555", "-s", "10.0.0.2"]);
    world.start("a", &["nc", "-u", "-l", "-p", "53"]);
    world.settle();
    let client = world.start("b", &["nc", "10.0.0.2", "5555"]);
    world.settle();
    let (listening, _) = world.run("a", "ss -uln");
    assert!(
        listening
            .starts_with("State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\nUNCONN 0      0"),
        "{listening}"
    );
    let (peers, _) = world.run("b", "ss -tnp");
    let port = world.run("b", "netstat -tn").0;
    let port = port
        .lines()
        .last()
        .unwrap()
        .split_whitespace()
        .nth(3)
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let expected = format!(
        "State Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess\n\
         ESTAB 0      0           10.0.0.3:{port}     10.0.0.2:5555 users:((\"nc\",pid=3,fd=3))\n"
    );
    assert_eq!(peers, expected);
    assert_eq!(world.run("b", "ss -tH4").0, format!("ESTAB 0      0      10.0.0.3:{port} 10.0.0.2:5555\n"));
    assert_eq!(
        world.run("b", "ss -tl6"),
        text("State Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n", 0)
    );
    assert!(world.run("b", "ss -tuan").0.contains("\ntcp   ESTAB "));
    // Asked for by state, address and port, as iproute2 6.1 was seen answering.
    let server = world.run("a", "ss -tln sport = :53").0;
    assert_eq!(server, "State Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n");
    let one = format!(
        "Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess\n\
         0      0           10.0.0.3:{port}     10.0.0.2:5555 \n"
    );
    let heading = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(heading(&world.run("b", "ss -tn state established dport = :5555").0), heading(&one));
    for (filter, found) in [
        ("dst 10.0.0.2", true),
        ("dst 10.0.0.0/24 and not dport = :1", true),
        ("( sport = 1 or dport = :5555 )", true),
        ("dport gt 5554 dport < 5556", true),
        ("src 10.0.0.3:*", true),
        ("dst [::1]:5555", false),
        ("dport != 5555", false),
        ("src != 10.0.0.3", false),
    ] {
        assert_eq!(world.run("b", &format!("ss -tHn {filter}")).0.lines().count() == 1, found, "{filter}");
    }
    for (states, count) in [("state connected", 1), ("exclude established", 0), ("state listening", 0)] {
        assert_eq!(world.run("b", &format!("ss -tHn {states}")).0.lines().count(), count, "{states}");
    }
    for (wrong, said) in [
        ("state nonsense", ("ss: wrong state name: nonsense\n", 255)),
        ("state", ("Command line is not complete. Try option \"help\"\n", 255)),
        ("sport = :xyz", ("Error: \"xyz\" does not look like a port.\nCannot parse dst/src address.\n", 1)),
        (
            "sport=:80",
            ("Error: an inet prefix is expected rather than \"sport=\".\nCannot parse dst/src address.\n", 1),
        ),
    ] {
        assert_eq!(world.run("b", &format!("ss -tn {wrong}")), text(said.0, said.1), "{wrong}");
    }
    let (broken, status) = world.run("b", "ss -tn ( sport = :80");
    assert!(
        broken.starts_with("ss: bison bellows (while parsing filter): \"syntax error!\" Sorry.\n"),
        "{broken}"
    );
    assert_eq!(status, 255);
    world.start("a", &["httpd", "-f", "-p", "10.0.0.2:80"]);
    world.settle();
    let listener = world.run("a", "ss -tlnH sport = 80").0;
    assert!(listener.starts_with("LISTEN 0      9"), "{listener}");
    assert!(world.run("a", "netstat -tln").0.contains("tcp        0      0 10.0.0.2:80"));
    assert!(world.run("b", "ss -Q").0.starts_with("ss: invalid option -- 'Q'\nUsage: ss "));
    assert_eq!(client.status(), None);
}

#[test]
fn getent_asks_as_a_program_does() {
    let world = World::new();
    world.file("/etc/hosts", "127.0.0.1\tlocalhost\n10.0.0.3\tb b.test\n");
    let run = |line: &str| world.run("a", line);
    assert_eq!(run("getent hosts b"), text("10.0.0.3        b b.test\n", 0));
    assert_eq!(run("getent hosts 10.0.0.3"), text("10.0.0.3        b b.test\n", 0));
    let sockets = "10.0.0.3        STREAM b\n10.0.0.3        DGRAM  \n10.0.0.3        RAW    \n";
    assert_eq!(run("getent ahosts b"), text(sockets, 0));
    assert_eq!(run("getent ahostsv6 b"), text("", 2));
    let hint = "Try `getent --help' or `getent --usage' for more information.\n";
    assert_eq!(run("getent frob x"), text(&format!("Unknown database: frob\n{hint}"), 1));
    assert_eq!(run("getent"), text(&format!("getent: wrong number of arguments\n{hint}"), 1));
}

#[test]
fn telnet_joins_a_connection_to_its_streams() {
    let world = World::new();
    assert_eq!(
        world.run("a", "telnet 10.0.0.3 81"),
        text("telnet: can't connect to remote host (10.0.0.3): Connection refused\n", 1)
    );
    assert_eq!(world.run("a", "telnet nosuch 81"), text("telnet: bad address 'nosuch'\n", 1));
    assert!(world.run("a", "telnet").0.contains("Usage: telnet [-a] [-l USER] HOST [PORT]\n"));
    let server = world.start("b", &["nc", "-l", "-p", "81"]);
    world.settle();
    let client = world.start("a", &["telnet", "10.0.0.3", "81"]);
    write(&client.stdin, b"hi\n");
    write(&server.stdin, b"\xff\xfd\x01hello\xff\xff\r\n");
    world.settle();
    assert_eq!(server.text(), "hi\r\n");
    let shown = client.output.take();
    assert_eq!(shown, b"Connected to 10.0.0.3\nhello\xff\r\n");
    server.stdin.close_writer();
    client.stdin.close_writer();
    assert_eq!(world.finish(&client), 0);
}

fn write(pipe: &crate::engine::sys::Pipe, bytes: &[u8]) {
    let mut writing = std::pin::pin!(pipe.write_all(bytes));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(writing.as_mut().poll(&mut context).is_ready());
}
