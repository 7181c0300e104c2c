//! Models: every order in which workers, servers, other clients and the operator may act, up to a bound.
//!
//! Owns the state machines around the decisions of the domain, which they call as the worker does, and the properties that
//! every state must have. Must never decide by itself what the domain decides.

pub mod attempt;
pub mod cursor;
pub mod explore;
