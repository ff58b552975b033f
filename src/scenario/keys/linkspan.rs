//! The keys of linkspan's own part, and the top level that holds both parts.
//!
//! In a scenario file these keys stand at top level; in a file that must stay valid for Compose, under `x-linkspan:`.

use super::Shape::{Any, Boolean, Choice, Either, Integer, List, Map, Null, Number, Object, Scalar, Text};
use super::compose::{INCLUDES, LIST_OR_MAP, NETWORKS, SERVICES, TEXT_OR_LIST};
use super::{Key, Shape, Table, key, other, unsupported};

const fn table(name: &'static str, keys: &'static [Key]) -> Table {
    Table { name, keys, required: &[], extensions: true }
}

const STEPS: Shape = List(&Either(&[Text, Any]));
const CHECKS: Shape = List(&Either(&[Text, Map(&Scalar)]));
const HOSTS_SHAPE: Shape = Map(&Object(&HOST));
const IMAGES_SHAPE: Shape = Map(&Either(&[Object(&IMAGE), Null]));
const TASKS: Shape = List(&Object(&TASK));
const PORTS: Shape = List(&Either(&[Integer, Text]));

/// The keys that may also stand under `x-linkspan:`.
pub static LINKSPAN: Table = Table {
    name: "linkspan's part",
    keys: &[HOSTS, WORLD_KEY, DAEMON_KEY, CLIENT_KEY, IMAGES, TEXT_KEY, STEPS_KEY, CHECKS_KEY, TASKS_KEY],
    required: &[],
    extensions: false,
};

const HOSTS: Key = key("hosts", HOSTS_SHAPE, "Docker hosts. Absent: one host on the default stage.");
const WORLD_KEY: Key = key("world", Object(&WORLD), "What is outside the Docker host.");
const DAEMON_KEY: Key = key(
    "daemon",
    Object(&DAEMON),
    "daemon.json (the host's /etc/docker/daemon.json), and the engine's version as `profile`.",
);
const CLIENT_KEY: Key =
    key("client", Object(&CLIENT), "The docker command: its version and its config.json.");
const IMAGES: Key = key("images", IMAGES_SHAPE, "What images run, expose and carry.");
const STEPS_KEY: Key = key("steps", STEPS, "What happens, in order.");
const CHECKS_KEY: Key = key("checks", CHECKS, "What must hold after the steps.");
const TEXT_KEY: Key = key("text", Text, "What a learner reads first (`linkspan run --step`).");
const TASKS_KEY: Key = key("tasks", TASKS, "What a learner is asked to do or find out.");

/// The top level of a file: Compose's keys and linkspan's.
pub static TOP: Table = table(
    "the top level",
    &[
        key("name", Text, "The project's name."),
        other("version"),
        key("include", INCLUDES, "More files."),
        key("services", SERVICES, "Containers."),
        key("networks", NETWORKS, "Networks."),
        other("volumes"),
        other("configs"),
        other("secrets"),
        other("models"),
        HOSTS,
        WORLD_KEY,
        DAEMON_KEY,
        CLIENT_KEY,
        IMAGES,
        TEXT_KEY,
        STEPS_KEY,
        CHECKS_KEY,
        TASKS_KEY,
    ],
);

/// `hosts.<name>`.
pub static HOST: Table = table(
    "a host",
    &[
        key("nics", Map(&Object(&NIC)), "Network cards by name."),
        key(
            "routes",
            List(&Either(&[Text, Object(&ROUTE)])),
            "Routes, as `10.0.0.0/8 via 192.168.50.1 dev lan0`.",
        ),
        key("resolv_conf", Text, "The text of /etc/resolv.conf."),
        key("dns", TEXT_OR_LIST, "DNS servers; short for a resolv.conf of nameserver lines."),
        key("ip_forward", Boolean, "net.ipv4.ip_forward before Docker starts."),
        key("ephemeral_ports", Text, "net.ipv4.ip_local_port_range, as 32768-60999."),
        key("rules", List(&Text), "iptables commands run before Docker starts."),
        key("sctp", Boolean, "Its kernel has SCTP, so that SCTP ports can be published."),
        key("sysctls", LIST_OR_MAP, "Kernel settings."),
    ],
);

static NIC: Table = table(
    "a network card",
    &[
        key("addresses", List(&Text), "Addresses with prefix length."),
        key("address", Text, "One address with prefix length."),
        key("gateway", Text, "The default gateway through this card."),
        key("lan", Text, "The LAN it is plugged into; cards of one LAN see each other."),
        key("mtu", Integer, "Largest IP packet in bytes."),
        key("mac", Text, "MAC address."),
    ],
);

static ROUTE: Table = Table {
    name: "a route",
    keys: &[
        key("to", Text, "Destination network, or default."),
        key("via", Text, "Next hop."),
        key("dev", Text, "Interface."),
    ],
    required: &["to"],
    extensions: false,
};

/// `world`.
pub static WORLD: Table = table(
    "the world",
    &[
        key("machines", Map(&Object(&MACHINE)), "Machines outside the host."),
        key("links", Map(&Object(&LINK)), "What the links are like."),
        key("dns", Object(&DNS), "DNS records the world's name servers answer."),
        key("proxies", Map(&Object(&PROXY)), "HTTP proxies."),
    ],
);

static MACHINE: Table = table(
    "a machine",
    &[
        key("addresses", List(&Text), "Addresses, with prefix length when it is on the LAN."),
        key("address", Text, "One address."),
        key("gateway", Text, "Its default gateway."),
        key("lan", Text, "The LAN it is plugged into. Absent: it is behind the gateway."),
        key("names", TEXT_OR_LIST, "Its DNS names."),
        key("listen", PORTS, "Ports that answer, as 80 or 53/udp."),
        key("serves", Map(&Scalar), "What a port answers: `80: text`."),
        key("dns_server", Boolean, "It answers DNS on port 53 from `world.dns`."),
        key("dns", TEXT_OR_LIST, "DNS servers it asks."),
        key("routes", List(&Either(&[Text, Object(&ROUTE)])), "Its routes."),
    ],
);

static LINK: Table = table(
    "a link",
    &[
        key("between", List(&Text), "The two ends: host[:NIC], lan:NAME or world:NAME."),
        key("delay", Text, "One way, as 20ms."),
        key(
            "jitter",
            Text,
            "The delay varies by up to this much, either way, as 5ms; packets keep their order.",
        ),
        key("rate", Text, "Bits per second, as 10mbit."),
        key("loss", Either(&[Text, Number]), "Lost packets, as 1%."),
        key("duplicate", Either(&[Text, Number]), "Packets that arrive twice, as 1%."),
        key("reorder", Either(&[Text, Number]), "Packets that overtake, as 1%."),
        key("corrupt", Either(&[Text, Number]), "Packets with a flipped bit: only 0% in this release."),
        key("queue", Integer, "Packets that wait when the rate is reached."),
        key("mtu", Integer, "Largest IP packet in bytes."),
        key("down", Boolean, "true: unplugged at the start."),
    ],
);

static DNS: Table = table(
    "`dns`",
    &[
        key("records", Map(&RECORD), "Records by full name."),
        key("zones", Map(&Map(&RECORD)), "Records by zone, then by name within it (`@` is the zone itself)."),
    ],
);

const RECORD: Shape = Either(&[Text, List(&Text), Object(&RECORD_TABLE)]);

static RECORD_TABLE: Table = Table {
    name: "a DNS record",
    keys: &[
        key("a", TEXT_OR_LIST, "IPv4 addresses."),
        key("aaaa", TEXT_OR_LIST, "IPv6 addresses."),
        key("cname", Text, "The name this one stands for."),
        key("txt", TEXT_OR_LIST, "Text."),
        key("ttl", Integer, "Seconds; 300 if it is not said."),
    ],
    required: &[],
    extensions: false,
};

static PROXY: Table = Table {
    name: "a proxy",
    keys: &[
        key("machine", Text, "The machine of `world.machines` it runs on."),
        key("port", Integer, "The port it listens on; 3128 when absent."),
    ],
    required: &["machine"],
    extensions: true,
};

/// `images.<name>`.
pub static IMAGE: Table = table(
    "an image",
    &[
        key("listen", PORTS, "Ports its program listens on, as 80 or 53/udp."),
        key("expose", PORTS, "EXPOSE of the image; the listening ports when absent."),
        key("serves", Map(&Scalar), "What a port answers: `80: text`."),
        key("env", LIST_OR_MAP, "ENV of the image."),
        key("command", Either(&[Text, List(&Text)]), "CMD of the image."),
        key("entrypoint", Either(&[Text, List(&Text)]), "ENTRYPOINT of the image."),
    ],
);

/// `daemon`: daemon.json's keys with `profile`.
pub static DAEMON: Table = table(
    "the daemon's configuration",
    &[
        key(
            "profile",
            Either(&[Choice(&["20.10", "20.1", "20", "28", "29"]), Null]),
            "The engine's version: 20.10, 28 or 29.",
        ),
        key("bridge", Text, "The default bridge; none for no default network."),
        key("bip", Text, "The default bridge's address."),
        key("bip6", Text, "The default bridge's IPv6 address."),
        key("fixed-cidr", Text, "Where the default bridge takes addresses from."),
        key("fixed-cidr-v6", Text, "The default bridge's IPv6 subnet."),
        key("default-gateway", Text, "The default bridge's gateway for containers."),
        key("default-gateway-v6", Text, "The default bridge's IPv6 gateway for containers."),
        key("mtu", Integer, "The default bridge's MTU."),
        key("icc", Boolean, "Containers of the default bridge reach each other."),
        key("ip", Text, "The address ports are published on."),
        key("ip-masq", Boolean, "Masquerade."),
        key("ipv6", Boolean, "IPv6 on the default bridge."),
        key("iptables", Boolean, "Docker writes iptables rules."),
        key("ip6tables", Boolean, "Docker writes ip6tables rules."),
        key("ip-forward", Boolean, "Docker enables forwarding."),
        key("ip-forward-no-drop", Boolean, "Docker leaves FORWARD's policy alone."),
        key("userland-proxy", Boolean, "A proxy process per published port."),
        key("allow-direct-routing", Boolean, "Published ports may be reached by the container's address."),
        key("default-address-pools", List(&Object(&ADDRESS_POOL)), "Pools for new networks."),
        key("default-network-opts", Map(&Map(&Text)), "Driver options for new networks, by driver."),
        key("dns", List(&Text), "DNS servers for containers."),
        key("dns-opts", List(&Text), "Options of resolv.conf for containers."),
        key("dns-search", List(&Text), "Search domains for containers."),
        key("host-gateway-ip", Text, "What host-gateway stands for."),
        key("host-gateway-ips", List(&Text), "What host-gateway stands for, both families."),
        key("firewall-backend", Choice(&["iptables"]), "iptables."),
        key("live-restore", Boolean, "Containers outlive the daemon."),
        key("proxies", Object(&DAEMON_PROXIES), "The daemon's own proxies."),
        unsupported("cluster-store", Text, "overlay networks over a key-value store"),
        unsupported("cluster-advertise", Text, "overlay networks over a key-value store"),
        unsupported("cluster-store-opts", Map(&Text), "overlay networks over a key-value store"),
        other("no-new-privileges"),
        other("userland-proxy-path"),
        other("network-control-plane-mtu"),
        other("swarm-default-advertise-addr"),
        other("labels"),
        other("debug"),
        other("hosts"),
        other("log-driver"),
        other("log-level"),
        other("log-opts"),
        other("data-root"),
        other("exec-opts"),
        other("experimental"),
        other("features"),
        other("storage-driver"),
        other("storage-opts"),
        other("registry-mirrors"),
        other("insecure-registries"),
        other("runtimes"),
        other("default-runtime"),
        other("default-ulimits"),
        other("metrics-addr"),
        other("userns-remap"),
        other("max-concurrent-downloads"),
        other("max-concurrent-uploads"),
        other("shutdown-timeout"),
    ],
);

static ADDRESS_POOL: Table = Table {
    name: "an address pool",
    keys: &[key("base", Text, "The pool."), key("size", Integer, "Prefix length of each network.")],
    required: &["base", "size"],
    extensions: false,
};

static DAEMON_PROXIES: Table = table(
    "`proxies`",
    &[
        key("http-proxy", Text, "For http."),
        key("https-proxy", Text, "For https."),
        key("no-proxy", Text, "Exceptions."),
    ],
);

/// `client`: the docker command's config.json.
pub static CLIENT: Table = table(
    "the client's configuration",
    &[
        key(
            "version",
            Choice(&["20.10", "20.1", "28"]),
            "Whose words and shapes it prints: 20.10 or 28 (default).",
        ),
        key("proxies", Map(&Object(&CLIENT_PROXY)), "By the daemon's URL, or `default`."),
        other("auths"),
        other("credsStore"),
        other("credHelpers"),
        other("HttpHeaders"),
        other("detachKeys"),
        other("psFormat"),
        other("imagesFormat"),
        other("networksFormat"),
        other("currentContext"),
        other("plugins"),
        other("aliases"),
        other("cliPluginsExtraDirs"),
    ],
);

static CLIENT_PROXY: Table = Table {
    name: "a client proxy",
    keys: &[
        key("httpProxy", Text, "HTTP_PROXY and http_proxy."),
        key("httpsProxy", Text, "HTTPS_PROXY and https_proxy."),
        key("noProxy", Text, "NO_PROXY and no_proxy."),
        key("ftpProxy", Text, "FTP_PROXY and ftp_proxy."),
        key("allProxy", Text, "ALL_PROXY and all_proxy."),
    ],
    required: &[],
    extensions: false,
};

/// One step written as a mapping.
pub static STEP: Table = Table {
    name: "a step",
    keys: &[
        key("name", Text, "A title for people."),
        key("text", Text, "What a learner reads before it (`linkspan run --step`)."),
        key("in", Text, "Where it runs: a container, host, host:NAME or world:NAME. Absent: host."),
        key("run", Text, "The command, as typed."),
        key(
            "expect",
            Either(&[Object(&EXPECT), Integer, Text, List(&Text)]),
            "What it must give: an exit code, a text or several texts, or all of these.",
        ),
        key("check", Either(&[Text, Map(&Scalar), CHECKS]), "Checks made at this point."),
        key("event", Text, "An event: `wait 5s`, `link down NAME`, `crash NAME`, `daemon restart`, ..."),
    ],
    required: &[],
    extensions: true,
};

/// `steps[].expect`.
pub static EXPECT: Table = Table {
    name: "`expect`",
    keys: &[
        key("exit", Integer, "The exit code."),
        key("contains", Either(&[Text, List(&Text)]), "Texts the output has."),
        key("lacks", Either(&[Text, List(&Text)]), "Texts the output does not have."),
        key("output", Text, "The whole output, without the last line end."),
    ],
    required: &[],
    extensions: false,
};

/// One item of `tasks:`.
pub static TASK: Table = Table {
    name: "a task",
    keys: &[
        key("id", Text, "One word, for `hint`, `answer` and the grade."),
        key("title", Text, "A title for people."),
        key("text", Text, "What is asked."),
        key("hints", Either(&[Text, List(&Text)]), "Shown one after the other when asked for."),
        key("done", Either(&[Text, Map(&Scalar), CHECKS]), "Checks that hold when the task is done."),
        key(
            "answer",
            Either(&[Scalar, List(&Scalar)]),
            "The answer, or several that count; instead of `done`.",
        ),
        key("solution", Either(&[Text, List(&Text)]), "Lines that do it, as a learner would type them."),
    ],
    required: &["id", "text"],
    extensions: true,
};
