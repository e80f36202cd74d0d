//! The event rule that feeds the anomaly detector: its state, what its pattern catches, and its way to the detector.
//!
//! The pattern is tried on sample events (`event_rule/samples.json`) by `EventBridge` itself. That says nothing of the
//! rule's state: a plain `ENABLED` rule with a right pattern still sees no reads.

use serde::Deserialize;
use serde_json::Value;

use super::known::{answered, existence, known, of};
use super::service_access::{self, Asked};
use super::{Item, Reads, Setting};
use crate::duration::Duration;
use crate::expression::types::Known;
use crate::observation::{Answer, Facts, Observation, answer};

crate::facts! {
    /// The target that is the detector.
    pub struct DetectorTarget {
        /// Its id within the rule.
        pub id: String,
        /// Whether the detector gets the event as it is.
        pub whole_event: bool,
        /// How often a delivery is tried again; AWS's default where nothing is set.
        pub retries: i64,
        /// For how long a delivery is tried again; AWS's default where nothing is set.
        pub retried_for: Duration,
        /// ARN of the queue that keeps what could not be delivered.
        pub dead_letter_queue: Option<String>,
        /// Whether that queue's policy lets `EventBridge` send to it for this rule.
        pub dead_letters_accepted: Known<bool>,
    }

    /// Whether `EventBridge` may invoke the detector for a rule.
    pub struct InvokePermission {
        /// The detector's policy allows it for this rule.
        pub granted: bool,
        /// It allows it for no other rule of this or another account that is not named there.
        pub confined: bool,
    }

    /// An event rule.
    pub struct EventRule {
        /// Its ARN.
        pub arn: String,
        /// Its name.
        pub name: String,
        /// ARN of the detector.
        pub detector_arn: String,
        /// Whether it exists.
        pub exists: Known<bool>,
        /// `ENABLED`, `DISABLED` or `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`.
        pub state: Known<String>,
        /// Sample events that its pattern must match and does not, whatever its state.
        pub missed: Known<Vec<String>>,
        /// Sample events that its pattern matches and must not, whatever its state.
        pub stray: Known<Vec<String>>,
        /// ARNs of its targets.
        pub target_arns: Known<Vec<String>>,
        /// Whether the detector, or a version or alias of it, is one of them.
        pub targeted: Known<bool>,
        /// The target that is the detector.
        pub target: Known<DetectorTarget>,
        /// Whether `EventBridge` may invoke the detector for it.
        pub permission: Known<InvokePermission>,
    }
}

/// The named filters.
pub const FILTERS: &[(&str, &str)] = &[("detection", "the rule that feeds the anomaly detector")];

/// `EventBridge`'s own defaults of a target without a retry policy.
const DEFAULT_RETRIES: i64 = 185;
const DEFAULT_EVENT_AGE_SECONDS: i64 = 86_400;

const ABSENT: &str = "the rule does not exist";
const EVENTS: &str = "events.amazonaws.com";

/// A sample event, and whether the rule must see it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    must_match: bool,
    event: Value,
}

/// One item: the rule, whether it exists or not.
pub(super) fn items(facts: &Facts, setting: &Setting, reads: &Reads) -> Vec<Item> {
    let rule = view(facts, setting);
    let mut item = Item::of(rule.arn.clone(), "rule", &rule);
    item.passes.insert("detection");
    item.details = details(&rule, facts, setting, reads);
    vec![item]
}

fn details(
    rule: &EventRule,
    facts: &Facts,
    setting: &Setting,
    reads: &Reads,
) -> Vec<(&'static str, Observation)> {
    let name = || rule.name.clone();
    let mut details = vec![
        ("rule.exists", Observation::EventRule(name())),
        ("rule.state", Observation::EventRule(name())),
        (
            "rule.permission",
            Observation::FunctionPolicy(rule.detector_arn.clone()),
        ),
    ];
    if rule.exists == Known::Known(true) {
        details.push(("rule.target_arns", Observation::EventTargets(name())));
        details.push(("rule.targeted", Observation::EventTargets(name())));
        details.push(("rule.target", Observation::EventTargets(name())));
        if let Known::Known(DetectorTarget {
            dead_letter_queue: Some(queue),
            ..
        }) = &rule.target
        {
            details.push((
                "rule.target.dead_letters_accepted",
                Observation::Queue(queue.clone()),
            ));
        }
        if let (Ok(Some(pattern)), Ok(samples)) = (pattern(&rule.name, facts), samples(setting)) {
            for sample in &samples {
                let path = if sample.must_match {
                    "rule.missed"
                } else {
                    "rule.stray"
                };
                details.push((path, sample.question(pattern)));
            }
        }
    }
    details.retain(|(path, _)| reads.touch(path));
    details
}

fn view(facts: &Facts, setting: &Setting) -> EventRule {
    let name = setting.organisation.detector(&setting.stage);
    let arn = format!(
        "arn:aws:events:{}:{}:rule/{name}",
        setting.region, setting.account
    );
    let detector_arn = setting.detector_arn();
    let found = described(&name, facts);
    let targets = targets(&name, &found, facts);
    EventRule {
        exists: existence(&found),
        state: of(&found, ABSENT, |rule| rule.state.clone()),
        missed: known(tried(&name, facts, setting, true)),
        stray: known(tried(&name, facts, setting, false)),
        target_arns: known(
            targets
                .clone()
                .map(|all| all.iter().map(|target| target.arn.clone()).collect()),
        ),
        targeted: known(
            targets
                .clone()
                .map(|all| of_detector(all, &detector_arn).is_some()),
        ),
        target: known(targets.and_then(|all| {
            of_detector(all, &detector_arn)
                .map(|target| target_of(target, &arn, facts, setting))
                .ok_or_else(|| "the detector is no target of the rule".to_owned())
        })),
        permission: known(permission(&detector_arn, &arn, facts, setting)),
        arn,
        name,
        detector_arn,
    }
}

fn described<'a>(name: &str, facts: &'a Facts) -> Result<Option<&'a answer::EventRule>, String> {
    let question = Observation::EventRule(name.to_owned());
    answered(facts, &question, |answer| {
        let Answer::EventRule(rule) = answer else {
            return None;
        };
        Some(rule.as_ref())
    })
}

/// The pattern's text; `None` when the rule has none.
fn pattern<'a>(name: &str, facts: &'a Facts) -> Result<Option<&'a str>, String> {
    match described(name, facts)? {
        Some(rule) => Ok(rule.pattern.as_deref()),
        None => Err(ABSENT.to_owned()),
    }
}

/// Names of the samples on which the pattern does not do what it must.
fn tried(
    name: &str,
    facts: &Facts,
    setting: &Setting,
    must_match: bool,
) -> Result<Vec<String>, String> {
    let pattern = pattern(name, facts)?;
    let mut wrong = Vec::new();
    for sample in samples(setting)? {
        if sample.must_match != must_match {
            continue;
        }
        let matches = match pattern {
            Some(pattern) => answered(facts, &sample.question(pattern), |answer| {
                let Answer::EventMatch(matches) = answer else {
                    return None;
                };
                Some(*matches)
            })?,
            // A rule on a schedule sees no events at all.
            None => false,
        };
        if matches != must_match {
            wrong.push(sample.name);
        }
    }
    Ok(wrong)
}

/// The sample events, as they would look in this account and region.
fn samples(setting: &Setting) -> Result<Vec<Sample>, String> {
    let text = include_str!("event_rule/samples.json")
        .replace("{account}", &setting.account)
        .replace("{region}", &setting.region);
    serde_json::from_str(&text)
        .map_err(|error| format!("the sample events can't be read (line {})", error.line()))
}

impl Sample {
    fn question(&self, pattern: &str) -> Observation {
        Observation::EventMatch {
            pattern: pattern.to_owned(),
            event: self.event.to_string(),
        }
    }
}

fn targets<'a>(
    name: &str,
    rule: &Result<Option<&answer::EventRule>, String>,
    facts: &'a Facts,
) -> Result<&'a [answer::EventTarget], String> {
    match rule {
        Ok(Some(_)) => {}
        Ok(None) => return Err(ABSENT.to_owned()),
        Err(reason) => return Err(reason.clone()),
    }
    let question = Observation::EventTargets(name.to_owned());
    let found = answered(facts, &question, |answer| {
        let Answer::EventTargets(targets) = answer else {
            return None;
        };
        Some(targets.as_deref())
    })?;
    found.ok_or_else(|| ABSENT.to_owned())
}

/// The target that is the function, or a version or alias of it.
fn of_detector<'a>(
    targets: &'a [answer::EventTarget],
    function: &str,
) -> Option<&'a answer::EventTarget> {
    targets.iter().find(|target| {
        target
            .arn
            .strip_prefix(function)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

fn target_of(
    target: &answer::EventTarget,
    rule: &str,
    facts: &Facts,
    setting: &Setting,
) -> DetectorTarget {
    let seconds = target
        .maximum_event_age
        .unwrap_or(DEFAULT_EVENT_AGE_SECONDS);
    DetectorTarget {
        id: target.id.clone(),
        whole_event: target.whole_event,
        retries: target.maximum_retries.unwrap_or(DEFAULT_RETRIES),
        retried_for: Duration::seconds(seconds).unwrap_or(Duration::ZERO),
        dead_letter_queue: target.dead_letter_queue.clone(),
        dead_letters_accepted: match &target.dead_letter_queue {
            None => Known::Unknown("the target has no dead-letter queue".to_owned()),
            Some(queue) => known(accepted(queue, EVENTS, rule, facts, setting)),
        },
    }
}

/// Whether a queue's policy lets a service send to it on behalf of a source; a queue that is gone takes nothing.
pub(super) fn accepted(
    queue: &str,
    service: &str,
    source: &str,
    facts: &Facts,
    setting: &Setting,
) -> Result<bool, String> {
    let question = Observation::Queue(queue.to_owned());
    let found = answered(facts, &question, |answer| {
        let Answer::Queue(queue) = answer else {
            return None;
        };
        Some(queue.as_ref())
    })?;
    let asked = Asked {
        service,
        action: "sqs:SendMessage",
        resource: queue,
    };
    match found.and_then(|queue| queue.policy.as_deref()) {
        Some(policy) => service_access::allows(policy, asked, source, &setting.account),
        None => Ok(false),
    }
}

fn permission(
    function: &str,
    rule: &str,
    facts: &Facts,
    setting: &Setting,
) -> Result<InvokePermission, String> {
    let question = Observation::FunctionPolicy(function.to_owned());
    let policy = answered(facts, &question, |answer| {
        let Answer::FunctionPolicy(policy) = answer else {
            return None;
        };
        Some(policy.as_deref())
    })?;
    let Some(policy) = policy else {
        return Ok(InvokePermission {
            granted: false,
            confined: false,
        });
    };
    let asked = Asked {
        service: EVENTS,
        action: "lambda:InvokeFunction",
        resource: function,
    };
    Ok(InvokePermission {
        granted: service_access::allows(policy, asked, rule, &setting.account)?,
        confined: service_access::confined(policy, asked, rule, &setting.account)?,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use chrono::DateTime;

    use super::samples;
    use crate::population::{Organisation, Setting};

    #[test]
    fn samples_are_whole_events_of_this_account_and_hold_both_kinds() {
        let setting = Setting {
            stage: "dev".to_owned(),
            account: "647751526084".to_owned(),
            region: "eu-west-1".to_owned(),
            now: DateTime::UNIX_EPOCH,
            organisation: Organisation::default(),
            shard: None,
        };
        let samples = samples(&setting).unwrap();
        for sample in &samples {
            // What TestEventPattern demands of an event.
            for member in [
                "id",
                "detail-type",
                "source",
                "account",
                "time",
                "region",
                "resources",
            ] {
                assert!(
                    sample.event.get(member).is_some(),
                    "{}: {member}",
                    sample.name
                );
            }
            assert!(
                !sample.event.to_string().contains("{account}"),
                "{}",
                sample.name
            );
            let of_secrets_manager = sample.event.get("source").unwrap() == "aws.secretsmanager";
            assert_eq!(of_secrets_manager, sample.must_match, "{}", sample.name);
        }
        assert!(samples.iter().any(|sample| sample.must_match));
        assert!(samples.iter().any(|sample| !sample.must_match));
    }
}
