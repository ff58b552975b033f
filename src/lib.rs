//! linkspan: Docker's networking in one unprivileged process.

pub mod docker;
pub mod engine;
pub mod programs;
pub mod scenario;
pub mod tcp;
pub mod world;
