//! Methods that only read or set a member, a line each: `name() -> Type;` and `name(value: Type) => member = value;`.

/// Methods that return a copy of the member of their name.
macro_rules! getters {
    ($($(#[$doc:meta])* pub const fn $member:ident() -> $type:ty;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $member(&self) -> $type {
            self.$member
        }
    )+};
}

/// Methods of builders: each takes the builder and returns it with the member set.
macro_rules! setters {
    ($(
        $(#[$doc:meta])* pub const fn $name:ident($($value:ident: $type:ty),*) => $($member:ident).+ = $set:expr;
    )+) => {$(
        $(#[$doc])*
        pub const fn $name(mut self, $($value: $type),*) -> Self {
            self.$($member).+ = $set;
            self
        }
    )+};
}

pub(crate) use {getters, setters};
