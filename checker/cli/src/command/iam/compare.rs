//! `checker iam compare`: whether a candidate policy grants anything that a reference does not.

use std::path::{Path, PathBuf};

use checker_core::observation::{Answer, Observation};
use checker_iam::proof::{Comparison, Limits, NewAccess, compare as compared};
use checker_iam::{Policy, PolicyKind};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::source::Source;
use super::{Format, managed, print};
use crate::console::Console;
use crate::failure::Failure;
use crate::policy_files::document;

/// What sort of policies are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// Of users, roles and groups.
    Identity,
    /// Of resources: every statement names principals.
    Resource,
}

/// Options of `checker iam compare`.
#[derive(Debug, Args)]
pub(in crate::command) struct Arguments {
    /// A file of JSON lines, answered with a JSON line each.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reference", "candidate"])]
    pub(super) batch: Option<PathBuf>,
    /// The policy that sets the limit: a file, or `policy/NAME` of the account.
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    reference: Option<PathBuf>,
    /// The policy that must not grant more: a file, or `policy/NAME` of the account.
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    candidate: Option<PathBuf>,
    /// What sort of policies they are.
    #[arg(long = "type", value_enum, default_value = "identity")]
    sort: Sort,
    #[command(flatten)]
    source: Source,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Compares them.
pub(super) async fn compare(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let empty = PathBuf::new();
    let reference = policy(
        arguments,
        arguments.reference.as_ref().unwrap_or(&empty),
        console,
    );
    let reference = reference.await?;
    let candidate = policy(
        arguments,
        arguments.candidate.as_ref().unwrap_or(&empty),
        console,
    );
    let candidate = candidate.await?;
    let found = compared(&reference, &candidate, Limits::default())
        .map_err(|error| Failure::Broken(format!("failed to compare: {error}")))?;
    let (word, access, because, code) = match found {
        Comparison::NoNewAccess => ("no-new-access", None, Vec::new(), 0),
        Comparison::NewAccess(access) => ("new-access", Some(access), Vec::new(), 1),
        Comparison::Possible { because, witness } => ("possible", Some(witness), because, 3),
        Comparison::Unknown { because } => ("unknown", None, vec![because], 3),
    };
    match arguments.format {
        Format::Json => print(&json!({
            "verdict": word, "witness": access.as_ref().map(shown), "because": because,
        })),
        Format::Text => {
            console.line(word);
            if let Some(access) = &access {
                let request = &access.request;
                let who = access.principal.as_deref().unwrap_or("whoever holds it");
                console.line(&format!(
                    "  {who}: {} on {}",
                    request.action, request.resource
                ));
                for (key, values) in &request.context {
                    console.line(&format!("  with {key}={}", values.join("|")));
                }
            }
            for reason in &because {
                console.line(&format!("  {reason}"));
            }
        }
    }
    Ok(code)
}

fn shown(access: &NewAccess) -> Value {
    let request = &access.request;
    json!({"principal": access.principal, "action": request.action, "resource": request.resource, "context": request.context})
}

async fn policy(arguments: &Arguments, path: &Path, console: Console) -> Result<Policy, Failure> {
    let kind = match arguments.sort {
        Sort::Identity => PolicyKind::Identity,
        Sort::Resource => PolicyKind::Resource,
    };
    let Some(name) = managed(path) else {
        return Ok(document(path, kind)?.1);
    };
    let gathered = arguments
        .source
        .gather(None, None, console, |_| vec![Observation::Authorization])
        .await?;
    let Ok(Answer::Authorization(all)) = gathered.facts.get(&Observation::Authorization) else {
        return Err(Failure::Unseen(
            "the policies of the account could not be read".to_owned(),
        ));
    };
    let wanted = name.trim_start_matches("policy/");
    let found = all
        .policies
        .iter()
        .find(|policy| policy.name == wanted)
        .ok_or_else(|| Failure::Usage(format!("the account has no {name}")))?;
    Policy::parse(&found.document, kind)
        .map(|policy| policy.named(&name))
        .map_err(|error| Failure::Usage(format!("{name}: {error}")))
}
