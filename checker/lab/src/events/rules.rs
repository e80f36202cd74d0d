//! Rules: pattern or schedule, state, tags.

use serde_json::{Value, json};

use super::pattern::Pattern;
use super::{Rule, RuleState, State, check_bus, invalid, invalid_pattern, listing, not_found};
use crate::service::{Answer, ApiError, Call};
use crate::tagging::Tags;

/// Makes a rule, or replaces it: what is left out of the call is reset, the state too; tags and targets stay.
pub(super) fn put(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("Name")?;
    check_bus(call, call.text("EventBusName"))?;
    let text = call.text("EventPattern").filter(|text| !text.is_empty());
    let pattern = match text {
        None => None,
        Some(text) => Some((
            text.to_owned(),
            Pattern::parse(text).map_err(|reason| invalid_pattern(&reason))?,
        )),
    };
    let schedule = call
        .text("ScheduleExpression")
        .filter(|text| !text.is_empty());
    if pattern.is_none() && schedule.is_none() {
        return Err(invalid(
            "Parameter(s) EventPattern or ScheduleExpression must be specified.",
        ));
    }
    if schedule.is_some_and(|text| !is_schedule(text)) {
        return Err(invalid("Parameter ScheduleExpression is not valid."));
    }
    let rule_state = match call.text("State") {
        None => RuleState::Enabled,
        Some(text) => {
            RuleState::parse(text).ok_or_else(|| invalid("Parameter State is not valid."))?
        }
    };
    if rule_state == RuleState::EnabledWithAllManagementEvents && schedule.is_some() {
        return Err(invalid(
            "A rule with a schedule can't be enabled for CloudTrail management events.",
        ));
    }
    let tags = Tags::from_list(call.list("Tags")).map_err(invalid)?;
    let arn = call.arn(&format!("rule/{name}"));
    let key = (call.region.to_owned(), name.to_owned());
    let known = state.rules.remove(&key);
    let (tags, targets) = known.map_or((tags, Vec::new()), |rule| (rule.tags, rule.targets));
    let rule = Rule {
        name: name.to_owned(),
        arn: arn.clone(),
        pattern,
        schedule: schedule.map(str::to_owned),
        state: rule_state,
        description: call.text("Description").map(str::to_owned),
        role: call.text("RoleArn").map(str::to_owned),
        created_by: call.account.to_owned(),
        tags,
        targets,
    };
    state.rules.insert(key, rule);
    Ok(json!({"RuleArn": arn}))
}

pub(super) fn describe(state: &State, call: &Call<'_>) -> Answer {
    let rule = state.rule(call, "Name")?;
    let mut view = rule.view();
    if let Some(members) = view.as_object_mut() {
        members.insert("CreatedBy".to_owned(), rule.created_by.as_str().into());
    }
    Ok(view)
}

pub(super) fn list(state: &State, call: &Call<'_>) -> Answer {
    check_bus(call, call.text("EventBusName"))?;
    let prefix = call.text("NamePrefix").unwrap_or_default();
    let rows = state
        .rules
        .iter()
        .filter(|((region, name), _)| region == call.region && name.starts_with(prefix))
        .map(|(_, rule)| rule.view())
        .collect();
    listing(call, "Rules", rows)
}

/// `EnableRule` sets plain `ENABLED`, whatever the state was before.
pub(super) fn set_state(state: &mut State, call: &Call<'_>, to: RuleState) -> Answer {
    state.rule_mut(call, "Name")?.state = to;
    Ok(json!({}))
}

/// Deleting what doesn't exist is no error.
pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("Name")?;
    check_bus(call, call.text("EventBusName"))?;
    let key = (call.region.to_owned(), name.to_owned());
    if state
        .rules
        .get(&key)
        .is_some_and(|rule| !rule.targets.is_empty())
    {
        return Err(invalid("Rule can't be deleted since it has targets."));
    }
    state.rules.remove(&key);
    Ok(json!({}))
}

pub(super) fn tag(state: &mut State, call: &Call<'_>) -> Answer {
    let more = Tags::from_list(call.list("Tags")).map_err(invalid)?;
    let rule = state
        .rules
        .get_mut(&tagged_rule(call)?)
        .ok_or_else(no_resource)?;
    let mut merged = rule.tags.clone();
    merged.merge(more);
    if merged.entries().len() > Tags::LIMIT {
        return Err(invalid("A rule can have no more than 50 tags."));
    }
    rule.tags = merged;
    Ok(json!({}))
}

pub(super) fn list_tags(state: &State, call: &Call<'_>) -> Answer {
    let rule = state
        .rules
        .get(&tagged_rule(call)?)
        .ok_or_else(no_resource)?;
    Ok(json!({"Tags": rule.tags.to_list()}))
}

impl RuleState {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "ENABLED" => Some(Self::Enabled),
            "DISABLED" => Some(Self::Disabled),
            "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" => {
                Some(Self::EnabledWithAllManagementEvents)
            }
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::EnabledWithAllManagementEvents => "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
        }
    }
}

impl Rule {
    fn view(&self) -> Value {
        let mut view = json!({"Name": self.name, "Arn": self.arn, "State": self.state.name(), "EventBusName": "default"});
        let optional = [
            ("EventPattern", self.pattern.as_ref().map(|(text, _)| text)),
            ("ScheduleExpression", self.schedule.as_ref()),
            ("Description", self.description.as_ref()),
            ("RoleArn", self.role.as_ref()),
        ];
        if let Some(members) = view.as_object_mut() {
            for (member, text) in optional {
                if let Some(text) = text {
                    members.insert(member.to_owned(), text.as_str().into());
                }
            }
        }
        view
    }
}

/// `rate(5 minutes)` or a `cron(..)` of six fields; what stands in the fields is not looked at.
fn is_schedule(text: &str) -> bool {
    let inside = |name: &str| {
        text.strip_prefix(name)?
            .strip_prefix('(')?
            .strip_suffix(')')
    };
    if let Some(rate) = inside("rate") {
        let Some((number, unit)) = rate.split_once(' ') else {
            return false;
        };
        let units = if number == "1" {
            ["minute", "hour", "day"]
        } else {
            ["minutes", "hours", "days"]
        };
        return number.parse::<u32>().is_ok_and(|number| number > 0) && units.contains(&unit);
    }
    inside("cron")
        .is_some_and(|fields| fields.split(' ').filter(|field| !field.is_empty()).count() == 6)
}

fn tagged_rule(call: &Call<'_>) -> Result<(String, String), ApiError> {
    let arn = call.required("ResourceARN")?;
    let name = arn
        .split_once(":rule/")
        .map(|(_, name)| name)
        .ok_or_else(no_resource)?;
    Ok((
        call.region.to_owned(),
        name.trim_start_matches("default/").to_owned(),
    ))
}

fn no_resource() -> ApiError {
    not_found("The resource does not exist.")
}
