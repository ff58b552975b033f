//! What a builder's closures describe: networks, services, machines, links, the host.

use std::time::Duration;

use super::entries::{Entries, quote};

/// A network: [`Builder::network`](super::Builder::network).
#[derive(Default)]
pub struct NetworkBuilder(Entries);

/// A service: [`Builder::service`](super::Builder::service).
#[derive(Default)]
pub struct ServiceBuilder(Entries);

/// A machine outside: [`Builder::machine`](super::Builder::machine).
#[derive(Default)]
pub struct MachineBuilder(Entries);

/// A link: [`Builder::link`](super::Builder::link).
#[derive(Default)]
pub struct LinkBuilder(Entries);

/// The Docker host: [`Builder::host`](super::Builder::host).
#[derive(Default)]
pub struct HostBuilder(Entries);

impl NetworkBuilder {
    pub(super) fn into_entries(self) -> Entries {
        self.0
    }

    /// No way out, as `internal: true`.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let builder = Lab::builder().network("back", |back| back.internal());
    /// let mut lab = builder.service("db", |db| db.image("postgres").network("back")).build()?;
    /// lab.connect("db", "outside:80").assert_unreachable();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn internal(mut self) -> Self {
        self.0.set("internal", "true".to_owned());
        self
    }

    /// A subnet, as `10.5.0.0/24`; a second one for IPv6.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let builder = Lab::builder().network("back", |back| back.subnet("10.5.0.0/24"));
    /// let mut lab = builder.service("db", |db| db.image("postgres").network("back")).build()?;
    /// lab.ping("host", "10.5.0.2").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn subnet(mut self, subnet: &str) -> Self {
        self.0.section("ipam").push("config", format!("{{subnet: {}}}", quote(subnet)));
        self
    }

    /// IPv6 as well, from the default pools unless a subnet is given.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let builder = Lab::builder().network("six", |six| six.ipv6().subnet("fd00:9::/64"));
    /// let mut lab = builder.service("db", |db| db.image("postgres").network("six")).build()?;
    /// lab.connect("host", "[fd00:9::2]:5432").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn ipv6(mut self) -> Self {
        self.0.set("enable_ipv6", "true".to_owned());
        self
    }

    /// An option of the driver.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mtu = "com.docker.network.driver.mtu";
    /// let builder = Lab::builder().network("vpn", |vpn| vpn.option(mtu, "1400"));
    /// let mut lab = builder.service("db", |db| db.image("postgres").network("vpn")).build()?;
    /// lab.exec("db", "ip link show eth0").assert_contains("mtu 1400");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.0.section("driver_opts").set(name, quote(value));
        self
    }

    /// Any other key of a Compose network, with its value in YAML on one line.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let builder = Lab::builder().network("own", |own| own.key("name", "my-net"));
    /// let mut lab = builder.service("db", |db| db.image("postgres").network("own")).build()?;
    /// lab.docker("network ls").assert_contains("my-net");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn key(mut self, name: &str, yaml: &str) -> Self {
        self.0.set(name, yaml.to_owned());
        self
    }
}

impl ServiceBuilder {
    pub(super) fn into_entries(self) -> Entries {
        self.0
    }

    /// The image, which says what listens: its known ports, or a [`Builder::program`](super::Builder::program).
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().service("cache", |cache| cache.image("redis")).build()?;
    /// lab.connect("host", "172.18.0.2:6379").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        self.0.set("image", quote(image));
        self
    }

    /// The command line, of programs that linkspan has.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().service("app", |app| app.image("busybox").command("httpd -f -p 81")).build()?;
    /// lab.connect("host", "172.18.0.2:81").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn command(mut self, command: &str) -> Self {
        self.0.set("command", quote(command));
        self
    }

    /// Joins a network; without any, the default one.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let builder = Lab::builder().network("a", |a| a).network("b", |b| b);
    /// let lab = builder.service("app", |app| app.image("nginx").network("a").network("b")).build()?;
    /// assert_eq!(lab.addresses("app")?.len(), 2);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn network(mut self, network: &str) -> Self {
        self.0.section("networks").section(network);
        self
    }

    /// Publishes a port, as `8080:80` or `127.0.0.1:53:53/udp`.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().service("web", |web| web.image("nginx").publish("8080:80")).build()?;
    /// lab.connect("outside", "host:8080").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn publish(mut self, port: &str) -> Self {
        self.0.push("ports", quote(port));
        self
    }

    /// Listens on a port within its networks, as `5432` or `53/udp`: what an image that linkspan does not know may lack.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().service("app", |app| app.image("example/app").listen("3000")).build()?;
    /// lab.connect("host", "172.18.0.2:3000").assert_ok();
    /// lab.connect("outside", "host:3000").assert_refused();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn listen(mut self, port: &str) -> Self {
        self.0.push("expose", quote(port));
        self
    }

    /// Sets a variable of its environment.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().service("web", |web| web.image("nginx").environment("PRICE", "$5")).build()?;
    /// lab.exec("web", "printenv PRICE").assert_contains("$5");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.0.section("environment").set(name, quote(value));
        self
    }

    /// The restart policy: `no`, `always`, `on-failure`, `unless-stopped`.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().service("web", |web| web.image("nginx").restart("always")).build()?;
    /// lab.crash("web")?;
    /// lab.until(std::time::Duration::from_secs(5), |lab| lab.ping("host", "172.18.0.2").is_ok())?;
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn restart(mut self, policy: &str) -> Self {
        self.0.set("restart", quote(policy));
        self
    }

    /// So many containers.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().service("web", |web| web.image("nginx").replicas(3)).build()?;
    /// assert_eq!(lab.resolve("web", "web").addresses()?.len(), 3);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn replicas(mut self, number: u32) -> Self {
        self.0.section("deploy").set("replicas", number.to_string());
        self
    }

    /// Any other key of a Compose service, with its value in YAML on one line.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().service("web", |web| web.image("nginx").key("extra_hosts", "['db:10.0.0.9']")).build()?;
    /// lab.resolve("web", "db").assert_is(["10.0.0.9"]);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn key(mut self, name: &str, yaml: &str) -> Self {
        self.0.set(name, yaml.to_owned());
        self
    }
}

impl MachineBuilder {
    pub(super) fn into_entries(self) -> Entries {
        self.0
    }

    /// An address: with a prefix length on the host's LAN, without one somewhere behind the router.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().machine("api", |api| api.address("198.51.100.20")).build()?;
    /// lab.ping("host", "198.51.100.20").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        self.0.push("addresses", quote(address));
        self
    }

    /// A name that the world's DNS servers answer with its addresses.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().machine("api", |api| api.address("198.51.100.20").name("api.test")).build()?;
    /// lab.resolve("host", "api.test").assert_is(["198.51.100.20"]);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.0.push("names", quote(name));
        self
    }

    /// A port that answers, as `443` or `53/udp`.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().machine("api", |api| api.address("198.51.100.20").listen("443")).build()?;
    /// lab.connect("host", "api:443").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn listen(mut self, port: &str) -> Self {
        self.0.push("listen", quote(port));
        self
    }

    /// A web page on a port.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().machine("api", |api| api.address("198.51.100.20").serve(80, "hello")).build()?;
    /// lab.exec("host", "wget -qO- http://198.51.100.20/").assert_contains("hello");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn serve(mut self, port: u16, text: &str) -> Self {
        self.0.section("serves").set(&port.to_string(), quote(text));
        self
    }

    /// Any other key of a machine, with its value in YAML on one line.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().machine("ns", |ns| ns.address("198.51.100.20").key("dns_server", "true")).build()?;
    /// lab.exec("host", "nslookup example.com 198.51.100.20").assert_success();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn key(mut self, name: &str, yaml: &str) -> Self {
        self.0.set(name, yaml.to_owned());
        self
    }
}

impl LinkBuilder {
    pub(super) fn into_entries(self) -> Entries {
        self.0
    }

    /// Its two ends: `host`, `host:NIC`, `lan:NAME`, `world:MACHINE`.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let builder = Lab::builder().machine("api", |api| api.address("198.51.100.20"));
    /// let mut lab = builder.link("line", |line| line.between("host", "world:api")).build()?;
    /// lab.cut("api", "line")?;
    /// lab.ping("host", "api").assert_fails();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn between(mut self, a: &str, b: &str) -> Self {
        self.0.set("between", format!("[{}, {}]", quote(a), quote(b)));
        self
    }

    /// How long a packet is under way, in each direction.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # use std::time::Duration;
    /// let mut lab = Lab::builder().link("eth0", |line| line.delay(Duration::from_millis(40))).build()?;
    /// assert!(lab.ping("host", "outside").assert_ok().took() >= Duration::from_millis(80));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.0.set("delay", format!("{}ns", delay.as_nanos()));
        self
    }

    /// Bits per second, as `10mbit`.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().link("eth0", |line| line.rate("8kbit")).build()?;
    /// assert!(lab.exec("host", "ping -c 1 -s 1000 203.0.113.1").took().as_secs() >= 2);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn rate(mut self, rate: &str) -> Self {
        self.0.set("rate", quote(rate));
        self
    }

    /// The share of packets that are lost, 0 to 1.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().link("eth0", |line| line.loss(1.0)).build()?;
    /// lab.ping("host", "outside").assert_fails();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn loss(mut self, share: f64) -> Self {
        self.0.set("loss", quote(&format!("{}%", share * 100.0)));
        self
    }

    /// Any other key of a link, with its value in YAML on one line.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::builder().link("eth0", |line| line.key("down", "true")).build()?;
    /// lab.ping("host", "outside").assert_fails();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn key(mut self, name: &str, yaml: &str) -> Self {
        self.0.set(name, yaml.to_owned());
        self
    }
}

impl HostBuilder {
    pub(super) fn into_entries(self) -> Entries {
        self.0
    }

    /// A network card with its address and prefix length.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let lab = Lab::builder().host("node", |node| node.nic("eth0", "203.0.113.77/24")).build()?;
    /// assert_eq!(lab.addresses("host")?[0].to_string(), "203.0.113.77");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn nic(mut self, name: &str, address: &str) -> Self {
        self.0.section("nics").section(name).set("address", quote(address));
        self
    }

    /// The default gateway through a card.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let builder = Lab::builder();
    /// let mut lab = builder
    ///     .host("node", |node| node.nic("eth0", "203.0.113.77/24").gateway("eth0", "203.0.113.1"))
    ///     .build()?;
    /// lab.ping("host", "198.51.100.7").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn gateway(mut self, nic: &str, address: &str) -> Self {
        self.0.section("nics").section(nic).set("gateway", quote(address));
        self
    }

    /// An `iptables` command that ran before Docker started.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let builder = Lab::builder();
    /// let mut lab = builder
    ///     .host("node", |node| node.nic("eth0", "203.0.113.77/24").rule("-A INPUT -p icmp -j DROP"))
    ///     .build()?;
    /// lab.ping("outside", "host").assert_timeout();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn rule(mut self, rule: &str) -> Self {
        self.0.push("rules", quote(rule));
        self
    }

    /// Any other key of a host, with its value in YAML on one line.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let builder = Lab::builder();
    /// let lab = builder.host("node", |node| node.key("nics", "{wan: {address: 203.0.113.9/24}}")).build()?;
    /// assert_eq!(lab.addresses("host")?[0].to_string(), "203.0.113.9");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn key(mut self, name: &str, yaml: &str) -> Self {
        self.0.set(name, yaml.to_owned());
        self
    }
}
