//! The series that exist from the start.
//!
//! Owns the label values of each metric. Must never omit a series that an alert may name.

use super::Metrics;

impl Metrics {
    /// Creates every series at 0, since an alert on a missing series never fires.
    pub(super) fn create_series(&self, streams: &[&str], reasons: &[&str]) {
        for stream in streams {
            self.folded.with_label_values(&[stream]);
            self.erased_dropped.with_label_values(&[stream]);
            self.reader_restarts.with_label_values(&[stream]);
            self.fold_seconds.with_label_values(&[stream]);
            self.fold_active.with_label_values(&[stream]);
            self.fold_lag_messages.with_label_values(&[stream]);
            self.fold_lag_seconds.with_label_values(&[stream]);
            self.stream_loss.with_label_values(&[stream]);
            for reason in reasons {
                self.dead_letters.with_label_values(&[stream, reason]);
            }
        }
        for answer in [
            "stored",
            "unauthorized",
            "unsupported_encoding",
            "too_large",
            "unavailable",
        ] {
            self.webhook_requests.with_label_values(&[answer]);
        }
        for kind in ["record", "unreadable"] {
            self.webhook_records.with_label_values(&[kind]);
        }
        for call in ["get_user", "patch_user", "get_logs", "get_log"] {
            let results = [
                "ok",
                "limited",
                "later",
                "gone",
                "refused",
                "credentials",
                "scope",
            ];
            for result in results {
                self.auth0_calls.with_label_values(&[call, result]);
            }
        }
        for brake in ["granted", "revoked", "restored", "gone"] {
            self.brake_engaged.with_label_values(&[brake]);
        }
        for change in ["granted", "revoked"] {
            self.role_writes_refused.with_label_values(&[change]);
            for outcome in ["written", "confirmed", "shadow"] {
                self.role_changes.with_label_values(&[change, outcome]);
            }
        }
        for by in ["default", "wished"] {
            self.display_names.with_label_values(&[by]);
        }
        for state in ["waiting", "refused"] {
            self.display_names_open.with_label_values(&[state]);
        }
        for answer in ["restored", "left"] {
            self.taken_away.with_label_values(&[answer]);
        }
        for outcome in ["merged", "nothing_lost", "unresolved", "unconfirmed", "dropped"] {
            self.races.with_label_values(&[outcome]);
        }
        for state in ["due", "waiting", "leased", "parked", "held"] {
            self.nominations.with_label_values(&[state]);
        }
        for adoption in ["adopted", "unadopted"] {
            self.holders.with_label_values(&[adoption]);
        }
    }
}
