// Owns the check of the contracts: docs/asyncapi.yaml by the parser of AsyncAPI, and the schemas of docs/schemas/ by ajv, against the
// samples that the tests of the code judge too (tests/it/deploy/contracts.rs). So schema and code agree on each sample.
//
//   contracts.mjs ROOT

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Parser, fromFile } from "@asyncapi/parser";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const root = process.argv[2];
const read = (path) => readFileSync(join(root, path), "utf8");
const lines = (path) => read(path).trim().split("\n").map((line) => JSON.parse(line));
const faults = [];

// Faults that stand before a schema: in the bytes, or in the JSON text.
const BEFORE_SCHEMA = ["not_json", "duplicate_field", "oversized"];

const validator = (schema, ...others) => {
  const ajv = new Ajv({ strict: true, strictTypes: false, strictRequired: false, allErrors: false });
  addFormats(ajv);
  others.forEach((other) => ajv.addSchema(other));
  return ajv.compile(schema);
};

const appEvent = JSON.parse(read("docs/schemas/app-event.json"));
const cloudEvent = JSON.parse(read("docs/schemas/cloud-event.json"));
const judge = (schema, isEvent, samples) => {
  for (const { payload, reason } of samples) {
    if (BEFORE_SCHEMA.includes(reason)) continue;
    if (isEvent(JSON.parse(payload)) !== (reason === null)) {
      faults.push(`${schema.$id} and the code differ (${reason}): ${payload}`);
    }
  }
  for (const [name, { examples }] of Object.entries(schema.definitions)) {
    for (const example of examples ?? []) {
      if (!isEvent(example)) faults.push(`${schema.$id}: the example of ${name} is not valid`);
    }
  }
};
const events = lines("tests/checks/app-events.jsonl");
judge(appEvent, validator(appEvent), events);
const cloudEvents = lines("tests/checks/cloud-events.jsonl");
judge(cloudEvent, validator(cloudEvent, appEvent), cloudEvents);

// With every field of the code in the schema.
const roleChange = JSON.parse(read("docs/schemas/role-change.json"));
const isChange = validator({ ...roleChange, additionalProperties: false });
const changes = [...lines("tests/checks/role-changes.jsonl"), ...roleChange.examples];
for (const change of changes) {
  if (!isChange(change)) faults.push(`role-change.json: ${JSON.stringify(isChange.errors)}: ${JSON.stringify(change)}`);
  for (const field of roleChange.required) {
    const { [field]: _, ...without } = change;
    if (isChange(without)) faults.push(`role-change.json does not require ${field}`);
  }
}
for (const [field, value] of [["change", "given"], ["outcome", "shadow"], ["reason", "other"], ["plays", 1.5], ["decided_at", "now"]]) {
  if (isChange({ ...changes[0], [field]: value })) faults.push(`role-change.json accepts ${field} ${value}`);
}

const { document, diagnostics } = await fromFile(new Parser(), join(root, "docs/asyncapi.yaml")).parse();
for (const { message, path, severity } of diagnostics) {
  // 0 is an error, 1 a warning.
  if (severity <= 1) faults.push(`docs/asyncapi.yaml: ${path.join(".")}: ${message}`);
}
const messages = document?.allMessages().all().map((message) => message.id()) ?? [];
if (messages.length !== 7) faults.push(`docs/asyncapi.yaml has the messages ${messages}`);

if (events.length < 500 || cloudEvents.length < 200 || changes.length < 5) faults.push("the samples were not read");
for (const fault of faults) console.error(fault);
console.error(`${events.length} events, ${cloudEvents.length} CloudEvents and ${changes.length} role changes were judged`);
process.exit(faults.length === 0 ? 0 : 1);
