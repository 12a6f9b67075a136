//! What of a request decides its target: stickiness by cookie, and hashing.
//! Clients keep the target, and in weighted forwards the group, that they had.
//!
//! Compiled with the plan into the forwards that need it. Asked twice per request of such a forward:
//! by what the client sent, before a target is chosen ([`Sticky::claim`]), and for what to tell it,
//! once one is ([`Sticky::answer`]). Choosing itself is `balance`'s: it keeps a claimed target only
//! while that takes work. A cookie that does not count is passed over, counted, and replaced.
//!
//! Cost: forwards without stickiness pay one branch; with it, opening and sealing a cookie of some 60
//! bytes unless the worker did it lately (`memory`).

mod cookie;
mod keys;
mod memory;
mod set_cookie;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use conf::{Address, CookieName, GroupStickiness, HashBy, TargetGroup};
use tokio::time::Instant;

use crate::balance::{Origin, hash_of};
use crate::l7::http1::RequestHead;
use crate::metrics::{StickyOutcome, WorkerCounters};
use crate::wall_clock::WallClock;
pub use cookie::{cookie_set, cookie_value};
pub(crate) use keys::KeyRing;
use keys::unix;
use memory::Answer;
pub(crate) use memory::Memory;
pub(crate) use set_cookie::SetCookies;
use token::{Fault, Owner, Place};

/// Numbers given so far.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Stickiness of one forward.
#[derive(Debug)]
pub(crate) struct Sticky {
    /// No other, of this or an earlier configuration, has it.
    number: u64,
    /// `None` when there are no cookies.
    ring: Option<Arc<KeyRing>>,
    /// The choice of a group.
    group: Option<Cookie>,
    /// By the place of the route.
    routes: Box<[Way]>,
}

/// A group that the forward can take.
#[derive(Debug)]
struct Way {
    owner: Owner,
    target: Option<TargetCookie>,
    /// What the group hashes requests by.
    hash_by: Option<HashBy>,
}

/// A cookie of the balancer's.
#[derive(Debug)]
struct Cookie {
    name: CookieName,
    owner: Owner,
    duration: Duration,
}

#[derive(Debug)]
struct TargetCookie {
    cookie: Cookie,
    /// The application's cookie that a session begins with.
    application: Option<Arc<str>>,
    honour_draining: bool,
}

/// What a request says about where it belongs, and where it goes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Claim {
    /// The route it takes.
    place: Option<usize>,
    /// The target it had.
    target: Option<Address>,
    honour_draining: bool,
    /// Hash of what its group goes by.
    hash: Option<u64>,
    /// When it was made, in seconds since 1970; 0 where there are no cookies.
    second: u64,
}

impl Claim {
    /// The route it takes; `None` when the forward has none to take.
    pub(crate) fn place(&self) -> Option<usize> {
        self.place
    }

    /// The target it had.
    pub(crate) fn target(&self) -> Option<Address> {
        self.target
    }

    /// `origin`, with the target that is to be kept, and what it is hashed by.
    pub(crate) fn origin(&self, origin: Origin) -> Origin {
        let origin = match self.hash {
            Some(hash) => origin.with_hash(hash),
            None => origin,
        };
        match self.target {
            Some(target) => origin.with_target(target, self.honour_draining),
            None => origin,
        }
    }
}

/// Who asks for a claim, and when the request came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) counters: &'a WorkerCounters,
    pub(crate) clock: &'a WallClock,
    pub(crate) at: Instant,
}

impl Sticky {
    /// The stickiness of a forward called `name` to groups, by the place of their routes; `None`
    /// when nothing in it is sticky.
    pub(crate) fn new<'g>(
        name: &str,
        group: Option<&GroupStickiness>,
        routes: impl Iterator<Item = &'g TargetGroup>,
        ring: impl FnOnce() -> Arc<KeyRing>,
    ) -> Option<Box<Self>> {
        let group = group.map(|sticky| Cookie {
            name: sticky.cookie.clone(),
            owner: Owner::new("forward", name),
            duration: sticky.duration,
        });
        let route = |config: &TargetGroup| {
            let owner = Owner::new("target-group", &config.name);
            let target = config.cookie.as_ref().map(|sticky| TargetCookie {
                cookie: Cookie {
                    name: sticky.cookie.clone(),
                    owner,
                    duration: sticky.duration,
                },
                application: sticky.application.as_deref().map(Arc::from),
                honour_draining: sticky.honour_draining,
            });
            let hash_by = config.request_hash.as_ref().map(|hash| hash.by.clone());
            Way {
                owner,
                target,
                hash_by,
            }
        };
        let routes: Box<[_]> = routes.map(route).collect();
        let has_cookies = group.is_some() || routes.iter().any(|way| way.target.is_some());
        let is_needed = has_cookies || routes.iter().any(|way| way.hash_by.is_some());
        is_needed.then(|| {
            Box::new(Self {
                number: NUMBERS.fetch_add(1, Ordering::Relaxed),
                ring: has_cookies.then(ring),
                group,
                routes,
            })
        })
    }

    /// True when clients are told of their session: not where requests are only hashed.
    pub(crate) fn has_cookies(&self) -> bool {
        self.ring.is_some()
    }

    /// True when clients keep their group.
    pub(crate) fn keeps_groups(&self) -> bool {
        self.group.is_some()
    }

    /// What a request claims. `choose` chooses among routes for one that claims none.
    pub(crate) fn claim(
        &self,
        head: &RequestHead<'_, '_>,
        asked: Asked<'_>,
        choose: impl FnOnce() -> Option<usize>,
    ) -> Claim {
        let ring = self.ring.as_ref();
        let Asked {
            memory, counters, ..
        } = asked;
        let now = ring.map_or(UNIX_EPOCH, |_| asked.clock.at(asked.at));
        let read = |cookie: &Cookie| {
            let open = |value: &[u8]| {
                let token = memory.open(value, ring?);
                Some(token.and_then(|token| token.check(cookie.owner, now)))
            };
            let found = read(cookie, head, open)?;
            found
                .map_err(|fault| counters.sticky(StickyOutcome::of(fault)))
                .ok()
        };
        let claimed = match self.group.as_ref().and_then(read) {
            Some(Place::Group(group)) => self.routes.iter().position(|way| way.owner == group),
            _ => None,
        };
        let place = claimed.or_else(choose);
        let route = place.and_then(|place| self.routes.get(place));
        let target = route.and_then(|way| way.target.as_ref());
        let present = |name: &str| head_cookies(head, name.as_bytes()).next().is_some();
        let has_session = target
            .filter(|target| target.application.as_deref().is_none_or(present))
            .and_then(|target| read(&target.cookie));
        Claim {
            place,
            target: match has_session {
                Some(Place::Target(address)) => Some(address),
                _ => None,
            },
            honour_draining: target.is_some_and(|target| target.honour_draining),
            hash: route
                .and_then(|way| part_of(head, way.hash_by.as_ref()?))
                .map(hash_of),
            second: unix(now),
        }
    }

    /// Writes the cookies that an answer of `target` is to carry.
    pub(crate) fn answer(
        &self,
        claim: &Claim,
        (target, is_secure): (Address, bool),
        memory: &Memory,
        out: &mut SetCookies,
    ) {
        out.clear();
        let (Some(route), Some(ring)) = (claim.place, &self.ring) else {
            return;
        };
        let Some(way) = self.routes.get(route) else {
            return;
        };
        let answer = Answer {
            sticky: self.number,
            route,
            target,
            is_secure,
            begins: claim.target.is_none(),
            second: claim.second,
        };
        memory.answer(answer, out, |out| self.write(way, answer, ring, out));
    }

    fn write(&self, way: &Way, answer: Answer, ring: &KeyRing, out: &mut SetCookies) {
        let now = UNIX_EPOCH + Duration::from_secs(answer.second);
        let mut write = |cookie: &Cookie, place: Place, only_with: Option<&Arc<str>>| {
            let mut value = Vec::new();
            let until = now + cookie.duration;
            if token::write(&mut value, ring, cookie.owner, until, place).is_some() {
                out.add(
                    &cookie.name,
                    &value,
                    cookie.duration,
                    now,
                    answer.is_secure,
                    only_with,
                );
            }
        };
        if let Some(group) = &self.group {
            write(group, Place::Group(way.owner), None);
        }
        if let Some(sticky) = &way.target {
            // A session that goes on is renewed; another begins when the application says so.
            let begins_with = sticky.application.as_ref();
            let only_with = begins_with.filter(|_| answer.begins);
            write(&sticky.cookie, Place::Target(answer.target), only_with);
        }
    }

    /// Counts what became of a request's claim to its target, which `target` got.
    pub(crate) fn count(&self, claim: &Claim, target: Address, counters: &WorkerCounters) {
        let route = claim.place.and_then(|place| self.routes.get(place));
        if route.is_some_and(|way| way.target.is_some()) {
            counters.sticky(match claim.target {
                None => StickyOutcome::New,
                Some(had) if had == target => StickyOutcome::Kept,
                Some(_) => StickyOutcome::Moved,
            });
        }
    }
}

/// The first value of `cookie` that counts when opened, else why the first one does not; `None` when
/// there is none.
fn read(
    cookie: &Cookie,
    head: &RequestHead<'_, '_>,
    open: impl Fn(&[u8]) -> Option<Result<Place, Fault>>,
) -> Option<Result<Place, Fault>> {
    let names = [Some(cookie.name.name.as_str()), cookie.name.cross_site];
    let values = names
        .into_iter()
        .flatten()
        .flat_map(|name| head_cookies(head, name.as_bytes()));
    let mut first = None;
    for value in values {
        let found = open(value)?;
        if found.is_ok() {
            return Some(found);
        }
        first.get_or_insert(found);
    }
    first
}

/// The part of a request that it is hashed by; `None` when it has none, and goes where its flow does.
fn part_of<'h>(head: &'h RequestHead<'_, '_>, by: &'h HashBy) -> Option<&'h [u8]> {
    let (path, query) = match head.target.split_once('?') {
        Some((path, query)) => (path, query),
        None => (head.target, ""),
    };
    match by {
        HashBy::Path => Some(path.as_bytes()),
        HashBy::Cookie(name) => head_cookies(head, name.as_bytes()).next(),
        HashBy::Header(name) => {
            let mut fields = head.fields.iter();
            let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
            Some(field.value)
        }
        HashBy::Query(name) => {
            let mut pairs = query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            let (_, value) = pairs.find(|(key, _)| key == name)?;
            Some(value.as_bytes())
        }
    }
}

/// The values of a cookie, one at most of each Cookie field.
fn head_cookies<'h>(
    head: &'h RequestHead<'_, '_>,
    name: &'h [u8],
) -> impl Iterator<Item = &'h [u8]> {
    let fields = head.fields.iter();
    let fields = fields.filter(|field| field.name.eq_ignore_ascii_case("cookie"));
    fields.filter_map(move |field| cookie_value(field.value, name))
}

impl StickyOutcome {
    fn of(fault: Fault) -> Self {
        match fault {
            Fault::Oversized => Self::Oversized,
            Fault::Forged => Self::Forged,
            Fault::Foreign => Self::Foreign,
            Fault::Expired => Self::Expired,
        }
    }
}
