// Owns the check of a ServiceMonitor and a PrometheusRule by the models of the operator's own definitions.
//
//   operator.mjs FILE

import { readFileSync } from "node:fs";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";

const models = { PrometheusRule, ServiceMonitor };
const documents = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const document of documents) {
  new models[document.kind](document).validate();
}
const kinds = documents.map((document) => document.kind).sort();
if (kinds.join() !== "PrometheusRule,ServiceMonitor") {
  throw new Error(`expected both kinds, got ${kinds}`);
}
console.error(`${kinds.length} kinds of the operator are valid`);
