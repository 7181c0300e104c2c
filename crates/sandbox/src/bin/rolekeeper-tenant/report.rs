//! The text printed at the start: the addresses, and that the tenant is ready.
//!
//! Owns the lines and their order; the last one begins with `ready`. Must never print a secret that was given.

use std::fmt::Write as _;

use clap::ValueEnum as _;
use rolekeeper_sandbox::tenant::{APP_CLIENT, Tenant};

use super::args::{DEFAULT_SECRET, TenantArgs};

/// The whole text; `users` is how many there are.
pub(super) fn report(args: &TenantArgs, tenant: &Tenant, users: usize) -> String {
    let mut text = format!("A stand-in for the Auth0 tenant \"{}\"\n", args.name);
    for (name, value) in lines(args, tenant, users) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {name:<16}{value}");
    }
    text + "ready: Ctrl-C or SIGTERM ends it, and nothing is kept\n"
}

fn lines(args: &TenantArgs, tenant: &Tenant, users: usize) -> Vec<(&'static str, String)> {
    let base = tenant.base_url();
    let secret = if args.client_secret == DEFAULT_SECRET {
        DEFAULT_SECRET
    } else {
        "as given"
    };
    let mut lines = vec![
        ("base URL", base.clone()),
        ("token endpoint", format!("{base}/oauth/token")),
        ("Management API", format!("{base}/api/v2/")),
        ("issuer", format!("{base}/")),
        ("JWKS", format!("{base}/.well-known/jwks.json")),
    ];
    if let Some(file) = tenant.ca_file() {
        lines.push(("CA file", file.display().to_string()));
    }
    lines.extend([
        ("client id", args.client_id.clone()),
        ("client secret", secret.to_owned()),
        ("scopes", args.client().scopes.join(" ")),
        ("users' app", APP_CLIENT.to_owned()),
    ]);
    if let Some(api) = &args.api {
        lines.push(("users' API", api.clone()));
    }
    let plan = args.plan.to_possible_value();
    lines.extend([
        ("users", users.to_string()),
        (
            "rate limit",
            plan.map(|plan| plan.get_name().to_owned()).unwrap_or_default(),
        ),
    ]);
    if let Some(url) = &args.logs_to {
        lines.push(("logs to", url.clone()));
    }
    lines
}
