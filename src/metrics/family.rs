//! Families of series with typed labels.
//!
//! Owns how a metric is made, registered and addressed. Must never create a series from a text that is no label.

use std::marker::PhantomData;

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result,
};

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
    fn make(maker: &Maker<'_>, spec: &Spec<'_>) -> Self;
}

macro_rules! plain {
    ($($metric:ty: |$spec:ident| $made:expr,)+) => {$(
        impl Metric for $metric {
            fn make(maker: &Maker<'_>, $spec: &Spec<'_>) -> Self {
                maker.keep($made)
            }
        }
    )+};
}

plain! {
    IntCounter: |spec| IntCounter::with_opts(spec.opts()),
    IntGauge: |spec| IntGauge::with_opts(spec.opts()),
    Gauge: |spec| Gauge::with_opts(spec.opts()),
    Histogram: |spec| Histogram::with_opts(spec.histogram()),
    IntCounterVec: |spec| IntCounterVec::new(spec.opts(), spec.labels),
    IntGaugeVec: |spec| IntGaugeVec::new(spec.opts(), spec.labels),
    GaugeVec: |spec| GaugeVec::new(spec.opts(), spec.labels),
    HistogramVec: |spec| HistogramVec::new(spec.histogram(), spec.labels),
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
