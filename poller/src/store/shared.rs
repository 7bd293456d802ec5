//! `Arc<S>` is a store if `S` is: a program that opens one of several kinds of store passes on an `Arc<dyn StoreAdmin>`.
//!
//! Every method is forwarded, those with a default too; a method that is missing here would silently have the default.

use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;

use super::{
    CallbackKey, Changes, Creation, Cursor, Ending, FoundOutcome, FoundPoll, OpenPolls, Page, PollRecord,
    Retention, Runner, Selection, Store, StoreAdmin, StoreError, StoreStatus, StoredPoll, Summary,
};
use crate::clock::{BoxFuture, Clock, Timestamp};
use crate::job::PollSpec;
use crate::key::{PollKey, PollKeys};
use crate::outbox::Outbox;
use crate::outcome::{Attempt, Outcome};

/// A shared store is a store, whatever its type.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        (**self).create(poll)
    }

    fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>> {
        (**self).create_all(polls)
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        (**self).finish(key, outcome)
    }

    fn follow(&self, key: PollKey, url: Arc<str>) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).follow(key, url)
    }

    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        (**self).begin_run()
    }

    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>> {
        (**self).load_open()
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        (**self).get(key)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        (**self).list()
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).forget(key)
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        (**self).changes()
    }

    fn note_lag(&self, lag: Duration) {
        (**self).note_lag(lag);
    }

    fn cancel_elsewhere(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).cancel_elsewhere(key)
    }

    fn hasten_elsewhere(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).hasten_elsewhere(key)
    }

    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>> {
        (**self).purge(keep)
    }

    fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).note_attempts(attempts)
    }

    fn changes_every(&self) -> Option<Duration> {
        (**self).changes_every()
    }

    fn changed(&self) -> BoxFuture<'static, ()> {
        (**self).changed()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        (**self).clock()
    }

    fn may_ask(&self) -> bool {
        (**self).may_ask()
    }

    fn outbox(&self) -> Option<Arc<dyn Outbox>> {
        (**self).outbox()
    }

    fn runs(&self, key: &PollKey) -> bool {
        (**self).runs(key)
    }
}

impl<S: StoreAdmin + ?Sized> StoreAdmin for Arc<S> {
    fn summaries(&self) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        (**self).summaries()
    }

    fn select(&self, selection: Selection) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        (**self).select(selection)
    }

    fn select_pages(&self, selection: Selection) -> BoxStream<'_, Result<Vec<Summary>, StoreError>> {
        (**self).select_pages(selection)
    }

    fn status(&self, now: Timestamp) -> BoxFuture<'_, Result<StoreStatus, StoreError>> {
        (**self).status(now)
    }

    fn summary(&self, key: PollKey) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        (**self).summary(key)
    }

    fn show(&self, key: PollKey) -> BoxFuture<'_, Result<Option<PollRecord>, StoreError>> {
        (**self).show(key)
    }

    fn outcome(&self, key: PollKey) -> BoxFuture<'_, Result<Option<FoundOutcome>, StoreError>> {
        (**self).outcome(key)
    }

    fn count_open(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        (**self).count_open()
    }

    fn request_cancel(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).request_cancel(key)
    }

    fn cancel_unrun(
        &self,
        key: PollKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>> {
        (**self).cancel_unrun(key, now)
    }

    fn get_all(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<Option<StoredPoll>>, StoreError>> {
        (**self).get_all(keys)
    }

    fn find(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<Option<FoundPoll>>, StoreError>> {
        (**self).find(keys)
    }

    fn summaries_of(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<Option<Summary>>, StoreError>> {
        (**self).summaries_of(keys)
    }

    fn request_cancel_all(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<bool>, StoreError>> {
        (**self).request_cancel_all(keys)
    }

    fn cancel_all_unrun(
        &self,
        keys: Vec<PollKey>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Vec<Option<Ending>>>, StoreError>> {
        (**self).cancel_all_unrun(keys, now)
    }

    fn cancel_selected_unrun(
        &self,
        selection: Selection,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<PollKeys>, StoreError>> {
        (**self).cancel_selected_unrun(selection, now)
    }

    fn runner(&self) -> BoxFuture<'_, Result<Option<Runner>, StoreError>> {
        (**self).runner()
    }

    fn page(&self, selection: Selection, cursor: Option<Cursor>) -> BoxFuture<'_, Result<Page, StoreError>> {
        (**self).page(selection, cursor)
    }

    fn callback_key(&self) -> BoxFuture<'_, Result<Option<CallbackKey>, StoreError>> {
        (**self).callback_key()
    }

    fn admits(&self, spec: &PollSpec) -> Result<(), StoreError> {
        (**self).admits(spec)
    }
}
