//! What dockerd decides, and the client side that needs no daemon: requests, the command line, output formats, and
//! the sans-I/O machines (the embedded DNS server) as values.

mod alike;
pub mod blueprint;
pub mod capability;
pub mod cli;
pub mod client;
pub mod container;
pub mod daemon;
pub mod dns;
pub mod dns_message;
pub mod drivers;
pub mod endpoint;
pub mod error;
pub mod events;
pub mod format;
pub mod health;
pub mod hosts_file;
pub mod identity;
pub mod images;
mod inspect;
pub mod ipam;
mod kernel_files;
pub mod labels;
pub mod names;
pub mod network;
pub mod outcome;
pub mod ports;
pub mod profile;
pub mod reference;
pub mod render;
pub mod request;
pub mod resolv_conf;
mod rules;
pub mod signal;
pub mod sysctls;
pub mod user;
