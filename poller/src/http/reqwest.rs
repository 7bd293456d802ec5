//! The adapter for a `reqwest::Client` that the caller has configured: proxies, client certificates, middleware.
//!
//! The caps, the redirect rules and the classification of errors are those of [`HttpClient`](super::HttpClient). Of the guard,
//! this keeps less, because only the caller's client sees the addresses that it connects to:
//!
//! - URLs and IP literals are checked before every hop.
//! - Names are checked by the client's resolver, if the caller has plugged in a [`GuardedDns`]. A proxy resolves names
//!   itself, out of reach of any check here.
//! - After a redirect by a public server, a name is resolved and checked before the request is sent. Between this check and
//!   the connection the name may change its addresses (DNS rebinding); `HttpClient` has no such gap.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::failure::{Phase, authority, classify, refused_hop, unresolved_name, unsendable};
use super::redirect::{self, MAX_REDIRECTS};
use super::resolve::{GuardedResolver, HopPolicy};
use super::{Guard, body, linked, ranges, route};
use crate::clock::BoxFuture;
use crate::fetch::{Fetch, FetchError, FetchErrorKind, Journey, Request, Response};

/// A [`Fetch`] over a configured `reqwest::Client`. Clones share the client.
///
/// Build the client without redirects and without retries, because both would send requests that the schedule does not
/// count; the redirects of a response are followed here. A client that follows them itself is reported as a failed attempt.
/// Build it with [`GuardedDns`] too, unless it uses a proxy.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use poller::Poller;
/// use poller::http::{Guard, GuardedDns, ReqwestClient};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let guard = Guard::public_only();
/// let client = reqwest::Client::builder()
///     .redirect(reqwest::redirect::Policy::none())
///     .retry(reqwest::retry::never())
///     .dns_resolver(Arc::new(GuardedDns::new(guard.clone())))
///     .build()?;
/// let poller = Poller::builder().fetch(ReqwestClient::new(client).with_guard(guard)).build().await?;
/// # drop(poller);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestClient {
    client: reqwest::Client,
    guard: Guard,
}

impl ReqwestClient {
    /// Sends requests by this client, to public addresses only.
    #[must_use]
    pub fn new(client: reqwest::Client) -> Self {
        Self { client, guard: Guard::public_only() }
    }

    /// Replaces the guard. Give the same guard to [`GuardedDns`].
    #[must_use]
    pub fn with_guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    async fn exchange(self, mut hop: Request) -> Result<Response, FetchError> {
        route::remove_framing(&mut hop.headers);
        if hop.tls.is_some() {
            return Err(FetchErrorKind::Tls.error(
                "a client of the caller's own has its own certificates; leave requestInit.tls out, or poll with \
                 HttpClient",
            ));
        }
        let mut policy = HopPolicy::first(self.guard.clone());
        let resolver = GuardedResolver::of(policy.clone());
        let (mut is_public, mut journey) = (linked::is_by_public(&hop, &self.guard, resolver).await, None);
        if is_public {
            policy = HopPolicy::after_public(self.guard.clone());
        }
        for _ in 0..=MAX_REDIRECTS {
            policy.check_url(&hop.url).map_err(|refusal| refused_hop(&refusal))?;
            if is_public && let Some(name) = hop.url.domain() {
                let resolver = GuardedResolver::of(policy.clone());
                resolver.addresses(name.to_owned()).await.map_err(|error| unresolved_name(&error))?;
            }
            let mut response = self.send(&hop).await?;
            let status = response.status();
            if let Some(jar) = &hop.cookies {
                jar.learn(&hop.url, response.headers());
            }
            if let Some(target) = redirect::target(&hop.url, status, response.headers())? {
                // An unknown address, as behind a proxy, counts as public: the stricter reading.
                if response.remote_addr().is_none_or(|address| ranges::is_public(address.ip())) && !is_public
                {
                    is_public = true;
                    policy = HopPolicy::after_public(self.guard.clone());
                }
                hop = redirect::follow(hop, status, target, Journey::of(&mut journey))?;
                continue;
            }
            let mut content = body::Capped::new(&hop.url, hop.max_body, response.content_length())?;
            while let Some(piece) =
                response.chunk().await.map_err(|error| classify(&error, &hop.url, Phase::Body))?
            {
                content.push(&piece)?;
            }
            let headers = std::mem::take(response.headers_mut());
            return Ok(Response::new(status.as_u16(), headers, content.finish()).after(journey));
        }
        Err(redirect::too_many(&hop.url))
    }

    async fn send(&self, hop: &Request) -> Result<reqwest::Response, FetchError> {
        route::uri(&hop.url).ok_or_else(|| unsendable(&hop.url))?;
        let mut request = reqwest::Request::new(hop.method.clone(), hop.url.clone());
        request.headers_mut().clone_from(&hop.headers);
        if let Some(jar) = &hop.cookies {
            jar.add_to(&hop.url, request.headers_mut());
        }
        route::add_standard_headers(request.headers_mut(), hop);
        *request.body_mut() = hop.body.clone().map(reqwest::Body::from);
        let response = self.client.execute(request).await;
        let response = response.map_err(|error| classify(&error, &hop.url, Phase::Head))?;
        let mut asked = hop.url.clone();
        asked.set_fragment(None);
        let mut answered = response.url().clone();
        answered.set_fragment(None);
        if answered == asked { Ok(response) } else { Err(follows_redirects(&hop.url)) }
    }
}

fn follows_redirects(url: &Url) -> FetchError {
    FetchErrorKind::Redirect.error(format!(
        "the reqwest client followed a redirect of {} itself, unguarded; build it with \
             redirect(reqwest::redirect::Policy::none())",
        authority(url)
    ))
}

impl Fetch for ReqwestClient {
    fn admits(&self, url: &Url) -> Result<(), FetchError> {
        HopPolicy::first(self.guard.clone()).check_url(url).map_err(|refusal| refused_hop(&refusal))
    }

    fn fetch(&self, request: Request) -> BoxFuture<'static, Result<Response, FetchError>> {
        Box::pin(self.clone().exchange(request))
    }
}

/// A resolver for the builder of a `reqwest::Client`: the system's, reduced to the addresses that a [`Guard`] allows.
#[derive(Clone, Debug)]
pub struct GuardedDns {
    resolver: GuardedResolver,
}

impl GuardedDns {
    /// A resolver that leaves out the addresses that `guard` forbids.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self { resolver: GuardedResolver::of(HopPolicy::first(guard)) }
    }
}

impl Resolve for GuardedDns {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.resolver.clone().sockets(name.as_str().to_owned(), 0);
        Box::pin(async move { Ok(Box::new(lookup.await?) as Addrs) })
    }
}
