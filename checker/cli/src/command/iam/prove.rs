//! `checker iam prove`: a statement about every request, proved or refuted.

use checker_core::access::{Everyone, Judged, Requests, Statement};
use checker_core::control::Claim;
use checker_core::verdict::Verdict;
use clap::Args;
use serde_json::{Value, json};

use super::source::{Gathered, Source};
use super::{Format, print};
use crate::console::Console;
use crate::failure::Failure;

/// Options of `checker iam prove`.
#[derive(Debug, Args)]
pub(in crate::command) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// An action, exact or with wildcards; may be repeated.
    #[arg(long = "action", value_name = "ACTION", required = true)]
    actions: Vec<String>,
    /// An ARN pattern, `*`, or `alias/NAME` for a key; may be repeated.
    #[arg(long = "resource", value_name = "ARN", required = true)]
    resources: Vec<String>,
    /// An ARN pattern that the statement leaves out; may be repeated.
    #[arg(long = "outside", value_name = "ARN")]
    outside: Vec<String>,
    /// Only this principal, by name or ARN, or `policy/NAME` for whoever holds it; may be repeated.
    #[arg(long = "principal", value_name = "NAME")]
    principals: Vec<String>,
    /// A principal that is excepted; may be repeated.
    #[arg(long = "except", value_name = "NAME")]
    except: Vec<String>,
    /// Only requests in which this holds: `OPERATOR KEY VALUE..`, such as `StringLike kms:ViaService ssm.*`.
    #[arg(long = "when", value_name = "CONDITION")]
    when: Vec<String>,
    /// Prove that each of them can instead.
    #[arg(long)]
    can: bool,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Proves it.
pub(super) async fn prove(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let statement = statement(arguments)?;
    let named = arguments.principals.first().map(String::as_str);
    let exact = match arguments.resources.as_slice() {
        [single] => Some(single.as_str()),
        _ => None,
    };
    let Gathered {
        facts,
        target,
        given,
    } = arguments
        .source
        .gather(named, exact, console, |facts| statement.questions(facts))
        .await?;
    let judged = match Everyone::new(&facts) {
        Ok(everyone) => everyone.prove_with(&statement, &facts, target, &given),
        Err(unseen) => vec![Judged {
            principal: "principals".to_owned(),
            verdict: Verdict::Inconclusive,
            because: vec![unseen.to_string()],
            requests: Vec::new(),
            path: None,
        }],
    };
    let verdict =
        Verdict::over(judged.iter().map(|judged| judged.verdict)).unwrap_or(Verdict::Inconclusive);
    match arguments.format {
        Format::Json => print(&json!({
            "claim": if arguments.can { "can" } else { "nobody-can" },
            "verdict": word(verdict),
            "principals": judged.iter().map(shown).collect::<Vec<_>>(),
        })),
        Format::Text => {
            for judged in &judged {
                told(judged, console);
            }
            console.line(word(verdict));
        }
    }
    Ok(verdict.exit_code())
}

fn statement(arguments: &Arguments) -> Result<Statement, Failure> {
    let mut when = Vec::new();
    for text in &arguments.when {
        let mut parts = text.split_whitespace().map(str::to_owned);
        let (Some(operator), Some(key)) = (parts.next(), parts.next()) else {
            return Err(Failure::Usage(format!(
                "`--when {text}`: expected an operator, a key and values"
            )));
        };
        if !checker_iam::is_operator(&operator) {
            return Err(Failure::Usage(format!(
                "`--when {text}`: `{operator}` is no condition operator"
            )));
        }
        when.push((operator, key, parts.collect()));
    }
    // Of files there is one principal, whatever it is called.
    let principals = if arguments.source.is_files() || arguments.principals.is_empty() {
        arguments.can.then(|| vec!["*".to_owned()])
    } else {
        Some(arguments.principals.clone())
    };
    Ok(Statement {
        claim: if arguments.can {
            Claim::Can
        } else {
            Claim::NobodyCan
        },
        principals,
        except: arguments.except.clone(),
        requests: Requests {
            actions: arguments.actions.clone(),
            resources: arguments.resources.clone(),
            outside: arguments.outside.clone(),
            when,
        },
        together_with: None,
        scp_may_deny: false,
    })
}

/// The word for a proof.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "proved",
        Verdict::Fail => "refuted",
        Verdict::Inconclusive | Verdict::Waived | Verdict::NotApplicable => "undecided",
    }
}

/// One principal's result as data.
pub(super) fn shown(judged: &Judged) -> Value {
    json!({
        "principal": judged.principal,
        "verdict": word(judged.verdict),
        "because": judged.because,
        "requests": judged.requests,
        "path": judged.path,
    })
}

/// One principal's result for people.
pub(super) fn told(judged: &Judged, console: Console) {
    console.line(&format!("{} {}", word(judged.verdict), judged.principal));
    for reason in &judged.because {
        console.line(&format!("  {reason}"));
    }
}
