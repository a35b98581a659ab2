//! Runs the project's own chores.

fn main() {}
