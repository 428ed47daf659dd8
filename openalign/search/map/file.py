"""The file of a map in an index: Parquet with a row for each image, and the clusters in its metadata.

Images are named by their ids, which stay when an index is compacted and its rows are numbered anew.

Shapes: N images.
"""

import io
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from openalign.data.arrow import from_numbers, numbers

_CLUSTERS = b"openalign_clusters"


@dataclass(frozen=True)
class Cluster:
    """A place on the map where there are many images."""

    name: str
    parent: int
    """The number of the large cluster that it lies in; -1 for a large one."""
    x: float
    """The middle of its images; so is `y`."""
    y: float
    images: int


@dataclass(frozen=True)
class MapContent:
    """A map of images."""

    ids_N: NDArray[np.int64]
    """Of the images, sorted."""
    at_N2: NDArray[np.float32]
    cluster_N: NDArray[np.int32]
    """The smallest cluster that each image lies in; -1 for none."""
    laid_N: NDArray[np.bool_]
    """Whether it was there when the map was laid out; false where it was placed beside its neighbours later."""
    clusters: tuple[Cluster, ...]

    def only(self, kept_N: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """The map of some of its images, or of all in another order."""
        ids_N, at_N2, cluster_N = self.ids_N[kept_N], self.at_N2[kept_N], self.cluster_N[kept_N]
        return replace(self, ids_N=ids_N, at_N2=at_N2, cluster_N=cluster_N, laid_N=self.laid_N[kept_N])

    def counted(self) -> Self:
        """With the numbers of images that the clusters have now."""
        counts = [int(inside_N.sum()) for inside_N in map(self.inside, range(len(self.clusters)))]
        clusters = [replace(each, images=count) for each, count in zip(self.clusters, counts, strict=True)]
        return replace(self, clusters=tuple(clusters))

    def inside(self, cluster: int) -> NDArray[np.bool_]:
        """Whether each image lies in a cluster or in one within it."""
        inner = [number for number, each in enumerate(self.clusters) if each.parent == cluster]
        return np.isin(self.cluster_N, [cluster, *inner])


def write_content(content: MapContent, path: Path) -> None:
    """Write a map."""
    columns: dict[str, NDArray[Any]] = {
        "image": content.ids_N,
        "x": content.at_N2[:, 0],
        "y": content.at_N2[:, 1],
        "cluster": content.cluster_N,
        "laid": content.laid_N,
    }
    clusters = json.dumps([asdict(each) for each in content.clusters], ensure_ascii=False)
    table = pa.table({name: numbers(values) for name, values in columns.items()})
    pq.write_table(table.replace_schema_metadata({_CLUSTERS: clusters.encode()}), path, compression="zstd")


def read_content(data: bytes) -> MapContent:
    """The map in the bytes of a file, which must be those that were written."""
    table = pq.ParquetFile(io.BytesIO(data)).read()  # `pq.read_table` imports pandas
    ids_N, cluster_N = from_numbers(table["image"], np.int64), from_numbers(table["cluster"], np.int32)
    x_N, y_N = (from_numbers(table[name], np.float32) for name in ("x", "y"))
    laid_N = from_numbers(table["laid"], np.bool_)
    clusters = tuple(Cluster(**each) for each in json.loads(table.schema.metadata[_CLUSTERS]))
    return MapContent(ids_N, np.stack([x_N, y_N], axis=1), cluster_N, laid_N, clusters)
