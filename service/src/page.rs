//! The page for people: files that are compiled in, and the headers that keep a page from being misused.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use crate::parameters::Segment;
use crate::problem::{Kind, Problem};

/// Only the page's own files run, and only this service is asked; no other site may show the page in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

include!(concat!(env!("OUT_DIR"), "/page.rs"));

fn kind(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

fn file(name: &str) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(file, _)| *file == name);
    let (Some((_, content)), Some(kind)) = (found, kind(name)) else {
        return Err(Problem::not_found("such page"));
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, *content).into_response())
}

pub(crate) async fn index() -> Result<Response, Problem> {
    file("index.html")
}

pub(crate) async fn part(Segment(name): Segment) -> Result<Response, Problem> {
    file(&name)
}

/// What a type of problem means.
pub(crate) async fn problem(Segment(name): Segment) -> Result<Response, Problem> {
    match Kind::ALL.iter().find(|kind| kind.name() == name) {
        Some(kind) => Ok(format!("{}\n{}", kind.title(), kind.description()).into_response()),
        None => Err(Problem::not_found("such type of problem")),
    }
}
