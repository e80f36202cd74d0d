//! The expectations of a control, put to the trace of its probe.

use super::{NOT_RUN, Script};
use crate::control::Probe;
use crate::expression::Bindings;
use crate::judge::verdict_of;
use crate::observation::{Answer, Facts};
use crate::population::{Item, mismatch};
use crate::run::Finding;
use crate::shared::Shared;
use crate::verdict::Verdict;

/// One finding an expectation. A probe that was not run is Inconclusive, and says why.
///
/// `bindings` are those that a control always has.
pub(crate) fn judge(probe: &Probe, mut bindings: Bindings, facts: &Facts) -> Vec<Finding> {
    let script = Script::of(&probe.script, &bindings);
    let item = traced(&script, facts);
    if let Ok(item) = &item {
        bindings.bind_made("trace", item.value.clone(), &item.unknowns);
    }
    let evidence: Vec<Shared> = facts
        .digest(&script.question())
        .map(Shared::from)
        .into_iter()
        .collect();
    probe
        .expect
        .iter()
        .map(|rule| {
            let (resource, verdict, says, because) = match &item {
                Ok(item) => {
                    let (verdict, because) = verdict_of(rule, item, &bindings);
                    let says = rule.says.render(&bindings);
                    (item.resource.clone(), verdict, says, because)
                }
                Err(reason) => (
                    script.subject().into(),
                    Verdict::Inconclusive,
                    rule.says.text().to_owned(),
                    vec![reason.clone()],
                ),
            };
            let source = rule.source.to_string();
            Finding::new((&rule.id, &source), resource, verdict, says, because)
                .resting_on(evidence.clone())
        })
        .collect()
}

/// The trace of a script, as rules read it, or why there is none.
fn traced(script: &Script, facts: &Facts) -> Result<Item, String> {
    let question = script.question();
    if !facts.asked(&question) {
        return Err(format!(
            "the evidence holds no trace of `{}`; run with --probes",
            script.name()
        ));
    }
    match facts.get(&question) {
        Ok(Answer::Trace(trace)) if script.left(trace) => Ok(trace.item()),
        Ok(_) => Err(mismatch(&question).to_string()),
        Err(unseen) if unseen.code == NOT_RUN => Err(unseen.advice),
        Err(unseen) => Err(unseen.to_string()),
    }
}
