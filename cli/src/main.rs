//! The `poll` binary.
fn main() {}
