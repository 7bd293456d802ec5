//! Bodies of requests: bounded in size and time, and text.
//!
//! A body that says that it is too large is refused before a byte of it is read; one that does not say is read up to the
//! limit. A client that sends nothing for a while is cut, and one that drips bytes is cut after [`WHOLE`].

use std::time::Duration;

use axum::body::Body;
use bytes::BytesMut;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::problem::{Kind, Problem};

/// The longest pause between two parts of a body.
const PAUSE: Duration = Duration::from_secs(10);

/// The longest time for a whole body.
const WHOLE: Duration = Duration::from_secs(60);

/// The body as text.
pub(crate) async fn text(headers: &HeaderMap, body: Body, limit: usize) -> Result<String, Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
        return Err(too_large(limit));
    }
    let bytes = timeout(WHOLE, read(body, limit)).await.map_err(|_| slow())??;
    String::from_utf8(bytes.into()).map_err(|_| Problem::bad_request("the body is not valid UTF-8"))
}

async fn read(mut body: Body, limit: usize) -> Result<BytesMut, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = timeout(PAUSE, body.frame()).await.map_err(|_| slow())? {
        let frame = frame.map_err(|_| Problem::bad_request("the body ended before its time"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body is larger than {limit} bytes, which this call accepts"))
}

fn slow() -> Problem {
    Problem::new(Kind::Timeout, format!("no whole body within {} s", WHOLE.as_secs()))
}
