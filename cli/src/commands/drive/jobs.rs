//! The polls that a command names: few in memory, or those of files, which are read again instead of kept.

use std::iter;

use super::super::specs::{Job, Specs};

/// Polls to submit.
pub(in super::super) enum Jobs<'a> {
    Few(Vec<Job>),
    Files(Box<Specs<'a>>),
}

impl Jobs<'_> {
    pub(in super::super) fn count(&self) -> usize {
        match self {
            Self::Few(jobs) => jobs.len(),
            Self::Files(specs) => specs.jobs_count(),
        }
    }

    /// The jobs in batches, from the beginning. A batch is an error if a file is not what it was when it was checked.
    pub(super) fn batches(&mut self) -> Box<dyn Iterator<Item = anyhow::Result<Vec<Job>>> + '_> {
        match self {
            Self::Few(jobs) => Box::new(iter::once_with(|| Ok(jobs.clone()))),
            Self::Files(specs) => {
                let mut batches = specs.batches();
                Box::new(iter::from_fn(move || batches.next_batch().transpose()))
            }
        }
    }

    /// The only job; `None` if there are several.
    ///
    /// # Errors
    /// If a file is not what it was when it was checked.
    pub(in super::super) fn only(&mut self) -> anyhow::Result<Option<Job>> {
        if self.count() != 1 {
            return Ok(None);
        }
        let jobs = self.batches().find_map(|batch| batch.map(|mut jobs| jobs.pop()).transpose());
        jobs.transpose()
    }
}
