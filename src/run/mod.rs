//! The only room with clocks, descriptors and threads: where a simulated world meets the machine it runs on.
//!
//! Everything in virtual time does without this room. What stands here serves real time:
//!
//! | module | gives |
//! |---|---|
//! | [`live`] | the clock: waits for a world's deadlines and for frames, in one poll |
//! | [`recording`] | what entered a world, as a file, and the replay of it |
//! | [`attach`] | TAP devices in the namespaces of a process, made by a short-lived helper |
//! | [`tap`] | one TAP device |
//! | [`doctor`] | what the machine permits, before anybody needs it |
//!
//! The room hands frames and moments to a world and takes frames from it; it decides nothing about networks.

#![allow(
    clippy::disallowed_methods,
    reason = "clocks, files and threads are what this room is for; everywhere else they are arguments"
)]

pub mod attach;
pub mod doctor;
pub mod live;
mod netlink;
pub mod recording;
pub mod tap;
