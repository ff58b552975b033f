//! Where a scenario says what turned out to matter: from keys, containers, networks, rules and links to the line that
//! set them.
//!
//! A setting is found by its path of keys ([`KeySpans`], kept when the file is read); what steps did is found by
//! reading their commands again. The last word counts: a step after a key, a later step after an earlier one.

use std::collections::BTreeMap;

use super::diagnostic::{Position, Span};
use super::model::{NetworkMode, Scenario, Service};
use super::steps::{Action, Event, Step, Target};
use super::yaml::Node;
use crate::docker::cli::{self, words};
use crate::docker::request::Request;

/// Where each key and list item of the merged file was written, by the path that leads to it; items count from 0. As
/// large as the file's tree, whose size and depth are bounded.
#[derive(Clone, Debug, Default)]
pub struct KeySpans {
    span: Option<Span>,
    below: BTreeMap<String, KeySpans>,
}

impl KeySpans {
    /// The keys of a tree.
    pub(super) fn of(tree: &Node) -> KeySpans {
        KeySpans { span: None, below: below(tree) }
    }

    /// Where a key was written.
    pub fn get(&self, path: &[&str]) -> Option<Span> {
        let mut at = self;
        for key in path {
            at = at.below.get(*key)?;
        }
        at.span
    }
}

fn below(node: &Node) -> BTreeMap<String, KeySpans> {
    let keys = node.entries().iter().map(|entry| {
        let span = Some(entry.key_span.to(entry.value.span));
        (entry.key.clone(), KeySpans { span, below: below(&entry.value) })
    });
    let items =
        node.items().iter().enumerate().map(|(number, item)| {
            (number.to_string(), KeySpans { span: Some(item.span), below: below(item) })
        });
    keys.chain(items).collect()
}

/// Where a step's command was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// The host of this name.
    Host(String),
    /// A machine outside.
    Machine(String),
    /// Any of these containers, which share a namespace.
    Containers(Vec<String>),
}

impl Spot {
    /// A host.
    pub fn host(name: &str) -> Spot {
        Spot::Host(name.to_owned())
    }
}

/// Looks up the lines of one scenario.
pub struct Causes<'a> {
    scenario: &'a Scenario,
    /// The steps that were done.
    steps: &'a [Step],
}

impl<'a> Causes<'a> {
    /// The lines of a scenario whose steps were done or not.
    pub fn new(scenario: &'a Scenario, steps_done: bool) -> Causes<'a> {
        Causes { scenario, steps: if steps_done { &scenario.steps } else { &[] } }
    }

    /// Where a key was written.
    pub fn key(&self, path: &[&str]) -> Option<Span> {
        self.scenario.key_spans.get(path)
    }

    /// The line of a span: where it is, and its text.
    pub fn line(&self, span: Span) -> Option<(Position, &'a str)> {
        let position = self.scenario.sources.position(span)?;
        let text = self.scenario.sources.line(span)?;
        Some((position, text))
    }

    /// What made a container: its service, or the step that ran it.
    pub fn container(&self, name: &str) -> Option<Span> {
        let made = self.docker(|request| match request {
            Request::ContainerRun(create) | Request::ContainerCreate(create) => {
                create.name.as_deref() == Some(name)
            }
            _ => false,
        });
        made.or_else(|| self.service_of(name).map(|service| service.name.span))
    }

    /// What says which networks a container is on.
    pub fn networks_of(&self, name: &str) -> Option<Span> {
        let changed = self.docker(|request| match request {
            Request::NetworkConnect(connect) => connect.container == name,
            Request::NetworkDisconnect(disconnect) => disconnect.container == name,
            Request::ContainerRun(create) | Request::ContainerCreate(create) => {
                create.name.as_deref() == Some(name)
            }
            _ => false,
        });
        changed
            .or_else(|| {
                let service = self.service_of(name)?;
                let mode = || self.key(&["services", &service.name.value, "network_mode"]);
                let attached = match &service.network {
                    NetworkMode::Networks(list) => {
                        self.key(&["services", &service.name.value, "networks"])?;
                        list.first().map(|attachment| attachment.network.span)
                    }
                    _ => mode(),
                };
                attached.or(Some(service.name.span))
            })
            .or_else(|| self.container(name))
    }

    /// What stopped, removed or disconnected a container.
    pub fn stopped(&self, name: &str) -> Option<Span> {
        let asked = self.docker(|request| match request {
            Request::ContainerStop(stop) => stop.containers.iter().any(|container| container == name),
            Request::ContainerRemove(remove) => remove.containers.iter().any(|container| container == name),
            Request::ContainerKill(kill) => kill.containers.iter().any(|container| container == name),
            _ => false,
        });
        asked
            .or_else(|| self.event(|event| matches!(event, Event::Crash(crashed) if self.is(crashed, name))))
            .or_else(|| {
                let inside = Spot::Containers(vec![name.to_owned()]);
                ["kill", "pkill", "killall"].iter().find_map(|word| self.done_in(&inside, &[word]))
            })
    }

    /// What made a network.
    pub fn network(&self, name: &str) -> Option<Span> {
        let made =
            self.docker(|request| matches!(request, Request::NetworkCreate(create) if create.name == name));
        made.or_else(|| {
            let network = self.scenario.networks.iter().find(|network| network.name == name)?;
            Some(network.key.span)
        })
    }

    /// What sets a key of a network: the key, or the step that made the network; `key` is the path below the network.
    pub fn network_setting(&self, name: &str, key: &[&str]) -> Option<Span> {
        let declared = self.scenario.networks.iter().find(|network| network.name == name);
        let Some(network) = declared else { return self.network(name) };
        let mut path = vec!["networks", network.key.value.as_str()];
        path.extend(key);
        self.key(&path)
    }

    /// A published port of a service, or the step that ran the container.
    pub fn published(&self, container: &str, target: u16) -> Option<Span> {
        let Some(service) = self.service_of(container) else { return self.container(container) };
        service.ports.iter().find(|port| port.target == target).map(|port| port.span)
    }

    /// What says that a service listens on a port: its `expose` or `ports`, unless its image is known for the port. What is
    /// built says it in a Dockerfile, which has no line here.
    pub fn listens(&self, service: &Service, port: u16) -> Option<Span> {
        let known = self.scenario.ports_of_image(service);
        if service.build.is_none() && known.iter().any(|known| known.port == port) {
            return None;
        }
        let exposed = service.expose.iter().position(|listen| listen.port == port);
        // A range is one item of the file and several ports here: then the key itself is named.
        let exposed = exposed.and_then(|at| {
            let name = service.name.value.as_str();
            let number = at.to_string();
            let item = self.key(&["services", name, "expose", &number]).filter(|span| {
                self.scenario.sources.text(*span).is_some_and(|text| text.contains(&port.to_string()))
            });
            item.or_else(|| self.key(&["services", name, "expose"]))
        });
        exposed
            .or_else(|| service.ports.iter().find(|listed| listed.target == port).map(|listed| listed.span))
    }

    /// What added a rule of a packet filter: the words of the rule as `iptables -S` prints them, and its chain.
    pub fn rule(&self, chain: &str, rule: &str) -> Option<Span> {
        let host = self.scenario.hosts.iter().flat_map(|host| &host.rules);
        let before = host.map(|rule| (rule.value.as_str(), rule.span));
        let steps = self.steps.iter().enumerate().filter_map(|(at, step)| match &step.action {
            Action::Run { command, .. } if command.contains("iptables") => {
                Some((command.as_str(), self.step(at)))
            }
            _ => None,
        });
        // The module names and the masks that iptables adds need not have been written.
        let wanted: Vec<&str> = rule
            .split_whitespace()
            .map(|word| word.strip_suffix("/32").or(word.strip_suffix("/128")).unwrap_or(word))
            .collect();
        let likeness = |command: &str| {
            let written: Vec<&str> = command.split_whitespace().collect();
            let names_chain = written.contains(&chain);
            let same = wanted
                .iter()
                .filter(|word| written.iter().any(|w| w.strip_suffix("/32").unwrap_or(w) == **word));
            (names_chain, same.count())
        };
        before
            .chain(steps)
            .map(|(command, span)| (likeness(command), span))
            .filter(|((names_chain, same), _)| *names_chain && *same * 2 >= wanted.len())
            .max_by_key(|((_, same), _)| *same)
            .map(|(_, span)| span)
    }

    /// The last command that has all of these words, wherever it ran.
    pub fn command(&self, words: &[&str]) -> Option<Span> {
        self.last(|step| match &step.action {
            Action::Run { command, .. } | Action::Docker { command, .. } => {
                let written: Vec<&str> = command.split_whitespace().collect();
                words.iter().all(|word| written.contains(word))
            }
            Action::Event(_) | Action::Check(_) => false,
        })
    }

    /// The last step that did one simple command that has all of these words in a place.
    pub fn done_in(&self, spot: &Spot, wanted: &[&str]) -> Option<Span> {
        self.last(|step| {
            self.does(step, spot, &|command| simple(command, |written| has_all(written, wanted)))
        })
    }

    /// What set the policy of a built-in chain to DROP in a place: a step, or the host's rules from before Docker.
    pub fn policy(&self, spot: &Spot, chain: &str) -> Option<Span> {
        let sets = |command: &str| {
            simple(command, |written| {
                ["-P", "--policy"].iter().any(|verb| has_all(written, &[verb, chain, "DROP"]))
            })
        };
        let step = self.last(|step| self.does(step, spot, &sets));
        step.or_else(|| {
            let hosts = self.scenario.hosts.iter();
            let mut rules = hosts.filter(|_| matches!(spot, Spot::Host(_))).flat_map(|host| &host.rules);
            rules.find(|rule| sets(&rule.value)).map(|rule| rule.span)
        })
    }

    /// The last step in a place that wrote a file there, as far as a command shows it.
    pub fn wrote(&self, spot: &Spot, path: &str) -> Option<Span> {
        let writes = |command: &str| {
            command.contains(path)
                && simple(command, |written| {
                    written.iter().any(|word| word.contains('>'))
                        || written
                            .iter()
                            .any(|word| ["tee", "sed", "cp", "mv", "rm", "truncate"].contains(word))
                })
        };
        self.last(|step| self.does(step, spot, &writes))
    }

    /// The last step in a place, before another, whose command mentions a word.
    pub fn mentioned_before(&self, spot: &Spot, word: &str, before: Span) -> Option<Span> {
        let mentions =
            |command: &str| command.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word);
        let earlier = self.steps.iter().enumerate().filter(|(_, step)| self.does(step, spot, &mentions));
        earlier.map(|(at, _)| self.step(at)).rfind(|span| span.start < before.start)
    }

    /// Whether a step's command in a place does what is asked.
    fn does(&self, step: &Step, spot: &Spot, does: &dyn Fn(&str) -> bool) -> bool {
        match &step.action {
            Action::Run { target, command } => self.is_at(target, spot) && does(command),
            Action::Docker { command, .. } => {
                let parsed = words::split(command).ok().and_then(|words| cli::parse(&words).ok());
                match (parsed.map(|parsed| parsed.request), spot) {
                    (Some(Request::ContainerExec(exec)), Spot::Containers(names)) => {
                        names.contains(&exec.container) && does(&exec.command.join(" "))
                    }
                    _ => false,
                }
            }
            Action::Event(_) | Action::Check(_) => false,
        }
    }

    fn is_at(&self, target: &Target, spot: &Spot) -> bool {
        match (target, spot) {
            (Target::Host(None), Spot::Host(_)) => true,
            (Target::Host(Some(written)), Spot::Host(name))
            | (Target::World(written), Spot::Machine(name)) => written == name,
            (Target::Container(written), Spot::Containers(names)) => {
                names.iter().any(|name| self.is(written, name))
            }
            _ => false,
        }
    }

    /// The link that is cut, and where that was said.
    pub fn cut(&self) -> Option<(String, Span)> {
        let mut cut: BTreeMap<&str, Span> = BTreeMap::new();
        for link in self.scenario.world.links.iter().filter(|link| link.down) {
            let name = link.name.value.as_str();
            cut.insert(name, self.key(&["world", "links", name, "down"]).unwrap_or(link.name.span));
        }
        for step in self.steps {
            match &step.action {
                Action::Event(Event::LinkDown(name)) => {
                    cut.insert(name, step.span);
                }
                Action::Event(Event::LinkUp(name)) => {
                    cut.remove(name.as_str());
                }
                _ => {}
            }
        }
        cut.into_iter().next().map(|(name, span)| (name.to_owned(), span))
    }

    /// The first link that has a key set.
    pub fn link_setting(&self, key: &str) -> Option<(String, Span)> {
        self.scenario.world.links.iter().find_map(|link| {
            let name = link.name.value.as_str();
            Some((name.to_owned(), self.key(&["world", "links", name, key])?))
        })
    }

    /// The service a container belongs to.
    pub fn service_of(&self, container: &str) -> Option<&'a Service> {
        let mut services = self.scenario.services.iter();
        services.find(|service| self.scenario.container_names(service).iter().any(|name| name == container))
    }

    /// Whether a name in a step means this container.
    fn is(&self, written: &str, container: &str) -> bool {
        let service = self.scenario.service(written);
        let first = service.and_then(|service| self.scenario.container_names(service).into_iter().next());
        first.map_or(written == container, |first| first == container)
    }

    /// The last docker command that asks for something.
    fn docker(&self, wanted: impl Fn(&Request) -> bool) -> Option<Span> {
        self.last(|step| match &step.action {
            Action::Docker { command, .. } => {
                let parsed = words::split(command).ok().and_then(|words| cli::parse(&words).ok());
                parsed.is_some_and(|parsed| wanted(&parsed.request))
            }
            Action::Run { .. } | Action::Event(_) | Action::Check(_) => false,
        })
    }

    fn event(&self, wanted: impl Fn(&Event) -> bool) -> Option<Span> {
        self.last(|step| matches!(&step.action, Action::Event(event) if wanted(event)))
    }

    fn last(&self, wanted: impl Fn(&Step) -> bool) -> Option<Span> {
        self.steps.iter().rposition(wanted).map(|at| self.step(at))
    }

    /// Where a step says what it does: its command or event, not its first key.
    fn step(&self, at: usize) -> Span {
        let number = at.to_string();
        let written = ["run", "event"].iter().find_map(|key| self.key(&["steps", &number, key]));
        written.unwrap_or(self.steps[at].span)
    }
}

/// Whether one of a script's simple commands is as asked: its words, as far as spaces and separators tell them apart.
fn simple(script: &str, asked: impl Fn(&[&str]) -> bool) -> bool {
    let blank = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | '{' | '}');
    script.split([';', '&', '|', '\n']).any(|command| asked(&command.split(blank).collect::<Vec<_>>()))
}

fn has_all(written: &[&str], wanted: &[&str]) -> bool {
    wanted.iter().all(|word| written.contains(word))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::{LoadOptions, MemorySource, load};

    const FILE: &str = "\
name: small
networks:
  back:
    internal: true
services:
  web:
    image: nginx
    ports: ['8080:80']
  db:
    image: postgres
    networks:
      - back
world:
  links:
    eth0: {down: true}
steps:
  - link up eth0
  - in: host
    run: iptables -I DOCKER-USER -d 10.0.0.1 -j DROP
  - run: iptables -I FORWARD -j ACCEPT
  - docker run -d --name extra --network small_back nginx
  - docker network connect small_default small-db-1
  - link down eth0
";

    fn scenario() -> Scenario {
        let source = MemorySource::default().with_file("a.yaml", FILE);
        load(&source, Path::new("a.yaml"), &LoadOptions::default()).unwrap()
    }

    fn line(causes: &Causes<'_>, span: Option<Span>) -> Option<usize> {
        Some(causes.line(span?)?.0.line)
    }

    #[test]
    fn keys_and_steps_are_found_where_they_were_written() {
        let scenario = scenario();
        let causes = Causes::new(&scenario, true);
        let at = |span| line(&causes, span);
        assert_eq!(at(causes.key(&["networks", "back", "internal"])), Some(4));
        assert_eq!(at(causes.key(&["networks", "back", "driver"])), None);
        assert_eq!(at(causes.network("small_back")), Some(3));
        assert_eq!(at(causes.network_setting("small_back", &["internal"])), Some(4));
        assert_eq!(at(causes.published("small-web-1", 80)), Some(8));
        assert_eq!(at(causes.container("small-db-1")), Some(9));
        assert_eq!(at(causes.container("extra")), Some(21));
        assert_eq!(at(causes.rule("DOCKER-USER", "-d 10.0.0.1/32 -j DROP")), Some(19));
        assert_eq!(at(causes.rule("FORWARD", "-j ACCEPT")), Some(20));
        assert_eq!(at(causes.rule("INPUT", "-j DROP")), None);
    }

    #[test]
    fn the_last_word_counts() {
        let scenario = scenario();
        let (before, after) = (Causes::new(&scenario, false), Causes::new(&scenario, true));
        assert_eq!(line(&before, before.networks_of("small-db-1")), Some(12));
        assert_eq!(line(&after, after.networks_of("small-db-1")), Some(22));
        let cut = |causes: &Causes<'_>| causes.cut().and_then(|(_, span)| line(causes, Some(span)));
        assert_eq!((cut(&before), cut(&after)), (Some(15), Some(23)));
        assert_eq!(line(&before, before.container("extra")), None);
    }
}
