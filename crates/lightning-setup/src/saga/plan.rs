//! What comes next, told from the journal alone.

use crate::{Goal, Setup, SetupStatus, Step, StepRecord, StepState};

/// The next thing to do for a setup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Make this step, or find out what became of it.
    Make(Step),
    /// Everything exists: write it down and serve the address.
    Complete,
    /// Undo this, or find out that nothing of it exists.
    Undo(StepRecord),
    /// Nothing more can be done.
    Close(SetupStatus),
    /// There is nothing to do for it at all.
    Nothing,
}

pub(super) fn next(setup: &Setup) -> Next {
    match setup.status {
        SetupStatus::InProgress => {
            let done =
                |step: &Step| setup.record(*step).is_some_and(|record| record.state == StepState::Done);
            Step::ALL.into_iter().find(|step| !done(step)).map_or(Next::Complete, Next::Make)
        }
        SetupStatus::RollingBack => setup
            .journal
            .iter()
            .filter(|record| record.state.may_exist())
            .max_by_key(|record| (record.attempt, record.step))
            .map_or_else(|| Next::Close(ending(setup)), |record| Next::Undo(record.clone())),
        SetupStatus::FullyConfigured
        | SetupStatus::Failed
        | SetupStatus::NeedsAttention
        | SetupStatus::Removed => Next::Nothing,
    }
}

fn ending(setup: &Setup) -> SetupStatus {
    match (setup.orphans().next(), setup.goal) {
        (Some(_), _) => SetupStatus::NeedsAttention,
        (None, Goal::SetUp) => SetupStatus::Failed,
        (None, Goal::TearDown) => SetupStatus::Removed,
    }
}
