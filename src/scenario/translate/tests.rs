//! The translation from outside: Compose text in, requests out.

use std::path::Path;

use super::*;
use crate::docker::daemon::DaemonConfig;
use crate::docker::images::Image;
use crate::docker::profile;
use crate::scenario::diagnostic::Severity;
use crate::scenario::{LoadOptions, MemorySource, load};

fn scenario(text: &str) -> Scenario {
    let source = MemorySource::default().with_file("app/compose.yaml", text);
    load(&source, Path::new("app/compose.yaml"), &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn runs(argv: &[String]) -> bool {
    crate::world::World::new(0).can_run()(argv)
}

fn creates(scenario: &Scenario) -> Vec<ContainerCreate> {
    container_requests(scenario, &runs)
        .into_iter()
        .filter_map(|request| match request.request {
            Request::ContainerCreate(create) => Some(*create),
            _ => None,
        })
        .collect()
}

fn only(text: &str) -> ContainerCreate {
    let all = creates(&scenario(text));
    assert_eq!(all.len(), 1);
    all.into_iter().next().unwrap()
}

/// Requests in short: `create web`, `connect web back`, `start web`.
fn outline(scenario: &Scenario) -> Vec<String> {
    container_requests(scenario, &runs)
        .iter()
        .map(|one| {
            assert!(scenario.service(&one.service).is_some());
            match &one.request {
                Request::ContainerCreate(create) => {
                    assert_eq!(create.name.as_ref(), Some(&one.container));
                    format!("create {} {}", one.container, create.endpoints[0].network)
                }
                Request::NetworkConnect(connect) => {
                    format!("connect {} {}", connect.container, connect.endpoint.network)
                }
                Request::ContainerStart(start) => format!("start {}", start.containers.join(" ")),
                other => panic!("{other:?}"),
            }
        })
        .collect()
}

#[test]
fn used_networks_are_created_with_composes_names_and_labels() {
    let scenario = scenario(
        "services:\n  web: {image: nginx, networks: [front, old]}\nnetworks:\n  front:\n    driver_opts: {com.docker.network.bridge.name: br7}\n    internal: true\n    enable_ipv6: true\n    labels: {mine: x}\n    ipam: {config: [{subnet: 10.7.0.0/16, ip_range: 10.7.5.0/24, gateway: 10.7.0.9, aux_addresses: {nas: 10.7.0.5}}]}\n  unused: {}\n  old: {external: true, name: legacy}\n",
    );
    let requests = network_requests(&scenario);
    // What others made before comes first, as plain as can be.
    let [(_, Request::NetworkCreate(before)), (span, Request::NetworkCreate(create))] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!(
        (before.name.as_str(), before.labels.is_empty(), before.ipam.pools.len()),
        ("legacy", true, 0)
    );
    assert_eq!(scenario.sources.position(*span).unwrap().to_string(), "app/compose.yaml:4:3");
    assert_eq!((create.name.as_str(), create.driver.as_str()), ("app_front", "bridge"));
    assert!(create.internal && create.ipv6 == Some(true));
    assert_eq!(create.ipv4, None);
    assert_eq!(create.options["com.docker.network.bridge.name"], "br7");
    assert_eq!(create.labels.get("com.docker.compose.network"), Some("front"));
    assert_eq!(create.labels.get("com.docker.compose.project"), Some("app"));
    assert_eq!(create.labels.get("mine"), Some("x"));
    let [pool] = &create.ipam.pools[..] else { panic!() };
    assert_eq!(pool.subnet, "10.7.0.0/16");
    assert_eq!(pool.ip_range.as_deref(), Some("10.7.5.0/24"));
    assert_eq!(pool.gateway.as_deref(), Some("10.7.0.9"));
    assert_eq!(pool.aux["nas"], "10.7.0.5");
}

#[test]
fn containers_exist_before_any_starts_and_dependencies_start_first() {
    let scenario = scenario(
        "services:\n  web: {image: nginx, depends_on: [db], networks: {back: , front: {priority: 5}}}\n  db: {image: postgres, networks: [back], deploy: {replicas: 2}}\nnetworks: {front: , back: }\n",
    );
    assert_eq!(
        outline(&scenario),
        [
            "create app-db-1 app_back",
            "create app-db-2 app_back",
            "create app-web-1 app_front",
            "connect app-web-1 app_back",
            "start app-db-1",
            "start app-db-2",
            "start app-web-1",
        ]
    );
}

#[test]
fn endpoints_carry_composes_aliases_and_what_was_asked_for() {
    let create = only(
        "services:\n  web:\n    image: nginx\n    container_name: shop\n    mac_address: 02:42:ac:11:00:09\n    networks:\n      front: {aliases: [www, web], ipv4_address: 10.7.0.8, interface_name: lan0, gw_priority: 4}\nnetworks:\n  front: {ipam: {config: [{subnet: 10.7.0.0/16}]}}\n",
    );
    assert_eq!(create.network_mode, request::NetworkMode::Network("app_front".to_owned()));
    let endpoint = &create.endpoints[0];
    assert_eq!(endpoint.aliases, ["shop", "web", "www"]);
    assert_eq!(endpoint.ipv4.as_deref(), Some("10.7.0.8"));
    assert_eq!(endpoint.mac.as_deref(), Some("02:42:ac:11:00:09"));
    assert_eq!(create.mac, endpoint.mac);
    assert_eq!(endpoint.driver_opts[INTERFACE_NAME], "lan0");
    assert_eq!(endpoint.gw_priority, 4);
    assert_eq!(create.labels.get("com.docker.compose.service"), Some("web"));
    assert_eq!(create.labels.get("com.docker.compose.container-number"), Some("1"));
}

#[test]
fn other_network_modes() {
    let text = "services:\n  a: {image: nginx, network_mode: host}\n  b: {image: nginx, network_mode: none}\n  c: {image: nginx, network_mode: bridge, links: [f]}\n  d: {image: nginx, network_mode: 'service:f'}\n  e: {image: nginx, network_mode: 'container:x'}\n  f: {image: nginx}\n";
    let mut modes: Vec<String> = creates(&scenario(text))
        .iter()
        .map(|create| {
            assert_eq!(create.endpoints.len(), 1);
            assert_eq!(create.links.is_empty(), !matches!(create.network_mode, request::NetworkMode::Bridge));
            assert!(create.endpoints[0].aliases.is_empty() || create.network_mode.is_user_defined());
            format!("{} {}", create.name.as_deref().unwrap(), create.network_mode)
        })
        .collect();
    modes.sort();
    assert_eq!(
        modes,
        [
            "app-a-1 host",
            "app-b-1 none",
            "app-c-1 bridge",
            "app-d-1 container:app-f-1",
            "app-e-1 container:x",
            "app-f-1 app_default",
        ]
    );
}

#[test]
fn settings_of_a_service_reach_the_container() {
    let create = only(
        "services:\n  web:\n    image: nginx\n    hostname: h\n    domainname: d\n    environment: {A: 1}\n    ports: ['8080-8081:80', '127.0.0.1:53:53/udp', '443']\n    expose: ['9000']\n    dns: [9.9.9.9]\n    dns_search: [example.com]\n    dns_opt: [ndots:3]\n    extra_hosts: ['up=10.0.0.1', 'gw:host-gateway']\n    restart: on-failure:3\n    sysctls: {net.ipv4.ip_forward: 1}\n    cap_add: [NET_ADMIN]\n    privileged: true\n    tty: true\n",
    );
    let ports: Vec<String> = create.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["8080-8081:80/tcp", "127.0.0.1:53:53/udp", "443/tcp"]);
    assert_eq!(create.expose[0].to_string(), "9000/tcp");
    assert_eq!((create.hostname.as_deref(), create.domainname.as_deref()), (Some("h"), Some("d")));
    assert_eq!(create.env, ["A=1"]);
    assert_eq!(create.dns_search, ["example.com"]);
    assert_eq!(create.dns_options, ["ndots:3"]);
    let hosts: Vec<String> = create.extra_hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["up:10.0.0.1", "gw:host-gateway"]);
    assert_eq!(create.restart, RestartPolicy::OnFailure { maximum_retries: 3 });
    assert_eq!(create.sysctls["net.ipv4.ip_forward"], "1");
    assert!(create.privileged && create.tty && create.cap_add == ["NET_ADMIN"]);
}

#[test]
fn links_name_every_container_of_the_service() {
    let scenario = scenario(
        "services:\n  web: {image: nginx, links: ['db:store'], external_links: ['old:other']}\n  db: {image: postgres}\n",
    );
    let web = creates(&scenario).into_iter().find(|c| c.name.as_deref() == Some("app-web-1")).unwrap();
    let links: Vec<String> =
        web.endpoints[0].links.iter().map(|link| format!("{}:{}", link.container, link.alias)).collect();
    assert_eq!(links, ["app-db-1:store", "app-db-1:db-1", "app-db-1:app-db-1", "old:other"]);
}

#[test]
fn commands_of_programs_that_are_here_are_kept() {
    let given = |keys: &str| {
        let create = only(&format!("services:\n  a:\n    image: x\n{keys}"));
        (create.entrypoint, create.command)
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(given("    command: sleep infinity\n"), (None, words("sleep infinity")));
    assert_eq!(given("    command: flask run\n"), (None, Vec::new()));
    assert_eq!(
        given("    entrypoint: [ping, -c, '2']\n    command: web\n"),
        (Some("ping".to_owned()), words("-c 2 web"))
    );
    assert_eq!(given("    entrypoint: /start.sh\n    command: sleep 5\n"), (None, Vec::new()));
    assert_eq!(given("    entrypoint: []\n    command: sleep 5\n"), (Some(String::new()), words("sleep 5")));
    let script = vec!["sh".to_owned(), "-c".to_owned(), "A=1 echo x && sleep 5".to_owned()];
    assert_eq!(given("    command: sh -c 'A=1 echo x && sleep 5'\n"), (None, script));
    assert_eq!(given("    command: sh -c 'sleep 1; npm start'\n"), (None, Vec::new()));
    assert_eq!(given("    command: sh start.sh\n"), (None, Vec::new()));
    assert_eq!(given("    command: \"sh -c 'open\"\n"), (None, Vec::new()));
}

#[test]
fn services_of_one_image_do_not_disturb_each_other() {
    let scenario = scenario(
        "services:\n  a: {image: nginx, ports: ['81:8081']}\n  b: {image: nginx, command: nginx-debug}\n  c: {image: alpine}\n  d: {image: alpine, command: crond -f}\n  e: {image: 'mine:1'}\nsteps:\n  - docker run -d --name rr redis:7\nimages:\n  mine:1: {listen: [7000/udp], env: {K: v}, command: httpd -f}\n",
    );
    let catalogue = image_catalogue(&scenario, &runs);
    let of = |name: &str| {
        let image = catalogue.get(&catalogue_key(scenario.service(name).unwrap())).unwrap();
        shown(image)
    };
    assert_eq!(of("a"), "expose 80/tcp listens 8081/tcp 80/tcp runs listen 8081/tcp 80/tcp");
    assert_eq!(of("b"), "expose 80/tcp listens 80/tcp runs listen 80/tcp");
    assert_eq!(of("c"), "expose listens runs /bin/sh");
    assert_eq!(of("d"), "expose listens runs sleep infinity");
    assert_eq!(of("e"), "expose 7000/udp listens 7000/udp runs httpd -f");
    assert_eq!(shown(catalogue.get("mine:1").unwrap()), of("e"));
    assert_eq!(catalogue.get("mine:1").unwrap().env, ["K=v"]);
    assert_eq!(
        shown(catalogue.get("redis:7").unwrap()),
        "expose 6379/tcp listens 6379/tcp runs listen 6379/tcp"
    );
    let keys: Vec<_> = creates(&scenario).into_iter().map(|c| (c.image, c.catalogue_key)).collect();
    assert_eq!(keys[0], ("nginx".to_owned(), Some("service a".to_owned())));
}

fn shown(image: &Image) -> String {
    let words = ["expose".to_owned()].into_iter().chain(image.expose.iter().map(ToString::to_string));
    let words = words.chain(["listens".to_owned()]).chain(image.listens.iter().map(ToString::to_string));
    let words = words.chain(["runs".to_owned()]).chain(image.entrypoint.iter().cloned());
    words.chain(image.command.iter().cloned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn daemon_settings_override_dockers_defaults() {
    let plain = daemon_config(&scenario("services: {a: {image: x}}\n"), &runs);
    let images = plain.images.clone();
    assert_eq!(plain, DaemonConfig { images, ..DaemonConfig::default() });
    let set = daemon_config(
        &scenario(
            "services: {a: {image: x}}\ndaemon:\n  profile: 20.10\n  bip: 10.9.0.1/24\n  icc: false\n  mtu: 1400\n  userland-proxy: false\n  default-address-pools: [{base: 10.50.0.0/16, size: 24}]\n",
        ),
        &runs,
    );
    assert_eq!(set.profile, profile::Profile::Docker20_10);
    assert_eq!(set.bip, "10.9.0.1/24".parse().ok());
    assert_eq!((set.icc, set.mtu, set.userland_proxy), (false, 1400, false));
    assert_eq!(set.default_address_pools, [("10.50.0.0/16".parse().unwrap(), 24)]);
}

#[test]
fn what_is_stood_in_for_is_warned_of_and_the_rest_runs() {
    let scenario = scenario(
        "services:\n  a:\n    image: x\n    command: sh -c 'exit 3'\n    healthcheck: {test: 'wget -qO- http://localhost:9999/ >/dev/null 2>&1 || exit 1'}\n  b:\n    image: x\n    expose: [80]\n    command: npm start\n    healthcheck: {test: [CMD, frob, localhost]}\n  c:\n    image: x\n    command: httpd --foreground\n",
    );
    let all = creates(&scenario);
    assert_eq!(all[0].command, ["sh", "-c", "exit 3"]);
    let check = |at: usize| all[at].healthcheck.as_ref().map(|check| check.test.join(" ")).unwrap();
    assert!(check(0).ends_with("wget -qO- http://localhost:9999/ >/dev/null 2>&1 || exit 1"), "{}", check(0));
    assert_eq!((check(1).as_str(), all[1].command.len(), all[2].command.len()), ("true", 0, 0));
    let notes: Vec<String> = stand_ins(&scenario, &runs)
        .into_iter()
        .map(|note| {
            assert_eq!(note.severity, Severity::Warning);
            format!("{}; {}", note.message, note.help.unwrap_or_default())
        })
        .collect();
    let lacks = "linkspan has not all the programs or options of";
    let expected = [
        format!(
            "the command of `b` is not run: {lacks} `npm start`; nor are others; each is played by a program that \
             listens on the ports of the service and its image, or only waits; the others: `c` (`httpd --foreground`)"
        ),
        format!(
            "the health check of `b` is not made: {lacks} `frob localhost`; `b` counts as healthy; a check of `wget`, \
             `curl`, `nc` or `pg_isready` would be made"
        ),
    ];
    assert_eq!(notes, expected);
}
