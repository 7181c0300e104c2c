//! The data API from the app's side.

mod budget;
mod description;
mod erased;
mod floods;
mod routes;
mod tokens;
