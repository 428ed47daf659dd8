"""What a curation leaves in its folder, written in source order; and whether a folder already holds this very run."""

import glob
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from openalign.checksums import CHECKSUMS, check_files, read_checksums
from openalign.curation.cards import CARD
from openalign.curation.engine.base import Engine
from openalign.curation.engine.cached_map import batches_of
from openalign.curation.fetch.entries import location_in
from openalign.curation.fetch.ledger import LEDGER, read_ledger, write_entry
from openalign.curation.images.inspection import StoredImages
from openalign.curation.images.settings import StorageSettings
from openalign.curation.named_files import named_file_states
from openalign.curation.recipe import MODEL_KEYS, CurateRecipe
from openalign.data.files import remote
from openalign.data.files.walk import file_states
from openalign.data.shards.writer import ShardWriter
from openalign.errors import OpenAlignError
from openalign.progress import bar, say
from openalign.version import __version__

NAMES = ("shards", "pairs.parquet", "dropped.parquet", "report.html", "report.json")
"""Everything that a curated folder holds, the last one written last; beside it the ledger, if images were fetched."""

KEPT = pa.schema(
    [
        ("key", pa.string()),
        ("image", pa.string()),
        ("text", pa.string()),
        ("page", pa.string()),
        ("host", pa.string()),
        ("language", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("shard", pa.string()),
    ]
)
"""pairs.parquet: width, height and sha256 are those of the image as found, which the shard may hold shrunk."""

DROPPED = pa.schema(
    [("image", pa.string()), ("text", pa.string()), ("page", pa.string()), ("reasons", pa.list_(pa.string()))]
)
"""dropped.parquet."""

_METADATA = [name for name in KEPT.names if name not in ("key", "text", "shard")]
_STORED = ["stored_in", "stored_at", "stored_size"]
_ROWS_AT_ONCE = 100_000


def write_kept(engine: Engine, evaluated: ir.Table, stored: Path, folder: Path, settings: StorageSettings) -> None:
    """Write the kept pairs: shards and pairs.parquet. The folder `stored` has their JPEGs.

    A pair's key is its number in source order.
    """
    columns = ["occurrence", "image", "text", "page", "host", "language", "width", "height", "sha256", *_STORED]
    engine.write(evaluated.filter(~evaluated.dropped).select(columns), engine.work / "kept.parquet", ["occurrence"])
    kept = pq.ParquetFile(engine.work / "kept.parquet")
    with (
        ShardWriter(folder / "shards", settings.pairs_per_shard) as shards,
        pq.ParquetWriter(folder / "pairs.parquet", KEPT) as table,
        StoredImages(stored) as images,
        bar("Writing shards", kept.metadata.num_rows) as running,
    ):
        number = 0
        for batch in kept.iter_batches(1000):
            rows = batch.to_pylist()
            for row in rows:
                row["key"] = f"{number:09d}"
                metadata = {name: row[name] for name in _METADATA}
                row["shard"] = shards.write(row["key"], images.read(row), row["text"], metadata)
                number += 1
            table.write_batch(pa.RecordBatch.from_pylist(rows, schema=KEPT))
            running.advance(len(rows))


def write_dropped(engine: Engine, evaluated: ir.Table, path: Path) -> None:
    """Write dropped.parquet: `DROPPED`, every rule that a pair breaks, in the rules' order."""
    dropped = evaluated.filter(evaluated.dropped).select("occurrence", *DROPPED.names)
    engine.write(dropped, engine.work / "dropped.parquet", ["occurrence"])
    with pq.ParquetWriter(path, DROPPED) as table:
        for batch in pq.ParquetFile(engine.work / "dropped.parquet").iter_batches(_ROWS_AT_ONCE, columns=DROPPED.names):
            table.write_batch(batch.cast(DROPPED))


def write_ledger(downloads: Path, inspected: Sequence[Path], folder: Path) -> None:
    """Write the ledger of the images that this run fetched, if any, to `folder`.

    That in `downloads` may also hold images of earlier runs. `inspected` are files of `inspection.INSPECTED`.
    """
    entries = read_ledger(downloads / LEDGER)
    if not entries:
        return
    own: dict[str, None] = {}  # in source order, whatever the order of the responses
    for batch in batches_of(inspected, _ROWS_AT_ONCE, ["image", "location"]):
        for image, location in zip(*(batch[name].to_pylist() for name in ("image", "location")), strict=True):
            if image in entries and location in (None, location_in(downloads, entries[image])):
                own[image] = None
    if own:
        with (folder / LEDGER).open("w", encoding="utf-8") as lines:
            for image in own:
                write_entry(lines, entries[image])


def failed_downloads(folder: Path) -> int:
    """The number of images in the ledger in `folder` that could not be fetched for a reason that may pass."""
    return sum(entry.status == "failed" for entry in read_ledger(folder / LEDGER).values())


def describe_run(
    sources: Sequence[str | Path], test_set: Sequence[str | Path], truth: Path | None, recipe: CurateRecipe
) -> dict[str, Any]:
    """What decides the outputs of a run: `sources`, `test_set`, `settings`, `version`, and a `fingerprint` of it all.

    Files count by path, size and modification time, image files that a table names as well; hidden files do not count.
    """
    described = {
        "sources": [str(source) for source in sources],
        "test_set": [str(source) for source in test_set],
        "settings": recipe.model_dump(mode="json"),
        "version": __version__,
    }
    named = (*sources, *test_set, *([truth] if truth else []), *_local_models(recipe))
    images = [(source, recipe.tables.image_column) for source in sources] + [(source, None) for source in test_set]
    return described | {"fingerprint": _fingerprint(described, named, images)}


def _local_models(recipe: CurateRecipe) -> list[str]:
    """The folders of models that rules use; one on the hub counts by its name."""
    names = (getattr(getattr(recipe, table), key) for table, key in MODEL_KEYS)
    return [name for name in names if name is not None and Path(name).exists()]


def describe_sources(sources: Sequence[str | Path], recipe: CurateRecipe) -> str:
    """A fingerprint of what decides the pairs that are read from `sources`, before any rule."""
    described = {
        "sources": [str(source) for source in sources],
        "settings": recipe.model_dump(include={"pages", "tables"}),
        "version": __version__,
    }
    return _fingerprint(described, sources)


def _fingerprint(
    described: dict[str, Any], sources: Sequence[str | Path], tables: Sequence[tuple[str | Path, str | None]] = ()
) -> str:
    """A digest of a description, the files of `sources`, and the image files that `tables` name in these columns."""
    digest = hashlib.sha256(json.dumps(described).encode())
    for source in sources:
        for state in _file_states(str(source)):
            digest.update(f"{state}\n".encode(errors="surrogateescape"))
    for source, image_column in tables:
        for path in _files_of(str(source)):
            for state in named_file_states(path, image_column) if isinstance(path, Path) else ():
                digest.update(f"{state}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _file_states(source: str) -> Iterator[str]:
    for each in _files_of(source):
        yield from file_states(each)


def _files_of(source: str) -> Sequence[Path | str]:
    """The files and folders that `source` (a file, folder, pattern or URL) stands for, in order of their names."""
    source = remote.local_path(source) if source.startswith("file://") else source
    if remote.is_url(source):
        return remote.matching(source)
    if Path(source).exists():
        return [Path(source)]
    return sorted(map(Path, glob.glob(source, recursive=True)))  # noqa: PTH207 - the pattern may be absolute


def standing_report(folder: Path, run: dict[str, Any]) -> dict[str, Any] | None:
    """The report of this very run if `folder` holds it; None where the run has yet to be done, or done again.

    All files are read and compared with their checksums: a damaged one is said, and the folder then holds no run.
    Raises OpenAlignError where `folder` holds anything that a curation did not write.
    """
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise OpenAlignError(f"{folder} is a file: name a folder to curate to")
    foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in (*NAMES, LEDGER, CHECKSUMS, CARD))
    if foreign:
        raise OpenAlignError(
            f"{folder} holds {foreign[0]}, which no curation wrote: name a new folder, or move away what is in this one"
        )
    try:
        report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        same = report["run"]["fingerprint"] == run["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not same or not all((folder / name).exists() for name in NAMES):
        return None
    try:
        check_files(folder, read_checksums(folder) or (), "curating again")
    except OpenAlignError as damage:
        say(str(damage))
        return None
    return report
