//! Names for the things inside an engine. Ids are dense indices, never reused while anything refers to them, and
//! mean nothing outside the engine that gave them.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// The dense index behind the id.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// A network namespace: a container, a Docker host, a router or an outside machine.
    NamespaceId,
    "namespace#"
);
id!(
    /// A network device, whichever namespace it lives in.
    DeviceId,
    "device#"
);
id!(
    /// A wire between two NICs.
    LinkId,
    "link#"
);
id!(
    /// A local socket of a namespace.
    SocketId,
    "socket#"
);
id!(
    /// A service behind [`super::plan::Op::Listen`]: what arrives on its sockets leaves the engine as a value.
    ServiceId,
    "service#"
);

impl ServiceId {
    /// The service with this number; whoever programs the engine numbers its services.
    pub fn new(number: u32) -> ServiceId {
        ServiceId(number)
    }
}
