//! The macro that defines metrics.
//!
//! Owns the form of a definition: the doc comment is the HELP text, and the type names the labels.

/// Defines a struct of metrics. `by` names labels whose values are no enum, `in` the buckets of a histogram, and
/// `with` other structs of metrics inside.
macro_rules! metrics {
    (@list) => { &[] };
    (@list $list:tt) => { &$list };
    (
        $(#[$about:meta])+
        pub struct $group:ident {
            $($(#[doc = $help:literal])+ $vis:vis $field:ident: $kind:ty = $name:literal $(by $labels:tt)? $(in $buckets:tt)?,)+
        }
        $(with { $($(#[$about_part:meta])+ $vis_part:vis $part:ident: $group_part:ty,)+ })?
    ) => {
        $(#[$about])+
        #[derive(Debug)]
        pub struct $group {
            $($(#[doc = $help])+ $vis $field: $kind,)+
            $($($(#[$about_part])+ $vis_part $part: $group_part,)+)?
        }

        impl $group {
            pub(super) fn make(maker: &$crate::metrics::family::Maker<'_>) -> Self {
                use $crate::metrics::family::{Metric, Spec};
                Self {
                    $($field: Metric::make(maker, &Spec {
                        name: $name,
                        help: concat!($($help),+).trim(),
                        labels: metrics!(@list $($labels)?),
                        buckets: metrics!(@list $($buckets)?),
                    }),)+
                    $($($part: <$group_part>::make(maker),)+)?
                }
            }

            pub(super) fn described(streams: &[&'static str]) -> Vec<$crate::metrics::Described> {
                use $crate::metrics::family::{Metric, Spec};
                let own = [$(<$kind as Metric>::described(&Spec {
                    name: $name,
                    help: concat!($($help),+).trim(),
                    labels: metrics!(@list $($labels)?),
                    buckets: metrics!(@list $($buckets)?),
                }, streams)),+];
                own.into_iter()$($(.chain(<$group_part>::described(streams)))+)?.collect()
            }
        }
    };
}

pub(super) use metrics;
