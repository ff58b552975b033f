//! TAP devices: the kernel's way of handing Ethernet frames to a process.
//!
//! A device is opened without the four bytes of packet information in front of each frame (`IFF_NO_PI`), so that one
//! read is one Ethernet frame and one write sends one. It exists as long as the [`Tap`] does, whichever process holds
//! it: an open device can be handed on as a descriptor ([`Tap::into_parts`]). Who opens it needs
//! `CAP_NET_ADMIN` in the user namespace that owns the current network namespace: root, or an ordinary user in a user
//! and network namespace of their own, and read and write permission on `/dev/net/tun`.
//!
//! Limits: one queue, no offload (`IFF_VNET_HDR`): a frame that still has its checksum or its segmentation to do must
//! be finished before [`Tap::send`].

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd};

use thiserror::Error;
use tun_tap::{Iface, Mode};

/// The device every TAP is opened through.
pub const TUN_DEVICE: &str = "/dev/net/tun";

/// `IFNAMSIZ` of the kernel's `linux/if.h`, less the closing zero byte.
const LONGEST_NAME: usize = 15;

/// `ENXIO` of `asm-generic/errno-base.h`: the device node stands, no driver answers.
const ENXIO: i32 = 6;

/// `ENODEV` of `asm-generic/errno-base.h`: as [`ENXIO`].
const ENODEV: i32 = 19;

/// An open TAP device; dropping it removes the device unless it was made persistent beforehand.
#[derive(Debug)]
pub struct Tap {
    name: String,
    file: File,
}

/// Why a TAP device could not be opened. Each text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TapError {
    /// The kernel would cut or refuse the name.
    #[error(
        "{name:?} is no interface name: expected at most 15 bytes without spaces, '/' and ':', and neither \".\" \
         nor \"..\""
    )]
    Name {
        /// As asked for.
        name: String,
    },
    /// `/dev/net/tun` is absent, or there is no driver behind it.
    #[error(
        "{TUN_DEVICE} is absent or has no driver behind it: load it as root with `modprobe tun`, or start the \
         surrounding container with `--device {TUN_DEVICE}`; runs in virtual time do not need it"
    )]
    NoDevice,
    /// The process may not open `/dev/net/tun`, or may not create a device in this network namespace.
    #[error(
        "not permitted to open TAP device {name:?}: expected CAP_NET_ADMIN over this network namespace and read \
         and write permission on {TUN_DEVICE}; run in a user and network namespace of your own \
         (`unshare --user --map-root-user --net`); runs in virtual time need neither"
    )]
    NotPermitted {
        /// As asked for.
        name: String,
    },
    /// Another process holds the device.
    #[error("TAP device {name:?} is in use by another process: end that process or choose another name")]
    Busy {
        /// As asked for.
        name: String,
    },
    /// An interface of this name exists and is no TAP device with a single queue.
    #[error("an interface {name:?} exists and is no single-queue TAP device: choose another name")]
    NotTap {
        /// As asked for.
        name: String,
    },
    /// Anything else the kernel said.
    #[error("opening TAP device {name:?} through {TUN_DEVICE} failed: {message}")]
    Other {
        /// As asked for.
        name: String,
        /// The kernel's words.
        message: String,
    },
}

/// Opens the TAP device `name`, creating it if there is none. A `%d` in the name becomes the lowest free number; an
/// empty name leaves the choice to the kernel. [`Tap::name`] says what it became.
pub fn open(name: &str) -> Result<Tap, TapError> {
    if !is_name(name) {
        return Err(TapError::Name { name: name.to_owned() });
    }
    match Iface::without_packet_info(name, Mode::Tap) {
        Ok(interface) => {
            let name = interface.name().to_owned();
            // SAFETY: `into_raw_fd` gives up the descriptor, which is open and has no other owner.
            #[allow(unsafe_code, reason = "tun-tap hands its descriptor out as a number only")]
            let descriptor = unsafe { OwnedFd::from_raw_fd(interface.into_raw_fd()) };
            Ok(Tap::from_parts(name, descriptor))
        }
        Err(error) => Err(explain(name, &error)),
    }
}

impl Tap {
    /// A device that another process opened.
    pub fn from_parts(name: String, descriptor: OwnedFd) -> Tap {
        Tap { name, file: descriptor.into() }
    }

    /// Name and descriptor, to be handed on.
    pub fn into_parts(self) -> (String, OwnedFd) {
        (self.name, self.file.into())
    }

    /// The device's name where it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From now on [`Tap::receive`] and [`Tap::send`] say [`io::ErrorKind::WouldBlock`] instead of waiting.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        Ok(rustix::io::ioctl_fionbio(&self.file, true)?)
    }

    /// Waits for the next Ethernet frame that the kernel sends into the device and returns its length. A frame longer
    /// than `buffer` is cut: the buffer must hold the device's MTU and 18 bytes (header and one VLAN tag).
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }

    /// Hands one Ethernet frame, header included, to the kernel, as if it had come in by the wire.
    pub fn send(&self, frame: &[u8]) -> io::Result<usize> {
        (&self.file).write(frame)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Linux's `dev_valid_name`, and no longer than the kernel keeps.
fn is_name(name: &str) -> bool {
    let refused = |byte: u8| byte == b'/' || byte == b':' || byte == 0 || byte.is_ascii_whitespace();
    name.len() <= LONGEST_NAME && name != "." && name != ".." && !name.bytes().any(refused)
}

/// What an error of `open(2)` or of `TUNSETIFF` means.
fn explain(name: &str, error: &io::Error) -> TapError {
    let name = name.to_owned();
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) | (_, Some(ENXIO | ENODEV)) => TapError::NoDevice,
        // EPERM from TUNSETIFF or a device filter, EACCES from the file's mode.
        (io::ErrorKind::PermissionDenied, _) => TapError::NotPermitted { name },
        (io::ErrorKind::ResourceBusy, _) => TapError::Busy { name },
        (io::ErrorKind::InvalidInput, Some(_)) => TapError::NotTap { name },
        _ => TapError::Other { name, message: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of `asm-generic/errno-base.h`.
    fn explained(errno: i32) -> TapError {
        explain("tap0", &io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn each_errno_has_its_meaning() {
        let name = || "tap0".to_owned();
        assert_eq!(explained(2), TapError::NoDevice);
        assert_eq!(explained(ENXIO), TapError::NoDevice);
        assert_eq!(explained(ENODEV), TapError::NoDevice);
        assert_eq!(explained(1), TapError::NotPermitted { name: name() });
        assert_eq!(explained(13), TapError::NotPermitted { name: name() });
        assert_eq!(explained(16), TapError::Busy { name: name() });
        assert_eq!(explained(22), TapError::NotTap { name: name() });
        assert!(matches!(explained(24), TapError::Other { .. }));
    }

    #[test]
    fn texts_say_what_to_do() {
        assert!(explained(2).to_string().contains("modprobe tun"));
        assert!(explained(1).to_string().contains("unshare --user"));
        assert!(explained(1).to_string().contains("\"tap0\""));
        assert!(explained(16).to_string().contains("in use by another process"));
        assert!(explained(24).to_string().contains("Too many open files"));
    }

    #[test]
    fn names_the_kernel_would_cut_or_refuse_are_refused_first() {
        for name in ["", "tap0", "linkspan%d", "fifteen-bytes-x", "é"] {
            assert!(is_name(name), "{name:?}");
        }
        for name in ["sixteen-bytes-xx", "a b", "a/b", "a:b", ".", "..", "a\0b", "a\n"] {
            assert_eq!(open(name).unwrap_err(), TapError::Name { name: name.to_owned() });
        }
    }
}
