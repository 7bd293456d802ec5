//! The polls that a command names: few in memory, or those of files, which are read again instead of kept.

use super::super::specs::{Batches, Job, Specs};

/// Polls to submit.
pub(in super::super) enum Jobs<'a> {
    Few(Vec<Job>),
    Files(Box<Specs<'a>>),
}

/// One walk through the jobs.
pub(super) enum JobBatches<'s> {
    Few(Option<&'s [Job]>),
    Files(Box<Batches<'s>>),
}

impl Jobs<'_> {
    /// The number of jobs.
    pub(in super::super) fn count(&self) -> usize {
        match self {
            Self::Few(jobs) => jobs.len(),
            Self::Files(specs) => specs.jobs_count(),
        }
    }

    /// The jobs in batches, from the beginning.
    pub(super) fn batches(&mut self) -> JobBatches<'_> {
        match self {
            Self::Few(jobs) => JobBatches::Few(Some(jobs)),
            Self::Files(specs) => JobBatches::Files(Box::new(specs.batches())),
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
        let mut batches = self.batches();
        while let Some(mut jobs) = batches.next_batch()? {
            if let Some(job) = jobs.pop() {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }
}

impl JobBatches<'_> {
    /// The next jobs; `None` at the end.
    ///
    /// # Errors
    /// If a file is not what it was when it was checked.
    pub(super) fn next_batch(&mut self) -> anyhow::Result<Option<Vec<Job>>> {
        match self {
            Self::Few(jobs) => Ok(jobs.take().map(<[Job]>::to_vec)),
            Self::Files(batches) => batches.next_batch(),
        }
    }
}
