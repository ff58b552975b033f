//! What firewalld's reload leaves of dockerd's rules.
//!
//! firewalld empties the whole packet filter, DOCKER-USER and what people wrote by hand included, puts its own rules
//! back and tells dockerd, which writes its own again. Since 28 that gives what was there before, except for what
//! people wrote. 20.10 does not write the isolation of networks again, and what it writes goes above DOCKER-USER.
//! Connections that are known live on. Limits: firewalld's own zones and rules are not part of the world.

use linkspan_nat::rule::Family;

use super::Daemon;
use crate::docker::container::Container;
use crate::docker::network::Network;
use crate::docker::outcome::Outcome;
use crate::docker::rules::{Firewall, family_of};

impl Daemon {
    /// Every rule of the host is gone; a daemon that runs writes its own again.
    pub fn firewall_reloaded(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        self.user_chains = self.running;
        if !self.running {
            return outcome;
        }
        self.nat_jumps = [false; 2];
        let complete = self.profile().restores_isolation_on_reload();
        let firewall = Firewall { forgetful: !complete, ..self.firewall() };
        for (family, drops) in [Family::Ipv4, Family::Ipv6].into_iter().zip(self.drops_forward) {
            if self.filters(family) {
                firewall.user_chain(&mut outcome.plan, self.kernel, family);
                firewall.start(&mut outcome.plan, self.owner, family);
                if drops {
                    firewall.drop_forward(&mut outcome.plan, self.kernel, family);
                }
            }
        }
        let numbers: Vec<u32> = self.networks.keys().copied().collect();
        for number in numbers {
            let Some(network) = self.networks.get(&number).cloned() else { continue };
            self.write_rules_with(&firewall, &network, &mut outcome);
            if complete && network.name == "bridge" {
                self.write_links(&mut outcome);
            }
            self.write_endpoints(&network, &mut outcome);
        }
        if !complete {
            self.write_links(&mut outcome);
        }
        outcome
    }

    fn write_links(&mut self, outcome: &mut Outcome) {
        let linkers: Vec<u32> = self.linkers.iter().copied().collect();
        for number in linkers {
            self.open_links(number, outcome);
        }
    }

    /// The rules of a network's endpoints, then those of the ports published through it.
    fn write_endpoints(&self, network: &Network, outcome: &mut Outcome) {
        let members = || network.members.iter().filter_map(|number| self.containers.get(number));
        let on = |container: &Container| {
            container.endpoint(network.number).and_then(|endpoint| endpoint.active.clone())
        };
        let (Some(config), Some(bridge)) = (network.driver.bridge(), network.bridge) else { return };
        for active in members().filter_map(|container| on(container)) {
            for address in active.addresses().filter(|address| self.filters(family_of(address.addr()))) {
                if let Some(subnet) = network.subnet(address.addr().is_ipv6()) {
                    let rules = config.rules(bridge, subnet.pool.subnet(), network.internal);
                    self.firewall().endpoint(&mut outcome.plan, active.owner, &rules, address.addr());
                }
            }
        }
        for container in members() {
            for (index, binding) in container.bindings.iter().enumerate() {
                if binding.network == network.number {
                    self.write_binding(&container.bindings[..index], binding, outcome);
                }
            }
        }
    }
}
