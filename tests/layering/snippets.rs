//! Proof that the rules can fail, and that they fail for the right reason only.

use std::path::Path;

use super::scanner::{Source, module_paths, tokenise};
use super::{check_imports, check_purity, check_unsafe};

/// A file of the repository with this content.
fn source(file: &str, text: &str) -> Source {
    let (krate, inner) = match file.split_once("/src/") {
        Some(("switch", rest)) => ("linkspan_switch", rest),
        Some(("nat", rest)) => ("linkspan_nat", rest),
        _ => ("", file.strip_prefix("src/").unwrap()),
    };
    let folder = Path::new("/");
    let texts = [(folder.join(inner), tokenise(text))];
    let module = module_paths(folder, krate, &texts).remove(&texts[0].0).unwrap();
    Source::new(file, module, krate, &texts[0].1)
}

/// How many imports of this file the table forbids.
fn imports(file: &str, text: &str) -> usize {
    check_imports(&source(file, text)).len()
}

fn impure(file: &str, text: &str) -> usize {
    check_purity(&source(file, text)).len()
}

fn paths(text: &str) -> Vec<String> {
    source("src/docker/dns.rs", text).references.iter().map(|r| r.path.join("::")).collect()
}

#[test]
fn use_trees_are_unfolded() {
    assert_eq!(
        paths("use crate::engine::{id::{DeviceId, LinkId as L}, plan::{self, Op}, view::*};"),
        [
            "crate::engine::id::DeviceId",
            "crate::engine::id::LinkId",
            "crate::engine::plan",
            "crate::engine::plan::Op",
            "crate::engine::view::*"
        ]
    );
    assert_eq!(paths("pub(crate) use {std::fmt, crate::docker};"), ["std::fmt", "crate::docker"]);
    assert_eq!(paths("use ::linkspan_nat::rule;"), ["linkspan_nat::rule"]);
}

#[test]
fn self_and_super_are_resolved_from_the_place() {
    assert_eq!(paths("use super::names::Names;"), ["crate::docker::names::Names"]);
    assert_eq!(paths("use super::super::engine::sys;"), ["crate::engine::sys"]);
    assert_eq!(paths("fn f() { self::helper::g(); }"), ["crate::docker::dns::helper::g"]);
    assert_eq!(
        paths("mod tests { mod deep { use super::super::super::cli; } use super::*; } use super::cli;"),
        ["crate::docker::cli", "crate::docker::dns::*", "crate::docker::cli"]
    );
    assert_eq!(paths("mod out_of_line; use super::names;"), ["crate::docker::names"]);
}

#[test]
fn aliases_are_followed() {
    assert_eq!(paths("use std::io; fn f() { io::stdout(); }")[1], "std::io::stdout");
    assert_eq!(
        paths("use crate::engine as kernel; type T = kernel::sys::Sys;")[1],
        "crate::engine::sys::Sys"
    );
}

#[test]
fn a_module_may_share_the_name_of_a_room() {
    assert_eq!(imports("src/docker/mod.rs", "pub mod cli; pub use cli::parse; fn f() { cli::parse(); }"), 0);
    assert_eq!(imports("src/scenario/mod.rs", "mod linkspan; fn f() { linkspan::world::keys(); }"), 0);
}

#[test]
fn a_path_attribute_moves_a_file() {
    let folder = Path::new("/");
    let outer = tokenise("#[cfg(test)]\n#[path = \"dns_tests.rs\"]\nmod tests;");
    let texts = [
        (folder.join("docker/dns.rs"), outer),
        (folder.join("docker/dns_tests.rs"), tokenise("use super::super::names;")),
    ];
    let modules = module_paths(folder, "", &texts);
    assert_eq!(modules[&texts[1].0], ["docker", "dns", "tests"]);
}

#[test]
fn comments_and_literals_are_set_aside() {
    let text = r####"
        //! use crate::world;
        /* use crate::world; /* nested */ crate::world::x */
        const A: &str = "crate::world \" std::fs";
        const B: &str = r#"use crate::world; " std::env::var"#;
        const C: &[u8] = b"\\"; const D: char = '"'; const E: char = '\''; const F: u8 = b'"';
        fn f<'a>(x: &'a str) -> impl Iterator + use<'a> { x }
        /// [`crate::world::World`] is only spoken of.
        const G: &str = "multi
            line"; // crate::world
    "####;
    assert_eq!(paths(text), [""; 0]);
    assert_eq!(imports("src/docker/dns.rs", &format!("{text} use crate::world::World;")), 1);
}

#[test]
fn a_violation_says_where() {
    let text = "//! Pools.\n\n/* a\nb */ use crate::world::World;\n";
    let broken = check_imports(&source("src/docker/ipam.rs", text));
    assert_eq!(broken.len(), 1);
    let text = broken[0].to_string();
    assert!(
        text.starts_with("src/docker/ipam.rs:4: docker may not use crate::world::World; it may use"),
        "{text}"
    );
}

#[test]
fn broken_source_is_survived() {
    let texts =
        ["use", "use {", "use crate::{a, ", "\"open", "r#\"open", "/* open", "'", "'\\", "b'\\", "r#"];
    for text in texts.into_iter().chain(["mod x {", "use a as", "}", "use {{{", "use ;", "use =", "\"\\"]) {
        let _ = source("src/docker/dns.rs", text);
    }
}

#[test]
fn programs_see_only_sys() {
    let file = "src/programs/ping.rs";
    assert_eq!(imports(file, "use crate::engine::sys::{Sys, ExitCode};"), 0);
    assert_eq!(imports(file, "use super::format; use crate::programs::Args;"), 0);
    assert_eq!(imports(file, "use crate::engine::id::DeviceId;"), 1);
    assert_eq!(imports(file, "use crate::engine;"), 1);
    assert_eq!(imports(file, "use crate::engine::*;"), 1);
    assert_eq!(imports(file, "use linkspan_nat::rule::Rule;"), 1);
    assert_eq!(imports(file, "fn f(x: super::super::docker::cli::Words) {}"), 1);
}

#[test]
fn docker_sees_plans_and_rules_but_no_packets() {
    let file = "src/docker/drivers/bridge.rs";
    assert_eq!(imports(file, "use crate::engine::plan::{Op, Plan}; use crate::engine::id::ServiceId;"), 0);
    assert_eq!(
        imports(file, "use linkspan_nat::{rule, ruleset::Hook, cidr, interface, text, text_emit};"),
        0
    );
    assert_eq!(imports(file, "use linkspan_switch::mac::MacAddress;"), 0);
    assert_eq!(imports(file, "use crate::engine::Engine;"), 1);
    assert_eq!(imports(file, "use linkspan_nat::packet::PacketView;"), 1);
    assert_eq!(imports(file, "use linkspan_nat::text_options::parse;"), 1);
    assert_eq!(imports(file, "use linkspan_switch::frame::Frame;"), 1);
    assert_eq!(imports(file, "use linkspan_switch;"), 1);
    assert_eq!(imports(file, "use crate::world::World; use crate::programs::ping;"), 2);
}

#[test]
fn an_exception_holds_in_its_module_only() {
    let text = "use crate::world::authority::AuthorityZone;";
    assert_eq!(imports("src/docker/dns/tests.rs", text), 0);
    assert_eq!(imports("src/docker/dns.rs", &format!("mod tests {{ {text} }}")), 0);
    assert_eq!(imports("src/docker/dns.rs", text), 1);
    assert_eq!(imports("src/docker/dns/tests.rs", "use crate::world::World;"), 1);
}

#[test]
fn the_pure_crates_stand_alone() {
    let fdb = "switch/src/fdb.rs";
    assert_eq!(imports(fdb, "use crate::mac::MacAddress; use super::bridge; use hashbrown::HashMap;"), 0);
    assert_eq!(imports(fdb, "use linkspan_nat::cidr;"), 1);
    let edit = "nat/src/packet/edit.rs";
    assert_eq!(imports(edit, "use super::view::View; use super::super::checksum;"), 0);
    assert_eq!(imports(edit, "fn f(m: linkspan_switch::mac::MacAddress) {}"), 1);
    assert_eq!(imports(edit, "extern crate linkspan_switch;"), 1);
}

#[test]
fn lower_rooms_do_not_look_up() {
    let engine = "src/engine/mod.rs";
    assert_eq!(imports(engine, "use crate::tcp::TcpStack; use linkspan_switch::frame::Frame;"), 0);
    assert_eq!(imports(engine, "use crate::docker::dns;"), 1);
    assert_eq!(imports(engine, "fn f() { crate::world::World::new(); }"), 1);
    assert_eq!(imports("src/tcp/mod.rs", "use linkspan_nat::tuple;"), 1);
    assert_eq!(imports("src/world/mod.rs", "use crate::scenario::model;"), 1);
    let story = "src/observe/story.rs";
    assert_eq!(imports(story, "use crate::engine::event::Event; use crate::world::names::Names;"), 0);
    assert_eq!(imports(story, "use crate::engine::Engine; use crate::world::World;"), 2);
    assert_eq!(imports("src/run/tap.rs", "use crate::engine::Engine;"), 1);
    assert_eq!(imports("src/cli/run.rs", "use crate::run::tap; use crate::engine::Engine;"), 0);
}

#[test]
fn the_library_root_is_no_way_around() {
    let file = "src/docker/dns.rs";
    assert_eq!(imports(file, "use crate::Lab;"), 1);
    assert_eq!(imports(file, "use crate::*;"), 1);
    assert_eq!(imports(file, "use crate as house; fn f() { house::world::f(); }"), 1);
    assert_eq!(imports(file, "use super::super::{self as house, names};"), 2);
    assert_eq!(imports("src/lib.rs", "pub mod docker; pub use lab::Lab; pub use crate::world::World;"), 0);
}

#[test]
fn pure_rooms_have_no_machine() {
    let file = "src/engine/queue.rs";
    for text in [
        "use std::time::Instant; fn f() { Instant::now(); }",
        "fn f() { std::time::SystemTime::now(); }",
        "fn f() { smoltcp::time::Instant::now(); }",
        "use std::{fmt, fs};",
        "fn f() { std::env::var(\"HOME\"); }",
        "use std::thread;",
        "use std::io; fn f() { io::stdin(); }",
        "fn f() { rand::thread_rng(); }",
        "use std::net::{IpAddr, UdpSocket};",
        "static mut COUNTER: u32 = 0;",
        "thread_local! { static X: u8 = 0; }",
        "use crossbeam::channel;",
        "use tun_tap::Iface;",
    ] {
        assert!(impure(file, text) > 0, "{text}");
        assert_eq!(impure("src/run/live.rs", text), 0, "{text}");
        assert_eq!(impure("src/cli/test.rs", text), 0, "{text}");
    }
    for text in [
        "use std::time::Duration; use std::net::IpAddr; use std::io::Write; use std::thread_name;",
        "enum Kind { Instant } fn f() -> Kind { Kind::Instant }",
        "const V: &str = env!(\"CARGO_PKG_VERSION\"); // std::fs::read",
        "static TABLE: [u8; 2] = [0, 1]; fn f(environment: &str) {}",
    ] {
        assert_eq!(impure(file, text), 0, "{text}");
    }
    let open = "fn f() { std::fs::File::open(\"a\"); }";
    assert_eq!(impure("src/scenario/load.rs", open), 0);
    assert_eq!(impure("src/scenario/steps.rs", open), 1);
}

#[test]
fn unsafe_is_found_as_a_word() {
    let text = "#![forbid(unsafe_code)] /* unsafe */ const A: &str = \"unsafe\";";
    assert_eq!(check_unsafe(&source("src/engine/mod.rs", text)).len(), 0);
    assert_eq!(check_unsafe(&source("src/engine/mod.rs", "fn f() { unsafe { g() } }")).len(), 1);
    assert_eq!(check_unsafe(&source("src/run/tap.rs", "fn f() { unsafe { g() } }")).len(), 0);
}
