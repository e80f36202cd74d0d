//! Policies, compiled once: every call is decided by the same few texts, in this lab and in the next.
//!
//! In: the texts of one layer. Out: what `checker-iam` makes of them, which depends on nothing else. What was compiled
//! is kept for the process, up to a limit.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use checker_iam::{Policy, PolicyKind, PolicySet};

/// How many layers are kept; beyond that it begins anew.
const LIMIT: usize = 4096;

type Layer = (PolicyKind, Vec<String>);

static COMPILED: Mutex<BTreeMap<Layer, Option<PolicySet>>> = Mutex::new(BTreeMap::new());

/// The policies of a layer. They were validated when they were put: one that can't be read grants nothing.
pub(crate) fn policies(kind: PolicyKind, texts: Vec<String>) -> PolicySet {
    compiled(kind, texts).unwrap_or_default()
}

/// One policy; nothing where it can't be read.
pub(crate) fn policy(kind: PolicyKind, text: &str) -> Option<PolicySet> {
    compiled(kind, vec![text.to_owned()])
}

/// The policies that can be read; nothing where none can.
fn compiled(kind: PolicyKind, texts: Vec<String>) -> Option<PolicySet> {
    let layer = (kind, texts);
    if let Some(found) = kept(|all| all.get(&layer).cloned()) {
        return found;
    }
    let parsed: Vec<Policy> = layer
        .1
        .iter()
        .filter_map(|text| Policy::parse(text, kind).ok())
        .collect();
    let made = (!parsed.is_empty()).then(|| PolicySet::new(parsed));
    kept(|all| {
        if all.len() >= LIMIT {
            all.clear();
        }
        all.insert(layer, made.clone());
    });
    made
}

fn kept<T>(act: impl FnOnce(&mut BTreeMap<Layer, Option<PolicySet>>) -> T) -> T {
    act(&mut COMPILED.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_grants_nothing_and_kinds_stay_apart() {
        let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        assert!(policy(PolicyKind::Identity, text).is_some());
        assert!(policy(PolicyKind::Identity, text).is_some());
        // A resource's policy must name its principals.
        assert!(policy(PolicyKind::Resource, text).is_none());
        assert!(policy(PolicyKind::Identity, "{").is_none());
    }
}
