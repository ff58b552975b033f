//! The hash of the connection table: keyed by a seed, and otherwise the same on every machine and in every run.

use crate::tuple::Tuple;
use std::net::IpAddr;

/// A multiply-and-fold hash of a tuple: a few nanoseconds, and the same on every machine.
pub(crate) fn hash(seed: u64, tuple: &Tuple) -> u64 {
    let ports = u64::from(tuple.source_port) << 24
        | u64::from(tuple.destination_port) << 8
        | u64::from(tuple.protocol);
    let ends = match (tuple.source, tuple.destination) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u64::from(a.to_bits()) << 32 | u64::from(b.to_bits()),
        (a, b) => fold(fold(seed ^ 0x9e37_79b9_7f4a_7c15, address_bits(a)), address_bits(b)),
    };
    fold(fold(seed ^ 0x243f_6a88_85a3_08d3, ends), ports)
}

/// Mixes an address of either family into a hash.
pub(crate) fn address_bits(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            fold((bits >> 64) as u64, bits as u64)
        }
    }
}

/// Mixes two words.
pub(crate) fn fold(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ 0xa076_1d64_78bd_642f) * u128::from(word ^ 0xe703_7ed1_a0b4_28db);
    (product as u64) ^ (product >> 64) as u64
}
