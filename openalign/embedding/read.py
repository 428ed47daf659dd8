"""Reads a folder of vectors that `openalign embed` wrote: each partition is checked before its rows are given.

Shapes: N rows of a batch, D width of the vectors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.checksums import checksum_of
from openalign.embedding.columns import Embedded, schema_of
from openalign.embedding.manifest import Manifest, Partition, read_manifest
from openalign.errors import OpenAlignError

UNIT = 5e-3
"""Largest difference of a length from 1: rounding to float16 makes at most a tenth of it."""
_ADVICE = "run `openalign embed` again, which makes what is damaged anew"


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of one partition."""

    vectors_ND: NDArray[np.float16]
    """Unit rows, all finite."""
    rows: list[Embedded]
    """The columns of each row; a thumbnail is empty where the folder has none."""


class Vectors:
    """A folder of vectors.

    Args:
        folder: what `openalign embed --to` wrote.
        fingerprint: that of the model whose vectors are expected; None: of any.

    Raises:
        OpenAlignError: no whole `manifest.json`, a partition that is missing or has another size, or another model.
    """

    def __init__(self, folder: Path, fingerprint: str | None = None) -> None:
        self.folder = folder
        self.manifest: Manifest = read_manifest(folder)
        if fingerprint not in (None, self.manifest.fingerprint):
            raise OpenAlignError(
                f"{folder} holds vectors of another model, {self.manifest.model_name}: embed the images again with the "
                "model that is wanted."
            )
        for partition in self.manifest.partitions:
            self._check_size(partition)

    def __len__(self) -> int:
        return self.manifest.rows

    def batches(self, rows: int = 1024) -> Iterator[Batch]:
        """All rows in the order of the sources, at most `rows` at a time.

        Raises:
            OpenAlignError: a partition differs from its checksum, has other columns or another number of rows, or a
                vector is not finite or not of unit length; the message names the file and the row.
        """
        for partition in self.manifest.partitions:
            yield from self._batches_of(partition, rows)

    def _batches_of(self, partition: Partition, rows: int) -> Iterator[Batch]:
        path = self.folder / partition.file
        if partition.rows == 0:
            return
        try:
            if checksum_of(path).sha256 != partition.sha256:
                raise self._damaged(partition, "its checksum differs")
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                schema = schema_of(self.manifest.width, thumbnails=self.manifest.thumbnails, texts=self.manifest.texts)
                if not file.schema_arrow.equals(schema):
                    raise self._damaged(partition, "its columns are not those that its manifest states")
                if file.metadata.num_rows != partition.rows:
                    raise self._damaged(partition, f"it has {file.metadata.num_rows:,} rows, not {partition.rows:,}")
                first = 0
                for batch in file.iter_batches(rows):
                    yield self._batch(batch, partition, first)
                    first += len(batch)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(partition, str(error).partition("\n")[0]) from None

    def _batch(self, batch: pa.RecordBatch, partition: Partition, first: int) -> Batch:
        vectors_ND = self._vectors(batch["vector"], partition, first)
        texts_ND = self._text_vectors(batch, partition, first)
        plain = [name for name in batch.schema.names if name not in ("vector", "text_vector")]
        rows = [
            Embedded(vector=vector_D, text_vector=text_D, **{"thumbnail": b"", **values})
            for vector_D, text_D, values in zip(vectors_ND, texts_ND, batch.select(plain).to_pylist(), strict=True)
        ]
        if rows and max(each.source for each in rows) >= len(self.manifest.sources):
            raise self._damaged(partition, "a row is of a source that the manifest does not list")
        return Batch(vectors_ND, rows)

    def _text_vectors(
        self, batch: pa.RecordBatch, partition: Partition, first: int
    ) -> list[NDArray[np.float16] | None]:
        if "text_vector" not in batch.schema.names:
            return [None] * len(batch)
        column = batch["text_vector"]
        given = iter(self._vectors(column.drop_null(), partition, first))
        return [next(given) if valid else None for valid in column.is_valid().to_pylist()]

    def _vectors(self, column: pa.FixedSizeListArray, partition: Partition, first: int) -> NDArray[np.float16]:
        flat = column.flatten().to_numpy(zero_copy_only=False)
        vectors_ND: NDArray[np.float16] = flat.reshape(len(column), self.manifest.width)
        lengths_N = np.linalg.norm(vectors_ND.astype(np.float32), axis=1)
        wrong_N = ~(np.abs(lengths_N - 1) <= UNIT)  # NaN is no unit length either
        if wrong_N.any():
            row = first + int(np.argmax(wrong_N))
            raise self._damaged(partition, f"the vector of row {row} is not finite or not of unit length")
        return vectors_ND

    def _check_size(self, partition: Partition) -> None:
        path = self.folder / partition.file
        try:
            size = path.stat().st_size
        except OSError as error:
            raise OpenAlignError(f"{path} cannot be read ({error.strerror}): {_ADVICE}.") from None
        if size != partition.bytes:
            raise self._damaged(partition, f"it has {size:,} bytes instead of {partition.bytes:,}")

    def _damaged(self, partition: Partition, why: str) -> OpenAlignError:
        return OpenAlignError(f"{self.folder / partition.file} is damaged ({why}): {_ADVICE}.")
