//! The lease: one run at a time carries out probes in an account and region.
//!
//! It is a parameter with the probe tag that is created and never overwritten. A run that died leaves it behind: then
//! whoever comes next cleans up before it begins.

use aws_sdk_ssm::operation::delete_parameter::DeleteParameterError;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use aws_sdk_ssm::operation::put_parameter::PutParameterError;
use aws_sdk_ssm::types::{ParameterType, Tag};
use checker_core::observation::{Time, Unseen};
use checker_core::probe::Plan;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::clean_up::{self, Undo};
use super::fence::TAG;
use super::scene::Scene;
use crate::aws::unseen;

/// How long clean-up may take beyond the deadlines of the plan.
const MARGIN_MINUTES: i64 = 10;

/// Who holds the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    host: String,
    process: u32,
    /// When the process started, as the system counts it: ids are used again.
    started: String,
    until: Option<Time>,
}

/// Takes the lease. What a dead run left behind is cleaned up first.
pub(super) async fn take(scene: &Scene, plan: &Plan) -> Result<(), Unseen> {
    let longest = plan
        .probes
        .iter()
        .map(|planned| planned.deadline.as_delta())
        .fold(TimeDelta::minutes(MARGIN_MINUTES), |sum, one| {
            sum.checked_add(&(one * 2)).unwrap_or(sum)
        });
    let until = scene.waiting.now() + longest;
    if put(scene, until).await? {
        return Ok(());
    }
    match holder(scene).await? {
        Some(held) if held.lives(scene.waiting.now()) => return Err(is_held(&held)),
        Some(_) => drop(clean_up::after_a_crash(scene, plan).await),
        // It was given back just now.
        None => {}
    }
    if put(scene, until).await? {
        return Ok(());
    }
    Err(Unseen {
        operation: "ssm:PutParameter".to_owned(),
        code: "LeaseHeld".to_owned(),
        advice: "another run has just begun its probes; run again later".to_owned(),
    })
}

/// Creates the parameter; false when it is there already.
async fn put(scene: &Scene, until: Time) -> Result<bool, Unseen> {
    let me = Holder::me(until);
    let tag = Tag::builder().key(TAG).value("true").build();
    let tag = tag.map_err(|_error| crate::aws::incomplete("ssm:PutParameter", "Tags"))?;
    scene.note(Undo::Lease);
    let answer = scene
        .checker()
        .await?
        .ssm
        .put_parameter()
        .name(scene.setting.organisation.lease())
        .description("One run of the compliance checker at a time carries out probes")
        .value(me.text())
        .r#type(ParameterType::String)
        .overwrite(false)
        .tags(tag)
        .send()
        .await;
    match answer {
        Ok(_) => Ok(true),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(PutParameterError::is_parameter_already_exists) =>
        {
            Ok(false)
        }
        Err(error) => Err(unseen("ssm:PutParameter", &error)),
    }
}

/// Who holds the lease, if anybody does.
pub(super) async fn holder(scene: &Scene) -> Result<Option<Holder>, Unseen> {
    let answer = scene
        .checker()
        .await?
        .ssm
        .get_parameter()
        .name(scene.setting.organisation.lease())
        .send()
        .await;
    match answer {
        Ok(found) => {
            let text = found.parameter().and_then(|parameter| parameter.value());
            Ok(Some(Holder::read(text.unwrap_or_default())))
        }
        Err(error)
            if error
                .as_service_error()
                .is_some_and(GetParameterError::is_parameter_not_found) =>
        {
            Ok(None)
        }
        Err(error) => Err(unseen("ssm:GetParameter", &error)),
    }
}

/// Deletes the parameter; whether there was one.
pub(super) async fn give_back(scene: &Scene) -> Result<bool, Unseen> {
    let answer = scene
        .checker()
        .await?
        .ssm
        .delete_parameter()
        .name(scene.setting.organisation.lease())
        .send()
        .await;
    match answer {
        Ok(_) => Ok(true),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(DeleteParameterError::is_parameter_not_found) =>
        {
            Ok(false)
        }
        Err(error) => Err(unseen("ssm:DeleteParameter", &error)),
    }
}

/// Somebody else is at work.
pub(super) fn is_held(holder: &Holder) -> Unseen {
    let until = holder
        .until
        .map_or_else(|| "an unknown time".to_owned(), |until| until.to_rfc3339());
    Unseen {
        operation: "ssm:PutParameter".to_owned(),
        code: "LeaseHeld".to_owned(),
        advice: format!(
            "process {} on {} carries out probes until {until} at the latest; wait for it, or end it and run `checker clean`",
            holder.process, holder.host
        ),
    }
}

impl Holder {
    fn me(until: Time) -> Self {
        Self {
            host: host(),
            process: std::process::id(),
            started: started(std::process::id()).unwrap_or_default(),
            until: Some(until),
        }
    }

    fn text(&self) -> String {
        json!({
            "host": self.host,
            "process": self.process,
            "started": self.started,
            "until": self.until,
        })
        .to_string()
    }

    /// A text that cannot be read belongs to nobody who lives.
    fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let member = |name: &str| value.get(name).and_then(Value::as_str);
        Self {
            host: member("host").unwrap_or_default().to_owned(),
            process: value
                .get("process")
                .and_then(Value::as_u64)
                .and_then(|process| process.try_into().ok())
                .unwrap_or_default(),
            started: member("started").unwrap_or_default().to_owned(),
            until: member("until").and_then(|text| text.parse().ok()),
        }
    }

    /// Whether the run may still be at work: not after its time, and not when its process on this machine has ended.
    pub(super) fn lives(&self, now: Time) -> bool {
        if self.until.is_none_or(|until| until <= now) {
            return false;
        }
        let here = self.host == host() && !self.started.is_empty();
        !here || started(self.process).is_some_and(|started| started == self.started)
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"));
    name.map_or_else(
        |_| "an unnamed machine".to_owned(),
        |name| name.trim().to_owned(),
    )
}

/// When a process started, in the system's own count; nothing when it does not run, or where that cannot be known.
fn started(process: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the start is the twentieth field after it.
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (state != "Z").then(|| start.to_owned())
}
