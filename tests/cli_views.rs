//! The verbs that show a scenario rather than judge it, from outside: `matrix`, `diff`, `graph`, `tables`, `capture`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests read what the command wrote")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FILE: &str = "\
services:
  web: {image: nginx, networks: [front]}
  client: {image: busybox, command: sleep infinity, networks: [front]}
  db: {image: postgres, networks: [back]}
networks: {front: {}, back: {}}
steps:
  - {in: client, run: ping -c 1 web}
  - {in: client, run: ping -c 1 -W 1 web}
checks:
  - client -> web:80: ok
";

/// A folder of one test, gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("views-{test}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("shop")).unwrap();
        std::fs::write(path.join("shop/compose.yaml"), FILE).unwrap();
        Self(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linkspan"));
        command.args(arguments).current_dir(&self.0).env_remove("COMPOSE_PROFILES").stdin(Stdio::null());
        command
    }

    /// Standard output, standard error and the exit code.
    fn linkspan(&self, arguments: &[&str]) -> (String, String, i32) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], parts: &[&str]) {
        let (out, err, code) = self.linkspan(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        for part in parts {
            assert!(err.contains(part), "{part:?} is missing in:\n{err}");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn each_verb_has_help_with_an_example() {
    let folder = Folder::new("help");
    let (all, ..) = folder.linkspan(&["--help"]);
    for verb in ["matrix", "diff", "graph", "tables", "capture"] {
        assert!(all.contains(&format!("\n  {verb} ")), "{verb} in\n{all}");
        let (help, _, code) = folder.linkspan(&[verb, "--help"]);
        assert_eq!(code, 0);
        let parts = [
            "Examples:".to_owned(),
            format!("linkspan {verb}"),
            "scenarios/".to_owned(),
            "Exit codes:".to_owned(),
        ];
        for part in parts {
            assert!(help.contains(&part), "{part:?} is missing in:\n{help}");
        }
        folder.refuses(
            &[verb, "nowhere.yaml", "nowhere.yaml"]
                [..if verb == "diff" || verb == "capture" { 3 } else { 2 }],
            &[],
        );
    }
}

#[test]
fn a_matrix_in_every_format() {
    let folder = Folder::new("matrix");
    let (table, err, code) = folder.linkspan(&["matrix", "shop"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(table.starts_with("from \\ to") && !table.contains('\u{1b}'), "{table}");
    assert!(table.contains("frames") && table.contains("of virtual time"), "{table}");
    let (verbose, ..) = folder.linkspan(&["matrix", "--verbose", "shop"]);
    assert!(verbose.contains("name shop-web-1"), "{verbose}");

    let (json, ..) = folder.linkspan(&["matrix", "--format", "json", "shop"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["name"], "shop");
    assert!(value["totals"]["frames"].as_u64().unwrap() > 100);
    let attempts = value["attempts"].as_array().unwrap();
    let web = attempts
        .iter()
        .find(|a| a["from"] == "client" && a["by"]["name"] == "web" && a["attempt"] == "80/tcp");
    assert_eq!(web.unwrap()["outcome"], "ok");

    let (junit, ..) = folder.linkspan(&["matrix", "--format", "junit", "--junit", "m.xml", "shop"]);
    let written = std::fs::read_to_string(folder.0.join("m.xml")).unwrap();
    assert_eq!(junit.trim_end(), written.trim_end());
    assert!(
        junit.contains("<testcase name=\"client -&gt; db name db ping\"")
            && junit.contains("message=\"unresolved\""),
        "{junit}"
    );

    let (oracle, ..) = folder.linkspan(&["matrix", "--format", "oracle", "shop"]);
    assert!(oracle.starts_with("ADDR shop-web-1 shop_front=172.18.0.2\n"), "{oracle}");
    assert!(oracle.contains("shop-client-1 -> shop-web-1 name web ping=ok tcp80=ok\n"), "{oracle}");
    folder.refuses(&["matrix", "--format", "xml", "shop"], &["junit", "oracle"]);
}

#[test]
fn a_comparison_has_the_exit_code_of_diff() {
    let folder = Folder::new("diff");
    std::fs::create_dir_all(folder.0.join("other")).unwrap();
    std::fs::write(
        folder.0.join("other/compose.yaml"),
        FILE.replace("networks: [back]", "networks: [front, back]"),
    )
    .unwrap();
    let (same, _, code) = folder.linkspan(&["diff", "shop", "shop"]);
    assert_eq!(code, 0);
    assert!(same.starts_with("no difference in "), "{same}");
    let name = ["-p", "shop"];
    let (changed, _, code) = folder.linkspan(&["diff", "shop", "other", name[0], name[1]]);
    assert_eq!(code, 1);
    let gained = "gained       web, client -> db: ping, 5432/tcp: unresolved, now ok\n             it was not because db is only on `back`";
    assert!(changed.starts_with(gained) && changed.contains("shop/compose.yaml:"), "{changed}");
    assert!(!changed.contains("FROM") && changed.ends_with("differ; --all lists them\n"), "{changed}");
    let (all, _, code) = folder.linkspan(&["diff", "--all", "shop", "other", name[0], name[1]]);
    assert_eq!(code, 1);
    assert!(all.starts_with(gained) && all.contains("FROM") && all.contains("unresolved"), "{all}");
    let (lost, ..) = folder.linkspan(&["diff", "other", "shop", name[0], name[1]]);
    assert!(
        lost.starts_with(
            "lost         web, client -> db: ping, 5432/tcp: ok, now unresolved\n             because "
        ),
        "{lost}"
    );
    let (renamed, _, code) = folder.linkspan(&["diff", "shop", "other", "--pings-only"]);
    assert_eq!(code, 1);
    assert!(renamed.contains("renamed      web: IPv4 on shop_front"), "{renamed}");
    let (json, _, code) = folder.linkspan(&["diff", "--format", "json", "shop", "other", name[0], name[1]]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, 1);
    assert!(!value["changes"].as_array().unwrap().is_empty());
    let pair = &value["pairs"][0];
    assert_eq!(pair["change"], "gained");
    assert_eq!(
        (&pair["from"], &pair["to"]),
        (&serde_json::json!(["web", "client"]), &serde_json::json!(["db"]))
    );
    assert_eq!(pair["attempts"], serde_json::json!(["ping", "5432/tcp"]));
    std::fs::create_dir_all(folder.0.join("less")).unwrap();
    let less =
        FILE.split("steps:").next().unwrap().replace("  db: {image: postgres, networks: [back]}\n", "");
    std::fs::write(folder.0.join("less/compose.yaml"), less).unwrap();
    let (gone, _, code) = folder.linkspan(&["diff", "shop", "less", name[0], name[1]]);
    assert_eq!(code, 1);
    assert!(gone.contains("db is in shop only: ") && !gone.contains("lost"), "{gone}");
    let (json, ..) = folder.linkspan(&["diff", "--format", "json", "shop", "less", name[0], name[1]]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&value["gone"], &value["come"]), (&serde_json::json!(["db"]), &serde_json::json!([])));
    assert!(value["changes"].as_array().unwrap().iter().any(|change| change["to"] == "db"));
    let (_, _, code) = folder.linkspan(&["diff", "shop", "--profiles", "28,28"]);
    assert_eq!(code, 0);
    folder.refuses(&["diff", "shop"], &["<AFTER>"]);
    folder.refuses(&["diff", "shop", "--profiles", "28"], &["two releases", "20.10,28"]);
    folder.refuses(&["diff", "shop", "--profiles", "27,28"], &["20.10", "29"]);
}

#[test]
fn a_drawing_in_every_format() {
    let folder = Folder::new("graph");
    let (mermaid, ..) = folder.linkspan(&["graph", "shop"]);
    assert!(
        mermaid.starts_with("flowchart TB\n") && mermaid.contains("shop_front<br/>bridge<br/>172.18.0.0/16"),
        "{mermaid}"
    );
    let (dot, ..) = folder.linkspan(&["graph", "--format", "dot", "shop"]);
    assert!(dot.starts_with("graph \"shop\" {"), "{dot}");
    let (out, _, code) = folder.linkspan(&["graph", "--format", "svg", "-o", "net.svg", "shop"]);
    assert_eq!((code, out.as_str()), (0, ""));
    let svg = std::fs::read_to_string(folder.0.join("net.svg")).unwrap();
    assert!(svg.contains("<svg xmlns=") && svg.contains("172.18.0.2"), "{svg}");
}

#[test]
fn tables_at_an_instant() {
    let folder = Folder::new("tables");
    let neighbours = |arguments: &[&str]| {
        let (json, err, code) = folder
            .linkspan(&[&["tables", "--format", "json", "--of", "client"], arguments, &["shop"]].concat());
        assert_eq!(code, 0, "{err}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["places"].as_array().unwrap().len(), 1);
        value["places"][0]["neighbours"].as_array().unwrap().len()
    };
    assert_eq!(neighbours(&["--after-step", "0"]), 0, "nobody was asked for yet");
    assert_eq!(neighbours(&["--after-step", "1"]), 1);
    assert_eq!(neighbours(&["--at", "0s"]), 1, "no wire has a delay");
    // Nothing happens at the instant asked for; what expires does so then, not when something happened last.
    let expiry = |at: &str| {
        let (json, err, _) =
            folder.linkspan(&["tables", "--format", "json", "--of", "host", "--at", at, "shop"]);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{err}"));
        let connections = value["places"][0]["connections"].as_array().unwrap();
        connections.iter().filter_map(|c| c["expires_ns"].as_u64()).max().unwrap()
    };
    assert_eq!(expiry("10s") - expiry("12.5s"), 2_500_000_000);
    let (text, ..) = folder.linkspan(&["tables", "shop"]);
    for part in [
        "host host",
        "container shop-web-1",
        "machine outside",
        "LAN uplink",
        "tracked connections",
        "DOCKER",
        "NETWORK",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    folder.refuses(&["tables", "--of", "wbe", "shop"], &["did you mean `web`?"]);
    folder.refuses(&["tables", "--after-step", "3", "shop"], &["no step 3", "2 steps"]);
    folder.refuses(&["tables", "--at", "soon", "shop"], &["300ms"]);
}

#[test]
fn a_capture_goes_to_a_pipe_or_a_file() {
    let folder = Folder::new("capture");
    let output = folder.command(&["capture", "shop", "front"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout[..4], [0x0a, 0x0d, 0x0d, 0x0a], "a pcapng section");
    let (out, err, code) = folder.linkspan(&["capture", "shop", "front", "-o", "front.pcapng"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains("packets in front.pcapng"), "{err}");
    assert_eq!(std::fs::read(folder.0.join("front.pcapng")).unwrap(), output.stdout);

    folder.refuses(
        &["capture", "shop", "frnt"],
        &["no network, container, host or machine `frnt`", "did you mean `front`?"],
    );
    folder
        .refuses(&["capture", "shop", "web:eth7"], &["web has no interface `eth7`", "did you mean `eth0`?"]);
    folder.refuses(&["capture", "shop", "wbe", "-o", "none.pcapng"], &["did you mean `web`?"]);
    assert!(!folder.0.join("none.pcapng").exists(), "a refused name leaves no file");
}

#[test]
fn who_shares_a_namespace_is_found_in_it() {
    let folder = Folder::new("shared");
    let text = "\
name: shared
services:
  web: {image: nginx}
  helper: {image: busybox, command: sleep 1d, network_mode: 'service:web'}
  agent: {image: busybox, command: sleep 1d, network_mode: host}
checks:
  - helper -> 172.18.0.1: ok
";
    std::fs::write(folder.0.join("shared.yaml"), text).unwrap();
    for (service, heading) in [
        ("helper", "container shared-web-1, whose namespace shared-helper-1 shares"),
        ("agent", "host host, whose namespace shared-agent-1 shares"),
    ] {
        let (out, err, code) = folder.linkspan(&["tables", "shared.yaml", "--of", service]);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains(heading), "{out}");
        let (_, err, code) = folder.linkspan(&["capture", "shared.yaml", service, "-o", "x.pcapng"]);
        assert_eq!(code, 0, "{err}");
        assert!(err.contains("packets in") && !err.contains("0 packets in"), "{err}");
    }
    let (_, err, code) = folder.linkspan(&["capture", "shared.yaml", "helper:eth0", "-o", "x.pcapng"]);
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_reader_that_goes_away_ends_a_capture_quietly() {
    let folder = Folder::new("closed");
    let mut child = folder
        .command(&["capture", "shop", "front"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

/// A container that died, one that is done, one that a terminal keeps, and one that a stand-in plays.
const DEAD: &str = "\
name: dead
services:
  worker: {image: busybox, command: sh -c 'echo starting; echo no database >&2; exit 3', expose: [80]}
  once: {image: busybox, command: echo done}
  shell: {image: alpine, tty: true}
  app: {image: 'mine:1', command: npm start, expose: [3000], healthcheck: {test: frob localhost}}
  idle: {image: busybox, command: tail -f /dev/null, expose: [81]}
";

#[test]
fn a_container_that_died_is_seen() {
    let folder = Folder::new("dead");
    std::fs::write(folder.0.join("dead.yaml"), DEAD).unwrap();
    let (out, err, code) = folder.linkspan(&["run", "dead.yaml"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("dead-worker-1 exited (3): no database"), "{err}");
    assert_eq!(err.matches("exited").count(), 1, "what ended well or runs is no matter:\n{err}");
    assert!(out.contains("container dead-worker-1  dead_default  exited (3)\n"), "{out}");
    let row = |service: &str| {
        let found = out.lines().rev().find(|line| line.split_whitespace().next() == Some(service));
        found
            .unwrap_or_else(|| panic!("no {service} in:\n{out}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(row("worker"), "worker default exited (3) -");
    assert_eq!(row("once"), "once default exited (0) -");
    assert_eq!(row("shell"), "shell default - -");
    assert_eq!(row("app"), "app default 3000/tcp -");
    assert_eq!(row("idle"), "idle default - -", "nothing listens there");
    let (_, checked, _) = folder.linkspan(&["check", "dead.yaml"]);
    for part in ["the command of `app` is not run", "the health check of `app` is not made"] {
        for told in [&err, &checked] {
            assert!(told.contains(part), "{part:?} is missing in:\n{told}");
        }
    }
    folder.refuses(&["tables", "--of", "worker", "dead.yaml"], &["worker is not running: it exited (3)"]);
    folder.refuses(
        &["explain", "dead.yaml", "worker -> app:3000"],
        &["with status 3 and last printed `no database`"],
    );
    let steps = r#"steps:
  - {run: "docker ps -a --format '{{.Command}}'", expect: ["npm start", "tail -f /dev/null"]}
  - {run: "docker inspect -f '{{.Path}} {{.Args}}' dead-app-1", expect: "npm [start]"}
"#;
    std::fs::write(folder.0.join("steps.yaml"), format!("{DEAD}{steps}")).unwrap();
    let (out, err, code) = folder.linkspan(&["test", "steps.yaml"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains("dead-worker-1 exited (3): no database"), "{err}");
}
