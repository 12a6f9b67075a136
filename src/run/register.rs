//! Applying other registrations of the same configuration: a generation of its own.
//!
//! Called by the control loop when a source of registrations has something new. Nothing is read
//! again but what the sources said; the file's own settings and zones stay as they are served.

use std::sync::Arc;
use std::time::Duration;

use super::start::Process;
use crate::registration::{Change, ChangeError, ChangeRequest, Changed};

/// Answers that come within it of each other make one generation.
const TOGETHER: Duration = Duration::from_millis(50);

impl Process {
    /// Changes what the operator registered, serves it and saves it.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing has changed then.
    pub(super) async fn change_registrations(
        &mut self,
        request: &ChangeRequest,
    ) -> Result<Changed, ChangeError> {
        let (group, change) = (request.group.as_str(), &request.change);
        let (changed, undo) = self.registry.change(group, change)?;
        if changed.is_empty() {
            let saved = true;
            return Ok(Changed { changed, saved });
        }
        let verb = match change {
            Change::Register(_) => "registered",
            Change::Deregister(_) => "deregistered",
        };
        for target in &changed {
            tracing::info!("operator: {group} {target}: {verb}");
        }
        if let Err(refused) = self.serve_registrations("the operator").await {
            self.registry.undo(undo);
            return Err(ChangeError::Refused(refused));
        }
        let saved = self.registry.save().await;
        Ok(Changed { changed, saved })
    }

    /// Serves what names and files say now. What came together is served together.
    pub(super) async fn follow_sources(&mut self) {
        let together = tokio::time::sleep(TOGETHER);
        tokio::pin!(together);
        loop {
            tokio::select! {
                () = &mut together => break,
                () = self.registry.changed() => {}
            }
        }
        self.report_sources();
        // The log has it when it was refused; the next change tries again.
        let _ = self.serve_registrations("names and files").await;
    }

    /// Shows how sources do.
    pub(super) fn report_sources(&mut self) {
        let reports = self.registry.reports();
        self.admin.sources.store(Arc::new(reports));
    }

    /// Serves what every source offers now; returns when every worker and the DNS server do.
    ///
    /// # Errors
    /// Why a plane refused it: nothing changed then, and the log says so.
    pub(super) async fn serve_registrations(&mut self, cause: &str) -> Result<(), String> {
        let old = self.admin.view();
        let merged = self.registry.merge_served();
        if merged.has_targets_of(&old.config) && merged.origins == old.origins {
            return Ok(());
        }
        let generation = old.generation + 1;
        let (zones, catalogue) = (self.zones.clone(), old.zones.clone());
        drop(old);
        match self
            .planes
            .serve(merged, zones, catalogue, generation)
            .await
        {
            Ok(view) => {
                self.show(view);
                tracing::info!("generation {generation} serves: registrations of {cause} changed");
                Ok(())
            }
            Err(refused) => {
                let reasons: Vec<String> = refused.into_iter().map(|d| d.message).collect();
                let reasons = reasons.join("; ");
                tracing::error!("registrations of {cause} cannot be served: {reasons}");
                Err(reasons)
            }
        }
    }
}
