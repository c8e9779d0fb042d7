//! Exact references
pub mod enumeration;
