//! Graphviz's DOT language (graphviz.org/doc/info/lang.html).
//!
//! Every label is a double-quoted string, in which a backslash and a quotation mark are escaped; no name is an
//! identifier.

use super::{NamespaceOf, Topology, safe};

/// The topology as an undirected graph.
#[must_use]
pub fn dot(topology: &Topology) -> String {
    let mut lines = vec![
        format!("graph {} {{", quoted(std::slice::from_ref(&topology.title))),
        // Edges may end at the frame of a cluster.
        "  compound=true;".to_owned(),
        "  node [shape=box, fontname=\"monospace\"];".to_owned(),
        "  edge [fontname=\"monospace\", fontsize=10];".to_owned(),
    ];
    for (h, host) in topology.hosts.iter().enumerate() {
        lines.push(format!("  subgraph cluster_h{h} {{"));
        lines.push(format!("    label={};", quoted(std::slice::from_ref(&host.name))));
        // A cluster cannot be the end of an edge; this node stands for the host.
        lines.push(format!("    h{h} [shape=point, style=invis];"));
        for (n, network) in host.networks.iter().enumerate() {
            lines.push(format!("    h{h}n{n} [shape=ellipse, label={}];", quoted(&network.lines())));
        }
        for (c, container) in host.containers.iter().enumerate() {
            lines.push(format!("    h{h}c{c} [label={}];", quoted(&container.lines())));
        }
        lines.push("  }".to_owned());
        for (c, container) in host.containers.iter().enumerate() {
            for attachment in &container.attachments {
                let label = quoted(&attachment.addresses);
                lines.push(format!("  h{h}c{c} -- h{h}n{} [label={label}];", attachment.network));
            }
            if let NamespaceOf::Container(other) = &container.namespace
                && let Some(o) = host.containers.iter().position(|known| known.name == *other)
            {
                lines.push(format!("  h{h}c{c} -- h{h}c{o} [style=dashed];"));
            }
        }
    }
    for (m, machine) in topology.machines.iter().enumerate() {
        lines.push(format!("  m{m} [shape=box3d, label={}];", quoted(&machine.lines())));
    }
    for (l, lan) in topology.lans.iter().enumerate() {
        lines.push(format!("  l{l} [shape=ellipse, label={}];", quoted(&[format!("LAN {}", lan.name)])));
        for plug in &lan.plugs {
            let host = topology.hosts.iter().position(|host| host.name == plug.machine);
            let machine = topology.machines.iter().position(|machine| machine.name == plug.machine);
            let (end, more) = match (host, machine) {
                (Some(h), _) => (format!("h{h}"), format!(", ltail=cluster_h{h}")),
                (None, Some(m)) => (format!("m{m}"), String::new()),
                (None, None) => continue,
            };
            lines.push(format!("  {end} -- l{l} [label={}{more}];", quoted(&[plug.label()])));
        }
    }
    lines.push("}".to_owned());
    lines.join("\n") + "\n"
}

/// Lines as one quoted string.
fn quoted(lines: &[String]) -> String {
    let mut out = String::from("\"");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push_str("\\n");
        }
        for c in safe(line) {
            if c == '"' || c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out.push('"');
    out
}
