//! The commands on containers beyond run and create, and those on the daemon as a whole.

use super::{
    ArgumentRule, CliError, Command, Usage, filter,
    flags::{Flag, FlagError, Given, Placement, Takes, quote},
    network::{prune, two},
    plain,
    ports::parse_query,
    run, shown_ignored, update, values,
};
use crate::docker::request::{
    ContainerExec, ContainerKill, ContainerList, ContainerLogs, ContainerPort, ContainerRemove,
    ContainerRename, ContainerStart, ContainerStop, Containers, Events, Inspect, InspectKind, PortQuery,
    Request, View,
};

/// A command that is not part of `docker network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Attach,
    ContainerInspect,
    Create,
    Events,
    Exec,
    Info,
    Inspect,
    Kill,
    List,
    Logs,
    Pause,
    Port,
    Prune,
    Remove,
    Rename,
    Restart,
    Run,
    Start,
    Stop,
    Unpause,
    Update,
    Version,
    Wait,
}

impl Verb {
    /// The command `docker WORD`.
    pub(super) fn top_level(word: &str) -> Option<Self> {
        match word {
            "ps" => Some(Self::List),
            "inspect" => Some(Self::Inspect),
            "events" => Some(Self::Events),
            "info" => Some(Self::Info),
            "version" => Some(Self::Version),
            other => Self::shared(other),
        }
    }

    /// The command `docker container WORD`.
    pub(super) fn in_group(word: &str) -> Option<Self> {
        match word {
            "ls" | "list" | "ps" => Some(Self::List),
            "inspect" => Some(Self::ContainerInspect),
            "prune" => Some(Self::Prune),
            "remove" => Some(Self::Remove),
            other => Self::shared(other),
        }
    }

    /// Commands that exist in both places.
    fn shared(word: &str) -> Option<Self> {
        match word {
            "attach" => Some(Self::Attach),
            "create" => Some(Self::Create),
            "exec" => Some(Self::Exec),
            "kill" => Some(Self::Kill),
            "logs" => Some(Self::Logs),
            "pause" => Some(Self::Pause),
            "port" => Some(Self::Port),
            "rename" => Some(Self::Rename),
            "restart" => Some(Self::Restart),
            "rm" => Some(Self::Remove),
            "run" => Some(Self::Run),
            "start" => Some(Self::Start),
            "stop" => Some(Self::Stop),
            "unpause" => Some(Self::Unpause),
            "update" => Some(Self::Update),
            "wait" => Some(Self::Wait),
            _ => None,
        }
    }
}

/// Reads what stands after the command `path`.
pub(super) fn parse(verb: Verb, path: String, words: &[String]) -> Result<Command, CliError> {
    let usage = |arguments| Usage { path: path.clone(), arguments };
    const OPTIONS_CONTAINERS: &str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const CONTAINERS: &str = "CONTAINER [CONTAINER...]";
    let request = match verb {
        Verb::Attach => {
            return Err(CliError::Unsupported {
                path,
                why: "there is no terminal to attach; use `docker exec` to run a command in the container and `docker logs` to read its output",
            });
        }
        Verb::Run => return run::parse(run::Verb::Run, path, words),
        Verb::Create => return run::parse(run::Verb::Create, path, words),
        Verb::Exec => return exec(&usage("[OPTIONS] CONTAINER COMMAND [ARG...]"), words),
        Verb::Inspect => {
            Request::Inspect(inspect(&usage("[OPTIONS] NAME|ID [NAME|ID...]"), InspectKind::Any, words)?)
        }
        Verb::ContainerInspect => {
            Request::Inspect(inspect(&usage(OPTIONS_CONTAINERS), InspectKind::Container, words)?)
        }
        Verb::Start => Request::ContainerStart(start(&usage(OPTIONS_CONTAINERS), words)?),
        Verb::Stop => Request::ContainerStop(stop(&usage(OPTIONS_CONTAINERS), words)?),
        Verb::Restart => Request::ContainerRestart(stop(&usage(OPTIONS_CONTAINERS), words)?),
        Verb::Kill => Request::ContainerKill(kill(&usage(OPTIONS_CONTAINERS), words)?),
        Verb::Remove => Request::ContainerRemove(remove(&usage(OPTIONS_CONTAINERS), words)?),
        Verb::Rename => {
            let none: &[Flag<()>] = &[];
            let parsed = usage("CONTAINER NEW_NAME").read(
                none,
                Placement::Anywhere,
                ArgumentRule::Exactly(2),
                words,
            )?;
            let [container, new_name] = two(parsed.arguments);
            if container.trim().is_empty() || new_name.trim().is_empty() {
                return Err(CliError::Refused("Error: Neither old nor new names may be empty".to_owned()));
            }
            Request::ContainerRename(ContainerRename { container, new_name })
        }
        Verb::Pause => Request::ContainerPause(containers(&usage(CONTAINERS), words)?),
        Verb::Unpause => Request::ContainerUnpause(containers(&usage(CONTAINERS), words)?),
        Verb::Update => return update::parse(&usage(OPTIONS_CONTAINERS), words),
        Verb::Wait => Request::ContainerWait(containers(&usage(CONTAINERS), words)?),
        Verb::List => Request::ContainerList(list(&usage("[OPTIONS]"), words)?),
        Verb::Port => Request::ContainerPort(port(&usage("CONTAINER [PRIVATE_PORT[/PROTO]]"), words)?),
        Verb::Logs => Request::ContainerLogs(logs(&usage("[OPTIONS] CONTAINER"), words)?),
        Verb::Prune => Request::ContainerPrune(prune(&usage("[OPTIONS]"), words)?),
        Verb::Events => Request::Events(events(&usage("[OPTIONS]"), words)?),
        Verb::Info => Request::Info(view(&usage("[OPTIONS]"), words)?),
        Verb::Version => Request::Version(view(&usage("[OPTIONS]"), words)?),
    };
    Ok(plain(request))
}

#[derive(Debug, Clone, Copy)]
enum ExecFlag {
    Detach,
    Env,
    Interactive,
    Privileged,
    Tty,
    User,
    Ignored,
}

fn exec(usage: &Usage, words: &[String]) -> Result<Command, CliError> {
    let flags = &[
        Flag::short(ExecFlag::Detach, 'd', "detach", Takes::Nothing),
        Flag::short(ExecFlag::Env, 'e', "env", Takes::Value),
        Flag::short(ExecFlag::Interactive, 'i', "interactive", Takes::Nothing),
        Flag::switch(ExecFlag::Privileged, "privileged"),
        Flag::short(ExecFlag::Tty, 't', "tty", Takes::Nothing),
        Flag::value(ExecFlag::Ignored, "detach-keys"),
        Flag::value(ExecFlag::Ignored, "env-file"),
        Flag::short(ExecFlag::User, 'u', "user", Takes::Value),
        Flag::short(ExecFlag::Ignored, 'w', "workdir", Takes::Value),
    ];
    let parsed = usage.read(flags, Placement::BeforeArguments, ArgumentRule::AtLeast(2), words)?;
    let mut arguments = parsed.arguments.into_iter();
    let mut exec = ContainerExec {
        container: arguments.next().unwrap_or_default(),
        command: arguments.collect(),
        env: Vec::new(),
        detach: false,
        interactive: false,
        tty: false,
        privileged: false,
        user: None,
    };
    let mut ignored = Vec::new();
    for given in parsed.given {
        match given.flag.id {
            ExecFlag::Detach => exec.detach = given.on,
            ExecFlag::Env => exec.env.push(
                values::environment(&given.value)
                    .map_err(|reason| usage.flag(given.flag.invalid(&given.value, reason)))?,
            ),
            ExecFlag::Interactive => exec.interactive = given.on,
            ExecFlag::Privileged => exec.privileged = given.on,
            ExecFlag::Tty => exec.tty = given.on,
            ExecFlag::User => exec.user = (!given.value.is_empty()).then(|| given.value.clone()),
            ExecFlag::Ignored => ignored.push(shown_ignored(&given)),
        }
    }
    Ok(Command { ignored, ..plain(Request::ContainerExec(exec)) })
}

#[derive(Debug, Clone, Copy)]
enum InspectFlag {
    Format,
    Size,
    Type,
}

fn inspect(usage: &Usage, kind: InspectKind, words: &[String]) -> Result<Inspect, CliError> {
    let all = [
        Flag::short(InspectFlag::Format, 'f', "format", Takes::Value),
        Flag::short(InspectFlag::Size, 's', "size", Takes::Nothing),
        Flag::value(InspectFlag::Type, "type"),
    ];
    let flags = if kind == InspectKind::Any { &all[..] } else { &all[..2] };
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::AtLeast(1), words)?;
    let mut inspect = Inspect { names: parsed.arguments, kind, format: None };
    for given in parsed.given {
        match given.flag.id {
            InspectFlag::Format => inspect.format = (!given.value.is_empty()).then_some(given.value),
            InspectFlag::Size => {}
            InspectFlag::Type => {
                inspect.kind = match given.value.as_str() {
                    "" => InspectKind::Any,
                    "container" => InspectKind::Container,
                    "network" => InspectKind::Network,
                    other => {
                        return Err(CliError::Refused(format!(
                            "{} is not a valid value for --type: expected container or network",
                            quote(other)
                        )));
                    }
                };
            }
        }
    }
    Ok(inspect)
}

#[derive(Debug, Clone, Copy)]
enum StartFlag {
    Attach,
    Interactive,
    Ignored,
}

fn start(usage: &Usage, words: &[String]) -> Result<ContainerStart, CliError> {
    let flags = &[
        Flag::short(StartFlag::Attach, 'a', "attach", Takes::Nothing),
        Flag::short(StartFlag::Interactive, 'i', "interactive", Takes::Nothing),
        Flag::value(StartFlag::Ignored, "detach-keys"),
    ];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::AtLeast(1), words)?;
    let mut start = ContainerStart { containers: parsed.arguments, attach: false, interactive: false };
    for given in parsed.given {
        match given.flag.id {
            StartFlag::Attach => start.attach = given.on,
            StartFlag::Interactive => start.interactive = given.on,
            StartFlag::Ignored => {}
        }
    }
    if (start.attach || start.interactive) && start.containers.len() > 1 {
        return Err(CliError::Refused("you cannot start and attach multiple containers at once".to_owned()));
    }
    Ok(start)
}

#[derive(Debug, Clone, Copy)]
enum StopFlag {
    Signal,
    Time,
}

fn stop(usage: &Usage, words: &[String]) -> Result<ContainerStop, CliError> {
    let flags = &[
        Flag::short(StopFlag::Signal, 's', "signal", Takes::Value),
        Flag::short(StopFlag::Time, 't', "timeout", Takes::Value),
        Flag::value(StopFlag::Time, "time"),
    ];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::AtLeast(1), words)?;
    let mut stop = ContainerStop { containers: parsed.arguments, signal: None, timeout: None };
    for given in parsed.given {
        match given.flag.id {
            StopFlag::Time => stop.timeout = Some(integer(&given).map_err(|error| usage.flag(error))?),
            StopFlag::Signal => stop.signal = (!given.value.is_empty()).then_some(given.value),
        }
    }
    Ok(stop)
}

fn kill(usage: &Usage, words: &[String]) -> Result<ContainerKill, CliError> {
    let flags = &[Flag::short((), 's', "signal", Takes::Value)];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::AtLeast(1), words)?;
    let signal = parsed.given.into_iter().last().map(|given| given.value).filter(|value| !value.is_empty());
    Ok(ContainerKill { containers: parsed.arguments, signal })
}

#[derive(Debug, Clone, Copy)]
enum RemoveFlag {
    Force,
    Link,
    Volumes,
}

fn remove(usage: &Usage, words: &[String]) -> Result<ContainerRemove, CliError> {
    let flags = &[
        Flag::short(RemoveFlag::Force, 'f', "force", Takes::Nothing),
        Flag::short(RemoveFlag::Link, 'l', "link", Takes::Nothing),
        Flag::short(RemoveFlag::Volumes, 'v', "volumes", Takes::Nothing),
    ];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::AtLeast(1), words)?;
    let mut remove =
        ContainerRemove { containers: parsed.arguments, force: false, link: false, volumes: false };
    for given in parsed.given {
        match given.flag.id {
            RemoveFlag::Force => remove.force = given.on,
            RemoveFlag::Link => remove.link = given.on,
            RemoveFlag::Volumes => remove.volumes = given.on,
        }
    }
    Ok(remove)
}

fn containers(usage: &Usage, words: &[String]) -> Result<Containers, CliError> {
    let none: &[Flag<()>] = &[];
    let parsed = usage.read(none, Placement::Anywhere, ArgumentRule::AtLeast(1), words)?;
    Ok(Containers { containers: parsed.arguments })
}

#[derive(Debug, Clone, Copy)]
enum ListFlag {
    All,
    Filter,
    Format,
    Last,
    Latest,
    NoTrunc,
    Quiet,
    Size,
}

fn list(usage: &Usage, words: &[String]) -> Result<ContainerList, CliError> {
    let flags = &[
        Flag::short(ListFlag::All, 'a', "all", Takes::Nothing),
        Flag::short(ListFlag::Filter, 'f', "filter", Takes::Value),
        Flag::value(ListFlag::Format, "format"),
        Flag::short(ListFlag::Last, 'n', "last", Takes::Value),
        Flag::short(ListFlag::Latest, 'l', "latest", Takes::Nothing),
        Flag::switch(ListFlag::NoTrunc, "no-trunc"),
        Flag::short(ListFlag::Quiet, 'q', "quiet", Takes::Nothing),
        Flag::short(ListFlag::Size, 's', "size", Takes::Nothing),
    ];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::None, words)?;
    let mut list = ContainerList::default();
    let mut latest = false;
    for given in parsed.given {
        match given.flag.id {
            ListFlag::All => list.all = given.on,
            ListFlag::Filter => list.filters.push(filter(&given).map_err(|error| usage.flag(error))?),
            ListFlag::Format => list.view.format = (!given.value.is_empty()).then_some(given.value),
            // A number below zero means no limit to the client.
            ListFlag::Last => {
                list.last = u64::try_from(integer(&given).map_err(|error| usage.flag(error))?).ok();
            }
            ListFlag::Latest => latest = given.on,
            ListFlag::NoTrunc => list.view.no_trunc = given.on,
            ListFlag::Quiet => list.view.quiet = given.on,
            ListFlag::Size => list.size = given.on,
        }
    }
    if latest && list.last.is_none() {
        list.last = Some(1);
    }
    Ok(list)
}

fn port(usage: &Usage, words: &[String]) -> Result<ContainerPort, CliError> {
    let none: &[Flag<()>] = &[];
    let parsed = usage.read(none, Placement::Anywhere, ArgumentRule::Between(1, 2), words)?;
    let mut arguments = parsed.arguments.into_iter();
    let container = arguments.next().unwrap_or_default();
    let port = arguments
        .next()
        .filter(|text| !text.is_empty())
        .map(|text| PortQuery { port: parse_query(&text).map_err(|error| error.to_string()), text });
    Ok(ContainerPort { container, port })
}

#[derive(Debug, Clone, Copy)]
enum LogsFlag {
    Details,
    Follow,
    Since,
    Tail,
    Timestamps,
    Until,
}

fn logs(usage: &Usage, words: &[String]) -> Result<ContainerLogs, CliError> {
    let flags = &[
        Flag::switch(LogsFlag::Details, "details"),
        Flag::short(LogsFlag::Follow, 'f', "follow", Takes::Nothing),
        Flag::value(LogsFlag::Since, "since"),
        Flag::short(LogsFlag::Tail, 'n', "tail", Takes::Value),
        Flag::short(LogsFlag::Timestamps, 't', "timestamps", Takes::Nothing),
        Flag::value(LogsFlag::Until, "until"),
    ];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::Exactly(1), words)?;
    let mut logs = ContainerLogs {
        container: parsed.arguments.concat(),
        follow: false,
        timestamps: false,
        tail: None,
        since: None,
        until: None,
    };
    for given in parsed.given {
        match given.flag.id {
            LogsFlag::Details => {}
            LogsFlag::Follow => logs.follow = given.on,
            LogsFlag::Since => logs.since = Some(given.value),
            // Anything that is no number means all lines, as to the daemon.
            LogsFlag::Tail => logs.tail = given.value.parse().ok(),
            LogsFlag::Timestamps => logs.timestamps = given.on,
            LogsFlag::Until => logs.until = Some(given.value),
        }
    }
    Ok(logs)
}

#[derive(Debug, Clone, Copy)]
enum EventsFlag {
    Filter,
    Format,
    Since,
    Until,
}

fn events(usage: &Usage, words: &[String]) -> Result<Events, CliError> {
    let flags = &[
        Flag::short(EventsFlag::Filter, 'f', "filter", Takes::Value),
        Flag::value(EventsFlag::Format, "format"),
        Flag::value(EventsFlag::Since, "since"),
        Flag::value(EventsFlag::Until, "until"),
    ];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::None, words)?;
    let mut events = Events::default();
    for given in parsed.given {
        match given.flag.id {
            EventsFlag::Filter => events.filters.push(filter(&given).map_err(|error| usage.flag(error))?),
            EventsFlag::Format => events.format = (!given.value.is_empty()).then_some(given.value),
            EventsFlag::Since => events.since = Some(given.value),
            EventsFlag::Until => events.until = Some(given.value),
        }
    }
    Ok(events)
}

fn view(usage: &Usage, words: &[String]) -> Result<View, CliError> {
    let flags = &[Flag::short((), 'f', "format", Takes::Value)];
    let parsed = usage.read(flags, Placement::Anywhere, ArgumentRule::None, words)?;
    let format = parsed.given.into_iter().last().map(|given| given.value).filter(|value| !value.is_empty());
    Ok(View { format, ..View::default() })
}

fn integer<Id>(given: &Given<Id>) -> Result<i64, FlagError> {
    given.value.parse().map_err(|_| {
        let reason = format!("strconv.ParseInt: parsing {}: invalid syntax", quote(&given.value));
        given.flag.invalid(&given.value, reason)
    })
}
