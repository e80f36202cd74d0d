//! A recorded run, and changes to what AWS answered in it.
//!
//! In: a recording (every question of a run with its answer) and [`Change`]s. Out: the facts as they would have been.
//! Control tests are made of this: one recording for all, and a line or two for what each test is about. A change that
//! changes nothing is an error, so that a test can't go on passing beside what it was written for.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::duration::Duration;
use crate::observation::{Facts, Observed, Outcome, Time, Unseen};
use crate::population::{Organisation, Setting};

/// A recorded run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The time at which it was judged.
    pub now: Time,
    /// The stage.
    pub stage: String,
    /// Twelve digits.
    pub account: String,
    /// AWS region.
    pub region: String,
    /// Every question with its answer.
    pub facts: Vec<Observed>,
}

/// The file that control tests start from: one case, or several by the names of the tests that take them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// The file of the recording, relative to the folder of the controls.
    pub recording: String,
    /// What is otherwise than it was recorded, where the file is one case.
    #[serde(default)]
    change: Vec<Change>,
    /// Time that passes after the recording, where the file is one case.
    #[serde(default)]
    later: Option<Duration>,
    /// The cases by name, where there are several.
    #[serde(default, deserialize_with = "each_once")]
    cases: Option<BTreeMap<String, Case>>,
}

/// How the facts of one test differ from the recorded ones.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is otherwise than it was recorded.
    #[serde(default)]
    pub change: Vec<Change>,
    /// Time that passes after the recording.
    #[serde(default)]
    pub later: Option<Duration>,
}

/// One change, to the answers of one question.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The question's name, such as `secrets` or `function`.
    pub question: String,
    /// Only where the question names something with this text in it, such as a function of this name.
    #[serde(default)]
    pub about: Option<String>,
    /// The member of the answer that holds the rows, where the answer itself is no list.
    #[serde(default)]
    pub within: Option<String>,
    /// Rows with these members, all rows without.
    #[serde(default, rename = "where")]
    pub filter: Map<String, Value>,
    /// Members to set, by path with `::` between the parts; `(remove)` takes one out.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// Texts to replace in members: what stands there, and what shall.
    #[serde(default)]
    pub edit: BTreeMap<String, (String, String)>,
    /// Removes the rows instead.
    #[serde(default)]
    pub drop: bool,
    /// Replaces the whole answer instead.
    #[serde(default, deserialize_with = "given")]
    pub answer: Option<Value>,
    /// Adds a row instead: a copy of the first that matches, with `set` applied.
    #[serde(default)]
    pub add: bool,
    /// Makes it an unanswered question instead, with this code.
    #[serde(default)]
    pub unseen: Option<String>,
}

/// Why a change can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is nothing like it in the recording.
    #[error("change `{0}`: the recording holds nothing that it is about")]
    Nothing(String),
    /// A path leads nowhere.
    #[error("change `{question}`: `{path}` is no member of what it is about")]
    NoMember {
        /// The question.
        question: String,
        /// The path.
        path: String,
    },
    /// A text isn't there to be replaced.
    #[error("change `{question}`: `{member}` does not hold `{text}`")]
    NoText {
        /// The question.
        question: String,
        /// The member.
        member: String,
        /// The text.
        text: String,
    },
    /// The answer would not be one.
    #[error("change `{question}`: the answer would not be one any more: {reason}")]
    Shape {
        /// The question.
        question: String,
        /// What the reader of answers says.
        reason: String,
    },
}

/// A member that is there, `null` included.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Entries under free names, of which none may stand twice.
fn each_once<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, Case>>, D::Error> {
    struct EachOnce;
    impl<'de> serde::de::Visitor<'de> for EachOnce {
        type Value = BTreeMap<String, Case>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cases by name")
        }

        fn visit_map<M: serde::de::MapAccess<'de>>(
            self,
            mut map: M,
        ) -> Result<Self::Value, M::Error> {
            let mut cases = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                if cases.contains_key(&name) {
                    let twice = format!("there are two cases `{name}`");
                    return Err(serde::de::Error::custom(twice));
                }
                cases.insert(name, map.next_value()?);
            }
            Ok(cases)
        }
    }
    deserializer.deserialize_map(EachOnce).map(Some)
}

impl Given {
    /// What a test of this name starts from; nothing where the file has cases and none of this name.
    pub fn case(&self, test: &str) -> Option<Case> {
        match &self.cases {
            Some(cases) => cases.get(test).cloned(),
            None => Some(Case {
                change: self.change.clone(),
                later: self.later,
            }),
        }
    }

    /// The names of its cases; none where it is one case itself.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Why the file says two things at once, if it does.
    pub fn contradiction(&self) -> Option<&'static str> {
        let both = self.cases.is_some() && (!self.change.is_empty() || self.later.is_some());
        both.then_some("`change` and `later` belong into the cases, where there are `cases`")
    }
}

impl Recording {
    /// The setting of the recorded run.
    pub fn setting(&self) -> Setting {
        Setting {
            stage: self.stage.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            now: self.now,
            organisation: Organisation::default(),
            shard: None,
        }
    }

    /// The recorded facts.
    pub fn facts(&self) -> Facts {
        facts(&self.facts)
    }

    /// The facts as they would be with these changes, and the setting.
    pub fn changed(&self, case: &Case) -> Result<(Facts, Setting), ChangeError> {
        let mut observed = self.facts.clone();
        for change in &case.change {
            apply(&mut observed, change)?;
        }
        let mut setting = self.setting();
        if let Some(later) = case.later {
            setting.now += later.as_delta();
        }
        Ok((facts(&observed), setting))
    }
}

fn facts(observed: &[Observed]) -> Facts {
    let mut facts = Facts::default();
    for record in observed {
        facts.insert(record.clone());
    }
    facts
}

fn apply(observed: &mut [Observed], change: &Change) -> Result<(), ChangeError> {
    let shape = |error: serde_json::Error| ChangeError::Shape {
        question: change.question.clone(),
        reason: error.to_string(),
    };
    let mut changed = 0;
    for record in observed {
        let question = serde_json::to_value(&record.observation).map_err(shape)?;
        if !is_about(&question, change) {
            continue;
        }
        if let Some(code) = &change.unseen {
            record.outcome = Outcome::Unseen(Unseen {
                operation: record.observation.operation().to_owned(),
                code: code.clone(),
                advice: "a test".to_owned(),
            });
            changed += 1;
            continue;
        }
        let mut outcome = serde_json::to_value(&record.outcome).map_err(shape)?;
        let answer = outcome
            .get_mut("seen")
            .and_then(Value::as_object_mut)
            .and_then(|answer| answer.values_mut().next());
        let Some(answer) = answer else { continue };
        changed += change_answer(answer, change)?;
        record.outcome = serde_json::from_value(outcome).map_err(shape)?;
    }
    if changed == 0 {
        return Err(ChangeError::Nothing(change.question.clone()));
    }
    Ok(())
}

/// Whether a change is about this question.
fn is_about(question: &Value, change: &Change) -> bool {
    match question {
        Value::String(name) => *name == change.question && change.about.is_none(),
        Value::Object(named) => named.get(&change.question).is_some_and(|argument| {
            change
                .about
                .as_ref()
                .is_none_or(|about| argument.to_string().contains(about))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

/// Changes an answer and says in how many places.
fn change_answer(answer: &mut Value, change: &Change) -> Result<usize, ChangeError> {
    if let Some(whole) = &change.answer {
        *answer = whole.clone();
        return Ok(1);
    }
    let answer = match &change.within {
        Some(member) => answer
            .get_mut(member)
            .ok_or_else(|| no_member(change, member))?,
        None => answer,
    };
    let matches = |row: &Value| {
        change
            .filter
            .iter()
            .all(|(member, value)| row.get(member) == Some(value))
    };
    match answer {
        Value::Array(rows) if change.drop => {
            let before = rows.len();
            rows.retain(|row| !matches(row));
            Ok(before - rows.len())
        }
        Value::Array(rows) if change.add => {
            let Some(mut row) = rows.iter().find(|row| matches(row)).cloned() else {
                return Ok(0);
            };
            set_all(&mut row, change)?;
            rows.push(row);
            Ok(1)
        }
        Value::Array(rows) => {
            let mut changed = 0;
            for row in rows.iter_mut().filter(|row| matches(row)) {
                set_all(row, change)?;
                changed += 1;
            }
            Ok(changed)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            let one = answer;
            let fits = matches(one);
            if fits {
                set_all(one, change)?;
            }
            Ok(usize::from(fits))
        }
    }
}

fn set_all(row: &mut Value, change: &Change) -> Result<(), ChangeError> {
    for (member, (from, to)) in &change.edit {
        let text = row
            .get_mut(member)
            .ok_or_else(|| no_member(change, member))?;
        let changed = text
            .as_str()
            .filter(|text| text.contains(from.as_str()))
            .map(|text| text.replace(from.as_str(), to));
        *text = Value::String(changed.ok_or_else(|| ChangeError::NoText {
            question: change.question.clone(),
            member: member.clone(),
            text: from.clone(),
        })?);
    }
    for (path, value) in &change.set {
        set(row, path, value).ok_or_else(|| no_member(change, path))?;
    }
    Ok(())
}

fn set(row: &mut Value, path: &str, value: &Value) -> Option<()> {
    let (holders, last) = match path.rsplit_once("::") {
        Some((holders, last)) => (holders.split("::").collect(), last),
        None => (Vec::new(), path),
    };
    let mut at = row;
    for part in holders {
        at = at.as_object_mut()?.get_mut(part)?;
    }
    let holder = at.as_object_mut()?;
    if value.as_str() == Some("(remove)") {
        holder.remove(last)?;
    } else {
        holder.insert(last.to_owned(), value.clone());
    }
    Some(())
}

fn no_member(change: &Change, path: &str) -> ChangeError {
    ChangeError::NoMember {
        question: change.question.clone(),
        path: path.to_owned(),
    }
}
