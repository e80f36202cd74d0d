//! Rules of `EventBridge` that run on a schedule, with the targets that would rotate a secret.

use super::{Item, Setting, mismatch};
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// A rule that runs on a schedule.
    pub struct Scheduled {
        /// ARN.
        pub arn: String,
        /// Name.
        pub name: String,
        /// `rate(..)` or `cron(..)`.
        pub expression: String,
        /// Ids of targets that rotate: their input calls `RotateSecret`, or they invoke a rotation function.
        pub rotating: Vec<String>,
    }
}

/// Every scheduled rule of the region's default bus, which alone takes schedules.
pub(super) fn items(facts: &Facts, setting: &Setting) -> Result<Vec<Item>, Unseen> {
    let Answer::Schedules(listed) = facts.get(&Observation::Schedules)? else {
        return Err(mismatch(&Observation::Schedules));
    };
    let Answer::Secrets(secrets) = facts.get(&Observation::Secrets)? else {
        return Err(mismatch(&Observation::Secrets));
    };
    let function = setting.organisation.rotation_function(&setting.stage);
    let own = format!(
        "arn:aws:lambda:{}:{}:function:{function}",
        setting.region, setting.account
    );
    let invokes_rotation = |arn: &str| {
        let unqualified: Vec<&str> = arn.splitn(8, ':').take(7).collect();
        let unqualified = unqualified.join(":");
        unqualified == own
            || secrets
                .iter()
                .filter_map(|secret| secret.rotation_function_arn.as_deref())
                .any(|rotating| rotating == unqualified || rotating == arn)
    };
    Ok(listed
        .iter()
        .map(|rule| {
            let scheduled = Scheduled {
                arn: rule.arn.clone(),
                name: rule.name.clone(),
                expression: rule.expression.clone(),
                rotating: rule
                    .targets
                    .iter()
                    .filter(|target| target.calls_rotate_secret || invokes_rotation(&target.arn))
                    .map(|target| target.id.clone())
                    .collect(),
            };
            Item::of(rule.arn.clone(), "schedule", &scheduled)
        })
        .collect())
}
