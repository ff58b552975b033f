//! The docker command line: words in, one request out.
//!
//! Commands, options, refusals and exit codes are those of Docker's client 28. Every option of `docker run` is
//! known, so that real command lines parse; those that do not concern networking are accepted and listed in
//! [`Command::ignored`]. What only a daemon can know (does the network exist, is the address free) is not looked at. Commands that need
//! an image build, a registry, a swarm or a terminal are refused with an explanation.
//!
//! `words` splits a line, `flags` reads options, `values` and `ports` read single values; `network`, `run` and
//! `container` hold one function per command.

pub mod config;
mod container;
mod flags;
mod network;
pub mod ports;
mod run;
mod update;
mod values;

pub(in crate::docker) use values::duration;
pub mod words;

use thiserror::Error;

use self::flags::{Flag, FlagError, Given, Parsed, Placement, Takes};
use super::reference::ReferenceError;
use super::{
    client::ClientVersion,
    profile::Profile,
    request::{Filter, Request},
};

/// A command line that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What it asks the daemon for.
    pub request: Request,
    /// `--config`: the folder whose `config.json` the client reads instead of its own.
    pub config_folder: Option<String>,
    /// Options that were accepted and have no effect here, as `--name` or `--name=value`, in order.
    pub ignored: Vec<String>,
    /// Lines the client prints on standard error before it asks the daemon.
    pub warnings: Vec<String>,
}

/// A command line that was not understood. The text is what the client prints on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CliError {
    /// An option is unknown or has a bad value.
    #[error("{message}\n\nUsage:  {path} {arguments}\n\nRun '{path} --help' for more information")]
    Flag {
        /// What is wrong.
        message: String,
        /// The command as written, such as `docker network create`.
        path: String,
        /// The arguments part of its usage line.
        arguments: &'static str,
        /// The long options the command has, without dashes; empty unless the option is unknown.
        known: Vec<&'static str>,
    },
    /// Too few or too many arguments.
    #[error(
        "docker: '{path}' {rule}\n\nUsage:  {path} {arguments}\n\n{verb} '{path} --help' for more information",
        verb = rule.hint()
    )]
    Arguments {
        /// The command as written.
        path: String,
        /// How many it takes.
        rule: ArgumentRule,
        /// The arguments part of its usage line.
        arguments: &'static str,
    },
    /// No docker command has this name.
    #[error("docker: unknown command: {path} {name}\n\n{usage}Run '{path} --help' for more information")]
    UnknownCommand {
        /// The words before it.
        path: &'static str,
        /// The unknown word.
        name: String,
        /// The usage line with an empty line after it, for a command group.
        usage: &'static str,
    },
    /// `docker run` and `docker create`: the options contradict each other or a port or network is malformed.
    #[error("docker: {message}\n\nRun 'docker {verb} --help' for more information")]
    Run {
        /// What is wrong.
        message: String,
        /// `run` or `create`.
        verb: &'static str,
    },
    /// `docker run` and `docker create`: the image's name has another form.
    #[error("{}", match .run {
        true => format!("docker: {error}\n\nRun 'docker run --help' for more information"),
        false => error.to_string(),
    })]
    Image {
        /// What is wrong.
        error: ReferenceError,
        /// The name.
        image: String,
        /// Whether it is `docker run`, which says more.
        run: bool,
    },
    /// Another command whose options contradict each other.
    #[error("{0}")]
    Refused(String),
    /// A docker command that is not reproduced.
    #[error("'{path}' is not supported: {why}")]
    Unsupported {
        /// The command as written.
        path: String,
        /// Why, and what to do instead.
        why: &'static str,
    },
    /// `--help`: not a mistake; the text belongs on standard output.
    #[error("Usage:  {path} {arguments}")]
    Help {
        /// The command as written.
        path: String,
        /// The arguments part of its usage line.
        arguments: &'static str,
    },
}

/// How many arguments a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ArgumentRule {
    /// None at all.
    #[error("accepts no arguments")]
    None,
    /// Exactly this many.
    #[error("requires {0} argument{plural}", plural = plural(*.0))]
    Exactly(usize),
    /// This many or more.
    #[error("requires at least {0} argument{plural}", plural = plural(*.0))]
    AtLeast(usize),
    /// From the first to the second number.
    #[error("requires at least {0} and at most {1} argument{plural}", plural = plural(*.1))]
    Between(usize, usize),
}

impl ArgumentRule {
    /// What the hint to `--help` begins with.
    fn hint(self) -> &'static str {
        match self {
            Self::AtLeast(_) => "See",
            Self::None | Self::Exactly(_) | Self::Between(..) => "Run",
        }
    }
}

impl CliError {
    /// What a client of `version` prints. What the two say of the number of arguments and of commands is told in the
    /// words of 28.
    pub fn text(&self, version: ClientVersion) -> String {
        match (version, self) {
            (ClientVersion::V20_10, Self::Flag { message, path, .. }) => {
                format!("{message}\nSee '{path} --help'.")
            }
            (ClientVersion::V20_10, Self::Run { message, verb }) => {
                format!("docker: {message}.\nSee 'docker {verb} --help'.")
            }
            (ClientVersion::V20_10, Self::Image { error, run, .. }) => match run {
                true => format!("docker: {}.\nSee 'docker run --help'.", error.text_20_10()),
                false => error.text_20_10(),
            },
            (ClientVersion::V20_10 | ClientVersion::V28, error) => error.to_string(),
        }
    }

    /// The exit status of the docker command.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Flag { .. } | Self::Run { .. } | Self::Image { run: true, .. } => 125,
            Self::Arguments { .. }
            | Self::UnknownCommand { .. }
            | Self::Refused(_)
            | Self::Image { run: false, .. }
            | Self::Unsupported { .. } => 1,
            Self::Help { .. } => 0,
        }
    }
}

/// Reads a docker command line. The first word may be `docker` itself; it is skipped.
///
/// # Errors
/// With what the client prints and its exit code.
pub fn parse(words: &[String]) -> Result<Command, CliError> {
    let words = match words {
        [first, rest @ ..] if first == "docker" => rest,
        all => all,
    };
    let globals =
        read("docker".to_owned(), "[OPTIONS] COMMAND", GLOBAL_FLAGS, Placement::BeforeArguments, words)?;
    let mut command = dispatch(&globals.arguments)?;
    let (config, ignored): (Vec<_>, Vec<_>) =
        globals.given.iter().partition(|given| given.flag.id == GlobalFlag::Config);
    command.config_folder = config.last().map(|given| given.value.clone());
    command.ignored.splice(0..0, ignored.into_iter().map(shown_ignored));
    Ok(command)
}

/// Whether a daemon of `profile` can take `command`: the client refuses what the daemon's API version lacks.
///
/// # Errors
/// For a MAC address before API 1.44.
pub fn check_api_version(command: &Command, profile: Profile) -> Result<(), CliError> {
    let (verb, create) = match &command.request {
        Request::ContainerRun(create) => ("run", create),
        Request::ContainerCreate(create) => ("create", create),
        _ => return Ok(()),
    };
    if profile.endpoint_mac_address() || create.endpoints.iter().all(|endpoint| endpoint.mac.is_none()) {
        return Ok(());
    }
    let (major, minor) = profile.api_version();
    Err(CliError::Run {
        message: format!(
            "\"specify mac-address per network\" requires API version 1.44, but the Docker daemon API version is {major}.{minor}"
        ),
        verb,
    })
}

fn dispatch(words: &[String]) -> Result<Command, CliError> {
    let Some((verb, rest)) = words.split_first() else {
        return Err(CliError::Help { path: "docker".to_owned(), arguments: "[OPTIONS] COMMAND" });
    };
    let path = format!("docker {verb}");
    match verb.as_str() {
        "network" => network::parse(rest),
        "container" => match rest.split_first() {
            None => Err(CliError::Help { path, arguments: "COMMAND" }),
            Some((help, _)) if help == "--help" => Err(CliError::Help { path, arguments: "COMMAND" }),
            Some((verb, rest)) => match container::Verb::in_group(verb) {
                Some(known) => container::parse(known, format!("docker container {verb}"), rest),
                None => Err(CliError::UnknownCommand {
                    path: "docker container",
                    name: verb.clone(),
                    usage: "Usage:  docker container\n\n",
                }),
            },
        },
        other => match container::Verb::top_level(other) {
            Some(known) => container::parse(known, path, rest),
            None => Err(unknown_top_level(path, other)),
        },
    }
}

/// The commands that stand behind `docker`, `docker network` or `docker container`.
pub fn commands(path: &str) -> impl Iterator<Item = &'static str> {
    let names: &[&str] = match path {
        "docker network" => &["connect", "create", "disconnect", "inspect", "ls", "prune", "rm"],
        "docker container" => &[
            "attach", "create", "exec", "inspect", "kill", "logs", "ls", "pause", "port", "prune", "rename",
            "restart", "rm", "run", "start", "stop", "unpause", "update", "wait",
        ],
        _ => &[
            "attach",
            "build",
            "compose",
            "container",
            "create",
            "events",
            "exec",
            "images",
            "info",
            "inspect",
            "kill",
            "logs",
            "network",
            "pause",
            "port",
            "ps",
            "pull",
            "rename",
            "restart",
            "rm",
            "run",
            "start",
            "stop",
            "unpause",
            "update",
            "version",
            "volume",
            "wait",
        ],
    };
    names.iter().copied()
}

fn unknown_top_level(path: String, verb: &str) -> CliError {
    let why = match verb {
        "build" | "builder" | "buildx" | "image" | "images" | "pull" | "push" | "load" | "save" | "tag"
        | "rmi" | "import" | "history" | "search" | "login" | "logout" | "manifest" | "trust" => {
            "images are declared in the scenario (`images:`), there is no registry"
        }
        "swarm" | "service" | "stack" | "node" | "secret" | "config" => "there is no swarm control plane",
        "compose" => "give the Compose file itself to linkspan",
        "volume" | "cp" | "diff" | "commit" | "export" | "top" | "stats" | "plugin" | "system"
        | "context" | "checkpoint" => "it does not concern networking",
        _ => {
            return CliError::UnknownCommand { path: "docker", name: verb.to_owned(), usage: "" };
        }
    };
    CliError::Unsupported { path, why }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GlobalFlag {
    Config,
    Ignored,
}

/// Options before the command. All but one change nothing here.
const GLOBAL_FLAGS: &[Flag<GlobalFlag>] = &[
    Flag::value(GlobalFlag::Config, "config"),
    Flag::short(GlobalFlag::Ignored, 'c', "context", Takes::Value),
    Flag::short(GlobalFlag::Ignored, 'D', "debug", Takes::Nothing),
    Flag::short(GlobalFlag::Ignored, 'H', "host", Takes::Value),
    Flag::short(GlobalFlag::Ignored, 'l', "log-level", Takes::Value),
    Flag::switch(GlobalFlag::Ignored, "tls"),
    Flag::value(GlobalFlag::Ignored, "tlscacert"),
    Flag::value(GlobalFlag::Ignored, "tlscert"),
    Flag::value(GlobalFlag::Ignored, "tlskey"),
    Flag::switch(GlobalFlag::Ignored, "tlsverify"),
];

/// Where a command stands and what its usage line says: what an error message needs.
struct Usage {
    path: String,
    arguments: &'static str,
}

impl Usage {
    /// A refused option.
    fn flag(&self, error: FlagError) -> CliError {
        match error {
            FlagError::Help => CliError::Help { path: self.path.clone(), arguments: self.arguments },
            other => CliError::Flag {
                message: other.to_string(),
                path: self.path.clone(),
                arguments: self.arguments,
                known: Vec::new(),
            },
        }
    }

    /// A refused option of a command that has these.
    fn unread<Id>(&self, error: FlagError, flags: &[Flag<Id>]) -> CliError {
        let unknown = matches!(error, FlagError::UnknownLong(_) | FlagError::UnknownShort { .. });
        match self.flag(error) {
            CliError::Flag { message, path, arguments, .. } => {
                let known = flags.iter().filter(|_| unknown).map(|flag| flag.long).collect();
                CliError::Flag { message, path, arguments, known }
            }
            other => other,
        }
    }

    /// Reads the options; `rule` counts the arguments.
    fn read<Id: Copy>(
        &self,
        flags: &[Flag<Id>],
        placement: Placement,
        rule: ArgumentRule,
        words: &[String],
    ) -> Result<Parsed<Id>, CliError> {
        let parsed = flags::parse(flags, placement, words).map_err(|error| self.unread(error, flags))?;
        let count = parsed.arguments.len();
        let fits = match rule {
            ArgumentRule::None => count == 0,
            ArgumentRule::Exactly(number) => count == number,
            ArgumentRule::AtLeast(least) => count >= least,
            ArgumentRule::Between(least, most) => (least..=most).contains(&count),
        };
        if fits {
            Ok(parsed)
        } else {
            Err(CliError::Arguments { path: self.path.clone(), rule, arguments: self.arguments })
        }
    }
}

fn read<Id: Copy>(
    path: String,
    arguments: &'static str,
    flags: &[Flag<Id>],
    placement: Placement,
    words: &[String],
) -> Result<Parsed<Id>, CliError> {
    Usage { path, arguments }.read(flags, placement, ArgumentRule::AtLeast(0), words)
}

/// How an option without effect is reported.
fn shown_ignored<Id>(given: &Given<Id>) -> String {
    match given.flag.takes {
        Takes::Nothing => format!("--{}", given.flag.long),
        Takes::Value => format!("--{}={}", given.flag.long, given.value),
    }
}

/// Reads one `--filter`.
fn filter<Id>(given: &Given<Id>) -> Result<Filter, FlagError> {
    match given.value.split_once('=') {
        Some((name, value)) => {
            Ok(Filter { name: name.trim().to_lowercase(), value: value.trim().to_owned() })
        }
        None => Err(given.flag.invalid(&given.value, "bad format of filter (expected name=value)")),
    }
}

/// A command with nothing ignored and nothing to warn of.
fn plain(request: Request) -> Command {
    Command { request, config_folder: None, ignored: Vec::new(), warnings: Vec::new() }
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests;
