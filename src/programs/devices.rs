//! The devices of `/dev` that every container has, by name or through a redirection: `null(4)`, `zero(4)`, `random(4)` and
//! the links to a process's own streams. What has no end is made as it is read.

use super::text::CHUNK;
use crate::engine::sys::{Pipe, Sys};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Device {
    Null,
    Zero,
    /// `random` and `urandom` are one since Linux 5.6, once there is entropy. The numbers are the run's.
    Random,
    Stdin,
    Stdout,
    Stderr,
}

/// Their paths.
pub(crate) const PATHS: [(&str, Device); 7] = [
    ("/dev/null", Device::Null),
    ("/dev/random", Device::Random),
    ("/dev/stderr", Device::Stderr),
    ("/dev/stdin", Device::Stdin),
    ("/dev/stdout", Device::Stdout),
    ("/dev/urandom", Device::Random),
    ("/dev/zero", Device::Zero),
];

impl Device {
    /// The device of a path.
    pub(crate) fn find(path: &str) -> Option<Device> {
        PATHS.iter().find(|(known, _)| *known == path).map(|(_, device)| *device)
    }

    /// The next piece of a device that is no stream; empty at the end.
    pub(crate) fn read(self, sys: &Sys) -> Vec<u8> {
        match self {
            Device::Zero => vec![0; CHUNK],
            Device::Random => (0..CHUNK / 4).flat_map(|_| sys.random().to_le_bytes()).collect(),
            Device::Null | Device::Stdin | Device::Stdout | Device::Stderr => Vec::new(),
        }
    }
}

/// Fills a pipe from a device until nobody reads it. Time passes for whoever reads.
pub(crate) async fn fill(sys: Sys, device: Device, pipe: Pipe) {
    loop {
        let piece = device.read(&sys);
        if piece.is_empty() || pipe.write_all(&piece).await.is_err() {
            return pipe.close_writer();
        }
    }
}
