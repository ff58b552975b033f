//! linkspan: Docker's networking in one unprivileged process.

pub mod docker;
pub mod engine;
pub mod lab;
pub mod observe;
pub mod programs;
pub mod run;
pub mod scenario;
pub mod tcp;
pub mod world;
