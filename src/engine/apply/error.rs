//! Why a plan is refused, in words for whoever wrote it.

use std::net::IpAddr;

use ipnet::IpNet;
use linkspan_nat::ruleset::RulesetError;
use linkspan_switch::bridge::BridgeError;

use super::devices::{LARGEST_MTU, SMALLEST_MTU};
use crate::engine::child::ParentError;
use crate::engine::errno::Errno;
use crate::engine::plan::{DeviceName, NamespaceName};

/// Why a plan was not applied. Nothing of it remains.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A namespace of that name exists.
    #[error("namespace {0} exists already; remove it or choose another name")]
    NamespaceExists(NamespaceName),
    /// There is no namespace of that name.
    #[error("there is no namespace {0}; add it before using it")]
    NoNamespace(NamespaceName),
    /// A device of that name exists.
    #[error("device {0} exists already; remove it or choose another name")]
    DeviceExists(DeviceName),
    /// There is no device of that name.
    #[error("there is no device {0}; add it before using it")]
    NoDevice(DeviceName),
    /// The device is not of the kind the operation needs.
    #[error("device {device} is not {expected}")]
    WrongKind {
        /// The device.
        device: DeviceName,
        /// What was expected.
        expected: &'static str,
    },
    /// The device has a master or a wire already.
    #[error("device {0} is attached already; detach it first")]
    Attached(DeviceName),
    /// The MTU cannot be.
    #[error("MTU {found} of {device} is impossible; expected {SMALLEST_MTU} to {LARGEST_MTU}")]
    Mtu {
        /// The device.
        device: DeviceName,
        /// What was asked for.
        found: u32,
    },
    /// IPv6 needs a larger MTU.
    #[error("{device} carries no IPv6: its MTU is {mtu}, IPv6 needs 1280")]
    NoIpv6 {
        /// The device.
        device: DeviceName,
        /// What it carries.
        mtu: u32,
    },
    /// The bridge takes no further port.
    #[error("{bridge} takes no further port: {reason}")]
    Bridge {
        /// The bridge.
        bridge: DeviceName,
        /// Why.
        reason: BridgeError,
    },
    /// The device takes no further one on top.
    #[error("nothing more can stand on {parent}: {reason}")]
    Parent {
        /// The device.
        parent: DeviceName,
        /// Why.
        reason: ParentError,
    },
    /// The device has the address.
    #[error("{device} has {address} already")]
    AddressExists {
        /// The device.
        device: DeviceName,
        /// The address.
        address: IpNet,
    },
    /// An equal route exists.
    #[error("a route to {destination} exists already in {namespace}")]
    RouteExists {
        /// The namespace.
        namespace: NamespaceName,
        /// The destination.
        destination: IpNet,
    },
    /// No device reaches the gateway.
    #[error("gateway {gateway} of the route to {destination} is on no network of {namespace}")]
    GatewayUnreachable {
        /// The namespace.
        namespace: NamespaceName,
        /// The gateway.
        gateway: IpAddr,
        /// The destination.
        destination: IpNet,
    },
    /// The packet filter refused.
    #[error("packet filter of {namespace}: {reason}")]
    Rules {
        /// The namespace.
        namespace: NamespaceName,
        /// Why.
        reason: RulesetError,
    },
    /// A setting of an interface could not be written.
    #[error("cannot set {parameter} of an interface in {namespace}: {reason}")]
    Setting {
        /// The namespace.
        namespace: NamespaceName,
        /// The setting.
        parameter: &'static str,
        /// Why.
        reason: Errno,
    },
    /// The service's socket could not be opened.
    #[error("cannot listen on {address} in {namespace}: {reason}")]
    Listen {
        /// The namespace.
        namespace: NamespaceName,
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        reason: Errno,
    },
}

pub(super) fn rules_error(namespace: &NamespaceName, reason: RulesetError) -> ApplyError {
    ApplyError::Rules { namespace: namespace.clone(), reason }
}

pub(in crate::engine) fn wrong_kind(device: &DeviceName, expected: &'static str) -> ApplyError {
    ApplyError::WrongKind { device: device.clone(), expected }
}
