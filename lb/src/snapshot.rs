//! The immutable compiled view every worker reads: listeners, routes, groups and their tiers.
//!
//! Made by `compile`, published by the control task in one swap, read by workers through
//! [`WorkerContext::with_snapshot`](crate::WorkerContext::with_snapshot). Holds no sockets and no
//! tasks; live numbers are behind `Arc`s that outlive it.
//!
//! Cost: a route or group is an index into a slice; no hashing per request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use conf::{Address, Algorithm, GroupProtocol, ListenerProtocol, UnhealthyFlows, UnixName};
use healthcheck::{GroupId, SlotId};

use crate::balance::Picker;
use crate::filter::Filter;
use crate::l4::{ConnectionIds, Sources};
use crate::l7::desync::Strictness;
use crate::l7::headers::{RequestEdits, ResponseEdits};
use crate::l7::{ErrorPages, PaceLimits};
use crate::limits::ListenerLoad;
use crate::metrics::{ExchangeCounters, ListenerCounters, PerWorker};
use crate::queue::Queue;
use crate::retries::Retries;
use crate::rules::{Branch, Rules};
use crate::sockets::SocketKey;
use crate::target::{Fate, Padded, Target};
use crate::tls::{TargetTls, Terminator};

/// Index of a group in one snapshot's configuration generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupIndex(pub(crate) usize);

/// A compiled listener. Shared by every snapshot of one configuration generation.
#[derive(Debug)]
pub struct Listener {
    /// Its place in the file it was compiled from.
    pub(crate) index: usize,
    /// Its name.
    pub name: Arc<str>,
    /// What it speaks.
    pub protocol: ListenerProtocol,
    /// Who may use it; `None` = everybody.
    pub(crate) filter: Option<Filter>,
    /// By priority; none for `tcp`.
    pub(crate) rules: Rules,
    /// What becomes of everything that no rule claims.
    pub(crate) default: Branch,
    /// Where a request is counted that goes to no group.
    pub(crate) unrouted: Tally,
    /// Whose connections they are; `None` = their senders'.
    pub(crate) proxy_in: Option<conf::ProxyIn>,
    /// A client connection without a byte for this long is closed.
    pub idle_timeout: Duration,
    /// A request head must be complete this long after its first byte.
    pub header_timeout: Duration,
    /// Request heads over this many bytes are refused with 431.
    pub max_header_bytes: usize,
    /// Clients may begin with HTTP/2's preface.
    pub(crate) http2: bool,
    /// A client connection that is as old as this takes no more requests.
    pub(crate) client_keep_alive: Duration,
    /// Requests that a client's connection may bring, of HTTP/1 and of HTTP/2.
    pub(crate) max_requests: (u32, u32),
    /// Request bodies over this many bytes are refused with 413.
    pub max_request_body: u64,
    /// What is done about requests in which something is unusual.
    pub(crate) strictness: Strictness,
    /// What it changes in requests; `None` on the plain path.
    pub(crate) request_edits: Option<RequestEdits>,
    /// What it changes in responses; `None` on the plain path.
    pub(crate) response_edits: Option<ResponseEdits>,
    /// How slow and how long its exchanges may be; `None` = silence alone is limited.
    pub(crate) pace: Option<PaceLimits>,
    /// What clients get in place of our own sentences.
    pub(crate) error_pages: Option<Box<ErrorPages>>,
    /// How TLS is agreed on with its clients; `None` in clear text.
    pub(crate) tls: Option<Arc<Terminator>>,
    /// How long its UDP flows live and how many there may be.
    pub(crate) udp: conf::UdpSettings,
    /// Connections by client address; survives reloads by name.
    pub(crate) connection_sources: Option<Arc<Sources>>,
    /// Connections of one client address at most.
    pub(crate) max_connections_per_source: u32,
    /// UDP flows by client address; survives reloads by name.
    pub(crate) sources: Option<Arc<Sources>>,
    /// Addresses it accepts on, with the ports the kernel chose for port 0.
    pub bound: Vec<SocketAddr>,
    /// Unix sockets it accepts on.
    pub(crate) unix: Vec<UnixName>,
    /// Open connections and their limit; survives reloads by name.
    pub load: Arc<ListenerLoad>,
    /// Counters by worker; survive reloads by name.
    pub counters: PerWorker<ListenerCounters>,
}

impl Listener {
    /// The first port it accepts on; the scheme's own when there is none but Unix sockets.
    pub(crate) fn port(&self) -> u16 {
        let own = self.scheme_port();
        self.bound.first().map_or(own, |bound| bound.port())
    }

    /// The port that clients need not write.
    pub(crate) fn scheme_port(&self) -> u16 {
        if self.protocol.is_tls() { 443 } else { 80 }
    }

    /// Every address it accepts on, with real ports.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> {
        let ip = self.bound.iter().map(|bound| Address::Ip(*bound));
        ip.chain(self.unix.iter().map(|name| Address::Unix(*name)))
    }
}

/// One destination of a listener.
#[derive(Debug, Clone)]
pub struct Route {
    /// The group; good for snapshots of the listener's configuration generation.
    pub group: GroupIndex,
    /// Where its requests are counted.
    pub tally: Tally,
}

/// The counters of one (listener, group).
#[derive(Debug, Clone)]
pub struct Tally {
    /// The group's name; empty for requests that go to none.
    pub group_name: Arc<str>,
    /// Counters by worker; survive reloads by (listener name, group name).
    pub counters: PerWorker<ExchangeCounters>,
}

/// What of a target's health matters to choosing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Probes have not decided yet.
    Initial,
    /// Takes work.
    Healthy,
    /// Takes work only when the group fails open.
    Unhealthy,
    /// Takes no new work, whatever happens.
    Draining,
    /// In an availability zone that other processes serve: takes no new work from this one.
    Elsewhere,
}

/// A registered target as one snapshot sees it.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its live numbers.
    pub target: Arc<Target>,
    /// Share of new work; 0 = none.
    pub weight: u16,
    /// What of its weight is due now, in percent: less than 100 in slow start, and while its
    /// traffic fails more than that of the others.
    pub share: u8,
    /// It is in slow start.
    pub(crate) is_growing: bool,
    /// Used only when no target that is not a backup can be.
    pub backup: bool,
    /// Work it may have at a time; 0 = any.
    pub(crate) max_in_flight: u32,
    /// What QUIC connection IDs of it carry.
    pub(crate) server_id: Box<[u8]>,
    /// What its health says.
    pub condition: Condition,
    /// What is to happen to work in hand.
    pub(crate) fate: Fate,
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.target, &other.target)
            && (self.weight, self.share, self.backup) == (other.weight, other.share, other.backup)
            && (self.condition, self.fate) == (other.condition, other.fate)
            && self.is_growing == other.is_growing
            && self.max_in_flight == other.max_in_flight
            && self.server_id == other.server_id
    }
}

/// What a group's file entry says of the data path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// Its name.
    pub name: Arc<str>,
    /// What its targets speak.
    pub protocol: GroupProtocol,
    /// How a target is chosen.
    pub algorithm: Algorithm,
    /// How long work waits for a target to recover.
    pub hold: Duration,
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// How long a target may be silent while an answer is due.
    pub response_timeout: Duration,
    /// How TLS is agreed on with its targets; `None` in clear text.
    pub tls: Option<Arc<TargetTls>>,
    /// What `request-hash` lets a target have, in percent of its share; 0 = any number.
    pub hash_balance: u32,
    /// How often failed requests are tried again.
    pub retries: conf::Retries,
    /// How long work waits for a place on a target while all are full.
    pub queue_timeout: Duration,
    /// Connections to its targets come from their clients' addresses.
    pub preserve_client_ip: bool,
    /// What connections to its targets begin with.
    pub proxy_out: conf::ProxyOut,
    /// Ends flows with the deregistration delay.
    pub connection_termination: bool,
    /// What becomes of flows on probed unhealthiness.
    pub unhealthy_flows: UnhealthyFlows,
    /// A client address keeps its target, whatever the algorithm.
    pub sticky_by_source: bool,
    /// How QUIC connections keep their target.
    pub connection_id: Option<conf::ConnectionId>,
}

/// A target group compiled for choosing. See [`Group::pick`] (in `balance`) for the order.
#[derive(Debug)]
pub struct Group {
    /// What the file says.
    pub settings: GroupSettings,
    /// Every registered target, in the order of the file.
    pub members: Vec<Member>,
    /// True when nothing is registered that this process could use.
    pub is_empty: bool,
    /// True when too few targets are healthy: all registered, not draining targets are used.
    pub fail_open: bool,
    /// Targets in slow start that take only a part of the turns they get, with that part in
    /// percent: where load decides, a smaller weight would leave an idle group's new target
    /// nothing.
    pub(crate) thinned: Vec<(SlotId, u8)>,
    /// Healthy targets that are not backups.
    pub(crate) primaries: Picker,
    /// Healthy backups.
    pub(crate) backups: Picker,
    /// All registered targets that take work at all, whatever probes say; initial ones left out.
    pub(crate) last_resort: Picker,
    /// The place in the rotation; survives reloads by name, shared by all workers.
    pub(crate) cursor: Arc<Padded<AtomicU64>>,
    /// True when some of its targets have a limit.
    pub(crate) is_limited: bool,
    /// Who waits for a place on its targets; survives reloads by name.
    pub(crate) queue: Arc<Queue>,
    /// What it may try again; survives reloads by name.
    pub(crate) retries: Arc<Retries>,
    /// How its QUIC connections are told apart.
    pub(crate) connection_ids: Option<ConnectionIds>,
}

impl Group {
    /// The group's name.
    pub fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    /// Requests and flows that its targets ever got.
    pub(crate) fn selected(&self) -> u64 {
        let members = self.members.iter();
        members.fold(0, |sum, member| sum.wrapping_add(member.target.selected()))
    }

    /// True while some target is in slow start: it is to be compiled anew from time to time.
    pub(crate) fn is_growing(&self) -> bool {
        self.members.iter().any(|member| member.is_growing)
    }
}

/// Everything workers need to know, at one configuration and one health generation.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) plan: Arc<Plan>,
    pub(crate) health_generation: u64,
    /// In the order of the plan's configuration.
    pub(crate) groups: Vec<Arc<Group>>,
    /// Targets that left the configuration and whose deregistration delay still runs.
    pub(crate) departing: Vec<Departing>,
    /// Grows whenever some target's fate changed: workers then look at the work they have in hand.
    pub(crate) fate_epoch: u64,
}

/// A target that is no longer configured but may still finish its work.
#[derive(Debug, Clone)]
pub(crate) struct Departing {
    pub(crate) target: Arc<Target>,
    pub(crate) connection_termination: bool,
}

/// What depends on the configuration alone: made once per configuration generation.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// As configured; [`GroupIndex`] points here too.
    pub(crate) groups: Vec<conf::TargetGroup>,
    pub(crate) generation: u64,
    pub(crate) slots: Arc<healthcheck::SlotMap>,
    /// In the order of the configuration.
    pub(crate) listeners: Vec<Arc<Listener>>,
    /// Which listener a socket belongs to.
    pub(crate) routes: HashMap<SocketKey, usize>,
    /// Names for people asking; never used per request.
    pub(crate) group_names: HashMap<Arc<str>, usize>,
    /// Which group to compile anew when a slot changes.
    pub(crate) groups_by_slot: HashMap<SlotId, usize>,
    /// Which group to compile anew when a roll-up changes.
    pub(crate) groups_by_id: HashMap<GroupId, usize>,
}

impl Snapshot {
    /// The configuration generation it was compiled from.
    pub fn config_generation(&self) -> u64 {
        self.plan.generation
    }

    /// The health table's generation it was compiled from.
    pub fn health_generation(&self) -> u64 {
        self.health_generation
    }

    /// The listeners, in the order of the file.
    pub fn listeners(&self) -> &[Arc<Listener>] {
        &self.plan.listeners
    }

    /// The groups, in the order of the file.
    pub fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }

    /// What `listener` is in this snapshot: itself, its successor of the same name after a
    /// reload, or `None` once it is no longer configured (finish the work in hand, then close).
    pub fn current(&self, listener: &Listener) -> Option<&Arc<Listener>> {
        let same_place = self.plan.listeners.get(listener.index);
        same_place
            .filter(|found| found.name == listener.name)
            .or_else(|| self.plan.listeners.iter().find(|l| l.name == listener.name))
    }

    /// The group a route leads to. `None` when the route was made for another configuration
    /// generation and the group is gone: ask the listener's current route, or answer 503.
    pub fn group(&self, route: &Route) -> Option<&Arc<Group>> {
        let group = self.groups.get(route.group.0)?;
        let name = &route.tally.group_name;
        if Arc::ptr_eq(group.name(), name) || **group.name() == **name {
            return Some(group);
        }
        self.group_named(name)
    }

    /// True while some target is in slow start.
    pub(crate) fn is_growing(&self) -> bool {
        self.groups.iter().any(|group| group.is_growing())
    }

    /// The group of this name.
    pub fn group_named(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.get(*self.plan.group_names.get(name)?)
    }

    /// A target's live numbers, registered or in its deregistration delay.
    pub(crate) fn target(&self, group: &str, address: impl Into<Address>) -> Option<&Arc<Target>> {
        let address = address.into();
        let group_found = self.group_named(group);
        let registered = group_found
            .into_iter()
            .flat_map(|g| &g.members)
            .map(|m| &m.target);
        let departing = self.departing.iter().map(|departing| &departing.target);
        let departing = departing.filter(|target| **target.group() == *group);
        registered
            .chain(departing)
            .find(|target| target.address() == address)
    }

    /// The listener that a socket's connections belong to.
    pub(crate) fn listener_of(&self, key: &SocketKey) -> Option<&Arc<Listener>> {
        self.plan.listeners.get(*self.plan.routes.get(key)?)
    }
}
