"""Checks the OpenAPI document on standard input against the specification."""

import json
import sys

from openapi_spec_validator import validate

document = json.load(sys.stdin)
validate(document)
print(document["openapi"], len(document["paths"]))
