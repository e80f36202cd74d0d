//! `checker iam reach`: who can get at a secret or a permission, over how many steps.

use checker_core::access::{Everyone, Requests, Statement, mermaid};
use checker_core::control::Claim;
use checker_core::run::ReachPath;
use checker_core::verdict::Verdict;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::print;
use super::prove::{shown, told};
use super::source::{Gathered, Source};
use crate::console::{Console, data};
use crate::failure::Failure;

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Words for people, on stderr.
    Text,
    /// JSON on stdout.
    Json,
    /// A Mermaid graph on stdout.
    Mermaid,
}

/// Options of `checker iam reach`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("goal").required(true).args(["secrets", "resources"]))]
pub(in crate::command) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// A secret, by name or ARN; may be repeated.
    #[arg(long = "secret", value_name = "NAME", conflicts_with = "resources")]
    secrets: Vec<String>,
    /// An ARN pattern; may be repeated.
    #[arg(long = "resource", value_name = "ARN", requires = "actions")]
    resources: Vec<String>,
    /// What is reached; reading the value unless said otherwise, which takes the key as well. May be repeated.
    #[arg(long = "action", value_name = "ACTION")]
    actions: Vec<String>,
    /// Who sets out, by name or ARN; everybody unless said otherwise. May be repeated.
    #[arg(long = "from", value_name = "NAME")]
    from: Vec<String>,
    /// Who is excepted; may be repeated.
    #[arg(long = "except", value_name = "NAME")]
    except: Vec<String>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Shows it.
pub(super) async fn reach(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let statement = statement(arguments);
    let named = arguments.from.first().map(String::as_str);
    let Gathered { facts, target, .. } = arguments
        .source
        .gather(named, None, console, |facts| statement.questions(facts))
        .await?;
    let everyone = Everyone::new(&facts).map_err(|unseen| Failure::Unseen(unseen.to_string()))?;
    let judged = everyone.prove(&statement, &facts, target);
    let verdict =
        Verdict::over(judged.iter().map(|judged| judged.verdict)).unwrap_or(Verdict::Inconclusive);
    let paths: Vec<ReachPath> = judged
        .iter()
        .filter_map(|judged| {
            let steps = judged.path.clone()?;
            Some(ReachPath {
                rule: "reach".to_owned(),
                from: judged.principal.clone(),
                to: steps.last().map(|step| step.to.clone()).unwrap_or_default(),
                steps,
            })
        })
        .collect();
    match arguments.format {
        Format::Json => print(&json!({
            "verdict": match verdict {
                Verdict::Pass => "nobody",
                Verdict::Fail => "somebody",
                Verdict::Inconclusive | Verdict::Waived | Verdict::NotApplicable => "undecided",
            },
            "principals": judged.iter().map(shown).collect::<Vec<_>>(),
        })),
        Format::Mermaid => data(&mermaid(&paths)),
        Format::Text => {
            for judged in judged
                .iter()
                .filter(|judged| judged.verdict != Verdict::Pass)
            {
                told(judged, console);
            }
            let safe = judged
                .iter()
                .filter(|judged| judged.verdict == Verdict::Pass)
                .count();
            console.line(&format!(
                "{safe} of {} principals are proved not to get there",
                judged.len()
            ));
        }
    }
    Ok(verdict.exit_code())
}

fn statement(arguments: &Arguments) -> Statement {
    let mut resources = arguments.resources.clone();
    resources.extend(arguments.secrets.iter().map(|secret| {
        if secret.starts_with("arn:") {
            secret.clone()
        } else {
            format!("arn:*:secretsmanager:*:*:secret:{secret}-??????")
        }
    }));
    let actions = if arguments.actions.is_empty() {
        vec!["secretsmanager:GetSecretValue".to_owned()]
    } else {
        arguments.actions.clone()
    };
    let everybody = arguments.from.is_empty() || arguments.source.is_files();
    Statement {
        claim: Claim::CannotReach,
        principals: (!everybody).then(|| arguments.from.clone()),
        except: arguments.except.clone(),
        requests: Requests {
            actions,
            resources,
            outside: Vec::new(),
            when: Vec::new(),
        },
        together_with: None,
        scp_may_deny: false,
    }
}
