//! Test stores that wrap another store and change a few of its methods.

/// The methods of `Store` that forward to the field `inner`.
macro_rules! rest_to_inner {
    () => {
        fn begin_run(&self) -> poller::BoxFuture<'_, Result<usize, poller::store::StoreError>> {
            self.inner.begin_run()
        }

        fn load_open(
            &self,
        ) -> poller::BoxFuture<'_, Result<poller::store::OpenPolls, poller::store::StoreError>> {
            self.inner.load_open()
        }

        fn get(
            &self,
            key: poller::PollKey,
        ) -> poller::BoxFuture<'_, Result<Option<poller::store::StoredPoll>, poller::store::StoreError>> {
            self.inner.get(key)
        }

        fn list(
            &self,
        ) -> poller::BoxFuture<'_, Result<Vec<poller::store::StoredPoll>, poller::store::StoreError>> {
            self.inner.list()
        }

        fn forget(
            &self,
            key: poller::PollKey,
        ) -> poller::BoxFuture<'_, Result<bool, poller::store::StoreError>> {
            self.inner.forget(key)
        }

        fn purge(
            &self,
            keep: poller::store::Retention,
        ) -> poller::BoxFuture<'_, Result<usize, poller::store::StoreError>> {
            self.inner.purge(keep)
        }
    };
}

pub(crate) use rest_to_inner;
