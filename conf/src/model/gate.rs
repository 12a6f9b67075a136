//! The gate: what a request passes between being claimed by a rule and that rule's action.

use std::sync::Arc;

use super::{JwtValidation, RequestLimit, Rewrites};

/// What requests of a rule pass, or those that a listener's own action is for.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// How often they may come, beside the listener's own limits.
    pub limits: Vec<RequestLimit>,
    /// Whose tokens they must carry.
    pub jwt: Option<Arc<JwtValidation>>,
    /// What a forwarded request is turned into.
    pub rewrites: Rewrites,
}
