//! What came of an attempt to reach something or to resolve a name, and assertions about it.
//!
//! An assertion that does not hold panics with what was expected, what was found and the explanation: the way of the
//! packets hop by hop, the rule and the reason, the line of the file that caused it and what to do.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::error::LabError;
use crate::world::probe::ProbeOutcome;

/// How an attempt to reach something ended: [`Lab::connect`](super::Lab::connect), [`Lab::ping`](super::Lab::ping).
#[must_use = "an attempt only says how it ended: assert it, or look at `outcome()`"]
#[derive(Clone)]
pub struct Attempt {
    pub(super) title: String,
    pub(super) found: Result<ProbeOutcome, LabError>,
    /// Who has the source address that the server saw: the names of a place.
    pub(super) seen_as: Vec<String>,
    pub(super) told: Told,
}

/// The addresses a name has for somebody: [`Lab::resolve`](super::Lab::resolve).
#[must_use = "a lookup only says what was found: assert it, or look at `addresses()`"]
#[derive(Clone)]
pub struct Resolved {
    pub(super) title: String,
    pub(super) found: Result<Vec<IpAddr>, LabError>,
    pub(super) told: Told,
}

/// When it was, and what is known about how it came about.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) began: Duration,
    pub(super) took: Duration,
    /// What to repeat it with; told when it is not the usual 0.
    pub(super) seed: u64,
    /// What may be the reason, in sentences.
    pub(super) hints: Vec<String>,
    /// What stands above the way.
    pub(super) title: &'static str,
    /// What happened to the packets, or to the one that decided.
    pub(super) way: Vec<String>,
}

impl Attempt {
    /// How it ended.
    ///
    /// ```
    /// # use linkspan::lab::{Lab, Outcome};
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// assert_eq!(lab.connect("app", "web:81").outcome()?, Outcome::Refused);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// Why it could not be made at all, such as an unknown name or a container that does not run.
    pub fn outcome(&self) -> Result<ProbeOutcome, LabError> {
        self.found.clone()
    }

    /// Whether it succeeded: the connection was accepted, the datagram or echo request answered.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// assert!(lab.ping("app", "web").is_ok());
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self.found, Ok(ProbeOutcome::Ok(_)))
    }

    /// The client's address as the server saw it, if the server says. What listens for an image does.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// assert_eq!(lab.connect("app", "web:80").source(), Some("172.18.0.3".parse().unwrap()));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        match self.found {
            Ok(ProbeOutcome::Ok(source)) => source,
            _ => None,
        }
    }

    /// Virtual time it took, name lookup and the server's first answer included.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # use std::time::Duration;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// assert!(lab.connect("app", "web:80").took() < Duration::from_millis(1));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn took(&self) -> Duration {
        self.told.took
    }

    /// What happened, as the messages of failed assertions tell it.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// let text = lab.connect("app", "web:80").explanation();
    /// assert!(text.starts_with("app -> web:80: ok from 172.18.0.3"), "{text}");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn explanation(&self) -> String {
        self.to_string()
    }

    /// The server accepted the connection, or answered.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.connect("app", "web:80").assert_ok();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it did not.
    #[track_caller]
    pub fn assert_ok(&self) -> &Self {
        self.expect("to succeed", |outcome| matches!(outcome, ProbeOutcome::Ok(_)))
    }

    /// The server accepted the connection, and saw it come from this place or address.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx, ports: ['8080:80']}}")?;
    /// lab.connect("outside", "host:8080").assert_ok_from("outside").assert_ok_from("203.0.113.1");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it did not, or saw another.
    #[track_caller]
    pub fn assert_ok_from(&self, source: &str) -> &Self {
        self.expect(&format!("to succeed, seen as coming from {source}"), |outcome| match outcome {
            ProbeOutcome::Ok(Some(seen)) => {
                source.parse() == Ok(*seen) || self.seen_as.iter().any(|name| name == source)
            }
            _ => false,
        })
    }

    /// Something said no at once: a reset, or ICMP port unreachable. Nothing listens there, or a rule rejects it.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.connect("app", "web:5432").assert_refused();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it ended otherwise.
    #[track_caller]
    pub fn assert_refused(&self) -> &Self {
        self.expect("to be refused", |outcome| *outcome == ProbeOutcome::Refused)
    }

    /// Silence: something dropped the packets.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.exec("host", "iptables -I DOCKER-USER -p tcp --dport 80 -j DROP").assert_success();
    /// lab.connect("app", "web:80").assert_timeout();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it ended otherwise.
    #[track_caller]
    pub fn assert_timeout(&self) -> &Self {
        self.expect("to time out", |outcome| *outcome == ProbeOutcome::Timeout)
    }

    /// There is no way there: no route, no neighbour that answers, or an ICMP error that says so.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.ping("app", "172.18.0.77").assert_unreachable();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it ended otherwise.
    #[track_caller]
    pub fn assert_unreachable(&self) -> &Self {
        self.expect("to be unreachable", |outcome| *outcome == ProbeOutcome::Unreachable)
    }

    /// The name has no address for the one who asked.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// let mut lab = Lab::from_compose(
    ///     "services: {web: {image: nginx, networks: [a]}, db: {image: postgres, networks: [b]}}\n\
    ///      networks: {a: , b: }",
    /// )?;
    /// lab.connect("web", "db:5432").assert_unresolved();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it ended otherwise.
    #[track_caller]
    pub fn assert_unresolved(&self) -> &Self {
        self.expect("not to find the name", |outcome| *outcome == ProbeOutcome::Unresolved)
    }

    /// A datagram was sent, and neither an answer nor an error came back.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {dns: {image: coredns/coredns}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.exec("host", "iptables -I DOCKER-USER -p udp --dport 53 -j DROP").assert_success();
    /// lab.connect("app", "dns:53/udp").assert_no_answer();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it ended otherwise.
    #[track_caller]
    pub fn assert_no_answer(&self) -> &Self {
        self.expect("to get no answer", |outcome| *outcome == ProbeOutcome::NoAnswer)
    }

    /// It did not succeed, in whatever way.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.connect("app", "web:5432").assert_fails();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it succeeded, or could not be made at all.
    #[track_caller]
    pub fn assert_fails(&self) -> &Self {
        self.expect("to fail", |outcome| !matches!(outcome, ProbeOutcome::Ok(_)))
    }

    /// It took no longer than this, in virtual time.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # use std::time::Duration;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.connect("app", "web:80").assert_ok().assert_within(Duration::from_millis(10));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it took longer.
    #[track_caller]
    pub fn assert_within(&self, limit: Duration) -> &Self {
        let took = self.told.took;
        self.expect(&format!("to end within {limit:?}, and it took {took:?}"), |_| took <= limit)
    }

    #[track_caller]
    fn expect(&self, what: &str, holds: impl Fn(&ProbeOutcome) -> bool) -> &Self {
        assert!(self.found.as_ref().is_ok_and(holds), "expected {} {what}\n{self}", self.title);
        self
    }
}

impl Resolved {
    /// The addresses, IPv4 first; empty if the name has none.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// assert_eq!(lab.resolve("app", "web").addresses()?.len(), 1);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// Why nobody could be asked.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, LabError> {
        self.found.clone()
    }

    /// What happened, as the messages of failed assertions tell it.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// assert!(lab.resolve("app", "wbe").explanation().contains("did you mean `web`?"));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn explanation(&self) -> String {
        self.to_string()
    }

    /// The name has exactly these addresses, in any order.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.resolve("app", "web").assert_is(["172.18.0.2"]);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it has others, and if one of these is no address.
    #[track_caller]
    pub fn assert_is<'a>(&self, addresses: impl IntoIterator<Item = &'a str>) -> &Self {
        let mut wanted: Vec<IpAddr> = Vec::new();
        for text in addresses {
            match text.parse() {
                Ok(address) => wanted.push(address),
                Err(_) => panic!("{}", LabError::Address(text.to_owned())),
            }
        }
        wanted.sort();
        let holds = self.found.as_ref().is_ok_and(|found| {
            let mut found = found.clone();
            found.sort();
            found == wanted
        });
        assert!(holds, "expected {} to be {}\n{self}", self.title, list(&wanted));
        self
    }

    /// The name has an address, whichever.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// lab.resolve("app", "web").assert_resolved();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it has none.
    #[track_caller]
    pub fn assert_resolved(&self) -> &Self {
        let holds = self.found.as_ref().is_ok_and(|found| !found.is_empty());
        assert!(holds, "expected {} to have an address\n{self}", self.title);
        self
    }

    /// The name has no address for the one who asked.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {app: {image: busybox, command: sleep 1h}}")?;
    /// lab.resolve("app", "web").assert_unresolved();
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the explanation, if it has one.
    #[track_caller]
    pub fn assert_unresolved(&self) -> &Self {
        let holds = self.found.as_ref().is_ok_and(Vec::is_empty);
        assert!(holds, "expected {} to have no address\n{self}", self.title);
        self
    }
}

fn list(addresses: &[IpAddr]) -> String {
    match addresses {
        [] => "unresolved".to_owned(),
        list => list.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", "),
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Ok(outcome) => write!(f, "{}: {}", self.title, outcome)?,
            Err(error) => write!(f, "{} could not be tried: {error}", self.title)?,
        }
        if !self.seen_as.is_empty() {
            write!(f, " ({})", self.seen_as.join(", "))?;
        }
        self.told.fmt(f)
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Ok(found) => write!(f, "{}: {}", self.title, list(found))?,
            Err(error) => write!(f, "{} could not be asked: {error}", self.title)?,
        }
        self.told.fmt(f)
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  at {:.3} s, took {:?}", self.began.as_secs_f64(), self.took)?;
        if self.seed != 0 {
            write!(f, ", with seed {}", self.seed)?;
        }
        for hint in &self.hints {
            write!(f, "\n  {hint}")?;
        }
        if !self.way.is_empty() {
            write!(f, "\n\n{}", self.title)?;
        }
        for line in &self.way {
            let indent = if line.is_empty() { "" } else { "  " };
            write!(f, "\n{indent}{line}")?;
        }
        Ok(())
    }
}
