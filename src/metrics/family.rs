//! Families of series with typed labels.
//!
//! Owns how a metric is made, registered and addressed. Must never create a series from a text that is no label.

use std::marker::PhantomData;

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result,
};

use super::described::{Described, DescribedLabel};
use super::labels::{Label, Labels, Later};

/// Makes metrics and registers them. A duplicate name is a bug that every start would show.
pub(super) struct Maker<'a> {
    pub(super) registry: Registry,
    /// The streams that have a series from the start.
    pub(super) streams: &'a [&'static str],
}

impl Maker<'_> {
    fn keep<C: Collector + Clone + 'static>(&self, made: Result<C>) -> C {
        let metric = made.expect("the definition of a metric is constant and valid");
        self.registry
            .register(Box::new(metric.clone()))
            .expect("each metric has a name of its own");
        metric
    }
}

/// The definition of one metric.
pub(super) struct Spec<'a> {
    pub(super) name: &'a str,
    pub(super) help: &'a str,
    /// Names of labels whose values are no enum.
    pub(super) labels: &'a [&'a str],
    /// Upper limits of the buckets of a histogram.
    pub(super) buckets: &'a [f64],
}

impl Spec<'_> {
    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    fn histogram(&self) -> HistogramOpts {
        HistogramOpts::new(self.name, self.help).buckets(self.buckets.to_vec())
    }
}

/// A metric that can be made from its definition.
pub(super) trait Metric {
    /// Its type, as the text format names it.
    const KIND: &'static str;

    fn make(maker: &Maker<'_>, spec: &Spec<'_>) -> Self;

    /// Its labels, with their values where these are a closed set.
    fn labels(spec: &Spec<'_>, _streams: &[&'static str]) -> Vec<DescribedLabel> {
        spec.labels
            .iter()
            .map(|name| DescribedLabel::open(name))
            .collect()
    }

    /// Its description, for the reference.
    fn described(spec: &Spec<'_>, streams: &[&'static str]) -> Described {
        Described {
            name: spec.name.to_owned(),
            kind: Self::KIND,
            labels: Self::labels(spec, streams),
            help: spec.help.to_owned(),
        }
    }
}

macro_rules! plain {
    ($($metric:ty, $type:literal: |$spec:ident| $made:expr,)+) => {$(
        impl Metric for $metric {
            const KIND: &'static str = $type;

            fn make(maker: &Maker<'_>, $spec: &Spec<'_>) -> Self {
                maker.keep($made)
            }
        }
    )+};
}

plain! {
    IntCounter, "counter": |spec| IntCounter::with_opts(spec.opts()),
    IntGauge, "gauge": |spec| IntGauge::with_opts(spec.opts()),
    Gauge, "gauge": |spec| Gauge::with_opts(spec.opts()),
    Histogram, "histogram": |spec| Histogram::with_opts(spec.histogram()),
    IntCounterVec, "counter": |spec| IntCounterVec::new(spec.opts(), spec.labels),
    IntGaugeVec, "gauge": |spec| IntGaugeVec::new(spec.opts(), spec.labels),
    GaugeVec, "gauge": |spec| GaugeVec::new(spec.opts(), spec.labels),
    HistogramVec, "histogram": |spec| HistogramVec::new(spec.histogram(), spec.labels),
}

/// One series for each combination of the labels `L`.
#[derive(Debug)]
pub struct Family<V, L> {
    vec: V,
    labels: PhantomData<L>,
}

/// Counters with the labels `L`.
pub type Counters<L> = Family<IntCounterVec, L>;
/// Gauges of whole numbers with the labels `L`.
pub type Gauges<L> = Family<IntGaugeVec, L>;
/// Gauges of fractions with the labels `L`.
pub type Floats<L> = Family<GaugeVec, L>;
/// Histograms with the labels `L`.
pub type Histograms<L> = Family<HistogramVec, L>;

macro_rules! families {
    ($($vec:ty => $one:ty,)+) => {$(
        impl<L: Labels> Family<$vec, L> {
            /// The series with these labels.
            pub fn of(&self, labels: L) -> $one {
                self.vec.with_label_values(labels.texts().as_ref())
            }
        }

        impl<L: Labels> Metric for Family<$vec, L> {
            const KIND: &'static str = <$vec as Metric>::KIND;

            fn labels(_: &Spec<'_>, streams: &[&'static str]) -> Vec<DescribedLabel> {
                let values = L::NAMES.iter().zip(<L as Labels>::known(streams));
                values.map(|(name, values)| DescribedLabel::closed(name, values)).collect()
            }

            fn make(maker: &Maker<'_>, spec: &Spec<'_>) -> Self {
                let spec = Spec { labels: L::NAMES, ..*spec };
                let family = Self { vec: Metric::make(maker, &spec), labels: PhantomData };
                for labels in L::at_start(maker.streams) {
                    family.of(labels);
                }
                family
            }
        }
    )+};
}

impl<L: Label> Counters<Later<L>> {
    /// Creates the series at 0, once the part that they count begins.
    pub fn start(&self) {
        for label in L::at_start(&[]) {
            self.of(Later(label));
        }
    }
}

families! {
    IntCounterVec => IntCounter,
    IntGaugeVec => IntGauge,
    GaugeVec => Gauge,
    HistogramVec => Histogram,
}
