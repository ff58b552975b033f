//! What connection tracking knows of a TCP connection: the states and moves of `nf_conntrack_proto_tcp.c`.
//!
//! Only flags are followed. There is no window tracking: sequence numbers, acknowledgements and window scales are
//! not looked at, which is Linux with `nf_conntrack_tcp_be_liberal` set, and beyond that resets are believed
//! whatever their sequence number. A connection whose opening was not seen is picked up by its first ACK
//! (`nf_conntrack_tcp_loose`, on by default).

use crate::conntrack::Direction;

/// The state of a TCP connection as a box in its middle sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpState {
    /// A SYN was seen.
    SynSent,
    /// A SYN/ACK answered.
    SynRecv,
    /// The handshake is complete, or the connection was picked up.
    Established,
    /// One side sent FIN.
    FinWait,
    /// The FIN was acknowledged.
    CloseWait,
    /// Both sides sent FIN.
    LastAck,
    /// The last FIN was acknowledged.
    TimeWait,
    /// A RST was seen.
    Close,
    /// Both sides sent a SYN.
    SynSent2,
}

impl TcpState {
    /// The name that `conntrack -L` prints.
    pub fn name(self) -> &'static str {
        match self {
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait => "FIN_WAIT",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::SynSent2 => "SYN_SENT2",
        }
    }
}

/// A TCP connection under observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TcpTracking {
    state: TcpState,
    /// The last segment that was accepted: who sent it and what it was.
    last: (Direction, Segment),
    /// Whether a side began to close with FIN.
    closing: bool,
}

/// What a segment does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TcpStep {
    /// Not a segment of this connection's state: INVALID.
    Invalid,
    /// Let through without effect; the other end will tell.
    Ignored,
    /// Opens a new connection in place of this one, which is over.
    Reopen,
    /// Accepted.
    Moved {
        /// The state before.
        from: TcpState,
        /// The state now.
        to: TcpState,
    },
}

/// A segment by the flag that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Syn = 0,
    SynAck = 1,
    Fin = 2,
    Ack = 3,
    Rst = 4,
}

/// TCP header flags (RFC 9293, 3.1).
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;
const ECN: u8 = 0xc0;

/// The combinations that exist (PSH and the ECN flags go with any); all others are INVALID (`tcp_valid_flags`).
const VALID: [u8; 9] =
    [SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG];

impl Segment {
    fn of(flags: u8) -> Option<Segment> {
        if !VALID.contains(&(flags & !(PSH | ECN))) {
            return None;
        }
        Some(match flags {
            flags if flags & RST != 0 => Segment::Rst,
            flags if flags & SYN != 0 && flags & ACK != 0 => Segment::SynAck,
            flags if flags & SYN != 0 => Segment::Syn,
            flags if flags & FIN != 0 => Segment::Fin,
            _ => Segment::Ack,
        })
    }
}

/// An entry of the table: the next state, or none.
#[derive(Clone, Copy)]
enum Move {
    To(TcpState),
    Invalid,
    Ignore,
}

const SS: Move = Move::To(TcpState::SynSent);
const SR: Move = Move::To(TcpState::SynRecv);
const ES: Move = Move::To(TcpState::Established);
const FW: Move = Move::To(TcpState::FinWait);
const CW: Move = Move::To(TcpState::CloseWait);
const LA: Move = Move::To(TcpState::LastAck);
const TW: Move = Move::To(TcpState::TimeWait);
const CL: Move = Move::To(TcpState::Close);
const S2: Move = Move::To(TcpState::SynSent2);
const NO: Move = Move::Invalid;
const IG: Move = Move::Ignore;

/// The moves by direction, segment and state, columns in the order of [`TcpState`].
#[rustfmt::skip]
const MOVES: [[[Move; 9]; 5]; 2] = [
    [
        //           SS  SR  ES  FW  CW  LA  TW  CL  S2
        /* SYN    */ [SS, IG, IG, IG, IG, IG, SS, SS, S2],
        /* SYNACK */ [NO, SR, NO, NO, NO, NO, NO, NO, SR],
        /* FIN    */ [NO, FW, FW, LA, LA, LA, TW, CL, NO],
        /* ACK    */ [NO, ES, ES, CW, CW, TW, TW, CL, NO],
        /* RST    */ [CL, CL, CL, CL, CL, CL, CL, CL, CL],
    ],
    [
        /* SYN    */ [S2, NO, NO, NO, NO, NO, SS, NO, S2],
        /* SYNACK */ [SR, IG, IG, IG, IG, IG, IG, IG, SR],
        /* FIN    */ [NO, FW, FW, LA, LA, LA, TW, CL, NO],
        /* ACK    */ [IG, SR, ES, CW, CW, TW, TW, CL, IG],
        /* RST    */ [CL, CL, CL, CL, CL, CL, CL, CL, CL],
    ],
];

impl TcpTracking {
    /// The connection that a segment opens, or with `loose` lets be picked up; `None` if it does neither.
    pub(crate) fn begin(flags: u8, loose: bool) -> Option<TcpTracking> {
        let segment = Segment::of(flags)?;
        let state = match segment {
            Segment::Syn => TcpState::SynSent,
            Segment::Ack if loose => TcpState::Established,
            Segment::Ack | Segment::SynAck | Segment::Fin | Segment::Rst => return None,
        };
        Some(TcpTracking { state, last: (Direction::Original, segment), closing: false })
    }

    /// The state.
    pub(crate) fn state(&self) -> TcpState {
        self.state
    }

    /// Takes a segment.
    pub(crate) fn advance(&mut self, direction: Direction, flags: u8) -> TcpStep {
        let Some(segment) = Segment::of(flags) else { return TcpStep::Invalid };
        let from = self.state;
        let to = match MOVES[direction as usize][segment as usize][from as usize] {
            Move::Invalid => return TcpStep::Invalid,
            Move::Ignore => return self.ignore(direction, segment),
            Move::To(TcpState::SynSent) if matches!(from, TcpState::TimeWait | TcpState::Close) => {
                if self.closing || self.last == (direction, Segment::Rst) {
                    return TcpStep::Reopen;
                }
                return self.ignore(direction, segment);
            }
            Move::To(to) => to,
        };
        if from != TcpState::FinWait && to == TcpState::FinWait {
            self.closing = true;
        }
        self.last = (direction, segment);
        self.state = to;
        TcpStep::Moved { from, to }
    }

    /// A segment that does not fit is let through, as only the ends know; a SYN/ACK that then answers an ignored
    /// SYN proves that the ends began anew.
    fn ignore(&mut self, direction: Direction, segment: Segment) -> TcpStep {
        let answers_ignored = segment == Segment::SynAck && self.last == (direction.reversed(), Segment::Syn);
        self.last = (direction, segment);
        if !answers_ignored {
            return TcpStep::Ignored;
        }
        self.closing = false;
        self.state = TcpState::SynRecv;
        TcpStep::Moved { from: TcpState::SynSent, to: TcpState::SynRecv }
    }
}

/// Whether the flags reset the connection.
pub(crate) fn is_reset(flags: u8) -> bool {
    flags & RST != 0
}

/// Whether the flags open a connection.
pub(crate) fn is_syn(flags: u8) -> bool {
    flags & (SYN | ACK | RST) == SYN
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Original, Reply};

    fn walk(segments: &[(Direction, u8)]) -> Vec<TcpState> {
        let mut tracking = TcpTracking::begin(SYN, true).unwrap();
        let mut states = vec![tracking.state()];
        for (direction, flags) in segments {
            tracking.advance(*direction, *flags);
            states.push(tracking.state());
        }
        states
    }

    #[test]
    fn a_connection_opens_and_closes() {
        use TcpState::*;
        let states = walk(&[
            (Reply, SYN | ACK),
            (Original, ACK),
            (Original, FIN | ACK),
            (Reply, ACK),
            (Reply, FIN | ACK),
            (Original, ACK),
        ]);
        assert_eq!(states, [SynSent, SynRecv, Established, FinWait, CloseWait, LastAck, TimeWait]);
    }

    #[test]
    fn a_closed_connection_is_reopened_by_syn() {
        let mut tracking = TcpTracking::begin(SYN, true).unwrap();
        for (direction, flags) in
            [(Reply, SYN | ACK), (Original, ACK), (Original, FIN | ACK), (Reply, FIN | ACK)]
        {
            tracking.advance(direction, flags);
        }
        tracking.advance(Original, ACK);
        assert_eq!(tracking.state(), TcpState::TimeWait);
        assert_eq!(tracking.advance(Original, SYN), TcpStep::Reopen);
    }

    #[test]
    fn a_syn_into_a_connection_counts_only_once_answered() {
        let mut tracking = TcpTracking::begin(ACK, true).unwrap();
        assert_eq!(tracking.state(), TcpState::Established);
        assert_eq!(tracking.advance(Original, SYN), TcpStep::Ignored);
        let expected = TcpStep::Moved { from: TcpState::SynSent, to: TcpState::SynRecv };
        assert_eq!(tracking.advance(Reply, SYN | ACK), expected);
    }

    #[test]
    fn impossible_flags_and_openings_are_refused() {
        for flags in [0, SYN | FIN, SYN | RST, FIN, FIN | RST | ACK, 0x3f] {
            assert_eq!(TcpTracking::begin(flags, true), None, "{flags:#x}");
            let mut tracking = TcpTracking::begin(SYN, true).unwrap();
            assert_eq!(tracking.advance(Original, flags), TcpStep::Invalid, "{flags:#x}");
        }
        assert_eq!(TcpTracking::begin(ACK, false), None);
        assert_eq!(TcpTracking::begin(SYN | ACK, true), None);
        assert_eq!(TcpTracking::begin(FIN | ACK, true), None);
        assert!(TcpTracking::begin(SYN | ECN, true).is_some());
    }
}
