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
    // So that programs may ping and listen below port 1024 whoever they are (`daemon/oci_linux.go`).
    let unprivileged = true;
    let namespace = namespace.clone();
    plan.push(owner, Op::AddNamespace { namespace, disable_ipv6, ipv4_forward, unprivileged });
}
