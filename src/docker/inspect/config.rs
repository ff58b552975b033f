//! Of a container's JSON: what it was made from (`Config`) and what its host gives it (`HostConfig`). Where nothing was asked
//! for, and where it is not about networks, stand dockerd's defaults.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::object;
use crate::docker::container::Container;
use crate::docker::health::Healthcheck;
use crate::docker::profile::Profile;
use crate::docker::request::RestartPolicy;

/// What a container does not see of the kernel (moby `oci.DefaultSpec`).
const MASKED_PATHS: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// What it cannot write.
const READ_ONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What a container was given by its host.
pub(super) fn host_config(profile: Profile, container: &Container) -> Value {
    let config = &container.made_from.config;
    let restart = config.restart;
    let mut bindings: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for port in &config.ports {
        let host = port.host_port.map(|range| {
            if range.first == range.last {
                range.first.to_string()
            } else {
                format!("{}-{}", range.first, range.last)
            }
        });
        bindings.entry(port.exposed().to_string()).or_default().push(json!({
            "HostIp": port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            "HostPort": host.unwrap_or_default(),
        }));
    }
    let texts = |list: Vec<String>| if list.is_empty() { Value::Null } else { json!(list) };
    let links = config
        .links
        .iter()
        .map(|link| format!("/{}:/{}/{}", link.container, container.name, link.alias))
        .collect();
    let none = || Value::Null;
    let empty = || match profile {
        Profile::Docker20_10 => Value::Null,
        Profile::Docker28 | Profile::Docker29 => json!([]),
    };
    let console = ("ConsoleSize", json!([0, 0]));
    let mut fields = vec![
        ("Binds", none()),
        ("ContainerIDFile", json!("")),
        ("LogConfig", json!({"Type": "json-file", "Config": {}})),
        ("NetworkMode", json!(config.network_mode.to_string())),
        ("PortBindings", json!(bindings)),
        (
            "RestartPolicy",
            json!({"Name": restart.name(), "MaximumRetryCount": match restart {
                RestartPolicy::OnFailure { maximum_retries } => maximum_retries,
                RestartPolicy::No | RestartPolicy::Always | RestartPolicy::UnlessStopped => 0,
            }}),
        ),
        ("AutoRemove", json!(config.auto_remove)),
        ("VolumeDriver", json!("")),
        ("VolumesFrom", none()),
    ];
    if profile != Profile::Docker20_10 {
        fields.push(console.clone());
    }
    fields.extend([
        ("CapAdd", texts(config.cap_add.clone())),
        ("CapDrop", texts(config.cap_drop.clone())),
        ("CgroupnsMode", json!("private")),
        // The client sends these lists even when they are empty.
        ("Dns", json!(config.dns.iter().map(ToString::to_string).collect::<Vec<_>>())),
        ("DnsOptions", json!(config.dns_options)),
        ("DnsSearch", json!(config.dns_search)),
        ("ExtraHosts", texts(config.extra_hosts.iter().map(ToString::to_string).collect())),
        ("GroupAdd", none()),
        ("IpcMode", json!("private")),
        ("Cgroup", json!("")),
        ("Links", texts(links)),
        ("OomScoreAdj", json!(0)),
        ("PidMode", json!("")),
        ("Privileged", json!(config.privileged)),
        ("PublishAllPorts", json!(config.publish_all)),
        ("ReadonlyRootfs", json!(false)),
        ("SecurityOpt", none()),
    ]);
    if !config.sysctls.is_empty() {
        fields.push(("Sysctls", json!(config.sysctls)));
    }
    fields.extend([
        ("UTSMode", json!("")),
        ("UsernsMode", json!("")),
        ("ShmSize", json!(64 << 20)),
        ("Runtime", json!("runc")),
    ]);
    if profile == Profile::Docker20_10 {
        fields.push(console);
    }
    fields.push(("Isolation", json!("")));
    fields.extend(["CpuShares", "Memory", "NanoCpus"].map(|name| (name, json!(0))));
    fields.extend([("CgroupParent", json!("")), ("BlkioWeight", json!(0)), ("BlkioWeightDevice", empty())]);
    fields.extend(
        ["BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"]
            .map(|name| (name, empty())),
    );
    fields.extend(
        ["CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime"].map(|name| (name, json!(0))),
    );
    fields.extend([("CpusetCpus", json!("")), ("CpusetMems", json!("")), ("Devices", empty())]);
    fields.extend([("DeviceCgroupRules", none()), ("DeviceRequests", none())]);
    if profile == Profile::Docker20_10 {
        fields.extend(["KernelMemory", "KernelMemoryTCP"].map(|name| (name, json!(0))));
    }
    fields.extend(["MemoryReservation", "MemorySwap"].map(|name| (name, json!(0))));
    fields.extend([
        ("MemorySwappiness", none()),
        ("OomKillDisable", json!(false)),
        ("PidsLimit", none()),
        ("Ulimits", empty()),
    ]);
    fields.extend(
        ["CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth"].map(|name| (name, json!(0))),
    );
    if !config.privileged {
        let newer = ["/proc/interrupts", "/sys/devices/virtual/powercap"];
        let masked =
            MASKED_PATHS.iter().filter(|path| profile != Profile::Docker20_10 || !newer.contains(path));
        fields.push(("MaskedPaths", json!(masked.collect::<Vec<_>>())));
        fields.push(("ReadonlyPaths", json!(READ_ONLY_PATHS)));
    } else {
        fields.extend([("MaskedPaths", none()), ("ReadonlyPaths", none())]);
    }
    object(fields)
}

/// What a container was made from.
pub(super) fn config(container: &Container) -> Value {
    let config = &container.made_from.config;
    let attached = !config.detach;
    let mut fields = vec![
        ("Hostname", json!(container.hostname)),
        ("Domainname", json!(config.domainname.as_deref().unwrap_or_default())),
        ("User", json!(config.user.as_deref().unwrap_or_default())),
        ("AttachStdin", json!(attached && config.interactive)),
        ("AttachStdout", json!(attached)),
        ("AttachStderr", json!(attached)),
    ];
    if !container.made_from.exposed.is_empty() {
        let ports: BTreeMap<String, Value> =
            container.made_from.exposed.iter().map(|port| (port.to_string(), json!({}))).collect();
        fields.push(("ExposedPorts", json!(ports)));
    }
    fields.extend([
        ("Tty", json!(config.tty)),
        ("OpenStdin", json!(config.interactive)),
        ("StdinOnce", json!(attached && config.interactive)),
        ("Env", json!(container.made_from.env)),
        ("Cmd", json!(container.shown_argv())),
    ]);
    fields.extend(config.healthcheck.as_deref().map(|check| ("Healthcheck", healthcheck(check))));
    fields.extend([
        ("Image", json!(config.image)),
        ("Volumes", Value::Null),
        ("WorkingDir", json!("")),
        ("Entrypoint", config.entrypoint.as_ref().map_or(Value::Null, |text| json!([text]))),
        ("OnBuild", Value::Null),
        ("Labels", config.labels.json()),
    ]);
    if let Some(mac) = &config.mac {
        fields.push(("MacAddress", json!(mac)));
    }
    object(fields)
}

/// A health check; what is as by default counts as not asked for.
fn healthcheck(check: &Healthcheck) -> Value {
    let default = Healthcheck::default();
    let test = match check.test.as_slice() {
        [shell, option, line] if shell == "/bin/sh" && option == "-c" => vec!["CMD-SHELL", line.as_str()],
        words => std::iter::once("CMD").chain(words.iter().map(String::as_str)).collect(),
    };
    let mut fields = Map::from_iter([("Test".to_owned(), json!(test))]);
    for (name, own, default) in [
        ("Interval", check.interval, default.interval),
        ("Timeout", check.timeout, default.timeout),
        ("StartPeriod", check.start_period, default.start_period),
        ("StartInterval", check.start_interval, default.start_interval),
    ] {
        if own != default {
            fields.insert(name.to_owned(), json!(u64::try_from(own.as_nanos()).unwrap_or(u64::MAX)));
        }
    }
    if check.retries != default.retries {
        fields.insert("Retries".to_owned(), json!(check.retries));
    }
    Value::Object(fields)
}
