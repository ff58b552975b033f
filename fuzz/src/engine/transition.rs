//! What can happen.

use super::CONTAINERS;
use super::Input;
use super::stage::{IP, NEIGHBOURS, frame};

/// One step of a sequence. Containers are numbers.
#[derive(Debug, Clone)]
pub enum Transition {
    /// A container is made, up.
    Start(usize),
    /// A container and all that is its goes away.
    Stop(usize),
    /// A container's interface goes down.
    Down(usize),
    /// It comes up again.
    Up(usize),
    /// Datagrams from one container to another.
    Send { from: usize, to: usize, count: u8, length: usize },
    /// A rule drops what one sends to the other.
    Block(usize, usize),
    /// That rule goes away.
    Unblock(usize, usize),
    /// The policy of FORWARD.
    Policy { drop: bool },
    /// `bridge-nf-call-iptables`.
    BridgeNetfilter(bool),
    /// Seconds.
    Wait(u64),
    /// The outside machine sends a frame.
    Hostile(Vec<u8>),
}

impl Transition {
    /// Reads one.
    pub fn draw(input: &mut Input<'_>) -> Transition {
        let (kind, ends) = (input.byte(), input.byte());
        let (one, other) = (usize::from(ends & 15) % CONTAINERS, usize::from(ends >> 4) % CONTAINERS);
        match kind % 20 {
            0..3 => Transition::Start(one),
            3 => Transition::Stop(one),
            4 => Transition::Down(one),
            5 => Transition::Up(one),
            6..12 => Transition::Send {
                from: one,
                to: other,
                count: 1 + (kind >> 5),
                length: [8, 100, 1_400][usize::from(kind >> 3) % 3],
            },
            12 => Transition::Block(one, other),
            13 => Transition::Unblock(one, other),
            14 => Transition::Policy { drop: ends & 3 == 3 },
            15 => Transition::BridgeNetfilter(ends & 1 == 1),
            16 => Transition::Wait(u64::from(ends) * 3),
            17 | 18 => Transition::Hostile(frame(input, 1, &IP)),
            _ => Transition::Hostile(frame(input, 1, &NEIGHBOURS)),
        }
    }
}
