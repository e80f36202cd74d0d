//! Systems Manager Parameter Store: String, `StringList` and `SecureString` parameters.
//!
//! A `SecureString` without `WithDecryption` answers an opaque text that is not derived from the value. Parameter
//! policies, allowed patterns, labels and shared parameters are refused rather than ignored; of the public
//! parameters under `/aws/` none exists.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::service::{Answer, ApiError, Call, page, timestamp};
use crate::tagging::Tags;
use crate::world::World;

/// AWS keeps this many versions of a parameter.
const VERSIONS: usize = 100;
/// The deepest hierarchy that AWS allows.
const LEVELS: usize = 15;

/// What the service keeps: parameters by region and name.
#[derive(Default)]
pub(crate) struct State {
    parameters: BTreeMap<(String, String), Parameter>,
}

struct Parameter {
    name: String,
    arn: String,
    kind: String,
    tier: String,
    data_type: String,
    description: Option<String>,
    key_id: Option<String>,
    tags: Tags,
    modified_by: String,
    /// Oldest first, never empty.
    versions: Vec<Version>,
}

/// No `Debug`: it holds a value.
struct Version {
    number: i64,
    value: String,
    /// What callers see who don't ask for decryption.
    sealed: String,
    modified: DateTime<Utc>,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "PutParameter" => put(world, call),
        "GetParameter" => get(&world.ssm, call),
        "GetParameters" => Ok(get_many(&world.ssm, call)),
        "GetParametersByPath" => get_by_path(&world.ssm, call),
        "DescribeParameters" => describe(&world.ssm, call),
        "DeleteParameter" => delete(&mut world.ssm, call),
        "AddTagsToResource" => add_tags(&mut world.ssm, call),
        "ListTagsForResource" => list_tags(&world.ssm, call),
        _ => Err(call.unserved()),
    }
}

impl State {
    /// Tagged resources, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.parameters
            .values()
            .map(|parameter| (parameter.arn.as_str(), &parameter.tags))
            .collect()
    }

    /// The parameters of the call's region, in order of name.
    fn here<'a>(&'a self, call: &Call<'_>) -> impl Iterator<Item = &'a Parameter> {
        let region = call.region.to_owned();
        self.parameters
            .iter()
            .filter(move |((place, _), _)| *place == region)
            .map(|(_, parameter)| parameter)
    }
}

fn put(world: &mut World, call: &Call<'_>) -> Answer {
    let name = call.required("Name")?;
    check_name(name)?;
    let value = call.required("Value")?;
    if call.text("AllowedPattern").is_some()
        || call.text("Policies").is_some_and(|text| !text.is_empty())
    {
        return Err(invalid(
            "the lab knows no allowed patterns and no parameter policies",
        ));
    }
    let tier = tier_for(call, value)?;
    let data_type = call.text("DataType").unwrap_or("text");
    if data_type != "text" {
        return Err(invalid("the lab knows only the data type `text`"));
    }
    let tags = Tags::from_list(call.list("Tags")).map_err(invalid)?;
    let key = (call.region.to_owned(), name.to_owned());
    let overwrite = call.flag("Overwrite").unwrap_or(false);
    let known = world.ssm.parameters.get(&key);
    if known.is_some() && !overwrite {
        return Err(ApiError::new(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        ));
    }
    if overwrite && !tags.is_empty() {
        return Err(invalid(
            "Invalid request: tags and overwrite can't be used together.",
        ));
    }
    let kind = kind_for(call, known)?;
    let key_id = match (kind.as_str(), call.text("KeyId")) {
        ("SecureString", given) => Some(given.unwrap_or("alias/aws/ssm").to_owned()),
        (_, Some(_)) => {
            return Err(invalid(
                "KeyId is only for parameters of type SecureString.",
            ));
        }
        (_, None) => None,
    };
    if let Some(key) = key_id.as_deref().filter(|key| *key != "alias/aws/ssm")
        && !world.kms.usable(call.region, call.account, key)
    {
        return Err(ApiError::new(
            "InvalidKeyId",
            format!("{key} does not exist or does not encrypt."),
        ));
    }
    let sealed = format!("AQICAH{}=", world.ids.alphanumeric(121));
    let arn = format!(
        "arn:aws:ssm:{}:{}:parameter/{}",
        call.region,
        call.account,
        name.trim_start_matches('/')
    );
    let parameter = world
        .ssm
        .parameters
        .entry(key)
        .or_insert_with(|| Parameter {
            name: name.to_owned(),
            arn,
            kind,
            tier: tier.to_owned(),
            data_type: data_type.to_owned(),
            description: None,
            key_id: None,
            tags: Tags::default(),
            modified_by: String::new(),
            versions: Vec::new(),
        });
    if tier == "Standard" && parameter.tier == "Advanced" {
        return Err(invalid(
            "An advanced parameter can't become a standard one.",
        ));
    }
    let number = parameter
        .current()
        .map_or(1, |version| version.number.saturating_add(1));
    tier.clone_into(&mut parameter.tier);
    parameter.key_id = key_id;
    parameter.modified_by = call.caller.arn(call.account);
    if let Some(description) = call.text("Description") {
        parameter.description = Some(description.to_owned());
    }
    parameter.tags.merge(tags);
    parameter.versions.push(Version {
        number,
        value: value.to_owned(),
        sealed,
        modified: call.now,
    });
    if parameter.versions.len() > VERSIONS {
        parameter.versions.remove(0);
    }
    Ok(json!({"Version": number, "Tier": tier}))
}

/// The tier, which decides how long a value may be.
fn tier_for<'a>(call: &'a Call<'_>, value: &str) -> Result<&'a str, ApiError> {
    let tier = match call.text("Tier").unwrap_or("Standard") {
        "Intelligent-Tiering" if value.len() <= 4096 => "Standard",
        "Intelligent-Tiering" => "Advanced",
        other => other,
    };
    let limit = if tier == "Standard" { 4096 } else { 8192 };
    if value.len() > limit {
        return Err(invalid(format!(
            "{tier} tier parameters support a maximum parameter value of {limit} characters."
        )));
    }
    Ok(tier)
}

/// The type, which a known parameter keeps.
fn kind_for(call: &Call<'_>, known: Option<&Parameter>) -> Result<String, ApiError> {
    match (call.text("Type"), known) {
        (Some(kind), Some(parameter)) if kind != parameter.kind => Err(ApiError::new(
            "HierarchyTypeMismatch",
            format!(
                "The parameter is of type {} and can't become {kind}.",
                parameter.kind
            ),
        )),
        (Some(kind), _) => Ok(kind.to_owned()),
        (None, Some(parameter)) => Ok(parameter.kind.clone()),
        (None, None) => Err(invalid(
            "A parameter type is required when you create a parameter.",
        )),
    }
}

fn get(state: &State, call: &Call<'_>) -> Answer {
    let asked = call.required("Name")?;
    let decrypt = call.flag("WithDecryption").unwrap_or(false);
    Ok(json!({"Parameter": find(state, call, asked)?.view(asked, decrypt)?}))
}

fn get_many(state: &State, call: &Call<'_>) -> Value {
    let decrypt = call.flag("WithDecryption").unwrap_or(false);
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for asked in call.list("Names").iter().filter_map(Value::as_str) {
        match find(state, call, asked).and_then(|parameter| parameter.view(asked, decrypt)) {
            Ok(view) => found.push(view),
            Err(_) => unknown.push(Value::from(asked)),
        }
    }
    json!({"Parameters": found, "InvalidParameters": unknown})
}

fn get_by_path(state: &State, call: &Call<'_>) -> Answer {
    let path = call.required("Path")?;
    if !path.starts_with('/') {
        return Err(invalid("The parameter path must begin with a slash."));
    }
    if !call.list("ParameterFilters").is_empty() {
        return Err(ApiError::new(
            "InvalidFilterKey",
            "the lab filters no parameters by path",
        ));
    }
    let recursive = call.flag("Recursive").unwrap_or(false);
    let decrypt = call.flag("WithDecryption").unwrap_or(false);
    let rows = state
        .here(call)
        .filter(|parameter| is_below(&parameter.name, path, recursive))
        .map(|parameter| parameter.view(&parameter.name, decrypt))
        .collect::<Result<_, _>>()?;
    listing(call, "Parameters", rows, 10)
}

fn describe(state: &State, call: &Call<'_>) -> Answer {
    if !call.list("Filters").is_empty() && !call.list("ParameterFilters").is_empty() {
        return Err(invalid(
            "You can use either Filters or ParameterFilters in a single request.",
        ));
    }
    if call.flag("Shared").unwrap_or(false) {
        return Err(invalid("the lab knows no shared parameters"));
    }
    let mut rows = Vec::new();
    'parameters: for parameter in state.here(call) {
        for filter in call
            .list("Filters")
            .iter()
            .chain(call.list("ParameterFilters"))
        {
            if !passes(parameter, filter)? {
                continue 'parameters;
            }
        }
        rows.push(parameter.metadata());
    }
    listing(call, "Parameters", rows, 50)
}

fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("Name")?;
    match state
        .parameters
        .remove(&(call.region.to_owned(), name.to_owned()))
    {
        Some(_) => Ok(json!({})),
        None => Err(not_found()),
    }
}

fn add_tags(state: &mut State, call: &Call<'_>) -> Answer {
    let more = Tags::from_list(call.list("Tags")).map_err(invalid)?;
    let key = (call.region.to_owned(), parameter_resource(call)?.to_owned());
    let parameter = state.parameters.get_mut(&key).ok_or_else(no_resource)?;
    let mut merged = parameter.tags.clone();
    merged.merge(more);
    if merged.entries().len() > Tags::LIMIT {
        return Err(ApiError::new(
            "TooManyTagsError",
            "The number of tags exceeds the limit of 50.",
        ));
    }
    parameter.tags = merged;
    Ok(json!({}))
}

fn list_tags(state: &State, call: &Call<'_>) -> Answer {
    let key = (call.region.to_owned(), parameter_resource(call)?.to_owned());
    let parameter = state.parameters.get(&key).ok_or_else(no_resource)?;
    Ok(json!({"TagList": parameter.tags.to_list()}))
}

impl Parameter {
    fn current(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The parameter as it was asked for: `name`, `name:version`, or the ARN of either.
    fn view(&self, asked: &str, decrypt: bool) -> Answer {
        let local = asked
            .split_once(":parameter")
            .map_or(asked, |(_, name)| name);
        let selector = local.split_once(':').map(|(_, selector)| selector);
        let version = match selector {
            None => self.current(),
            Some(selector) => self
                .versions
                .iter()
                .find(|version| version.number.to_string() == selector),
        };
        let version = version.ok_or_else(|| {
            ApiError::new(
                "ParameterVersionNotFound",
                format!(
                    "Systems Manager could not find version {} of {}.",
                    selector.unwrap_or_default(),
                    self.name
                ),
            )
        })?;
        let sealed = self.kind == "SecureString" && !decrypt;
        let mut view = json!({
            "Name": self.name,
            "Type": self.kind,
            "Value": if sealed { &version.sealed } else { &version.value },
            "Version": version.number,
            "LastModifiedDate": timestamp(version.modified),
            "ARN": self.arn,
            "DataType": self.data_type,
        });
        if let (Some(members), Some(selector)) = (view.as_object_mut(), selector) {
            members.insert("Selector".to_owned(), format!(":{selector}").into());
        }
        Ok(view)
    }

    fn metadata(&self) -> Value {
        let mut view = json!({
            "Name": self.name,
            "ARN": self.arn,
            "Type": self.kind,
            "LastModifiedUser": self.modified_by,
            "Tier": self.tier,
            "Policies": [],
            "DataType": self.data_type,
        });
        if let Some(members) = view.as_object_mut() {
            if let Some(version) = self.current() {
                members.insert("Version".to_owned(), version.number.into());
                members.insert("LastModifiedDate".to_owned(), timestamp(version.modified));
            }
            let optional = [("KeyId", &self.key_id), ("Description", &self.description)];
            for (member, text) in optional
                .into_iter()
                .filter_map(|(member, text)| Some((member, text.as_ref()?)))
            {
                members.insert(member.to_owned(), text.as_str().into());
            }
        }
        view
    }
}

fn passes(parameter: &Parameter, filter: &Value) -> Result<bool, ApiError> {
    let key = filter
        .get("Key")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let option = filter
        .get("Option")
        .and_then(Value::as_str)
        .unwrap_or("Equals");
    let values: Vec<&str> = filter
        .get("Values")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if key == "Path" {
        let recursive = match option {
            "Recursive" => true,
            "OneLevel" | "Equals" => false,
            _ => return Err(bad_option(key, option)),
        };
        return Ok(values
            .iter()
            .any(|path| is_below(&parameter.name, path, recursive)));
    }
    if let Some(tag) = key.strip_prefix("tag:") {
        let value = parameter.tags.entries().get(tag);
        return Ok(value.is_some_and(|value| values.is_empty() || values.contains(&value.as_str())));
    }
    let actual = match key {
        "Name" => parameter.name.as_str(),
        "Type" => &parameter.kind,
        "KeyId" => parameter.key_id.as_deref().unwrap_or_default(),
        "Tier" => &parameter.tier,
        "DataType" => &parameter.data_type,
        _ => {
            return Err(ApiError::new(
                "InvalidFilterKey",
                format!("The filter key `{key}` is not valid."),
            ));
        }
    };
    // A name may be given with or without its leading slash.
    let same = |value: &str| {
        value == actual
            || key == "Name" && value.trim_start_matches('/') == actual.trim_start_matches('/')
    };
    match option {
        "Equals" => Ok(values.iter().any(|value| same(value))),
        "BeginsWith" => Ok(values.iter().any(|value| actual.starts_with(value))),
        "Contains" if key == "Name" => Ok(values.iter().any(|value| actual.contains(value))),
        _ => Err(bad_option(key, option)),
    }
}

fn listing(call: &Call<'_>, member: &str, rows: Vec<Value>, default: usize) -> Answer {
    let size = call
        .number("MaxResults")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(default);
    let (rows, next) = page(rows, call.text("NextToken"), size)
        .map_err(|_| ApiError::new("InvalidNextToken", "The specified token isn't valid."))?;
    let mut answer = json!({});
    if let Some(members) = answer.as_object_mut() {
        members.insert(member.to_owned(), rows.into());
        if let Some(next) = next {
            members.insert("NextToken".to_owned(), next.into());
        }
    }
    Ok(answer)
}

/// A parameter by name or ARN, with or without a version.
fn find<'a>(state: &'a State, call: &Call<'_>, asked: &str) -> Result<&'a Parameter, ApiError> {
    let local = match asked.split_once(":parameter") {
        Some((_, name)) => name,
        None => asked,
    };
    let name = local.split(':').next().unwrap_or_default();
    let by_name = |name: &str| {
        state
            .parameters
            .get(&(call.region.to_owned(), name.to_owned()))
    };
    by_name(name)
        .or_else(|| {
            if asked.starts_with("arn:") {
                by_name(name.trim_start_matches('/'))
            } else {
                None
            }
        })
        .ok_or_else(not_found)
}

fn is_below(name: &str, path: &str, recursive: bool) -> bool {
    let below = format!("{}/", path.trim_end_matches('/'));
    name.strip_prefix(&below)
        .is_some_and(|rest| recursive || !rest.contains('/'))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let legal = |character: char| character.is_ascii_alphanumeric() || "_.-/".contains(character);
    if name.is_empty() || !name.chars().all(legal) || name.contains("//") || name.ends_with('/') {
        return Err(invalid(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_",
        ));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    let lower = name.to_ascii_lowercase();
    let first = lower.trim_start_matches('/');
    if first.starts_with("ssm") {
        return Err(invalid(format!(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive): {name}"
        )));
    }
    if first.starts_with("aws") {
        return Err(ApiError::new(
            "AccessDeniedException",
            format!("No access to reserved parameter name: {name}."),
        ));
    }
    if name.split('/').filter(|part| !part.is_empty()).count() > LEVELS {
        return Err(ApiError::new(
            "HierarchyLevelLimitExceededException",
            format!("A hierarchy can have a maximum of {LEVELS} levels."),
        ));
    }
    Ok(())
}

fn parameter_resource<'a>(call: &'a Call<'_>) -> Result<&'a str, ApiError> {
    match call.required("ResourceType")? {
        "Parameter" => call.required("ResourceId"),
        _ => Err(ApiError::new(
            "InvalidResourceType",
            "the lab tags only resources of type `Parameter`",
        )),
    }
}

fn bad_option(key: &str, option: &str) -> ApiError {
    ApiError::new(
        "InvalidFilterOption",
        format!("The filter option `{option}` is not valid for the key `{key}`."),
    )
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn not_found() -> ApiError {
    ApiError::new(
        "ParameterNotFound",
        "The parameter does not exist in this region.",
    )
}

fn no_resource() -> ApiError {
    ApiError::new(
        "InvalidResourceId",
        "The resource ID isn't valid: there is no such parameter.",
    )
}
