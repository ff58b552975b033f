//! What happens to tracked connections, for programs that listen: `conntrack -E`.
//!
//! The table keeps the events (`linkspan_nat::conntrack`), each listener where it is in them. Connections end without anybody
//! calling for it, so a listener lets the table look at the next one that is due; without listeners nothing wakes up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use linkspan_nat::conntrack::{ConntrackEvent, EventKind};
use linkspan_nat::conntrack_text;

use super::Engine;
use super::flow_filter::FlowFilter;
use super::id::NamespaceId;

/// What a listener wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowWatch {
    /// Of which connections.
    pub filter: FlowFilter,
    /// Of those that are new, that change, and that end.
    pub kinds: [bool; 3],
    /// Whether lines name the network protocol too.
    pub extended: bool,
}

/// Something that happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowEvent {
    /// When.
    pub at: Duration,
    /// As `conntrack -E` prints it.
    pub line: String,
}

/// What was heard since the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowEventsHeard {
    /// The events, oldest first.
    pub events: Vec<FlowEvent>,
    /// How many were lost before them, wanted or not.
    pub lost: u64,
}

/// A program that listens; it stops when this is dropped.
pub struct FlowEvents {
    engine: Rc<RefCell<Engine>>,
    namespace: NamespaceId,
    watch: FlowWatch,
    next: u64,
    /// When the table is looked at again.
    armed: Duration,
}

/// Who waits for events of each namespace, and up to which event they were woken.
#[derive(Default)]
pub(super) struct FlowListeners(BTreeMap<NamespaceId, (u64, Vec<Waker>)>);

impl FlowWatch {
    fn wants(&self, event: &ConntrackEvent) -> bool {
        let kind = match event.kind {
            EventKind::New => 0,
            EventKind::Update => 1,
            EventKind::Destroy => 2,
        };
        self.kinds[kind] && self.filter.selects(&event.connection)
    }
}

impl FlowEvents {
    pub(super) fn new(engine: &Rc<RefCell<Engine>>, namespace: NamespaceId, watch: FlowWatch) -> FlowEvents {
        let next = engine.borrow_mut().listen_to_flows(namespace);
        FlowEvents { engine: engine.clone(), namespace, watch, next, armed: Duration::ZERO }
    }

    /// Waits for what is wanted to happen, or to be lost.
    pub async fn receive(&mut self) -> FlowEventsHeard {
        std::future::poll_fn(|context| {
            let mut engine = self.engine.borrow_mut();
            let now = engine.now();
            let Some(Some(space)) = engine.namespaces.get_mut(self.namespace.index()) else {
                return Poll::Pending;
            };
            let table = space.netfilter.conntrack_mut();
            table.set_event_time(now);
            table.expire(now);
            let heard = table.events_from(self.next);
            self.next = heard.next;
            let due = table.deadline();
            let wanted = heard.events.iter().filter(|event| self.watch.wants(event));
            let line = |event| conntrack_text::event_line(event, self.watch.extended);
            let events: Vec<_> = wanted.map(|event| FlowEvent { at: event.at, line: line(event) }).collect();
            if !events.is_empty() || heard.lost > 0 {
                return Poll::Ready(FlowEventsHeard { events, lost: heard.lost });
            }
            engine.await_flow_events(self.namespace, heard.next, context.waker().clone());
            if let Some(due) = due.filter(|due| self.armed <= now || *due < self.armed) {
                self.armed = due;
                engine.wake_at(due, context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

impl Drop for FlowEvents {
    fn drop(&mut self) {
        // Whoever ends a program may be the engine's own caller.
        if let Ok(mut engine) = self.engine.try_borrow_mut()
            && let Some(Some(space)) = engine.namespaces.get_mut(self.namespace.index())
        {
            space.netfilter.conntrack_mut().stop_listening();
        }
    }
}

impl Engine {
    fn listen_to_flows(&mut self, namespace: NamespaceId) -> u64 {
        let now = self.now;
        match self.namespaces.get_mut(namespace.index()) {
            Some(Some(space)) => space.netfilter.conntrack_mut().listen(now),
            _ => 0,
        }
    }

    fn await_flow_events(&mut self, namespace: NamespaceId, next: u64, waker: Waker) {
        let (told, wakers) = self.flow_listeners.0.entry(namespace).or_default();
        *told = next;
        if !wakers.iter().any(|known| known.will_wake(&waker)) {
            wakers.push(waker);
        }
    }

    /// Tells the tables that are listened to what time it is.
    pub(super) fn set_flow_event_time(&mut self) {
        for namespace in self.flow_listeners.0.keys() {
            if let Some(Some(space)) = self.namespaces.get_mut(namespace.index()) {
                space.netfilter.conntrack_mut().set_event_time(self.now);
            }
        }
    }

    /// Wakes who waits for events of tables where something happened.
    pub(super) fn wake_flow_listeners(&mut self) {
        if self.flow_listeners.0.is_empty() {
            return;
        }
        let namespaces = &self.namespaces;
        self.flow_listeners.0.retain(|namespace, (told, wakers)| {
            let Some(Some(space)) = namespaces.get(namespace.index()) else { return false };
            if space.netfilter.conntrack().is_some_and(|table| table.next_event() != *told) {
                wakers.drain(..).for_each(Waker::wake);
            }
            !wakers.is_empty()
        });
    }
}
