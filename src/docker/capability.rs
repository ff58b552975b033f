//! What a container's processes may do in their network namespace: dockerd's arithmetic on `--privileged`,
//! `--cap-add` and `--cap-drop`, as far as it concerns `CAP_NET_ADMIN` and `CAP_NET_RAW`.
//!
//! Docker's default set has the second and lacks the first. Adding `ALL` gives everything but what is dropped; otherwise
//! dropping `ALL` leaves what is added; otherwise what is added wins over what is dropped. A privileged container has all,
//! whatever is dropped, and only there `/proc/sys` can be written to.

use super::request::ContainerCreate;

/// What is given to a container's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkCapabilities {
    /// What they may change.
    pub change: NetworkCapability,
    /// They may open raw and packet sockets: `CAP_NET_RAW`.
    pub raw: bool,
}

/// What may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkCapability {
    /// Nothing.
    None,
    /// Addresses, routes, devices and rules: `CAP_NET_ADMIN`.
    NetAdmin,
    /// Kernel parameters too.
    Full,
}

impl NetworkCapabilities {
    /// What a privileged process has.
    pub const ALL: NetworkCapabilities = NetworkCapabilities { change: NetworkCapability::Full, raw: true };

    /// What a process has whose user is not root: dockerd gives capabilities to root alone.
    pub const NONE: NetworkCapabilities = NetworkCapabilities { change: NetworkCapability::None, raw: false };

    /// What a container's configuration gives to its processes.
    pub fn of(config: &ContainerCreate) -> NetworkCapabilities {
        if config.privileged {
            return Self::ALL;
        }
        let names = |list: &[String], wanted: &str| list.iter().any(|name| is(name, wanted));
        let given = |wanted: &str, default: bool| match names(&config.cap_add, ALL) {
            true => !names(&config.cap_drop, wanted),
            false if names(&config.cap_add, wanted) => true,
            false => default && !names(&config.cap_drop, ALL) && !names(&config.cap_drop, wanted),
        };
        let change = match given(NET_ADMIN, false) {
            true => NetworkCapability::NetAdmin,
            false => NetworkCapability::None,
        };
        NetworkCapabilities { change, raw: given(NET_RAW, true) }
    }
}

/// The first of these names that no capability has, as the engine writes it.
pub fn unknown(names: &[String]) -> Option<String> {
    let bare = |name: &String| {
        let name = name.to_ascii_uppercase();
        name.strip_prefix("CAP_").unwrap_or(&name).to_owned()
    };
    let mut bare = names.iter().map(bare);
    bare.find(|name| name != ALL && !KNOWN.contains(&name.as_str())).map(|name| format!("CAP_{name}"))
}

/// `capabilities(7)`.
const KNOWN: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

const ALL: &str = "ALL";
const NET_ADMIN: &str = "NET_ADMIN";
const NET_RAW: &str = "NET_RAW";

/// Names have any case and `CAP_` before them or not.
fn is(name: &str, wanted: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").unwrap_or(&name) == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(add: &[&str], drop: &[&str], privileged: bool) -> NetworkCapabilities {
        let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        NetworkCapabilities::of(&ContainerCreate {
            cap_add: owned(add),
            cap_drop: owned(drop),
            privileged,
            ..ContainerCreate::default()
        })
    }

    fn of(add: &[&str], drop: &[&str], privileged: bool) -> NetworkCapability {
        given(add, drop, privileged).change
    }

    #[test]
    fn raw_sockets_are_given_unless_they_are_dropped() {
        assert!(given(&[], &[], false).raw);
        assert!(!given(&[], &["NET_RAW"], false).raw);
        assert!(!given(&[], &["all"], false).raw);
        assert!(given(&["cap_net_raw"], &["ALL"], false).raw);
        assert!(given(&["NET_RAW"], &["NET_RAW"], false).raw);
        assert!(!given(&["ALL"], &["CAP_NET_RAW"], false).raw);
        assert!(given(&["ALL"], &["ALL"], false).raw);
        assert!(given(&[], &["NET_RAW"], true).raw);
    }

    #[test]
    fn names_that_no_capability_has_are_found() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(unknown(&names(&["net_admin", "CAP_NET_RAW", "ALL"])), None);
        assert_eq!(unknown(&names(&["NET_RAW", "netadmin"])).as_deref(), Some("CAP_NETADMIN"));
    }

    #[test]
    fn adding_wins_over_dropping_but_for_all() {
        use NetworkCapability::{Full, NetAdmin, None};
        assert_eq!(of(&[], &[], false), None);
        assert_eq!(of(&["SYS_ADMIN"], &[], false), None);
        assert_eq!(of(&["cap_net_admin"], &[], false), NetAdmin);
        assert_eq!(of(&["NET_ADMIN"], &["ALL"], false), NetAdmin);
        assert_eq!(of(&["NET_ADMIN"], &["NET_ADMIN"], false), NetAdmin);
        assert_eq!(of(&["all"], &[], false), NetAdmin);
        assert_eq!(of(&["ALL"], &["CAP_NET_ADMIN"], false), None);
        assert_eq!(of(&["ALL", "NET_ADMIN"], &["NET_ADMIN"], false), None);
        assert_eq!(of(&[], &["ALL"], true), Full);
    }
}
