//! The labs under `scenarios/labs`, done as a learner would do them, and the stepper they are done with.
//!
//! Every lab is graded twice: as it stands, when nothing may be done, and after its own solution, when everything must be.
//! Transcripts of sessions are goldens under `tests/goldens/stepper`; `LINKSPAN_BLESS=1` writes them anew, to be read
//! as a learner would read them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "labs and goldens are on disk")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use linkspan::lab::stepper::{TaskState, solution};
use linkspan::lab::tables::{self, Moment};
use linkspan::lab::{Grade, Reply, Stepper};
use linkspan::scenario::render::Style;
use linkspan::scenario::{Action, DiskSource, Goal, LoadOptions, MemorySource, Scenario, load};
use proptest::prelude::*;

const FOLDER: &str = "scenarios/labs";

fn labs() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Scenario {
    load(&DiskSource, path, &LoadOptions::default()).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn scenario(text: &str) -> Scenario {
    let source = MemorySource::default().with_file("/lab/lab.yaml", text);
    load(&source, Path::new("/lab/lab.yaml"), &LoadOptions::default())
        .unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn stepper(scenario: &Scenario, seed: u64) -> Stepper<'_> {
    Stepper::new(scenario, seed, Style::Plain).unwrap_or_else(|error| panic!("{}", error.message))
}

/// A line that has to be understood and done.
#[track_caller]
fn done(stepper: &mut Stepper<'_>, line: &str) -> Vec<String> {
    let Reply { lines, refused, .. } = stepper.line(line);
    assert!(!refused, "{line}: {}", lines.join("\n"));
    lines
}

fn grade(stepper: &Stepper<'_>) -> Grade {
    stepper.grade().unwrap_or_else(|error| panic!("{}", error.message))
}

fn shown(stepper: &Stepper<'_>) -> String {
    stepper.tables().text(Style::Plain).join("\n")
}

#[test]
fn a_lab_can_be_done_from_its_own_text() {
    let labs = labs();
    assert!(labs.len() >= 8, "{labs:?}");
    let table = fs::read_to_string(Path::new(FOLDER).join("README.md")).unwrap();
    for path in labs {
        let (lab, at) = (read(&path), path.display().to_string());
        assert!(lab.text.is_some(), "{at}: no text");
        assert!(lab.tasks.len() >= 2, "{at}: {} tasks", lab.tasks.len());
        assert!(!lab.checks.is_empty(), "{at}: no checks");
        let told = lab.steps.iter().filter(|step| step.text.is_some()).count();
        assert!(told * 2 > lab.steps.len(), "{at}: most steps say nothing");
        assert!(lab.steps.iter().all(|step| !matches!(&step.action, Action::Check(c) if c.is_empty())));
        for task in &lab.tasks {
            assert!(!task.hints.is_empty(), "{at}: no hint for {}", task.id.value);
            assert!(!task.solution.is_empty(), "{at}: no solution of {}", task.id.value);
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(table.contains(&format!("| `{name}` |")), "README.md lacks {name}");
        let head = fs::read_to_string(&path).unwrap();
        assert!(head.contains(&format!("#   linkspan run --step {at}")), "{at}: no command in its head");
    }
}

#[test]
fn a_lab_is_not_done_without_its_solution_and_done_with_it() {
    for path in labs() {
        let lab = read(&path);
        for seed in [0, 7] {
            let at = format!("{}, seed {seed}", path.display());
            let mut stepper = stepper(&lab, seed);
            done(&mut stepper, "end");
            assert!(stepper.held(), "{at}: a step or check of its own does not hold");
            assert_eq!(grade(&stepper).done(), 0, "{at}: done from the start");
            for (number, task) in lab.tasks.iter().enumerate() {
                let before = grade(&stepper);
                assert_ne!(before.tasks[number].state, TaskState::Done, "{at}: {} is no task", task.id.value);
                if let Goal::Answer(_) = task.goal {
                    done(&mut stepper, &format!("answer {} nobody-knows", task.id.value));
                    let state = grade(&stepper).tasks[number].state.clone();
                    assert_eq!(state, TaskState::Wrong("nobody-knows".to_owned()), "{at}");
                }
                for line in solution(task) {
                    done(&mut stepper, &line);
                }
                let after = grade(&stepper);
                assert_eq!(after.tasks[number].state, TaskState::Done, "{at}: {}", task.id.value);
            }
            let grade = grade(&stepper);
            assert!(grade.is_complete(), "{at}:\n{}", grade.text(Style::Plain).join("\n"));
        }
    }
}

/// An answer that the lab's own commands do not show would be taken on trust.
#[test]
fn what_a_solution_prints_has_the_answer() {
    for path in labs() {
        let lab = read(&path);
        let mut stepper = stepper(&lab, 0);
        done(&mut stepper, "end");
        for task in &lab.tasks {
            let mut printed = String::new();
            for line in &task.solution {
                for told in done(&mut stepper, line).into_iter().skip(1) {
                    let _ = writeln!(printed, "{told}");
                }
            }
            if let Goal::Answer(answers) = &task.goal {
                let found = answers.iter().any(|answer| printed.contains(answer.as_str()));
                assert!(found, "{}: {} is not {answers:?}:\n{printed}", path.display(), task.id.value);
            }
        }
    }
}

/// What the texts send a learner to see with `explain`, in labs 2 and 6.
#[test]
fn an_explanation_names_the_chain_that_is_asked_for() {
    for (lab, question, rule) in [
        ("02-isolation.yaml", "shop -> 10.2.0.2:5432", "raw PREROUTING"),
        ("06-hairpin-without-proxy.yaml", "stranger -> 203.0.113.10:8080", "filter DOCKER-ISOLATION-STAGE-2"),
    ] {
        let lab = read(&Path::new(FOLDER).join(lab));
        let mut stepper = stepper(&lab, 0);
        done(&mut stepper, "end");
        let told = done(&mut stepper, &format!("explain {question}"));
        let verdict = told.iter().find(|line| line.trim_start().starts_with("rule ")).unwrap();
        assert!(verdict.contains(rule), "{verdict}");
    }
}

#[test]
fn going_back_gives_the_same_tables() {
    for path in labs() {
        let lab = read(&path);
        let mut stepper = stepper(&lab, 0);
        let mut seen = vec![shown(&stepper)];
        for _ in 0..lab.steps.len() + lab.checks.len() {
            done(&mut stepper, "next");
            seen.push(shown(&stepper));
        }
        done(&mut stepper, "docker network create extra");
        done(&mut stepper, "wait 5s");
        done(&mut stepper, "back 2");
        for (place, tables) in seen.iter().enumerate().rev() {
            assert_eq!(&shown(&stepper), tables, "{} at {place}", path.display());
            done(&mut stepper, "back");
        }
        let last = seen.len() - 1;
        done(&mut stepper, &format!("to {last}"));
        assert_eq!(shown(&stepper), seen[last], "{}", path.display());
        done(&mut stepper, "to 1");
        assert_eq!(shown(&stepper), seen[1], "{}", path.display());
    }
}

#[test]
fn a_step_leaves_what_a_run_leaves() {
    for path in labs().into_iter().take(3) {
        let lab = read(&path);
        let mut stepper = stepper(&lab, 0);
        done(&mut stepper, "end");
        let run = tables::at(&lab, 0, Moment::End).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(shown(&stepper), run.text(Style::Plain).join("\n"), "{}", path.display());
    }
}

const SMALL: &str = "
name: small
services:
  web: {image: nginx}
  db: {image: postgres}
steps:
  - {in: web, run: ping -c 1 db, text: Look.}
  - check: 'web -> db:5432: ok'
  - {in: web, run: 'false'}
checks:
  - 'web -> db:80: refused'
tasks:
  - {id: away, title: Away, text: Stop db., hints: [one, two], done: ['web ? db: unresolved'], solution: docker stop db}
  - {id: count, text: How many legs?, answer: [4, four]}
";

#[test]
fn questions_and_grades_leave_the_world_as_it_is() {
    let small = scenario(SMALL);
    let mut stepper = stepper(&small, 0);
    done(&mut stepper, "next 2");
    let before = shown(&stepper);
    for line in [
        "explain web -> db:5432",
        "grade",
        "hint",
        "story",
        "tables",
        "tasks",
        "steps",
        "text",
        "help",
        "answer count 5",
    ] {
        assert!(!done(&mut stepper, line).is_empty(), "{line}");
        assert_eq!(shown(&stepper), before, "{line}");
    }
}

/// Who is in another's namespace has no tables of its own: those of the namespace are shown, and whose they are.
#[test]
fn tables_of_a_helper_are_those_of_its_namespace() {
    let file = "\
name: t
services:
  web: {image: nginx}
  helper: {image: busybox, command: sleep 1d, network_mode: 'service:web'}
  agent: {image: busybox, command: sleep 1d, network_mode: host}
steps: [wait 1s]
";
    let file = scenario(file);
    let mut stepper = stepper(&file, 0);
    done(&mut stepper, "next");
    let helper = done(&mut stepper, "tables helper").join("\n");
    assert!(helper.contains("container t-web-1, whose namespace t-helper-1 shares"), "{helper}");
    let own = done(&mut stepper, "tables web").join("\n");
    let tables = |text: &str| {
        text.lines().skip_while(|line| !line.starts_with("  ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(tables(&helper), tables(&own));
    let sockets = done(&mut stepper, "tables helper sockets").join("\n");
    assert!(sockets.contains("[::]:80") && !sockets.contains("interfaces"), "{sockets}");
    let agent = done(&mut stepper, "tables agent routes").join("\n");
    assert!(
        agent.contains("host host, whose namespace t-agent-1 shares") && agent.contains("docker0"),
        "{agent}"
    );
}

#[test]
fn a_typed_line_is_part_of_what_is_run_again() {
    let small = scenario(SMALL);
    let mut stepper = stepper(&small, 0);
    done(&mut stepper, "next");
    done(&mut stepper, "docker stop db");
    assert!(matches!(grade(&stepper).tasks[0].state, TaskState::Done));
    assert!(done(&mut stepper, "next").iter().any(|line| line.contains("✗ web -> db:5432: ok")));
    assert!(!stepper.held());
    let told = done(&mut stepper, "story");
    done(&mut stepper, "next");
    done(&mut stepper, "back");
    assert_eq!(done(&mut stepper, "story"), told, "the story is again that of the check");
    done(&mut stepper, "back");
    assert!(stepper.held(), "what was undone does not count");
    assert!(matches!(grade(&stepper).tasks[0].state, TaskState::Done), "db is still stopped");
    done(&mut stepper, "to 1");
    let state = grade(&stepper).tasks[0].state.clone();
    assert!(matches!(&state, TaskState::Unmet(unmet) if unmet[0].found == "172.18.0.3"), "{state:?}");
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let small = scenario(SMALL);
    let mut stepper = stepper(&small, 0);
    done(&mut stepper, "next");
    let before = shown(&stepper);
    for (line, complaint) in [
        ("link down nosuch", "nosuch"),
        ("crash nosuch", "nosuch"),
        ("docker run 'a", "(not done; the world is as it was before)"),
        ("daemon start", "(not done"),
        ("tables nosuch", "nothing is called `nosuch`"),
        ("tables web nosuch", "is no table"),
        ("tables a b c", "a place and a table"),
        ("explain nosuch -> web", "there is no container"),
        ("to 9", "there is no step 9: the file has 4"),
        ("answer away yes", "asks for no answer"),
        ("answer 3 yes", "there is no task `3`"),
        ("hint cuont", "did you mean `count`?"),
    ] {
        let reply = stepper.line(line);
        assert!(reply.refused, "{line}: {:?}", reply.lines);
        assert!(reply.lines.join("\n").contains(complaint), "{line}: {:?}", reply.lines);
        assert_eq!(shown(&stepper), before, "{line}");
    }
}

#[test]
fn a_session_is_bounded() {
    let small = scenario(SMALL);
    let mut stepper = stepper(&small, 0);
    for _ in 0..1_000 {
        done(&mut stepper, "wait 1ms");
    }
    let reply = stepper.line("wait 1ms");
    assert!(reply.refused && reply.lines[0].contains("takes 1000 lines"), "{:?}", reply.lines);
    done(&mut stepper, "back 1000");
    done(&mut stepper, "wait 1ms");
}

#[test]
fn hints_come_one_after_the_other() {
    let small = scenario(SMALL);
    let mut stepper = stepper(&small, 0);
    let mut heads = Vec::new();
    for line in ["hint", "hint away", "hint 1", "hint 1", "hint count"] {
        heads.push(done(&mut stepper, line)[0].clone());
    }
    let expected = [
        "hint 1 of 2 for Away:",
        "hint 2 of 2 for Away:",
        "there are no more hints for Away",
        "hint 1 of 2 for Away:",
        "there is no hint for count",
    ];
    assert_eq!(heads, expected);
}

#[test]
fn sessions_read_as_they_should() {
    let sessions: [(&str, &str, &[&str]); 2] = [
        (
            "01-names",
            "scenarios/labs/01-names.yaml",
            &[
                "next 2",
                "next",
                "back",
                "tables web routes",
                "check",
                "steps",
                "docker network create shop",
                "docker network connect shop db",
                "grade",
                "docker network connect shop web",
                "tables host dns",
                "answer server 127.0.0.53",
                "answer 2 127.0.0.11",
                "hint 3",
                "answer address 172.18.0.2",
                "grade",
            ],
        ),
        (
            "06-hairpin",
            "scenarios/labs/06-hairpin-without-proxy.yaml",
            &["end", "tasks", "explain stranger -> 203.0.113.10:8080", "nxt", "back 4", "story"],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, file, lines) in sessions {
        let lab = read(Path::new(file));
        let mut stepper = stepper(&lab, 0);
        let mut text = stepper.opening().join("\n");
        for line in lines {
            let _ = write!(text, "\n> {line}\n{}", stepper.line(line).lines.join("\n"));
        }
        text.push('\n');
        let golden = Path::new("tests/goldens/stepper").join(format!("{name}.txt"));
        if env::var_os("LINKSPAN_BLESS").is_some() {
            fs::create_dir_all(golden.parent().unwrap()).unwrap();
            fs::write(&golden, text).unwrap();
            continue;
        }
        let kept = fs::read_to_string(&golden).unwrap_or_default();
        if kept != text {
            let at = kept.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
            let line = |text: &str| text.lines().nth(at).unwrap_or("(nothing)").to_owned();
            wrong.push(format!(
                "{name}, line {}\n  golden: {}\n  found:  {}",
                at + 1,
                line(&kept),
                line(&text)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lines as a careless or hostile learner types them: commands with arguments of others, and anything at all.
fn any_line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("next"),
        Just("back"),
        Just("check"),
        Just("to"),
        Just("end"),
        Just("steps"),
        Just("tables"),
        Just("story"),
        Just("explain"),
        Just("do"),
        Just("hint"),
        Just("answer"),
        Just("grade"),
        Just("docker"),
        Just("wait"),
        Just("web$"),
        Just("host$"),
        Just("world:outside$"),
        Just("link down"),
        Just("crash"),
    ];
    let argument = prop_oneof![
        Just(String::new()),
        Just("0".to_owned()),
        Just("2".to_owned()),
        Just("18446744073709551615".to_owned()),
        Just("-1".to_owned()),
        Just("web".to_owned()),
        Just("web routes".to_owned()),
        Just("web -> db:5432".to_owned()),
        Just("-> ->".to_owned()),
        Just("count four".to_owned()),
        Just("rm -f web".to_owned()),
        Just("'".to_owned()),
        Just("ping -c 1 db".to_owned()),
        Just("5s".to_owned()),
        Just("eth0".to_owned()),
        ".{0,12}",
    ];
    prop_oneof![4 => (word, argument).prop_map(|(word, argument)| format!("{word} {argument}")), 1 => ".{0,40}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_does_harm(lines in prop::collection::vec(any_line(), 1..10)) {
        let small = scenario(SMALL);
        let mut stepper = stepper(&small, 0);
        for line in &lines {
            let before = shown(&stepper);
            let reply = stepper.line(line);
            prop_assert!(reply.lines.iter().all(|told| !told.contains(['\n', '\u{1b}', '\u{7}'])), "{:?}", reply.lines);
            // `next` and `end` keep what was done before the step that could not be.
            if reply.refused && !line.starts_with(['n', 'e', 't', 'c']) {
                prop_assert_eq!(shown(&stepper), before, "{}", line);
            }
        }
        // However it came to be, this instant can be had again.
        let now = shown(&stepper);
        stepper.line("wait 1s");
        prop_assert!(!stepper.line("back").refused);
        prop_assert_eq!(shown(&stepper), now);
    }
}

fn linkspan(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_linkspan"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused its arguments and be gone.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_stepper_is_fed_by_a_pipe() {
    let lab = "scenarios/labs/01-names.yaml";
    let input = "next\nnext\ntables web routes\nnxt\nback\nquit\nnext\n";
    let output = linkspan(&["run", "--step", lab], input);
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(out.contains("default        172.17.0.1  eth0"), "{out}");
    assert!(
        out.ends_with("1 thing undone\n(1 of 7; next: host$ docker run -d --name web busybox sleep 3600)\n"),
        "{out}"
    );
    assert_eq!(err, "`nxt` is no command; did you mean `next`? `help` lists them\n");
    // Its end is the end of the input, and what did not hold is in the exit code.
    let input =
        "docker run -d --name db --network none nginx\ndocker run -d --name web --network none nginx\nend";
    assert_eq!(linkspan(&["run", "--step", lab], input).status.code(), Some(1));
    let output = linkspan(&["run", "--step", "--pcap", "x", lab], "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn answers_are_graded_without_a_terminal() {
    let lab = "scenarios/labs/01-names.yaml";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("labs-answers");
    fs::create_dir_all(&folder).unwrap();
    let answers = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let output = linkspan(&["grade", lab], "");
    let (out, _) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("not yet: web -> db:5432: ok (found unresolved)"), "{out}");
    assert!(out.ends_with("0 of 3 tasks done\n"), "{out}");

    let mine = answers(
        "mine.txt",
        "# as I did it\ndocker network create n\n\ndocker network connect n web\ndocker network connect n db\n\
         answer 2 127.0.0.11\nanswer address 10.0.0.1\n",
    );
    let output = linkspan(&["grade", "--format", "json", lab, "--answers", &mine], "");
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    let grade: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((grade["done"].as_u64(), grade["of"].as_u64()), (Some(2), Some(3)));
    assert_eq!(grade["tasks"][2]["wrong_answer"], "10.0.0.1");

    assert_eq!(linkspan(&["grade", lab, "--solution"], "").status.code(), Some(0));

    let wrong = answers("wrong.txt", "docker ps\npign db\n");
    let output = linkspan(&["grade", lab, "--answers", &wrong], "");
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(err.contains("wrong.txt:2: `pign` is no command"), "{err}");
    let output = linkspan(&["grade", "scenarios/quickstart.yaml"], "");
    assert!(texts(&output).1.contains("has no `tasks:` to grade"));
    assert_eq!(output.status.code(), Some(2));
}
