//! From JSON to a whole spec: each member is read by its entry in the table.

use std::sync::Arc;

use filter::decode::{Place, field, known_members};
use filter::json;

use super::members::{MEMBERS, Members};
use super::read::{Reader, SpecError, SpecOptions};
use super::settings::Settings;
use super::{PollSpec, identity, pool};

impl SpecOptions {
    /// Reads a spec from JSON text.
    ///
    /// # Errors
    /// Every problem with its place.
    pub fn parse(&self, text: &str) -> Result<PollSpec, SpecError> {
        self.parse_changed(text, |_| {})
    }

    /// Reads a spec from JSON text after a change of the parsed document.
    pub(super) fn parse_changed(
        &self,
        text: &str,
        change: impl FnOnce(&mut json::Node),
    ) -> Result<PollSpec, SpecError> {
        let mut node = json::parse(text, &self.limits.filter)
            .map_err(|error| SpecError::from(vec![error.diagnostic().clone()]))?;
        change(&mut node);
        self.decode(&node, "")
    }

    /// Reads a spec from parsed JSON; `pointer` is its place in its document.
    ///
    /// # Errors
    /// Every problem with its place.
    pub fn decode(&self, node: &json::Node, pointer: &str) -> Result<PollSpec, SpecError> {
        let mut reader = Reader::new(self);
        let spec = reader.spec(Place { node, pointer });
        let warnings = reader.problems.finish()?;
        let (url, members) = spec.expect("invariant: without a spec there is an error");
        let hash = pool::content_hash(node, &identity::NAMES);
        Ok(PollSpec { url, settings: Arc::new(Settings::new(Members { warnings, ..members }, hash)) })
    }
}

impl Reader<'_> {
    fn spec(&mut self, place: Place<'_>) -> Option<(Arc<str>, Members)> {
        let known: Vec<&str> =
            identity::NAMES.into_iter().chain(MEMBERS.iter().map(|member| member.name)).collect();
        let fields = known_members(place, "an object with a \"url\"", &known, &mut self.problems)?;
        let mut read = Members::new(self.options);
        for member in MEMBERS {
            if let Some(given) = field(&fields, member.name) {
                (member.read)(self, given.place(), &mut read);
            }
        }
        read.cache_key = field(&fields, "cacheKey").and_then(|given| self.cache_key(given.place()));
        let (interval, timeout) = (read.interval.first(), read.timeout);
        if let Some(given) = field(&fields, "interval").filter(|_| interval >= timeout) {
            self.problems.warn(
                given.place(),
                format!("the interval of {interval:?} is not shorter than the timeout of {timeout:?}"),
                "only one request will be made; shorten the interval or lengthen the timeout",
            );
        }
        let url = match field(&fields, "url") {
            Some(given) => {
                let url = self.url(given.place());
                let is_plain = url.as_ref().is_some_and(|url| !url.starts_with("https:"));
                if is_plain && read.request.tls.is_some() {
                    self.problems.warn(
                        given.place(),
                        "the certificates of requestInit.tls are not used: the URL is not https",
                        "ask the server over https, or leave tls out",
                    );
                }
                url
            }
            None => self.missing(place, "url", "say which URL to ask"),
        };
        Some((url?, read))
    }
}
