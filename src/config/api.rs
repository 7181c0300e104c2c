//! Settings of the data API.
//!
//! Owns the setting that switches it on: an audience. The data API needs the tenant's domain, and no secret of Auth0.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::auth0::Auth0Args;
use super::check::Check;

/// Genres that are offered by default.
pub const DEFAULT_GENRES: &str =
    "blues,classical,country,electronic,folk,hip-hop,indie,jazz,latin,metal,pop,punk,reggae,rock,soul";

/// Most genres that can be offered.
const MAX_GENRES: usize = 200;
/// Longest name of a genre, in characters.
const MAX_GENRE_CHARS: usize = 64;

/// Settings of the data API, as text.
#[derive(Args, Clone, Debug)]
pub struct ApiArgs {
    /// The audience that access tokens of the data API must have: the identifier of your API at Auth0. Without it
    /// the data API is not served
    #[arg(long, env = "API_AUDIENCE")]
    pub api_audience: Option<String>,
    /// The issuers of access tokens, separated by commas, where users log in on a custom domain, such as
    /// `https://login.example.com/` [default: `https://AUTH0_DOMAIN/`]
    #[arg(long, env = "API_ISSUER")]
    pub api_issuer: Option<String>,
    /// `on`: a token needs the scope `read:app` to read, `write:app` for all else; `off` asks for no scope
    #[arg(long, env = "API_SCOPES", default_value = "on")]
    pub api_scopes: String,
    /// Requests a user may make in a row, 1 to 100000
    #[arg(long, env = "API_BURST", default_value = "50")]
    pub api_burst: String,
    /// Requests per second a user may make continuously, 0.01 to 10000
    #[arg(long, env = "API_REQUESTS_PER_S", default_value = "10")]
    pub api_requests_per_s: String,
    /// Writes per day of a user that publish an event (make or delete a playlist), over all workers, 1 to 1000000; the day's writes are
    /// refilled evenly
    #[arg(long, env = "API_PUBLISHES_PER_D", default_value = "200")]
    pub api_publishes_per_d: String,
    /// Shortest time between two fetches of the tenant's public keys, 1 to 600 seconds; a token of a new key may be refused for as
    /// long
    #[arg(long, env = "API_KEYS_COOL_DOWN_S", default_value = "30")]
    pub api_keys_cool_down_s: String,
    /// Genres that users choose from, separated by commas; an earlier choice stays
    #[arg(long, env = "API_GENRES", default_value = DEFAULT_GENRES)]
    pub api_genres: String,
}

/// Checked settings of the data API.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The tenant's domain.
    pub domain: String,
    /// Extra certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Issuers of tokens, where they differ from the domain.
    pub issuers: Vec<String>,
    /// Audience of tokens.
    pub audience: String,
    /// Whether tokens need scopes.
    pub scopes: bool,
    /// Requests a user may make in a row.
    pub burst: u32,
    /// Requests per second a user may make continuously.
    pub requests_per_s: f64,
    /// Publishing writes per day a user may make, over all workers.
    pub publishes_per_day: u32,
    /// Shortest time between two fetches of the tenant's keys.
    pub cool_down: Duration,
    /// Genres that users choose from.
    pub genres: Vec<String>,
}

impl ApiArgs {
    /// Checks the settings; returns none where the data API is switched off.
    pub(super) fn check(&self, auth0: &Auth0Args, check: &mut Check) -> Option<ApiConfig> {
        let set = |value: &Option<String>| value.clone().filter(|value| !value.trim().is_empty());
        let audience = set(&self.api_audience)?;
        let issuers = self.issuers(check);
        Some(ApiConfig {
            domain: auth0.domain(check),
            ca_file: auth0.ca_file(check),
            issuers,
            audience,
            scopes: check.word("API_SCOPES", &self.api_scopes, &[("on", true), ("off", false)]),
            burst: check.number("API_BURST", &self.api_burst, &(1..=100_000)),
            requests_per_s: check.number("API_REQUESTS_PER_S", &self.api_requests_per_s, &(0.01..=10_000.0)),
            publishes_per_day: self.publishes_per_day(check),
            cool_down: Duration::from_secs(check.number(
                "API_KEYS_COOL_DOWN_S",
                &self.api_keys_cool_down_s,
                &(1..=600),
            )),
            genres: self.genres(check),
        })
    }

    fn publishes_per_day(&self, check: &mut Check) -> u32 {
        let text = self.api_publishes_per_d.trim();
        let text = if text.is_empty() { "200" } else { text };
        check.number("API_PUBLISHES_PER_D", text, &(1..=1_000_000))
    }

    fn issuers(&self, check: &mut Check) -> Vec<String> {
        let list = self.api_issuer.as_deref().unwrap_or_default();
        let issuers = list.split(',').map(str::trim).filter(|issuer| !issuer.is_empty());
        let issuers: Vec<String> = issuers.map(str::to_owned).collect();
        if !issuers
            .iter()
            .all(|issuer| issuer.starts_with("https://") && issuer.ends_with('/'))
        {
            let expected = "URLs as in the tokens, such as https://login.example.com/, separated by commas";
            check.fault("API_ISSUER", list, expected);
        }
        issuers
    }

    fn genres(&self, check: &mut Check) -> Vec<String> {
        let genres = genres(&self.api_genres);
        let well_formed = |genre: &String| {
            (1..=MAX_GENRE_CHARS).contains(&genre.chars().count()) && !genre.chars().any(char::is_control)
        };
        if genres.len() > MAX_GENRES || !genres.iter().all(well_formed) {
            let expected = "1 to 200 names of at most 64 characters, separated by commas";
            check.fault("API_GENRES", &self.api_genres, expected);
        }
        genres
    }
}

/// Returns the genres in a list, without duplicates.
#[must_use]
pub fn genres(list: &str) -> Vec<String> {
    let mut genres: Vec<String> = Vec::new();
    for genre in list.split(',').map(str::trim) {
        if !genres.iter().any(|known| known == genre) {
            genres.push(genre.to_owned());
        }
    }
    genres
}
