//! The small kernel, sans-I/O: time, devices, wires, network namespaces, routes, neighbours, netfilter hooks, local
//! sockets and events.
//!
//! # Theory of operation
//!
//! The engine owns no clock and no descriptor. The caller hands it frames ([`Engine::input`]) and time
//! ([`Engine::advance`]), lets it run ([`Engine::drain`]), and asks when to come back ([`Engine::deadline`]).
//! [`Engine::apply`] is how it is programmed, between drains only; `sys` is what programs call.
//!
//! A frame that crosses a veth, a bridge or an ideal wire arrives at once: it waits in a FIFO, and draining runs the
//! FIFO to its end without recursion. Only wires with a delay, timers and sockets use the ordered queue. A run is a
//! pure function of the plans, the inputs and the seed.
//!
//! The way of a packet is Linux's, and so are the names: a local packet goes OUTPUT, POSTROUTING, neighbour, device;
//! a received one PREROUTING, then INPUT or FORWARD and POSTROUTING; a bridged IP frame passes the namespace's
//! PREROUTING, FORWARD and POSTROUTING as with `bridge-nf-call-iptables=1`. Every drop has one [`event::DropReason`]
//! and a counter.
//!
//! Limits: no policy routing, no multicast membership (hosts take every group), no IPv6 router discovery.

mod address_filter;
mod administer;
mod announce;
mod apply;
mod arp;
mod bridging;
mod child;
mod device;
mod duplicate_address;
mod effort;
mod environment;
pub mod errno;
mod ethernet;
pub mod event;
mod fifo;
mod flow;
mod flow_events;
pub mod flow_filter;
mod flow_key;
mod icmp_errors;
mod icmp_limit;
pub mod id;
mod interface_numbers;
pub mod interface_settings;
mod ip;
mod ip_fragments;
mod link;
mod local;
mod namespace;
pub mod namespace_settings;
mod ndp;
mod neighbour;
mod netfilter;
mod packet_socket;
mod payload;
mod pipe;
pub mod plan;
mod proc;
mod proc_net;
mod queue;
mod receive_buffer;
mod resolution;
mod route;
mod snmp;
mod socket;
mod source;
mod stream;
pub mod sys;
mod tables;
mod time_to_live;
mod udp;
pub mod view;

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use linkspan_nat::interface::InterfaceName;
use linkspan_nat::rule::Family;
use linkspan_nat::ruleset::RuleSet;
use linkspan_switch::frame::{Checksum, Frame, Pool, TraceId};
use linkspan_switch::offload;
use linkspan_switch::storm::{StormConfig, StormError, StormGuard};
use rand_xoshiro::Xoshiro256StarStar;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::tcp::{Sender, TcpStack};

use address_filter::AddressFilters;
use announce::Announcement;
pub use apply::ApplyError;
use device::Device;
use event::{DropReason, Event, EventKind};
use fifo::{Arrival, Fifo};
use flow::{Draft, Flows};
use flow_events::FlowListeners;
use icmp_limit::IcmpLimits;
use id::{DeviceId, LinkId, NamespaceId, SocketId};
use link::Link;
use namespace::Namespace;
use namespace_settings::NamespaceSettings;
use payload::Payloads;
use plan::{DeviceName, NamespaceName, Owner};
use queue::TimerQueue;
use snmp::Snmp;
use socket::Sockets;

/// The kernel of a simulated world. See the module documentation.
pub struct Engine {
    now: Duration,
    seed: u64,
    random: Xoshiro256StarStar,
    pool: Pool,
    payloads: Payloads,
    namespaces: Vec<Option<Box<Namespace>>>,
    /// What namespaces begin with, and share until it changes.
    blank_rules: [RuleSet; 2],
    address_filters: AddressFilters,
    names: BTreeMap<NamespaceName, NamespaceId>,
    devices: Vec<Option<Device>>,
    /// What devices were called that are gone: events about them are read later.
    departed: BTreeMap<DeviceId, (NamespaceId, InterfaceName)>,
    links: Vec<Option<Link>>,
    fifo: Fifo,
    timers: TimerQueue<Timer>,
    /// When fragments of a namespace are looked at next.
    fragments_due: BTreeMap<NamespaceId, Duration>,
    tcp: TcpStack,
    sockets: Sockets,
    owners: BTreeMap<Owner, Vec<apply::Undo>>,
    flows: Flows,
    draft: Option<Box<Draft>>,
    /// Moves with everything that plans and rules can change.
    epoch: u64,
    announcements: BTreeMap<(DeviceId, std::net::IpAddr), Announcement>,
    detections: BTreeMap<(DeviceId, std::net::Ipv6Addr), duplicate_address::Progress>,
    outputs: VecDeque<(DeviceId, Frame)>,
    /// Kept between drains for its memory.
    tcp_outgoing: Vec<(NamespaceId, Frame, Option<Sender>)>,
    events: Vec<Event>,
    watched: bool,
    /// Somebody looks at frames: events are recorded, or a packet socket is open. Then nothing takes a short way.
    observed: bool,
    /// Whose frame is being sent.
    packet_sender: Option<SocketId>,
    sequence: u64,
    drops: BTreeMap<DropReason, u64>,
    snmp: Snmp,
    namespace_settings: NamespaceSettings,
    icmp_limits: IcmpLimits,
    flow_listeners: FlowListeners,
    guard: StormGuard,
    /// What the guard said about the frame that was just processed.
    storm: Option<StormError>,
    received: u64,
    next_trace: u64,
}

/// What the ordered queue holds.
enum Timer {
    /// A frame reaches the end of a wire.
    Arrival { link: LinkId, device: DeviceId, frame: Frame },
    /// A neighbour entry wants attention.
    Neighbour { namespace: NamespaceId, device: DeviceId, address: std::net::IpAddr },
    /// An address is announced again.
    Announcement { device: DeviceId, address: std::net::IpAddr },
    /// An address is asked for again, or nobody else has it.
    DuplicateAddress { device: DeviceId, address: std::net::Ipv6Addr },
    /// Fragments may have expired.
    Fragments { namespace: NamespaceId },
    /// A program waits for this moment.
    Wake(Waker),
}

/// Why the engine wants to be called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A frame arrives at the end of a wire.
    Arrival,
    /// A neighbour entry must be probed or given up.
    Neighbour,
    /// An address is announced again.
    Announcement,
    /// An IPv6 address is asked for again, or nobody else has it.
    DuplicateAddress,
    /// Fragments expire.
    Fragments,
    /// A program sleeps until then.
    Program,
    /// A TCP timer.
    Tcp,
}

/// A forwarding loop was found: frames go in a circle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("packet storm on {device}: {reason}; look for two bridges joined twice")]
pub struct Storm {
    /// What ran out.
    pub reason: StormError,
    /// The device that received the last frame.
    pub device: String,
}

/// What [`Engine::drain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Nothing is left to do at this instant.
    Idle,
    /// The budget is used up; call again.
    More,
}

impl Engine {
    /// An empty engine. Seed 0 is plain order; any other seed also permutes what happens at equal times on
    /// different wires.
    pub fn new(seed: u64) -> Engine {
        Engine {
            now: Duration::ZERO,
            seed,
            random: Xoshiro256StarStar::seed_from_u64(seed),
            pool: Pool::new(),
            payloads: Payloads::default(),
            namespaces: Vec::new(),
            blank_rules: [RuleSet::new(Family::Ipv4), RuleSet::new(Family::Ipv6)],
            address_filters: AddressFilters::default(),
            names: BTreeMap::new(),
            devices: Vec::new(),
            departed: BTreeMap::new(),
            links: Vec::new(),
            fifo: Fifo::default(),
            timers: TimerQueue::new(seed),
            fragments_due: BTreeMap::new(),
            tcp: TcpStack::new(seed).with_segmentation_offload(),
            sockets: Sockets::default(),
            owners: BTreeMap::new(),
            flows: Flows::default(),
            draft: None,
            epoch: 0,
            announcements: BTreeMap::new(),
            detections: BTreeMap::new(),
            outputs: VecDeque::new(),
            tcp_outgoing: Vec::new(),
            events: Vec::new(),
            watched: false,
            observed: false,
            packet_sender: None,
            sequence: 0,
            drops: BTreeMap::new(),
            snmp: Snmp::default(),
            namespace_settings: NamespaceSettings::default(),
            icmp_limits: IcmpLimits::default(),
            flow_listeners: FlowListeners::default(),
            guard: StormGuard::new(StormConfig::default()),
            storm: None,
            received: 0,
            next_trace: 0,
        }
    }

    /// Virtual time since the start of the run.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Turns the recording of events on or off.
    pub fn watch(&mut self, watched: bool) {
        self.watched = watched;
        self.observe();
    }

    /// The events since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// A frame from outside arrives at an [`plan::DeviceSpec::External`] device. It is copied.
    pub fn input(&mut self, port: DeviceId, frame: &[u8]) {
        let mut copy = self.pool.copy_of(frame);
        copy.set_trace(self.new_trace());
        self.fifo.push(port, copy);
    }

    /// Moves time forward and lets what is due by then enter the FIFO. Time never moves back.
    pub fn advance(&mut self, now: Duration) {
        if now > self.now {
            self.now = now;
            self.set_flow_event_time();
        }
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.fire(timer);
        }
    }

    /// Processes at most `budget` frames.
    pub fn drain(&mut self, budget: usize) -> Result<Drained, Storm> {
        for _ in 0..budget {
            let Some(Arrival { device, frame, tracked }) = self.fifo.pop() else {
                // TCP's timers come after what else is due, so that an error that arrives now ends an attempt
                // before it is repeated.
                self.tcp.advance(self.now);
                if self.tcp_egress() {
                    continue;
                }
                self.wake_flow_listeners();
                return Ok(Drained::Idle);
            };
            self.received += 1;
            match tracked {
                false => self.receive(device, frame),
                true => self.receive_tracked(device, frame),
            }
            if self.storm.is_some()
                && let Some(reason) = self.storm.take()
            {
                self.fifo.clear();
                return Err(Storm { reason, device: self.describe_device(device) });
            }
        }
        Ok(Drained::More)
    }

    /// When to call [`Engine::advance`] again, and why; `None` if nothing will ever happen by itself.
    pub fn deadline(&mut self) -> Option<(Duration, Reason)> {
        let timer = self.timers.deadline().map(|time| {
            let reason = match self.timers.peek() {
                Some(Timer::Arrival { .. }) => Reason::Arrival,
                Some(Timer::Neighbour { .. }) => Reason::Neighbour,
                Some(Timer::Announcement { .. }) => Reason::Announcement,
                Some(Timer::DuplicateAddress { .. }) => Reason::DuplicateAddress,
                Some(Timer::Fragments { .. }) => Reason::Fragments,
                Some(Timer::Wake(_)) | None => Reason::Program,
            };
            (time, reason)
        });
        let tcp = self.tcp.deadline().map(|time| (time, Reason::Tcp));
        match (timer, tcp) {
            (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
            (a, b) => a.or(b),
        }
    }

    /// The next frame that left by an external device, checksums complete and segments cut.
    pub fn take_output(&mut self) -> Option<(DeviceId, Frame)> {
        self.outputs.pop_front()
    }

    /// The namespace with this name.
    pub fn namespace(&self, name: &NamespaceName) -> Option<NamespaceId> {
        self.names.get(name).copied()
    }

    /// The device with this name.
    pub fn device(&self, name: &DeviceName) -> Option<DeviceId> {
        let namespace = self.namespaces.get(self.namespace(&name.namespace)?.index())?.as_ref()?;
        namespace.by_name.get(&name.name)
    }

    /// The name of a namespace; `None` once it is gone.
    pub fn namespace_name(&self, id: NamespaceId) -> Option<&NamespaceName> {
        self.namespaces.get(id.index())?.as_ref().map(|n| &n.name)
    }

    /// Namespace and name of a device; `None` once it is gone.
    pub fn device_name(&self, id: DeviceId) -> Option<(NamespaceId, InterfaceName)> {
        self.devices.get(id.index())?.as_ref().map(|d| (d.namespace, d.name))
    }

    /// Namespace and name that a device had which is gone.
    pub fn departed_device_name(&self, id: DeviceId) -> Option<(NamespaceId, InterfaceName)> {
        self.departed.get(&id).copied()
    }

    /// Every namespace, in order of creation.
    pub fn namespace_ids(&self) -> Vec<NamespaceId> {
        let living = self.namespaces.iter().enumerate().filter(|(_, n)| n.is_some());
        living.map(|(i, _)| NamespaceId(i as u32)).collect()
    }

    /// Frames that devices received so far.
    pub fn frames(&self) -> u64 {
        self.received
    }

    /// Frames and packets dropped so far, by reason.
    pub fn drops(&self) -> &BTreeMap<DropReason, u64> {
        &self.drops
    }

    /// Frames under way: 0 when nothing is. Frames that wait for a neighbour or a wire count, datagrams that wait to be
    /// read do not.
    pub fn frames_outstanding(&self) -> usize {
        self.pool.outstanding() - self.sockets.waiting()
    }

    /// Buffers ever allocated.
    pub fn frame_allocations(&self) -> u64 {
        self.pool.allocations()
    }

    /// A number from the run's seed.
    pub fn random(&mut self) -> u32 {
        self.random.next_u32()
    }

    /// Wakes a program at a moment.
    pub(crate) fn wake_at(&mut self, time: Duration, waker: Waker) {
        self.timers.push(time, u64::MAX, Timer::Wake(waker));
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Arrival { link, device, frame } => {
                if self.links.get(link.index()).is_some_and(Option::is_some) {
                    self.fifo.push(device, frame);
                } else {
                    self.drop_frame(frame, None, Some(device), DropReason::Gone);
                }
            }
            Timer::Neighbour { namespace, device, address } => {
                self.neighbour_timer(namespace, device, address)
            }
            Timer::Announcement { device, address } => self.announcement_timer(device, address),
            Timer::DuplicateAddress { device, address } => self.detection_timer(device, address),
            Timer::Fragments { namespace } => self.expire_fragments(namespace),
            Timer::Wake(waker) => waker.wake(),
        }
    }

    /// An identity for a packet that begins here. What makes packets is not repeated by others of its flow.
    fn new_trace(&mut self) -> TraceId {
        self.draft = None;
        self.next_trace += 1;
        TraceId(self.next_trace)
    }

    fn event(&mut self, trace: TraceId, kind: impl FnOnce(&Engine) -> EventKind) {
        if self.watched {
            let kind = kind(self);
            self.events.push(Event { time: self.now, sequence: self.sequence, trace, kind });
            self.sequence += 1;
        }
    }

    fn drop_frame(
        &mut self,
        frame: Frame,
        namespace: Option<NamespaceId>,
        device: Option<DeviceId>,
        reason: DropReason,
    ) {
        self.draft = None;
        *self.drops.entry(reason).or_default() += 1;
        self.snmp.dropped(namespace, reason, frame.bytes());
        self.event(frame.trace(), |_| EventKind::Dropped { namespace, device, reason });
    }

    fn describe_device(&self, id: DeviceId) -> String {
        match self.device_name(id) {
            Some((namespace, name)) => match self.namespace_name(namespace) {
                Some(namespace) => format!("{name} in {namespace}"),
                None => name.to_string(),
            },
            None => id.to_string(),
        }
    }

    fn socket_error(
        &mut self,
        trace: TraceId,
        namespace: NamespaceId,
        socket: SocketId,
        errno: errno::Errno,
    ) {
        self.event(trace, |_| EventKind::SocketError { namespace, socket, errno });
    }
}

/// A number in [0, 1) of 53 bits, the precision of an f64.
fn unit(random: &mut Xoshiro256StarStar) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// The bytes of a frame as an event carries them: whoever looks at a packet sees a finished checksum.
fn captured(frame: &Frame) -> Bytes {
    if frame.checksum() == Checksum::Complete {
        return Bytes::copy_from_slice(frame.bytes());
    }
    let mut finished = frame.share();
    // A checksum field outside the frame is shown as it is.
    let _ = offload::complete_checksum(&mut finished);
    Bytes::copy_from_slice(finished.bytes())
}

/// What a capture shows of a frame whose IP header begins at `network_offset`: one that is still to be segmented shows as
/// its segments.
fn captured_segments(frame: &Frame, network_offset: usize) -> Vec<Bytes> {
    if frame.segmentation().is_some()
        && let Ok(segments) = offload::segment(frame.share(), network_offset)
    {
        return segments.map(|segment| Bytes::copy_from_slice(segment.bytes())).collect();
    }
    vec![captured(frame)]
}
