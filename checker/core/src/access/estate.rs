//! What statements are about: secrets, keys and functions with their own policies.
//!
//! In: the facts and the requests of a statement. Out: the questions that have to be asked first, and the resources with
//! their policies and grants. A policy that could not be read makes the whole statement undecided, because it might
//! grant on its own.

use std::collections::{BTreeMap, BTreeSet};

use checker_iam::proof::{Guarded, Question};
use checker_iam::reach::{Carrier, Demand, Goal};
use checker_iam::{Context, Grant, Policy, PolicyKind, PolicySet};

use super::statement::Requests;
use crate::observation::answer::{KeyGrant, ListedKey, ListedSecret};
use crate::observation::environment::FunctionEnvironment;
use crate::observation::{Answer, Facts, Observation};
use crate::population::{fits, mismatch};

/// Actions that show a secret's value, for which the key has to be usable too.
const READS: [&str; 2] = [
    "secretsmanager:getsecretvalue",
    "secretsmanager:batchgetsecretvalue",
];

/// The questions behind requests; more may follow once these are answered.
pub(super) fn questions(requests: &Requests, facts: &Facts) -> Vec<Observation> {
    let mut questions = Vec::new();
    if requests.touches("secretsmanager") {
        questions.push(Observation::Secrets);
        if let Ok(secrets) = secrets(requests, facts) {
            questions.extend(
                secrets
                    .iter()
                    .map(|secret| Observation::SecretPolicy(secret.arn.clone())),
            );
        }
    }
    if requests.touches("kms") {
        questions.extend([Observation::Keys, Observation::KeyAliases]);
        if let Ok(keys) = keys(requests, facts) {
            questions.extend(keys.iter().flat_map(|key| about_key(&key.id)));
        }
    }
    if requests.touches("lambda") {
        questions.push(Observation::FunctionEnvironments);
        if let Ok(functions) = functions(facts) {
            questions.extend(
                functions
                    .iter()
                    .filter(|function| any(&requests.resources, &function.arn))
                    .map(|function| Observation::FunctionPolicy(function.arn.clone())),
            );
        }
    }
    questions
}

/// The further questions behind reaching a secret: its key, and whatever runs with somebody's role.
pub(super) fn questions_of_reach(requests: &Requests, facts: &Facts) -> Vec<Observation> {
    let mut questions = questions(requests, facts);
    questions.extend([
        Observation::FunctionEnvironments,
        Observation::Keys,
        Observation::KeyAliases,
    ]);
    if let Ok(functions) = functions(facts) {
        questions.extend(
            functions
                .iter()
                .map(|function| Observation::FunctionPolicy(function.arn.clone())),
        );
    }
    if let Ok(groups) = by_key(requests, facts) {
        questions.extend(
            groups
                .keys()
                .flatten()
                .filter(|key| !key.id.is_empty())
                .flat_map(|key| about_key(&key.id)),
        );
    }
    questions
}

fn about_key(id: &str) -> [Observation; 2] {
    [
        Observation::KeyPolicy(id.to_owned()),
        Observation::KeyGrants(id.to_owned()),
    ]
}

/// The question with every `alias/..` replaced by the ARN of its key.
pub(super) fn resolved(requests: &Requests, facts: &Facts) -> Result<Question, String> {
    let mut question = requests.question();
    for resource in &mut question.resources {
        if resource.starts_with("alias/") {
            *resource = behind_alias(resource, facts)?;
        }
    }
    Ok(question)
}

fn behind_alias(alias: &str, facts: &Facts) -> Result<String, String> {
    let Answer::KeyAliases(aliases) = seen(facts, &Observation::KeyAliases)? else {
        return Err(mismatch(&Observation::KeyAliases).to_string());
    };
    let id = aliases
        .iter()
        .find(|known| known.name == alias)
        .and_then(|known| known.key_id.as_deref())
        .ok_or_else(|| format!("no key has the alias {alias}"))?;
    all_keys(facts)?
        .iter()
        .find(|key| key.id == id)
        .map(|key| key.arn.clone())
        .ok_or_else(|| format!("the key behind {alias} is not in the list of keys"))
}

/// The resources with policies of their own that requests are about.
pub(super) fn guarded(requests: &Requests, facts: &Facts) -> Result<Vec<Guarded>, String> {
    let mut guarded = Vec::new();
    if requests.touches("secretsmanager") {
        for secret in secrets(requests, facts)? {
            guarded.extend(guarded_secret(&secret.arn, facts)?);
        }
    }
    if requests.touches("kms") {
        for key in keys(requests, facts)? {
            guarded.push(guarded_key(key, facts)?);
        }
    }
    if requests.touches("lambda") {
        for function in functions(facts)? {
            if any(&requests.resources, &function.arn) {
                guarded.extend(guarded_function(&function.arn, facts)?);
            }
        }
    }
    Ok(guarded)
}

/// The same for reaching a secret.
pub(super) fn guarded_on_the_way(
    requests: &Requests,
    facts: &Facts,
) -> Result<Vec<Guarded>, String> {
    let mut all = guarded(requests, facts)?;
    for key in by_key(requests, facts)?.keys().flatten() {
        if !key.id.is_empty() {
            all.push(guarded_key(key, facts)?);
        }
    }
    for function in functions(facts)? {
        all.extend(guarded_function(&function.arn, facts)?);
    }
    let mut seen = BTreeSet::new();
    all.retain(|guarded| seen.insert(guarded.arn.clone()));
    Ok(all)
}

/// What carries which role: the functions.
pub(super) fn carriers(facts: &Facts) -> Result<Vec<Carrier>, String> {
    Ok(functions(facts)?
        .iter()
        .map(|function| Carrier {
            arn: function.arn.clone(),
            service: "lambda".to_owned(),
            role: function.role_arn.clone(),
        })
        .collect())
}

/// What must not be reached: any of the requests, and for reading a value the key of the secret as well.
pub(super) fn goal(requests: &Requests, facts: &Facts) -> Result<Goal, String> {
    let is_read = |action: &&String| READS.contains(&action.to_ascii_lowercase().as_str());
    let reads: Vec<String> = requests.actions.iter().filter(is_read).cloned().collect();
    let mut alternatives = Vec::new();
    if !reads.is_empty() {
        for (key, arns) in by_key(requests, facts)? {
            let mut demands = vec![Demand::from(Question {
                actions: reads.clone(),
                resources: arns.clone(),
                except_resources: Vec::new(),
            })];
            demands.extend(key.filter(|key| !key.id.is_empty()).map(|key| {
                let mut known = Context::new();
                let part = |at| key.arn.split(':').nth(at).unwrap_or_default();
                known.set(
                    "kms:ViaService",
                    [format!("secretsmanager.{}.amazonaws.com", part(3))],
                );
                if let [single] = arns.as_slice() {
                    known.set("kms:EncryptionContext:SecretARN", [single.clone()]);
                }
                Demand {
                    question: Question {
                        actions: vec!["kms:Decrypt".to_owned()],
                        resources: vec![key.arn.clone()],
                        except_resources: Vec::new(),
                    },
                    known,
                }
            }));
            alternatives.push(demands);
        }
    }
    for action in &requests.actions {
        if !is_read(&action) {
            alternatives.push(vec![Demand::from(Question {
                actions: vec![action.clone()],
                ..resolved(requests, facts)?
            })]);
        }
    }
    Ok(Goal { alternatives })
}

/// ARNs of the secrets that requests are about, by the key that encrypts them: `None` for AWS's own, which every
/// principal of the account may use through the service, and a key without an id for one that is not of this account.
fn by_key(
    requests: &Requests,
    facts: &Facts,
) -> Result<BTreeMap<Option<ListedKey>, Vec<String>>, String> {
    if !requests.touches("secretsmanager") {
        return Ok(BTreeMap::new());
    }
    let Answer::KeyAliases(aliases) = seen(facts, &Observation::KeyAliases)? else {
        return Err(mismatch(&Observation::KeyAliases).to_string());
    };
    let all = all_keys(facts)?;
    let mut groups: BTreeMap<Option<ListedKey>, Vec<String>> = BTreeMap::new();
    for secret in secrets(requests, facts)? {
        let key = secret
            .kms_key_id
            .as_deref()
            .map(|configured| {
                let local = configured.rsplit(':').next().unwrap_or(configured);
                if local.starts_with("alias/aws/") {
                    return None;
                }
                let id = if local.starts_with("alias/") {
                    aliases
                        .iter()
                        .find(|alias| alias.name == local)
                        .and_then(|alias| alias.key_id.as_deref())
                        .unwrap_or_default()
                } else {
                    local.rsplit('/').next().unwrap_or(local)
                };
                let known = all.iter().find(|key| key.id == id).cloned();
                Some(known.unwrap_or_else(|| ListedKey {
                    id: String::new(),
                    arn: configured.to_owned(),
                }))
            })
            .unwrap_or_default();
        groups.entry(key).or_default().push(secret.arn.clone());
    }
    Ok(groups)
}

/// The secrets that requests are about. An AWS service's own secrets are left to it.
fn secrets<'a>(requests: &Requests, facts: &'a Facts) -> Result<Vec<&'a ListedSecret>, String> {
    let Answer::Secrets(listed) = seen(facts, &Observation::Secrets)? else {
        return Err(mismatch(&Observation::Secrets).to_string());
    };
    Ok(listed
        .iter()
        .filter(|secret| secret.deleted.is_none() && secret.owning_service.is_none())
        .filter(|secret| {
            any(&requests.resources, &secret.arn) && !any(&requests.outside, &secret.arn)
        })
        .collect())
}

/// The keys that requests are about.
fn keys<'a>(requests: &Requests, facts: &'a Facts) -> Result<Vec<&'a ListedKey>, String> {
    let mut wanted = Vec::new();
    for resource in &requests.resources {
        wanted.push(if resource.starts_with("alias/") {
            behind_alias(resource, facts)?
        } else {
            resource.clone()
        });
    }
    Ok(all_keys(facts)?
        .iter()
        .filter(|key| any(&wanted, &key.arn) && !any(&requests.outside, &key.arn))
        .collect())
}

fn all_keys(facts: &Facts) -> Result<&[ListedKey], String> {
    let Answer::Keys(keys) = seen(facts, &Observation::Keys)? else {
        return Err(mismatch(&Observation::Keys).to_string());
    };
    Ok(keys)
}

fn functions(facts: &Facts) -> Result<&[FunctionEnvironment], String> {
    let Answer::FunctionEnvironments(functions) = seen(facts, &Observation::FunctionEnvironments)?
    else {
        return Err(mismatch(&Observation::FunctionEnvironments).to_string());
    };
    Ok(functions)
}

fn guarded_secret(arn: &str, facts: &Facts) -> Result<Option<Guarded>, String> {
    let question = Observation::SecretPolicy(arn.to_owned());
    let Answer::SecretPolicy(text) = seen(facts, &question)? else {
        return Err(mismatch(&question).to_string());
    };
    text.as_ref()
        .map(|text| with_policy(arn, text, Vec::new()))
        .transpose()
}

fn guarded_function(arn: &str, facts: &Facts) -> Result<Option<Guarded>, String> {
    let question = Observation::FunctionPolicy(arn.to_owned());
    let Answer::FunctionPolicy(text) = seen(facts, &question)? else {
        return Err(mismatch(&question).to_string());
    };
    text.as_ref()
        .map(|text| with_policy(arn, text, Vec::new()))
        .transpose()
}

fn guarded_key(key: &ListedKey, facts: &Facts) -> Result<Guarded, String> {
    let [policy, grants] = about_key(&key.id);
    let Answer::KeyGrants(listed) = seen(facts, &grants)? else {
        return Err(mismatch(&grants).to_string());
    };
    let listed = listed.iter().flatten().map(grant).collect();
    let Answer::KeyPolicy(text) = seen(facts, &policy)? else {
        return Err(mismatch(&policy).to_string());
    };
    let text = text
        .as_ref()
        .ok_or_else(|| format!("KMS does not know {}", key.arn))?;
    with_policy(&key.arn, text, listed)
}

fn grant(grant: &KeyGrant) -> Grant {
    Grant {
        id: grant.id.clone(),
        grantee: grant.grantee.clone(),
        operations: grant.operations.clone(),
        context_subset: grant.context_subset.clone(),
        context_equals: grant.context_equals.clone(),
    }
}

fn with_policy(arn: &str, text: &str, grants: Vec<Grant>) -> Result<Guarded, String> {
    let policy = Policy::parse(text, PolicyKind::Resource)
        .map_err(|error| format!("the policy of {arn}: {error}"))?;
    Ok(Guarded {
        arn: arn.to_owned(),
        policy: Some(PolicySet::from(policy.named(arn))),
        grants,
    })
}

fn seen<'a>(facts: &'a Facts, question: &Observation) -> Result<&'a Answer, String> {
    let about = if let Observation::SecretPolicy(of)
    | Observation::FunctionPolicy(of)
    | Observation::KeyPolicy(of)
    | Observation::KeyGrants(of) = question
    {
        format!("{of}: ")
    } else {
        String::new()
    };
    facts
        .get(question)
        .map_err(|unseen| format!("{about}{unseen}"))
}

fn any(patterns: &[String], arn: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, arn))
}
