//! A number of things, in the singular or the plural.

/// `1 writer`, `2 writers`.
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}
