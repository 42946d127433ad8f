//! Bits that the kernel sends in one number: those with a name, and whatever else is set.

/// Defines numbers whose bits have names. They are printed in hexadecimal, and kept in JSON as the number.
macro_rules! flags {
    ($($(#[$doc:meta])+ $name:ident { $($(#[$flag_doc:meta])+ $flag:ident = $bit:literal;)+ })+) => {$(
        $(#[$doc])+
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u32);

        impl $name {
            $($(#[$flag_doc])+ pub const $flag: $name = $name($bit);)+

            /// The number.
            pub fn bits(self) -> u32 {
                self.0
            }

            /// Whether all bits of `flags` are set.
            pub fn has(self, flags: $name) -> bool {
                self.0 & flags.0 == flags.0
            }

            /// Those that are not in `flags`.
            pub fn without(self, flags: $name) -> $name {
                $name(self.0 & !flags.0)
            }

            /// Whether no bit is set.
            pub fn is_empty(&self) -> bool {
                self.0 == 0
            }
        }

        impl From<u32> for $name {
            fn from(bits: u32) -> Self {
                $name(bits)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    )+};
}

pub(super) use flags;
