//! Docker commands of a scenario's steps may use the file's own keys: `docker network connect back visitor` means the
//! network and the first container that Compose made of these keys. A name that the daemon knows itself always wins; the
//! beginning of an id does not, because a key such as `db` or `a` can be one by chance.

use super::model::Scenario;
use crate::docker::daemon::Daemon;
use crate::docker::request::{EndpointConfig, NetworkMode, Request};

/// Puts real names in place of keys.
pub(super) fn translate(request: &mut Request, scenario: &Scenario, daemon: &Daemon) {
    let container = |name: &mut String| {
        let service = scenario.service(name).filter(|_| daemon.containers().all(|c| c.name != *name));
        if let Some(real) = service.and_then(|s| scenario.container_names(s).into_iter().next()) {
            *name = real;
        }
    };
    let network = |name: &mut String| {
        let known = scenario.network(name).filter(|_| daemon.networks().all(|n| n.name != *name));
        if let Some(known) = known {
            *name = known.name.clone();
        }
    };
    let endpoint = |endpoint: &mut EndpointConfig| network(&mut endpoint.network);
    match request {
        Request::NetworkConnect(connect) => {
            container(&mut connect.container);
            endpoint(&mut connect.endpoint);
        }
        Request::NetworkDisconnect(disconnect) => {
            container(&mut disconnect.container);
            network(&mut disconnect.network);
        }
        Request::NetworkRemove(remove) => remove.networks.iter_mut().for_each(network),
        Request::NetworkInspect(inspect) => inspect.networks.iter_mut().for_each(network),
        Request::ContainerRun(create) | Request::ContainerCreate(create) => {
            match &mut create.network_mode {
                NetworkMode::Container(name) => container(name),
                NetworkMode::Network(name) => network(name),
                NetworkMode::Default | NetworkMode::Bridge | NetworkMode::Host | NetworkMode::None => {}
            }
            create.endpoints.iter_mut().for_each(endpoint);
        }
        Request::ContainerStart(start) => start.containers.iter_mut().for_each(container),
        Request::ContainerStop(stop) | Request::ContainerRestart(stop) => {
            stop.containers.iter_mut().for_each(container);
        }
        Request::ContainerKill(kill) => kill.containers.iter_mut().for_each(container),
        Request::ContainerRemove(remove) => remove.containers.iter_mut().for_each(container),
        Request::ContainerRename(rename) => container(&mut rename.container),
        Request::ContainerUpdate(update) => update.containers.iter_mut().for_each(container),
        Request::ContainerPause(list) | Request::ContainerUnpause(list) | Request::ContainerWait(list) => {
            list.containers.iter_mut().for_each(container);
        }
        Request::ContainerExec(exec) => container(&mut exec.container),
        Request::ContainerPort(port) => container(&mut port.container),
        Request::ContainerLogs(logs) => container(&mut logs.container),
        Request::Inspect(inspect) => inspect.names.iter_mut().for_each(container),
        Request::NetworkCreate(_)
        | Request::NetworkPrune(_)
        | Request::NetworkList(_)
        | Request::ContainerList(_)
        | Request::ContainerPrune(_)
        | Request::Events(_)
        | Request::Info(_)
        | Request::Version(_) => {}
    }
}
