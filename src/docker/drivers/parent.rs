//! The parent device that the macvlan and ipvlan drivers put their containers behind: one of the host's, a VLAN of one
//! (`eth0.10`, made on demand), or a dummy when nobody named one.
//!
//! Reference: libnetwork `drivers/macvlan/macvlan_setup.go`; the ipvlan driver's is the same but for names.

use linkspan_nat::interface::InterfaceName;

use super::super::error::DockerError;
use super::super::outcome::HostView;
use super::super::profile::Profile;
use crate::engine::plan::{DeviceName, DeviceSpec, NamespaceName, Op, Owner, Plan, VlanId};

/// As large as the device below takes.
pub(in super::super) const PARENT_MTU: u32 = 65_535;

/// How a parent comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Origin {
    /// It is there.
    Present,
    /// A device that leads nowhere.
    Dummy,
    /// A VLAN of a device that is there.
    Vlan(InterfaceName, VlanId),
}

/// How a named parent comes to be on a host. `driver` is the driver's name, for its refusals.
pub(in super::super) fn find(
    profile: Profile,
    driver: &str,
    name: &str,
    view: &HostView,
) -> Result<(InterfaceName, Origin), DockerError> {
    let exists = |name: &str| view.devices.interface(name).is_some();
    if name == "lo" {
        let text = format!("loopback interface is not a valid {driver} parent link");
        return Err(DockerError::system(text));
    }
    if exists(name)
        && let Ok(name) = InterfaceName::parse(name)
    {
        return Ok((name, Origin::Present));
    }
    if !name.contains('.') {
        let text = format!("invalid subinterface vlan name {name}, example formatting is eth0.10");
        return Err(DockerError::system(text));
    }
    let mut parts = name.split('.');
    let (Some(below), Some(number), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(DockerError::system(format!(
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {name}"
        )));
    };
    let number: i64 = number.parse().map_err(|_| {
        DockerError::system(format!(
            "unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)"
        ))
    })?;
    if !exists(below) {
        let text = match profile {
            Profile::Docker20_10 if driver == "macvlan" => {
                "-o parent interface does was not found on the host"
            }
            Profile::Docker20_10 | Profile::Docker28 | Profile::Docker29 => {
                "-o parent interface was not found on the host"
            }
        };
        return Err(DockerError::system(format!("{text}: {below}")));
    }
    let id = u16::try_from(number)
        .ok()
        .and_then(|number| VlanId::new(number).ok())
        .ok_or_else(|| DockerError::system(format!("vlan id must be between 1-4094, received: {number}")))?;
    let failed = |why: &str| DockerError::system(format!("failed to create {name} vlan link: {why}"));
    if view.devices.has_vlan(below, id) {
        return Err(failed("file exists"));
    }
    match (InterfaceName::parse(name), InterfaceName::parse(below)) {
        (Ok(name), Ok(below)) => Ok((name, Origin::Vlan(below, id))),
        _ => Err(failed("numerical result out of range")),
    }
}

/// Makes a parent that is not there.
pub(in super::super) fn create(
    plan: &mut Plan,
    owner: Owner,
    host: &NamespaceName,
    name: InterfaceName,
    origin: Origin,
) {
    let device = DeviceName { namespace: host.clone(), name };
    let (spec, mtu) = match origin {
        Origin::Present => return,
        Origin::Dummy => (DeviceSpec::Dummy, super::bridge::DEFAULT_MTU),
        Origin::Vlan(below, id) => {
            let parent = DeviceName { namespace: host.clone(), name: below };
            (DeviceSpec::Vlan { parent, id }, PARENT_MTU)
        }
    };
    plan.push(owner, Op::AddDevice { device: device.clone(), spec, mac: None, mtu });
    plan.push(owner, Op::SetUp { device });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::outcome::{HostInterface, HostTable};

    fn host() -> HostView {
        let interface = |name: &str| HostInterface { name: name.to_owned(), ..HostInterface::default() };
        let vlan = VlanId::new(40).ok().map(|id| ("eth0".to_owned(), id));
        let foo = HostInterface { vlan, ..interface("foo") };
        let devices = HostTable { interfaces: vec![interface("eth0"), foo], ..HostTable::default() };
        HostView { devices: std::rc::Rc::new(devices), ..HostView::default() }
    }

    fn refusal(name: &str) -> String {
        find(Profile::Docker28, "macvlan", name, &host()).unwrap_err().message
    }

    #[test]
    fn a_parent_is_there_or_a_vlan_of_one_that_is() {
        let (name, origin) = find(Profile::Docker28, "macvlan", "eth0", &host()).unwrap();
        assert_eq!((name.as_str(), origin), ("eth0", Origin::Present));
        let (name, origin) = find(Profile::Docker28, "macvlan", "eth0.10", &host()).unwrap();
        let below = InterfaceName::parse("eth0").unwrap();
        assert_eq!((name.as_str(), origin), ("eth0.10", Origin::Vlan(below, VlanId::new(10).unwrap())));
        assert_eq!(find(Profile::Docker28, "macvlan", "foo", &host()).unwrap().1, Origin::Present);
    }

    /// The first three were recorded on a real 20.10; the recording machine had no 802.1Q, so the others follow moby's
    /// source and the kernel's errors.
    #[test]
    fn impossible_parents_are_refused_as_the_engine_does() {
        assert_eq!(
            refusal("nosuch0"),
            "invalid subinterface vlan name nosuch0, example formatting is eth0.10"
        );
        assert_eq!(refusal("lo"), "loopback interface is not a valid macvlan parent link");
        assert_eq!(refusal("eth0.5000"), "vlan id must be between 1-4094, received: 5000");
        assert_eq!(refusal("eth0.0"), "vlan id must be between 1-4094, received: 0");
        assert_eq!(refusal("eth9.10"), "-o parent interface was not found on the host: eth9");
        assert_eq!(refusal("eth0.a"), "unable to parse a valid vlan id from: a (ex. eth0.10 for vlan 10)");
        assert_eq!(
            refusal("eth0.1.2"),
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received eth0.1.2"
        );
        assert_eq!(refusal("eth0.40"), "failed to create eth0.40 vlan link: file exists");
    }
}
