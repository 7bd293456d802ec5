//! The ids of specs: polls of one kind share a row of `poll.specs`, found by the digest of its text.

use std::collections::{HashMap, hash_map::Entry};

use ring::digest::{Context, SHA256};

use super::database::{Fault, params};
use super::new_poll::NewPoll;
use super::writes::TRIES;
use super::{Inner, micros, schema};
use crate::clock::Clock as _;
use crate::lock::lock;
use crate::store::StoreError;

/// A digest of a text and, if it does not stand in the row of its poll, a URL.
pub(super) type Digest = [u8; 32];

fn digest(poll: &NewPoll<'_>) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(poll.text.as_bytes());
    context.update(b"\0");
    context.update(if poll.url_in_row().is_some() { b"" } else { poll.url.as_bytes() });
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// The kinds of some polls.
pub(super) struct Kinds<'n, 'p> {
    /// A poll of each kind.
    kinds: Vec<(Digest, &'n NewPoll<'p>)>,
    /// By poll, the number of its kind.
    pub(super) numbers: Vec<usize>,
}

impl<'n, 'p> Kinds<'n, 'p> {
    pub(super) fn of(new: &'n [NewPoll<'p>]) -> Self {
        let mut kinds: Vec<(Digest, &NewPoll<'_>)> = Vec::new();
        // Polls whose specs are clones have the same text in the same place, so its digest is computed once. A place is not
        // used twice: all texts are there.
        let mut by_place: HashMap<*const u8, usize> = HashMap::new();
        let mut by_digest: HashMap<Digest, usize> = HashMap::new();
        let mut number_of = |poll: &'n NewPoll<'p>| {
            let digest = digest(poll);
            *by_digest.entry(digest).or_insert_with(|| {
                kinds.push((digest, poll));
                kinds.len() - 1
            })
        };
        let mut numbers = Vec::with_capacity(new.len());
        for poll in new {
            numbers.push(match poll.url_in_row() {
                Some(_) => match by_place.entry(poll.text.as_ptr()) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(place) => *place.insert(number_of(poll)),
                },
                None => number_of(poll),
            });
        }
        Self { kinds, numbers }
    }
}

impl Inner {
    /// The ids of these kinds, in their order; new kinds are stored.
    pub(super) async fn spec_ids_of(&self, kinds: &Kinds<'_, '_>) -> Result<Vec<i64>, Fault> {
        let day = schema::day_of(micros(self.clock.now()));
        let mut missing: Vec<&(Digest, &NewPoll<'_>)> = Vec::new();
        let mut ids: HashMap<Digest, i64> = HashMap::new();
        {
            let known = lock(&self.spec_ids);
            for kind in &kinds.kinds {
                match known.get(&kind.0) {
                    Some((id, seen)) if *seen == day => drop(ids.insert(kind.0, *id)),
                    _ => missing.push(kind),
                }
            }
        }
        if !missing.is_empty() {
            missing.sort_unstable_by_key(|(digest, _)| *digest);
            self.store_specs(&missing, day, &mut ids).await?;
        }
        let id = |(digest, poll): &(Digest, &NewPoll<'_>)| {
            ids.get(digest).copied().ok_or_else(|| {
                let message =
                    format!("the spec of the poll {} is not in the database after it was stored", poll.key);
                Fault::Store(StoreError::new(message))
            })
        };
        kinds.kinds.iter().map(id).collect()
    }

    async fn store_specs(
        &self,
        missing: &[&(Digest, &NewPoll<'_>)],
        day: i64,
        ids: &mut HashMap<Digest, i64>,
    ) -> Result<(), Fault> {
        let digests: Vec<&[u8]> = missing.iter().map(|(digest, _)| &digest[..]).collect();
        let texts: Vec<&str> = missing.iter().map(|(_, poll)| &*poll.text).collect();
        let urls = missing.iter().map(|(_, poll)| poll.url_in_row().is_none().then_some(poll.url));
        let urls: Vec<Option<&str>> = urls.collect();
        let webhooks: Vec<Option<&str>> = missing.iter().map(|(_, poll)| poll.webhook.as_deref()).collect();
        let mut tries = 1;
        let rows = loop {
            let tx = self.database.write().await?;
            let insert = "INSERT INTO poll.specs AS s (digest, text, url, webhook, used) \
                 SELECT n.*, $5 FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[]) AS n \
                 ON CONFLICT (digest) DO UPDATE SET used = excluded.used WHERE s.used < excluded.used";
            match tx.execute(insert, &params![digests, texts, urls, webhooks, day]).await {
                Err(fault) if fault.is_conflict() && tries < TRIES => tries += 1,
                Err(fault) => return Err(fault),
                Ok(_) => {
                    let sql = "SELECT digest, id FROM poll.specs WHERE digest = ANY($1)";
                    let rows = tx.query(sql, &params![digests]).await?;
                    tx.commit().await?;
                    break rows;
                }
            }
        };
        let mut known = lock(&self.spec_ids);
        if known.len() + rows.len() > super::KNOWN_SPECS {
            known.clear();
        }
        for row in &rows {
            let bytes: &[u8] = row.get(0);
            if let Ok(digest) = Digest::try_from(bytes) {
                known.insert(digest, (row.get(1), day));
                ids.insert(digest, row.get(1));
            }
        }
        Ok(())
    }
}
