//! The spec of a poll that waits, in little memory.
//!
//! The members of a kept spec can be reached only through [`KeptSpec::apart`]: what is read there for a request is dropped with it,
//! and the kept spec stays as small as it is.

use std::sync::Arc;

use super::folded::Bases;
use super::{Outline, PollSpec};

/// A spec to keep while its poll waits; from [`SpecPool::share`](super::SpecPool::share).
#[derive(Clone, Debug)]
pub(crate) struct KeptSpec(PollSpec);

impl KeptSpec {
    pub(super) const fn new(spec: PollSpec) -> Self {
        Self(spec)
    }

    /// What schedules the poll.
    pub(crate) fn outline(&self) -> &Outline {
        self.0.outline()
    }

    /// The spec to work with. Constant time; a folded one is read when a member is first needed.
    pub(crate) fn apart(&self) -> PollSpec {
        self.0.apart()
    }
}

impl PollSpec {
    /// Whether its members have not been read from its text.
    pub(crate) fn is_folded(&self) -> bool {
        self.settings.is_folded()
    }

    /// A folded spec that reads its members for itself; any other one as it is.
    pub(crate) fn apart(&self) -> Self {
        let settings = self.settings.apart().map_or_else(|| Arc::clone(&self.settings), Arc::new);
        Self { url: Arc::clone(&self.url), settings }
    }

    /// The spec to keep for a store that does not write it down: that of the engine, where the engine keeps it folded.
    pub(crate) fn kept(self) -> Self {
        if self.is_folded() {
            return self;
        }
        match self.members().kept.get() {
            Some(kept) => Self { settings: Arc::clone(kept), ..self },
            None => self,
        }
    }

    /// The same spec with nothing but its text, which is kept with one of these bases if it is like it.
    pub(super) fn folded(&self, bases: &mut Bases) -> Self {
        let text = bases.pack(self.settings.text());
        Self { url: Arc::clone(&self.url), settings: Arc::new(self.settings.folded(text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::SpecOptions;
    use crate::limits::Limits;

    fn orders(spec: &PollSpec) -> Vec<String> {
        spec.retry().iter().map(|rule| rule.name()).collect()
    }

    #[test]
    fn every_spec_is_read_back_from_what_is_kept_of_it() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/specs/good");
        let (mut read, mut bases) = (0, Bases::new());
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let options = SpecOptions::new().limits(Limits::unbounded());
            let spec = options.parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let (again, shown) = (spec.folded(&mut bases), path.display());
            assert!(again.differences(&spec).is_empty() && again.is_folded(), "{shown}");
            assert_eq!((again.to_value(), orders(&again)), (spec.to_value(), orders(&spec)), "{shown}");
            // Now that both are read, they are compared member by member, secrets too.
            assert!(!again.is_folded() && again.differences(&spec).is_empty(), "{shown}");
            assert_eq!(spec.folded(&mut bases).outline().interval, spec.interval());
            read += 1;
        }
        assert!(read >= 5, "{read} specs");
    }

    #[test]
    fn a_kept_spec_stays_folded() {
        let text = r#"{"url":"https://a.test/1","requestInit":{"headers":{"authorization":"Bearer hunter2"}},
            "responseFilter":{"body":{"n":[1]}},"retry":{"5xx":{"strategy":"backoff"},"all":{"strategy":"backoff"}}}"#;
        let spec: PollSpec = text.parse().unwrap();
        let kept = KeptSpec::new(spec.folded(&mut Bases::new()));
        let apart = kept.apart();
        assert!(apart.is_folded() && apart.outline().interval == spec.interval());
        assert_eq!((apart.to_value(), orders(&apart)), (spec.to_value(), orders(&spec)));
        assert!(!apart.is_folded() && kept.0.is_folded() && kept.apart().is_folded());
        let other: PollSpec = text.replace("hunter2", "hunter3").parse().unwrap();
        assert_eq!(kept.apart().differences(&other), ["/requestInit/headers/authorization"]);
    }
}
