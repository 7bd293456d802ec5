//! Lists of polls: by index and in pages, so that what is read follows from what is shown and not from what is stored.
//!
//! ```text
//!  select   open polls, then finished ones, each oldest first: the index is read until the limit is reached
//!  page     all polls, newest first: windows of the index, larger while few polls in them are selected, up to a bound
//! ```
//!
//! Both orders are those of the indexes `open_created` and `done_created`. The filters are conditions on the rows of these
//! indexes: an index for each would cost every poll's life a write, for lists that people look at.

use deadpool_postgres::Object;

use super::admin::{CANCELLING, LIVING, Raw, SUMMARY_COLUMNS, summary, with_specs};
use super::database::{Fault, Param, Tx, param, params};
use super::{Inner, micros, timestamp};
use crate::clock::Timestamp;
use crate::key::PollKey;
use crate::store::{Cursor, Page, Selection, StoreError, Summary, beneath};

/// An open poll as a row `p`, with the columns of both kinds. `number` is the run of its shard when it was created.
pub(super) const OPEN_ROWS: &str = "SELECT false AS finished, o.shard, o.scope, o.key, o.incarnation, o.created, o.spec, \
     o.url, o.run AS number, NULL::int8 AS ended, NULL::text AS ending, NULL::int4 AS requests FROM poll.open o";

/// A finished poll with the same columns, removed ones included. `number` is that of its restarts.
pub(super) const DONE_ROWS: &str = "SELECT true AS finished, d.shard, d.scope, d.key, d.incarnation, d.created, d.spec, \
     d.url, d.restarts AS number, d.ended, d.ending, d.requests FROM poll.done d";

/// The rows that are looked at for one page at most, of each table.
const MOST_ROWS: usize = 20_000;

/// The order of pages.
const NEWEST: &str = "ORDER BY p.created DESC, p.scope DESC, p.key DESC";

/// Parameters of a statement.
#[derive(Clone, Default)]
struct Values(Vec<Value>);

/// A parameter.
#[derive(Clone)]
enum Value {
    Text(String),
    Number(i64),
}

impl Values {
    /// Adds a parameter; returns its name in the statement.
    fn add(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    fn text(&mut self, text: impl Into<String>) -> String {
        self.add(Value::Text(text.into()))
    }

    fn number(&mut self, number: i64) -> String {
        self.add(Value::Number(number))
    }

    fn count(&mut self, number: usize) -> String {
        self.number(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn params(&self) -> Vec<Param<'_>> {
        let params = self.0.iter().map(|value| match value {
            Value::Text(text) => param(text),
            Value::Number(number) => param(number),
        });
        params.collect()
    }

    /// The place of a poll in the order of both lists.
    fn place(&mut self, created: i64, key: &PollKey) -> String {
        let created = self.number(created);
        format!("({created}, {}, {})", self.text(key.scope()), self.text(key.key()))
    }
}

/// What a selection says of rows `p`, and of which tables.
struct Filter {
    condition: String,
    values: Values,
    open: bool,
    done: bool,
}

impl Filter {
    fn new(selection: &Selection) -> Self {
        let Selection { scope, under, prefix, origin, since, states, .. } = selection;
        let mut values = Values::default();
        let mut condition = LIVING.to_owned();
        if let Some(scope) = scope {
            condition += &format!(" AND p.scope = {}", values.text(scope));
        }
        // As `covers` does.
        if let Some(under) = under.as_ref().filter(|under| !under.is_empty()) {
            let (under, inside) = (values.text(under), values.text(beneath(under)));
            condition += &format!(" AND (p.scope = {under} OR starts_with(p.scope, {inside}))");
        }
        if let Some(origin) = origin {
            // An origin ends where the URL does, or before the first of these.
            let url = "coalesce(p.url, (SELECT s.url FROM poll.specs s WHERE s.id = p.spec))";
            let origin = values.text(origin);
            condition += &format!(
                " AND starts_with({url}, {origin}) AND substr({url}, length({origin}) + 1, 1) IN ('', '/', '?', '#')"
            );
        }
        if let Some(since) = since {
            condition += &format!(" AND p.created >= {}", values.number(micros(*since)));
        }
        if let Some(prefix) = prefix {
            condition += &format!(" AND starts_with(p.key, {})", values.text(prefix));
        }
        if !states.is_empty() {
            let any = states.iter().map(|state| match &**state {
                "open" => format!("(NOT p.finished AND NOT {CANCELLING})"),
                "cancelling" => format!("(NOT p.finished AND {CANCELLING})"),
                ending => format!("p.ending = {}", values.text(ending)),
            });
            condition += &format!(" AND ({})", any.collect::<Vec<_>>().join(" OR "));
        }
        let is_open = |state: &String| matches!(&**state, "open" | "cancelling");
        let open = states.is_empty() || states.iter().any(is_open);
        let done = states.is_empty() || !states.iter().all(is_open);
        Self { condition, values, open, done }
    }
}

/// Rows that were looked at for a page.
struct Window {
    found: Vec<Summary>,
    /// The last row, if others may follow.
    end: Option<(i64, PollKey)>,
}

impl Inner {
    pub(super) async fn select(&self, selection: Selection) -> Result<Vec<Summary>, Fault> {
        let filter = Filter::new(&selection);
        // A list of everything is the planner's: it reads tables and not their indexes.
        let all = selection.limit == usize::MAX;
        let tx = if all { self.database.snapshot().await? } else { self.database.lookup().await? };
        let after = match &selection.after {
            Some(after) => Some((self.place(&tx, after).await?, after)),
            None => None,
        };
        let mut summaries = Vec::new();
        for (rows, finished, wanted) in [(OPEN_ROWS, false, filter.open), (DONE_ROWS, true, filter.done)] {
            let left = selection.limit.saturating_sub(summaries.len());
            let is_past = after.as_ref().is_some_and(|((ended, _), _)| *ended && !finished);
            if !wanted || is_past || left == 0 {
                continue;
            }
            let mut values = filter.values.clone();
            let mut sql = format!("SELECT {} FROM ({rows}) AS p WHERE {}", summary(), filter.condition);
            if let Some(((ended, created), key)) = &after
                && *ended == finished
            {
                sql += &format!(" AND (p.created, p.scope, p.key) > {}", values.place(*created, key));
            }
            sql += " ORDER BY p.created, p.scope, p.key";
            if !all {
                sql += &format!(" LIMIT {}", values.count(left));
            }
            let found = tx.query(&sql, &values.params()).await?;
            summaries.extend(with_specs(&tx, found.iter().map(Raw::new).collect()).await?);
        }
        tx.rollback().await?;
        Ok(summaries)
    }

    /// Whether this poll has ended, and when it was created.
    async fn place(&self, tx: &Tx<Object>, key: &PollKey) -> Result<(bool, i64), Fault> {
        let (shard, scope, name) = (self.shard_of(key), key.scope(), key.key());
        let sql = "SELECT false, created FROM poll.open WHERE shard = $1 AND scope = $2 AND key = $3 \
             UNION ALL SELECT true, created FROM poll.done WHERE shard = $1 AND scope = $2 AND key = $3 \
             AND ended >= (SELECT horizon FROM poll.meta)";
        let row = tx.first(sql, &params![shard, scope, name]).await?;
        row.map(|row| (row.get(0), row.get(1))).ok_or_else(|| Fault::Store(StoreError::not_found(key)))
    }

    pub(super) async fn list_page(
        &self,
        selection: Selection,
        cursor: Option<Cursor>,
    ) -> Result<Page, Fault> {
        let (filter, limit) = (Filter::new(&selection), selection.limit);
        if limit == 0 || !(filter.open || filter.done) {
            return Ok(Page::default());
        }
        let tx = self.database.lookup().await?;
        let mut place = cursor.map(|cursor| (micros(cursor.created_at), cursor.key));
        let (mut polls, mut looked) = (Vec::new(), 0);
        // One more, to know whether another page follows.
        let mut rows = limit.saturating_add(1).min(MOST_ROWS);
        let next = loop {
            let window = window(&tx, &filter, selection.since, place.as_ref(), rows).await?;
            looked += rows;
            polls.extend(window.found);
            if polls.len() > limit {
                polls.truncate(limit);
                break polls.last().map(|last: &Summary| (micros(last.created_at), last.key.clone()));
            }
            place = window.end;
            if place.is_none() || looked >= MOST_ROWS {
                break place;
            }
            rows = rows.saturating_mul(4).min(MOST_ROWS - looked);
        };
        tx.rollback().await?;
        Ok(Page { next: next.map(|(created, key)| Cursor::new(timestamp(created), key, 0)), polls })
    }
}

/// Looks at the next rows before a place.
async fn window(
    tx: &Tx<Object>,
    filter: &Filter,
    since: Option<Timestamp>,
    before: Option<&(i64, PollKey)>,
    rows: usize,
) -> Result<Window, Fault> {
    let mut values = filter.values.clone();
    let mut conditions = vec!["true".to_owned()];
    if let Some((created, key)) = before {
        conditions.push(format!("(p.created, p.scope, p.key) < {}", values.place(*created, key)));
    }
    if let Some(since) = since {
        conditions.push(format!("p.created >= {}", values.number(micros(since))));
    }
    let (conditions, number) = (conditions.join(" AND "), values.count(rows));
    let part =
        |rows: &str| format!("(SELECT p.* FROM ({rows}) AS p WHERE {conditions} {NEWEST} LIMIT {number})");
    let parts: Vec<String> = [(OPEN_ROWS, filter.open), (DONE_ROWS, filter.done)]
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(rows, _)| part(rows))
        .collect();
    // The last row is in the answer whether it is selected or not: the next window begins there.
    let columns = summary();
    let sql = format!(
        "WITH seen AS MATERIALIZED (SELECT p.* FROM ({}) AS p {NEWEST} LIMIT {number}) \
         SELECT {columns}, false FROM seen AS p WHERE {} UNION ALL \
         SELECT {columns}, true FROM (SELECT * FROM seen ORDER BY created, scope, key LIMIT 1) AS p \
             WHERE (SELECT count(*) FROM seen) = {number}",
        parts.join(" UNION ALL "),
        filter.condition,
    );
    let mut answer = tx.query(&sql, &values.params()).await?;
    let end = answer.iter().position(|row| row.get(SUMMARY_COLUMNS)).map(|last| answer.remove(last));
    let mut found = with_specs(tx, answer.iter().map(Raw::new).collect()).await?;
    found.sort_by(|a, b| (b.created_at, &b.key).cmp(&(a.created_at, &a.key)));
    let end = end.map(|row| (row.get(2), PollKey::new(row.get::<_, &str>(0), row.get::<_, &str>(1))));
    Ok(Window { found, end })
}
