//! `networks`: drivers, pools and what a network is asked to be.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::scenario::diagnostic::{Span, Spanned};

/// A network driver this release has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// The default.
    #[default]
    Bridge,
    /// The predefined host network.
    Host,
    /// No network; `null` is Docker's other name for it.
    None,
    /// MAC addresses on a parent.
    Macvlan,
    /// IP addresses on a parent.
    Ipvlan,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        })
    }
}

/// `networks.<key>`.
#[derive(Clone, Debug)]
pub struct Network {
    /// The key in the file.
    pub key: Spanned<String>,
    /// The real name: `name:`, else `<project>_<key>`, else the key for an external one.
    pub name: String,
    /// The driver.
    pub driver: Driver,
    /// Driver options in document order.
    pub driver_opts: Vec<(String, String)>,
    /// `attachable`.
    pub attachable: bool,
    /// `enable_ipv4`, when said.
    pub enable_ipv4: Option<bool>,
    /// `enable_ipv6`, when said.
    pub enable_ipv6: Option<bool>,
    /// It exists already.
    pub external: bool,
    /// No connection to the outside.
    pub internal: bool,
    /// `ipam.driver`, when said.
    pub ipam_driver: Option<String>,
    /// `ipam.options`.
    pub ipam_options: Vec<(String, String)>,
    /// `ipam.config`.
    pub pools: Vec<Pool>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Not declared but implied by a service that names no network.
    pub implicit: bool,
    /// A service joins it. Compose creates only these.
    pub used: bool,
}

/// One address pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The subnet, host bits cleared. Absent: Docker picks one.
    pub subnet: Option<IpNet>,
    /// Where containers' addresses come from.
    pub ip_range: Option<IpNet>,
    /// The gateway.
    pub gateway: Option<IpAddr>,
    /// Addresses kept free.
    pub aux_addresses: Vec<(String, IpAddr)>,
    /// Where it was written.
    pub span: Span,
}
