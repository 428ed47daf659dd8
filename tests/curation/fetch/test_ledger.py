"""A damaged ledger or download: the images concerned are fetched again, with a message."""

import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from openalign.curation.fetch.download import fetch
from openalign.curation.fetch.ledger import Entry, file_of, mend_ledger, read_ledger
from openalign.curation.recipe import CurateRecipe
from tests.curation.site import JPEG, Server

ASKED = CurateRecipe.of(allow_private_hosts=True)
URL = "http://a.example/1.jpg"
KEPT = Entry(URL, "kept", None, 3, "0" * 64, file_of(URL))
REFUSED = Entry("http://a.example/2.jpg", "refused", "HTTP 404")


def line_of(entry: Entry, **changed: object) -> bytes:
    return json.dumps(asdict(entry) | changed).encode() + b"\n"


DAMAGED: dict[str, bytes] = {
    "nothing": b"\n",
    "half a line": line_of(KEPT)[:40] + b"\n",
    "other bytes": b"\xff\x00\xfe" * 50 + b"\n",
    "a list": b"[]\n",
    "null": b"null\n",
    "deep": b"[" * 200_000 + b"\n",
    "a deep image": b'{"image": ' + b'{"a":' * 50_000 + b"\n",
    "an unknown field": line_of(KEPT, more=1),
    "an image that is a list": line_of(KEPT, image=["a"]),
    "an image that is a number": line_of(KEPT, image=1),
    "half a character": line_of(REFUSED, image="\ud800"),
    "half a character in the reason": line_of(REFUSED, reason="\ud800"),
    "a reason that is a list": line_of(REFUSED, reason=["a"]),
    "an unknown status": line_of(KEPT, status="stolen"),
    "a size of words": line_of(KEPT, bytes="many"),
    "a file elsewhere": line_of(KEPT, file="../../../etc/passwd"),
    "another image's file": line_of(KEPT, file=file_of(REFUSED.image)),
    "kept without a file": line_of(KEPT, file=None, reason="x"),
    "refused with a file": line_of(KEPT, status="refused", reason="x"),
    "refused without a reason": line_of(REFUSED, reason=None),
    "no digest": line_of(KEPT, sha256=None),
    "a line of 20 MB": b'{"image": "' + b"a" * (20 << 20) + b'", "status": "failed", "reason": "x"}\n',
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_line_is_said_and_taken_out(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(line_of(REFUSED) + DAMAGED[name] + line_of(KEPT))
    expected = {REFUSED.image: REFUSED, URL: KEPT}
    assert read_ledger(path) == expected
    assert mend_ledger(path) == expected
    assert "ledger.jsonl: 1 damaged lines" in capsys.readouterr().err
    assert mend_ledger(path) == expected
    assert "damaged" not in capsys.readouterr().err


def test_a_ledger_cut_anywhere_gives_entries_that_were_in_it(tmp_path: Path) -> None:
    path, entries = tmp_path / "ledger.jsonl", [KEPT, REFUSED, replace(REFUSED, image="http://ü.example/日本")]
    whole = b"".join(map(line_of, entries))
    known = {entry.image: entry for entry in entries}
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert read_ledger(path).items() <= known.items()


def test_a_byte_changed_anywhere_never_points_to_another_file(tmp_path: Path) -> None:
    path, rng = tmp_path / "ledger.jsonl", random.Random(0)
    whole = line_of(KEPT) + line_of(REFUSED)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= rng.randint(1, 255)
        path.write_bytes(damaged)
        for entry in read_ledger(path).values():
            assert entry.file in (None, file_of(entry.image))


@pytest.mark.parametrize("damage", [b"", JPEG[:-1], JPEG + b"x", b"\xff\xd8\xff\xe0" + b"\x01" * 2000])
def test_a_damaged_download_is_fetched_again(
    server: Server, tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = [f"{server.url}/one.jpg", f"{server.url}/octets"]
    fetch(urls, tmp_path, settings=ASKED.fetch)
    (tmp_path / file_of(urls[0])).write_bytes(damage)
    server.asked.clear()
    assert fetch(urls, tmp_path, settings=ASKED.fetch)["problem"].to_pylist() == [None, None]
    assert server.asked == {"/robots.txt": 1, "/one.jpg": 1}
    assert (tmp_path / file_of(urls[0])).read_bytes() == JPEG
    assert "1 fetched images are missing or damaged" in capsys.readouterr().err
