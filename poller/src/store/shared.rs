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

/// The methods of these signatures, each of which calls that of the shared store.
macro_rules! forwarded {
    ($(fn $method:ident(&self $(, $name:ident: $type:ty)* $(,)?) $(-> $result:ty)?;)*) => {
        $(fn $method(&self $(, $name: $type)*) $(-> $result)? {
            (**self).$method($($name),*)
        })*
    };
}

/// A shared store is a store, whatever its type.
impl<S: Store + ?Sized> Store for Arc<S> {
    forwarded! {
        fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>>;
        fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>>;
        fn finish(
            &self,
            key: PollKey,
            outcome: Arc<Outcome>,
        ) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>>;
        fn follow(&self, key: PollKey, url: Arc<str>) -> BoxFuture<'_, Result<(), StoreError>>;
        fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>>;
        fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>>;
        fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>>;
        fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>>;
        fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>>;
        fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>>;
        fn note_lag(&self, lag: Duration);
        fn cancel_elsewhere(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>>;
        fn hasten_elsewhere(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>>;
        fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>>;
        fn note_attempts(
            &self,
            attempts: Vec<(PollKey, Vec<Attempt>)>,
        ) -> BoxFuture<'_, Result<(), StoreError>>;
        fn changes_every(&self) -> Option<Duration>;
        fn changed(&self) -> BoxFuture<'static, ()>;
        fn clock(&self) -> Option<Arc<dyn Clock>>;
        fn may_ask(&self) -> bool;
        fn outbox(&self) -> Option<Arc<dyn Outbox>>;
        fn runs(&self, key: &PollKey) -> bool;
    }
}

impl<S: StoreAdmin + ?Sized> StoreAdmin for Arc<S> {
    forwarded! {
        fn summaries(&self) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>>;
        fn select(&self, selection: Selection) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>>;
        fn select_pages(&self, selection: Selection) -> BoxStream<'_, Result<Vec<Summary>, StoreError>>;
        fn status(&self, now: Timestamp) -> BoxFuture<'_, Result<StoreStatus, StoreError>>;
        fn summary(&self, key: PollKey) -> BoxFuture<'_, Result<Option<Summary>, StoreError>>;
        fn show(&self, key: PollKey) -> BoxFuture<'_, Result<Option<PollRecord>, StoreError>>;
        fn outcome(&self, key: PollKey) -> BoxFuture<'_, Result<Option<FoundOutcome>, StoreError>>;
        fn count_open(&self) -> BoxFuture<'_, Result<usize, StoreError>>;
        fn request_cancel(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>>;
        fn cancel_unrun(
            &self,
            key: PollKey,
            now: Timestamp,
        ) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>>;
        fn get_all(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<Option<StoredPoll>>, StoreError>>;
        fn find(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<Option<FoundPoll>>, StoreError>>;
        fn summaries_of(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<Option<Summary>>, StoreError>>;
        fn request_cancel_all(&self, keys: Vec<PollKey>) -> BoxFuture<'_, Result<Vec<bool>, StoreError>>;
        fn cancel_all_unrun(
            &self,
            keys: Vec<PollKey>,
            now: Timestamp,
        ) -> BoxFuture<'_, Result<Option<Vec<Option<Ending>>>, StoreError>>;
        fn cancel_selected_unrun(
            &self,
            selection: Selection,
            now: Timestamp,
        ) -> BoxFuture<'_, Result<Option<PollKeys>, StoreError>>;
        fn runner(&self) -> BoxFuture<'_, Result<Option<Runner>, StoreError>>;
        fn page(
            &self,
            selection: Selection,
            cursor: Option<Cursor>,
        ) -> BoxFuture<'_, Result<Page, StoreError>>;
        fn callback_key(&self) -> BoxFuture<'_, Result<Option<CallbackKey>, StoreError>>;
        fn admits(&self, spec: &PollSpec) -> Result<(), StoreError>;
    }
}
