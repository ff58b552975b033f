//! Where the kernel lets a target be used: in which table, from which hooks and with which matches.

use crate::rule::{Match, RejectWith, Rule, Target, TcpMss};
use crate::ruleset::{Hook, Table};

/// Every hook, one bit each.
pub(crate) const EVERY_HOOK: u8 = 0x1f;

/// The hooks from which a target may be reached, as the kernel's extensions register them; bit = hook number.
pub(crate) fn hooks_of(target: &Target) -> u8 {
    let bit = |hook: Hook| 1u8 << hook as u8;
    match target {
        Target::Dnat(_) | Target::Redirect(_) => bit(Hook::Prerouting) | bit(Hook::Output),
        Target::Snat(_) => bit(Hook::Postrouting) | bit(Hook::Input),
        Target::Masquerade(_) => bit(Hook::Postrouting),
        Target::Reject(_) => bit(Hook::Input) | bit(Hook::Forward) | bit(Hook::Output),
        Target::TcpMss(TcpMss::ClampToPmtu) => {
            bit(Hook::Forward) | bit(Hook::Output) | bit(Hook::Postrouting)
        }
        Target::Continue
        | Target::Accept
        | Target::Drop
        | Target::Return
        | Target::Jump(_)
        | Target::Goto(_)
        | Target::Log(_)
        | Target::Mark(_)
        | Target::ConnMark(_)
        | Target::NoTrack { .. }
        | Target::ChecksumFill
        | Target::TcpMss(TcpMss::Set(_)) => EVERY_HOOK,
    }
}

/// Whether the kernel takes the rule into the table at all.
pub(crate) fn fits(rule: &Rule, table: Table) -> bool {
    let is_tcp = rule.protocol.is_some_and(|p| !p.negated && p.value == 6);
    match &rule.target {
        Target::Dnat(_) | Target::Snat(_) | Target::Masquerade(_) | Target::Redirect(_) => {
            table == Table::Nat
        }
        Target::Reject(with) => table == Table::Filter && (*with != RejectWith::TcpReset || is_tcp),
        Target::NoTrack { .. } => table == Table::Raw,
        Target::ChecksumFill => table == Table::Mangle,
        Target::TcpMss(_) => {
            is_tcp
                && rule.matches.iter().any(|m| match m {
                    Match::Tcp(tcp) => {
                        tcp.flags.is_some_and(|f| !f.negated && f.value.mask & f.value.compared & 2 != 0)
                    }
                    _ => false,
                })
        }
        Target::Drop => table != Table::Nat,
        Target::Continue
        | Target::Accept
        | Target::Return
        | Target::Jump(_)
        | Target::Goto(_)
        | Target::Log(_)
        | Target::Mark(_)
        | Target::ConnMark(_) => true,
    }
}
