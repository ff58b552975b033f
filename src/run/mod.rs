//! The only room with clocks, descriptors and threads: where a simulated world meets the machine it runs on.
//!
//! Everything in virtual time does without this room. What stands here serves real time: [`tap`] attaches a kernel
//! device, [`doctor`] says what the machine permits before anybody needs it.
//!
//! The room hands frames and moments to a world and takes frames from it; it decides nothing about networks.

#![allow(
    clippy::disallowed_methods,
    reason = "clocks, files and threads are what this room is for; everywhere else they are arguments"
)]

pub mod doctor;
pub mod tap;
