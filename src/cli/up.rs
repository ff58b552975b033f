//! `linkspan up`: a scenario at the clock's pace, with real processes for some of its containers.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use linkspan::lab::outside::{Attachment, OutsideError, Replacement, container, run_outside, shared};
use linkspan::run::attach::{self, Entered, Files, Furnished};
use linkspan::run::live::Live;
use linkspan::run::recording::{Header, LIMIT, Recorder, StopReason};
use linkspan::run::tap::Tap;
use linkspan::scenario::report::{Progress, Report, RunOptions, StoryLevel};
use linkspan::scenario::{ProjectFiles, Scenario, render};

use super::check::show_warnings;
use super::terminal::Terminal;
use super::{ComposeFiles, LoadArguments, Verdict};

/// The verb that [`attach::enter`] starts linkspan with.
const HELPER: &str = "attach";

/// Run a scenario in real time, with real processes for some containers
///
/// The scenario's containers come up, then its steps and checks go at the pace of the clock, and the networks stay until
/// Ctrl-C, SIGTERM or the end of an attached process. `--tap CONTAINER=PID` puts the process PID in the place of a
/// container: linkspan makes the container's interfaces as TAP devices in the process's user and network namespace, with
/// its hardware and IP addresses and routes. Names are resolved at 169.254.1.1 there; if the process has a mount
/// namespace of its own, its /etc/resolv.conf and /etc/hosts become the container's. No root is needed, but user
/// namespaces and /dev/net/tun (`linkspan doctor`).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  In one terminal, a shell in namespaces of its own:
    unshare --user --map-root-user --net --mount sh -c 'echo $$; exec sh'
  In another, with the number it printed:
    linkspan up scenarios/live/shop.yaml --tap client=4242
  Then in the first:
    ping -c 1 web
    wget -O - http://web/

  linkspan up -i lab.yaml --tap client=4242    and type, while it runs, lines such as these:
    docker stop web
    web$ ping -c 1 client
    link down eth0

  linkspan up lab.yaml --tap client=4242 --record run.jsonl   keep what entered
  linkspan replay lab.yaml run.jsonl                          and run it again, in virtual time

Exit codes: 0 all steps and checks held, 1 one did not, 2 the file, a process or the machine was refused.")]
pub(super) struct Arguments {
    /// A scenario or Compose file, or a folder with a Compose file; without it, this folder
    #[arg(conflicts_with = "files")]
    file: Option<PathBuf>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    /// Put a process in the place of a container (or of a service's first container); may be repeated
    #[arg(long = "tap", value_name = "CONTAINER=PID")]
    taps: Vec<TapArgument>,
    /// Take lines from standard input while the networks stay: docker commands, events, PLACE$ COMMAND
    #[arg(short, long)]
    interactive: bool,
    /// Write what enters (frames, and lines of --interactive), with its time, to this file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    telling: Telling,
    /// Another order of what happens at equal times, other losses and other random values
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// How a run with something outside is told; the same for `up` and `replay`.
#[derive(Debug, Args)]
pub(super) struct Telling {
    /// Write every event of the engine to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write captures (pcapng) of every interface into this folder when the run ends
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,
    /// Tell every hop of every packet, and which keys of the file were not used
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Tell only what did not hold and the summary
    #[arg(short, long)]
    quiet: bool,
}

/// `CONTAINER=PID`.
#[derive(Debug, Clone)]
struct TapArgument {
    container: String,
    pid: u32,
}

impl FromStr for TapArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<TapArgument, String> {
        let expected = "expected CONTAINER=PID, such as client=4242".to_owned();
        let (container, pid) = text.rsplit_once('=').ok_or_else(|| expected.clone())?;
        match pid.parse() {
            Ok(pid) if pid > 0 && !container.is_empty() => {
                Ok(TapArgument { container: container.to_owned(), pid })
            }
            _ => Err(expected),
        }
    }
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let project = arguments.compose.project(arguments.file.as_deref())?;
    let Some(scenario) = arguments.telling.load(&project, &arguments.load, terminal) else {
        return Ok(Verdict::BadInput);
    };
    let mut containers: Vec<String> = Vec::new();
    for tap in &arguments.taps {
        let name =
            container(&scenario, &tap.container).with_context(|| format!("--tap {}", tap.container))?;
        anyhow::ensure!(!containers.contains(&name), "--tap {name}: given twice");
        containers.push(name);
    }
    let program = std::env::current_exe().context("finding linkspan itself")?;
    let mut entered: Vec<Entered> = Vec::new();
    for tap in &arguments.taps {
        let found = attach::enter(tap.pid, &program, &[HELPER]);
        entered.push(found.with_context(|| format!("--tap {}={}", tap.container, tap.pid))?);
    }
    let mut live = Live::new().context("waiting for signals")?;
    if arguments.interactive {
        live.listen(std::io::stdin().as_fd().try_clone_to_owned().context("standard input")?);
    }
    if let Some(file) = &arguments.record {
        let out = BufWriter::new(create(file)?);
        let header = Header { seed: arguments.seed, containers: containers.clone() };
        let recorder = Recorder::new(Box::new(out), &header, LIMIT);
        live.record(recorder.with_context(|| file.display().to_string())?);
    }
    let live = shared(live);
    let mut refused = false;
    let mut entered = entered.into_iter();
    let mut begin = |replacements: &[Replacement]| {
        let mut notes = Vec::new();
        for (replacement, entered) in replacements.iter().zip(entered.by_ref()) {
            let pid = entered.pid();
            let furnished = entered.furnish(replacement).map_err(|error| {
                refused = true;
                OutsideError(error.to_string())
            })?;
            notes.push(note(replacement, &furnished, pid));
            live.borrow_mut().attach(furnished).map_err(|error| OutsideError(error.to_string()))?;
        }
        Ok(notes)
    };
    let report = {
        let mut attachment = Attachment { containers: &containers, outside: live.clone(), begin: &mut begin };
        arguments.telling.run(&scenario, arguments.seed, &mut attachment, terminal)?
    };
    let mut live = live.borrow_mut();
    live.finish(report.totals.time).context("writing the recording")?;
    if !arguments.telling.quiet {
        terminal.line(&ending(&live));
    }
    if live.is_recording_full() {
        let limit = LIMIT >> 20;
        terminal.error(&format!("warning: the recording was full at {limit} MiB and ends before the run"));
    }
    let verdict = arguments.telling.conclude(&scenario, &report, terminal)?;
    Ok(if refused { Verdict::BadInput } else { verdict })
}

impl Telling {
    /// Reads the scenario; `None`: it was refused, and that was said.
    pub(super) fn load(
        &self,
        project: &ProjectFiles,
        load_arguments: &LoadArguments,
        terminal: &mut Terminal,
    ) -> Option<Scenario> {
        let scenario = load_arguments.clone().may_be_empty().load(project, terminal)?;
        if !self.quiet {
            show_warnings(&scenario, self.verbose, terminal);
        }
        Some(scenario)
    }

    /// Runs a scenario with something outside and tells it.
    pub(super) fn run(
        &self,
        scenario: &Scenario,
        seed: u64,
        attachment: &mut Attachment<'_>,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Report> {
        let mut events = match &self.events {
            Some(file) => Some((file, BufWriter::new(create(file)?))),
            None => None,
        };
        let mut written = Ok(());
        let options = RunOptions {
            seed,
            capture: self.pcap.is_some(),
            json: events.is_some(),
            story: match (self.quiet, self.verbose) {
                (true, _) => StoryLevel::Quiet,
                (false, false) => StoryLevel::Normal,
                (false, true) => StoryLevel::Verbose,
            },
        };
        let report = run_outside(scenario, &options, attachment, &mut |progress| match progress {
            Progress::Json { lines } => {
                if let (Some((_, out)), Ok(())) = (&mut events, &written) {
                    written = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
                }
            }
            Progress::Warning(diagnostic) => {
                let colour = terminal.error_style().is_colour();
                terminal.error(&diagnostic.render(&scenario.sources, colour));
            }
            progress if !self.quiet => {
                terminal.lines(&render::progress(&progress, &scenario.sources, terminal.style()));
            }
            _ => {}
        });
        if let Some((file, mut out)) = events {
            written.and_then(|()| out.flush()).with_context(|| file.display().to_string())?;
        }
        Ok(report)
    }

    /// Says how it ended and writes the captures.
    pub(super) fn conclude(
        &self,
        scenario: &Scenario,
        report: &Report,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Verdict> {
        let style = terminal.style();
        if let Some(failure) = &report.failure {
            terminal.error(&failure.render(&scenario.sources, terminal.error_style().is_colour()));
        }
        if self.quiet {
            terminal.lines(&render::failures(report, style));
        }
        terminal.line(&render::summary(report, style));
        if let Some(folder) = &self.pcap {
            super::run::write_captures(folder, report)?;
        }
        Ok(if report.passed() { Verdict::Passed } else { Verdict::Failed })
    }
}

fn create(file: &Path) -> anyhow::Result<File> {
    File::create(file).with_context(|| format!("writing {}", file.display()))
}

/// What the user of a process has to know.
fn note(replacement: &Replacement, furnished: &Furnished, pid: u32) -> String {
    let names: Vec<&str> = furnished.taps.iter().map(Tap::name).collect();
    let server =
        replacement.resolver.as_ref().map(|resolver| format!("; the name server is {}", resolver.address));
    let server = server.unwrap_or_default();
    let files = match &furnished.files {
        Files::Mounted => "/etc/resolv.conf and /etc/hosts there are the container's".to_owned(),
        Files::Shared => format!(
            "its /etc/resolv.conf is shared with this machine and was left alone{server} (`unshare --mount` gives a \
             process files of its own)"
        ),
        Files::Failed(message) => format!("its /etc/resolv.conf was left alone ({message}){server}"),
    };
    format!("{} is up in process {pid}; {files}", names.join(", "))
}

fn ending(live: &Live) -> String {
    let why = match live.ended() {
        Some(StopReason::Interrupted) => "interrupted",
        Some(StopReason::ProcessEnded) => "an attached process ended",
        Some(StopReason::DeviceGone) => "a TAP device was removed",
        Some(StopReason::Full) | None => "the run ended by itself",
    };
    let late = live.latest().as_secs_f64() * 1e3;
    let lost = match live.lost() {
        0 => String::new(),
        lost => format!(", {lost} frames lost at TAP devices"),
    };
    format!("ended: {why}; at most {late:.1} ms behind the clock{lost}")
}
