//! Limits on writes at Auth0, which apply to all workers.
//!
//! Owns names, ranges and defaults, and which of two values is tighter. Must never let a worker's own setting loosen a
//! limit of all workers.

use std::time::Duration;

use super::brake::{self, BrakeLimits};
use super::pacer::MAX_RESERVE;

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Whether anything is written: 1 for on, 0 for shadow mode.
    Writes,
    /// Number of users that may lose a role inside the window, however few hold one.
    BrakeRevokes,
    /// Share of the holders that may lose a role inside the window.
    BrakeRevokesShare,
    /// Number of users that may get a role inside the window, however few hold one.
    BrakeGrants,
    /// Number of users that may get a role inside the window, as a share of the holders.
    BrakeGrantsShare,
    /// Time for which a change counts towards the brake, in seconds.
    BrakeWindowS,
    /// Share of the tenant's rate limit left to other clients.
    Reserve,
}

impl Limit {
    /// Every limit, in display order.
    pub const ALL: [Self; 7] = [
        Self::Writes,
        Self::BrakeRevokes,
        Self::BrakeRevokesShare,
        Self::BrakeGrants,
        Self::BrakeGrantsShare,
        Self::BrakeWindowS,
        Self::Reserve,
    ];

    /// Name of the limit, in the table and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writes => "writes",
            Self::BrakeRevokes => "brake_revokes",
            Self::BrakeRevokesShare => "brake_revokes_share",
            Self::BrakeGrants => "brake_grants",
            Self::BrakeGrantsShare => "brake_grants_share",
            Self::BrakeWindowS => "brake_window_s",
            Self::Reserve => "reserve",
        }
    }

    /// The limit with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.as_str() == name)
    }

    fn default(self) -> f64 {
        match self {
            Self::Writes => 1.0,
            Self::BrakeRevokes => 10.0,
            Self::BrakeRevokesShare => 0.1,
            Self::BrakeGrants => 1_000.0,
            Self::BrakeGrantsShare | Self::Reserve => 0.5,
            Self::BrakeWindowS => 3_600.0,
        }
    }

    /// Parses a value.
    ///
    /// # Errors
    /// The expected form of the value.
    pub fn parse(self, text: &str) -> Result<f64, &'static str> {
        let whole = |range: std::ops::RangeInclusive<u32>| {
            let number = text.trim().parse::<u32>().ok();
            number.filter(|number| range.contains(number)).map(f64::from)
        };
        let share = |most: f64| {
            let number = text.trim().parse::<f64>().ok();
            number.filter(|number| (0.0..=most).contains(number))
        };
        match self {
            Self::Writes => match text.trim() {
                "on" => Ok(1.0),
                "off" => Ok(0.0),
                _ => Err("one of on, off"),
            },
            Self::BrakeRevokes | Self::BrakeGrants => {
                whole(0..=1_000_000_000).ok_or("a number from 0 to 1000000000")
            }
            Self::BrakeWindowS => whole(1..=604_800).ok_or("a number from 1 to 604800"),
            Self::BrakeRevokesShare | Self::BrakeGrantsShare => share(1.0).ok_or("a number from 0 to 1"),
            Self::Reserve => share(MAX_RESERVE).ok_or("a number from 0 to 0.9"),
        }
    }

    /// A value in the form that `parse` accepts.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Writes if value > 0.0 => "on".to_owned(),
            Self::Writes => "off".to_owned(),
            _ => value.to_string(),
        }
    }

    /// The tighter of two values: the longer window, the larger reserve, else the smaller value.
    #[must_use]
    pub fn tighter(self, one: f64, other: f64) -> f64 {
        match self {
            Self::BrakeWindowS | Self::Reserve => one.max(other),
            _ => one.min(other),
        }
    }
}

/// One value for each limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits([f64; 7]);

/// The limits that a worker's own settings give.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Own([Option<f64>; 7]);

impl Default for Limits {
    fn default() -> Self {
        Self(Limit::ALL.map(Limit::default))
    }
}

impl FromIterator<(Limit, f64)> for Own {
    fn from_iter<T: IntoIterator<Item = (Limit, f64)>>(values: T) -> Self {
        let mut own = Self::default();
        for (limit, value) in values {
            own.0[limit as usize] = Some(value);
        }
        own
    }
}

impl Own {
    /// The limits with a value.
    pub fn iter(&self) -> impl Iterator<Item = (Limit, f64)> {
        let all = Limit::ALL.into_iter().zip(self.0);
        all.filter_map(|(limit, value)| Some((limit, value?)))
    }
}

impl Limits {
    /// Sets one limit.
    pub fn set(&mut self, limit: Limit, value: f64) {
        self.0[limit as usize] = value;
    }

    /// The value of one limit.
    #[must_use]
    pub fn get(&self, limit: Limit) -> f64 {
        self.0[limit as usize]
    }

    /// Tightens the limits by a worker's own settings.
    #[must_use]
    pub fn tightened(mut self, own: &Own) -> Self {
        for (limit, value) in own.iter() {
            self.set(limit, limit.tighter(self.get(limit), value));
        }
        self
    }

    /// Whether writes are enabled.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.get(Limit::Writes) > 0.0
    }

    /// Share of the tenant's rate limit left to other clients.
    #[must_use]
    pub fn reserve(&self) -> f64 {
        self.get(Limit::Reserve)
    }

    /// The limits of the brake.
    #[must_use]
    pub fn brake(&self) -> BrakeLimits {
        let limits = |number, share| brake::Limits {
            number: whole(self.get(number)),
            share: self.get(share),
        };
        BrakeLimits {
            revokes: limits(Limit::BrakeRevokes, Limit::BrakeRevokesShare),
            grants: limits(Limit::BrakeGrants, Limit::BrakeGrantsShare),
            window: Duration::from_secs(whole(self.get(Limit::BrakeWindowS)).max(1).unsigned_abs()),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers up to 1e9, and a cast that saturates"
)]
fn whole(value: f64) -> i64 {
    value as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_settings_only_tighten() {
        let loose = Limit::ALL.map(|limit| (limit, if limit.tighter(0.0, 1.0) > 0.0 { 0.0 } else { 1e9 }));
        let limits = Limits::default();
        assert_eq!(limits.tightened(&loose.into_iter().collect()), limits);
        for (limit, own, effective) in [
            (Limit::Writes, "off", 0.0),
            (Limit::BrakeRevokes, "3", 3.0),
            (Limit::BrakeGrantsShare, "0.25", 0.25),
            (Limit::BrakeWindowS, "7200", 7_200.0),
            (Limit::Reserve, "0.75", 0.75),
        ] {
            let own = [(limit, limit.parse(own).unwrap())].into_iter().collect();
            assert!(
                (limits.tightened(&own).get(limit) - effective).abs() < 1e-9,
                "{limit:?}"
            );
        }
    }

    #[test]
    fn values_are_read_as_they_are_shown_and_others_refused() {
        for limit in Limit::ALL {
            assert_eq!(Limit::named(limit.as_str()), Some(limit));
            let shown = limit.show(limit.default());
            assert_eq!(limit.parse(&shown), Ok(limit.default()), "{limit:?}");
            for bad in ["", "NaN", "-1", "1e99", "maybe"] {
                assert!(limit.parse(bad).is_err(), "{limit:?} {bad}");
            }
        }
        let brake = Limits::default().brake();
        assert_eq!((brake.revokes.number, brake.window.as_secs()), (10, 3_600));
    }
}
