//! The `host` driver: the container lives in the host's namespace, so there is nothing to make and nothing to undo.

use crate::engine::plan::NamespaceName;

/// The namespace of a container on the host's network.
pub(in super::super) fn namespace(host: &NamespaceName) -> NamespaceName {
    host.clone()
}
