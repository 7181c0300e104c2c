//! Short texts from outside: dates, ids and names.

use rolekeeper_domain::date;
use rolekeeper_domain::display_name::DisplayName;
use rolekeeper_domain::ids::{Token, UserId};
use rolekeeper_domain::tenant::TenantName;
use time::format_description::well_known::Rfc3339;

use crate::fuzz;

#[test]
fn fuzz_dates() {
    fuzz("dates", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for date in [date::of_text(&text), date::of_header(&text)]
            .into_iter()
            .flatten()
        {
            let written = date.format(&Rfc3339).expect("a year of four digits");
            assert_eq!(date::of_text(&written), Some(date));
            let micros = i64::try_from(date::unix_micros(date)).expect("it fits into a column");
            assert_eq!(date::of_unix_micros(micros), Some(date));
        }
    });
}

#[test]
fn fuzz_ids_and_names() {
    fuzz("ids", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(id) = Token::parse(&*text) {
            assert_eq!(id.as_str(), text);
            assert_eq!(id.clone().into_owned(), id);
        }
        let user = UserId::parse(&*text);
        assert_eq!(
            user.is_ok(),
            (1..=255).contains(&text.len()) && !text.contains(char::is_control)
        );
        if let Ok(name) = DisplayName::parse(&*text) {
            assert_eq!(name.as_str(), text);
        }
        if let Some(name) = TenantName::of_domain(&text) {
            assert_eq!(TenantName::parse(name.as_str()), Some(name));
        }
    });
}
