//! Tests.

mod floors;
