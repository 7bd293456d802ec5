//! `testdata/guard/vectors.tsv`: URLs with what each tier of the guard answers, as a literal, by name and behind a redirect.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use url::Url;

use super::guard::Guard;
use super::lookups::Lookups;
use super::resolve::{GuardedResolver, HopPolicy};
use super::{ranges, redirect};

struct Vector {
    url: String,
    public_only: bool,
    local: bool,
    addresses: Vec<IpAddr>,
    note: &'static str,
}

fn vectors() -> Vec<Vector> {
    let allowed = |answer: &str| match answer {
        "A" => true,
        "R" => false,
        other => panic!("{other}"),
    };
    let lines = include_str!("../../../testdata/guard/vectors.tsv").lines();
    let lines = lines.filter(|line| !line.starts_with('#')).skip(1);
    let read = |line: &'static str| {
        let [url, public_only, local, addresses, note] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        Vector {
            url: url.replace("\\n", "\n"),
            public_only: allowed(public_only),
            local: allowed(local),
            addresses: addresses.split(',').filter(|a| !a.is_empty()).map(|a| a.parse().unwrap()).collect(),
            note,
        }
    };
    let vectors: Vec<Vector> = lines.map(read).collect();
    assert_eq!(vectors.len(), 245);
    vectors
}

/// Whether a request by this policy would be sent to the URL, whose name has these addresses.
async fn is_sent(policy: &HopPolicy, url: &Url, addresses: &[IpAddr]) -> bool {
    if policy.check_url(url).is_err() {
        return false;
    }
    let Some(name) = url.domain() else { return true };
    let fixed = Arc::new(HashMap::from([(name.to_owned(), addresses.to_vec())]));
    let lookups = Lookups::shared();
    GuardedResolver { policy: policy.clone(), fixed, lookups }.addresses(name.to_owned()).await.is_ok()
}

fn tiers(vector: &Vector) -> [(Guard, bool); 2] {
    [(Guard::public_only(), vector.public_only), (Guard::local(), vector.local)]
}

#[tokio::test]
async fn as_a_literal() {
    for vector in vectors() {
        let url = Url::parse(&vector.url);
        for (guard, expected) in tiers(&vector) {
            let sent = match &url {
                Ok(url) => is_sent(&HopPolicy::first(guard.clone()), url, &vector.addresses).await,
                Err(_) => false,
            };
            assert_eq!(sent, expected, "{:?} {guard:?} {}", vector.url, vector.note);
        }
    }
}

/// Every address, also those of the literals, as the only one of a name.
#[tokio::test]
async fn by_name() {
    let by_name = Url::parse("http://name.test/").unwrap();
    let mut addresses_seen = 0;
    for vector in vectors() {
        // Without the URLs that are refused for another reason than their address.
        let refused_otherwise = |url: &Url| {
            Guard::public_only().check_url(url).is_err_and(|forbidden| forbidden.address().is_none())
        };
        let url = Url::parse(&vector.url).ok().filter(|url| !refused_otherwise(url));
        let literal = url.as_ref().and_then(ranges::literal);
        for address in literal.iter().chain(&vector.addresses) {
            addresses_seen += 1;
            for (guard, expected) in tiers(&vector) {
                let sent = is_sent(&HopPolicy::first(guard.clone()), &by_name, &[*address]).await;
                assert_eq!(sent, expected, "{address} {guard:?} {}", vector.note);
            }
        }
    }
    assert!(addresses_seen > 180, "{addresses_seen}");
}

/// A redirect may lead where the guard allows; that of a public server to public addresses only.
#[tokio::test]
async fn behind_a_redirect() {
    let base = Url::parse("http://base.test/a/b").unwrap();
    let mut followed = 0;
    let all = vectors();
    for vector in &all {
        // A line break ends a header, so no server can send it.
        let Ok(location) = HeaderValue::from_bytes(vector.url.as_bytes()) else { continue };
        let headers = HeaderMap::from_iter([(LOCATION, location)]);
        let target = redirect::target(&base, StatusCode::FOUND, &headers).ok().flatten();
        if let Some(target) = &target
            && target.host() == base.host()
        {
            continue; // a relative reference: it leads nowhere else
        }
        followed += 1;
        // Without a scheme, the target has that of the redirecting server.
        let full = vector.url.starts_with("//").then(|| format!("http:{}", vector.url));
        let vector = full.map_or(vector, |full| all.iter().find(|other| other.url == full).unwrap());
        for (guard, expected) in tiers(vector) {
            for (policy, expected) in [
                (HopPolicy::first(guard.clone()), expected),
                (HopPolicy::after_public(guard.clone()), vector.public_only),
            ] {
                let sent = match &target {
                    Some(target) => is_sent(&policy, target, &vector.addresses).await,
                    None => false,
                };
                // No server redirects to a socket of this machine.
                let expected = expected && !vector.url.starts_with("unix:");
                assert_eq!(sent, expected, "{:?} {policy:?} {}", vector.url, vector.note);
            }
        }
    }
    assert!(followed > 230, "{followed}");
}
