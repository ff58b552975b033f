//! Room that others took: half-open connections in a backlog, pieces of packets that wait for their rest.

use super::Facts;
use crate::observe::explain::{Cause, Drop};
use crate::scenario::Span;

impl Facts<'_> {
    /// A backlog that half-open connections fill: their SYNs came, and nobody confirms the answer.
    pub(super) fn half_open(&self, drop: &Drop) -> Option<Cause> {
        let port = self.explanation.attempt.port?;
        let sockets = self.now(&drop.place)?.sockets;
        let here = || sockets.iter().filter(|socket| socket.local.port() == port);
        let count = here().filter(|socket| socket.state == "SYN_RECV").count();
        let waiting = here().filter(|socket| socket.state == "ESTABLISHED").count();
        if count <= waiting {
            return None;
        }
        let name = self.readable(&drop.place);
        let number = port.to_string();
        let step = self.causes.command(&["hping3", "-S", &number]);
        Some(Cause {
            text: format!(
                "{count} half-open connections fill the backlog of port {port} of {name}, as in a SYN flood: who sent \
                 their SYNs confirms none. Linux would answer with SYN cookies, which are not modelled"
            ),
            line: self.line(step.or_else(|| self.causes.container(&drop.place))),
            suggestion: "stop who sends them, and wait until they are given up, or refuse them by a rule"
                .to_owned(),
        })
    }

    /// Pieces of a packet that are given up, because pieces of others take all the room.
    pub(super) fn no_room_for_pieces(&self, drop: &Drop) -> Option<Cause> {
        let step = self.sent_pieces()?;
        Some(Cause {
            text: format!(
                "pieces of packets whose rest does not come take the room that {} has for putting packets together, 4 MiB",
                self.readable(&drop.place)
            ),
            line: self.line(Some(step)),
            suggestion: "stop who sends them and wait 30 seconds, or send packets that need not be cut"
                .to_owned(),
        })
    }

    /// The last step that sent pieces of its own making.
    fn sent_pieces(&self) -> Option<Span> {
        ["-x", "--morefrag", "-f", "--frag"]
            .iter()
            .find_map(|option| self.causes.command(&["hping3", option]))
    }
}
