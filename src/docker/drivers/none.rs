//! The `null` driver: a namespace of its own with nothing but a loopback device.

use crate::engine::plan::{NamespaceName, Op, Owner, Plan};

/// Makes a container's namespace. Every driver but `host` starts from it.
pub(in super::super) fn sandbox(
    plan: &mut Plan,
    owner: Owner,
    namespace: &NamespaceName,
    disable_ipv6: bool,
    ipv4_forward: bool,
) {
    plan.push(owner, Op::AddNamespace { namespace: namespace.clone(), disable_ipv6, ipv4_forward });
}
