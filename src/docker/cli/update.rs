//! `docker update`: of what can be changed in a container that exists, the restart policy; the rest are shares of a machine.

use super::flags::{Flag, Placement, Takes};
use super::{ArgumentRule, CliError, Command, Usage, plain, shown_ignored, values};
use crate::docker::request::{ContainerUpdate, Request};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Restart,
    /// Known, without effect on networking.
    Ignored,
}

const FLAGS: &[Flag<Id>] = &[
    Flag::value(Id::Ignored, "blkio-weight"),
    Flag::value(Id::Ignored, "cpu-period"),
    Flag::value(Id::Ignored, "cpu-quota"),
    Flag::value(Id::Ignored, "cpu-rt-period"),
    Flag::value(Id::Ignored, "cpu-rt-runtime"),
    Flag::short(Id::Ignored, 'c', "cpu-shares", Takes::Value),
    Flag::value(Id::Ignored, "cpus"),
    Flag::value(Id::Ignored, "cpuset-cpus"),
    Flag::value(Id::Ignored, "cpuset-mems"),
    Flag::short(Id::Ignored, 'm', "memory", Takes::Value),
    Flag::value(Id::Ignored, "memory-reservation"),
    Flag::value(Id::Ignored, "memory-swap"),
    Flag::value(Id::Ignored, "pids-limit"),
    Flag::value(Id::Restart, "restart"),
];

/// Reads what stands after `docker update`.
pub(super) fn parse(usage: &Usage, words: &[String]) -> Result<Command, CliError> {
    let parsed = usage.read(FLAGS, Placement::Anywhere, ArgumentRule::AtLeast(1), words)?;
    if parsed.given.is_empty() {
        return Err(CliError::Refused(
            "you must provide one or more flags when using this command".to_owned(),
        ));
    }
    let restart = parsed.given.iter().rfind(|given| given.flag.id == Id::Restart);
    let restart = restart.map(|given| values::restart_policy(&given.value)).transpose();
    let restart = restart.map_err(CliError::Refused)?;
    let ignored =
        parsed.given.iter().filter(|given| given.flag.id == Id::Ignored).map(shown_ignored).collect();
    let request = Request::ContainerUpdate(ContainerUpdate { containers: parsed.arguments, restart });
    Ok(Command { ignored, ..plain(request) })
}
