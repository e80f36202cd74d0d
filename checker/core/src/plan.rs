//! What to ask next: from the controls and the answers so far to the open questions.
//!
//! Lazy by what rules read: a root question a population, then details only for things that pass a filter and
//! only where a rule reads them. Asked in rounds until nothing is open; a question is never asked twice.

use std::collections::BTreeSet;

use crate::access;
use crate::control::{Catalog, Check};
use crate::expression::with_deep_stack;
use crate::judge::{Populations, common, nowhere};
use crate::observation::{Facts, Observation};
use crate::population::Setting;

/// The open questions. Empty when everything that a verdict needs was asked.
pub fn next(catalog: &Catalog, facts: &Facts, setting: &Setting) -> BTreeSet<Observation> {
    let mut open = reads(catalog, facts, setting);
    open.retain(|question| !facts.asked(question));
    open
}

/// Every question whose answer a verdict rests on, as far as the facts so far show.
pub fn reads(catalog: &Catalog, facts: &Facts, setting: &Setting) -> BTreeSet<Observation> {
    with_deep_stack(|| {
        let mut reads = BTreeSet::from([Observation::Caller]);
        if nowhere(facts).is_some() {
            return reads;
        }
        reads.extend(Populations::new(catalog, facts, setting).questions());
        for control in &catalog.controls {
            for check in &control.checks {
                match check {
                    // What is judged once, in the first shard, is asked once.
                    Check::Iam(iam) if setting.judges_once() => {
                        reads.extend(access::questions(iam, &common(control, setting), facts));
                    }
                    Check::Inspect(_) | Check::Iam(_) | Check::Probe(_) => {}
                }
            }
        }
        reads
    })
}
