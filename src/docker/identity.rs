//! Ids, generated names and hardware addresses, all drawn from the daemon's seed.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use linkspan_switch::mac::MacAddress;
use rand_xoshiro::Xoshiro256StarStar;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// The 64 hexadecimal digits that name a network or a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(Arc<str>);

impl Id {
    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits as a value that others can keep.
    pub(super) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    /// The first twelve digits, as lists show it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl std::borrow::Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The 64 digits of what is shown and never looked up: an endpoint, a sandbox. Kept as the number they are, in half of
/// the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits([u64; 4]);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|number| write!(f, "{number:016x}"))
    }
}

/// The daemon's source of randomness.
#[derive(Debug, Clone)]
pub(super) struct Source {
    seed: u64,
    generator: Xoshiro256StarStar,
}

impl Source {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, generator: Xoshiro256StarStar::seed_from_u64(seed) }
    }

    pub(super) fn id(&mut self) -> Id {
        Id(self.digits().to_string().into())
    }

    /// What an id is made of.
    pub(super) fn digits(&mut self) -> Digits {
        Digits([(); 4].map(|()| self.generator.next_u64()))
    }

    /// A number below `bound`, or 0 if that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.generator.next_u64() % bound }
    }

    /// A veth's name on the host: seven digits that look random and differ for every number below 2^28.
    pub(super) fn veth(&self, number: u32) -> String {
        // Multiplying by an odd number permutes the numbers modulo a power of two.
        let seed = (self.seed ^ self.seed >> 32) as u32;
        format!("veth{:07x}", (number.wrapping_mul(0x9e37_79b1) ^ seed) & 0x0fff_ffff)
    }

    /// 02:42 and four random bytes, the address of a 20.10 bridge.
    pub(super) fn prefixed_mac(&mut self) -> MacAddress {
        let [a, b, c, d, ..] = self.generator.next_u64().to_be_bytes();
        MacAddress([0x02, 0x42, a, b, c, d])
    }

    /// An address that stays the same for a seed, a network and a container, as `--mac-address` would.
    pub(super) fn stable_mac(&self, network: &str, container: &str) -> MacAddress {
        let text = network.bytes().chain([0]).chain(container.bytes());
        let mixed = text.fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let [a, b, c, d, e, f, ..] = Xoshiro256StarStar::seed_from_u64(mixed).next_u64().to_be_bytes();
        MacAddress([(a & 0xfe) | 0x02, b, c, d, e, f])
    }

    /// A name for a container that was given none.
    pub(super) fn name(&mut self) -> String {
        let adjective = ADJECTIVES[self.below(ADJECTIVES.len() as u64) as usize];
        let surname = SURNAMES[self.below(SURNAMES.len() as u64) as usize];
        format!("{adjective}_{surname}")
    }
}

/// The id of an image: another one for every name, and the same for the same.
pub(super) fn image_id(reference: &str) -> String {
    // FNV-1a spreads the name over the seed.
    let seed = reference
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("sha256:{}", Source::new(seed).digits())
}

/// 02:42 and the four bytes of an IPv4 address.
pub(super) fn mac_from_ipv4(address: Ipv4Addr) -> MacAddress {
    let [a, b, c, d] = address.octets();
    MacAddress([0x02, 0x42, a, b, c, d])
}

const ADJECTIVES: [&str; 16] = [
    "amber", "brisk", "calm", "dapper", "eager", "frosty", "gentle", "hidden", "keen", "lucid", "mellow",
    "nimble", "quiet", "rapid", "sunny", "witty",
];

const SURNAMES: [&str; 16] = [
    "baran",
    "boggs",
    "cerf",
    "clark",
    "davies",
    "deering",
    "floyd",
    "jacobson",
    "kahn",
    "metcalfe",
    "mockapetris",
    "perlman",
    "postel",
    "rekhter",
    "roberts",
    "zimmermann",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_things() {
        let (mut one, mut two) = (Source::new(7), Source::new(7));
        assert_eq!(one.id(), two.id());
        assert_eq!(one.name(), two.name());
        assert_ne!(one.id(), one.id());
        assert_eq!(one.id().as_str().len(), 64);
        assert_eq!(one.veth(5).len(), 11);
        assert_ne!(one.veth(5), one.veth(6));
        assert_eq!(one.stable_mac("app", "web"), Source::new(7).stable_mac("app", "web"));
        assert_ne!(one.stable_mac("app", "web"), one.stable_mac("app", "db"));
        assert!(!one.stable_mac("app", "web").is_multicast());
        assert_eq!(mac_from_ipv4(Ipv4Addr::new(172, 17, 0, 2)).to_string(), "02:42:ac:11:00:02");
    }
}
