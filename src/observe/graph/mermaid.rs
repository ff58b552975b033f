//! Mermaid's flowchart (mermaid.js.org/syntax/flowchart), which GitHub and GitLab draw in Markdown.
//!
//! Everything that means something to Mermaid inside a quoted label is written as a character code (`#35;`).

use std::fmt::Write as _;

use super::{NamespaceOf, Topology, safe};

/// The topology as a flowchart.
#[must_use]
pub fn mermaid(topology: &Topology) -> String {
    let mut text = String::from("flowchart TB\n");
    for (h, host) in topology.hosts.iter().enumerate() {
        put(&mut text, &format!("  subgraph h{h}[\"{}\"]", label(std::slice::from_ref(&host.name))));
        for (n, network) in host.networks.iter().enumerate() {
            put(&mut text, &format!("    h{h}n{n}([\"{}\"])", label(&network.lines())));
        }
        for (c, container) in host.containers.iter().enumerate() {
            put(&mut text, &format!("    h{h}c{c}[\"{}\"]", label(&container.lines())));
        }
        put(&mut text, "  end");
        for (c, container) in host.containers.iter().enumerate() {
            for attachment in &container.attachments {
                let addresses = label(&attachment.addresses);
                let n = attachment.network;
                let link =
                    if addresses.is_empty() { "---".to_owned() } else { format!("---|\"{addresses}\"|") };
                put(&mut text, &format!("  h{h}c{c} {link} h{h}n{n}"));
            }
            if let NamespaceOf::Container(other) = &container.namespace
                && let Some(o) = host.containers.iter().position(|known| known.name == *other)
            {
                put(&mut text, &format!("  h{h}c{c} -.- h{h}c{o}"));
            }
        }
    }
    for (m, machine) in topology.machines.iter().enumerate() {
        put(&mut text, &format!("  m{m}[[\"{}\"]]", label(&machine.lines())));
    }
    for (l, lan) in topology.lans.iter().enumerate() {
        put(&mut text, &format!("  l{l}([\"{}\"])", label(&[format!("LAN {}", lan.name)])));
        for plug in &lan.plugs {
            let host = topology.hosts.iter().position(|host| host.name == plug.machine);
            let machine = topology.machines.iter().position(|machine| machine.name == plug.machine);
            let end = match (host, machine) {
                (Some(h), _) => format!("h{h}"),
                (None, Some(m)) => format!("m{m}"),
                (None, None) => continue,
            };
            put(&mut text, &format!("  {end} ---|\"{}\"| l{l}", label(&[plug.label()])));
        }
    }
    text
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Lines of a label, escaped.
fn label(lines: &[String]) -> String {
    lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br/>")
}

fn escaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in safe(line) {
        if c.is_alphanumeric() || " .:/-_,→()".contains(c) {
            out.push(c);
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "#{};", u32::from(c));
        }
    }
    out
}
