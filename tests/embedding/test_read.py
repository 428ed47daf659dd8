"""Reading a folder of vectors: what is whole is given in order, what is damaged is named."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openalign.checksums import checksum_of
from openalign.embedding.columns import Embedded, parquet_writer, schema_of, table_of
from openalign.embedding.manifest import Manifest, Partition, is_vectors_folder, read_manifest, write_manifest
from openalign.embedding.read import Vectors
from openalign.errors import OpenAlignError

WIDTH = 8


def unit_rows(count, seed=0):
    rows_ND = np.random.default_rng(seed).normal(size=(count, WIDTH))
    return (rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)).astype(np.float16)


def write_folder(folder, vectors, texts=False):
    """A folder of vectors with a partition for each array; every second row has a text."""
    folder.mkdir()
    schema, partitions = schema_of(WIDTH, thumbnails=False, texts=texts), []
    for number, vectors_ND in enumerate(vectors):
        path = folder / f"part-{number:024x}.parquet"
        rows = [
            Embedded(
                key=f"{number}/{row}.jpg", digest=bytes(16), vector=vector_D, width=4, height=3, thumbnail=b"",
                text="a text" if row % 2 else None, text_vector=vector_D if row % 2 else None,
                page=None, label=None, source=0, bytes=9, date=None, latitude=None, longitude=None, fields=None,
            )
            for row, vector_D in enumerate(vectors_ND)
        ]  # fmt: skip
        with parquet_writer(path, schema) as writer:
            if rows:
                writer.write_table(table_of(rows, schema))
        checksum = checksum_of(path)
        partitions.append(Partition(path.name, len(rows), WIDTH, checksum.bytes, checksum.sha256))
    given = {"model": "m", "model_name": "m", "fingerprint": "f", "sources": ["photos"], "options": {}, "read_as": []}
    counts = {"rows": sum(map(len, vectors)), "width": WIDTH, "partition_rows": 5}
    write_manifest(Manifest(**given, **counts, thumbnails=False, texts=texts, partitions=partitions), folder)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "vectors", [unit_rows(5), unit_rows(0), unit_rows(3, seed=1)])


def read(folder):
    return list(Vectors(folder).batches())


def edit(folder, change):
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_all_rows_come_in_order_in_batches_of_any_size(folder, rows):
    batches = list(Vectors(folder, "f").batches(rows))
    np.testing.assert_array_equal(
        np.concatenate([batch.vectors_ND for batch in batches]), np.concatenate([unit_rows(5), unit_rows(3, seed=1)])
    )
    assert [row.key for batch in batches for row in batch.rows][:6] == [*(f"0/{n}.jpg" for n in range(5)), "2/0.jpg"]
    assert max(len(batch.rows) for batch in batches) == min(rows, 5)
    assert len(Vectors(folder)) == 8


def test_text_vectors_are_those_of_their_rows(tmp_path):
    (batch,) = read(write_folder(tmp_path / "vectors", [unit_rows(5)], texts=True))
    for number, row in enumerate(batch.rows):
        assert (row.text_vector is None) == (number % 2 == 0)
        if row.text_vector is not None:
            np.testing.assert_array_equal(row.text_vector, row.vector)


@pytest.mark.parametrize(("row", "value"), [(0, np.nan), (4, np.inf), (2, 0.0), (3, 60000.0)])
def test_a_vector_that_is_none_is_named_by_file_and_row(tmp_path, row, value):
    vectors_ND = unit_rows(5)
    vectors_ND[row] = value
    folder = write_folder(tmp_path / "vectors", [unit_rows(2), vectors_ND])
    with pytest.raises(OpenAlignError, match=rf"part-0+1\.parquet is damaged \(the vector of row {row} is not finite"):
        read(folder)


def test_a_missing_partition_and_one_of_another_size_are_found_on_opening(folder):
    path = folder / f"part-{2:024x}.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(OpenAlignError, match=r"2\.parquet is damaged \(it has .* bytes instead of"):
        Vectors(folder)
    path.unlink()
    with pytest.raises(OpenAlignError, match=r"2\.parquet cannot be read \(No such file"):
        Vectors(folder)


@pytest.mark.parametrize("place", [0, 4, 200, -200, -1])
def test_one_changed_byte_is_found_before_a_row_is_given(folder, place):
    path = folder / f"part-{0:024x}.parquet"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(OpenAlignError, match="its checksum differs"):
        read(folder)


def replaced(folder, table):
    """Put `table` in place of the first partition, with its right checksum in the manifest."""
    path = folder / f"part-{0:024x}.parquet"
    pq.write_table(table, path)
    checksum = checksum_of(path)
    edit(folder, lambda content: content["partitions"][0].update(bytes=checksum.bytes, sha256=checksum.sha256))


def test_a_forged_partition_with_other_columns_or_rows_is_refused(folder):
    table = pq.read_table(folder / f"part-{0:024x}.parquet")
    replaced(folder, table.drop_columns(["key"]))
    with pytest.raises(OpenAlignError, match="its columns are not those"):
        read(folder)
    replaced(folder, table.slice(0, 4))
    with pytest.raises(OpenAlignError, match=r"it has 4 rows, not 5"):
        read(folder)
    replaced(folder, table.set_column(3, table.schema.field("source"), pa.array([7] * 5, pa.int32())))
    with pytest.raises(OpenAlignError, match="of a source that the manifest does not list"):
        read(folder)


def test_a_file_that_is_no_parquet_is_refused_without_a_traceback(folder):
    path = folder / f"part-{0:024x}.parquet"
    path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    checksum = checksum_of(path)
    edit(folder, lambda content: content["partitions"][0].update(bytes=checksum.bytes, sha256=checksum.sha256))
    with pytest.raises(OpenAlignError, match=r"part-0+\.parquet is damaged"):
        read(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content.update(rows=9), "numbers of rows do not add up"),
        (lambda content: content.update(width=9), "several widths"),
        (lambda content: content.update(version=2), "has version 2"),
        (lambda content: content.pop("fingerprint"), "`fingerprint` is missing"),
        (lambda content: content.update(rows="8"), "`rows` must be a whole number"),
        (lambda content: content.update(extra=1), "`extra` is not known"),
        (lambda content: content["partitions"][0].update(file="../../etc/passwd"), "partitions.0.file"),
    ],
)
def test_a_manifest_that_is_not_valid_is_refused(folder, change, says):
    edit(folder, change)
    with pytest.raises(OpenAlignError, match=says):
        Vectors(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 100_000])
def test_a_manifest_of_something_else_is_refused(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(OpenAlignError, match=r"manifest\.json (is damaged|has version)"):
        Vectors(folder)
    assert not is_vectors_folder(folder)


def test_a_folder_without_manifest_is_not_finished(folder, tmp_path):
    assert is_vectors_folder(folder)
    (folder / "manifest.json").unlink()
    for path in (folder, tmp_path / "nowhere", folder / f"part-{0:024x}.parquet"):
        assert not is_vectors_folder(path)
        with pytest.raises(OpenAlignError, match="holds no vectors"):
            read_manifest(path)


def test_vectors_move_with_their_folder(folder, tmp_path):
    shutil.move(folder, tmp_path / "elsewhere")
    assert sum(len(batch.rows) for batch in read(tmp_path / "elsewhere")) == 8
