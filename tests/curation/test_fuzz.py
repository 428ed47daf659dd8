"""What once made curation raise, and a few seconds of new tries; `python -m tests.curation.fuzz` goes on for longer."""

import random
from pathlib import Path

import pytest

from tests.curation.fuzz import CRASHES, TARGETS, changed, seeds

KEPT = sorted(CRASHES.iterdir()) if CRASHES.is_dir() else []


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_what_once_raised_does_not(path: Path) -> None:
    TARGETS[path.name.partition("-")[0]](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_changed_files_raise_nothing(target: str) -> None:
    draw, corpus = random.Random(1), seeds()[target]
    for _ in range(60):
        TARGETS[target](changed(draw.choice(corpus), corpus, draw))
