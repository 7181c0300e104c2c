//! One person with several ids: what a link and its end do to roles, audit, announcements and data.

mod bad_input;
mod bans;
mod came_along;
mod data;
mod erased;
mod kept_roles;
mod links;
mod moves;
mod order;
mod pins;
mod random;
mod refused_moves;
mod removals;
mod undone_moves;
