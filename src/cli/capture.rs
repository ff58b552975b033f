//! `linkspan capture`: a capture of one place as a stream, for Wireshark at the other end of a pipe.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use linkspan::lab::capture::{self, CaptureError, Target};
use linkspan::scenario::diagnostic::nearest;
use linkspan::scenario::render::counted;

use super::terminal::Terminal;
use super::{ComposeFiles, LoadArguments, Verdict};

/// Capture a network, a container or an interface as pcapng, to a pipe or a file
///
/// A network is captured as on its bridge, each frame once. A container or host is captured on all its interfaces; put
/// a colon and the interface's name behind it for one. Times are virtual, since the start of the run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan capture scenarios/quickstart.yaml web | wireshark -k -i -
  linkspan capture compose.yaml default | tcpdump -nr -     the project's default network
  linkspan capture compose.yaml host:docker0 -o docker0.pcapng
  linkspan capture compose.yaml web:lo -o dns.pcapng        what web asks Docker's DNS

Exit codes: 0 captured, 1 the run ended early or a step or check did not hold, 2 bad input.")]
pub(super) struct Arguments {
    /// A scenario or Compose file, or a folder with a Compose file
    file: OsString,
    /// NETWORK, CONTAINER, HOST or MACHINE, or one interface of it: NAME:INTERFACE
    #[arg(value_name = "NAME[:INTERFACE]", required_unless_present = "files")]
    target: Option<String>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    /// Write into this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Another order of what happens at equal times and other random values
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    if arguments.output.is_none() && io::stdout().is_terminal() {
        bail!("a capture is no text for a terminal: pipe it (`| wireshark -k -i -`) or name a file with -o");
    }
    let words = [Some(arguments.file.as_os_str()), arguments.target.as_deref().map(OsStr::new)];
    let (project, words) = arguments.compose.project_before(&words)?;
    let [target] = words.as_slice() else {
        bail!("with -f, only NAME[:INTERFACE] is given besides the files")
    };
    let target = Target::parse(&target.to_string_lossy());
    let Some(scenario) = arguments.load.load(&project, terminal) else { return Ok(Verdict::BadInput) };
    let mut sink = Sink { path: arguments.output.as_deref(), open: None };
    let captured = match capture::capture(&scenario, arguments.seed, &target, &mut sink) {
        Ok(captured) => captured,
        // A reader that has seen enough went away, as `head` does.
        Err(CaptureError::Sink(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(Verdict::Passed);
        }
        Err(CaptureError::Sink(error)) => {
            let place = arguments.output.as_ref().map(|path| path.display().to_string());
            return Err(error)
                .with_context(|| format!("cannot write {}", place.as_deref().unwrap_or("standard output")));
        }
        Err(error) => bail!("{}", with_suggestion(&error)),
    };
    if let Some(path) = &arguments.output {
        terminal.error(&format!("{} in {}", counted(captured.packets, "packet"), path.display()));
    }
    if let Some(failure) = &captured.report.failure {
        terminal.error(&failure.render(&captured.report.sources, terminal.error_style().is_colour()));
    }
    Ok(if captured.report.passed() { Verdict::Passed } else { Verdict::Failed })
}

fn with_suggestion(error: &CaptureError) -> String {
    let (written, known) = match error {
        CaptureError::NoPlace { name, known } => (name, known),
        CaptureError::NoInterface { interface, known, .. } => (interface, known),
        CaptureError::Sink(_) | CaptureError::Format(_) => return error.to_string(),
    };
    match nearest(written, known.iter().map(String::as_str)) {
        Some(near) => format!("{error}; did you mean `{near}`?"),
        None => format!("{error}; there are {}", known.join(", ")),
    }
}

/// A file or standard output, opened by the first byte, so that a refused name leaves no empty file.
struct Sink<'a> {
    path: Option<&'a std::path::Path>,
    open: Option<BufWriter<Box<dyn Write>>>,
}

impl Sink<'_> {
    fn writer(&mut self) -> io::Result<&mut BufWriter<Box<dyn Write>>> {
        if self.open.is_none() {
            let inner: Box<dyn Write> = match self.path {
                Some(path) => Box::new(std::fs::File::create(path)?),
                None => Box::new(io::stdout()),
            };
            self.open = Some(BufWriter::new(inner));
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer()?.flush()
    }
}
