//! rinit.

fn main() {}
