//! The subnets of a network: what a request may say of them, which it gets, and how they are given back.
//!
//! The order is libnetwork's. The API checks the request first (from 28 on); then, for each address family the network
//! has, subnets are taken as asked or from the predefined pools, and of each its gateway and auxiliary addresses. What
//! fails half-way gives back all it took. Which addresses are free is for `ipam` to know.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Daemon;
use crate::docker::error::{DockerError, joined};
use crate::docker::ipam::{Allocator, IpamError, Pool};
use crate::docker::network::{Network, Subnet};
use crate::docker::outcome::HostView;
use crate::docker::profile::Profile;
use crate::docker::request::{Ipam as IpamRequest, IpamPool};
use crate::docker::rules::GatewayMode;

/// What comes of a network whose IPAM driver hands nothing out: bridges need a subnet, other drivers one of each family
/// they are to have.
fn without_pools(network: &Network, request: &IpamRequest) -> Result<(), DockerError> {
    let asked = |v6: bool| {
        request.pools.iter().any(|pool| !pool.subnet.is_empty() && pool.subnet.contains(':') == v6)
    };
    let families = [(network.ipv4, false), (network.ipv6, true)];
    Err(DockerError::bad_parameter(if families.iter().any(|(wanted, v6)| *wanted && asked(*v6)) {
        "null ipam driver does not handle specific address pool requests"
    } else if network.ipv4 {
        "ipv4 pool is empty"
    } else if network.ipv6 {
        "ipv6 pool is empty"
    } else if network.driver.bridge().is_some() {
        "IPv4 or IPv6 must be enabled"
    } else {
        return Ok(());
    }))
}

impl Daemon {
    /// What the API of 28 refuses before any driver is asked.
    pub(super) fn check_ipam(&self, ipam: &IpamRequest) -> Result<(), DockerError> {
        if !self.profile().refuses_host_bits() {
            return Ok(());
        }
        let mut errors = Vec::new();
        for pool in ipam.pools.iter().filter(|pool| !pool.subnet.is_empty()) {
            let Ok(subnet) = pool.subnet.parse::<IpNet>() else {
                errors.push(format!("invalid subnet {}: invalid CIDR block notation", pool.subnet));
                continue;
            };
            if subnet != subnet.trunc() {
                errors.push(format!("invalid subnet {subnet}: it should be {}", subnet.trunc()));
            }
            if let Some(text) = &pool.ip_range {
                match text.parse::<IpNet>() {
                    Ok(range) if range != range.trunc() => {
                        errors.push(format!("invalid ip-range {range}: it should be {}", range.trunc()));
                    }
                    Ok(range) if range.prefix_len() < subnet.prefix_len() => errors.push(format!(
                        "invalid ip-range {range}: CIDR block is bigger than its parent subnet {subnet}"
                    )),
                    Ok(range) if !subnet.trunc().contains(&range) => errors.push(format!(
                        "invalid ip-range {range}: parent subnet {subnet} doesn't contain ip-range"
                    )),
                    Ok(_) => {}
                    Err(_) => errors.push(format!("invalid ip-range {text}: invalid CIDR block notation")),
                }
            }
            if let Some(text) = &pool.gateway {
                match text.parse::<IpAddr>() {
                    Ok(gateway) if !subnet.trunc().contains(&gateway) => errors.push(format!(
                        "invalid gateway {gateway}: parent subnet {subnet} doesn't contain this address"
                    )),
                    Ok(_) => {}
                    Err(_) => errors.push(format!("invalid gateway {text}: invalid address")),
                }
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(DockerError::bad_parameter(format!("invalid network config:\n{}", joined(&errors))))
    }

    /// Gives a network its subnets, gateways and auxiliary addresses; on failure it has taken none.
    pub(super) fn allocate_subnets(
        &mut self,
        network: &mut Network,
        request: &IpamRequest,
        view: &HostView,
    ) -> Result<(), DockerError> {
        match request.driver.as_str() {
            "default" | "" => {}
            "null" => return without_pools(network, request),
            other => return Err(DockerError::not_found(format!("plugin \"{other}\" not found"))),
        }
        let result = self.try_allocate_subnets(network, request, view);
        if result.is_err() {
            self.release_subnets(network);
            network.subnets.clear();
        }
        result
    }

    fn try_allocate_subnets(
        &mut self,
        network: &mut Network,
        request: &IpamRequest,
        view: &HostView,
    ) -> Result<(), DockerError> {
        let is_v6 = |pool: &&IpamPool| pool.subnet.contains(':');
        let mut automatic = Vec::new();
        for v6 in [false, true] {
            let given: Vec<&IpamPool> =
                request.pools.iter().filter(|pool| !pool.subnet.is_empty() && is_v6(pool) == v6).collect();
            let wanted = if v6 { network.ipv6 } else { network.ipv4 };
            if !wanted {
                // Stored and shown, without effect.
                network.shown.config.extend(given.into_iter().cloned());
                continue;
            }
            if given.is_empty() {
                let fallback = IpamPool::default();
                let speaks_of_family = |pool: &&IpamPool| {
                    let said = pool.ip_range.iter().chain(pool.aux.values());
                    said.into_iter().any(|text| text.contains(':') == v6)
                };
                let empty = || request.pools.iter().filter(|pool| pool.subnet.is_empty());
                let asked = empty().find(speaks_of_family).or(empty().next()).unwrap_or(&fallback);
                let pool = self.automatic_subnet(network, asked, v6, view)?;
                match self.profile().shows_pools_as_asked() {
                    true => network.shown.config.push(pool),
                    false => automatic.push(IpamPool {
                        subnet: pool.subnet,
                        gateway: pool.gateway,
                        ..IpamPool::default()
                    }),
                }
            }
            for pool in given {
                if self.wanted_length(pool).is_some() {
                    let shown = self.automatic_subnet(network, pool, v6, view)?;
                    network.shown.config.push(shown);
                } else {
                    self.requested_subnet(network, pool)?;
                }
            }
            let of_family = |subnet: &&Subnet| subnet.pool.subnet().addr().is_ipv6() == v6;
            if network.driver.bridge().is_some() && network.subnets.iter().filter(of_family).count() > 1 {
                return Err(DockerError::bad_parameter("bridge driver doesn't support multiple subnets"));
            }
        }
        network.shown.config.extend(automatic);
        Ok(())
    }

    /// The prefix length of a subnet that says nothing else: `0.0.0.0/24`, `::/56`; 0 leaves the size to Docker.
    fn wanted_length(&self, pool: &IpamPool) -> Option<u8> {
        let subnet = pool.subnet.parse::<IpNet>().ok()?;
        (self.profile().sizes_predefined_networks() && subnet.addr().is_unspecified())
            .then(|| subnet.prefix_len())
    }

    /// Gives a network a subnet from the predefined pools, of the size that `pool` asks for, if it does, and says how inspect
    /// shows it.
    fn automatic_subnet(
        &mut self,
        network: &mut Network,
        pool: &IpamPool,
        v6: bool,
        view: &HostView,
    ) -> Result<IpamPool, DockerError> {
        let reserved = self.reserved(view);
        let mut pool = pool.clone();
        let of_family = |text: &str| text.contains(':') == v6;
        pool.aux.retain(|_, address| of_family(address));
        pool.ip_range = pool.ip_range.filter(|range| of_family(range));
        let range = pool.ip_range.as_ref().and_then(|range| range.parse().ok());
        let length = self.wanted_length(&pool);
        if let (Some(_), Some(range)) = (length, &pool.ip_range) {
            return Err(DockerError::system(format!(
                "failed to parse pool request for address space \"LocalDefault\" pool \"\" subpool \"{range}\": invalid \
                 address subpool"
            )));
        }
        let taken = match length.filter(|length| *length > 0) {
            Some(length) => self.ipam.request_sized(v6, length, &reserved),
            None => self.ipam.request_predefined(v6, &reserved),
        };
        let subnet = taken.map_err(|error| {
            if error == IpamError::NoSuchSize {
                return DockerError::bad_parameter(error.to_string());
            }
            let family = if v6 { 6 } else { 4 };
            match self.profile() {
                Profile::Docker20_10 => DockerError::system(format!(
                    "could not find an available, non-overlapping IPv{family} address pool among the defaults to \
                     assign to the network"
                )),
                Profile::Docker28 | Profile::Docker29 => {
                    DockerError::system("all predefined address pools have been fully subnetted")
                }
            }
        })?;
        let result = self.fill_subnet(network, subnet, range, &pool, length.is_some());
        let mut gateway = None;
        if let Some(taken) = network.subnets.last_mut() {
            // The address management knows nothing of the range.
            taken.range = None;
            gateway = taken.gateway;
        }
        result?;
        let length = subnet.prefix_len();
        Ok(IpamPool {
            subnet: subnet.to_string(),
            gateway: gateway.map(|gateway| {
                match gateway.is_ipv6() && self.profile().shows_ipv6_gateway_length() {
                    true => format!("{gateway}/{length}"),
                    false => gateway.to_string(),
                }
            }),
            ..pool
        })
    }

    fn requested_subnet(&mut self, network: &mut Network, pool: &IpamPool) -> Result<(), DockerError> {
        let text = &pool.subnet;
        let invalid =
            || DockerError::bad_parameter(format!("Invalid subnet {text} : invalid CIDR address: {text}"));
        let subnet: IpNet = text.parse().map_err(|_| invalid())?;
        let range = match &pool.ip_range {
            Some(range) => Some(range.parse::<IpNet>().map_err(|_| {
                DockerError::bad_parameter(format!("Invalid subnet {range} : invalid CIDR address: {range}"))
            })?),
            None => None,
        };
        self.ipam.request(subnet, range).map_err(|error| {
            DockerError::forbidden(match self.profile() {
                Profile::Docker20_10 => error.to_string(),
                Profile::Docker28 | Profile::Docker29 => format!("invalid pool request: {error}"),
            })
        })?;
        self.fill_subnet(network, subnet, range, pool, true)?;
        network.shown.config.push(pool.clone());
        Ok(())
    }

    /// Reserves the gateway and the auxiliary addresses of a subnet that has just been taken.
    fn fill_subnet(
        &self,
        network: &mut Network,
        subnet: IpNet,
        range: Option<IpNet>,
        request: &IpamPool,
        configured: bool,
    ) -> Result<(), DockerError> {
        let allocator = match self.profile() {
            Profile::Docker20_10 => Allocator::BitSequence,
            Profile::Docker28 | Profile::Docker29 => Allocator::AddressSet,
        };
        let mut pool = Pool::new(subnet, range, allocator);
        let v6 = subnet.addr().is_ipv6();
        let without_gateway = network.driver.bridge().is_some_and(|config| {
            let mode = if v6 { config.mode_v6 } else { config.mode_v4 };
            let inhibited = config.inhibit_ipv4 && !v6 && self.profile().skips_useless_gateways();
            network.internal && (inhibited || mode == GatewayMode::Isolated)
        }) || self.profile().skips_useless_gateways() && !network.uses_gateway();
        let text = request.gateway.clone().unwrap_or_default();
        let failed = |error: IpamError| {
            DockerError::bad_parameter(format!("failed to allocate gateway ({text}): {error}"))
        };
        let gateway: Result<Option<IpAddr>, IpamError> = match &request.gateway {
            Some(text) => {
                let gateway: IpAddr = text
                    .parse()
                    .map_err(|_| DockerError::bad_parameter(format!("invalid gateway address {text}")))?;
                pool.claim(gateway).map(|()| Some(gateway))
            }
            None if without_gateway => Ok(None),
            None => pool.allocate().map(Some),
        };
        let mut container_gateway = None;
        let mut aux_error = None;
        if gateway.is_ok() {
            for (name, text) in &request.aux {
                let result = match text.parse::<IpAddr>() {
                    Ok(address) => pool.claim(address).map(|()| address).map_err(|error| error.to_string()),
                    Err(_) => Err("invalid address".to_owned()),
                };
                match result {
                    Ok(address) if name == "DefaultGatewayIPv4" || name == "DefaultGatewayIPv6" => {
                        container_gateway = Some(address);
                    }
                    Ok(_) => {}
                    Err(_) if text.parse().is_ok_and(|address: IpAddr| !subnet.contains(&address)) => {
                        let text = format!(
                            "auxiliary address: ({name}:{text}) must belong to the master pool: {}",
                            subnet.trunc()
                        );
                        aux_error = Some(DockerError::bad_parameter(text));
                        break;
                    }
                    Err(why) => {
                        let text = format!("failed to allocate secondary ip address ({name}:{text}): {why}");
                        aux_error = Some(DockerError::bad_parameter(text));
                        break;
                    }
                }
            }
        }
        let (result, gateway) = match gateway {
            Ok(gateway) => (aux_error.map_or(Ok(()), Err), gateway),
            Err(error) => (Err(failed(error)), None),
        };
        network.subnets.push(Subnet { pool, range, configured, gateway, container_gateway });
        result
    }

    pub(super) fn release_subnets(&mut self, network: &Network) {
        for subnet in &network.subnets {
            self.ipam.release(subnet.pool.subnet(), subnet.range);
        }
    }
}
