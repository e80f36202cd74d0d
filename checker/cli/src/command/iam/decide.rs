//! `checker iam decide`: one request, with the statement that decided it and those that nearly did.

use std::path::PathBuf;

use checker_core::access::{Everyone, Requests, Statement};
use checker_core::control::Claim;
use checker_iam::{
    Action, Context, Effect, Explanation, Layers, PolicyKind, PolicySet, Principal, Request,
    Resource, StatementRef, explain,
};
use clap::Args;
use serde_json::{Value, json};

use super::source::{SOMEBODY, Source};
use super::{Format, files, print};
use crate::console::Console;
use crate::failure::Failure;
use crate::policy_files::document;

/// Options of `checker iam decide`.
#[derive(Debug, Args)]
pub(in crate::command) struct Arguments {
    /// A file of JSON lines, answered with a JSON line each.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["principal", "action", "resource"])]
    pub(super) batch: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
    /// Who asks: an ARN, or the name of a principal of the account.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// What is asked.
    #[arg(long, value_name = "ACTION", required_unless_present = "batch")]
    action: Option<String>,
    /// On what, as an ARN; `*` for actions without a resource.
    #[arg(long, value_name = "ARN", default_value = "*")]
    resource: String,
    /// A context key; repeated for a list.
    #[arg(long = "context", value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// The session policy.
    #[arg(long, value_name = "FILE")]
    session_policy: Option<PathBuf>,
    /// Resource control policies: `DIR/*.json`, or a folder a level.
    #[arg(long, value_name = "DIR")]
    rcp: Option<PathBuf>,
    /// The account that owns the resource, where its ARN doesn't say it.
    #[arg(long, value_name = "ACCOUNT")]
    resource_account: Option<String>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Decides it.
pub(super) async fn decide(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let action = arguments.action.as_deref().unwrap_or_default();
    let parsed = Action::new(action).map_err(|error| usage(&error))?;
    let (principal, mut context, mut layers) = layers(arguments, action, console).await?;
    for (key, values) in given(&arguments.context)?.iter() {
        context.set(key, values.iter().cloned());
    }
    if let Some(path) = &arguments.session_policy {
        let (_, policy) = document(path, PolicyKind::Identity)?;
        layers.session = Some(PolicySet::from(policy));
    }
    if let Some(folder) = &arguments.rcp {
        layers.rcps = crate::policy_files::levels(folder, PolicyKind::ResourceControl)?
            .into_iter()
            .map(|(_, policies)| PolicySet::new(policies))
            .collect();
    }
    let mut request =
        Request::new(principal, parsed, Resource::new(&arguments.resource)).in_context(context);
    if let Some(account) = &arguments.resource_account {
        request = request.owned_by(account);
    }
    let explanation = explain(&request, &layers);
    match arguments.format {
        Format::Json => print(&shown(&explanation)),
        Format::Text => told(&explanation, console),
    }
    Ok(u8::from(!explanation.decision.is_allowed()))
}

/// The caller and the layers: from files, or of a principal of the account.
async fn layers(
    arguments: &Arguments,
    action: &str,
    console: Console,
) -> Result<(Principal, Context, Layers), Failure> {
    let source = &arguments.source;
    if source.is_files() || (arguments.principal.is_none() && source.resource_policy.is_some()) {
        let name = arguments.principal.as_deref().unwrap_or(SOMEBODY);
        let principal =
            Principal::parse(name).map_err(|error| Failure::Usage(error.to_string()))?;
        let mut identity = Vec::new();
        for path in files(&source.policies) {
            identity.push(document(path, PolicyKind::Identity)?.1);
        }
        let one = |path: &Option<PathBuf>, kind| {
            path.as_ref()
                .map(|path| Ok::<_, Failure>(PolicySet::from(document(path, kind)?.1)))
                .transpose()
        };
        let scps = match &source.scp {
            Some(folder) => crate::policy_files::levels(folder, PolicyKind::Identity)?
                .into_iter()
                .map(|(_, policies)| PolicySet::new(policies))
                .collect(),
            None => Vec::new(),
        };
        let layers = Layers {
            identity: PolicySet::new(identity),
            resource: one(&source.resource_policy, PolicyKind::Resource)?,
            boundary: one(&source.boundary, PolicyKind::Identity)?,
            scps,
            ..Layers::default()
        };
        return Ok((principal, Context::new(), layers));
    }
    let name = arguments.principal.as_deref().ok_or_else(|| {
        Failure::Usage("give --principal, and --policy for policies in files".to_owned())
    })?;
    let requests = Requests {
        actions: vec![action.to_owned()],
        resources: vec![arguments.resource.clone()],
        ..Requests::default()
    };
    let statement = Statement {
        claim: Claim::NobodyCan,
        principals: Some(vec![name.to_owned()]),
        except: Vec::new(),
        requests: requests.clone(),
        together_with: None,
        scp_may_deny: false,
    };
    let gathered = source
        .gather(Some(name), None, console, |facts| {
            statement.questions(facts)
        })
        .await?;
    let (asker, layers) = Everyone::new(&gathered.facts)
        .map_err(|unseen| Failure::Unseen(unseen.to_string()))?
        .layers(name, &requests, &gathered.facts)
        .map_err(Failure::Unseen)?;
    Ok(((*asker.principal).clone(), (*asker.context).clone(), layers))
}

fn given(pairs: &[String]) -> Result<Context, Failure> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for pair in pairs {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("`--context {pair}`: expected KEY=VALUE")))?;
        match all
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(key))
        {
            Some((_, values)) => values.push(value),
            None => all.push((key, vec![value])),
        }
    }
    let mut context = Context::new();
    for (key, values) in all {
        context.set(key, values);
    }
    Ok(context)
}

fn shown(explanation: &Explanation) -> Value {
    let decision = &explanation.decision;
    let statement = |statement: &StatementRef| json!({"policy": statement.policy, "policyName": statement.policy_name, "statement": statement.statement, "sid": statement.sid});
    let effect = |effect: Effect| match effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    };
    json!({
        "decision": decision.verdict.name(),
        "decidedBy": {
            "layer": decision.by.layer.name(),
            "level": decision.by.layer.level(),
            "statement": decision.by.statement.as_ref().map(statement),
            "grant": decision.by.grant,
        },
        "missingContext": decision.missing_context,
        "matched": explanation.matched.iter().map(|(layer, place, kind)| json!({
            "layer": layer.name(), "level": layer.level(), "effect": effect(*kind), "statement": statement(place),
        })).collect::<Vec<_>>(),
        "nearMisses": explanation.near_misses.iter().map(|miss| json!({
            "layer": miss.layer.name(), "level": miss.layer.level(), "effect": effect(miss.effect),
            "statement": statement(&miss.statement), "because": miss.because,
        })).collect::<Vec<_>>(),
    })
}

fn told(explanation: &Explanation, console: Console) {
    let decision = &explanation.decision;
    let place = |place: &StatementRef| {
        let sid = place.sid.as_deref().map(|sid| format!(" ({sid})"));
        format!(
            "statement {}{} of {}",
            place.statement,
            sid.unwrap_or_default(),
            if place.policy_name.is_empty() {
                format!("policy {}", place.policy)
            } else {
                place.policy_name.clone()
            }
        )
    };
    let by = match (&decision.by.statement, &decision.by.grant) {
        (Some(statement), _) => place(statement),
        (None, Some(grant)) => format!("grant {grant}"),
        (None, None) => "nothing in it allows".to_owned(),
    };
    console.line(&format!(
        "{}: {}, {by}",
        decision.verdict.name(),
        decision.by.layer
    ));
    if !decision.missing_context.is_empty() {
        console.line(&format!(
            "context that was asked for and not given: {}",
            decision.missing_context.join(", ")
        ));
    }
    for miss in &explanation.near_misses {
        console.line(&format!(
            "near miss: {}, {}: {}",
            miss.layer,
            place(&miss.statement),
            miss.because.join("; ")
        ));
    }
}
