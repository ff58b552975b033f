//! What a daemon sets on its host when it starts, or when the first network needs it: forwarding, the bridge netfilter switch
//! and its own chains.

use linkspan_nat::rule::Family;

use super::{Daemon, index_of};
use crate::docker::outcome::{HostView, Outcome};
use crate::engine::plan::{Op, Sysctl};

impl Daemon {
    /// The kernel settings and the daemon's own chains.
    pub(super) fn set_up_host(&mut self, view: &HostView, outcome: &mut Outcome) {
        if self.config.iptables {
            let (namespace, sysctl) = (self.host.namespace.clone(), Sysctl::BridgeNetfilter(true));
            outcome.plan.push(self.kernel, Op::SetSysctl { namespace, sysctl });
        }
        if !self.profile().forwards_when_a_network_needs_it() {
            self.forward(Family::Ipv4, view, outcome);
            if self.config.ip_forward && self.filters(Family::Ipv6) {
                self.drop_forward(Family::Ipv6, outcome);
            }
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            if self.filters(family) {
                match self.user_chains {
                    false => self.firewall().user_chain(&mut outcome.plan, self.kernel, family),
                    true => self.firewall().end_user_chain(&mut outcome.plan, self.kernel, family),
                }
                self.firewall().start(&mut outcome.plan, self.owner, family);
            }
        }
        self.user_chains = true;
    }

    /// Makes the host forward packets of a family. Where the daemon is the one who turns that on, what no rule lets
    /// through is dropped.
    pub(super) fn forward(&mut self, family: Family, view: &HostView, outcome: &mut Outcome) {
        if !self.config.ip_forward {
            return;
        }
        let done = std::mem::replace(&mut self.forwarding[index_of(family)], true);
        let sysctl = match family {
            Family::Ipv4 if view.ip_forward => return,
            Family::Ipv6 if done => return,
            Family::Ipv4 => Sysctl::Ipv4Forward(true),
            Family::Ipv6 => Sysctl::Ipv6Forward(true),
        };
        outcome.plan.push(self.kernel, Op::SetSysctl { namespace: self.host.namespace.clone(), sysctl });
        let by_network = family == Family::Ipv4 || self.profile().forwards_when_a_network_needs_it();
        if by_network && self.filters(family) && !self.config.ip_forward_no_drop {
            self.drop_forward(family, outcome);
        }
    }

    /// Whether the host forwards IPv4, as it was or because the daemon saw to it.
    pub(super) fn host_forwards(&self, view: &HostView) -> bool {
        view.ip_forward || self.config.ip_forward && self.forwarding[index_of(Family::Ipv4)]
    }

    pub(super) fn drop_forward(&mut self, family: Family, outcome: &mut Outcome) {
        self.drops_forward[index_of(family)] = true;
        self.firewall().drop_forward(&mut outcome.plan, self.kernel, family);
    }
}
