"""Images inspected by earlier runs are found one by one, and nothing damaged is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.checksums import checksum_of
from openalign.curation.images import inspection
from openalign.curation.images.earlier import finder, index_entry, indexed_results, key_of
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from tests.curation.crawl import drawing, encoded

pytestmark = pytest.mark.slow

OFFLINE = CurateRecipe.of(download=False)


def asked(number: int, **changed: Any) -> dict[str, Any]:
    row = {"image": f"{number}.jpg", "location": f"file:///{number}.jpg", "wanted": True, "problem": None}
    return row | changed


def write_result(folder: Path, name: str, numbers: list[int]) -> list[bytes]:
    """A result with a JPEG for each even number; the keys of its images."""
    folder.mkdir(exist_ok=True)
    rows, jpegs, index, keys = [], b"", b"", []
    for number in numbers:
        row = dict.fromkeys(inspection.INSPECTED.names) | {"image": f"{number}.jpg", "width": number}
        jpeg = b"jpeg %d" % number if number % 2 == 0 else None
        if jpeg is not None:
            row |= {"stored_in": f"{name}.images", "stored_at": len(jpegs), "stored_size": len(jpeg)}
            jpegs += jpeg
        rows.append(row)
        keys.append(key_of(asked(number), ["state"], [1]))
        index += index_entry(keys[-1], jpeg)
    pq.write_table(pa.Table.from_pylist(rows, schema=inspection.INSPECTED), folder / f"{name}.parquet")
    (folder / f"{name}.images").write_bytes(jpegs)
    (folder / f"{name}.index").write_bytes(index)
    files = [folder / f"{name}.{suffix}" for suffix in ("parquet", "images", "index")]
    (folder / f"{name}.json").write_text(json.dumps({file.name: asdict(checksum_of(file)) for file in files}))
    return keys


def test_images_are_found_in_any_result_with_their_jpegs(tmp_path: Path) -> None:
    keys = write_result(tmp_path, "a", [0, 1, 2]) + write_result(tmp_path, "b", [3, 4])
    find = finder(tmp_path, indexed_results(tmp_path))
    found = [find(key) for key in keys]
    assert [each and (each.row["width"], each.jpeg) for each in found] == [
        (0, b"jpeg 0"), (1, None), (2, b"jpeg 2"), (3, None), (4, b"jpeg 4")
    ]  # fmt: skip
    assert finder(tmp_path, ())(keys[0]) is None


@pytest.mark.parametrize("changed", [{"wanted": False}, {"problem": "x"}, {"location": None}, {"image": "0.png"}])
def test_whatever_an_inspection_depends_on_is_in_its_key(changed: dict[str, Any]) -> None:
    key = key_of(asked(0), ["state"], [1])
    assert key_of(asked(0, **changed), ["state"], [1]) != key
    assert key_of(asked(0), ["other"], [1]) != key and key_of(asked(0), ["state"], [2]) != key


@pytest.mark.parametrize("suffix", ["parquet", "images", "index"])
def test_nothing_damaged_is_used(tmp_path: Path, suffix: str) -> None:
    [key] = write_result(tmp_path / "damaged", "a", [0])
    file = tmp_path / "damaged" / f"a.{suffix}"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert finder(tmp_path / "damaged", ("a",))(key) is None


def test_a_result_without_checksums_is_not_used(tmp_path: Path) -> None:
    [key] = write_result(tmp_path, "a", [0])
    (tmp_path / "a.json").write_bytes(b"")
    assert finder(tmp_path, ("a",))(key) is None


def test_only_images_that_were_not_wanted_before_are_inspected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["image,text"]
    for number in range(12):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(drawing(number)))
        lines.append(f"{number}.jpg,{'two words' if number in (3, 8) else 'a text of five words'}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    curate([tmp_path / "pairs.csv"], to=tmp_path / "to", workers=1, recipe=OFFLINE)
    inspect, calls = inspection._inspect, []
    monkeypatch.setattr(inspection, "_inspect", lambda *given: calls.append(given[0]) or inspect(*given))
    report = curate([tmp_path / "pairs.csv"], to=tmp_path / "to", workers=1, recipe=OFFLINE.replace(min_words=2))
    assert [Path(location).name for location in calls] == ["3.jpg", "8.jpg"]
    assert report["pairs"]["kept"] == 12
    curate([tmp_path / "pairs.csv"], to=tmp_path / "fresh", workers=1, recipe=OFFLINE.replace(min_words=2))
    for name in ("pairs.parquet", "dropped.parquet", "shards/shard-00000.tar"):
        assert (tmp_path / "to" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()
