"""Validate an RO-Crate with roc-validator, in the validator's own environment, without a network.

    python validate_crate.py CRATE CONTEXT SEVERITY

The validator asks for the JSON-LD context of RO-Crate 1.1, which no package has. CONTEXT is the one of a later version,
which the package rocrate has; the terms in which they differ, of those that a workflow run has, are put right here. It
prints the issues as JSON.
"""

import json
import sys
from pathlib import Path

import rdflib.plugins.shared.jsonld.context as of_rdflib
from rocrate_validator import services
from rocrate_validator.models import ValidationSettings
from rocrate_validator.utils.http import HttpRequester

ADDRESS = "https://w3id.org/ro/crate/1.1/context"
OF_1_1 = {
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}
PROFILES = ("ro-crate-1.1", "provenance-run-crate-0.5")


class Answer:
    """What a server would answer."""

    status_code = 200
    headers = {"Content-Type": "application/ld+json"}  # noqa: RUF012

    def __init__(self, document):
        self.document = document

    def json(self):
        return self.document


def main(crate: str, path: str, severity: str) -> None:
    context = json.loads(Path(path).read_text())["@context"] | OF_1_1

    def asked(address, *_arguments, **_more):
        if str(address) != ADDRESS:
            raise RuntimeError(f"there is no network here: {address}")
        return Answer({"@context": context})

    HttpRequester.get = lambda _self, address, **_more: asked(address)
    HttpRequester.head = HttpRequester.get
    of_rdflib.source_to_json = lambda address, *_more, **_settings: (asked(address).json(), None)
    issues = []
    for profile in PROFILES:
        settings = ValidationSettings(
            rocrate_uri=crate, profile_identifier=profile, requirement_severity=severity, no_cache=True,
            skip_availability_check=True,
        )  # fmt: skip
        result = services.validate(settings)
        checks = len(result.executed_checks)
        issues.append({"profile": profile, "checks": checks, "issues": [_told(issue) for issue in result.get_issues()]})
    print(json.dumps(issues))


def _told(issue):
    return f"{issue.severity.name} {issue.check.identifier}: {issue.message} [{issue.violatingEntity}]"


main(*sys.argv[1:])
