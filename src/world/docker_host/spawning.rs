//! Processes that a daemon asks for: containers' main programs, proxies, signals.

use std::net::SocketAddr;
use std::rc::Rc;

use super::super::disposition::Disposition;
use super::super::environment;
use super::super::files::{FileTable, Image};
use super::super::process::{Executable, Place, Streams, Tools};
use super::super::{OUTPUT_LIMIT, World, WorldError};
use super::{ContainerRuntime, HostId};
use crate::docker::capability::{NetworkCapabilities, NetworkCapability};
use crate::docker::cli::ports::Protocol;
use crate::docker::identity::Id;
use crate::docker::outcome::{ContainerProcess, Spawn};
use crate::docker::request::ExposedPort;
use crate::docker::user::{self, System};
use crate::engine::plan::Owner;
use crate::engine::sys::{Environment, ExitCode, Pipe, Powers, Privilege, User};

impl World {
    pub(super) fn start_container(
        &mut self,
        host: HostId,
        process: &ContainerProcess,
    ) -> Result<(), WorldError> {
        let id = process.container.clone();
        let files = self.files_of(host, &id);
        let environment = environment::of_container(&process.env);
        let (namespace, hostname) = (&process.namespace, &process.hostname);
        let powers = powers(process.capabilities);
        if let Some(name) = &process.user.name {
            let (user, group) = (process.user.id, process.user.group);
            let (passwd, groups) = (files.text("/etc/passwd"), files.text("/etc/group"));
            let own = |file: &str| file.lines().any(|line| line.split(':').next() == Some(name));
            if !own(&passwd) {
                files.put("/etc/passwd", format!("{passwd}{name}:x:{user}:{group}::/home/{name}:/bin/sh\n"));
            }
            if !own(&groups) {
                files.put("/etc/group", format!("{groups}{name}:x:{group}:\n"));
            }
        }
        let place = self.place(namespace, hostname, environment.clone(), files, Tools::BusyBox, powers)?;
        let place = place.with(powers, numbers(&process.user));
        let output = Pipe::with_capacity(OUTPUT_LIMIT);
        // A terminal has no end of input: a shell on it stays, whether or not somebody can type.
        let stdin = if process.interactive || process.tty { Pipe::new() } else { Pipe::empty() };
        let streams = Streams { stdin, stdout: output.clone(), stderr: output.clone() };
        let (program, arguments) = main_program(&place, process);
        let stands_in = arguments != process.argv || program.is_none() && !process.own_command;
        let disposition = Disposition::of(process, stands_in);
        let exited = self.exited.clone();
        let name = id.clone();
        let missing = missing_program(&Spawn::Container(process.clone()), &self.known_programs()).is_some();
        if process.init {
            let words = ["/sbin/docker-init", "--"].map(str::to_owned).into_iter();
            let arguments = words.chain(process.argv.iter().cloned()).collect();
            let streams = Streams { stdin: Pipe::empty(), stdout: output.clone(), stderr: output.clone() };
            // It hands signals on (`disposition`) and ends with the container.
            self.processes.start_future(&place, arguments, Environment::default(), streams, |_| {
                Box::pin(std::future::pending())
            });
        }
        let started = self.processes.start_future(&place, arguments, environment, streams, move |sys| {
            let main = program.map(|program| program.run(sys));
            Box::pin(async move {
                let status = match main {
                    Some(main) => main.await,
                    None if missing => ExitCode::NOT_FOUND,
                    // A program nobody here has: it runs and does nothing that a network sees.
                    None => std::future::pending().await,
                };
                exited.borrow_mut().push(name);
                status
            })
        });
        if disposition == Disposition::Server && stands_in {
            for (port, text) in &process.pages {
                self.serve_page(&place, *port, text.clone());
            }
        }
        let log = self.containers.remove(&id).map(|old| old.log).unwrap_or_default();
        let (main, exit) = (started.id, started.exit);
        let runtime =
            ContainerRuntime { daemon: host.0, place, main, exit, output, log, running: true, disposition };
        self.containers.insert(id, runtime);
        Ok(())
    }

    pub(super) fn start_proxy(
        &mut self,
        host: HostId,
        owner: Owner,
        listen: SocketAddr,
        target: Option<SocketAddr>,
        protocol: Protocol,
    ) {
        let place = self.hosts[host.0].place.clone();
        let name = if target.is_some() { "docker-proxy" } else { "dockerd" };
        let mut arguments = vec![name.to_owned(), "-proto".to_owned(), protocol.to_string()];
        let mut give = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        give("-host-ip", listen.ip().to_string());
        give("-host-port", listen.port().to_string());
        if let Some(target) = target {
            give("-container-ip", target.ip().to_string());
            give("-container-port", target.port().to_string());
        }
        if target.is_some() && self.daemons[host.0].config().profile.proxies_inherit_sockets() {
            arguments.push("-use-listen-fd".to_owned());
        }
        let streams = Streams { stdin: Pipe::empty(), stdout: Pipe::new(), stderr: Pipe::new() };
        // Both are in the table of programs.
        if let Ok(started) = self.processes.start(&place, arguments, Environment::default(), streams) {
            self.proxies.insert(owner, started);
        }
    }

    pub(super) fn files_of(&mut self, host: HostId, id: &Id) -> Rc<FileTable> {
        let daemon = &self.daemons[host.0];
        let made = || {
            let container = daemon.container(id.as_str());
            let image = container.map_or("", |container| container.made_from.config.image.as_str());
            Rc::new(FileTable::of_image(files_of_image(image)))
        };
        self.file_tables.entry(id.clone()).or_insert_with(made).clone()
    }
}

/// What a process with these capabilities may do.
pub(super) fn powers(capabilities: NetworkCapabilities) -> Powers {
    let privilege = match capabilities.change {
        NetworkCapability::None => Privilege::Ordinary,
        NetworkCapability::NetAdmin => Privilege::NetAdmin,
        NetworkCapability::Full => Privilege::Full,
    };
    Powers { privilege, raw: capabilities.raw }
}

pub(super) fn numbers(user: &user::User) -> User {
    User { id: user.id, group: user.group }
}

/// The program of a container's main process. An image's own command that is no web server of ours, and a command
/// that is not here, are played by one that listens on the image's ports.
fn main_program(place: &Place, process: &ContainerProcess) -> (Option<Executable>, Vec<String>) {
    let name = process.argv.first().map_or("", String::as_str);
    let serves = name.rsplit('/').next() == Some("httpd");
    let found = place.find(name).ok();
    let brought = matches!(found, Some(Executable::Own(_)));
    if process.listens.is_empty() || serves || brought || process.own_command && found.is_some() {
        return (found, process.argv.clone());
    }
    let answered = |port: &&ExposedPort| {
        port.protocol == Protocol::Tcp && process.pages.iter().any(|(page, _)| *page == port.port)
    };
    if process.listens.iter().all(|port| answered(&port)) {
        return (place.find("sleep").ok(), ["sleep", "infinity"].map(str::to_owned).to_vec());
    }
    let ports = process.listens.iter().filter(|port| !answered(port)).map(port_word);
    (place.find("listen").ok(), std::iter::once("listen".to_owned()).chain(ports).collect())
}

/// The command of a container that its image is known not to have. Of other images than these nothing is known: there,
/// a program that is not here runs and does nothing that a network sees.
pub(super) fn missing_program<'a>(spawn: &'a Spawn, knows: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    let Spawn::Container(process) = spawn else { return None };
    let name = process.argv.first().map_or("", String::as_str);
    let image = process.image.rsplit('/').next().unwrap_or_default().split([':', '@']).next();
    let complete = matches!(image, Some("busybox" | "alpine"));
    (complete && process.own_command && process.listens.is_empty() && !knows(name)).then_some(name)
}

fn port_word(port: &ExposedPort) -> String {
    format!("{}/{}", port.port, port.protocol)
}

/// The files of an image.
fn files_of_image(image: &str) -> Image {
    const PAGE: (&str, &str) = ("/www/index.html", "Welcome to nginx\n");
    const fn files(system: System) -> [(&'static str, &'static str); 3] {
        [("/etc/group", system.group()), ("/etc/passwd", system.passwd()), PAGE]
    }
    match System::of(image) {
        System::BusyBox => const { &files(System::BusyBox) },
        System::Alpine => const { &files(System::Alpine) },
        System::Debian => const { &files(System::Debian) },
    }
}
