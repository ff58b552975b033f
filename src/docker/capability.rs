//! What a container's processes may change in their network namespace: dockerd's arithmetic on `--privileged`,
//! `--cap-add` and `--cap-drop`, as far as it concerns `CAP_NET_ADMIN`.
//!
//! Docker's default set lacks it. Adding `ALL` gives everything but what is dropped; otherwise dropping `ALL` leaves what
//! is added; otherwise what is added wins over what is dropped. A privileged container has all, whatever is dropped, and
//! only there `/proc/sys` can be written to.

use super::request::ContainerCreate;

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

impl NetworkCapability {
    /// What a container's configuration gives to its processes.
    pub fn of(config: &ContainerCreate) -> NetworkCapability {
        let names = |list: &[String], wanted: &str| list.iter().any(|name| is(name, wanted));
        let given = match names(&config.cap_add, ALL) {
            true => !names(&config.cap_drop, NET_ADMIN),
            false => names(&config.cap_add, NET_ADMIN),
        };
        match (config.privileged, given) {
            (true, _) => Self::Full,
            (false, true) => Self::NetAdmin,
            (false, false) => Self::None,
        }
    }
}

/// The first of these names that no capability has, as the engine writes it.
pub(super) fn unknown(names: &[String]) -> Option<String> {
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

/// Names have any case and `CAP_` before them or not.
fn is(name: &str, wanted: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").unwrap_or(&name) == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(add: &[&str], drop: &[&str], privileged: bool) -> NetworkCapability {
        let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        NetworkCapability::of(&ContainerCreate {
            cap_add: owned(add),
            cap_drop: owned(drop),
            privileged,
            ..ContainerCreate::default()
        })
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
