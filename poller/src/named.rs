//! Enums whose variants have names, in one table: each name stands beside its variant, and the list of all variants follows.

/// Writes an enum, the list `ALL` of its variants in their order, and the function that gives their names.
macro_rules! named {
    (
        $(#[$attribute:meta])*
        $vis:vis enum $enum:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $name:literal,)*
        }
        $(#[$function_attribute:meta])*
        $function_vis:vis const fn $function:ident;
    ) => {
        $(#[$attribute])*
        $vis enum $enum {
            $($(#[$variant_attribute])* $variant,)*
        }

        impl $enum {
            pub(crate) const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            $(#[$function_attribute])*
            $function_vis const fn $function(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

pub(crate) use named;
