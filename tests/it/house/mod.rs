//! The rules of the house, checked on the text of the project.
//!
//! Owns checks that read files only. Must never start a server or a worker.

mod circles;
mod floors;
mod folders;
mod paths;
mod text;
