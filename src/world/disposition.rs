//! What a signal does to a container's main process.
//!
//! The kernel gives the first process of a PID namespace no default action: a signal it has no handler for is lost,
//! SIGKILL from outside excepted (pid_namespaces(7)). That is why `docker stop` of a `sleep` or a shell takes its whole
//! grace period. Who has a handler is decided by a rule, because a program's code is not here: the server that an
//! image's own command starts shuts down in good order and returns 0, as nginx, Redis and PostgreSQL do; whatever a
//! command line names has none. With `--init` the first process hands every signal on to a child that is subject to
//! default actions.

use super::World;
use crate::docker::outcome::ContainerProcess;
use crate::docker::signal::Signal;
use crate::engine::sys::ExitCode;

/// How a main process takes signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It is the first of its namespace and has no handlers.
    First,
    /// It is a server that shuts down when asked to.
    Server,
    /// It is the child of an init.
    Child,
}

impl Disposition {
    /// The disposition of a process; `stands_in`: a program of ours plays the image's server, or nothing of ours runs.
    pub(super) fn of(process: &ContainerProcess, stands_in: bool) -> Disposition {
        let own_server = !process.own_command && !process.listens.is_empty();
        match (stands_in || own_server, process.init) {
            (true, _) => Disposition::Server,
            (false, true) => Disposition::Child,
            (false, false) => Disposition::First,
        }
    }

    /// The status with which the process ends, if it does.
    pub(super) fn effect(self, signal: Signal) -> Option<ExitCode> {
        let killed = ExitCode(128u8.saturating_add(signal.number()));
        match self {
            _ if signal == Signal::KILL => Some(killed),
            Disposition::First => None,
            Disposition::Server => {
                [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal).then_some(ExitCode::SUCCESS)
            }
            Disposition::Child => signal.ends_by_default().then_some(killed),
        }
    }
}

impl World {
    /// Delivers what processes of containers sent to the first of their namespace: SIGKILL has no effect from inside.
    pub(super) fn deliver_signals(&mut self) {
        for (place, signal) in self.processes.take_signals().into_iter().filter(|(_, s)| *s != Signal::KILL) {
            let container = self.containers.iter().find(|(_, runtime)| runtime.place.number == place);
            if let Some(id) = container.map(|(id, _)| id.clone()) {
                self.signal_container(id.as_str(), signal);
            }
        }
    }

    /// Sends a signal to a container's main process from outside.
    pub(super) fn signal_container(&mut self, id: &str, signal: Signal) {
        let Some((id, runtime)) = self.containers.get_key_value(id).filter(|(_, r)| r.running) else {
            return;
        };
        let id = id.clone();
        let (main, place) = (runtime.main, runtime.place.number);
        let Some(status) = runtime.disposition.effect(signal) else { return };
        self.processes.end(main, status);
        self.processes.kill_place(place, 9);
        self.exited.borrow_mut().push(id);
    }
}
