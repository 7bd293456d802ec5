//! The values that the references of a program lead to, for the evaluation of one event.

use super::subject::Subject;
use crate::ops::Reference;
use crate::program::Id;

/// Where the evaluator finds the values of references. Cheap to copy.
///
/// Finding a field in bytes takes time linear in the object, and a reference under `$every` is asked once per element. So
/// for such events all references are followed once, before the evaluation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'e, S> {
    /// Followed on demand.
    Event(S),
    /// Followed already, by the number of the reference.
    Found(&'e [Option<S>]),
}

impl<S: Subject> Scope<'_, S> {
    /// Of a program without references.
    pub(crate) const NONE: Self = Self::Found(&[]);

    /// The scalar that a reference leads to.
    pub(crate) fn scalar(self, id: Id<Reference>, names: &[Box<str>]) -> Option<S> {
        match self {
            Self::Event(event) => event.scalar_at(names),
            Self::Found(found) => found.get(id.index()).copied().flatten(),
        }
    }
}
