//! Outputs, as the settings page edits them.

use async_trait::async_trait;
use covigil_console::{
    BackendError,
    backend::{Configuration, Output},
};
use covigil_model::{Alert, AlertId, AlertState, EntityKind, EntityRef, OpContext, RuleRef, Severity};

use super::{NodeBackend, state_error};
use crate::outputs::deliver;

#[async_trait]
impl Configuration for NodeBackend {
    async fn outputs(&self, ctx: &OpContext) -> Result<Vec<Output>, BackendError> {
        let mut outputs = self.dispatcher.outputs(ctx).await.map_err(state_error)?;
        for output in &mut outputs {
            crate::dispatch::without_secrets(output);
        }
        Ok(outputs)
    }

    async fn put_output(&self, ctx: &OpContext, output: Output) -> Result<(), BackendError> {
        self.dispatcher.put_output(ctx, output).await.map_err(state_error)
    }

    async fn remove_output(&self, ctx: &OpContext, name: &str) -> Result<(), BackendError> {
        self.dispatcher.remove_output(ctx, name).await.map_err(state_error)
    }

    async fn test_output(&self, ctx: &OpContext, name: &str) -> Result<String, BackendError> {
        let outputs = self.dispatcher.outputs(ctx).await.map_err(state_error)?;
        let output = outputs.iter().find(|output| output.name == name);
        let output = output.ok_or_else(|| BackendError::NotFound(format!("the output {name}")))?;
        let alert = test_alert(ctx);
        match deliver(output, self.dispatcher.message(&alert)).await {
            Ok(()) => Ok("The test alert was taken.".to_owned()),
            Err(error) => Ok(format!("It did not work: {error}")),
        }
    }
}

/// An alert that says it is a test.
fn test_alert(ctx: &OpContext) -> Alert {
    let rule = RuleRef {
        id: "covigil.test".to_owned(),
        title: "Test alert: this output works".to_owned(),
        level: Severity::Informational,
        techniques: Vec::new(),
        tactics: Vec::new(),
        description: "Sent from the settings page. Nothing happened.".to_owned(),
        false_positives: Vec::new(),
        references: Vec::new(),
    };
    Alert {
        id: AlertId::derived(&[b"test", ctx.at().to_string().as_bytes()]),
        tenant: ctx.tenant(),
        rule,
        solution: "covigil".to_owned(),
        severity: Severity::Informational,
        risk: 0,
        group: "covigil.test".to_owned(),
        summary: None,
        entities: vec![EntityRef { kind: EntityKind::User, name: ctx.actor().name().to_owned() }],
        count: 1,
        first_seen: ctx.at(),
        last_seen: ctx.at(),
        raised: ctx.at(),
        state: AlertState::New,
        disposition: None,
        assignee: None,
        assignee_name: None,
        changed: ctx.at(),
    }
}
