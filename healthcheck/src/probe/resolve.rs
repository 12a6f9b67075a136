//! Names of standalone checks: looked up anew for each probe, by the system's resolver
//! (/etc/hosts and resolv.conf).
//!
//! IPv4 only, as Route 53 does. A lookup that hangs ends with the time that connecting has; its thread
//! is the runtime's, which bounds how many there are.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::ProbePlan;
use super::connection::Stopwatch;
use crate::{Observation, Outcome};

/// The plan with the address that `name` has now; the observation when it has none.
pub(super) async fn resolve(plan: &ProbePlan, name: &str) -> Result<Arc<ProbePlan>, Observation> {
    let watch = Stopwatch::start();
    let limit = plan.limits.connect.min(plan.limits.total);
    let looked = timeout(
        limit,
        lookup_host((name, plan.address.port().unwrap_or_default())),
    )
    .await;
    let mut found = match looked {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            let seen = format!("DNS resolution failed: {name}: {error}");
            return Err(watch.end(Outcome::Failed, &seen));
        }
        Err(_) => return Err(watch.late(&format!("address of {name}"), limit)),
    };
    let Some(address) = found.find(SocketAddr::is_ipv4) else {
        let seen = format!("DNS resolution failed: {name} has no IPv4 address");
        return Err(watch.end(Outcome::Failed, &seen));
    };
    Ok(Arc::new(ProbePlan {
        address: address.into(),
        ..plan.clone()
    }))
}
