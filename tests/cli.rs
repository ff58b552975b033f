//! The `linkspan` command from outside: what it prints, what it writes and how it exits.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests read what the command wrote")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of one test, gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{test}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn linkspan(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_linkspan"))
            .args(arguments)
            .current_dir(&self.0)
            .env_remove("COMPOSE_PROFILES")
            .env_remove("COMPOSE_PROJECT_NAME")
            .env_remove("COMPOSE_FILE")
            .env_remove("COMPOSE_PATH_SEPARATOR")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran::from(output)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug, PartialEq)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    fn last_line(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

const GOOD: &str = "\
services:
  web: {image: nginx, ports: ['8080:80']}
  client: {image: busybox, command: sleep infinity}
steps:
  - {in: client, run: ping -c 1 web}
checks:
  - client -> web:80: ok
  - client -> web:81: refused
";

const BAD: &str = "\
services:
  web: {image: nginx}
  client: {image: busybox, command: sleep infinity}
checks:
  - client -> web:80: ok
  - client -> web:81: ok
";

#[test]
fn help_names_every_verb_and_teaches_by_example() {
    let folder = Folder::new("help");
    let ran = folder.linkspan(&["--help"]).exits(0);
    has(&ran.out, &["run", "test", "check", "schema", "completions", "doctor", "Examples:", "Exit codes"]);
    for verb in ["run", "test", "check", "schema", "completions"] {
        has(&folder.linkspan(&[verb, "--help"]).exits(0).out, &["linkspan", "Usage"]);
    }
    has(&folder.linkspan(&["--version"]).exits(0).out, &["linkspan ", env!("CARGO_PKG_VERSION")]);
    folder.linkspan(&[]).exits(2);
    has(&folder.linkspan(&["chekc", "x"]).exits(2).err, &["chekc", "'check'"]);
    has(&folder.linkspan(&["run", "--docker", "27", "x"]).exits(2).err, &["20.10", "28", "29"]);
}

#[test]
fn a_file_that_is_not_there_is_bad_input() {
    let folder = Folder::new("missing").with("good.yaml", GOOD);
    for verb in ["run", "test", "check"] {
        let ran = folder.linkspan(&[verb, "nowhere.yaml"]).exits(2);
        has(&ran.err, &["error: cannot read nowhere.yaml"]);
    }
    has(&folder.linkspan(&["run"]).exits(2).err, &["compose.yaml", "name a file"]);
    has(&folder.linkspan(&["test", "."]).exits(0).out, &["1 passed, 0 failed"]);
}

#[test]
fn what_is_no_text_is_refused_and_nobody_waits_for_it() {
    let folder = Folder::new("no-text");
    std::fs::write(folder.0.join("latin.yaml"), b"name: caf\xe9\n").unwrap();
    let made = Command::new("mkfifo").arg(folder.0.join("fifo")).status().unwrap();
    assert!(made.success());
    has(&folder.linkspan(&["check", "latin.yaml"]).exits(2).err, &["not text in UTF-8: byte 10 is not"]);
    has(&folder.linkspan(&["check", "fifo"]).exits(2).err, &["cannot read fifo: not a regular file"]);
}

#[test]
fn a_broken_file_is_shown_with_its_line() {
    let folder = Folder::new("broken")
        .with("a.yaml", "services:\n  web:\n    image: nginx\n    netwroks: [a]\n")
        .with("b.yaml", "services:\n  web: [\n")
        .with("c.yaml", "");
    for verb in ["run", "test", "check"] {
        let ran = folder.linkspan(&[verb, "a.yaml"]).exits(2);
        has(&ran.err, &["error: ", "a.yaml:4:5", "netwroks: [a]", "did you mean `networks`?"]);
        has(&folder.linkspan(&[verb, "b.yaml"]).exits(2).err, &["error: ", "b.yaml:"]);
        assert!(!ran.err.contains('\u{1b}'), "colours without a terminal");
    }
}

#[test]
fn check_judges_without_running() {
    let folder = Folder::new("check")
        .with("good.yaml", GOOD)
        .with("bad.yaml", "services: {web: {image: nginx, networks: [x]}}\n")
        .with("warned.yaml", "services: {web: {image: 'nginx:$TAG_NOBODY_SETS', volumes: ['./a:/b']}}\n");
    let ran = folder.linkspan(&["check", "good.yaml"]).exits(0);
    assert_eq!(ran.out, "good.yaml: ok (1 network, 2 services, 1 step, 2 checks)\n");
    assert_eq!(ran.err, "");
    let ran = folder.linkspan(&["check", "good.yaml", "bad.yaml", "warned.yaml"]).exits(2);
    has(&ran.out, &["good.yaml: ok", "warned.yaml: ok (1 network, 1 service, 2 warnings)"]);
    has(&ran.err, &["bad.yaml:1:", "TAG_NOBODY_SETS is not set", "Docker refuses the image `nginx:`"]);
    assert!(!ran.err.contains("does not concern"));
    let ran = folder.linkspan(&["check", "--verbose", "warned.yaml"]).exits(0);
    has(&ran.err, &["`services.web.volumes` does not concern networking"]);
}

#[test]
fn schema_and_completions_are_whole() {
    let folder = Folder::new("schema");
    let schema: serde_json::Value = serde_json::from_str(&folder.linkspan(&["schema"]).exits(0).out).unwrap();
    assert!(schema["properties"]["services"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        has(&folder.linkspan(&["completions", shell]).exits(0).out, &["linkspan", "completions", "junit"]);
    }
    folder.linkspan(&["completions", "nosuchshell"]).exits(2);
}

/// The page of the format has every key of the schema with what the schema says of it.
#[test]
fn the_page_of_the_format_has_every_key() {
    fn keys(value: &serde_json::Value, found: &mut Vec<(String, String)>) {
        let properties = value.get("properties").and_then(|value| value.as_object());
        for (key, schema) in properties.into_iter().flatten() {
            let text = schema.get("description").and_then(|text| text.as_str()).unwrap_or_default();
            found.push((key.clone(), text.to_owned()));
        }
        match value {
            serde_json::Value::Object(fields) => fields.values().for_each(|value| keys(value, found)),
            serde_json::Value::Array(items) => items.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let folder = Folder::new("format");
    let schema: serde_json::Value = serde_json::from_str(&folder.linkspan(&["schema"]).exits(0).out).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/FORMAT.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut found = Vec::new();
    keys(&schema, &mut found);
    assert!(found.len() > 300, "{}", found.len());
    for (key, text) in found {
        let ignored = text == "No bearing on networking; ignored.";
        let told = |line: &str| match ignored {
            true => line.starts_with("Read and without bearing") && line.contains(&format!("`{key}`")),
            false => line.starts_with(&format!("| `{key}` |")) && line.contains(&text),
        };
        assert!(page.lines().any(told), "scenarios/FORMAT.md lacks `{key}`: {text}");
    }
}

#[test]
fn run_tells_what_happens_and_exits_by_the_verdict() {
    let folder = Folder::new("run").with("compose.yaml", GOOD).with("bad.yaml", BAD);
    let ran = folder.linkspan(&["run", "-p", "shop"]).exits(0);
    has(
        &ran.out,
        &["network ", "shop_default", "container", "shop-web-1", "client$ ping -c 1 web", "64 bytes from"],
    );
    has(&ran.out, &["✓ client -> web:80: ok", "✓ client -> web:81: refused"]);
    has(ran.last_line(), &["passed", "1 step", "2 checks", "frames", "virtual time"]);
    let ran = folder.linkspan(&["run", "bad.yaml"]).exits(1);
    has(&ran.out, &["✓ client -> web:80: ok", "✗ client -> web:81: ok", "expected: ok", "found:    refused"]);
    has(ran.last_line(), &["failed", "1 of 2 checks failed"]);
    let quiet = folder.linkspan(&["run", "--quiet", "bad.yaml"]).exits(1);
    has(&quiet.out, &["✗ client -> web:81: ok  bad.yaml:6:5", "found:    refused"]);
    assert!(!quiet.out.contains("✓"));
    assert_eq!(quiet.last_line(), ran.last_line());
}

#[test]
fn a_failed_check_says_why_and_what_to_do() {
    let text = "services:\n  web: {image: nginx, networks: [front]}\n  db: {image: postgres, networks: [back]}\n\
                networks: {front: , back: }\nchecks:\n  - web -> db:5432: ok\n  - web -> dbb:5432: ok\n";
    let folder = Folder::new("why").with("apart.yaml", text);
    let ran = folder.linkspan(&["test", "apart.yaml"]).exits(1);
    has(
        &ran.out,
        &[
            "found:    unresolved",
            "because:  db is only on `back`, web on `front`: they share no network",
            "by:       apart.yaml:3:",
            "try:      connect web to `back`",
            "because:  nothing has the name dbb",
            "try:      did you mean `db`?",
            "0 passed, 1 failed, 1 warning (`linkspan check` shows them)",
        ],
    );
    assert!(!ran.out.contains("127.0.0.11"), "the hops of a name server's answer say nothing:\n{}", ran.out);
    has(
        &folder.linkspan(&["check", "apart.yaml"]).exits(0).err,
        &["no container and no alias is called `dbb`"],
    );
    let json = folder.linkspan(&["test", "--format", "json", "apart.yaml"]).exits(1).out;
    has(&json, &[r#""suggestion":"did you mean `db`?""#, r#""warnings":1"#]);
}

#[test]
fn who_does_not_run_is_not_the_only_one_that_reaches() {
    let text = "services:\n  web: {image: nginx}\n  b: {image: busybox, command: 'true'}\n\
                checks: [only b -> web:81]\n";
    let ran = Folder::new("only").with("only.yaml", text).linkspan(&["run", "only.yaml"]).exits(1);
    has(&ran.out, &["✗ only b -> web:81", "only-b-1 does not: it does not run"]);
}

#[test]
fn a_folder_above_has_a_name_too() {
    let folder = Folder::new("above").with("shop/compose.yaml", GOOD).with("shop/sub/keep", "");
    let sub = Folder(folder.0.join("shop/sub"));
    for path in ["../compose.yaml", "..", "../sub/../compose.yaml"] {
        has(&sub.linkspan(&["run", path]).exits(0).out, &["shop-web-1"]);
    }
}

#[test]
fn a_matrix_of_too_many_is_refused() {
    let text = "services:\n  web: {image: nginx, deploy: {replicas: 501}}\n";
    let ran = Folder::new("many").with("many.yaml", text).linkspan(&["matrix", "many.yaml"]).exits(2);
    has(&ran.err, &["a matrix of 501 containers is too large", "at most 500"]);
}

#[test]
fn a_matrix_of_many_says_all_of_them_at_once() {
    let more: String =
        (0..9).map(|n| format!("  c{n}: {{image: busybox, command: sleep infinity}}\n")).collect();
    let text = format!("services:\n  web: {{image: nginx, ports: ['8080:80']}}\n{more}");
    let ran = Folder::new("many").with("many.yaml", &text).linkspan(&["matrix", "many.yaml"]).exits(0);
    has(&ran.out, &["ok from all 10 containers, host, outside", "172.18.0.1 (host) for all 10 containers"]);
}

#[test]
fn a_plain_compose_file_shows_what_it_sets_up() {
    let text =
        "services:\n  web: {image: nginx, ports: ['8080:80', '127.0.0.1::443']}\n  db: {image: postgres}\n";
    let folder = Folder::new("plain").with("compose.yaml", text);
    let ran = folder.linkspan(&["run", "."]).exits(0);
    has(
        &ran.out,
        &["SERVICE", "5432/tcp", "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 127.0.0.1:32768->443/tcp"],
    );
    assert_eq!(folder.linkspan(&["test", "compose.yaml"]).exits(0).out, "1 passed, 0 failed\n");
    let conflict = text.replace("{image: postgres}", "{image: postgres, ports: ['8080:5432']}");
    let folder = folder.with("compose.yaml", &conflict);
    let refused = folder.linkspan(&["test", "compose.yaml"]).exits(2);
    has(&refused.out, &["0 passed, 0 failed, 1 refused"]);
    has(&refused.err, &["the same host port 8080/tcp", "compose.yaml:3", "note: `web` has it"]);
}

#[test]
fn json_is_one_object_a_line_with_the_report_last() {
    let folder = Folder::new("json").with("bad.yaml", BAD);
    for arguments in
        [&["run", "--format", "json", "bad.yaml"][..], &["run", "--format", "json", "-v", "bad.yaml"]]
    {
        let ran = folder.linkspan(arguments).exits(1);
        let values: Vec<serde_json::Value> = ran
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect();
        assert!(values.iter().all(serde_json::Value::is_object) && values.len() > 4);
        let report = values.last().unwrap();
        assert_eq!((&report["event"], &report["passed"]), (&"report".into(), &false.into()));
        assert_eq!(report["checks"][1]["failure"]["found"], "refused");
        assert_eq!(report["checks"][1]["at"], "bad.yaml:6:5");
    }
}

#[test]
fn captures_are_written_where_asked() {
    let folder = Folder::new("pcap").with("good.yaml", GOOD);
    folder.linkspan(&["run", "--pcap", "out/captures", "good.yaml"]).exits(0);
    let files: Vec<PathBuf> = std::fs::read_dir(folder.0.join("out/captures"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        let content = std::fs::read(&file).unwrap();
        // The section header block of pcapng.
        assert_eq!(content.get(..4), Some(&[0x0a, 0x0d, 0x0d, 0x0a][..]), "{}", file.display());
    }
}

#[test]
fn a_flood_is_told_at_first_and_counted_then() {
    let file = "services:\n  web: {image: nginx}\n  attacker: {image: busybox, command: sleep 1d}\nsteps:\n  \
                - in: attacker\n    run: hping3 -S --flood -c 2000 -p 80 web\n";
    let folder = Folder::new("flood").with("f/flood.yaml", file);
    let ran = folder.linkspan(&["run", "f/flood.yaml"]).exits(0);
    let told = ran.out.lines().filter(|line| line.contains("TCP SYN 172")).count();
    assert_eq!(told, 12, "{}", ran.out);
    has(
        &ran.out,
        &[
            "… 1,988 more like this in 0.01987 s: f-attacker-1 → f-web-1  TCP SYN to port 80: delivered\n",
            "f-web-1 → f-attacker-1  TCP SYN-ACK: refused at eth0 of f-attacker-1: nothing listens on the port\n",
        ],
    );
    assert!(ran.out.lines().count() < 80, "{}", ran.out);
    let all = folder.linkspan(&["run", "--verbose", "f/flood.yaml"]).exits(0);
    let headline =
        |line: &&str| line.contains("f-attacker-1 → f-web-1  TCP SYN 172") && !line.contains("(continued)");
    assert_eq!(all.out.lines().filter(headline).count(), 2000);
    assert!(!all.out.contains("more like this"));
}

#[test]
fn two_runs_are_the_same_byte_for_byte() {
    let folder = Folder::new("same").with("good.yaml", GOOD);
    let run = |captures: &str| {
        folder.linkspan(&["run", "-v", "--seed", "7", "--pcap", captures, "good.yaml"]).exits(0)
    };
    assert_eq!(run("a"), run("b"));
    let mut names: Vec<_> =
        std::fs::read_dir(folder.0.join("a")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in &names {
        let read = |captures: &str| std::fs::read(folder.0.join(captures).join(name)).unwrap();
        assert!(read("a") == read("b"), "{} differs", name.display());
    }
    assert!(!names.is_empty());
}

#[test]
fn test_takes_folders_and_says_only_what_failed() {
    let folder = Folder::new("folder")
        .with("all/a-good.yaml", GOOD)
        .with("all/deep/b-bad.yml", BAD)
        .with("all/deep/notes.yaml", "kind: Deployment\n")
        .with("all/c-user.yaml", "include: [parts/base.yaml]\nchecks: ['web -> web:80: ok']\n")
        .with("all/parts/base.yaml", "services: {web: {image: nginx}}\n")
        .with("all/.hidden/d.yaml", "services: [\n");
    let ran = folder.linkspan(&["test", "all"]).exits(1);
    assert!(
        ran.out.starts_with("FAIL all/deep/b-bad.yml\n  ✗ client -> web:81: ok  all/deep/b-bad.yml:6:5\n"),
        "{}",
        ran.out
    );
    has(&ran.out, &["expected: ok", "found:    refused", "    | "]);
    assert_eq!((ran.last_line(), ran.err.as_str()), ("2 passed, 1 failed", ""));
    let loud = folder.linkspan(&["test", "-v", "--jobs", "1", "all"]).exits(1);
    has(&loud.out, &["ok   all/a-good.yaml", "ok   all/c-user.yaml"]);
    has(
        &loud.err,
        &["all/deep/notes.yaml is no scenario", "all/parts/base.yaml is included by another file"],
    );
    assert_eq!(folder.linkspan(&["test", "--filter", "good", "all"]).exits(0).out, "1 passed, 0 failed\n");
    has(&folder.linkspan(&["test", "--filter", "nothing", "all"]).exits(2).err, &["`nothing`"]);
    assert_eq!(
        folder.linkspan(&["test", "all/a-good.yaml", "--seeds", "3"]).exits(0).out,
        "1 passed, 0 failed\n"
    );
    has(
        &folder.linkspan(&["test", "all/deep/b-bad.yml", "--seeds", "2"]).exits(1).out,
        &["(with seeds 0, 1 of 2)"],
    );
    let folder = folder.with("all/e-broken.yaml", "services: [\n");
    let ran = folder.linkspan(&["test", "all"]).exits(2);
    assert_eq!(ran.last_line(), "2 passed, 1 failed, 1 refused");
    has(&ran.err, &["all/e-broken.yaml:"]);
}

#[test]
fn test_tells_programs_what_held_and_what_did_not() {
    let slow = "services: {web: {image: nginx}}\nsteps: [wait 90s]\nchecks: ['web -> web:80: ok']\n";
    let folder = Folder::new("test-json")
        .with("a.yaml", GOOD)
        .with("b.yaml", BAD)
        .with("c.yaml", "services: [\n")
        .with("d.yaml", slow);
    let ran = folder.linkspan(&["test", "--format", "json", "."]).exits(2);
    assert_eq!(ran.err, "", "what is wrong with a file is told once, as JSON");
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [good, bad, broken, slow, summary] = lines.as_slice() else { panic!("{}", ran.out) };
    assert_eq!((&good["event"], &good["passed"]), (&"report".into(), &true.into()));
    assert!(good["file"].as_str().unwrap().ends_with("a.yaml"));
    assert!(good["totals"]["frames"].as_u64().unwrap() > 0);
    assert_eq!((&bad["passed"], &bad["seed"]), (&false.into(), &0.into()));
    let failed: Vec<_> =
        bad["checks"].as_array().unwrap().iter().filter(|check| check["passed"] == false).collect();
    assert_eq!(failed[0]["claim"], "client -> web:81: ok");
    assert_eq!(failed[0]["failure"]["found"], "refused");
    assert!(broken["event"] == "refused" && broken["message"].as_str().unwrap().contains("c.yaml"));
    assert_eq!((&slow["totals"]["time"], &slow["steps"][0]["end"]), (&90.0.into(), &90.0.into()));
    let expected =
        serde_json::json!({ "event": "summary", "passed": 2, "failed": 1, "refused": 1, "warnings": 0 });
    assert_eq!(*summary, expected);
    let seeds = folder.linkspan(&["test", "--format", "json", "--seeds", "2", "a.yaml"]).exits(0);
    assert_eq!(seeds.out.lines().count(), 3, "a report for each seed, and the summary");
    has(&seeds.out, &["\"seed\":0", "\"seed\":1"]);
}

#[test]
fn junit_has_a_suite_per_file_and_a_case_per_step_and_check() {
    let folder =
        Folder::new("junit").with("a.yaml", GOOD).with("b.yaml", BAD).with("c.yaml", "services: [\n");
    folder.linkspan(&["test", "--junit", "report.xml", "."]).exits(2);
    let text = folder.read("report.xml");
    let document = quick_junit::Report::deserialize_from_str(&text).unwrap();
    assert_eq!(document.test_suites.len(), 3);
    assert_eq!((document.tests, document.failures, document.errors), (8, 1, 1));
    has(&text, &["client -&gt; web:81: ok", "expected ok, found refused", "b.yaml:6:5"]);
    folder.linkspan(&["test", "--junit", "again.xml", "."]).exits(2);
    assert_eq!(text, folder.read("again.xml"));
    has(
        &folder.linkspan(&["test", "--junit", "no/such/x.xml", "a.yaml"]).exits(2).err,
        &["cannot write no/such/x.xml"],
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new("pipe").with("good.yaml", GOOD);
    let mut child = Command::new(env!("CARGO_BIN_EXE_linkspan"))
        .args(["run", "-v", "good.yaml"])
        .current_dir(&folder.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

const OVERRIDDEN: &str =
    "services: {web: {image: nginx}, client: {image: busybox, command: sleep infinity}}\n";
const OVERRIDE: &str = "services: {web: {networks: {default: {aliases: [shop]}}}}\nx-linkspan: {checks: ['client -> shop:80: ok']}\n";

#[test]
fn a_folder_is_its_project_with_the_override_file_and_a_file_is_itself() {
    let folder = Folder::new("override")
        .with("compose.yaml", OVERRIDDEN)
        .with("compose.override.yaml", OVERRIDE)
        .with("deep/docker-compose.yml", OVERRIDDEN)
        .with("deep/docker-compose.override.yml", &OVERRIDE.replace("80: ok", "81: ok"));
    has(&folder.linkspan(&["run"]).exits(0).out, &["✓ client -> shop:80: ok"]);
    has(
        &folder.linkspan(&["check", "."]).exits(0).out,
        &["compose.yaml: ok (1 network, 2 services, 1 check)"],
    );
    folder.linkspan(&["explain", ".", "client -> shop:80"]).exits(0);
    folder.linkspan(&["explain", "compose.yaml", "client -> shop:80"]).exits(1);
    let alone = folder.linkspan(&["run", "compose.yaml"]).exits(0);
    assert!(!alone.out.contains("shop:80"), "{}", alone.out);
    let all = folder.linkspan(&["test", "-v", "."]).exits(1);
    has(&all.out, &["FAIL ./deep/docker-compose.yml", "client -> shop:81: ok", "1 passed, 1 failed"]);
    has(&all.err, &["compose.override.yaml overrides another file"]);
}

#[test]
fn files_given_with_f_are_merged_in_order() {
    let folder = Folder::new("merge")
        .with("a.yaml", OVERRIDDEN)
        .with("b.yaml", OVERRIDE)
        .with("c.yaml", "services: {web: {networks: !reset []}}\n");
    let both = ["-f", "a.yaml", "-f", "b.yaml"];
    let with = |verb: &str, more: &[&str]| folder.linkspan(&[&[verb], &both[..], more].concat());
    has(&with("run", &[]).exits(0).out, &["✓ client -> shop:80: ok"]);
    assert_eq!(with("test", &[]).exits(0).out, "1 passed, 0 failed\n");
    has(&with("check", &[]).exits(0).out, &["a.yaml: ok (1 network, 2 services, 1 check)"]);
    with("explain", &["client -> shop:80"]).exits(0);
    with("explain", &["client", "->", "shop:80"]).exits(0);
    has(&with("matrix", &["--pings-only"]).exits(0).out, &["web", "client"]);
    with("tables", &["--of", "web"]).exits(0);
    with("capture", &["web", "-o", "web.pcapng"]).exits(0);
    with("run", &["-f", "c.yaml"]).exits(1);
    has(&with("run", &["a.yaml"]).exits(2).err, &["cannot be used with"]);
    has(&with("capture", &["web", "client"]).exits(2).err, &["besides the files"]);
    has(&folder.linkspan(&["test"]).exits(2).err, &["PATH"]);
}

#[test]
fn the_env_file_names_the_project_and_its_files() {
    let folder = Folder::new("env-file")
        .with("a.yaml", OVERRIDDEN)
        .with("b.yaml", OVERRIDE)
        .with(".env", "COMPOSE_FILE=a.yaml:b.yaml\nCOMPOSE_PROJECT_NAME=fromenv\n");
    has(&folder.linkspan(&["run"]).exits(0).out, &["fromenv-web-1", "✓ client -> shop:80: ok"]);
    has(&folder.linkspan(&["run", "-p", "given"]).exits(0).out, &["given-web-1"]);
    assert_eq!(folder.linkspan(&["test", "."]).exits(0).out, "1 passed, 0 failed\n");
    let folder = folder.with("a.yaml", &format!("name: fromfile\n{OVERRIDDEN}"));
    has(&folder.linkspan(&["run"]).exits(0).out, &["fromenv-web-1"]);
    let folder = folder.with(".env", "COMPOSE_PROJECT_NAME=Wrong Name\n");
    has(&folder.linkspan(&["check", "a.yaml"]).exits(2).err, &["COMPOSE_PROJECT_NAME", "`wrongname`"]);
}
