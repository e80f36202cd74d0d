//! AWS's own policy simulator: the second opinion on one request of one principal.

use aws_sdk_iam::operation::RequestId as _;
use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, OrganizationsDecisionDetail,
    PermissionsBoundaryDecisionDetail,
};
use checker_core::observation::answer::Simulation;
use checker_core::observation::{Answer, Simulated};

use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `SimulatePrincipalPolicy` for one action on one resource.
pub(super) async fn principal(aws: &Aws, asked: &Simulated) -> Seen {
    let operation = "iam:SimulatePrincipalPolicy";
    let entries = asked
        .context
        .iter()
        .map(|(key, values)| {
            ContextEntry::builder()
                .context_key_name(key)
                .context_key_type(match values.as_slice() {
                    [_] => ContextKeyTypeEnum::String,
                    _ => ContextKeyTypeEnum::StringList,
                })
                .set_context_key_values(Some(values.clone()))
                .build()
        })
        .collect::<Vec<_>>();
    let output = aws
        .iam
        .simulate_principal_policy()
        .policy_source_arn(&asked.principal)
        .action_names(&asked.action)
        .resource_arns(&asked.resource)
        .set_context_entries((!entries.is_empty()).then_some(entries))
        .send()
        .await
        .map_err(|error| unseen(operation, &error))?;
    let [result] = output.evaluation_results() else {
        return Err(incomplete(operation, "EvaluationResults"));
    };
    let simulation = Simulation {
        decision: result.eval_decision().as_str().to_owned(),
        matched: result
            .matched_statements()
            .iter()
            .filter_map(|statement| statement.source_policy_id())
            .map(str::to_owned)
            .collect(),
        missing_context: result.missing_context_values().to_vec(),
        allowed_by_boundary: result
            .permissions_boundary_decision_detail()
            .map(PermissionsBoundaryDecisionDetail::allowed_by_permissions_boundary),
        allowed_by_organisation: result
            .organizations_decision_detail()
            .map(OrganizationsDecisionDetail::allowed_by_organizations),
    };
    Ok((
        Answer::Simulation(simulation),
        aws.origin(output.request_id()),
    ))
}
