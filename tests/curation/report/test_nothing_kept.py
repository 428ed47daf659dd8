"""A curation that keeps nothing says which rules drop the pairs, and why their images could not be used."""

from pathlib import Path

import pytest

from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from tests.curation.crawl import drawing, encoded
from tests.curation.site import Server

pytestmark = pytest.mark.slow


def said_of(rows: list[tuple[str, str]], folder: Path, capsys: pytest.CaptureFixture[str], **settings: object) -> str:
    """What a curation of these (image, text) prints; line breaks are those of the terminal, and left out."""
    table = folder / "pairs.csv"
    table.write_text("\n".join(["image,text", *(f"{image},{text}" for image, text in rows)]) + "\n")
    report = curate([table], to=folder / "out", workers=1, recipe=CurateRecipe.of(**settings))
    assert report["pairs"]["kept"] == 0
    return " ".join(capsys.readouterr().err.split())


TEXTS = [f"a drawing of the number {number}" for number in range(5)]


def test_images_on_a_private_host_are_told_with_the_setting(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(f"{server.url}/many{number}.jpg", text) for number, text in enumerate(TEXTS)]
    said = said_of(rows, tmp_path, capsys)
    assert "Pairs that each rule drops: unreadable_image 5;" in said
    assert "5 of 5 images could not be used: 127.0.0.1 is not a public address (5)." in said
    assert "--set allow_private_hosts=true fetches from such hosts." in said


def test_several_reasons_are_counted(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"{server.url}/gone{number}.jpg", text) for number, text in enumerate(TEXTS[:3])]
    rows += [(f"{server.url}/html.jpg", TEXTS[3]), ("absent.png", TEXTS[4])]
    said = said_of(rows, tmp_path, capsys, allow_private_hosts=True)
    assert "5 of 5 images could not be used: HTTP 404 (3); " in said
    assert "allow_private_hosts" not in said


def test_images_that_are_only_linked_to_are_told_where_downloading_is_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = said_of([(f"https://example.org/{text[-1]}.jpg", text) for text in TEXTS], tmp_path, capsys, download=False)
    assert "could not be used: not among the sources, and downloading is off (5)." in said
    assert "--set download=true fetches images" in said


def test_images_that_can_be_used_are_no_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(encoded(drawing(1)))
    said = said_of([("a.png", TEXTS[0])], tmp_path, capsys, download=False, min_shorter_side=5000)
    assert "Pairs that each rule drops: shorter_side 1;" in said
    assert "could not be used" not in said
