//! `POST /v1/callbacks/{token}`: the owner of a job says that there is something new.
//!
//! What the caller says is not read, because nothing proves it: the poll only asks at once, at most once a second. Polling stays
//! the safety net under a webhook that is lost. The token names one poll and is made from a key of the store, so it needs no
//! table, outlives a restart, and is of no use once the poll is removed.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::StatusCode;
use poller::store::CallbackKey;
use poller::{PollKey, Timestamp};
use ring::hmac;
use tokio::sync::OnceCell;

use crate::app::App;
use crate::parameters::Segment;
use crate::problem::Problem;

/// The bytes of the authentication in a token.
const TAG: usize = 16;

/// The key of the store, once it is read; without one in the store, a key of this process.
#[derive(Debug, Default)]
pub(crate) struct Tokens(OnceCell<hmac::Key>);

impl Tokens {
    async fn key(&self, app: &App) -> Result<&hmac::Key, Problem> {
        let read = async || -> Result<hmac::Key, Problem> {
            let key: CallbackKey = match app.store.callback_key().await? {
                Some(key) => key,
                None => ring::rand::generate::<CallbackKey>(&ring::rand::SystemRandom::new())
                    .map(ring::rand::Random::expose)
                    .map_err(|_| Problem::unavailable("the system gives no random numbers"))?,
            };
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
        };
        self.0.get_or_try_init(read).await
    }

    /// The path that hastens this poll.
    pub(crate) async fn path(app: &App, poll: &PollKey, created_at: Timestamp) -> Result<String, Problem> {
        let key = app.tokens.key(app).await?;
        Ok(format!("/v1/callbacks/{}", token(key, poll, created_at)))
    }
}

/// What a token authenticates: the time of creation, the length of the scope, the scope, the key.
fn named(poll: &PollKey, created_at: Timestamp) -> Vec<u8> {
    let scope = poll.scope().as_bytes();
    let length = u32::try_from(scope.len()).unwrap_or(u32::MAX);
    [&created_at.as_micros().to_le_bytes()[..], &length.to_le_bytes(), scope, poll.key().as_bytes()].concat()
}

fn token(key: &hmac::Key, poll: &PollKey, created_at: Timestamp) -> String {
    let named = named(poll, created_at);
    let tag = hmac::sign(key, &named);
    BASE64.encode([&tag.as_ref()[..TAG], &named].concat())
}

/// The poll that a token names, and when it was created; `None` if this key did not make the token.
fn read(key: &hmac::Key, token: &str) -> Option<(PollKey, Timestamp)> {
    let bytes = BASE64.decode(token).ok()?;
    let (tag, named) = bytes.split_at_checked(TAG)?;
    let (created_at, rest) = named.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (scope, name) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let poll = PollKey::new(std::str::from_utf8(scope).ok()?, std::str::from_utf8(name).ok()?);
    let whole = hmac::sign(key, named);
    // In constant time, whatever the first difference.
    let same =
        whole.as_ref()[..TAG].iter().zip(tag).fold(0, |different, (one, other)| different | (one ^ other))
            == 0;
    same.then(|| (poll, Timestamp::from_micros(u64::from_le_bytes(*created_at))))
}

/// Has a poll ask as soon as it may. Of one that has ended there is nothing to do.
pub(crate) async fn called(
    State(app): State<Arc<App>>,
    Segment(token): Segment,
) -> Result<StatusCode, Problem> {
    let unknown = || Problem::not_found("poll of this callback");
    let (poll, created_at) = read(app.tokens.key(&app).await?, &token).ok_or_else(unknown)?;
    let summary = app.store.summary(poll.clone()).await?.filter(|found| found.created_at == created_at);
    if summary.ok_or_else(unknown)?.ended.is_none() {
        app.poller.hasten(poll).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_poll_and_cannot_be_changed() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let (poll, at) = (PollKey::new("run/17", "é"), Timestamp::from_micros(5));
        let token = token(&key, &poll, at);
        assert_eq!(read(&key, &token), Some((poll, at)));
        assert_eq!(read(&hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]), &token), None);
        let bytes = BASE64.decode(&token).unwrap();
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            assert_eq!(read(&key, &BASE64.encode(changed)), None, "{position}");
        }
        for length in 0..bytes.len() {
            assert_eq!(read(&key, &BASE64.encode(&bytes[..length])), None, "{length}");
        }
        assert_eq!(read(&key, "%"), None);
    }
}
