"""
docs/reference/schemas.json, made from the documents: `python -m miroir.cli.settings.schemas`.

JSON Schema of every `kind`, by its name, under `$defs` with their parts. A test compares the file
with what this returns, and every document that commands print with the schema.
"""

import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from miroir.cli.settings.documents import API_VERSION, KINDS


def schemas() -> dict[str, Any]:
    """Return one schema that fits every document."""
    names, defined = models_json_schema([(kind, "serialization") for kind in KINDS])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Answers of the miroir command, {API_VERSION}",
        "oneOf": list(names.values()),
        **defined,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schemas(), indent=2) + "\n")
