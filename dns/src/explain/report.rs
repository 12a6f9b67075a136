//! What an explanation says, as the API gives it.

use serde::{Deserialize, Serialize};

/// An answer and how it came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    pub r#type: String,
    /// Who asked.
    pub client: ClientReport,
    /// Response code.
    pub rcode: String,
    /// The AA bit.
    pub authoritative: bool,
    /// The answer section.
    pub answers: Vec<Line>,
    /// The authority section.
    pub authority: Vec<Line>,
    /// Leading bits of the client's address that decided, as ECS would say; `None` when nothing
    /// depended on the client.
    pub scope: Option<u8>,
    /// Every routed record on the way, in order.
    pub steps: Vec<Step>,
    /// The configuration's generation; 0 without a running process.
    pub generation: u64,
    /// The health table's generation.
    pub health_generation: u64,
    /// What the draws followed from.
    pub seed: u64,
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClientReport {
    /// Address, or network when it came by ECS.
    pub address: String,
    /// `sender`, `ecs` or `country`.
    pub source: String,
    /// Where the client is, as far as known; `None` when no record asks for it.
    pub whereabouts: Option<String>,
    /// What says so.
    pub found_by: Option<String>,
}

/// One record of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Line {
    /// Owner.
    pub name: String,
    /// Seconds.
    pub ttl: u32,
    /// Type.
    pub r#type: String,
    /// Data in presentation format.
    pub data: String,
}

/// One routed record on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Owner.
    pub name: String,
    /// Type.
    pub r#type: String,
    /// How a set is chosen.
    pub policy: String,
    /// What the policy went by.
    pub reason: String,
    /// Every set, in the order of the configuration.
    pub sets: Vec<Candidate>,
    /// The draw by weight, if there was one.
    pub draw: Option<Draw>,
    /// Leading bits of the client's address that chose among sets, where that is done by prefix.
    #[serde(default)]
    pub prefix_bits: Option<u8>,
    /// The ids of the sets that answered, in order.
    pub chosen: Vec<String>,
}

/// A draw by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Draw {
    /// The point drawn, from 0.
    pub point: u32,
    /// Below this: the sum of the weights that took part.
    pub of: u32,
}

/// One set of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Candidate {
    /// Set id; empty for a simple record's only set.
    pub id: String,
    /// Its place among the client's choices, from 1; `None` when it is not for the client.
    pub choice: Option<usize>,
    /// Whether it counts as healthy.
    pub healthy: bool,
    /// Why.
    pub health: Vec<String>,
    /// What else the policy sees: weight, role, place, latency, distance.
    pub details: Vec<String>,
    /// What it answers with.
    pub leads_to: String,
}
