//! URLs that a server has chosen by a link in its response, which the poll follows.
//!
//! A link is a redirect that takes longer: what a public server must not do by the one, it must not do by the other. Between link
//! and request the process may have been restarted, so the addresses of the linking server are looked up anew.

use super::guard::Guard;
use super::resolve::GuardedResolver;
use super::{ranges, redirect};
use crate::fetch::Request;

/// Whether a public server has chosen the URL of a request. A server without known addresses, as behind a proxy, counts as public:
/// the stricter reading. Looks up a name at most, and only where the answer matters to the guard.
pub(super) async fn is_by_public(request: &Request, guard: &Guard, resolver: GuardedResolver) -> bool {
    let Some(from) = request.linked_from.as_deref() else { return false };
    if !redirect::crosses_origin(from, &request.url) || *guard == guard.without_local() {
        return false;
    }
    // A host that is neither a name nor an address is a socket of this machine.
    let Some(name) = from.domain() else { return ranges::literal(from).is_some_and(ranges::is_public) };
    let found = resolver.addresses(name.to_owned()).await;
    found.is_err() || found.is_ok_and(|addresses| addresses.into_iter().any(ranges::is_public))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use http::Method;
    use url::Url;

    use super::*;
    use crate::http::lookups::Lookups;
    use crate::http::resolve::HopPolicy;

    async fn is_public(from: Option<&str>, to: &str, guard: Guard) -> bool {
        let fixed = HashMap::from([
            ("public.test".to_owned(), vec![[1, 1, 1, 1].into()]),
            ("both.test".to_owned(), vec![[10, 0, 0, 1].into(), [1, 1, 1, 1].into()]),
            ("private.test".to_owned(), vec![[10, 0, 0, 1].into()]),
            ("nowhere.test".to_owned(), Vec::new()),
        ]);
        let policy = HopPolicy::first(guard.clone());
        let resolver = GuardedResolver { policy, fixed: Arc::new(fixed), lookups: Lookups::shared() };
        let mut request = Request::new(Method::GET, Url::parse(to).unwrap(), 1);
        request.linked_from = from.map(|from| Arc::new(Url::parse(from).unwrap()));
        is_by_public(&request, &guard, resolver).await
    }

    #[tokio::test]
    async fn links_of_public_servers_to_other_origins_are_theirs() {
        let to = "http://10.0.0.2/";
        for (from, expected) in [
            (None, false),
            (Some("http://1.1.1.1/"), true),
            (Some("http://10.0.0.1/"), false),
            (Some("http://[::1]/"), false),
            (Some("http://[2606:4700::1111]/"), true),
            (Some("https://public.test/"), true),
            (Some("https://both.test/"), true),
            (Some("https://private.test/"), false),
            (Some("https://nowhere.test/"), true),
            // The same origin: the user's.
            (Some(to), false),
        ] {
            assert_eq!(is_public(from, to, Guard::local()).await, expected, "{from:?}");
            let open = Guard::public_only().allow("10.0.0.0/8".parse().unwrap());
            let looked_up = from.is_none_or(|from| !from.contains("[::1]"));
            assert!(!looked_up || is_public(from, to, open).await == expected, "{from:?}");
            assert!(
                !is_public(from, to, Guard::public_only()).await,
                "the guard forbids it anyway: {from:?}"
            );
        }
    }
}
