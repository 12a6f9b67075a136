//! What was traced, put in words.

use conf::Whereabouts;

use super::trace::{Taken, Trace};
use super::{Ask, Candidate, Draw, Explainer, Explanation, Step, message};
use crate::location::Client;
use crate::policy::{Background, DescribedSet};

impl Explainer {
    /// The explanation of a response.
    pub(super) fn report(
        &self,
        ask: &Ask,
        client: Client,
        trace: &Trace,
        response: &[u8],
    ) -> Explanation {
        let (client, there) = self.describe(&ask.from, client);
        let message = message::read(response);
        let steps = trace.taken.iter();
        Explanation {
            name: ask.name.to_string(),
            r#type: ask.rtype.to_string(),
            client,
            rcode: message::rcode(message.rcode),
            authoritative: message.authoritative,
            answers: message.answers,
            authority: message.authority,
            scope: trace.scope,
            steps: steps.filter_map(|taken| self.step(taken, there)).collect(),
            generation: self.snapshot.config_generation(),
            health_generation: self.health.generation(),
            seed: ask.seed,
        }
    }

    fn step(&self, taken: &Taken, there: Whereabouts) -> Option<Step> {
        let background = Background {
            config: self.compiled.config.as_deref()?,
            decisions: &self.snapshot.decisions,
            health: &self.health,
            withdrawn: self.withdrawn,
            now: self.moment(),
            there,
        };
        let routes = &self.compiled.routes;
        let described = routes.describe(taken.record, taken.class, background)?;
        let id = |set: &u16| {
            described
                .sets
                .get(usize::from(*set))
                .map(|set| set.id.clone())
        };
        let chosen = taken.sets.iter().filter_map(id).collect();
        let draw = taken.point.zip(described.weights);
        Some(Step {
            prefix_bits: taken.prefix_bits,
            name: described.name,
            r#type: described.rtype,
            policy: described.policy.to_owned(),
            reason: described.reason.to_owned(),
            sets: described.sets.into_iter().map(Candidate::from).collect(),
            draw: draw.map(|(point, of)| Draw { point, of }),
            chosen,
        })
    }
}

impl From<DescribedSet> for Candidate {
    fn from(set: DescribedSet) -> Self {
        let DescribedSet {
            id,
            choice,
            healthy,
            health,
            details,
            leads_to,
        } = set;
        Self {
            id,
            choice,
            healthy,
            health,
            details,
            leads_to,
        }
    }
}
