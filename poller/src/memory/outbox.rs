//! The deliveries of webhooks, in memory.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{MemoryStore, Polls, ready};
use crate::clock::Timestamp;
use crate::key::PollKey;
use crate::outbox::{Delivery, DeliverySelection, DeliveryState, DueDeliveries, Outbox};
use crate::store::{StoreFuture, covers};

impl Polls {
    /// Adds a delivery behind all others.
    pub(super) fn deliver(&mut self, mut delivery: Delivery) {
        delivery.place = self.deliveries.last_key_value().map_or(1, |(last, _)| last + 1);
        self.deliveries.insert(delivery.place, delivery);
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.values().filter(|delivery| delivery.state == DeliveryState::Pending)
    }

    /// Removes the deliveries of polls that are gone.
    pub(super) fn forget_deliveries(&mut self) {
        let mut deliveries = std::mem::take(&mut self.deliveries);
        deliveries.retain(|_, delivery| self.get(&delivery.key).is_some());
        self.deliveries = deliveries;
    }
}

impl Outbox for MemoryStore {
    fn due(&self, now: Timestamp, busy: Vec<Box<str>>, most: usize) -> StoreFuture<'_, DueDeliveries> {
        let polls = self.polls();
        let is_due = |delivery: &&Delivery| delivery.due.is_some_and(|due| due <= now);
        let mut due: Vec<Delivery> = polls
            .pending()
            .filter(is_due)
            .filter(|delivery| !busy.contains(&delivery.receiver))
            .cloned()
            .collect();
        due.sort_by_key(|delivery| delivery.due);
        due.truncate(most);
        let next = polls.pending().filter_map(|delivery| delivery.due).filter(|due| *due > now).min();
        ready(Ok(DueDeliveries::new(due, next)))
    }

    fn note(&self, delivery: Delivery) -> StoreFuture<'_, bool> {
        let mut polls = self.polls();
        let present = polls.deliveries.get_mut(&delivery.place).filter(|present| present.key == delivery.key);
        let is_there = present.is_some();
        if let Some(present) = present {
            *present = delivery;
        }
        drop(polls);
        self.added.notify_one();
        ready(Ok(is_there))
    }

    fn delivery(&self, key: PollKey) -> StoreFuture<'_, Option<Delivery>> {
        ready(Ok(self.polls().deliveries.values().find(|delivery| delivery.key == key).cloned()))
    }

    fn deliveries(&self, which: DeliverySelection) -> StoreFuture<'_, Vec<Delivery>> {
        let polls = self.polls();
        let before = which.before.unwrap_or(i64::MAX);
        let selected = polls
            .deliveries
            .range(..before)
            .rev()
            .map(|(_, delivery)| delivery)
            .filter(|delivery| which.state.is_none_or(|state| delivery.state == state))
            .filter(|delivery| !which.failing || delivery.is_failing())
            .filter(|delivery| covers(&which.under, delivery.key.scope()));
        ready(Ok(selected.take(which.limit).cloned().collect()))
    }

    fn added(&self) -> Arc<Notify> {
        Arc::clone(&self.added)
    }
}
