//! The canonical domain of a tenant.
//!
//! Owns how it follows from the settings: the audience of the Management API names it, also where a custom domain is used.

use reqwest::Url;

use super::http::{SetupError, parse_domain};

/// Returns the canonical domain of the tenant at `domain`, from the audience of its Management API.
///
/// # Errors
/// The domain cannot be used.
pub fn canonical_domain(domain: &str, audience: Option<&str>) -> Result<String, SetupError> {
    let base = parse_domain(domain)?;
    Ok(match audience {
        Some(audience) => host_of(audience),
        None => host_of(base.as_str()),
    })
}

/// Returns the host of an audience, with its port if that is not the default.
pub(super) fn host_of(audience: &str) -> String {
    let url = Url::parse(audience).ok();
    let host = url.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
    match host {
        Some((host, None)) => host.to_owned(),
        Some((host, Some(port))) => format!("{host}:{port}"),
        None => audience.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audience_names_the_tenant_of_a_custom_domain() {
        let of = |domain, audience| canonical_domain(domain, audience).unwrap();
        let canonical = "https://music.eu.auth0.com/api/v2/";
        assert_eq!(of("Music.eu.auth0.com", None), "music.eu.auth0.com");
        assert_eq!(of("login.example.com", Some(canonical)), "music.eu.auth0.com");
        assert_eq!(of("http://127.0.0.1:4400", None), "127.0.0.1:4400");
    }
}
