//! The names that steps, checks and tasks speak of, judged before anything runs: a container, host or machine that there
//! will never be is refused, a name to reach that nobody has is warned of.
//!
//! Containers are the services' and those that docker commands of the file make: their `--name`s are read from the
//! commands. A command that makes containers under names which cannot be read (a name from a variable, in a loop of a
//! shell script) makes every container name possible; so does a task that does not say how it is done, because the
//! learner may make any.

use std::collections::BTreeSet;

use super::build;
use super::checks::{Check, Claim, Endpoint, Outcome, Place};
use super::diagnostic::{Diagnostic, Diagnostics, Span, did_you_mean};
use super::model::Scenario;
use super::steps::{Action, Event, Target, typed};
use super::tasks::{Goal, Task};
use crate::docker::cli::{self, words};
use crate::docker::request::{ContainerCreate, EndpointConfig, Request};

/// Judges every place that is named.
pub(super) fn judge(scenario: &Scenario, diagnostics: &mut Diagnostics) {
    let known = Known::new(scenario);
    let mut judge = Judge { known: &known, diagnostics };
    for step in &scenario.steps {
        match &step.action {
            Action::Run { target, .. } => judge.target(target, step.span),
            Action::Check(checks) => checks.iter().for_each(|check| judge.check(check)),
            Action::Event(Event::Crash(name)) => judge.target(&Target::Container(name.clone()), step.span),
            Action::Docker { host: Some(host), .. } => {
                judge.target(&Target::Host(Some(host.clone())), step.span)
            }
            Action::Docker { host: None, .. } | Action::Event(_) => {}
        }
    }
    for task in &scenario.tasks {
        if let Goal::Checks(checks) = &task.goal {
            checks.iter().for_each(|check| judge.check(check));
        }
    }
    scenario.checks.iter().for_each(|check| judge.check(check));
}

/// What there is, or may come to be.
struct Known<'a> {
    /// Containers by key and name.
    containers: BTreeSet<String>,
    /// Whatever a container may be reached by, besides: aliases, host names, links, lines of `/etc/hosts`.
    others: BTreeSet<String>,
    /// Containers may be made under names that cannot be read from the file.
    open: bool,
    hosts: BTreeSet<&'a str>,
    machines: Vec<&'a str>,
}

impl<'a> Known<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let mut known = Known {
            containers: BTreeSet::new(),
            others: BTreeSet::from(["localhost".to_owned()]),
            open: false,
            hosts: scenario.hosts.iter().map(|host| host.name.value.as_str()).collect(),
            machines: build::machines(scenario),
        };
        if known.hosts.is_empty() {
            known.hosts.insert(build::HOST);
        }
        known.others.extend(known.hosts.iter().chain(&known.machines).map(|name| (*name).to_owned()));
        for service in &scenario.services {
            known.containers.insert(service.name.value.clone());
            known.containers.extend(scenario.container_names(service));
            known.others.extend(service.hostname.clone());
            known.others.extend(service.attachments().iter().flat_map(|at| at.aliases.iter().cloned()));
            let links = service.links.iter().chain(&service.external_links);
            known.others.extend(links.map(|link| link.alias.clone()));
            known.others.extend(service.extra_hosts.iter().map(|host| host.name.clone()));
        }
        let machines = scenario.world.machines.iter().flat_map(|machine| machine.names.iter());
        for name in scenario.world.records.iter().map(|record| &record.name).chain(machines) {
            // A search domain may complete the first label.
            known.others.extend([name.clone(), name.split('.').next().unwrap_or_default().to_owned()]);
        }
        known.others.extend(build::known_names().map(str::to_owned));
        for step in &scenario.steps {
            known.action(&step.action);
        }
        scenario.tasks.iter().for_each(|task| known.task(task));
        known
    }

    /// What a learner makes is known as far as the solution makes it; what that leaves to them is not.
    fn task(&mut self, task: &Task) {
        if task.solution.is_empty() && matches!(task.goal, Goal::Checks(_)) {
            self.open = true;
        }
        for line in &task.solution {
            if let Ok(action) = typed(line) {
                self.action(&action);
            }
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Docker { command, .. } => self.docker(command),
            Action::Run { target: Target::Host(_), command } => self.script(command),
            // A container may write names into its own /etc/hosts.
            Action::Run { command, .. } if command.contains("/etc/hosts") => self.open = true,
            Action::Run { .. } | Action::Event(_) | Action::Check(_) => {}
        }
    }

    /// One docker command. Of one that cannot be read only the names are taken: the run will say what is wrong with it.
    fn docker(&mut self, command: &str) {
        let Some(parsed) = words::split(command).ok().and_then(|words| cli::parse(&words).ok()) else {
            return self.script(command);
        };
        match parsed.request {
            Request::ContainerRun(create) | Request::ContainerCreate(create) => self.create(*create),
            Request::ContainerRename(rename) => {
                self.containers.insert(rename.new_name);
            }
            Request::NetworkConnect(connect) => self.endpoint(connect.endpoint),
            _ => {}
        }
    }

    fn create(&mut self, create: ContainerCreate) {
        self.containers.extend(create.name);
        self.others.extend(create.hostname);
        self.others.extend(create.extra_hosts.into_iter().map(|host| host.name));
        self.others.extend(create.links.into_iter().map(|link| link.alias));
        create.endpoints.into_iter().for_each(|endpoint| self.endpoint(endpoint));
    }

    fn endpoint(&mut self, endpoint: EndpointConfig) {
        self.others.extend(endpoint.aliases);
        self.others.extend(endpoint.links.into_iter().map(|link| link.alias));
    }

    /// A script of the host, which may hold docker commands.
    fn script(&mut self, script: &str) {
        if !script.contains("docker") {
            return;
        }
        let separators = |c: char| c.is_whitespace() || ";|&()'\"=".contains(c);
        let words: Vec<&str> = script.split(separators).filter(|word| !word.is_empty()).collect();
        for (at, word) in words.iter().enumerate() {
            let names = match *word {
                "--name" | "--hostname" | "-h" | "--network-alias" | "--net-alias" | "--alias" => 1..2,
                "rename" => 2..3,
                "eval" | "xargs" => {
                    self.open = true;
                    continue;
                }
                _ => continue,
            };
            for name in names.filter_map(|step| words.get(at + step)) {
                if name.contains(['$', '`', '{']) {
                    self.open = true;
                } else {
                    self.containers.insert((*name).to_owned());
                }
            }
        }
    }

    /// Names without a dot are Docker's own; any other may be in somebody's DNS. Case does not count in names.
    fn may_resolve(&self, name: &str) -> bool {
        let mut all = self.containers.iter().chain(&self.others);
        self.open || name.contains('.') || is_id(name) || all.any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Short and long ids are names, too, and nobody can know them before.
fn is_id(name: &str) -> bool {
    name.len() >= 12 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

struct Judge<'a> {
    known: &'a Known<'a>,
    diagnostics: &'a mut Diagnostics,
}

impl Judge<'_> {
    fn check(&mut self, check: &Check) {
        let span = check.span;
        match &check.claim {
            Claim::Reach { from, to, outcome } => {
                self.target(from, span);
                self.endpoint(to, span);
                if let Place::Name(name) = &to.place
                    && *outcome != Outcome::Unresolved
                {
                    self.name(name, span);
                }
            }
            Claim::Resolve { from, name, addresses } => {
                self.target(from, span);
                if !addresses.is_empty() {
                    self.name(name, span);
                }
            }
            Claim::Only { from, to } => {
                from.iter().for_each(|target| self.target(target, span));
                self.endpoint(to, span);
                if let Place::Name(name) = &to.place {
                    self.name(name, span);
                }
            }
        }
    }

    /// A place that names something of ours.
    fn endpoint(&mut self, to: &Endpoint, span: Span) {
        match &to.place {
            Place::World(name) => self.target(&Target::World(name.clone()), span),
            Place::Host(name) => self.target(&Target::Host(name.clone()), span),
            Place::Name(_) | Place::Address(_) => {}
        }
    }

    fn target(&mut self, target: &Target, span: Span) {
        let known = self.known;
        let (name, all, what): (&str, Vec<&str>, &str) = match target {
            Target::Host(None) => return,
            Target::Host(Some(name)) => (name, known.hosts.iter().copied().collect(), "host"),
            Target::World(name) => (name, known.machines.clone(), "machine of `world`"),
            Target::Container(name) if !known.open && !is_id(name) => {
                (name, known.containers.iter().map(String::as_str).collect(), "service or container")
            }
            Target::Container(_) => return,
        };
        if all.contains(&name) {
            return;
        }
        let message = format!("there is no {what} `{name}`");
        let help = match target {
            // A machine or a host without its prefix.
            Target::Container(name) if known.machines.contains(&name.as_str()) => {
                Some(format!("the machine outside is `world:{name}`"))
            }
            Target::Container(name) if known.hosts.contains(name.as_str()) => {
                Some(format!("the Docker host is `host` or `host:{name}`"))
            }
            _ => did_you_mean(name, all.iter().copied()).or_else(|| listed(&all)),
        };
        self.diagnostics.push(Diagnostic::error(span, message).help(help));
    }

    /// A name that shall be reached. Nobody can be sure that no DNS server has it, so this is no error.
    fn name(&mut self, name: &str, span: Span) {
        let known = self.known;
        if known.may_resolve(name) {
            return;
        }
        let all = || known.containers.iter().chain(&known.others).map(String::as_str);
        let message = format!("no container and no alias is called `{name}`");
        let help = if known.machines.contains(&name) {
            Some(format!("the machine outside is `world:{name}`"))
        } else {
            did_you_mean(name, all())
        };
        self.diagnostics.push(Diagnostic::warning(span, message).help(help));
    }
}

/// A few names are worth listing.
fn listed(all: &[&str]) -> Option<String> {
    (!all.is_empty() && all.len() <= 8).then(|| format!("there is {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::load::{LoadOptions, MemorySource, load};

    const SERVICES: &str = "services:\n  web: {image: nginx}\n  db: {image: postgres, hostname: dbhost, networks: \
                            {default: {aliases: [database]}}}\n";

    /// What is said of steps and checks beside two services, with the help.
    fn said(more: &str) -> String {
        let source = MemorySource::default().with_file("/a/a.yaml", format!("{SERVICES}{more}"));
        let (diagnostics, sources) = match load(&source, Path::new("/a/a.yaml"), &LoadOptions::default()) {
            Ok(scenario) => (scenario.warnings, scenario.sources),
            Err(error) => (error.diagnostics, error.sources),
        };
        diagnostics.iter().map(|diagnostic| diagnostic.render(&sources, false)).collect()
    }

    fn complains(more: &str, parts: &[&str]) {
        let said = said(more);
        for part in parts {
            assert!(said.contains(part), "{part:?} is missing in what is said of {more}:\n{said}");
        }
    }

    #[test]
    fn docker_commands_make_only_the_names_they_say() {
        let made = "steps:\n- docker run -d --name cache redis\n";
        assert_eq!(said(&format!("{made}checks:\n- cache -> web:80: ok\n")), "");
        complains(
            &format!("{made}checks:\n- cahce -> web:80: ok\n"),
            &["error: there is no service or container `cahce`", "a.yaml:7:3", "did you mean `cache`?"],
        );
        complains(&format!("{made}- {{in: wbe, run: ls}}\n"), &["no service or container `wbe`", "`web`"]);
        complains(&format!("{made}- crash wbe\n"), &["no service or container `wbe`"]);
        let renamed =
            "steps:\n- docker rename web front\nchecks:\n- front -> db:5432: ok\n- fornt -> db: ok\n";
        complains(renamed, &["did you mean `front`?"]);
        let refused = "steps:\n- docker run -d --nmae x --name cache redis\nchecks: ['cache -> web: ok']\n";
        complains(refused, &["unknown flag: --nmae"]);
    }

    #[test]
    fn names_that_a_script_makes_up_can_be_any() {
        let script = "steps:\n- run: for i in 1 2; do docker run -d --name c$i nginx; done\n";
        complains(script, &["there is no shell around docker commands here"]);
        let plain = "steps:\n- docker run -d --name one nginx\n- docker run -d --name=two nginx\n";
        assert_eq!(said(&format!("{plain}checks:\n- one -> two:80: ok\n")), "");
        complains(&format!("{plain}checks:\n- thre -> two:80: ok\n"), &["no service or container `thre`"]);
        let open = "tasks:\n- {id: a, text: make it, done: 'mine -> web:80: ok'}\n";
        assert_eq!(said(open), "");
        let told = "tasks:\n- {id: a, text: do it, done: 'mnie -> web:80: ok', solution: [docker run --name mine nginx]}\n";
        complains(told, &["did you mean `mine`?"]);
    }

    #[test]
    fn a_name_to_reach_that_nobody_has_is_warned_of() {
        let check = |line: &str| said(&format!("checks:\n- {line}\n"));
        complains(
            "checks:\n- web -> databse:5432: ok\n",
            &["warning: no container and no alias is called `databse`", "did you mean `database`?"],
        );
        complains("checks:\n- web ? bd: 172.18.0.3\n", &["warning: ", "did you mean `db`?"]);
        complains("checks:\n- only web -> dd:5432\n", &["warning: ", "did you mean `db`?"]);
        complains("checks:\n- web -> outside:80: ok\n", &[]);
        for fine in [
            "web -> database:5432: ok",
            "web -> dbhost:5432: refused",
            "web -> a-db-1:5432: ok",
            "web -> localhost:80: ok",
            "web -> nobody.example.test: unresolved",
            "web -> nobody: unresolved",
            "web ? nobody: unresolved",
            "web -> DB:5432: ok",
            "web -> www.example.test:80: ok",
        ] {
            assert_eq!(check(fine), "", "{fine}");
        }
    }

    #[test]
    fn links_and_search_domains_make_names_too() {
        let link =
            "steps:\n- docker run -d --name cc --link web:site busybox\nchecks: ['cc -> site:80: ok']\n";
        assert_eq!(said(link), "");
        let search =
            "world: {dns: {records: {wiki.corp.example: 198.51.100.9}}}\nchecks: ['web -> wiki:80: ok']\n";
        assert_eq!(said(search), "");
    }

    #[test]
    fn a_place_without_its_prefix_is_recognised() {
        complains(
            "checks:\n- outside -> web:80: ok\n",
            &["error: ", "the machine outside is `world:outside`"],
        );
        complains("checks:\n- world:outsid -> web:80: ok\n", &["did you mean `outside`?"]);
        complains("checks:\n- host:hots -> web:80: ok\n", &["did you mean `host`?"]);
    }
}
