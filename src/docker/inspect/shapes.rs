//! What a template of `docker inspect` and `docker network inspect` sees: the client's structures
//! (moby `api/types/container`, `api/types/network`), with Go's names of their fields.

use crate::docker::format::shape::{Field, Shape, Structure, field, renamed};

const TEXT: &Shape = &Shape::Text;
const NUMBER: &Shape = &Shape::Number;
const BOOL: &Shape = &Shape::Bool;
const TEXTS: &Shape = &Shape::List(TEXT);
const TEXT_MAP: &Shape = &Shape::Map(TEXT);
const EMPTY: &Shape = &Shape::Struct(&Structure { name: "struct {}", fields: &[] });
const PORT_MAP: &Shape = &Shape::Map(&Shape::List(&Shape::Struct(&Structure {
    name: "nat.PortBinding",
    fields: &[renamed("HostIP", "HostIp", TEXT), field("HostPort", TEXT)],
})));

/// A container.
pub(in crate::docker) static CONTAINER: Shape = Shape::Struct(&Structure {
    name: "container.InspectResponse",
    fields: &[
        renamed("ID", "Id", TEXT),
        field("Created", TEXT),
        field("Path", TEXT),
        field("Args", TEXTS),
        field("State", &Shape::Pointer(&STATE)),
        field("Image", TEXT),
        field("ResolvConfPath", TEXT),
        field("HostnamePath", TEXT),
        field("HostsPath", TEXT),
        field("LogPath", TEXT),
        field("Name", TEXT),
        field("RestartCount", NUMBER),
        field("Driver", TEXT),
        field("Platform", TEXT),
        field("MountLabel", TEXT),
        field("ProcessLabel", TEXT),
        field("AppArmorProfile", TEXT),
        field("ExecIDs", TEXTS),
        field("HostConfig", &Shape::Pointer(&HOST_CONFIG)),
        field("SizeRw", &Shape::Pointer(NUMBER)),
        field("SizeRootFs", &Shape::Pointer(NUMBER)),
        field("Mounts", &Shape::List(&Shape::Any)),
        field("Config", &Shape::Pointer(&CONFIG)),
        field("NetworkSettings", &Shape::Pointer(&NETWORK_SETTINGS)),
    ],
});

static STATE: Shape = Shape::Struct(&Structure {
    name: "*container.State",
    fields: &[
        field("Status", TEXT),
        field("Running", BOOL),
        field("Paused", BOOL),
        field("Restarting", BOOL),
        field("OOMKilled", BOOL),
        field("Dead", BOOL),
        field("Pid", NUMBER),
        field("ExitCode", NUMBER),
        field("Error", TEXT),
        field("StartedAt", TEXT),
        field("FinishedAt", TEXT),
        field(
            "Health",
            &Shape::Pointer(&Shape::Struct(&Structure {
                name: "*container.Health",
                fields: &[
                    field("Status", TEXT),
                    field("FailingStreak", NUMBER),
                    field("Log", &Shape::List(&Shape::Any)),
                ],
            })),
        ),
    ],
});

static HOST_CONFIG: Shape = Shape::Struct(&Structure {
    name: "*container.HostConfig",
    fields: &[
        field("Binds", TEXTS),
        field("ContainerIDFile", TEXT),
        field(
            "LogConfig",
            &Shape::Struct(&Structure {
                name: "container.LogConfig",
                fields: &[field("Type", TEXT), field("Config", TEXT_MAP)],
            }),
        ),
        field("NetworkMode", TEXT),
        field("PortBindings", PORT_MAP),
        field(
            "RestartPolicy",
            &Shape::Struct(&Structure {
                name: "container.RestartPolicy",
                fields: &[field("Name", TEXT), field("MaximumRetryCount", NUMBER)],
            }),
        ),
        field("AutoRemove", BOOL),
        field("VolumeDriver", TEXT),
        field("VolumesFrom", TEXTS),
        field("ConsoleSize", &Shape::List(NUMBER)),
        field("Annotations", TEXT_MAP),
        field("CapAdd", TEXTS),
        field("CapDrop", TEXTS),
        field("CgroupnsMode", TEXT),
        renamed("DNS", "Dns", TEXTS),
        renamed("DNSOptions", "DnsOptions", TEXTS),
        renamed("DNSSearch", "DnsSearch", TEXTS),
        field("ExtraHosts", TEXTS),
        field("GroupAdd", TEXTS),
        field("IpcMode", TEXT),
        field("Cgroup", TEXT),
        field("Links", TEXTS),
        field("OomScoreAdj", NUMBER),
        field("PidMode", TEXT),
        field("Privileged", BOOL),
        field("PublishAllPorts", BOOL),
        field("ReadonlyRootfs", BOOL),
        field("SecurityOpt", TEXTS),
        field("StorageOpt", TEXT_MAP),
        field("Tmpfs", TEXT_MAP),
        field("UTSMode", TEXT),
        field("UsernsMode", TEXT),
        field("ShmSize", NUMBER),
        field("Sysctls", TEXT_MAP),
        field("Runtime", TEXT),
        field("Isolation", TEXT),
        field("CPUShares", NUMBER),
        field("Memory", NUMBER),
        renamed("NanoCPUs", "NanoCpus", NUMBER),
        field("CgroupParent", TEXT),
        field("BlkioWeight", NUMBER),
        renamed("CPUPeriod", "CpuPeriod", NUMBER),
        renamed("CPUQuota", "CpuQuota", NUMBER),
        field("CpusetCpus", TEXT),
        field("CpusetMems", TEXT),
        field("Devices", &Shape::List(&Shape::Any)),
        field("MemoryReservation", NUMBER),
        field("MemorySwap", NUMBER),
        field("MemorySwappiness", &Shape::Pointer(NUMBER)),
        field("OomKillDisable", &Shape::Pointer(BOOL)),
        field("PidsLimit", &Shape::Pointer(NUMBER)),
        field("Ulimits", &Shape::List(&Shape::Any)),
        field("Mounts", &Shape::List(&Shape::Any)),
        field("MaskedPaths", TEXTS),
        field("ReadonlyPaths", TEXTS),
        field("Init", &Shape::Pointer(BOOL)),
    ],
});

static CONFIG: Shape = Shape::Struct(&Structure {
    name: "*container.Config",
    fields: &[
        field("Hostname", TEXT),
        field("Domainname", TEXT),
        field("User", TEXT),
        field("AttachStdin", BOOL),
        field("AttachStdout", BOOL),
        field("AttachStderr", BOOL),
        field("ExposedPorts", &Shape::Map(EMPTY)),
        field("Tty", BOOL),
        field("OpenStdin", BOOL),
        field("StdinOnce", BOOL),
        field("Env", TEXTS),
        field("Cmd", TEXTS),
        field(
            "Healthcheck",
            &Shape::Pointer(&Shape::Struct(&Structure {
                name: "*container.HealthConfig",
                fields: &[
                    field("Test", TEXTS),
                    field("Interval", NUMBER),
                    field("Timeout", NUMBER),
                    field("StartPeriod", NUMBER),
                    field("StartInterval", NUMBER),
                    field("Retries", NUMBER),
                ],
            })),
        ),
        field("ArgsEscaped", BOOL),
        field("Image", TEXT),
        field("Volumes", &Shape::Map(EMPTY)),
        field("WorkingDir", TEXT),
        field("Entrypoint", TEXTS),
        field("NetworkDisabled", BOOL),
        field("MacAddress", TEXT),
        field("OnBuild", TEXTS),
        field("Labels", TEXT_MAP),
        field("StopSignal", TEXT),
        field("StopTimeout", &Shape::Pointer(NUMBER)),
        field("Shell", TEXTS),
    ],
});

static NETWORK_SETTINGS: Shape = Shape::Struct(&Structure {
    name: "*container.NetworkSettings",
    fields: &[
        field("Bridge", TEXT),
        field("SandboxID", TEXT),
        field("SandboxKey", TEXT),
        field("Ports", PORT_MAP),
        field("HairpinMode", BOOL),
        field("LinkLocalIPv6Address", TEXT),
        field("LinkLocalIPv6PrefixLen", NUMBER),
        field("SecondaryIPAddresses", &Shape::List(&Shape::Any)),
        field("SecondaryIPv6Addresses", &Shape::List(&Shape::Any)),
        field("EndpointID", TEXT),
        field("Gateway", TEXT),
        field("GlobalIPv6Address", TEXT),
        field("GlobalIPv6PrefixLen", NUMBER),
        field("IPAddress", TEXT),
        field("IPPrefixLen", NUMBER),
        field("IPv6Gateway", TEXT),
        field("MacAddress", TEXT),
        field("Networks", &Shape::Map(&Shape::Pointer(&ENDPOINT))),
    ],
});

static ENDPOINT: Shape = Shape::Struct(&Structure {
    name: "*network.EndpointSettings",
    fields: &[
        field(
            "IPAMConfig",
            &Shape::Pointer(&Shape::Struct(&Structure {
                name: "*network.EndpointIPAMConfig",
                fields: &[
                    field("IPv4Address", TEXT),
                    field("IPv6Address", TEXT),
                    field("LinkLocalIPs", TEXTS),
                ],
            })),
        ),
        field("Links", TEXTS),
        field("Aliases", TEXTS),
        field("MacAddress", TEXT),
        field("DriverOpts", TEXT_MAP),
        field("GwPriority", NUMBER),
        field("NetworkID", TEXT),
        field("EndpointID", TEXT),
        field("Gateway", TEXT),
        field("IPAddress", TEXT),
        field("IPPrefixLen", NUMBER),
        field("IPv6Gateway", TEXT),
        field("GlobalIPv6Address", TEXT),
        field("GlobalIPv6PrefixLen", NUMBER),
        field("DNSNames", TEXTS),
    ],
});

const IPAM_CONFIG: &[Field] = &[
    field("Subnet", TEXT),
    field("IPRange", TEXT),
    field("Gateway", TEXT),
    renamed("AuxAddress", "AuxiliaryAddresses", TEXT_MAP),
];

/// A network.
pub(in crate::docker) static NETWORK: Shape = Shape::Struct(&Structure {
    name: "network.Inspect",
    fields: &[
        field("Name", TEXT),
        renamed("ID", "Id", TEXT),
        field("Created", TEXT),
        field("Scope", TEXT),
        field("Driver", TEXT),
        field("EnableIPv4", BOOL),
        field("EnableIPv6", BOOL),
        field(
            "IPAM",
            &Shape::Struct(&Structure {
                name: "network.IPAM",
                fields: &[
                    field("Driver", TEXT),
                    field("Options", TEXT_MAP),
                    field(
                        "Config",
                        &Shape::List(&Shape::Struct(&Structure {
                            name: "network.IPAMConfig",
                            fields: IPAM_CONFIG,
                        })),
                    ),
                ],
            }),
        ),
        field("Internal", BOOL),
        field("Attachable", BOOL),
        field("Ingress", BOOL),
        field(
            "ConfigFrom",
            &Shape::Struct(&Structure { name: "network.ConfigReference", fields: &[field("Network", TEXT)] }),
        ),
        field("ConfigOnly", BOOL),
        field(
            "Containers",
            &Shape::Map(&Shape::Struct(&Structure {
                name: "network.EndpointResource",
                fields: &[
                    field("Name", TEXT),
                    field("EndpointID", TEXT),
                    field("MacAddress", TEXT),
                    field("IPv4Address", TEXT),
                    field("IPv6Address", TEXT),
                ],
            })),
        ),
        field("Options", TEXT_MAP),
        field("Labels", TEXT_MAP),
        field("Peers", &Shape::List(&Shape::Any)),
        field("Services", &Shape::Map(&Shape::Any)),
    ],
});
