"""Digests of the example's page, data and archive; run this module to renew them after a wanted change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cja_pipeline.journey_maps.page.render import render
from cja_pipeline.journey_maps.report import map_json
from cja_pipeline_tests.journey_maps.example import example

FILE = Path(__file__).with_name("golden.json")


def digests() -> dict[str, str]:
    """SHA-256 of what the example gives; the same on every machine."""
    contents = {
        "page": render(example()).encode(),
        "page_de": render(example(), language="de").encode(),
        "data": map_json(example()),
    }
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(digests(), indent=2) + "\n", encoding="utf-8")
