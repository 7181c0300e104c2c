"""Owns the check of rendered manifests: Kubernetes' own kinds by the schemas of each supported version, without further fields.
Kinds of the Prometheus operator go to standard output as JSON, for operator.mjs.

    helm template … | manifests.py 1.30 1.34 >operator.json
"""

import json
import sys

import kubernetes_validate
import yaml

checked = 0
operator = []
for document in filter(None, yaml.safe_load_all(sys.stdin)):
    name = f"{document['kind']} {document['metadata']['name']}"
    if document["apiVersion"].startswith("monitoring.coreos.com/"):
        operator.append(document)
        continue
    for version in sys.argv[1:]:
        try:
            used = kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as fault:
            sys.exit(f"{name}, Kubernetes {version}: {'.'.join(map(str, fault.path))}: {fault.message}")
        if used != version:
            sys.exit(f"there is no schema of Kubernetes {version}")
        checked += 1
if checked < 10:
    sys.exit(f"only {checked} manifests were checked")
print(f"{checked} manifests are valid", file=sys.stderr)
json.dump(operator, sys.stdout)
