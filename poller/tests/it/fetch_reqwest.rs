//! The tests of the HTTP client, with the client of the feature `reqwest`.

use std::sync::Arc;

use poller::http::{Guard, GuardedDns, ReqwestClient};

pub(crate) use crate::fetch::{CAP, get, request, with_headers};

#[expect(clippy::duplicate_mod, reason = "the same tests, with the `client` of this module")]
#[path = "fetch/exchange.rs"]
mod exchange;
#[expect(clippy::duplicate_mod, reason = "the same tests, with the `client` of this module")]
#[path = "fetch/faults.rs"]
mod faults;
#[expect(clippy::duplicate_mod, reason = "the same tests, with the `client` of this module")]
#[path = "fetch/redirects.rs"]
mod redirects;

fn builder() -> reqwest::ClientBuilder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .user_agent(concat!("poll/", env!("CARGO_PKG_VERSION")))
        .retry(reqwest::retry::never())
        .dns_resolver(Arc::new(GuardedDns::new(Guard::local())))
}

fn client() -> ReqwestClient {
    let client = builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    ReqwestClient::new(client).with_guard(Guard::local())
}
