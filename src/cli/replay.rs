//! `linkspan replay`: what entered a real-time run, again, in virtual time.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use linkspan::lab::outside::{Attachment, container, shared};
use linkspan::run::recording::{Recording, Replay};

use super::terminal::Terminal;
use super::up::Telling;
use super::{ComposeFiles, LoadArguments, Verdict};

/// Run a recording of `linkspan up` again, in virtual time
///
/// The same file, the same seed and the same frames at the same times give the same events. No TAP device, no process and
/// no privilege is needed, and no time passes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan up lab.yaml --tap client=4242 --record run.jsonl
  linkspan replay lab.yaml run.jsonl
  linkspan replay --verbose lab.yaml run.jsonl        every hop of every packet
  linkspan replay --pcap captures lab.yaml run.jsonl  captures of every interface, for Wireshark

Exit codes: 0 the replay went as the recorded run and all checks held, 1 it did not, 2 a file was refused.")]
pub(super) struct Arguments {
    /// The scenario or Compose file of the recorded run
    file: OsString,
    /// The recording
    #[arg(required_unless_present = "files")]
    recording: Option<PathBuf>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    #[command(flatten)]
    telling: Telling,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let words = [Some(arguments.file.as_os_str()), arguments.recording.as_ref().map(|path| path.as_os_str())];
    let (project, words) = arguments.compose.project_before(&words)?;
    let [recording] = words.as_slice() else {
        bail!("with -f, only the recording is given besides the files")
    };
    let recording = Path::new(recording);
    let name = recording.display().to_string();
    let recording = Recording::open(recording).with_context(|| name.clone())?;
    let Some(scenario) = arguments.telling.load(&project, &arguments.load, terminal) else {
        return Ok(Verdict::BadInput);
    };
    let containers = recording.header.containers.clone();
    for one in &containers {
        container(&scenario, one).with_context(|| format!("{name} was recorded with another file"))?;
    }
    let (seed, expected) = (recording.header.seed, recording.emitted);
    let replay = shared(Replay::new(recording));
    let mut begin = |_: &[_]| Ok(Vec::new());
    let mut attachment = Attachment { containers: &containers, outside: replay.clone(), begin: &mut begin };
    let report = arguments.telling.run(&scenario, seed, &mut attachment, terminal)?;
    let verdict = arguments.telling.conclude(&scenario, &report, terminal)?;
    let replay = replay.borrow();
    if replay.emitted() == expected && replay.left() == 0 {
        return Ok(verdict);
    }
    terminal.error(&format!(
        "error: the replay went another way than the recorded run: {} frames left the world, {} when it was recorded{}; \
         is {} still the file of that run, and linkspan the same release?",
        replay.emitted().frames,
        expected.frames,
        if replay.emitted().frames == expected.frames { ", and other bytes" } else { "" },
        arguments.file.display()
    ));
    Ok(verdict.max(Verdict::Failed))
}
