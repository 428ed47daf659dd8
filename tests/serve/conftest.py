import json
from pathlib import Path

import pytest

from openalign.search import Index

NAMES = ["red", "green", "blue", "yellow", "violet", "white"]


@pytest.fixture
def index(tmp_path: Path, paint, paint_encoder) -> Index:
    """48 painted images in a table, with texts, and the page of a hostile url on row 1."""
    rows = ["file,text,page"]
    for number in range(48):
        colour = NAMES[number % len(NAMES)]
        name = f"{number:02}-{colour}.png"
        size = (120 + 10 * (number % 7), 150 - 9 * (number % 5))
        paint(tmp_path / "photos" / name, colour, size, "rectangle" if number % 2 else "ellipse")
        page = "javascript:alert(1)" if number == 1 else f"https://example.org/{number}"
        rows.append(f"{name},{colour} paint {number},{page}")
    (tmp_path / "photos" / "pairs.csv").write_text("\n".join(rows) + "\n")
    index = Index.build([tmp_path / "photos"], model=paint_encoder, to=tmp_path / "paint.index")
    (index.store.folder / "CREDITS").write_text("Painted here, https://example.org/licence")
    (index.store.folder / "examples.json").write_text(json.dumps(["a red wall", {"text": "white", "minus": ["red"]}]))
    return index
