//! A way from a variable to a value inside it: `secret.rotation.longest_gap`.
//!
//! Conditions are reduced to the paths they read, from which the plan of what to observe follows; placeholders
//! of texts are paths.

use std::fmt;

use cel::Value;
use cel::objects::KeyRef;

/// A variable and the steps below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// The variable.
    pub root: String,
    /// The steps, outermost first.
    pub steps: Vec<Step>,
}

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A field of an object.
    Field(String),
    /// The value at a key of a map.
    Key(String),
    /// The item of a list, from 0.
    Index(usize),
    /// Each item of a list, or each value of a map.
    Each,
}

impl Path {
    /// The path of a variable itself.
    pub fn of(root: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            steps: Vec::new(),
        }
    }

    /// One step further.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        Self {
            root: self.root.clone(),
            steps,
        }
    }

    /// The names of fields only, which is what decides what must be observed: `secret.versions.stages` for
    /// `secret.versions[].stages`.
    pub fn fields(&self) -> Vec<&str> {
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Field(name) => Some(name.as_str()),
                Step::Key(_) | Step::Index(_) | Step::Each => None,
            })
            .collect()
    }

    /// Whether it leads through each item of another one.
    pub(super) fn is_below_each_of(&self, list: &Self) -> bool {
        self.root == list.root
            && self
                .steps
                .strip_prefix(list.steps.as_slice())
                .is_some_and(|below| below.first() == Some(&Step::Each))
    }

    /// Whether it names one value, not each of several.
    pub fn is_single(&self) -> bool {
        !self.steps.contains(&Step::Each)
    }

    /// The value below the value of its variable; nothing when it is not there, `null` below a `null`.
    pub(super) fn walk<'a>(&self, from: &'a Value) -> Option<&'a Value> {
        if !self.is_single() {
            return None;
        }
        self.steps
            .iter()
            .try_fold(from, |value, step| step.of(value))
    }

    /// The values below the value of its variable, one for each item on the way; nothing where it is not there.
    pub(super) fn walk_all<'a>(&self, from: &'a Value) -> Vec<Option<&'a Value>> {
        let mut values = vec![Some(from)];
        for step in &self.steps {
            values = values
                .into_iter()
                .flat_map(|value| step.each(value))
                .collect();
        }
        values
    }
}

impl Step {
    /// The value one step below a value, where there is one at most.
    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match (self, value) {
            (_, Value::Null) => Some(value),
            (Self::Field(name) | Self::Key(name), Value::Map(map)) => {
                map.get(&KeyRef::String(name))
            }
            (Self::Index(index), Value::List(items)) => items.get(*index),
            (Self::Field(_) | Self::Key(_) | Self::Index(_) | Self::Each, _) => None,
        }
    }

    /// The values one step below a value.
    fn each<'a>(&self, value: Option<&'a Value>) -> Vec<Option<&'a Value>> {
        match (self, value) {
            (Self::Each, Some(Value::List(items))) => items.iter().map(Some).collect(),
            (Self::Each, Some(Value::Map(map))) => map.map.values().map(Some).collect(),
            (Self::Field(_) | Self::Key(_) | Self::Index(_) | Self::Each, _) => {
                vec![value.and_then(|value| self.of(value))]
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        for step in &self.steps {
            match step {
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "['{key}']")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Each => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}
