//! The names containers know each other by: one [`NetworkZone`] per user-defined network, and the [`Sandbox`]
//! view through which one container looks names up.
//!
//! Pure data: the daemon adds an endpoint's records when it joins a network and removes them when it leaves.
//! The lookup follows libnetwork: the asker's networks are tried in gateway order, the first network that knows
//! the name answers alone, `NAME.NETWORK` picks a network, and link aliases of the asker go before plain names.
//! Host names compare without case (RFC 4343); link aliases and network names compare exactly.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::engine::plan::Owner;

/// The identity of a network, as the daemon knows it (its 64-digit id).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkKey(pub Arc<str>);

/// Every network's names.
#[derive(Debug, Clone, Default)]
pub struct Names {
    networks: BTreeMap<NetworkKey, NetworkZone>,
}

/// The records of one network.
#[derive(Debug, Clone)]
pub struct NetworkZone {
    name: String,
    ipv6: bool,
    forward: BTreeMap<Arc<str>, Vec<(IpAddr, Owner)>>,
    reverse: BTreeMap<IpAddr, Vec<ReverseEntry>>,
    /// What each owner (an endpoint) has a record for, so that withdrawing does not search the whole zone.
    owned: BTreeMap<Owner, Vec<RecordKey>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RecordKey {
    Name(Arc<str>),
    Address(IpAddr),
}

#[derive(Debug, Clone)]
struct ReverseEntry {
    name: Arc<str>,
    owner: Owner,
    external: bool,
}

/// One container's view: what its embedded resolver consults.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    /// The connected networks, in gateway order.
    pub endpoints: Vec<SandboxEndpoint>,
    /// Where unknown names are sent, in order; only the first three are used.
    pub servers: Vec<ExternalServer>,
    /// Whether `ndots` comes from the user or the host's resolv.conf and not from Docker's own `ndots:0`.
    pub ndots_set: bool,
    /// Whether any connected network has access to the outside.
    pub external_access: bool,
}

/// One network a container is connected to.
#[derive(Debug, Clone)]
pub struct SandboxEndpoint {
    /// The network.
    pub network: NetworkKey,
    /// `--link TARGET:ALIAS` on this network: alias to target name.
    pub link_aliases: BTreeMap<String, String>,
}

/// A DNS server outside Docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalServer {
    /// Address and port.
    pub address: SocketAddr,
    /// Where the address was read.
    pub origin: ServerOrigin,
}

/// Where a server's address was configured; it decides the namespace it is dialled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerOrigin {
    /// `--dns` of the container or `dns` of the daemon.
    Option,
    /// The host's resolv.conf.
    Host,
}

/// The two address families a name can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A records.
    Ipv4,
    /// AAAA records.
    Ipv6,
}

/// When a name without an address of the wanted family still counts as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodataRule {
    /// Only an AAAA question, and only on a network without IPv6 (up to 27).
    NetworkWithoutIpv6,
    /// Always: the name exists in the other family (28).
    EitherFamily,
}

/// The result of a lookup: whether the name exists is one question, whether it has such an address another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The name exists and has these addresses, in order of registration.
    Found(Vec<IpAddr>),
    /// The name exists without an address of this family: answer with no records, do not forward.
    NoData,
    /// No network of the asker knows the name.
    Unknown,
}

impl Names {
    /// Adds an empty zone for a network, or renames the existing one keeping its records.
    pub fn add_network(&mut self, key: NetworkKey, name: &str, ipv6: bool) {
        let zone = self.networks.entry(key).or_insert_with(|| NetworkZone {
            name: String::new(),
            ipv6,
            forward: BTreeMap::new(),
            reverse: BTreeMap::new(),
            owned: BTreeMap::new(),
        });
        zone.name = name.to_owned();
        zone.ipv6 = ipv6;
    }

    /// Forgets a network and its records.
    pub fn remove_network(&mut self, key: &NetworkKey) {
        self.networks.remove(key);
    }

    /// Registers every name with every address, and the first name as the reverse name of each address.
    /// Returns false when the network is not known.
    pub fn add_endpoint(
        &mut self,
        key: &NetworkKey,
        owner: Owner,
        names: &[String],
        addresses: &[IpAddr],
    ) -> bool {
        let Some(zone) = self.networks.get_mut(key) else { return false };
        for &address in addresses {
            for name in names {
                zone.add_name(name, address, owner);
            }
            if let Some(first) = names.first() {
                zone.add_reverse(address, first, owner);
            }
        }
        true
    }

    /// Registers one name for one address without a reverse record, as services do with their virtual address.
    /// Returns false when the network is not known.
    pub fn add_name(&mut self, key: &NetworkKey, owner: Owner, name: &str, address: IpAddr) -> bool {
        let Some(zone) = self.networks.get_mut(key) else { return false };
        zone.add_name(name, address, owner);
        true
    }

    /// Withdraws everything that was registered for `owner` in a network.
    pub fn remove_owner(&mut self, key: &NetworkKey, owner: Owner) {
        let Some(zone) = self.networks.get_mut(key) else { return };
        for key in zone.owned.remove(&owner).unwrap_or_default() {
            match key {
                RecordKey::Name(name) => {
                    if let Some(set) = zone.forward.get_mut(&name) {
                        set.retain(|(_, by)| *by != owner);
                        if set.is_empty() {
                            zone.forward.remove(&name);
                        }
                    }
                }
                RecordKey::Address(address) => {
                    if let Some(set) = zone.reverse.get_mut(&address) {
                        set.retain(|entry| entry.owner != owner);
                        if set.is_empty() {
                            zone.reverse.remove(&address);
                        }
                    }
                }
            }
        }
    }

    /// The zone of a network.
    pub fn network(&self, key: &NetworkKey) -> Option<&NetworkZone> {
        self.networks.get(key)
    }

    /// Notes that an outside server gave `address` for `name`: where that equals a local reverse record, the
    /// address is from then on looked up outside too.
    pub fn learn_external(&mut self, sandbox: &Sandbox, name: &str, address: IpAddr) {
        for endpoint in &sandbox.endpoints {
            let Some(zone) = self.networks.get_mut(&endpoint.network) else { continue };
            for entry in zone.reverse.get_mut(&address).into_iter().flatten() {
                entry.external |= *entry.name == *name;
            }
        }
    }
}

impl NetworkZone {
    /// The network's name, the second half of `NAME.NETWORK`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every name with its addresses, by name.
    pub fn records(&self) -> impl Iterator<Item = (&str, IpAddr)> {
        self.forward.iter().flat_map(|(name, set)| set.iter().map(move |(address, _)| (&**name, *address)))
    }

    /// The addresses of a name in one family.
    pub fn lookup(&self, name: &str, family: Family, rule: NodataRule) -> Lookup {
        let lower = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        };
        let Some(set) = self.forward.get(lower.as_ref()) else { return Lookup::Unknown };
        let mut found: Vec<IpAddr> = Vec::new();
        for &(address, _) in set.iter().filter(|(address, _)| family_of(*address) == family) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        if !found.is_empty() {
            return Lookup::Found(found);
        }
        match rule {
            NodataRule::EitherFamily => Lookup::NoData,
            NodataRule::NetworkWithoutIpv6 if family == Family::Ipv6 && !self.ipv6 => Lookup::NoData,
            NodataRule::NetworkWithoutIpv6 => Lookup::Unknown,
        }
    }

    fn reverse(&self, address: IpAddr) -> Option<&str> {
        let entry = self.reverse.get(&address)?.first()?;
        (!entry.external).then_some(&*entry.name)
    }

    fn add_name(&mut self, name: &str, address: IpAddr, owner: Owner) {
        let name: Arc<str> = name.to_ascii_lowercase().into();
        let name = match self.forward.get_key_value(&name) {
            Some((known, _)) => known.clone(),
            None => name,
        };
        let set = self.forward.entry(name.clone()).or_default();
        if !set.iter().any(|(has, by)| *has == address && *by == owner) {
            push(set, (address, owner));
            self.note(owner, RecordKey::Name(name));
        }
    }

    fn add_reverse(&mut self, address: IpAddr, name: &str, owner: Owner) {
        let set = self.reverse.entry(address).or_default();
        if !set.iter().any(|entry| entry.owner == owner && *entry.name == *name) {
            push(set, ReverseEntry { name: name.into(), owner, external: false });
            self.note(owner, RecordKey::Address(address));
        }
    }

    fn note(&mut self, owner: Owner, key: RecordKey) {
        let keys = self.owned.entry(owner).or_default();
        if !keys.contains(&key) {
            push(keys, key);
        }
    }
}

impl Sandbox {
    /// Looks a name (without the trailing dot) up as libnetwork does: the whole name in every network, then every
    /// split into a name and a network.
    pub fn resolve(&self, names: &Names, name: &str, family: Family, rule: NodataRule) -> Lookup {
        let splits = name.rmatch_indices('.').map(|(dot, _)| (&name[..dot], Some(&name[dot + 1..])));
        for (host, network) in std::iter::once((name, None)).chain(splits) {
            for pass in [Pass::LinkAliases, Pass::Names] {
                match self.resolve_in(names, host, network, family, rule, pass) {
                    Lookup::Unknown => {}
                    known => return known,
                }
            }
        }
        Lookup::Unknown
    }

    /// `NAME.NETWORK` of the endpoint that has `address`, from the first connected network that knows it.
    pub fn resolve_address(&self, names: &Names, address: IpAddr) -> Option<String> {
        self.endpoints.iter().find_map(|endpoint| {
            let zone = names.network(&endpoint.network)?;
            zone.reverse(address).map(|name| format!("{name}.{}", zone.name))
        })
    }

    fn resolve_in(
        &self,
        names: &Names,
        host: &str,
        network: Option<&str>,
        family: Family,
        rule: NodataRule,
        pass: Pass,
    ) -> Lookup {
        let mut result = Lookup::Unknown;
        for endpoint in &self.endpoints {
            let Some(zone) = names.network(&endpoint.network) else { continue };
            if network.is_some_and(|wanted| wanted != zone.name) {
                continue;
            }
            let wanted = match (pass, endpoint.link_aliases.get(host)) {
                (Pass::LinkAliases, Some(target)) => target.as_str(),
                (Pass::Names, None) => host,
                (Pass::LinkAliases, None) | (Pass::Names, Some(_)) => continue,
            };
            match zone.lookup(wanted, family, rule) {
                Lookup::Found(addresses) => return Lookup::Found(addresses),
                Lookup::NoData if rule == NodataRule::EitherFamily => return Lookup::NoData,
                Lookup::NoData => result = Lookup::NoData,
                Lookup::Unknown => {}
            }
        }
        result
    }
}

#[derive(Clone, Copy)]
enum Pass {
    LinkAliases,
    Names,
}

/// Adds to a list of which there are many and most stay short.
fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() < 4 {
        list.reserve_exact(1);
    }
    list.push(item);
}

fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [NodataRule; 2] = [NodataRule::NetworkWithoutIpv6, NodataRule::EitherFamily];

    fn key(text: &str) -> NetworkKey {
        NetworkKey(text.into())
    }

    fn owner(letter: &str) -> Owner {
        Owner::Endpoint(u32::from(letter.as_bytes()[0]))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn found(list: &[&str]) -> Lookup {
        Lookup::Found(list.iter().map(|text| ip(text)).collect())
    }

    fn on(networks: &[&str]) -> Sandbox {
        let endpoints = networks
            .iter()
            .map(|name| SandboxEndpoint { network: key(name), link_aliases: BTreeMap::new() })
            .collect();
        Sandbox { endpoints, ..Sandbox::default() }
    }

    fn add(names: &mut Names, network: &str, by: &str, list: &[&str], addresses: &[&str]) {
        let list: Vec<String> = list.iter().map(|name| (*name).to_owned()).collect();
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| ip(text)).collect();
        assert!(names.add_endpoint(&key(network), owner(by), &list, &addresses));
    }

    fn zeta_and_alpha() -> Names {
        let mut names = Names::default();
        names.add_network(key("zeta"), "zeta", false);
        names.add_network(key("alpha"), "alpha", false);
        add(&mut names, "zeta", "t", &["target"], &["10.1.0.3"]);
        add(&mut names, "alpha", "t", &["target"], &["10.2.0.3"]);
        add(&mut names, "zeta", "o", &["other", "target"], &["10.1.0.4"]);
        names
    }

    #[test]
    fn the_first_network_in_gateway_order_answers_alone() {
        let names = zeta_and_alpha();
        for rule in RULES {
            let asker = on(&["alpha", "zeta"]);
            assert_eq!(asker.resolve(&names, "target", Family::Ipv4, rule), found(&["10.2.0.3"]));
            assert_eq!(
                asker.resolve(&names, "target.zeta", Family::Ipv4, rule),
                found(&["10.1.0.3", "10.1.0.4"])
            );
            assert_eq!(asker.resolve_address(&names, ip("10.1.0.4")).as_deref(), Some("other.zeta"));
            assert_eq!(on(&["alpha"]).resolve(&names, "other", Family::Ipv4, rule), Lookup::Unknown);
        }
    }

    #[test]
    fn a_leaving_endpoint_takes_only_its_own_records() {
        let mut names = zeta_and_alpha();
        names.remove_owner(&key("zeta"), owner("t"));
        let asker = on(&["zeta"]);
        let rule = NodataRule::EitherFamily;
        assert_eq!(asker.resolve(&names, "target", Family::Ipv4, rule), found(&["10.1.0.4"]));
        assert_eq!(asker.resolve_address(&names, ip("10.1.0.3")), None);
        names.remove_owner(&key("zeta"), owner("o"));
        assert_eq!(asker.resolve(&names, "target", Family::Ipv4, rule), Lookup::Unknown);
        assert_eq!(names.network(&key("zeta")).unwrap().forward.len(), 0);
    }

    #[test]
    fn network_names_may_hold_dots_and_are_case_sensitive() {
        let mut names = Names::default();
        names.add_network(key("n"), "b.c", false);
        add(&mut names, "n", "e", &["a", "x.y"], &["10.0.0.2"]);
        let asker = on(&["n"]);
        let rule = NodataRule::EitherFamily;
        for name in ["a", "A", "a.b.c", "A.b.c", "x.y", "x.y.b.c"] {
            assert_eq!(asker.resolve(&names, name, Family::Ipv4, rule), found(&["10.0.0.2"]), "{name}");
        }
        for name in ["a.B.c", "a.c", "a.b", "", ".", "a..b.c", "x"] {
            assert_eq!(asker.resolve(&names, name, Family::Ipv4, rule), Lookup::Unknown, "{name}");
        }
    }

    #[test]
    fn a_link_alias_goes_first_and_hides_the_plain_name() {
        let mut names = Names::default();
        names.add_network(key("n"), "n", false);
        add(&mut names, "n", "e5", &["c5"], &["10.0.0.5"]);
        add(&mut names, "n", "e6", &["x"], &["10.0.0.6"]);
        let mut asker = on(&["n"]);
        asker.endpoints[0].link_aliases.insert("x".to_owned(), "c5".to_owned());
        let rule = NodataRule::NetworkWithoutIpv6;
        assert_eq!(asker.resolve(&names, "x", Family::Ipv4, rule), found(&["10.0.0.5"]));
        assert_eq!(asker.resolve(&names, "X", Family::Ipv4, rule), found(&["10.0.0.6"]));
        assert_eq!(on(&["n"]).resolve(&names, "x", Family::Ipv4, rule), found(&["10.0.0.6"]));
        names.remove_owner(&key("n"), owner("e5"));
        assert_eq!(asker.resolve(&names, "x", Family::Ipv4, rule), Lookup::Unknown);
    }

    #[test]
    fn name_exists_is_not_type_exists() {
        let cases = [
            // addresses, network has IPv6, family, up to 27, 28
            (&["10.0.0.2"][..], false, Family::Ipv6, Lookup::NoData, Lookup::NoData),
            (&["10.0.0.2"][..], true, Family::Ipv6, Lookup::Unknown, Lookup::NoData),
            (&["fd00::2"][..], true, Family::Ipv4, Lookup::Unknown, Lookup::NoData),
            (&["fd00::2"][..], true, Family::Ipv6, found(&["fd00::2"]), found(&["fd00::2"])),
            (&["10.0.0.2", "fd00::2"][..], true, Family::Ipv4, found(&["10.0.0.2"]), found(&["10.0.0.2"])),
        ];
        for (addresses, ipv6, family, old, new) in cases {
            let mut names = Names::default();
            names.add_network(key("n"), "n", ipv6);
            add(&mut names, "n", "e", &["a"], addresses);
            let asker = on(&["n"]);
            assert_eq!(asker.resolve(&names, "a", family, NodataRule::NetworkWithoutIpv6), old);
            assert_eq!(asker.resolve(&names, "a", family, NodataRule::EitherFamily), new);
        }
    }

    #[test]
    fn an_address_known_outside_by_the_same_name_loses_its_reverse_record() {
        let mut names = zeta_and_alpha();
        let asker = on(&["alpha"]);
        names.learn_external(&asker, "another", ip("10.2.0.3"));
        assert!(asker.resolve_address(&names, ip("10.2.0.3")).is_some());
        names.learn_external(&asker, "target", ip("10.2.0.3"));
        assert_eq!(asker.resolve_address(&names, ip("10.2.0.3")), None);
    }

    #[test]
    fn an_unknown_network_takes_no_records() {
        let mut names = Names::default();
        assert!(!names.add_name(&key("n"), owner("e"), "a", ip("10.0.0.2")));
        assert!(!names.add_endpoint(&key("n"), owner("e"), &["a".to_owned()], &[ip("10.0.0.2")]));
    }
}
