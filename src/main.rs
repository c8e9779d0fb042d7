//! kadanoff
fn main() {}
