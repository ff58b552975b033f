//! A drawing in SVG 1.1, laid out here: no program is called, and equal topologies give equal bytes.
//!
//! Networks are horizontal bars, as on a whiteboard. Containers stand in a row above them, each with one vertical wire
//! for each network it is on; a dot marks where the wire is plugged in, with the address beside it. The host's frame
//! holds both; below it lie the LANs and then the machines, drawn in the same way. What a bar is called stands at its
//! left end, where no wire passes.
//!
//! Text is monospaced and measured by its number of characters, so wide characters may overlap a frame; a line longer
//! than [`LINE`] characters is cut, and the element's title has it whole.

use std::fmt::Write as _;

use super::{HostNode, NamespaceOf, Topology, safe};

/// Width of a character and height of a line at 12 pixels.
const CHARACTER: usize = 8;
const ROW: usize = 16;
/// Space inside a box, and between boxes.
const PADDING: usize = 10;
const GAP: usize = 24;
/// Height of a bar and the space to the next.
const BAR: usize = 24;
const BAR_GAP: usize = 26;
/// Characters of the longest line.
const LINE: usize = 64;

const STYLE: &str = "text{font:12px monospace;fill:#1a1a1a}\
.title{font-weight:bold}\
.box{fill:#eaf2fb;stroke:#2f6db0}\
.down{fill:#f0f0f0;stroke:#999;stroke-dasharray:4 3}\
.machine{fill:#fdf3e3;stroke:#b07a2f}\
.host{fill:#fafafa;stroke:#666}\
.bar{fill:#d9ead3;stroke:#4a7a3a}\
.internal{fill:#f4d9d9;stroke:#a04040}\
.lan{fill:#e6e0ee;stroke:#6a4f8f}\
.wire{stroke:#555;stroke-width:1.5;fill:none}\
.plug{fill:#1a1a1a}";

/// The topology as a drawing.
#[must_use]
pub fn svg(topology: &Topology) -> String {
    let mut canvas = Canvas::default();
    let mut y = GAP;
    canvas.text(GAP, y, "title", &topology.title);
    y += GAP;
    // Where a host's wires to the LANs begin: (host, x, y).
    let mut bottoms = Vec::new();
    for host in &topology.hosts {
        let bottom = draw_host(&mut canvas, host, y);
        bottoms.push((host.name.as_str(), bottom));
        y = bottom + GAP;
    }
    draw_outside(&mut canvas, topology, &bottoms, y);
    canvas.finish()
}

/// A box with a wire for each bar it is plugged into.
struct Column<'a> {
    class: &'static str,
    lines: Vec<String>,
    /// Bar and label.
    wires: Vec<(usize, String)>,
    /// Another box that it is tied to, by the first line.
    tied: Option<&'a str>,
}

impl Column<'_> {
    fn width(&self) -> usize {
        let text = self.lines.iter().map(|line| width(line)).max().unwrap_or(0) + 2 * PADDING;
        text.max(self.wires.iter().map(|(_, label)| wire_width(label)).sum())
    }

    fn height(&self) -> usize {
        self.lines.len() * ROW + PADDING
    }
}

/// Draws a host with everything in it; the y of its lower edge.
fn draw_host(canvas: &mut Canvas, host: &HostNode, top: usize) -> usize {
    let columns: Vec<Column<'_>> = host
        .containers
        .iter()
        .map(|container| Column {
            class: if container.notes.iter().any(|note| note.starts_with("not running")) {
                "down"
            } else {
                "box"
            },
            lines: container.lines(),
            wires: container
                .attachments
                .iter()
                .map(|attachment| (attachment.network, attachment.addresses.join(" ")))
                .collect(),
            tied: match &container.namespace {
                NamespaceOf::Container(other) => Some(other.as_str()),
                NamespaceOf::Own | NamespaceOf::Host => None,
            },
        })
        .collect();
    let bars: Vec<(&'static str, String)> = host
        .networks
        .iter()
        .map(|network| (if network.internal { "internal" } else { "bar" }, network.lines().join("  ")))
        .collect();
    let inside = GAP + PADDING;
    let frame = canvas.reserve();
    canvas.text(inside, top + ROW, "title", &host.name);
    let boxes = top + ROW + PADDING;
    let tallest = columns.iter().map(Column::height).max().unwrap_or(0);
    let first_bar = boxes + tallest + BAR_GAP;
    let left = inside + gutter(&bars);
    let mut right = draw_columns(canvas, &columns, left, boxes + tallest, first_bar, Side::Above);
    right = right.max(draw_bars(canvas, &bars, inside, right, first_bar));
    let bottom = first_bar + bars.len() * (BAR + BAR_GAP);
    let right = right.max(inside + width(&host.name)) + PADDING;
    canvas.rectangle_at(frame, (GAP, top), (right - GAP, bottom - top), "host", &host.name);
    canvas.extend(right + GAP, bottom);
    bottom
}

/// Draws LANs and the machines below them.
fn draw_outside(canvas: &mut Canvas, topology: &Topology, hosts: &[(&str, usize)], top: usize) {
    if topology.lans.is_empty() && topology.machines.is_empty() {
        return;
    }
    let first_bar = top + ROW;
    let bars: Vec<(&'static str, String)> =
        topology.lans.iter().map(|lan| ("lan", format!("LAN {}", lan.name))).collect();
    let mut x = GAP + PADDING + gutter(&bars);
    for (index, lan) in topology.lans.iter().enumerate() {
        let y = first_bar + index * (BAR + BAR_GAP);
        for plug in &lan.plugs {
            let Some((_, bottom)) = hosts.iter().find(|(name, _)| *name == plug.machine) else { continue };
            let label = plug.label();
            canvas.wire(x, *bottom, y);
            canvas.text(x + 6, y - 6, "", &label);
            x += wire_width(&label);
        }
    }
    let columns: Vec<Column<'_>> = topology
        .machines
        .iter()
        .map(|machine| Column {
            class: "machine",
            lines: machine.lines(),
            wires: topology
                .lans
                .iter()
                .enumerate()
                .flat_map(|(index, lan)| lan.plugs.iter().map(move |plug| (index, plug)))
                .filter(|(_, plug)| plug.machine == machine.name)
                .map(|(index, plug)| (index, plug.label()))
                .collect(),
            tied: None,
        })
        .collect();
    let boxes = first_bar + bars.len() * (BAR + BAR_GAP);
    // Machines stand to the right of the host's wires, so that none is drawn over another.
    let right = draw_columns(canvas, &columns, x + GAP, boxes, first_bar, Side::Below);
    let right = draw_bars(canvas, &bars, GAP + PADDING, right, first_bar).max(right);
    let tallest = columns.iter().map(Column::height).max().unwrap_or(0);
    canvas.extend(right + GAP, boxes + tallest + GAP);
}

/// On which side of the bars boxes stand.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Above,
    Below,
}

/// Draws boxes whose edge towards the bars is at `edge`, with their wires; the x behind the last.
fn draw_columns(
    canvas: &mut Canvas,
    columns: &[Column<'_>],
    left: usize,
    edge: usize,
    first_bar: usize,
    side: Side,
) -> usize {
    let mut x = left;
    let mut places: Vec<(&str, usize)> = Vec::new();
    for column in columns {
        let (wide, high) = (column.width(), column.height());
        let y = if side == Side::Above { edge - high } else { edge };
        let name = column.lines.first().map_or("", String::as_str);
        let place = canvas.reserve();
        canvas.rectangle_at(place, (x, y), (wide, high), column.class, name);
        for (row, line) in column.lines.iter().enumerate() {
            let class = if row == 0 { "title" } else { "" };
            canvas.text(x + PADDING, y + ROW * (row + 1), class, line);
        }
        let mut wire = x + PADDING;
        for (bar, label) in &column.wires {
            let bar = first_bar + bar * (BAR + BAR_GAP);
            match side {
                Side::Above => canvas.wire(wire, edge, bar),
                Side::Below => canvas.wire(wire, edge, bar + BAR),
            }
            let text = if side == Side::Above { bar - 6 } else { bar + BAR + ROW };
            canvas.text(wire + 6, text, "", label);
            wire += wire_width(label);
        }
        if let Some((_, other)) = column.tied.and_then(|tied| places.iter().find(|(name, _)| *name == tied)) {
            canvas.tie(other + PADDING, x + PADDING, edge);
        }
        places.push((name, x));
        x += wide + GAP;
    }
    x
}

/// Draws bars as long as everything that hangs on them.
fn draw_bars(
    canvas: &mut Canvas,
    bars: &[(&'static str, String)],
    left: usize,
    right: usize,
    first: usize,
) -> usize {
    let right = right.max(left + gutter(bars));
    for (index, (class, text)) in bars.iter().enumerate() {
        let y = first + index * (BAR + BAR_GAP);
        let place = canvas.reserve();
        canvas.rectangle_at(place, (left, y), (right - left, BAR), class, text);
        canvas.text(left + PADDING, y + ROW, "", text);
    }
    right
}

/// The left part of bars, which holds their text and no wire.
fn gutter(bars: &[(&'static str, String)]) -> usize {
    let longest = bars.iter().map(|(_, text)| width(text)).max();
    longest.map_or(0, |longest| longest + 2 * PADDING)
}

fn width(text: &str) -> usize {
    text.chars().count().min(LINE) * CHARACTER
}

fn wire_width(label: &str) -> usize {
    width(label) + GAP
}

/// Elements in the order in which they are painted. A place may be kept free for what is known later.
#[derive(Default)]
struct Canvas {
    elements: Vec<String>,
    /// Drawn over everything else.
    wires: Vec<String>,
    width: usize,
    height: usize,
}

impl Canvas {
    fn reserve(&mut self) -> usize {
        self.elements.push(String::new());
        self.elements.len() - 1
    }

    fn rectangle_at(
        &mut self,
        place: usize,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        class: &str,
        title: &str,
    ) {
        self.elements[place] = format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\" class=\"{class}\"><title>{}</title></rect>",
            escaped(title)
        );
        self.extend(x + width + GAP, y + height + GAP);
    }

    fn text(&mut self, x: usize, y: usize, class: &str, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let shown: String = if text.chars().count() > LINE {
            text.chars().take(LINE - 1).chain(['…']).collect()
        } else {
            text.to_owned()
        };
        self.elements.push(format!("<text x=\"{x}\" y=\"{y}\"{class}>{}</text>", escaped(&shown)));
        self.extend(x + width(text) + GAP, y + ROW);
    }

    /// A vertical wire that is plugged in at its second end.
    fn wire(&mut self, x: usize, from: usize, to: usize) {
        self.wires.push(format!("<path d=\"M{x} {from}V{to}\" class=\"wire\"/>"));
        self.wires.push(format!("<circle cx=\"{x}\" cy=\"{to}\" r=\"3.5\" class=\"plug\"/>"));
    }

    /// A dashed line under two boxes that share a namespace.
    fn tie(&mut self, from: usize, to: usize, y: usize) {
        let below = y + BAR_GAP / 2;
        self.wires.push(format!(
            "<path d=\"M{from} {y}V{below}H{to}V{y}\" class=\"wire\" stroke-dasharray=\"4 3\"/>"
        ));
    }

    fn extend(&mut self, x: usize, y: usize) {
        self.width = self.width.max(x);
        self.height = self.height.max(y);
    }

    fn finish(self) -> String {
        let (width, height) = (self.width, self.height);
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">"
        );
        let _ = writeln!(out, "<style>{STYLE}</style>");
        let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>");
        for element in self.elements.iter().filter(|element| !element.is_empty()).chain(&self.wires) {
            out.push_str(element);
            out.push('\n');
        }
        out.push_str("</svg>\n");
        out
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in safe(text) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
