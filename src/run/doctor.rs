//! What this machine permits: answers "why can I not attach a real program?" before anybody has tried.
//!
//! [`examine`] looks at a few files of `/proc` and opens a TAP device for a moment; the rest is judging values, so
//! that every verdict can be tested on any machine. Nothing is changed: the device is gone when the function returns.

use std::fmt;

use super::tap::{self, TapError};

/// Where the kernel keeps the number of user namespaces a user may create.
const MAX_USER_NAMESPACES: &str = "/proc/sys/user/max_user_namespaces";

/// Ubuntu's switch, from 23.10 on: user namespaces of unconfined processes get no capabilities.
const APPARMOR_RESTRICTS: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";

/// Debian's switch, from before the kernel had a limit.
const DEBIAN_CLONE: &str = "/proc/sys/kernel/unprivileged_userns_clone";

/// Where the kernel says what this process may do.
const OWN_STATUS: &str = "/proc/self/status";

/// `CAP_NET_ADMIN` of the kernel's `linux/capability.h`.
const CAP_NET_ADMIN: u32 = 12;

/// A template: the kernel puts the lowest free number in.
const PROBE_NAME: &str = "linkspan%d";

/// What was found. Its [`Display`](fmt::Display) is what `linkspan doctor` prints: one finding a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// May an ordinary user create a user namespace?
    pub user_namespaces: UserNamespaces,
    /// May this process administer its network namespace?
    pub network_administrator: bool,
    /// The name under which a TAP device could be opened, or why not.
    pub tap: Result<String, TapError>,
}

/// Whether an ordinary user may create a user namespace and be root in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserNamespaces {
    /// Yes.
    Allowed {
        /// How many each user may have.
        limit: u64,
    },
    /// The limit is 0.
    LimitIsZero,
    /// Debian's switch is off.
    SwitchedOff,
    /// They can be created, but AppArmor takes their capabilities away.
    RestrictedByAppArmor,
    /// The kernel was built without them, or `/proc` is not to be seen.
    Absent,
}

/// Looks at the machine.
pub fn examine() -> Examination {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let probed = Probed {
        limit: read(MAX_USER_NAMESPACES),
        debian_clone: read(DEBIAN_CLONE),
        apparmor_restricts: read(APPARMOR_RESTRICTS),
    };
    Examination {
        user_namespaces: probed.judge(),
        network_administrator: read(OWN_STATUS).is_some_and(|status| has_capability(&status, CAP_NET_ADMIN)),
        tap: tap::open(PROBE_NAME).map(|tap| tap.name().to_owned()),
    }
}

/// The contents of three files, as far as they are there.
struct Probed {
    limit: Option<String>,
    debian_clone: Option<String>,
    apparmor_restricts: Option<String>,
}

impl Probed {
    fn judge(&self) -> UserNamespaces {
        let number = |text: &Option<String>| text.as_ref().and_then(|text| text.trim().parse::<u64>().ok());
        match (number(&self.limit), number(&self.debian_clone), number(&self.apparmor_restricts)) {
            (None, _, _) => UserNamespaces::Absent,
            (Some(0), _, _) => UserNamespaces::LimitIsZero,
            (Some(_), Some(0), _) => UserNamespaces::SwitchedOff,
            (Some(_), _, Some(restricts)) if restricts != 0 => UserNamespaces::RestrictedByAppArmor,
            (Some(limit), _, _) => UserNamespaces::Allowed { limit },
        }
    }
}

/// Whether `/proc/self/status` shows an effective capability.
fn has_capability(status: &str, capability: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    set.is_some_and(|set| set >> capability & 1 == 1)
}

impl fmt::Display for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "virtual time     ready: needs no root, no user namespace and no {}", tap::TUN_DEVICE)?;
        writeln!(f, "user namespaces  {}", self.user_namespaces)?;
        let administrator = if self.network_administrator { "yes" } else { "no" };
        writeln!(f, "CAP_NET_ADMIN    {administrator}")?;
        match &self.tap {
            Ok(name) => writeln!(f, "TAP device       opened as {name}, and closed again"),
            Err(error) => writeln!(f, "TAP device       {error}"),
        }
    }
}

impl fmt::Display for UserNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserNamespaces::Allowed { limit } => write!(f, "allowed, up to {limit} for each user"),
            UserNamespaces::LimitIsZero => {
                write!(
                    f,
                    "forbidden: {MAX_USER_NAMESPACES} is 0; root may raise it (sysctl user.max_user_namespaces)"
                )
            }
            UserNamespaces::SwitchedOff => {
                write!(f, "forbidden to ordinary users: {DEBIAN_CLONE} is 0; root may set it to 1")
            }
            UserNamespaces::RestrictedByAppArmor => write!(
                f,
                "restricted: {APPARMOR_RESTRICTS} is 1; root may set it to 0 or give linkspan an AppArmor profile \
                 that allows userns"
            ),
            UserNamespaces::Absent => {
                write!(f, "unknown to this kernel, or /proc is hidden: {MAX_USER_NAMESPACES} is absent")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(
        limit: Option<&str>,
        debian_clone: Option<&str>,
        apparmor_restricts: Option<&str>,
    ) -> UserNamespaces {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Probed {
            limit: owned(limit),
            debian_clone: owned(debian_clone),
            apparmor_restricts: owned(apparmor_restricts),
        }
        .judge()
    }

    #[test]
    fn each_switch_has_its_verdict() {
        assert_eq!(judged(Some("15000\n"), None, None), UserNamespaces::Allowed { limit: 15000 });
        assert_eq!(
            judged(Some("15000\n"), Some("1\n"), Some("0\n")),
            UserNamespaces::Allowed { limit: 15000 }
        );
        assert_eq!(judged(Some("0\n"), Some("1\n"), None), UserNamespaces::LimitIsZero);
        assert_eq!(judged(Some("15000\n"), Some("0\n"), None), UserNamespaces::SwitchedOff);
        assert_eq!(judged(Some("15000\n"), None, Some("1\n")), UserNamespaces::RestrictedByAppArmor);
        assert_eq!(judged(None, None, None), UserNamespaces::Absent);
        assert_eq!(judged(Some("many"), None, None), UserNamespaces::Absent);
    }

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        assert!(has_capability("Name:\tx\nCapPrm:\t0\nCapEff:\t0000000000001000\n", CAP_NET_ADMIN));
        assert!(!has_capability("CapPrm:\t0000000000001000\nCapEff:\t0000000000000fff\n", CAP_NET_ADMIN));
        assert!(!has_capability("", CAP_NET_ADMIN));
        assert!(!has_capability("CapEff:\tnonsense\n", CAP_NET_ADMIN));
    }

    #[test]
    fn a_machine_that_permits_everything() {
        let examination = Examination {
            user_namespaces: UserNamespaces::Allowed { limit: 15000 },
            network_administrator: true,
            tap: Ok("linkspan0".to_owned()),
        };
        assert_eq!(
            examination.to_string(),
            "virtual time     ready: needs no root, no user namespace and no /dev/net/tun\n\
             user namespaces  allowed, up to 15000 for each user\n\
             CAP_NET_ADMIN    yes\n\
             TAP device       opened as linkspan0, and closed again\n"
        );
    }

    #[test]
    fn a_machine_that_permits_nothing_still_runs_virtual_time() {
        let examination = Examination {
            user_namespaces: UserNamespaces::LimitIsZero,
            network_administrator: false,
            tap: Err(TapError::NoDevice),
        };
        let text = examination.to_string();
        assert!(text.starts_with("virtual time     ready"), "{text}");
        assert!(text.contains("user.max_user_namespaces"), "{text}");
        assert!(text.contains("CAP_NET_ADMIN    no"), "{text}");
        assert!(text.contains("modprobe tun"), "{text}");
    }

    #[test]
    fn every_verdict_names_its_switch() {
        for (verdict, switch) in [
            (UserNamespaces::LimitIsZero, MAX_USER_NAMESPACES),
            (UserNamespaces::SwitchedOff, DEBIAN_CLONE),
            (UserNamespaces::RestrictedByAppArmor, APPARMOR_RESTRICTS),
            (UserNamespaces::Absent, MAX_USER_NAMESPACES),
        ] {
            assert!(verdict.to_string().contains(switch), "{verdict}");
        }
    }
}
