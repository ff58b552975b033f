//! Layers 3 and 4 on byte slices, pure: packet view, rules, connection tracking, NAT.
//!
//! Time is an argument everywhere: a [`std::time::Duration`] since the start of the run.

pub mod checksum;
pub mod cidr;
pub mod conntrack;
pub mod conntrack_match;
pub mod conntrack_text;
pub mod emit;
pub mod evaluate;
pub mod fragment;
pub mod icmp;
pub mod interface;
mod names;
pub mod nat;
pub mod netfilter;
pub mod packet;
pub mod rule;
pub mod ruleset;
mod target_check;
pub mod tcp_state;
pub mod text;
pub mod text_emit;
pub mod text_list;
mod text_options;
pub mod text_restore;
mod text_values;
pub mod timeouts;
pub mod tuple;
