//! The keys of the Compose specification (commit 170098b, JSON Schema), complete where the schema is closed.

use super::Shape::{
    Any, Boolean, Choice, Either, Integer, List, Map, Null, Number, Object, Scalar, Set, Text,
};
use super::{Key, Shape, Table, key, other};

/// Text, or a list of texts.
pub(crate) const TEXT_OR_LIST: Shape = Either(&[Text, Set(&Text)]);
/// `{name: value}` or `[name=value]`.
pub(crate) const LIST_OR_MAP: Shape = Either(&[Map(&Either(&[Scalar, Null])), Set(&Text)]);
const COMMAND: Shape = Either(&[Null, Text, List(&Text)]);
const TEXT_OR_NUMBER: Shape = Either(&[Text, Number]);
const EXTRA_HOSTS: Shape = Either(&[Map(&Either(&[Text, List(&Text)])), List(&Text)]);

const fn table(name: &'static str, keys: &'static [Key]) -> Table {
    Table { name, keys, required: &[], extensions: true }
}

/// `networks.<name>`.
pub static NETWORK: Table = table(
    "a network",
    &[
        key("name", Text, "The network's real name, used as it is instead of PROJECT_KEY."),
        key("driver", Text, "bridge (default), macvlan, ipvlan, host or none."),
        key("driver_opts", Map(&TEXT_OR_NUMBER), "Options for the driver, as com.docker.network.driver.mtu."),
        key("attachable", Boolean, "Overlay: standalone containers may attach."),
        key("enable_ipv4", Boolean, "false: no IPv4 addresses."),
        key("enable_ipv6", Boolean, "true: IPv6 addresses too."),
        key(
            "external",
            Either(&[Boolean, Object(&EXTERNAL)]),
            "The network exists already; only `name` may stand beside it.",
        ),
        key("internal", Boolean, "true: no connection to the outside."),
        key("ipam", Object(&IPAM), "Address pools."),
        key("labels", LIST_OR_MAP, "Metadata."),
    ],
);

static EXTERNAL: Table = table("`external`", &[key("name", Text, "Deprecated: the real name.")]);

/// `networks.<name>.ipam`.
pub static IPAM: Table = table(
    "`ipam`",
    &[
        key("driver", Text, "Address driver: default or null."),
        key("config", List(&Object(&POOL)), "Pools, IPv4 and IPv6 mixed."),
        key("options", Map(&Text), "Options for the address driver."),
    ],
);

static POOL: Table = table(
    "an address pool",
    &[
        key("subnet", Text, "Addresses of the network, as 172.28.0.0/16."),
        key("ip_range", Text, "Where containers' addresses are taken from."),
        key("gateway", Text, "The gateway's address."),
        key("aux_addresses", Map(&Text), "Addresses kept free, by name."),
    ],
);

static ATTACHMENT: Table = table(
    "a service's network",
    &[
        key("aliases", Set(&Text), "More names on this network."),
        key("interface_name", Text, "The interface's name in the container."),
        key("ipv4_address", Text, "A fixed address; the network needs a subnet that covers it."),
        key("ipv6_address", Text, "A fixed IPv6 address."),
        key("link_local_ips", Set(&Text), "More link-local addresses."),
        key("mac_address", Text, "The interface's MAC address."),
        key("driver_opts", Map(&TEXT_OR_NUMBER), "Endpoint options."),
        key("priority", Number, "Networks are connected in order of priority, highest first."),
        key("gw_priority", Number, "The highest gives the default gateway."),
    ],
);

static PORT: Table = Table {
    name: "a published port",
    keys: &[
        key("name", Text, "A name for people."),
        key("mode", Choice(&["host", "ingress"]), "host or ingress."),
        key("host_ip", Text, "The host address to bind."),
        key("target", Integer, "The container's port."),
        key("published", Either(&[Text, Integer]), "The host's port or range; absent: a free one."),
        key("protocol", Choice(&["tcp", "udp", "sctp"]), "tcp (default), udp or sctp."),
        key("app_protocol", Text, "The application protocol, for people."),
    ],
    required: &["target"],
    extensions: true,
};

static DEPENDENCY: Table = table(
    "a dependency",
    &[
        key(
            "condition",
            Choice(&["service_started", "service_healthy", "service_completed_successfully"]),
            "When the dependency counts as met.",
        ),
        key("restart", Boolean, "Restart with the dependency."),
        key("required", Boolean, "false: a missing dependency is no error."),
    ],
);

static HEALTHCHECK: Table = table(
    "a health check",
    &[
        key("disable", Boolean, "true: no health check."),
        key("test", Either(&[Text, List(&Text)]), "The command."),
        key("interval", Text, "Time between two runs."),
        key("timeout", Text, "When a run counts as failed."),
        key("retries", Number, "Failures in a row that make it unhealthy."),
        key("start_period", Text, "Failures that early do not count."),
        key("start_interval", Text, "Time between two runs during the start period."),
    ],
);

static DEPLOY: Table = table(
    "`deploy`",
    &[
        key(
            "mode",
            Choice(&["global", "replicated", "replicated-job", "global-job"]),
            "replicated (default) or global.",
        ),
        key("endpoint_mode", Choice(&["vip", "dnsrr"]), "vip or dnsrr."),
        key("replicas", Integer, "How many containers."),
        key("labels", LIST_OR_MAP, "Metadata of the service."),
        other("rollback_config"),
        other("update_config"),
        other("resources"),
        other("restart_policy"),
        other("placement"),
    ],
);

static BUILD: Table = table(
    "`build`",
    &[
        key("context", Text, "The folder the Dockerfile is in."),
        key("dockerfile", Text, "Another Dockerfile, relative to the context."),
        key("dockerfile_inline", Text, "The Dockerfile's text."),
        key("target", Text, "The stage to build."),
        key("args", LIST_OR_MAP, "Build arguments."),
        other("entitlements"),
        other("ssh"),
        other("labels"),
        other("cache_from"),
        other("cache_to"),
        other("no_cache"),
        other("no_cache_filter"),
        other("additional_contexts"),
        other("network"),
        other("provenance"),
        other("sbom"),
        other("pull"),
        other("shm_size"),
        other("extra_hosts"),
        other("isolation"),
        other("privileged"),
        other("secrets"),
        other("tags"),
        other("ulimits"),
        other("platforms"),
    ],
);

static EXTENDS: Table = Table {
    name: "`extends`",
    keys: &[key("service", Text, "The service to start from."), key("file", Text, "The file it is in.")],
    required: &["service"],
    extensions: false,
};

static ENV_FILE: Table = Table {
    name: "an env file",
    keys: &[
        key("path", Text, "The file."),
        key("format", Text, "raw: no interpolation."),
        key("required", Boolean, "false: may be absent."),
    ],
    required: &["path"],
    extensions: false,
};

/// `services.<name>`.
pub static SERVICE: Table = table(
    "a service",
    &[
        key("image", Text, "The image to run."),
        key(
            "build",
            Either(&[Text, Object(&BUILD)]),
            "Built from a Dockerfile; its EXPOSE and ENV are read.",
        ),
        key("command", COMMAND, "Instead of the image's command."),
        key("entrypoint", COMMAND, "Instead of the image's entrypoint."),
        key("environment", LIST_OR_MAP, "Environment variables."),
        key(
            "env_file",
            Either(&[Text, List(&Either(&[Text, Object(&ENV_FILE)]))]),
            "Files of environment variables.",
        ),
        key(
            "networks",
            Either(&[Set(&Text), Map(&Either(&[Object(&ATTACHMENT), Null]))]),
            "The networks to join.",
        ),
        key("network_mode", Text, "none, host, bridge, service:NAME or container:NAME; excludes `networks`."),
        key(
            "ports",
            List(&Either(&[Integer, Text, Object(&PORT)])),
            "Published ports: [[IP:][HOST]:]CONTAINER[/PROTO].",
        ),
        key("expose", Set(&Either(&[Text, Number])), "Ports that listen, not published."),
        key("links", Set(&Text), "SERVICE[:ALIAS]."),
        key("external_links", Set(&Text), "CONTAINER[:ALIAS]."),
        key("extra_hosts", EXTRA_HOSTS, "More lines of /etc/hosts: NAME=ADDRESS."),
        key("dns", TEXT_OR_LIST, "DNS servers."),
        key("dns_opt", Set(&Text), "Options of resolv.conf."),
        key("dns_search", TEXT_OR_LIST, "Search domains."),
        key("hostname", Text, "The container's host name."),
        key("domainname", Text, "The container's domain."),
        key("mac_address", Text, "MAC address on the network of highest priority."),
        key("container_name", Text, "The container's name; also a DNS name."),
        key(
            "depends_on",
            Either(&[Set(&Text), Map(&Either(&[Object(&DEPENDENCY), Null]))]),
            "Services that start before this one.",
        ),
        key("deploy", Either(&[Object(&DEPLOY), Null]), "Replicas and endpoint mode."),
        key("scale", Integer, "How many containers."),
        key("profiles", Set(&Text), "Only with one of these profiles."),
        key("healthcheck", Object(&HEALTHCHECK), "The health check."),
        key("restart", Text, "no, always, on-failure[:N] or unless-stopped."),
        key("sysctls", LIST_OR_MAP, "Kernel settings of the container's network."),
        key("labels", LIST_OR_MAP, "Metadata."),
        key("privileged", Boolean, "All capabilities."),
        key("user", Text, "Whom its processes run as: USER[:GROUP]."),
        key("cap_add", Set(&Text), "More capabilities, as NET_ADMIN."),
        key("cap_drop", Set(&Text), "Fewer capabilities, as NET_RAW."),
        key("tty", Boolean, "A terminal."),
        key("stdin_open", Boolean, "Standard input stays open."),
        key("extends", Either(&[Text, Object(&EXTENDS)]), "Start from another service."),
        key("provider", Any, "Run by a provider, outside of Docker: there is no container."),
        other("annotations"),
        other("attach"),
        other("blkio_config"),
        other("cgroup"),
        other("cgroup_parent"),
        other("configs"),
        other("cpu_count"),
        other("cpu_percent"),
        other("cpu_period"),
        other("cpu_quota"),
        other("cpu_rt_period"),
        other("cpu_rt_runtime"),
        other("cpu_shares"),
        other("cpus"),
        other("cpuset"),
        other("credential_spec"),
        other("develop"),
        other("device_cgroup_rules"),
        other("devices"),
        other("gpus"),
        other("group_add"),
        other("init"),
        other("ipc"),
        other("isolation"),
        other("label_file"),
        other("logging"),
        other("mem_limit"),
        other("mem_reservation"),
        other("mem_swappiness"),
        other("memswap_limit"),
        other("models"),
        other("oom_kill_disable"),
        other("oom_score_adj"),
        other("pid"),
        other("pids_limit"),
        other("platform"),
        other("post_start"),
        other("pre_start"),
        other("pre_stop"),
        other("pull_policy"),
        other("pull_refresh_after"),
        other("read_only"),
        other("runtime"),
        other("secrets"),
        other("security_opt"),
        other("shm_size"),
        other("stop_grace_period"),
        other("stop_signal"),
        other("storage_opt"),
        other("tmpfs"),
        other("ulimits"),
        other("use_api_socket"),
        other("userns_mode"),
        other("uts"),
        other("volumes"),
        other("volumes_from"),
        other("working_dir"),
    ],
);

/// One entry of `include:`.
pub static INCLUDE: Table = Table {
    name: "an include",
    keys: &[
        key("path", TEXT_OR_LIST, "The file, or files that are merged."),
        key("env_file", TEXT_OR_LIST, "Variables for interpolation."),
        key("project_directory", Text, "What its relative paths are relative to."),
    ],
    required: &["path"],
    extensions: false,
};

pub(super) const INCLUDES: Shape = List(&Either(&[Text, Object(&INCLUDE)]));
pub(super) const NETWORKS: Shape = Either(&[Map(&Either(&[Object(&NETWORK), Null])), Null]);
pub(super) const SERVICES: Shape = Either(&[Map(&Object(&SERVICE)), Null]);
