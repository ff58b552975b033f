//! What a system call can answer when it fails: the errors of `errno(3)` that networking programs meet, with glibc's
//! texts, because programs print them.

use std::fmt;

/// An error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Errno {
    /// Operation not permitted; what a REJECT with an administrative prohibition becomes on some sockets.
    PermissionDenied,
    /// No such file or directory.
    NoSuchFile,
    /// The descriptor is no longer open: the socket went away with its namespace.
    BadDescriptor,
    /// Would block.
    WouldBlock,
    /// Invalid argument.
    InvalidArgument,
    /// Broken pipe.
    BrokenPipe,
    /// Message too long: larger than the path takes, with fragmentation forbidden.
    MessageTooLong,
    /// Protocol not available.
    ProtocolNotAvailable,
    /// Address family not supported: IPv6 is disabled here.
    AddressFamilyNotSupported,
    /// The address and port are taken.
    AddressInUse,
    /// No interface has the address.
    AddressNotAvailable,
    /// No route.
    NetworkUnreachable,
    /// Connection reset by peer.
    ConnectionReset,
    /// Not connected.
    NotConnected,
    /// Connection timed out.
    TimedOut,
    /// Connection refused.
    ConnectionRefused,
    /// The neighbour or a router says the host cannot be reached.
    HostUnreachable,
    /// Already connected.
    AlreadyConnected,
    /// An address, route, neighbour or device of that name is there.
    FileExists,
    /// No such route.
    NoSuchProcess,
    /// No such device.
    NoSuchDevice,
    /// The device is in use by another one.
    DeviceBusy,
    /// The device is down.
    NetworkDown,
    /// Devices of this kind cannot do that.
    NotSupported,
    /// A table is full.
    OutOfMemory,
}

impl Errno {
    /// The text of `strerror(3)`.
    pub fn text(self) -> &'static str {
        match self {
            Errno::PermissionDenied => "Operation not permitted",
            Errno::NoSuchFile => "No such file or directory",
            Errno::BadDescriptor => "Bad file descriptor",
            Errno::WouldBlock => "Resource temporarily unavailable",
            Errno::InvalidArgument => "Invalid argument",
            Errno::BrokenPipe => "Broken pipe",
            Errno::MessageTooLong => "Message too long",
            Errno::ProtocolNotAvailable => "Protocol not available",
            Errno::AddressFamilyNotSupported => "Address family not supported by protocol",
            Errno::AddressInUse => "Address already in use",
            Errno::AddressNotAvailable => "Cannot assign requested address",
            Errno::NetworkUnreachable => "Network is unreachable",
            Errno::ConnectionReset => "Connection reset by peer",
            Errno::NotConnected => "Transport endpoint is not connected",
            Errno::TimedOut => "Connection timed out",
            Errno::ConnectionRefused => "Connection refused",
            Errno::HostUnreachable => "No route to host",
            Errno::AlreadyConnected => "Transport endpoint is already connected",
            Errno::FileExists => "File exists",
            Errno::NoSuchProcess => "No such process",
            Errno::NoSuchDevice => "No such device",
            Errno::DeviceBusy => "Device or resource busy",
            Errno::NetworkDown => "Network is down",
            Errno::NotSupported => "Operation not supported",
            Errno::OutOfMemory => "Cannot allocate memory",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Errno {}
