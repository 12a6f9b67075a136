//! Takes round trips as connections end, and tells DNS of what they come to.
//!
//! One task on the control thread, from start to end; asleep while nothing is measured.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use dns::Dns;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::table::Table;
use super::{Latencies, Settings, Shown};

/// How often what was measured is shown and told: plans of records are made anew for it.
const INTERVAL: Duration = Duration::from_secs(2);

/// Follows round trips until the balancer ends.
pub(crate) async fn follow(
    latencies: Latencies,
    mut trips: mpsc::Receiver<lb::RoundTrip>,
    dns: Dns,
) {
    let mut settings = latencies.0.settings.subscribe();
    // What serves already counts, too.
    settings.mark_changed();
    let mut gathering: Option<(Settings, Table)> = None;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = settings.changed() => match changed {
                Ok(()) => {
                    let wanted = settings.borrow_and_update().clone();
                    gathering = gathering_by(wanted, gathering);
                    let table = gathering.as_ref().map(|(_, table)| table);
                    dns.measured(table.map_or_else(Vec::new, Table::used));
                    show(&latencies, gathering.as_ref());
                }
                Err(_) => return,
            },
            trip = trips.recv() => match (trip, &mut gathering) {
                (Some(trip), Some((_, table))) => {
                    latencies.0.taken.fetch_add(1, Ordering::Relaxed);
                    table.take(trip.client, trip.time, Instant::now());
                }
                (Some(_), None) => {}
                (None, _) => return,
            },
            _ = ticks.tick(), if gathering.is_some() => {
                let Some((_, table)) = &mut gathering else { continue };
                if table.settle(Instant::now()) {
                    dns.measured(table.used());
                }
                show(&latencies, gathering.as_ref());
            }
        }
    }
}

/// What to gather from now on: times to another region say nothing of this one.
fn gathering_by(
    wanted: Option<Settings>,
    before: Option<(Settings, Table)>,
) -> Option<(Settings, Table)> {
    let wanted = wanted?;
    let table = match before {
        Some((settings, table)) if settings.region == wanted.region => {
            table.with_min_samples(wanted.min_samples)
        }
        _ => Table::new(wanted.min_samples),
    };
    Some((wanted, table))
}

fn show(latencies: &Latencies, gathering: Option<&(Settings, Table)>) {
    let (now, clock) = (Instant::now(), SystemTime::now());
    let shown = gathering.map(|(settings, table)| {
        let networks = table.networks().map(|network| Shown {
            network: network.network,
            region: settings.region.clone(),
            ms: network.ms,
            samples: network.samples,
            used: network.used,
            seen: clock - now.saturating_duration_since(network.seen),
        });
        networks.collect()
    });
    latencies.0.shown.store(Arc::new(shown.unwrap_or_default()));
}
