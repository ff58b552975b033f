//! `hosts`: the machines that have a Docker, their cards and routes.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Mac;
use crate::scenario::diagnostic::{Span, Spanned};

/// `hosts.<name>`.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub name: Spanned<String>,
    /// Network cards.
    pub nics: Vec<Nic>,
    /// Routes besides those of the cards.
    pub routes: Vec<Route>,
    /// The text of /etc/resolv.conf, when said.
    pub resolv_conf: Option<String>,
    /// net.ipv4.ip_forward before Docker starts.
    pub ip_forward: bool,
    /// net.ipv4.ip_local_port_range, inclusive, when said.
    pub ephemeral_ports: Option<(u16, u16)>,
    /// iptables commands before Docker, without the leading `iptables`.
    pub rules: Vec<Spanned<String>>,
    /// Its kernel has SCTP sockets.
    pub sctp: bool,
    /// Kernel settings.
    pub sysctls: Vec<(String, String)>,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name.
    pub name: Spanned<String>,
    /// Addresses with their prefix, host bits kept.
    pub addresses: Vec<IpNet>,
    /// The default gateway through it.
    pub gateway: Option<IpAddr>,
    /// The LAN it is plugged into.
    pub lan: Option<String>,
    /// Largest IP packet.
    pub mtu: Option<u32>,
    /// MAC address.
    pub mac: Option<Mac>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination; `None` is the default route.
    pub to: Option<IpNet>,
    /// Next hop.
    pub via: Option<IpAddr>,
    /// Interface.
    pub dev: Option<String>,
    /// Where it was written.
    pub span: Span,
}
