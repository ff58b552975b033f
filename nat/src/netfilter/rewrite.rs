//! Rewriting a packet, or an ICMP error with the packet it quotes, as its connection says.

use crate::conntrack::{Connection, Direction, Status};
use crate::nat::{self, Manipulation};
use crate::packet::{EditError, IpVersion, PacketMut};
use crate::tuple::Tuple;

/// ICMP redirect (RFC 792).
const ICMP_REDIRECT: u8 = 5;

/// Gives one end of a packet the addresses and port of `target`.
pub(super) fn rewrite(
    packet: &mut PacketMut<'_>,
    target: &Tuple,
    manipulation: Manipulation,
) -> Result<(), EditError> {
    rewrite_address(packet, target, manipulation)?;
    let view = packet.view();
    if view.layout().has_ports() {
        match manipulation {
            Manipulation::Source if view.source_port() != Some(target.source_port) => {
                packet.set_source_port(target.source_port)?;
            }
            Manipulation::Destination if view.destination_port() != Some(target.destination_port) => {
                packet.set_destination_port(target.destination_port)?;
            }
            Manipulation::Source | Manipulation::Destination => {}
        }
    } else if view.icmp_id().is_some_and(|id| id != target.source_port) {
        packet.set_icmp_id(target.source_port)?;
    }
    Ok(())
}

fn rewrite_address(
    packet: &mut PacketMut<'_>,
    target: &Tuple,
    manipulation: Manipulation,
) -> Result<(), EditError> {
    match manipulation {
        Manipulation::Source if packet.view().source() != target.source => packet.set_source(target.source),
        Manipulation::Destination if packet.view().destination() != target.destination => {
            packet.set_destination(target.destination)
        }
        Manipulation::Source | Manipulation::Destination => Ok(()),
    }
}

/// Rewrites an ICMP error about a packet of a translated connection: the error's own address, and at the other
/// end the packet it quotes, which went the other way (`nf_nat_icmp_reply_translation`). A redirect about a
/// translated flow would name an address that its receiver never used.
pub(super) fn rewrite_error(
    packet: &mut PacketMut<'_>,
    connection: &Connection,
    direction: Direction,
    manipulation: Manipulation,
) -> Result<(), RewriteError> {
    let translated =
        connection.status().contains(Status::SRC_NAT) || connection.status().contains(Status::DST_NAT);
    let redirect = packet.view().icmp_type_code().is_some_and(|(kind, _)| kind == ICMP_REDIRECT);
    if redirect && translated && packet.layout().version() == IpVersion::V4 {
        return Err(RewriteError::Redirect);
    }
    let Some(target) = nat::target(connection, direction, manipulation) else { return Ok(()) };
    let quoted = *connection.tuple(direction.reversed());
    let mut embedded = packet.embedded_mut().ok_or(RewriteError::NothingQuoted)?;
    rewrite(&mut embedded, &quoted, manipulation.reversed())?;
    rewrite_address(packet, &target, manipulation)?;
    Ok(())
}

/// Why an ICMP error cannot be translated.
pub(super) enum RewriteError {
    Redirect,
    NothingQuoted,
    Edit,
}

impl From<EditError> for RewriteError {
    fn from(_: EditError) -> RewriteError {
        RewriteError::Edit
    }
}
