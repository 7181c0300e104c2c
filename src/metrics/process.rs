//! Metrics of the process: CPU, memory and open files, under the names that Prometheus' own clients use.
//!
//! Owns their registration. Must never read them otherwise than the library does, from /proc.

use prometheus::Registry;
use prometheus::core::{Collector as _, Desc};
use prometheus::process_collector::ProcessCollector;

use super::described::Described;

pub(super) fn register(registry: &Registry) {
    registry
        .register(Box::new(ProcessCollector::for_self()))
        .expect("no other metric has such a name");
}

/// Their descriptions.
pub(super) fn described() -> Vec<Described> {
    let described = |desc: &Desc| Described {
        name: desc.fq_name.clone(),
        // The library has one counter, the time of the CPU.
        kind: if desc.fq_name.ends_with("_total") {
            "counter"
        } else {
            "gauge"
        },
        labels: Vec::new(),
        help: desc.help.clone(),
    };
    let collector = ProcessCollector::for_self();
    collector.desc().into_iter().map(described).collect()
}
