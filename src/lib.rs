//! linkspan: Docker's networking in one unprivileged process.

pub mod engine;
pub mod programs;
pub mod tcp;
