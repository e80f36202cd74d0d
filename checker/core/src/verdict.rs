//! What a judgement can say, and how several judgements combine.
//!
//! There is no default and no empty pass: a `Verdict` is always stated, and combining nothing gives
//! `None`, which the caller has to name (an empty population is Inconclusive unless the control says otherwise).

use serde::{Deserialize, Serialize};

/// The outcome of one rule on one resource, or of a control, or of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// We looked, and it is wrong.
    Fail,
    /// We could not look, or could not look completely.
    Inconclusive,
    /// We looked, and it is as demanded.
    Pass,
    /// It is wrong, and an approved exception that has not expired covers it.
    Waived,
    /// The rule does not speak of this resource.
    NotApplicable,
}

impl Verdict {
    /// The word that stands in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Pass => "pass",
            Self::Waived => "waived",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// How much this verdict weighs when it meets others: the heaviest decides.
    fn weight(self) -> u8 {
        match self {
            Self::Fail => 4,
            Self::Inconclusive => 3,
            Self::Pass => 2,
            Self::Waived => 1,
            Self::NotApplicable => 0,
        }
    }

    /// The verdict over several: one Fail decides, then one Inconclusive, then one Pass.
    /// `None` when there is nothing to combine, because nothing is never a pass.
    pub fn over(verdicts: impl IntoIterator<Item = Self>) -> Option<Self> {
        verdicts.into_iter().max_by_key(|verdict| verdict.weight())
    }

    /// The process exit code of a run with this verdict (0 passed, 1 failed, 3 inconclusive).
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass | Self::Waived | Self::NotApplicable => 0,
            Self::Fail => 1,
            Self::Inconclusive => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Fail, Inconclusive, NotApplicable, Pass, Waived};
    use proptest::prelude::*;

    fn any_verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![
            Just(Fail),
            Just(Inconclusive),
            Just(Pass),
            Just(Waived),
            Just(NotApplicable)
        ]
    }

    #[test]
    fn nothing_is_not_a_pass() {
        assert_eq!(Verdict::over([]), None);
    }

    proptest! {
        #[test]
        fn a_fail_always_decides(mut verdicts in proptest::collection::vec(any_verdict(), 0..9), at in 0usize..9) {
            verdicts.insert(at.min(verdicts.len()), Fail);
            prop_assert_eq!(Verdict::over(verdicts), Some(Fail));
        }

        #[test]
        fn what_was_not_seen_never_passes(mut verdicts in proptest::collection::vec(any_verdict(), 0..9), at in 0usize..9) {
            verdicts.insert(at.min(verdicts.len()), Inconclusive);
            let over = Verdict::over(verdicts);
            prop_assert!(matches!(over, Some(Fail | Inconclusive)));
        }

        #[test]
        fn order_does_not_matter(verdicts in proptest::collection::vec(any_verdict(), 0..9)) {
            let mut reversed = verdicts.clone();
            reversed.reverse();
            prop_assert_eq!(Verdict::over(verdicts), Verdict::over(reversed));
        }
    }
}
