//! `linkspan run`: one scenario, told as it happens.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use comfy_table::{Table, presets};
use linkspan::lab;
use linkspan::scenario::model::{NetworkMode, Service};
use linkspan::scenario::report::{ContainerCondition, Progress, Report, RunOptions, StoryLevel};
use linkspan::scenario::{Scenario, render};

use super::check::show_warnings;
use super::terminal::Terminal;
use super::{ComposeFiles, LoadArguments, Verdict, step};

/// Run one scenario or Compose file, told as it happens
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  linkspan run                           the Compose file of this folder
  linkspan run scenarios/quickstart.yaml
  linkspan run --verbose lab.yaml        with every hop of every packet
  linkspan run --pcap captures lab.yaml  captures of every interface, for Wireshark
  linkspan run --step lab.yaml           step by step, forwards and back, from standard input (`help` there)
  linkspan run --docker 20.10 lab.yaml   as an older engine would do it
  linkspan run --format json lab.yaml    one JSON object a line, the report last

The story of the packets says of many alike the first twelve and how many more there were. Nothing is left out of
--verbose (with --format json also as one object for each event) and of the captures that --pcap writes. Of a step's output
the first and last 32 KiB are told, if it is longer, and how many bytes were left out; what it expects sees all of it.

Exit codes: 0 all steps and checks held, 1 one did not, 2 the file was refused.")]
pub(super) struct Arguments {
    /// A scenario or Compose file, or a folder with a Compose file; without it, this folder
    #[arg(conflicts_with = "files")]
    file: Option<PathBuf>,
    #[command(flatten)]
    compose: ComposeFiles,
    #[command(flatten)]
    load: LoadArguments,
    /// Another order of what happens at equal times, other losses and other random values
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Do one step at a time as standard input says: next, back, tables, explain, tasks, grade; `help` lists all
    #[arg(long, conflicts_with_all = ["pcap", "format", "verbose", "quiet"])]
    step: bool,
    /// Write captures (pcapng) of every interface into this folder
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,
    /// How the run is told
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Tell every hop of every packet, also of those in a flood, and which keys of the file were not used
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Tell only what did not hold and the summary
    #[arg(short, long)]
    quiet: bool,
}

/// How a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// JSON objects, one a line
    Json,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    let project = arguments.compose.project(arguments.file.as_deref())?;
    let Some(scenario) = arguments.load.load(&project, terminal) else { return Ok(Verdict::BadInput) };
    if !arguments.quiet {
        show_warnings(&scenario, arguments.verbose, terminal);
    }
    if arguments.step {
        return step::run(&scenario, arguments.seed, terminal);
    }
    let report = lab::run(&scenario, &arguments.options(), &mut |progress| {
        if !arguments.quiet {
            tell(&progress, &scenario, arguments.format, terminal);
        }
    });
    conclude(&scenario, &report, arguments, terminal);
    if let Some(folder) = &arguments.pcap {
        write_captures(folder, &report)?;
    }
    Ok(if report.passed() { Verdict::Passed } else { Verdict::Failed })
}

impl Arguments {
    fn options(&self) -> RunOptions {
        let story = match (self.quiet, self.verbose) {
            (true, _) => StoryLevel::Quiet,
            (false, false) => StoryLevel::Normal,
            (false, true) => StoryLevel::Verbose,
        };
        RunOptions {
            seed: self.seed,
            capture: self.pcap.is_some(),
            story,
            json: self.format == Format::Json && self.verbose,
        }
    }
}

fn tell(progress: &Progress<'_>, scenario: &Scenario, format: Format, terminal: &mut Terminal) {
    match format {
        Format::Json => terminal.lines(&render::progress_json(progress, &scenario.sources)),
        Format::Text => {
            if let Progress::Warning(diagnostic) = progress {
                let colour = terminal.error_style().is_colour();
                terminal.error(&diagnostic.render(&scenario.sources, colour));
            } else {
                terminal.lines(&render::progress(progress, &scenario.sources, terminal.style()));
            }
        }
    }
}

fn conclude(scenario: &Scenario, report: &Report, arguments: &Arguments, terminal: &mut Terminal) {
    if arguments.format == Format::Json {
        terminal.line(&render::report_json(report).to_string());
        return;
    }
    let style = terminal.style();
    if arguments.quiet {
        terminal.lines(&render::failures(report, style));
    } else {
        if let Some(failure) = &report.failure {
            terminal.error(&failure.render(&report.sources, terminal.error_style().is_colour()));
        }
        if report.passed() && scenario.steps.is_empty() && scenario.checks.is_empty() {
            terminal.line(&services(scenario, report));
        }
    }
    terminal.line(&render::summary(report, style));
}

/// What a plain Compose file sets up: where each service is and what can be reached in it.
fn services(scenario: &Scenario, report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["SERVICE", "NETWORKS", "LISTENS", "PUBLISHED"]);
    let listed = |words: Vec<String>| if words.is_empty() { "-".to_owned() } else { words.join(", ") };
    for service in &scenario.services {
        table.add_row([
            service.name.value.clone(),
            listed(networks(service)),
            listed(conditions(&service.name.value, report)),
            listed(published(service, report)),
        ]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// What listens in a service's containers, or how they ended.
fn conditions(service: &str, report: &Report) -> Vec<String> {
    let mut words = Vec::new();
    for container in report.started.iter().filter(|container| container.service == service) {
        let own = match &container.condition {
            ContainerCondition::Listens(ports) => ports.iter().map(ToString::to_string).collect(),
            ContainerCondition::Exited(status) => vec![format!("exited ({status})")],
        };
        for word in own {
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words
}

fn networks(service: &Service) -> Vec<String> {
    match &service.network {
        NetworkMode::Networks(list) => list.iter().map(|one| one.network.value.clone()).collect(),
        NetworkMode::Host => vec!["(host)".to_owned()],
        NetworkMode::None => Vec::new(),
        NetworkMode::DefaultBridge => vec!["bridge".to_owned()],
        NetworkMode::Service(other) => vec![format!("(as {})", other.value)],
        NetworkMode::Container(other) => vec![format!("(as {})", other.value)],
    }
}

/// The published ports in effect, or that those asked for are not.
fn published(service: &Service, report: &Report) -> Vec<String> {
    let own = report.started.iter().filter(|container| container.service == service.name.value);
    let in_effect: Vec<String> =
        own.map(|container| container.published.clone()).filter(|column| !column.is_empty()).collect();
    if in_effect.is_empty() && !service.ports.is_empty() {
        return vec!["(not in effect)".to_owned()];
    }
    in_effect
}

pub(super) fn write_captures(folder: &std::path::Path, report: &Report) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, content) in &report.captures {
        // A name comes from names in the file and must not lead out of the folder.
        let safe: String = name.chars().map(|c| if "/\\\0".contains(c) { '_' } else { c }).collect();
        let path = folder.join(safe.trim_start_matches('.'));
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
