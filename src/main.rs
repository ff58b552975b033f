//! The `linkspan` command.
fn main() {}
