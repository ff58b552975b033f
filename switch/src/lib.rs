//! Layer 2, pure: frames, MAC table, learning bridge, VLAN tags.
//!
//! Everything here is a decision or a transformation: no clock, no descriptor, no thread. Time is a
//! [`std::time::Duration`] since the start of the run and is always an argument.
//!
//! * [`frame`]: pooled frames with headroom, shared for flooding and copied on write.
//! * [`offload`]: finishing checksums and cutting TSO and UDP GSO packets.
//! * [`mac`], [`ethernet`], [`vlan`]: addresses, headers and tags.
//! * [`fdb`], [`bridge`]: the MAC table and the forwarding decision of a Linux bridge without spanning tree.
//! * [`macvlan`], [`ipvlan`]: stations behind one parent device.
//! * [`storm`]: the guard that ends a run with a loop.
//!
//! # Example: two ports
//!
//! ```
//! use std::time::Duration;
//! use linkspan_switch::bridge::{Bridge, BridgeConfig, Decision, FloodKind, PortConfig};
//! use linkspan_switch::ethernet::{EtherType, EthernetHeader};
//! use linkspan_switch::frame::Pool;
//! use linkspan_switch::mac::MacAddress;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::new();
//! let mut bridge = Bridge::new(BridgeConfig::default());
//! let left = bridge.add_port(PortConfig::default())?;
//! let right = bridge.add_port(PortConfig::default())?;
//!
//! let alice: MacAddress = "02:42:ac:11:00:02".parse()?;
//! let bob: MacAddress = "02:42:ac:11:00:03".parse()?;
//! let mut frame = pool.copy_of(b"hello");
//! EthernetHeader { destination: bob, source: alice, ethertype: EtherType::IPV4 }.emit(frame.push_front(14))?;
//!
//! // Nobody knows where Bob is: every other port gets the frame, sharing its bytes.
//! let now = Duration::ZERO;
//! let header = EthernetHeader::parse(frame.bytes())?;
//! assert_eq!(bridge.ingress(now, left, &header, None), Decision::Flood(FloodKind::UnknownUnicast));
//! let copies: Vec<_> =
//!     bridge.flood_ports(Some(left), FloodKind::UnknownUnicast).map(|port| (port, frame.share())).collect();
//! assert_eq!(copies.len(), 1);
//! assert_eq!(copies[0].0, right);
//!
//! // Alice's address was learned, so Bob's answer goes straight to her.
//! let answer = EthernetHeader { destination: alice, source: bob, ethertype: EtherType::IPV4 };
//! assert_eq!(bridge.ingress(now, right, &answer, None), Decision::Forward(left));
//!
//! drop((frame, copies));
//! assert_eq!(pool.outstanding(), 0);
//! # Ok(())
//! # }
//! ```

pub mod bridge;
pub mod ethernet;
pub mod fdb;
pub mod frame;
pub mod ipvlan;
pub mod mac;
pub mod macvlan;
pub mod offload;
pub mod storm;
mod table;
pub mod vlan;
