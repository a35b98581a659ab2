//! The tests of the simulation, in one binary.

mod mutants;
mod seeds;
