//! Captures: what was seen on the devices of a place or a network while a test went on.

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::error::LabError;
use super::session::Lab;
use crate::observe::pcapng::{self, Choice, Direction, Frames, Selection};
use crate::scenario::diagnostic::nearest;
use crate::world::Location;

/// A capture that goes on while this value lives: [`Lab::capture`].
pub struct Capture(Rc<RefCell<pcapng::Capture>>);

/// A captured packet.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    /// Virtual time since the lab began.
    pub time: Duration,
    /// The container, machine or host it was seen at.
    pub place: String,
    /// The device there.
    pub device: String,
    /// Whether it came in or went out there.
    pub direction: Direction,
    /// What it is, in one line: `TCP SYN 172.18.0.2:40000 → 172.18.0.3:5432`.
    pub summary: String,
    /// What became of it: a translation, the rule that dropped it, who received it.
    pub comment: String,
    /// Source address, if it has one.
    pub source: Option<IpAddr>,
    /// Destination address, if it has one.
    pub destination: Option<IpAddr>,
    /// The Ethernet frame; on `lo` the IP packet.
    pub bytes: Vec<u8>,
}

impl Lab {
    /// Captures from now on what passes the devices of a place, or those of all containers on a network.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// let capture = lab.capture("web")?;
    /// lab.connect("app", "web:80").assert_ok();
    /// capture.assert_saw("TCP SYN 172.18.0.3");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If the name is neither a place nor a network.
    pub fn capture(&mut self, what: &str) -> Result<Capture, LabError> {
        // A place first: `host` is a network of Docker's, too.
        let choices = match (self.namespace_of(what), self.network_name(what)) {
            (Ok(namespace), _) => vec![Choice { namespace, device: None, frames: Frames::Both }],
            (Err(_), Some(network)) => self.devices_on(&network),
            (Err(error), None) => return Err(error),
        };
        Ok(self.begin(Selection::Only(choices)))
    }

    /// Captures from now on what passes any device.
    ///
    /// ```
    /// use linkspan::lab::Lab;
    ///
    /// let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// let capture = lab.capture_all();
    /// lab.ping("web", "outside").assert_ok();
    /// assert!(capture.packets().iter().any(|packet| packet.comment.contains("translated")));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use = "the capture ends when this is dropped"]
    pub fn capture_all(&mut self) -> Capture {
        self.begin(Selection::All)
    }

    fn begin(&mut self, selection: Selection) -> Capture {
        self.flush();
        let capture = Rc::new(RefCell::new(pcapng::Capture::new(selection)));
        self.captures.push(Rc::downgrade(&capture));
        Capture(capture)
    }

    /// The real name of a network, by its key or by itself.
    pub(super) fn network_name(&self, name: &str) -> Option<String> {
        let daemon = self.world.daemon(self.host)?;
        let key = self.scenario.network(name).map(|network| network.name.clone());
        let mut named = key.into_iter().chain([name.to_owned()]);
        named.find(|name| daemon.networks().any(|network| network.name == *name))
    }

    fn devices_on(&self, network: &str) -> Vec<Choice> {
        let containers = self.world.daemon(self.host).into_iter().flat_map(|daemon| daemon.containers());
        let mut choices = Vec::new();
        for container in containers {
            for endpoint in container.endpoints.iter().filter(|e| e.network_name == network) {
                let device = endpoint.active.as_ref().and_then(|active| active.device);
                choices.extend(device.map(|device| Choice {
                    namespace: container.name.clone(),
                    device: Some(device.to_string()),
                    frames: Frames::Both,
                }));
            }
        }
        choices
    }

    /// What a place's namespace is called in captures.
    fn namespace_of(&self, what: &str) -> Result<String, LabError> {
        match self.place(what) {
            Ok(Location::Container(_, name)) | Ok(Location::Machine(name)) => Ok(name),
            Ok(Location::Host(host)) => {
                let daemon = self.world.daemon(host);
                Ok(daemon.map(|daemon| daemon.host().hostname.clone()).unwrap_or_default())
            }
            Err(LabError::Unknown { name, mut known, .. }) => {
                known.extend(self.scenario.networks.iter().map(|network| network.key.value.clone()));
                let near = nearest(&name, known.iter().map(String::as_str)).map(str::to_owned);
                Err(LabError::Unknown { kind: "place or network", name, nearest: near, known })
            }
            Err(other) => Err(other),
        }
    }
}

impl Capture {
    /// What was seen so far, in order.
    ///
    /// ```
    /// # use linkspan::lab::{Direction, Lab};
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// let capture = lab.capture("web")?;
    /// lab.ping("app", "web").assert_ok();
    /// let packets = capture.packets();
    /// let echo = packets.iter().find(|packet| packet.summary.starts_with("ICMP echo request")).unwrap();
    /// assert_eq!((echo.direction, echo.device.as_str()), (Direction::In, "eth0"));
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn packets(&self) -> Vec<Packet> {
        let capture = self.0.borrow();
        let packet = |seen: pcapng::Seen<'_>| {
            let summary = seen.summary();
            Packet {
                time: seen.time,
                place: seen.device.namespace.clone(),
                device: seen.device.name.clone(),
                direction: seen.direction,
                comment: seen.comment.to_owned(),
                source: summary.source,
                destination: summary.destination,
                summary: summary.text,
                bytes: seen.frame.to_vec(),
            }
        };
        capture.seen().map(packet).collect()
    }

    /// What was seen so far as a pcapng file, which Wireshark and tcpdump read; verdicts are packet comments.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}}")?;
    /// let capture = lab.capture("web")?;
    /// lab.ping("host", "172.18.0.2").assert_ok();
    /// let file = capture.pcapng()?; // std::fs::write("target/ping.pcapng", &file)
    /// assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Errors
    /// If the format cannot hold it.
    pub fn pcapng(&self) -> Result<Vec<u8>, LabError> {
        self.0.borrow().merged().map_err(|error| LabError::Capture(error.to_string()))
    }

    /// A packet whose summary or comment contains this text was seen.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// let capture = lab.capture("app")?;
    /// lab.exec("app", "nslookup web").assert_success();
    /// capture.assert_saw("DNS query").assert_saw("A web");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the packets that were seen, if there was none.
    #[track_caller]
    pub fn assert_saw(&self, text: &str) -> &Self {
        assert!(self.count(text) > 0, "expected a packet with {text:?}\n{self}");
        self
    }

    /// No packet whose summary or comment contains this text was seen.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// let capture = lab.capture("outside")?;
    /// lab.connect("app", "web:80").assert_ok();
    /// capture.assert_saw_no("172.18.0.");
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    ///
    /// # Panics
    /// With the packets that were seen, if there was one.
    #[track_caller]
    pub fn assert_saw_no(&self, text: &str) -> &Self {
        assert!(self.count(text) == 0, "expected no packet with {text:?}\n{self}");
        self
    }

    /// How many packets were seen whose summary or comment contains this text.
    ///
    /// ```
    /// # use linkspan::lab::Lab;
    /// # let mut lab = Lab::from_compose("services: {web: {image: nginx}, app: {image: busybox, command: sleep 1h}}")?;
    /// let capture = lab.capture("app")?;
    /// lab.exec("app", "ping -c 3 web").assert_success();
    /// assert_eq!(capture.count("ICMP echo reply"), 3);
    /// # Ok::<(), linkspan::lab::LabError>(())
    /// ```
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        let capture = self.0.borrow();
        let has = |seen: &pcapng::Seen<'_>| seen.comment.contains(text) || seen.summary().text.contains(text);
        capture.seen().filter(has).count()
    }
}

/// Packets shown by a failed assertion.
const SHOWN: usize = 40;

impl fmt::Display for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packets = self.packets();
        write!(f, "{} packets were seen", packets.len())?;
        let hidden = packets.len().saturating_sub(SHOWN);
        if hidden > 0 {
            write!(f, ", these are the last {SHOWN}")?;
        }
        packets.iter().skip(hidden).try_for_each(|packet| write!(f, "\n  {packet}"))
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::In => "in ",
            Direction::Out => "out",
        };
        let time = self.time.as_secs_f64();
        write!(f, "{time:.6} {}/{} {direction} {}", self.place, self.device, self.summary)?;
        if self.comment.is_empty() { Ok(()) } else { write!(f, " ({})", self.comment) }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
