//! Whether the checker's own credentials can read what they have no business reading.
//!
//! In: the facts, and the secrets that probes may read. Out: [`Reading`]. A checker that could read every value would be
//! the way around every control that it judges.

use super::{Everyone, Requests, Statement};
use crate::control::Claim;
use crate::observation::{Answer, Facts, Observation};
use crate::probe::{Plan, Script};
use crate::run::Target;
use crate::verdict::Verdict;

/// What the caller can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// No value but those of probe secrets.
    Nothing,
    /// Values, as an allowed request shows.
    Values {
        /// ARN of the user or role.
        caller: String,
        /// Why it is so, in words.
        because: String,
    },
    /// Everything: it is the account's root user, whom no policy binds.
    Root,
    /// Nobody knows, for this reason.
    Unknown(String),
}

/// What the credentials of these facts can read.
pub fn readable(facts: &Facts, plan: &Plan) -> Reading {
    let caller = match facts.get(&Observation::Caller) {
        Ok(Answer::Caller(caller)) => caller,
        Ok(_) => return Reading::Unknown("who asks was not answered".to_owned()),
        Err(unseen) => return Reading::Unknown(unseen.to_string()),
    };
    if caller.arn.ends_with(":root") {
        return Reading::Root;
    }
    let everyone = match Everyone::new(facts) {
        Ok(everyone) => everyone,
        Err(unseen) => return Reading::Unknown(unseen.to_string()),
    };
    let Some(principal) = principal(&caller.arn, &caller.account, &everyone) else {
        return Reading::Unknown(format!("{} is no user or role of the account", caller.arn));
    };
    let statement = Statement {
        claim: Claim::NobodyCan,
        principals: Some(vec![principal]),
        except: Vec::new(),
        requests: Requests {
            actions: vec!["secretsmanager:GetSecretValue".to_owned()],
            resources: vec!["arn:aws:secretsmanager:*:*:secret:*".to_owned()],
            outside: of_probes(plan),
            when: Vec::new(),
        },
        together_with: None,
        scp_may_deny: false,
    };
    let mut judged = everyone.prove(&statement, facts, Target::Aws);
    let Some(judged) = judged.pop() else {
        return Reading::Unknown("nothing was proved of the caller".to_owned());
    };
    let because = judged.because.join("; ");
    match judged.verdict {
        Verdict::Pass => Reading::Nothing,
        Verdict::Fail => Reading::Values {
            caller: judged.principal,
            because,
        },
        Verdict::Inconclusive | Verdict::NotApplicable | Verdict::Waived => {
            Reading::Unknown(because)
        }
    }
}

/// The ARN of the user, or of the role of a session, as the account lists it.
fn principal(arn: &str, account: &str, everyone: &Everyone) -> Option<String> {
    let session = arn.split_once(":assumed-role/").map(|(_, rest)| rest);
    let Some(name) = session.and_then(|rest| rest.split('/').next()) else {
        let known = everyone.people.callers.iter().any(|known| known.arn == arn);
        return known.then(|| arn.to_owned());
    };
    let roles = format!("arn:aws:iam::{account}:role/");
    everyone
        .people
        .callers
        .iter()
        .find(|known| known.name == name && known.arn.starts_with(&roles))
        .map(|known| known.arn.clone())
}

/// ARN patterns of the secrets that probes read.
fn of_probes(plan: &Plan) -> Vec<String> {
    plan.probes
        .iter()
        .filter_map(|planned| match &planned.script {
            Script::Rotate { secret, .. }
            | Script::Anomaly { secret, .. }
            | Script::Sweep { secret, .. } => Some(secret),
            Script::Denied { resource, .. } => (!resource.starts_with('/')).then_some(resource),
        })
        .map(|name| format!("arn:aws:secretsmanager:*:*:secret:{name}-??????"))
        .collect()
}
