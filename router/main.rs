//! The `kanaria` command.

fn main() {}
