//! Which attempts are made: every ordered pair by every name and address, and every published port from everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::survey::{KNOWN_NAME, PartyPlace};
use super::{By, Party, PartyId, PartyKind, PartyState, Published, Scope};
use crate::world::probe::Attempt;

/// The port that the recordings try on every container.
const WEB: Attempt = Attempt::Tcp(80);

/// Attempts at one target from one source.
pub(super) struct Trial {
    pub(super) from: PartyId,
    pub(super) to: PartyId,
    pub(super) by: By,
    /// What the source resolves.
    pub(super) target: String,
    pub(super) attempts: Vec<Attempt>,
}

/// All trials, by source, in the order of parties.
pub(super) fn trials(places: &[PartyPlace], scope: Scope) -> Vec<Trial> {
    let parties: Vec<(PartyId, &Party)> =
        places.iter().enumerate().map(|(index, place)| (PartyId(index), &place.party)).collect();
    let mut trials = Vec::new();
    match scope {
        Scope::Everything | Scope::Pings => everything(&parties, scope == Scope::Pings, &mut trials),
        Scope::PingAll => pingall(&parties, &mut trials),
        Scope::Oracle => oracle(&parties, &mut trials),
    }
    trials
}

type Numbered<'a> = (PartyId, &'a Party);

fn everything(parties: &[Numbered<'_>], pings: bool, trials: &mut Vec<Trial>) {
    for (from, source) in parties.iter().filter(|(_, party)| party.state == PartyState::Up) {
        for (to, target) in parties.iter().filter(|(to, _)| to != from) {
            if (source.kind, target.kind) == (PartyKind::Machine, PartyKind::Machine) {
                continue;
            }
            let attempts = || {
                let mut attempts = vec![Attempt::Ping];
                attempts.extend(target.ports.iter().filter(|_| !pings));
                attempts
            };
            // Docker gives the host and what is outside no names for containers.
            if source.kind == PartyKind::Container {
                for name in &target.names {
                    let by = By::Name(name.clone());
                    trials.push(Trial {
                        from: *from,
                        to: *to,
                        by,
                        target: name.clone(),
                        attempts: attempts(),
                    });
                }
            }
            for (network, address) in &target.addresses {
                let by = By::Address { network: network.clone(), address: *address };
                let target = address.to_string();
                trials.push(Trial { from: *from, to: *to, by, target, attempts: attempts() });
            }
            if target.kind == PartyKind::Host && !pings {
                published(parties, (*from, source), (*to, target), trials);
            }
        }
        if source.kind == PartyKind::Host && !pings {
            published(parties, (*from, source), (*from, source), trials);
        }
    }
}

/// Sorted by the container's port as text, like the keys of `docker inspect`.
fn in_text_order(published: &[Published]) -> Vec<&Published> {
    let mut ports: Vec<&Published> = published.iter().collect();
    ports.sort_by_key(|port| port.container.map(|target| target.to_string()));
    ports
}

/// One ping of every ordered pair of containers, at the target's first address.
fn pingall(parties: &[Numbered<'_>], trials: &mut Vec<Trial>) {
    let running =
        |(_, party): &&Numbered<'_>| party.kind == PartyKind::Container && party.state == PartyState::Up;
    for (from, _) in parties.iter().filter(running) {
        for (to, target) in parties.iter().filter(running).filter(|(to, _)| to != from) {
            let Some((network, address)) = target.addresses.first() else { continue };
            let by = By::Address { network: network.clone(), address: *address };
            let attempts = vec![Attempt::Ping];
            trials.push(Trial { from: *from, to: *to, by, target: address.to_string(), attempts });
        }
    }
}

/// Every published port from one source: on the host's own address and, from the host itself, on its loopback address.
fn published(
    parties: &[Numbered<'_>],
    (from, source): Numbered<'_>,
    (to, host): Numbered<'_>,
    trials: &mut Vec<Trial>,
) {
    for (_, party) in parties {
        for port in &party.published {
            let Some(target) = port.container else { continue };
            let mut addresses = Vec::new();
            if source.kind == PartyKind::Host {
                addresses.extend(loopback(port.host.ip()));
            }
            addresses.extend(reachable(port.host.ip(), host));
            for address in addresses {
                let number = port.host.port();
                let attempt = match target {
                    Attempt::Tcp(_) | Attempt::Ping => Attempt::Tcp(number),
                    Attempt::Udp(_) => Attempt::Udp(number),
                };
                let by = By::Published { address, port: number, container: party.label.clone(), target };
                let attempts = vec![attempt];
                trials.push(Trial { from, to, by, target: address.to_string(), attempts });
            }
        }
    }
}

/// The loopback address that a bound address covers.
fn loopback(bound: IpAddr) -> Option<IpAddr> {
    match bound {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        address => address.is_loopback().then_some(address),
    }
}

/// The host's address on which a port is tried: the bound one, else the host's first of the family. What is bound to a
/// loopback address is tried there too, because it must not be open.
fn reachable(bound: IpAddr, host: &Party) -> Option<IpAddr> {
    if !bound.is_unspecified() && !bound.is_loopback() {
        return Some(bound);
    }
    let own = host.addresses.iter().map(|(_, address)| *address);
    own.into_iter().find(|address| address.is_ipv4() == bound.is_ipv4())
}

/// The attempts of the recordings, in their order.
fn oracle(parties: &[Numbered<'_>], trials: &mut Vec<Trial>) {
    let of = |kind| parties.iter().filter(move |(_, party)| party.kind == kind);
    let host = of(PartyKind::Host).next();
    let outside = of(PartyKind::Machine).next();
    let tried = || vec![Attempt::Ping, WEB];
    // A container on the host's network has no address of its own.
    let addresses = |party: &Party| -> Vec<(String, IpAddr)> {
        party.addresses.iter().filter(|(network, _)| network != "host").cloned().collect()
    };
    let ports: Vec<(&Party, &Published)> = of(PartyKind::Container)
        .flat_map(|(_, party)| in_text_order(&party.published).into_iter().map(move |port| (*party, port)))
        .filter(|(_, port)| port.host.is_ipv4() && matches!(port.container, Some(Attempt::Tcp(_))))
        .collect();
    let on_port = |from: PartyId, address: IpAddr, (party, port): &(&Party, &Published)| {
        let (to, _) = host?;
        let number = port.host.port();
        let by = By::Published {
            address,
            port: number,
            container: party.label.clone(),
            target: port.container.unwrap_or(WEB),
        };
        let attempts = vec![Attempt::Tcp(number)];
        Some(Trial { from, to: *to, by, target: address.to_string(), attempts })
    };
    let own = host.and_then(|(_, host)| host.addresses.iter().map(|(_, a)| *a).find(IpAddr::is_ipv4));
    for (from, _) in of(PartyKind::Container) {
        for (to, target) in of(PartyKind::Container).filter(|(to, _)| to != from) {
            for name in &target.names {
                let by = By::Name(name.clone());
                trials.push(Trial { from: *from, to: *to, by, target: name.clone(), attempts: tried() });
            }
            for (network, address) in addresses(target) {
                let by = By::Address { network, address };
                let target = address.to_string();
                trials.push(Trial { from: *from, to: *to, by, target, attempts: tried() });
            }
        }
        if let Some((to, outside)) = outside {
            for (network, address) in outside.addresses.iter().take(1) {
                let by = By::Address { network: network.clone(), address: *address };
                let target = address.to_string();
                trials.push(Trial { from: *from, to: *to, by, target, attempts: tried() });
            }
            let by = By::Name(KNOWN_NAME.to_owned());
            let target = KNOWN_NAME.to_owned();
            trials.push(Trial { from: *from, to: *to, by, target, attempts: tried() });
        }
        let found = ports.iter().filter_map(|port| on_port(*from, own?, port));
        trials.extend(found);
    }
    let Some((host, _)) = host else { return };
    for port in &ports {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        trials.extend(on_port(*host, local, port));
        trials.extend(own.and_then(|own| on_port(*host, own, port)));
        trials.extend(outside.and_then(|(outside, _)| on_port(*outside, own?, port)));
    }
    for (to, target) in of(PartyKind::Container) {
        for (network, address) in addresses(target) {
            let by = By::Address { network, address };
            let target = address.to_string();
            trials.push(Trial { from: *host, to: *to, by, target, attempts: tried() });
        }
    }
}
