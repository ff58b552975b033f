//! What Docker's client prints, given values: tables, the PORTS column, `docker port`, ages.
//!
//! Nothing here asks a daemon or a clock; ages come in as durations. Column widths follow Go's text/tabwriter with the client's
//! settings: a column is at least ten wide and at least three wider than its longest cell, the last cell of a line is
//! not padded, and a column ends with the first line that lacks it.

use std::{cmp::Ordering, net::IpAddr, time::Duration};

use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    cli::ports::Protocol,
    client::ClientVersion,
    format::{self, FormatError, Template, shape::Shape},
    request::{ExposedPort, View},
};

/// The least width of a column, as docker/cli sets it.
const MINIMUM_WIDTH: usize = 10;
/// The blanks after the longest cell of a column, as docker/cli sets it.
const PADDING: usize = 3;

/// A list the client can print: its columns and the default ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// `docker ps`.
    Containers,
    /// `docker ps -s`.
    ContainersWithSize,
    /// `docker network ls`.
    Networks,
}

impl ListKind {
    /// The fields a template may use, with the headings of their columns.
    fn headings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Containers | Self::ContainersWithSize => &[
                ("ID", "CONTAINER ID"),
                ("Names", "NAMES"),
                ("Image", "IMAGE"),
                ("Command", "COMMAND"),
                ("CreatedAt", "CREATED AT"),
                ("RunningFor", "CREATED"),
                ("Ports", "PORTS"),
                ("State", "STATE"),
                ("Status", "STATUS"),
                ("Size", "SIZE"),
                ("Labels", "LABELS"),
                ("Mounts", "MOUNTS"),
                ("LocalVolumes", "LOCAL VOLUMES"),
                ("Networks", "NETWORKS"),
            ],
            Self::Networks => &[
                ("ID", "NETWORK ID"),
                ("Name", "NAME"),
                ("Driver", "DRIVER"),
                ("Scope", "SCOPE"),
                ("IPv4", "IPV4"),
                ("IPv6", "IPV6"),
                ("Internal", "INTERNAL"),
                ("Labels", "LABELS"),
                ("CreatedAt", "CREATED AT"),
            ],
        }
    }

    /// What a template sees of a row.
    fn row(self) -> &'static Shape {
        match self {
            Self::Containers | Self::ContainersWithSize => &Shape::Row {
                name: "*formatter.ContainerContext",
                fields: &[
                    "Command",
                    "CreatedAt",
                    "ID",
                    "Image",
                    "Labels",
                    "LocalVolumes",
                    "Mounts",
                    "Names",
                    "Networks",
                    "Platform",
                    "Ports",
                    "RunningFor",
                    "Size",
                    "State",
                    "Status",
                ],
            },
            Self::Networks => &Shape::Row {
                name: "*network.networkContext",
                fields: &["CreatedAt", "Driver", "ID", "IPv4", "IPv6", "Internal", "Labels", "Name", "Scope"],
            },
        }
    }

    /// `--format raw`.
    fn raw(self) -> &'static str {
        match self {
            Self::Containers => {
                "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: \
                 {{.State}}\nstatus: {{.Status}}\nnames: {{.Names}}\nlabels: {{.Labels}}\nports: {{.Ports}}\n"
            }
            Self::ContainersWithSize => {
                "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: \
                 {{.State}}\nstatus: {{.Status}}\nnames: {{.Names}}\nlabels: {{.Labels}}\nports: {{.Ports}}\nsize: \
                 {{.Size}}\n"
            }
            Self::Networks => {
                "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n"
            }
        }
    }

    fn default_columns(self) -> &'static str {
        match self {
            Self::Containers => {
                "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
            }
            Self::ContainersWithSize => {
                "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}"
            }
            Self::Networks => "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
        }
    }
}

/// Why a list's template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListError {
    /// `docker ps` reads a template before it asks for the list.
    #[error("failed to parse template: {0}")]
    Parse(FormatError),
    /// It also tries it out, to see whether it needs the sizes.
    #[error("failed to execute template: {0}")]
    Execute(FormatError),
    /// The list itself was to be printed.
    #[error("template parsing error: {0}")]
    Print(FormatError),
}

/// Prints `rows`, objects with the fields of `kind`, in the order given and as `view` asks. Ids and commands come already cut or
/// full, as `view.no_trunc` says.
///
/// # Errors
/// When the template of `--format` is malformed or names an unknown field.
pub fn list(kind: ListKind, view: &View, rows: &[Value]) -> Result<String, ListError> {
    let shape = kind.row();
    let format = view.format.as_deref().unwrap_or("table");
    if format == "json" {
        return Ok(rows.iter().map(|row| format::json_of_row(row, shape) + "\n").collect());
    }
    if kind != ListKind::Networks && view.format.is_some() {
        let tried = Template::parse(format).map_err(ListError::Parse)?;
        let blank = kind.headings().iter().map(|(field, _)| ((*field).to_owned(), Value::from("")));
        tried.execute_as(&Value::Object(blank.collect()), shape).map_err(ListError::Execute)?;
    }
    let raw =
        if view.quiet { kind.raw().split_inclusive("\n").next().unwrap_or_default() } else { kind.raw() };
    // A template of one's own wins over --quiet, as in the client.
    let only_ids = view.quiet && format == "table";
    let (heading, columns) = match format.strip_prefix("table") {
        Some(_) if only_ids => (false, "{{.ID}}"),
        Some(columns) if columns.trim().is_empty() => (true, kind.default_columns()),
        Some(columns) => (true, columns.trim()),
        None if format == "raw" => (false, raw),
        None => (false, format),
    };
    let template =
        Template::parse(&columns.replace("\\t", "\t").replace("\\n", "\n")).map_err(ListError::Print)?;
    let mut text = String::new();
    if heading {
        let names: Map<String, Value> = kind
            .headings()
            .iter()
            .map(|(field, name)| ((*field).to_owned(), Value::String((*name).to_owned())))
            .collect();
        text.push_str(&template.execute_as(&Value::Object(names), shape).map_err(ListError::Print)?);
        text.push('\n');
    }
    for row in rows {
        text.push_str(&template.execute_as(row, shape).map_err(ListError::Print)?);
        text.push('\n');
    }
    Ok(if heading { tabulate(&text) } else { text })
}

/// Aligns the tab-separated cells of `text`.
pub fn tabulate(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> =
        lines.iter().map(|cells| vec![0; cells.len().saturating_sub(1)]).collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut line = 0;
        while line < lines.len() {
            let start = line;
            while line < lines.len() && column < widths[line].len() {
                line += 1;
            }
            let cells = lines[start..line].iter();
            let longest = cells.map(|cells| cells[column].chars().count()).max().unwrap_or(0);
            for widths in &mut widths[start..line] {
                widths[column] = (longest + PADDING).max(MINIMUM_WIDTH);
            }
            if line == start {
                line += 1;
            }
        }
    }
    let mut aligned = String::new();
    for (cells, widths) in lines.iter().zip(&widths) {
        for (index, cell) in cells.iter().enumerate() {
            let width = widths.get(index).copied().unwrap_or(0);
            aligned.push_str(cell);
            let blanks = width.saturating_sub(cell.chars().count());
            aligned.extend(std::iter::repeat_n(' ', blanks));
        }
        aligned.push('\n');
    }
    aligned
}

/// A port of a running container as `docker ps` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortBinding {
    /// The port in the container.
    pub port: ExposedPort,
    /// Where it is published; `None` if it is only exposed.
    pub host: Option<(IpAddr, u16)>,
}

impl PortBinding {
    /// The order of the client: container port, host address as text, host port, protocol as text.
    fn compare(&self, other: &Self) -> Ordering {
        let address =
            |binding: &Self| binding.host.map(|(address, _)| address.to_string()).unwrap_or_default();
        let public = |binding: &Self| binding.host.map_or(0, |(_, port)| port);
        self.port
            .port
            .cmp(&other.port.port)
            .then_with(|| address(self).cmp(&address(other)))
            .then_with(|| public(self).cmp(&public(other)))
            .then_with(|| self.port.protocol.to_string().cmp(&other.port.protocol.to_string()))
    }
}

/// The PORTS column: runs of neighbouring ports published under their own number, and of ports that are only exposed, are joined;
/// ports published under another number come last.
pub fn ports_column(client: ClientVersion, bindings: &[PortBinding]) -> String {
    struct Group {
        address: Option<IpAddr>,
        protocol: Protocol,
        first: u16,
        last: u16,
    }
    let mut bindings = bindings.to_vec();
    bindings.sort_by(PortBinding::compare);
    let mut done: Vec<String> = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut moved: Vec<String> = Vec::new();
    let shown = |group: &Group| {
        let ports = if group.first == group.last {
            group.first.to_string()
        } else {
            format!("{}-{}", group.first, group.last)
        };
        match group.address {
            Some(address) => {
                format!("{}->{ports}/{}", host_port(client, address, &ports), group.protocol)
            }
            None => format!("{ports}/{}", group.protocol),
        }
    };
    for binding in bindings {
        let port = binding.port.port;
        let address = match binding.host {
            Some((address, public)) if public != port => {
                moved.push(format!("{}->{}", host_port(client, address, &public.to_string()), binding.port));
                continue;
            }
            host => host.map(|(address, _)| address),
        };
        let known = groups
            .iter_mut()
            .find(|group| group.address == address && group.protocol == binding.port.protocol);
        match known {
            None => {
                groups.push(Group { address, protocol: binding.port.protocol, first: port, last: port });
            }
            Some(group) if group.last.checked_add(1) == Some(port) => group.last = port,
            Some(group) => {
                done.push(shown(group));
                (group.first, group.last) = (port, port);
            }
        }
    }
    done.extend(groups.iter().map(shown));
    done.extend(moved);
    done.join(", ")
}

/// What `docker port CONTAINER` prints, or with `only` what `docker port CONTAINER PORT` prints; `None` when that port
/// is not published.
pub fn port_lines(
    client: ClientVersion,
    bindings: &[PortBinding],
    only: Option<ExposedPort>,
) -> Option<String> {
    let mut lines: Vec<String> = bindings
        .iter()
        .filter(|binding| only.is_none_or(|port| port == binding.port))
        .filter_map(|binding| {
            let (address, port) = binding.host?;
            // A routed port has none on the host.
            let port = if port == 0 { String::new() } else { port.to_string() };
            let host = host_port(client, address, &port);
            Some(if only.is_some() { host } else { format!("{} -> {host}", binding.port) })
        })
        .collect();
    if only.is_some() && lines.is_empty() {
        return None;
    }
    lines.sort_by(|left, right| natural_order(left, right));
    Some(lines.iter().map(|line| format!("{line}\n")).collect())
}

/// `address:port`. The client of 20.10 puts no brackets around IPv6.
fn host_port(client: ClientVersion, address: IpAddr, port: &str) -> String {
    match (address, client) {
        (IpAddr::V6(address), ClientVersion::V28) => format!("[{address}]:{port}"),
        (address, _) => format!("{address}:{port}"),
    }
}

/// The order of names in lists: runs of digits compare as numbers, everything else byte by byte.
pub fn natural_order(left: &str, right: &str) -> Ordering {
    let (mut left_rest, mut right_rest) = (left.as_bytes(), right.as_bytes());
    loop {
        let (Some(a), Some(b)) = (left_rest.first(), right_rest.first()) else {
            return left_rest.len().cmp(&right_rest.len()).then_with(|| left.cmp(right));
        };
        if a.is_ascii_digit() && b.is_ascii_digit() {
            let (left_number, left_tail) = split_number(left_rest);
            let (right_number, right_tail) = split_number(right_rest);
            let order =
                left_number.len().cmp(&right_number.len()).then_with(|| left_number.cmp(right_number));
            if order != Ordering::Equal {
                return order;
            }
            (left_rest, right_rest) = (left_tail, right_tail);
        } else if a == b {
            (left_rest, right_rest) = (&left_rest[1..], &right_rest[1..]);
        } else {
            return a.cmp(b);
        }
    }
}

/// The leading digits without leading zeros, and what follows.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, tail) = text.split_at(end);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (&digits[zeros..], tail)
}

/// A duration as Docker tells it: `Less than a second`, `8 seconds`, `About a minute`, `3 hours`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // Hours are rounded to the nearest one from here on.
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (0, _, _) => "Less than a second".to_owned(),
        (1, _, _) => "1 second".to_owned(),
        (2..60, _, _) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, ..336) => format!("{} days", hours / 24),
        (_, _, ..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// The COMMAND column: the command line in quotes, cut to twenty characters unless `no_trunc`.
pub fn command_column(command: &str, no_trunc: bool) -> String {
    let shown = if no_trunc || command.chars().count() <= 20 {
        command.to_owned()
    } else {
        command.chars().take(19).chain(['…']).collect()
    };
    format!("\"{}\"", shown.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn binding(port: u16, protocol: Protocol, host: Option<(&str, u16)>) -> PortBinding {
        PortBinding {
            port: ExposedPort { port, protocol },
            host: host.map(|(address, port)| (address.parse().unwrap(), port)),
        }
    }

    fn both(port: u16, protocol: Protocol, public: u16) -> [PortBinding; 2] {
        [binding(port, protocol, Some(("::", public))), binding(port, protocol, Some(("0.0.0.0", public)))]
    }

    #[test]
    fn a_table_of_containers() {
        let rows = [
            json!({"ID": "5133d4c80fde", "Image": "nginx", "Command": command_column("httpd -f -p 80 -h /www", false),
                "RunningFor": "1 second ago", "Status": "Up Less than a second",
                "Ports": "0.0.0.0:32769->80/tcp, [::]:32769->80/tcp", "Names": "musing_shaw"}),
            json!({"ID": "b140aaee79d8", "Image": "nginx", "Command": command_column("httpd -f -p 80 -h /www", false),
                "RunningFor": "1 second ago", "Status": "Up Less than a second",
                "Ports": "0.0.0.0:32768->80/tcp, [::]:32768->80/tcp", "Names": "n0"}),
        ];
        let expected = "\
CONTAINER ID   IMAGE     COMMAND                  CREATED        STATUS                  PORTS                                       NAMES
5133d4c80fde   nginx     \"httpd -f -p 80 -h /…\"   1 second ago   Up Less than a second   0.0.0.0:32769->80/tcp, [::]:32769->80/tcp   musing_shaw
b140aaee79d8   nginx     \"httpd -f -p 80 -h /…\"   1 second ago   Up Less than a second   0.0.0.0:32768->80/tcp, [::]:32768->80/tcp   n0
";
        assert_eq!(list(ListKind::Containers, &View::default(), &rows).unwrap(), expected);
    }

    #[test]
    fn an_empty_column_keeps_its_least_width() {
        let text = "PORTS\tNAMES\n\tcontainer2\n";
        assert_eq!(tabulate(text), "PORTS     NAMES\n          container2\n");
    }

    #[test]
    fn a_column_ends_with_the_first_line_that_lacks_it() {
        assert_eq!(tabulate("a\tb\nlonger than ten\nc\td\n"), "a         b\nlonger than ten\nc         d\n");
    }

    #[test]
    fn formats_of_a_list() {
        let rows = [json!({"ID": "aaa", "Name": "bridge", "Driver": "bridge", "Scope": "local"})];
        let shown = |format: Option<&str>, quiet| {
            let view = View { quiet, no_trunc: false, format: format.map(str::to_owned) };
            list(ListKind::Networks, &view, &rows).unwrap()
        };
        assert_eq!(
            shown(None, false),
            "NETWORK ID   NAME      DRIVER    SCOPE\naaa          bridge    bridge    local\n"
        );
        assert_eq!(shown(None, true), "aaa\n");
        assert_eq!(shown(Some("table {{.Name}}\\t{{.Scope}}"), false), "NAME      SCOPE\nbridge    local\n");
        assert_eq!(shown(Some("{{.Name}} {{.Driver}}"), false), "bridge bridge\n");
        assert_eq!(
            shown(Some("json"), false),
            "{\"CreatedAt\":null,\"Driver\":\"bridge\",\"ID\":\"aaa\",\"IPv4\":null,\"IPv6\":null,\"Internal\":null,\
             \"Labels\":null,\"Name\":\"bridge\",\"Scope\":\"local\"}\n"
        );
    }

    #[test]
    fn ports_of_docker_ps() {
        let mut five = vec![binding(80, Protocol::Tcp, Some(("203.0.113.10", 32768)))];
        for port in 9000..=9002 {
            five.extend(both(port, Protocol::Tcp, port));
        }
        five.extend(both(9100, Protocol::Udp, 9100));
        assert_eq!(
            ports_column(ClientVersion::V28, &five),
            "0.0.0.0:9000-9002->9000-9002/tcp, [::]:9000-9002->9000-9002/tcp, 0.0.0.0:9100->9100/udp, [::]:9100->9100/udp, 203.0.113.10:32768->80/tcp"
        );
        let mut n3 = Vec::from(both(443, Protocol::Tcp, 32771));
        n3.extend(both(80, Protocol::Tcp, 32772));
        n3.extend(both(53, Protocol::Udp, 32768));
        assert_eq!(
            ports_column(ClientVersion::V28, &n3),
            "0.0.0.0:32768->53/udp, [::]:32768->53/udp, 0.0.0.0:32772->80/tcp, [::]:32772->80/tcp, 0.0.0.0:32771->443/tcp, [::]:32771->443/tcp"
        );
        let exposed: Vec<_> = [80, 443, 81].map(|port| binding(port, Protocol::Tcp, None)).into();
        assert_eq!(ports_column(ClientVersion::V28, &exposed), "80-81/tcp, 443/tcp");
        assert_eq!(ports_column(ClientVersion::V28, &[]), "");
        let last = [binding(65535, Protocol::Tcp, None), binding(65535, Protocol::Tcp, None)];
        assert_eq!(ports_column(ClientVersion::V28, &last), "65535/tcp, 65535/tcp");
    }

    #[test]
    fn lines_of_docker_port() {
        let mut bindings = Vec::from(both(443, Protocol::Tcp, 32768));
        bindings.extend(both(80, Protocol::Tcp, 8080));
        bindings.push(binding(53, Protocol::Udp, None));
        assert_eq!(
            port_lines(ClientVersion::V28, &bindings, None).unwrap(),
            "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n443/tcp -> 0.0.0.0:32768\n443/tcp -> [::]:32768\n"
        );
        let https = ExposedPort { port: 443, protocol: Protocol::Tcp };
        assert_eq!(
            port_lines(ClientVersion::V28, &bindings, Some(https)).unwrap(),
            "0.0.0.0:32768\n[::]:32768\n"
        );
        assert_eq!(
            port_lines(
                ClientVersion::V28,
                &bindings,
                Some(ExposedPort { port: 53, protocol: Protocol::Udp })
            ),
            None
        );
        assert_eq!(port_lines(ClientVersion::V28, &[], None).unwrap(), "");
    }

    #[test]
    fn names_sort_by_number() {
        let mut names = ["n10", "n9", "a", "n09", "n", "-dash", "[::]:80", "0.0.0.0:8080"];
        names.sort_by(|left, right| natural_order(left, right));
        assert_eq!(names, ["-dash", "0.0.0.0:8080", "[::]:80", "a", "n", "n09", "n9", "n10"]);
    }

    #[test]
    fn ages() {
        let cases = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (730 * 86400, "2 years"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(human_duration(Duration::from_secs(seconds)), expected);
        }
    }
}
