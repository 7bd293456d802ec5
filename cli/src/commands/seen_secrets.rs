//! The secrets of the requests that this process sends: for which polls they are resolved, and what they are, so that no excerpt
//! of a response shows them.
//!
//! Specs named on the command line may refer to any secret: their user wrote them. Polls that come out of a store were written
//! by whoever could submit them, and use what `--allow-secret` names.
//!
//! A server may echo a request. The library removes the secrets of a request from what it quotes itself; the excerpts on
//! standard error are quoted here.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use poller::redact::Secrets;
use poller::secret::{
    AllowAll, AllowedSecrets, SecretError, SecretRef, SecretResolver, SecretRule, SecretString,
};
use poller::{PollKey, PollSpec};
use url::Url;

/// Resolves references and remembers what they stood for; a secret may be replaced while a poll runs.
#[derive(Clone, Debug)]
pub(super) struct SeenSecrets {
    seen: Arc<Mutex<Secrets>>,
    allowed: Arc<Allowed>,
}

/// The polls for which references are resolved.
#[derive(Debug)]
enum Allowed {
    /// All: each was named on the command line.
    All,
    /// All references of the polls that were named on the command line, and some of the others.
    Some { named: HashSet<PollKey>, others: AllowedSecrets },
}

impl SeenSecrets {
    /// For polls that are all named on the command line.
    pub(super) fn of_command_line() -> Self {
        Self { seen: Arc::default(), allowed: Arc::new(Allowed::All) }
    }

    /// For a store: `named` are the polls of the command line, and `rules` are those for the others.
    pub(super) fn of_store(named: HashSet<PollKey>, rules: &[SecretRule]) -> Self {
        let others = rules.iter().cloned().collect();
        Self { seen: Arc::default(), allowed: Arc::new(Allowed::Some { named, others }) }
    }

    /// Adds the secrets that stand in the spec itself.
    pub(super) fn add_spec(&self, spec: &PollSpec) {
        self.lock().add_inline(spec);
    }

    /// The text without the secrets.
    pub(super) fn hide(&self, text: &str) -> String {
        self.lock().hide(text).into_owned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Secrets> {
        // A panic while a secret is added leaves the list as it was.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretResolver for SeenSecrets {
    fn resolve(&self, reference: &SecretRef, url: &Url) -> Result<SecretString, SecretError> {
        let secret = AllowAll.resolve(reference, url)?;
        self.lock().add_secret(&secret);
        Ok(secret)
    }

    fn resolve_for(
        &self,
        poll: &PollKey,
        reference: &SecretRef,
        url: &Url,
    ) -> Result<SecretString, SecretError> {
        match &*self.allowed {
            Allowed::Some { named, others } if !named.contains(poll) && !others.allows(reference, url) => {
                Err(SecretError::new(format!(
                    "the secret {reference} is not resolved for a poll that was in the store before; to allow it: --allow-secret \
                     {}",
                    SecretRule::needed(reference, url)
                )))
            }
            _ => self.resolve(reference, url),
        }
    }
}

/// The most rules that a line of help names.
const NAMED: usize = 20;

/// Adds the rules that a spec needs to those that a line of help names. Returns whether it needs any.
pub(super) fn add_needed(rules: &mut Vec<SecretRule>, spec: &PollSpec) -> bool {
    let needed = spec.secret_rules();
    let needs = !needed.is_empty();
    for rule in needed {
        // One more than are named, so that it shows that there are more.
        if rules.len() <= NAMED && !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    needs
}

/// ` --allow-secret env:A@https://a.example --allow-secret env:B@https://b.example`: the arguments that allow these secrets.
pub(super) fn as_arguments(rules: &[SecretRule], quote: impl Fn(&str) -> String) -> String {
    let named = rules.iter().take(NAMED).map(|rule| format!(" --allow-secret {}", quote(&rule.to_string())));
    named.chain((rules.len() > NAMED).then(|| " …".to_owned())).collect()
}
