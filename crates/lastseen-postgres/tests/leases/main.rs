//! Several nodes over one PostgreSQL: who may answer from memory, and when a termination is answered.

mod faults;
mod house;
mod link;
mod promise;
mod terminations;
