//! Plans: applied all or nothing, undone by owner in reverse.
//!
//! Every applied operation leaves an [`Undo`] with its owner. Removing an owner runs its undos newest first; what is
//! already gone is skipped. When an operation of a plan fails, those before it are undone, and owners that the plan
//! had removed are put back by applying their operations again.

mod addresses;
mod devices;
mod error;
mod ports;
mod settings;
mod undo;

use std::collections::{BTreeMap, BTreeSet};

use linkspan_nat::conntrack::ConnectionOwner;
use linkspan_nat::ruleset::{Policy, RuleOwner};

use super::Engine;
use super::device::Kind;
use super::errno::Errno;
use super::event::EventKind;
use super::id::{DeviceId, NamespaceId};
use super::namespace::Namespace;
use super::plan::{Connections, DeviceName, NamespaceName, Op, Owner, Plan, Position};
use super::view::AddressState;

pub use error::ApplyError;
use error::rules_error;
pub(super) use error::wrong_kind;
pub(super) use undo::Undo;

impl Engine {
    /// Applies a plan, all or nothing. Only between drains.
    pub fn apply(&mut self, plan: &Plan) -> Result<(), ApplyError> {
        self.epoch += 1;
        let mut done: Vec<Step> = Vec::with_capacity(plan.entries.len());
        let mut counts: BTreeMap<Owner, usize> = BTreeMap::new();
        // Behind the last operation that can be refused nothing needs to come back.
        let certain = plan.entries.iter().rposition(|entry| entry.op != Op::RemoveOwner).unwrap_or(0);
        for (index, entry) in plan.entries.iter().enumerate() {
            if entry.op == Op::RemoveOwner {
                done.push(Step::Removed(entry.owner, self.remove_owner(entry.owner, index < certain)));
                continue;
            }
            match self.apply_op(&entry.op, entry.owner) {
                Ok(undo) => {
                    *counts.entry(entry.owner).or_default() += 1;
                    self.owners.entry(entry.owner).or_default().push(undo);
                    done.push(Step::Applied(entry.owner));
                }
                Err(error) => {
                    self.roll_back(done);
                    return Err(error);
                }
            }
        }
        for (owner, operations) in counts {
            // Most owners get no more.
            self.owners.entry(owner).and_modify(Vec::shrink_to_fit);
            self.event(linkspan_switch::frame::TraceId(0), |_| EventKind::Applied { owner, operations });
        }
        Ok(())
    }

    /// Owners that have something, and how many operations.
    pub fn owned(&self) -> BTreeMap<Owner, usize> {
        self.owners
            .iter()
            .filter(|(_, undos)| !undos.is_empty())
            .map(|(owner, undos)| (*owner, undos.len()))
            .collect()
    }

    fn roll_back(&mut self, done: Vec<Step>) {
        for step in done.into_iter().rev() {
            match step {
                Step::Applied(owner) => {
                    if let Some(undo) = self.owners.get_mut(&owner).and_then(Vec::pop) {
                        self.undo(undo);
                    }
                }
                Step::Removed(owner, operations) => {
                    for op in operations {
                        // It was applied before; if the world changed since, what cannot come back stays away.
                        let undo = match op {
                            Some(op) => self.apply_op(&op, owner).ok(),
                            None => Some(Undo::Nothing),
                        };
                        self.owners.entry(owner).or_default().extend(undo);
                    }
                }
            }
        }
        self.owners.retain(|_, undos| !undos.is_empty());
    }

    /// Undoes what an owner has. If it may have to come back, returns its operations in the order they were applied,
    /// `None` for those that left nothing.
    fn remove_owner(&mut self, owner: Owner, remember: bool) -> Vec<Option<Op>> {
        let undos = self.owners.remove(&owner).unwrap_or_default();
        let mut operations = Vec::new();
        // Connections are translated by rules, so they are where the owner's rules were.
        let mut translating = BTreeSet::new();
        for undo in undos.into_iter().rev() {
            if remember {
                operations.push(self.redo_of(&undo));
            }
            if let Undo::Rule(namespace, ..) = &undo {
                translating.insert(*namespace);
            }
            self.undo(undo);
        }
        operations.reverse();
        let mut connections = 0;
        for namespace in translating {
            if let Some(space) = self.living_space(namespace) {
                connections += space.netfilter.flush_owner(connection_owner(owner));
            }
        }
        self.event(linkspan_switch::frame::TraceId(0), |_| EventKind::Undone { owner, connections });
        operations
    }

    pub(super) fn apply_op(&mut self, op: &Op, owner: Owner) -> Result<Undo, ApplyError> {
        match op {
            Op::AddNamespace { namespace, disable_ipv6, ipv4_forward, unprivileged } => {
                self.add_namespace(namespace, *disable_ipv6, *ipv4_forward, *unprivileged)
            }
            Op::AddDevice { device, spec, mac, mtu } => self.add_device(device, spec, *mac, *mtu),
            Op::Connect { a, b, quality } => self.connect(a, b, **quality),
            Op::SetMac { device, mac } => self.set_mac(device, *mac),
            Op::SetMaster { device, bridge, hairpin, isolated } => {
                self.set_master(device, *bridge, *hairpin, *isolated)
            }
            Op::SetUp { device } => self.set_up(device, true),
            Op::SetDown { device } => self.set_up(device, false),
            Op::AddAddress { device, address, detection } => {
                let id = self.find_device(device)?;
                let duplicate = self.address_state(id, address.addr()) == AddressState::Duplicate;
                if duplicate
                    || self.devices[id.index()].as_ref().is_some_and(|d| d.has_address(address.addr()))
                {
                    return Err(ApplyError::AddressExists { device: device.clone(), address: *address });
                }
                let held = self.devices[id.index()].as_ref();
                if address.addr().is_ipv6()
                    && let Some(held) = held.filter(|held| !held.carries_ipv6())
                {
                    return Err(ApplyError::NoIpv6 { device: device.clone(), mtu: held.mtu });
                }
                self.add_address(id, *address, *detection);
                Ok(Undo::Address(id, *address))
            }
            Op::RemoveAddress { device, address } => {
                let id = self.find_device(device)?;
                self.remove_address(id, *address);
                Ok(Undo::Nothing)
            }
            Op::AddRoute { namespace, destination, next_hop, device, source, metric } => {
                self.add_route(namespace, *destination, *next_hop, *device, *source, *metric)
            }
            Op::AddNeighbour { device, address, mac } => {
                let id = self.find_device(device)?;
                let namespace = self.find_namespace(&device.namespace)?;
                self.address_filters.note(namespace, *address);
                let waiting = match &mut self.namespaces[namespace.index()] {
                    Some(space) => space.neighbours.set_permanent(id, *address, *mac),
                    None => Default::default(),
                };
                for frame in waiting {
                    self.send_with_mac(id, *mac, frame);
                }
                Ok(Undo::Neighbour(Box::new((namespace, id, *address))))
            }
            Op::ForgetConnections { namespace, address } => {
                Ok(Undo::Connections(self.find_namespace(namespace)?, *address))
            }
            Op::FlushConnections { namespace, which } => {
                let id = self.find_namespace(namespace)?;
                let space = self.space(id, namespace)?;
                match which {
                    Connections::WithReplyEnd(address) => space.netfilter.flush_address(*address),
                    Connections::OpenedToUdp(port, address) => space.netfilter.flush_udp_to(*port, *address),
                };
                Ok(Undo::Nothing)
            }
            Op::Announce { device, address, messages, interval } => {
                let id = self.find_device(device)?;
                self.announce(id, *address, *messages, *interval);
                Ok(Undo::Announcement(id, *address))
            }
            Op::SetSysctl { namespace, sysctl } => {
                let id = self.find_namespace(namespace)?;
                let before = self.set_sysctl(id, namespace, sysctl)?;
                Ok(Undo::Sysctl(id, Box::new(before)))
            }
            Op::AddChain { namespace, family, table, chain } => {
                let id = self.find_namespace(namespace)?;
                let space = self.space(id, namespace)?;
                let rules = space.netfilter.rules_mut(*family);
                rules.new_chain(*table, chain.clone()).map_err(|reason| rules_error(namespace, reason))?;
                Ok(Undo::Chain(id, *family, *table, chain.clone()))
            }
            Op::AddRule { namespace, family, table, chain, position, rule } => {
                let id = self.find_namespace(namespace)?;
                let space = self.space(id, namespace)?;
                let rules = space.netfilter.rules_mut(*family);
                let owner = Some(RuleOwner(connection_owner(owner).0));
                let wanted =
                    || rules.chain(*table, chain).is_some() && rules.check(*table, chain, rule).is_err();
                if *position == Position::AppendMissing && !wanted() {
                    return Ok(Undo::Nothing);
                }
                let added = match position {
                    Position::Append | Position::AppendMissing => {
                        rules.append(*table, chain, rule.clone(), owner)
                    }
                    Position::Insert => rules.insert(*table, chain, 1, rule.clone(), owner),
                };
                let rule = added.map_err(|reason| rules_error(namespace, reason))?;
                Ok(Undo::Rule(id, *family, rule, *position))
            }
            Op::RemoveRule { namespace, family, table, chain, rule } => {
                let id = self.find_namespace(namespace)?;
                let space = self.space(id, namespace)?;
                // Absent is no error: the rule is about to be put elsewhere.
                let _ = space.netfilter.rules_mut(*family).delete_rule(*table, chain, rule);
                Ok(Undo::Nothing)
            }
            Op::SetPolicy { namespace, family, table, hook, drop } => {
                let id = self.find_namespace(namespace)?;
                let space = self.space(id, namespace)?;
                let rules = space.netfilter.rules_mut(*family);
                let chain = hook.chain_name();
                let before = rules.chain(*table, chain).map_or(Policy::Accept, |c| c.policy());
                let policy = if *drop { Policy::Drop } else { Policy::Accept };
                rules.set_policy(*table, chain, policy).map_err(|reason| rules_error(namespace, reason))?;
                Ok(Undo::Policy(id, *family, *table, *hook, before))
            }
            Op::Listen { namespace, address, transport, service } => {
                let id = self.find_namespace(namespace)?;
                let failed =
                    |reason| ApplyError::Listen { namespace: namespace.clone(), address: *address, reason };
                if address.port() == 0 {
                    return Err(failed(Errno::InvalidArgument));
                }
                let socket = self.service_listen(id, *address, *transport, *service).map_err(failed)?;
                Ok(Undo::Socket(socket))
            }
            Op::SetLink { device, quality } => {
                const WIRED: &str = "a NIC with a wire, or a veth";
                let id = self.find_device(device)?;
                let (link, end) = match self.devices[id.index()].as_ref().map(|d| &d.kind) {
                    Some(
                        Kind::Nic { link: Some((link, end)) } | Kind::Veth { link: Some((link, end)), .. },
                    ) => (*link, *end),
                    Some(Kind::Veth { peer, link: None, .. }) => (self.wire_veth([id, *peer]), 0),
                    _ => return Err(wrong_kind(device, WIRED)),
                };
                let Some(Some(wire)) = self.links.get_mut(link.index()) else {
                    return Err(wrong_kind(device, WIRED));
                };
                let before = wire.directions[end].quality;
                wire.directions[end].quality = *quality;
                Ok(Undo::Quality(link, end, Box::new(before)))
            }
            Op::RemoveOwner => Ok(Undo::Nothing),
        }
    }

    pub(in crate::engine) fn find_namespace(&self, name: &NamespaceName) -> Result<NamespaceId, ApplyError> {
        self.namespace(name).ok_or_else(|| ApplyError::NoNamespace(name.clone()))
    }

    pub(super) fn find_device(&self, name: &DeviceName) -> Result<DeviceId, ApplyError> {
        self.device(name).ok_or_else(|| ApplyError::NoDevice(name.clone()))
    }

    fn space(&mut self, id: NamespaceId, name: &NamespaceName) -> Result<&mut Namespace, ApplyError> {
        match self.namespaces.get_mut(id.index()) {
            Some(Some(space)) => Ok(space),
            _ => Err(ApplyError::NoNamespace(name.clone())),
        }
    }
}

enum Step {
    Applied(Owner),
    Removed(Owner, Vec<Option<Op>>),
}

/// An owner as connection tracking and rules carry it: the kind in the upper half, the number in the lower.
pub(crate) fn connection_owner(owner: Owner) -> ConnectionOwner {
    let (kind, number) = match owner {
        Owner::Machine(n) => (0u64, n),
        Owner::Daemon(n) => (1, n),
        Owner::Network(n) => (2, n),
        Owner::Sandbox(n) => (3, n),
        Owner::Endpoint(n) => (4, n),
        Owner::Binding(n) => (5, n),
        Owner::Resolver(n) => (7, n),
        Owner::Rules(n) => (6, n),
    };
    ConnectionOwner(kind << 32 | u64::from(number))
}
