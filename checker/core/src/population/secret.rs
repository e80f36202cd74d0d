//! Secrets: every secret of the account and region, as rules see them.
//!
//! Most of it is in one paginated `ListSecrets`. What that list can't settle is a detail, asked for only
//! where a rule reads it: version dates only for secrets whose last rotation date does not speak for the
//! current version (never rotated, or changed afterwards).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cel::Value;

use super::{Item, Organisation, Reads, Setting, mismatch, resource_policy};
use crate::duration::Duration;
use crate::expression::Members;
use crate::expression::types::{Known, Type, Typed};
use crate::observation::answer::{Key, KeyAlias, ListedSecret, RotationRules, Tags};
use crate::observation::{Answer, Facts, Observation, Time, Unseen};
use crate::schedule::Schedule;

crate::facts! {
    /// How a secret rotates.
    pub struct Rotation {
        /// Whether rotation is switched on.
        pub enabled: bool,
        /// The schedule as configured.
        pub schedule: Option<String>,
        /// The longest time between two rotations by the schedule: N days, or the largest gap of a `cron(..)` over four years.
        pub longest_gap: Known<Duration>,
        /// How late within its window a rotation may start: the schedule's duration, otherwise to the end of that UTC day.
        pub window: Known<Duration>,
        /// ARN of the function that rotates it.
        pub function_arn: Option<String>,
        /// Name of the function that rotates it, where it is of this account and region; otherwise its ARN.
        pub function_name: Option<String>,
        /// When it was last rotated.
        pub last_rotated: Option<Time>,
        /// The end of the next rotation window.
        pub next_due: Option<Time>,
        /// Whether the label AWSPENDING sits on another version than AWSCURRENT.
        pub stuck: bool,
    }

    /// The version that readers get.
    pub struct CurrentVersion {
        /// Whether there is one: a version labelled AWSCURRENT.
        pub present: bool,
        /// Its version id.
        pub id: Option<String>,
        /// How old it is.
        pub age: Known<Duration>,
        /// Where the age comes from: `version date` or `last rotation date`.
        pub dated_by: Known<String>,
    }

    /// The key that encrypts a secret.
    pub struct SecretKey {
        /// As configured: an alias, an id or an ARN.
        pub configured: String,
        /// All aliases of that key.
        pub aliases: Known<Vec<String>>,
        /// Whether the customer manages it; otherwise AWS does.
        pub customer_managed: Known<bool>,
        /// Where its material comes from: `AWS_KMS`, `EXTERNAL` (imported), ...
        pub origin: Known<String>,
        /// `Enabled`, `Disabled`, `PendingDeletion`, ...
        pub state: Known<String>,
        /// Whether it is a multi-region key.
        pub multi_region: Known<bool>,
    }

    /// The resource policy of a secret.
    pub struct SecretPolicy {
        /// Whether there is one.
        pub present: bool,
        /// Principals outside the account that it allows anything.
        pub outside: Vec<String>,
    }

    /// A secret.
    pub struct Secret {
        /// Full ARN.
        pub arn: String,
        /// Name.
        pub name: String,
        /// Tags.
        pub tags: Tags,
        /// Whether its name is in the organisation's namespace.
        pub in_namespace: bool,
        /// The AWS service that owns it, if one does.
        pub owning_service: Option<String>,
        /// How it rotates.
        pub rotation: Known<Rotation>,
        /// The version that readers get.
        pub current_version: Known<CurrentVersion>,
        /// How many staging labels its versions carry; Secrets Manager allows 20.
        pub labels: i64,
        /// The key that encrypts it.
        pub key: Known<SecretKey>,
        /// Its resource policy.
        pub policy: Known<SecretPolicy>,
        /// Regions it is replicated to.
        pub replica_regions: Known<Vec<String>>,
    }
}

impl Typed for Tags {
    fn ty() -> Type {
        BTreeMap::<String, String>::ty()
    }

    fn value(&self) -> Value {
        (**self).value()
    }
}

/// The named filters.
pub const FILTERS: &[(&str, &str)] = &[
    (
        "managed",
        "tagged rotation_enabled=true or with this module's id, or named in the namespace",
    ),
    (
        "tagged",
        "tagged rotation_enabled=true or with this module's id",
    ),
    ("namespace", "named in the organisation's namespace"),
];

/// Time within which a change still belongs to the rotation before it.
const ROTATION_SETTLES_WITHIN_MINUTES: i64 = 5;

const AWS_MANAGED_KEY: &str = "alias/aws/secretsmanager";

/// Whether a secret is one that this organisation must rotate.
pub(super) fn is_managed(secret: &ListedSecret, organisation: &Organisation) -> bool {
    is_tagged(secret, organisation) || secret.name.starts_with(&organisation.namespace)
}

fn is_tagged(secret: &ListedSecret, organisation: &Organisation) -> bool {
    let has = |key: &str, value: &str| secret.tags.get(key).is_some_and(|tag| tag == value);
    has("rotation_enabled", "true") || has("module_id", &organisation.module_id)
}

/// Every secret, in the order of the ARNs. There may be more than memory holds as items, so each is made when it is
/// looked at.
pub(crate) struct Secrets<'a> {
    sources: Sources<'a>,
    entries: Vec<Entry<'a>>,
    reads: Reads,
    /// What rules read of a secret: nothing else is put together.
    members: Members,
}

impl<'a> Secrets<'a> {
    /// Those of the list, if there is one.
    pub(super) fn of(
        facts: &'a Facts,
        setting: &'a Setting,
        reads: Reads,
        members: Members,
    ) -> Result<Self, Unseen> {
        let sources = Sources::new(facts, setting)?;
        // Schedules repeat over thousands of secrets, and a `cron(..)` is costly to measure.
        let mut schedules = BTreeMap::new();
        let mut entries: Vec<Entry<'_>> = sources
            .listed
            .iter()
            .map(|listed| {
                let rules = listed.rotation_rules.as_ref();
                let scheduled = schedules
                    .entry(rules)
                    .or_insert_with(|| Arc::new(Scheduled::of(rules)));
                Entry {
                    listed,
                    scheduled: Arc::clone(scheduled),
                }
            })
            .collect();
        entries.sort_by(|one, other| one.listed.arn.cmp(&other.listed.arn));
        Ok(Self {
            sources,
            entries,
            reads,
            members,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Some of them.
    pub(super) fn items(&self, range: Range<usize>) -> Vec<Item> {
        let entries = self.entries.get(range).unwrap_or_default().iter();
        entries
            .map(|entry| self.item(entry, self.details(entry)))
            .collect()
    }

    /// Those of them about which more can be asked.
    pub(super) fn open_items(&self, range: Range<usize>) -> Vec<Item> {
        let entries = self.entries.get(range).unwrap_or_default().iter();
        entries
            .map(|entry| (entry, self.details(entry)))
            .filter(|(_, details)| !details.is_empty())
            .map(|(entry, details)| self.item(entry, details))
            .collect()
    }

    fn item(&self, entry: &Entry<'_>, details: Details) -> Item {
        let listed = entry.listed;
        let fact = view(entry, &self.sources, &self.reads);
        let names = self.members.read("secret");
        let mut item = Item::only(listed.arn.clone(), "secret", &fact, names);
        let organisation = &self.sources.setting.organisation;
        for (name, holds) in [
            ("managed", is_managed(listed, organisation)),
            ("tagged", is_tagged(listed, organisation)),
            ("namespace", fact.in_namespace),
        ] {
            if holds {
                item.passes.insert(name);
            }
        }
        item.exempt = exemption(listed, self.sources.setting);
        item.details = details;
        item
    }

    /// What can be asked about a secret that rules speak of.
    fn details(&self, entry: &Entry<'_>) -> Details {
        match exemption(entry.listed, self.sources.setting) {
            Some(_) => Vec::new(),
            None => details(entry.listed, &self.sources, &self.reads),
        }
    }
}

/// ARNs that the tagging API knows and the list of secrets lacks.
pub(super) fn missing(facts: &Facts) -> Result<Vec<String>, Unseen> {
    let Answer::Secrets(listed) = facts.get(&Observation::Secrets)? else {
        return Err(mismatch(&Observation::Secrets));
    };
    let Answer::TaggedSecrets(tagged) = facts.get(&Observation::TaggedSecrets)? else {
        return Err(mismatch(&Observation::TaggedSecrets));
    };
    let told: BTreeSet<&str> = tagged.iter().map(|found| found.arn.as_str()).collect();
    let mut carrying = listed
        .iter()
        .filter(|secret| !secret.tags.is_empty() && secret.deleted.is_none())
        .peekable();
    // A source that knows none of what it must know confirms nothing.
    if carrying.peek().is_some() && carrying.all(|secret| !told.contains(secret.arn.as_str())) {
        return Err(Unseen {
            operation: Observation::TaggedSecrets.operation().to_owned(),
            code: "KnowsNothing".to_owned(),
            advice: "it lists none of the secrets that carry tags, so that nothing is reconciled with it".to_owned(),
        });
    }
    let known: BTreeSet<&str> = listed.iter().map(|secret| secret.arn.as_str()).collect();
    Ok(tagged
        .iter()
        .map(|resource| resource.arn.clone())
        .filter(|arn| !known.contains(arn.as_str()))
        .collect())
}

/// What the answers hold, looked up once for all secrets.
struct Sources<'a> {
    facts: &'a Facts,
    setting: &'a Setting,
    listed: &'a [ListedSecret],
    aliases: Result<&'a [KeyAlias], Unseen>,
}

impl<'a> Sources<'a> {
    fn new(facts: &'a Facts, setting: &'a Setting) -> Result<Self, Unseen> {
        let Answer::Secrets(listed) = facts.get(&Observation::Secrets)? else {
            return Err(mismatch(&Observation::Secrets));
        };
        let aliases = match facts.get(&Observation::KeyAliases) {
            Ok(Answer::KeyAliases(aliases)) => Ok(aliases.as_slice()),
            Ok(_other) => Err(mismatch(&Observation::KeyAliases)),
            Err(unseen) => Err(unseen),
        };
        Ok(Self {
            facts,
            setting,
            listed,
            aliases,
        })
    }
}

/// A secret of the list.
struct Entry<'a> {
    listed: &'a ListedSecret,
    scheduled: Arc<Scheduled>,
}

/// A schedule as it was measured.
struct Scheduled {
    /// How it is configured, in words.
    text: Option<String>,
    /// It and its longest gap, or why there is none.
    measured: Result<(Schedule, Duration), String>,
}

impl Scheduled {
    fn of(rules: Option<&RotationRules>) -> Self {
        let days = rules.and_then(|rules| rules.automatically_after_days);
        let expression = rules.and_then(|rules| rules.schedule_expression.as_deref());
        let duration = rules.and_then(|rules| rules.duration.as_deref());
        let measured = Schedule::new(days, expression, duration)
            .and_then(|schedule| schedule.longest_gap().map(|gap| (schedule, gap)))
            .map_err(|error| error.to_string());
        Self {
            text: expression
                .map(str::to_owned)
                .or_else(|| days.map(|days| format!("every {days} days"))),
            measured,
        }
    }
}

/// Why rotation and key rules do not speak of a secret.
fn exemption(listed: &ListedSecret, setting: &Setting) -> Option<String> {
    if let Some(primary) = &listed.primary_region
        && *primary != setting.region
    {
        return Some(format!(
            "a replica; its primary in {primary} is judged there"
        ));
    }
    listed.deleted.map(|at| {
        format!(
            "deletion is pending since {}; nobody can read or rotate it",
            at.format("%Y-%m-%d")
        )
    })
}

/// Questions by the paths that they answer.
type Details = Vec<(&'static str, Observation)>;

fn details(listed: &ListedSecret, sources: &Sources<'_>, reads: &Reads) -> Details {
    let mut details = Vec::new();
    let arn = || listed.arn.clone();
    if reads.touch("secret.current_version.age") && !is_settled(listed) {
        details.push((
            "secret.current_version.age",
            Observation::SecretVersions(arn()),
        ));
    }
    if reads.touch("secret.policy") {
        details.push(("secret.policy", Observation::SecretPolicy(arn())));
    }
    if reads.touch("secret.replica_regions") {
        details.push(("secret.replica_regions", Observation::Secret(arn())));
    }
    if reads.touch("secret.key") {
        details.push(("secret.key", Observation::KeyAliases));
        if let Some(id) = key_question(listed, sources) {
            for path in [
                "secret.key.customer_managed",
                "secret.key.origin",
                "secret.key.state",
                "secret.key.multi_region",
            ] {
                if reads.touch(path) {
                    details.push((path, Observation::Key(id.clone())));
                }
            }
        }
    }
    details
}

/// Whether the last rotation date speaks for the current version: nothing changed after that rotation.
fn is_settled(listed: &ListedSecret) -> bool {
    let Some(rotated) = listed.last_rotated else {
        return false;
    };
    let settles = chrono::TimeDelta::minutes(ROTATION_SETTLES_WITHIN_MINUTES);
    listed
        .last_changed
        .is_none_or(|changed| changed <= rotated + settles)
}

fn view(Entry { listed, scheduled }: &Entry<'_>, sources: &Sources<'_>, reads: &Reads) -> Secret {
    let since = last_turn(listed, sources);
    Secret {
        arn: listed.arn.clone(),
        name: listed.name.clone(),
        tags: listed.tags.clone(),
        in_namespace: listed
            .name
            .starts_with(&sources.setting.organisation.namespace),
        owning_service: listed.owning_service.clone(),
        rotation: when_read(reads, "secret.rotation", || {
            Known::Known(rotation(listed, scheduled, sources, &since))
        }),
        current_version: when_read(reads, "secret.current_version", || {
            Known::Known(current_version(listed, sources, &since))
        }),
        labels: listed
            .version_stages
            .values()
            .map(|stages| i64::try_from(stages.len()).unwrap_or(i64::MAX))
            .fold(0, i64::saturating_add),
        key: when_read(reads, "secret.key", || Known::Known(key(listed, sources))),
        policy: when_read(reads, "secret.policy", || policy(listed, sources)),
        replica_regions: when_read(reads, "secret.replica_regions", || {
            replica_regions(listed, sources)
        }),
    }
}

/// A member, where a rule reads it.
fn when_read<T>(reads: &Reads, path: &str, member: impl FnOnce() -> Known<T>) -> Known<T> {
    if reads.touch(path) {
        member()
    } else {
        Known::Unknown("no rule reads it".to_owned())
    }
}

fn rotation(
    listed: &ListedSecret,
    scheduled: &Scheduled,
    sources: &Sources<'_>,
    since: &Result<Time, String>,
) -> Rotation {
    let (longest_gap, window) = match (&scheduled.measured, since) {
        (Ok((schedule, gap)), Ok(since)) => (
            Known::Known(*gap),
            Known::Known(schedule.window(*since + gap.as_delta())),
        ),
        (Ok((_, gap)), Err(_)) => (
            Known::Known(*gap),
            Known::Unknown("when the current version was made is not known".to_owned()),
        ),
        (Err(reason), _) => (
            Known::Unknown(reason.clone()),
            Known::Unknown(reason.clone()),
        ),
    };
    Rotation {
        enabled: listed.rotation_enabled,
        schedule: scheduled.text.clone(),
        longest_gap,
        window,
        function_arn: listed.rotation_function_arn.clone(),
        function_name: listed
            .rotation_function_arn
            .as_deref()
            .map(|arn| function_name(arn, sources.setting)),
        last_rotated: listed.last_rotated,
        next_due: listed.next_rotation,
        stuck: is_stuck(listed),
    }
}

fn known<T>(found: Result<T, impl Into<String>>) -> Known<T> {
    match found {
        Ok(value) => Known::Known(value),
        Err(reason) => Known::Unknown(reason.into()),
    }
}

/// The bare name of a function of this account and region; of any other the whole ARN.
fn function_name(arn: &str, setting: &Setting) -> String {
    let own = format!(
        "arn:aws:lambda:{}:{}:function:",
        setting.region, setting.account
    );
    arn.strip_prefix(&own)
        .and_then(|name| name.split(':').next())
        .unwrap_or(arn)
        .to_owned()
}

fn is_stuck(listed: &ListedSecret) -> bool {
    listed.version_stages.values().any(|stages| {
        let has = |label: &str| stages.iter().any(|stage| **stage == *label);
        has("AWSPENDING") && !has("AWSCURRENT")
    })
}

fn current_id(listed: &ListedSecret) -> Option<&str> {
    listed
        .version_stages
        .iter()
        .find(|(_, stages)| stages.iter().any(|stage| **stage == *"AWSCURRENT"))
        .map(|(id, _)| id)
}

fn current_version(
    listed: &ListedSecret,
    sources: &Sources<'_>,
    since: &Result<Time, String>,
) -> CurrentVersion {
    let dated_by = if is_settled(listed) {
        "last rotation date"
    } else {
        "version date"
    };
    let id = current_id(listed);
    CurrentVersion {
        present: id.is_some(),
        id: id.map(str::to_owned),
        dated_by: known(since.as_ref().map(|_| dated_by.to_owned())),
        age: known(
            since
                .as_ref()
                .map(|since| Duration::from(sources.setting.now - *since)),
        ),
    }
}

/// When the current version was made: its own date where it was asked for, otherwise the last rotation date.
fn last_turn(listed: &ListedSecret, sources: &Sources<'_>) -> Result<Time, String> {
    if current_id(listed).is_none() {
        return Err("there is no version labelled AWSCURRENT".to_owned());
    }
    if let (true, Some(rotated)) = (is_settled(listed), listed.last_rotated) {
        return Ok(rotated);
    }
    let question = Observation::SecretVersions(listed.arn.clone());
    match sources.facts.get(&question) {
        Ok(Answer::SecretVersions(versions)) => versions
            .iter()
            .find(|version| version.stages.iter().any(|stage| stage == "AWSCURRENT"))
            .and_then(|version| version.created)
            .ok_or_else(|| "no version labelled AWSCURRENT has a date".to_owned()),
        Ok(_other) => Err(mismatch(&question).to_string()),
        Err(unseen) => Err(unseen.to_string()),
    }
}

/// The text under which the key of a secret is asked for.
fn key_question(listed: &ListedSecret, sources: &Sources<'_>) -> Option<String> {
    let configured = listed.kms_key_id.as_deref().unwrap_or(AWS_MANAGED_KEY);
    match alias_name(configured) {
        // Asking by key id serves every alias of the same key with one call.
        Some(alias) => match &sources.aliases {
            Ok(aliases) => Some(
                aliases
                    .iter()
                    .find(|known| known.name == alias)
                    .and_then(|known| known.key_id.clone())
                    .unwrap_or_else(|| alias.to_owned()),
            ),
            Err(_) => None,
        },
        None => Some(configured.to_owned()),
    }
}

pub(super) fn alias_name(configured: &str) -> Option<&str> {
    let tail = configured.rsplit(':').next().unwrap_or(configured);
    tail.starts_with("alias/").then_some(tail)
}

fn key(listed: &ListedSecret, sources: &Sources<'_>) -> SecretKey {
    let configured = listed.kms_key_id.as_deref().unwrap_or(AWS_MANAGED_KEY);
    let seen = key_question(listed, sources)
        .ok_or_else(|| match &sources.aliases {
            Ok(_) => "the key is not known".to_owned(),
            Err(unseen) => unseen.to_string(),
        })
        .and_then(|id| described_key(id, sources));
    let of = |read: fn(&Key) -> String| match &seen {
        Ok(key) => Known::Known(read(key)),
        Err(reason) => Known::Unknown(reason.clone()),
    };
    let is = |read: fn(&Key) -> bool| match &seen {
        Ok(key) => Known::Known(read(key)),
        Err(reason) => Known::Unknown(reason.clone()),
    };
    SecretKey {
        configured: configured.to_owned(),
        aliases: aliases_of(configured, sources),
        customer_managed: is(|key| key.manager == "CUSTOMER"),
        origin: of(|key| key.origin.clone()),
        state: of(|key| key.state.clone()),
        multi_region: is(|key| key.multi_region),
    }
}

fn described_key(id: String, sources: &Sources<'_>) -> Result<Key, String> {
    let question = Observation::Key(id);
    match sources.facts.get(&question) {
        Ok(Answer::Key(Some(key))) => Ok(key.clone()),
        Ok(Answer::Key(None)) => Err("KMS does not know the key".to_owned()),
        Ok(_other) => Err(mismatch(&question).to_string()),
        Err(unseen) => Err(unseen.to_string()),
    }
}

/// All aliases of the configured key; the configured alias alone when it points at nothing.
fn aliases_of(configured: &str, sources: &Sources<'_>) -> Known<Vec<String>> {
    let aliases = match &sources.aliases {
        Ok(aliases) => aliases,
        Err(unseen) => return Known::Unknown(unseen.to_string()),
    };
    let id = match alias_name(configured) {
        Some(alias) => aliases
            .iter()
            .find(|known| known.name == alias)
            .and_then(|known| known.key_id.as_deref()),
        None => configured.rsplit('/').next(),
    };
    Known::Known(
        aliases
            .iter()
            .filter(|alias| id.is_some() && alias.key_id.as_deref() == id)
            .map(|alias| alias.name.clone())
            .collect(),
    )
}

fn policy(listed: &ListedSecret, sources: &Sources<'_>) -> Known<SecretPolicy> {
    let question = Observation::SecretPolicy(listed.arn.clone());
    match sources.facts.get(&question) {
        Ok(Answer::SecretPolicy(None)) => Known::Known(SecretPolicy {
            present: false,
            outside: Vec::new(),
        }),
        Ok(Answer::SecretPolicy(Some(text))) => known(
            resource_policy::outside(text, &sources.setting.account).map(|outside| SecretPolicy {
                present: true,
                outside,
            }),
        ),
        Ok(_other) => Known::Unknown(mismatch(&question).to_string()),
        Err(unseen) => Known::Unknown(unseen.to_string()),
    }
}

fn replica_regions(listed: &ListedSecret, sources: &Sources<'_>) -> Known<Vec<String>> {
    let question = Observation::Secret(listed.arn.clone());
    match sources.facts.get(&question) {
        Ok(Answer::Secret(Some(secret))) => Known::Known(secret.replica_regions.clone()),
        Ok(Answer::Secret(None)) => Known::Unknown("the secret has vanished meanwhile".to_owned()),
        Ok(_other) => Known::Unknown(mismatch(&question).to_string()),
        Err(unseen) => Known::Unknown(unseen.to_string()),
    }
}
