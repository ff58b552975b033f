//! A lab from code: networks, services and machines, alone or on top of a Compose file.
//!
//! The builder writes a scenario file, which is merged over the given file or text as `docker compose -f a -f b` would
//! do, so that there is one reader and one set of rules. What is refused is shown with the line the builder wrote.
//! Texts are taken literally: a dollar sign begins no variable.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::error::LabError;
use super::session::Lab;
use crate::scenario::model::Profile;
use crate::scenario::{DiskSource, LoadOptions, MemorySource, Source, load};
use crate::world::{ExitCode, OwnProgram, Sys, World, own_program};
use entries::{Entries, quote};

mod entries;
mod parts;

pub use parts::{HostBuilder, LinkBuilder, MachineBuilder, NetworkBuilder, ServiceBuilder};

/// Where a lab without a file lives, so that its project is called `lab`.
const FOLDER: &str = "/lab";
/// What the builder writes.
const WRITTEN: &str = "builder.yaml";

/// Describes a lab: [`Lab::builder`].
#[must_use = "nothing is built before `.build()`"]
#[derive(Default)]
pub struct Builder {
    base: Base,
    seed: u64,
    options: LoadOptions,
    variables: BTreeMap<String, String>,
    programs: Vec<(String, OwnProgram)>,
    written: Entries,
}

#[derive(Default)]
enum Base {
    #[default]
    Nothing,
    File(PathBuf),
    Text(String),
}

impl Builder {
    /// Begins with a scenario or Compose file; what else is said here is merged over it.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::builder()
    ///     .file("scenarios/quickstart.yaml")
    ///     .service("prober", |prober| prober.image("busybox").command("sleep infinity"))
    ///     .build()?;
    /// lab.connect("prober", "web:80").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.base = Base::File(path.as_ref().to_path_buf());
        self
    }

    /// Begins with the text of a scenario or Compose file. It sees no environment but [`Builder::variable`].
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::builder()
    ///     .text("services: {web: {image: 'nginx', ports: ['${PORT}:80']}}")
    ///     .variable("PORT", "8080")
    ///     .build()?;
    /// lab.connect("outside", "host:8080").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.base = Base::Text(text.into());
        self
    }

    /// Merges another Compose file over the first, as `docker compose -f` does.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("linkspan-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// # std::fs::write(folder.join("a.yaml"), "services: {web: {image: nginx}}").unwrap();
    /// # std::fs::write(folder.join("b.yaml"), "services: {web: {ports: ['80:80']}}").unwrap();
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::builder().file(folder.join("a.yaml")).override_file(folder.join("b.yaml")).build()?;
    /// lab.connect("outside", "host:80").assert_ok();
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn override_file(mut self, path: impl AsRef<Path>) -> Self {
        self.options.overrides.push(path.as_ref().to_path_buf());
        self
    }

    /// Sets a variable of the environment that files are interpolated with; it wins over the process's own.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let text = "services: {web: {image: 'nginx:${TAG:?no tag}'}}";
    /// assert!(Lab::builder().text(text).build().is_err());
    /// assert!(Lab::builder().text(text).variable("TAG", "1.27").build().is_ok());
    /// ```
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Starts the services of this Compose profile, too, as `docker compose --profile` does.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let text = "services: {web: {image: nginx}, trace: {image: busybox, command: sleep 1h, profiles: [debug]}}";
    /// let mut lab = Lab::builder().text(text).compose_profile("debug").build()?;
    /// lab.ping("trace", "web").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn compose_profile(mut self, name: impl Into<String>) -> Self {
        self.options.profiles.push(name.into());
        self
    }

    /// Draws random MAC addresses, ids, ports and losses from another seed, and permutes what happens at equal times.
    /// Without it the seed is 0, which keeps plain order.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// for seed in 0..3 {
    ///     let mut lab = Lab::builder().seed(seed).service("web", |web| web.image("nginx")).build()?;
    ///     lab.ping("host", "172.18.0.2").assert_ok();
    /// }
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Behaves as this version of the Docker Engine; 28 when nothing says otherwise.
    ///
    /// ```
    /// use linkspan::lab::{Lab, Profile};
    ///
    /// let mut lab = Lab::builder().profile(Profile::Docker20_10).service("web", |web| web.image("nginx")).build()?;
    /// lab.docker("version").assert_contains("20.10");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn profile(mut self, profile: Profile) -> Self {
        let name = match profile {
            Profile::Docker20_10 => "20.10",
            Profile::Docker28 => "28",
            Profile::Docker29 => "29",
        };
        self.written.section("daemon").set("profile", quote(name));
        self
    }

    /// Adds a network, or says more about one of the file.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::builder()
    ///     .network("back", |back| back.internal().subnet("10.5.0.0/24"))
    ///     .service("db", |db| db.image("postgres").network("back"))
    ///     .build()?;
    /// lab.ping("db", "198.51.100.7").assert_unreachable();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn network(mut self, name: &str, describe: impl FnOnce(NetworkBuilder) -> NetworkBuilder) -> Self {
        let entries = describe(NetworkBuilder::default()).into_entries();
        self.written.section("networks").merge(name, entries);
        self
    }

    /// Adds a service, or says more about one of the file.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::builder()
    ///     .service("web", |web| web.image("nginx").publish("127.0.0.1:8080:80").restart("always"))
    ///     .service("app", |app| app.image("busybox").command("sleep infinity").key("dns", "[203.0.113.53]"))
    ///     .build()?;
    /// lab.connect("host", "localhost:8080").assert_ok();
    /// lab.connect("app", "web:80").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn service(mut self, name: &str, describe: impl FnOnce(ServiceBuilder) -> ServiceBuilder) -> Self {
        let entries = describe(ServiceBuilder::default()).into_entries();
        self.written.section("services").merge(name, entries);
        self
    }

    /// Adds a machine outside the Docker host.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::builder()
    ///     .machine("api", |api| api.address("198.51.100.20").name("api.example.test").listen("443"))
    ///     .service("app", |app| app.image("busybox").command("sleep infinity"))
    ///     .build()?;
    /// lab.connect("app", "api.example.test:443").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn machine(mut self, name: &str, describe: impl FnOnce(MachineBuilder) -> MachineBuilder) -> Self {
        let entries = describe(MachineBuilder::default()).into_entries();
        self.written.section("world").section("machines").merge(name, entries);
        self
    }

    /// Says what a link is like: the name of a card of the host or of a machine, or any name with
    /// [`LinkBuilder::between`].
    ///
    /// ```
    /// use linkspan::lab::Lab;
    /// use std::time::Duration;
    ///
    /// let mut lab = Lab::builder()
    ///     .link("eth0", |uplink| uplink.delay(Duration::from_millis(40)))
    ///     .service("app", |app| app.image("busybox").command("sleep infinity"))
    ///     .build()?;
    /// assert!(lab.ping("app", "outside").assert_ok().took() >= Duration::from_millis(80));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn link(mut self, name: &str, describe: impl FnOnce(LinkBuilder) -> LinkBuilder) -> Self {
        let entries = describe(LinkBuilder::default()).into_entries();
        self.written.section("world").section("links").merge(name, entries);
        self
    }

    /// Describes the Docker host, instead of the default one at 203.0.113.10. In this release there is one.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::builder()
    ///     .host("node1", |host| host.nic("eth0", "203.0.113.77/24").rule("-P FORWARD DROP"))
    ///     .service("web", |web| web.image("nginx").publish("80:80"))
    ///     .machine("alice", |alice| alice.address("203.0.113.5/24"))
    ///     .build()?;
    /// lab.connect("alice", "203.0.113.77:80").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn host(mut self, name: &str, describe: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        let entries = describe(HostBuilder::default()).into_entries();
        self.written.section("hosts").merge(name, entries);
        self
    }

    /// Own code as the program of an image: every container of the image runs it as its main process, again after a
    /// restart. It is also a command in every shell of the lab, under the image's name.
    ///
    /// ```
    /// use linkspan::lab::{ExitCode, Lab};
    ///
    /// let mut lab = Lab::builder()
    ///     .program("greeter", async |sys| {
    ///         let listener = sys.tcp_listen("0.0.0.0:7000".parse().unwrap(), 16).unwrap();
    ///         while let Ok((stream, _)) = listener.accept().await {
    ///             let _ = stream.write_all(b"good day\n").await;
    ///         }
    ///         ExitCode::FAILURE
    ///     })
    ///     .service("greeter", |greeter| greeter.image("greeter"))
    ///     .service("app", |app| app.image("busybox").command("sleep infinity"))
    ///     .build()?;
    /// lab.exec("app", "nc greeter 7000").assert_contains("good day");
    /// lab.restart("greeter")?;
    /// lab.exec("app", "nc greeter 7000").assert_contains("good day");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn program(
        mut self,
        image: impl Into<String>,
        main: impl AsyncFn(Sys) -> ExitCode + 'static,
    ) -> Self {
        let image = image.into();
        let entrypoint = format!("[{}]", quote(&image));
        self.written.section("images").section(&image).set("entrypoint", entrypoint);
        self.programs.push((image, own_program(main)));
        self
    }

    /// A top-level key of a scenario file that has no method here, with its value in YAML on one line.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::builder()
    ///     .key("daemon", "{icc: false}")
    ///     .service("web", |web| web.image("nginx"))
    ///     .build()?;
    /// lab.docker("network inspect bridge").assert_contains("\"com.docker.network.bridge.enable_icc\": \"false\"");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    pub fn key(mut self, name: &str, yaml: &str) -> Self {
        self.written.set(name, yaml.to_owned());
        self
    }

    /// The scenario file that the builder writes.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let builder = Lab::builder().service("web", |web| web.image("nginx"));
    /// assert_eq!(builder.yaml(), "services:\n  web:\n    image: \"nginx\"\n");
    /// ```
    #[must_use]
    pub fn yaml(&self) -> String {
        let mut text = String::new();
        self.written.emit(0, &mut text);
        text
    }

    /// Reads everything and brings the services up.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let error = Lab::builder().service("web", |web| web.image("nginx").publish("80:http")).build().unwrap_err();
    /// assert!(error.to_string().contains("80:http"), "{error}");
    /// ```
    ///
    /// # Errors
    /// [`LabError::Refused`] with every problem found, [`LabError::NotUp`] with what does not come up.
    pub fn build(self) -> Result<Lab, LabError> {
        let written = self.yaml();
        let Builder { base, seed, mut options, variables, programs, .. } = self;
        let disk = matches!(base, Base::File(_));
        let (path, files) = match base {
            Base::Nothing => (Path::new(FOLDER).join(WRITTEN), MemorySource::default()),
            Base::File(path) => (path, MemorySource::default()),
            Base::Text(text) => {
                let path = Path::new(FOLDER).join("compose.yaml");
                let files = MemorySource::default().with_file(&path, text);
                (path, files)
            }
        };
        let mut source = BuilderSource { memory: files, disk };
        let own = path.with_file_name(WRITTEN);
        if !written.is_empty() {
            if own != path {
                options.overrides.push(own.clone());
            }
            source.memory = source.memory.with_file(&own, written);
        }
        for (name, value) in variables {
            source.memory = source.memory.with_variable(name, value);
        }
        options.may_be_empty = true;
        options.own_programs = programs.iter().map(|(name, _)| name.clone()).collect();
        let scenario = load(&source, &path, &options)?;
        let mut world = World::new(seed);
        for (name, program) in programs {
            world.add_program(name, program);
        }
        Lab::up(scenario, world)
    }
}

/// What the builder holds in memory, over the disk if the lab begins with a file.
struct BuilderSource {
    memory: MemorySource,
    disk: bool,
}

impl Source for BuilderSource {
    fn read(&self, path: &Path) -> io::Result<String> {
        match self.memory.read(path) {
            Err(_) if self.disk => DiskSource.read(path),
            found => found,
        }
    }

    fn environment(&self, name: &str) -> Option<String> {
        let own = self.memory.environment(name);
        if self.disk { own.or_else(|| DiskSource.environment(name)) } else { own }
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        if self.disk { DiskSource.absolute(path) } else { self.memory.absolute(path) }
    }
}
