//! `Arc<S>` is a store if `S` is: a program that opens one of several kinds of store passes on an `Arc<dyn StoreAdmin>`.
//!
//! Every method is forwarded, those with a default too; a method that is missing here would silently have the default.

use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;

use super::{
    CallbackKey, Changes, Creation, Cursor, Ending, FoundOutcome, FoundPoll, OpenPolls, Page, PollRecord,
    Retention, Runner, Selection, Store, StoreAdmin, StoreError, StoreFuture, StoreStatus, StoredPoll,
    Summary,
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
        fn create(&self, poll: StoredPoll) -> StoreFuture<'_, Creation>;
        fn create_all(&self, polls: Vec<StoredPoll>) -> BoxFuture<'_, Vec<Result<Creation, StoreError>>>;
        fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> StoreFuture<'_, Arc<Outcome>>;
        fn follow(&self, key: PollKey, url: Arc<str>) -> StoreFuture<'_, ()>;
        fn begin_run(&self) -> StoreFuture<'_, usize>;
        fn load_open(&self) -> StoreFuture<'_, OpenPolls>;
        fn get(&self, key: PollKey) -> StoreFuture<'_, Option<StoredPoll>>;
        fn list(&self) -> StoreFuture<'_, Vec<StoredPoll>>;
        fn forget(&self, key: PollKey) -> StoreFuture<'_, bool>;
        fn changes(&self) -> StoreFuture<'_, Changes>;
        fn note_lag(&self, lag: Duration);
        fn cancel_elsewhere(&self, key: PollKey) -> StoreFuture<'_, bool>;
        fn hasten_elsewhere(&self, key: PollKey) -> StoreFuture<'_, bool>;
        fn purge(&self, keep: Retention) -> StoreFuture<'_, usize>;
        fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> StoreFuture<'_, ()>;
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
        fn summaries(&self) -> StoreFuture<'_, Vec<Summary>>;
        fn select(&self, selection: Selection) -> StoreFuture<'_, Vec<Summary>>;
        fn select_pages(&self, selection: Selection) -> BoxStream<'_, Result<Vec<Summary>, StoreError>>;
        fn status(&self, now: Timestamp) -> StoreFuture<'_, StoreStatus>;
        fn summary(&self, key: PollKey) -> StoreFuture<'_, Option<Summary>>;
        fn show(&self, key: PollKey) -> StoreFuture<'_, Option<PollRecord>>;
        fn outcome(&self, key: PollKey) -> StoreFuture<'_, Option<FoundOutcome>>;
        fn count_open(&self) -> StoreFuture<'_, usize>;
        fn request_cancel(&self, key: PollKey) -> StoreFuture<'_, bool>;
        fn cancel_unrun(&self, key: PollKey, now: Timestamp) -> StoreFuture<'_, Option<Arc<Outcome>>>;
        fn get_all(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<StoredPoll>>>;
        fn find(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<FoundPoll>>>;
        fn summaries_of(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<Option<Summary>>>;
        fn request_cancel_all(&self, keys: Vec<PollKey>) -> StoreFuture<'_, Vec<bool>>;
        fn cancel_all_unrun(
            &self,
            keys: Vec<PollKey>,
            now: Timestamp,
        ) -> StoreFuture<'_, Option<Vec<Option<Ending>>>>;
        fn cancel_selected_unrun(
            &self,
            selection: Selection,
            now: Timestamp,
        ) -> StoreFuture<'_, Option<PollKeys>>;
        fn runner(&self) -> StoreFuture<'_, Option<Runner>>;
        fn page(&self, selection: Selection, cursor: Option<Cursor>) -> StoreFuture<'_, Page>;
        fn callback_key(&self) -> StoreFuture<'_, Option<CallbackKey>>;
        fn admits(&self, spec: &PollSpec) -> Result<(), StoreError>;
    }
}
