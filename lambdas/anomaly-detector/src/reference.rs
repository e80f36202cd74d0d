//! Which secret an event is about: the references in it, in the order in which they can be trusted.
//!
//! A reference is a name, a full ARN or an ARN without its random suffix; where it stands differs from call
//! to call. A caller who is refused chooses the text freely, so only characters that a reference may have are
//! kept, and of an error message only the resource it names.

use serde_json::Value;

use crate::event::Event;

/// Longest reference that is kept: a name has at most 512 characters, an ARN little more.
const LONGEST: usize = 640;
/// Most references of one event that are kept. A batch call names at most 20.
const MOST: usize = 20;

/// One secret, as the event names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// ARN; built from account and region, without suffix, where the event gives only a name.
    pub arn: String,
    /// The secret's name as it stands there: in an ARN usually with the random suffix.
    pub name: String,
    /// The name before what looks like the suffix of an ARN. An ARN without suffix whose name ends in six
    /// letters looks the same, which is why prefixes are compared with the longer form.
    pub stem: Option<String>,
    /// Account in the ARN, if the event itself gave an ARN.
    pub account: Option<String>,
}

impl Reference {
    /// Every secret that `event` names, without repetition, best known first.
    pub fn all_of(event: &Event<'_>) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for text in texts(event) {
            let reference = Self::read(&text, event);
            match found.iter().position(|known| known.is_same(&reference)) {
                Some(place) => {
                    if let Some(known) = found.get_mut(place)
                        && !known.is_resolved()
                        && reference.is_resolved()
                    {
                        *known = reference;
                    }
                }
                None if found.len() < MOST => found.push(reference),
                None => {}
            }
        }
        found
    }

    /// The name in a name or ARN, without the ARN's suffix.
    pub fn name_in(reference: &str) -> &str {
        match reference.split_once(":secret:") {
            Some((_, name)) => without_suffix(name).unwrap_or(name),
            None => reference,
        }
    }

    /// Whether the event itself gave a whole ARN.
    pub fn is_resolved(&self) -> bool {
        self.stem.is_some()
    }

    /// Whether this is the secret of that name.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.stem.as_deref() == Some(name)
    }

    fn read(text: &str, event: &Event<'_>) -> Self {
        let text: String = text
            .chars()
            .map(|c| if is_legal(c) { c } else { '?' })
            .take(LONGEST)
            .collect();
        let Some((head, name)) = text.split_once(":secret:") else {
            let arn = format!(
                "arn:aws:secretsmanager:{}:{}:secret:{text}",
                event.text("awsRegion").unwrap_or_default(),
                event.text("recipientAccountId").unwrap_or_default()
            );
            return Self {
                arn: crate::plain_text::clean(&arn, LONGEST),
                name: text,
                stem: None,
                account: None,
            };
        };
        let account = head
            .rsplit(':')
            .next()
            .filter(|account| !account.is_empty())
            .map(str::to_owned);
        let (name, stem) = (name.to_owned(), without_suffix(name).map(str::to_owned));
        Self {
            arn: text,
            name,
            stem,
            account,
        }
    }

    /// The same secret: a name that has no account is taken to be of the ARN with that name.
    fn is_same(&self, other: &Self) -> bool {
        let accounts_agree =
            self.account.is_none() || other.account.is_none() || self.account == other.account;
        let names_agree = self.is_named(&other.name) || other.is_named(&self.name);
        accounts_agree && names_agree
    }
}

/// Every place where an event names a secret.
fn texts(event: &Event<'_>) -> Vec<String> {
    let record = event.record;
    let mut texts: Vec<String> = Vec::new();
    let places = [
        "/requestParameters/secretId",
        "/requestParameters/name",
        "/responseElements/arn",
        "/responseElements/aRN",
        "/additionalEventData/SecretId",
        "/additionalEventData/ARN",
        "/additionalEventData/Name",
        "/serviceEventDetails/secretId",
    ];
    texts.extend(
        places
            .iter()
            .filter_map(|place| record.pointer(place)?.as_str())
            .map(str::to_owned),
    );
    let listed = record
        .pointer("/requestParameters/secretIdList")
        .and_then(Value::as_array);
    texts.extend(
        listed
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned),
    );
    let resources = record
        .get("resources")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let arns = resources.filter_map(|resource| {
        resource
            .get("ARN")
            .or_else(|| resource.get("arn"))?
            .as_str()
    });
    texts.extend(
        arns.filter(|arn| arn.contains(":secretsmanager:"))
            .map(str::to_owned),
    );
    let envelope = event
        .envelope
        .and_then(|envelope| envelope.get("resources")?.as_array());
    let arns = envelope.into_iter().flatten().filter_map(Value::as_str);
    texts.extend(
        arns.filter(|arn| arn.contains(":secretsmanager:"))
            .map(str::to_owned),
    );
    if texts.is_empty() {
        texts.extend(refused_resource(event));
    }
    texts.retain(|text| !text.is_empty());
    texts
}

/// The resource in "... is not authorized to perform: X on resource: Y because ...": nothing else of an error
/// message is ever read, since a caller decides what stands in it.
fn refused_resource(event: &Event<'_>) -> Option<String> {
    let (_, rest) = event.text("errorMessage")?.split_once(" on resource: ")?;
    let resource = rest.split_whitespace().next()?;
    (resource.chars().all(is_legal) && resource != "*").then(|| resource.to_owned())
}

/// Characters of secret names and ARNs.
fn is_legal(character: char) -> bool {
    character.is_ascii_alphanumeric() || "/_+=.@-:!".contains(character)
}

/// The name before `-AbCdEf`, if the text ends like that.
fn without_suffix(name: &str) -> Option<&str> {
    let (stem, suffix) = name.rsplit_once('-')?;
    (suffix.len() == 6
        && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !stem.is_empty())
    .then_some(stem)
}
