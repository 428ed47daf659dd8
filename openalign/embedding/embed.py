"""Embed sources into a folder of vectors: opens, cuts, hands the partitions to an engine, and writes the manifest."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from openalign.curation.engine.base import Engine
from openalign.curation.engine.registry import check_engine, open_engine
from openalign.data.announce import tell_left_out
from openalign.data.files.apart import check_apart
from openalign.data.left_out import counted, from_json, refuse_left_out
from openalign.data.pairs.pairs import Pairs
from openalign.embedding.embed_partition import embed_partition
from openalign.embedding.manifest import Manifest, Partition
from openalign.embedding.output import done_before, finish, left_out_of, unfinished
from openalign.embedding.partitions import Making, plan, rows_of_partitions
from openalign.embedding.sources import open_source, permanent_name
from openalign.errors import OpenAlignError, UsageError
from openalign.model.folder import check_folder, fingerprint_of, folder_of
from openalign.options import option
from openalign.progress import say

_PROBLEMS_LISTED = 200


@dataclass(frozen=True)
class _Request:
    sources: Sequence[str | Path]
    options: Mapping[str, str]
    model: str | Path
    making: Making
    rows: int | None
    strict: bool


def embed(
    data: str | Path | Sequence[str | Path],
    *,
    model: str | Path,
    to: str | Path,
    engine: str = "local",
    master: str | None = None,
    workers: int | None = None,
    memory: str | None = None,
    thumbnails: bool = True,
    texts: bool = False,
    rows: int | None = None,
    image_column: str | None = None,
    text_column: str | None = None,
    split: str | None = None,
    layout: str | None = None,
    strict: bool = False,
) -> Manifest:
    """Embed the images of `data` with `model` into Parquet partitions in the folder `to`, a row an image.

    Columns: `key` (the name of the image in its source), `digest` (BLAKE2b, 16 bytes, of its file), `vector` (D
    float16, unit length), with `texts` also `text_vector` (of its first text), `source`, `text` (all its texts, one a
    line), `page`, `label`, `width` and `height` in pixels, and with `thumbnails` a small JPEG, `thumbnail`.
    `manifest.json` has the model's fingerprint, the sources, the partitions with their checksums, and what was left
    out.

    `engine` is `local` (`workers` processes with one thread each, by default one a core) or `spark` (on `master`), with
    the same bytes as output; `memory`, such as 4GB, limits Spark's driver. Each worker loads the model once and holds
    the images of two batches. `rows` is the number of images of a partition on average, by default 64 to 16,384.

    Partitions that are done are taken from `to`, by the state of their images, the model and the options: an
    interrupted run resumes, and of a changed source only the changed parts are embedded.

    Raises:
        OpenAlignError: no such model or DATA, `to` holds other things or is written by another run, no image can be
            read; or, with `strict`, anything is left out.
        KeyboardInterrupt: stopped by Ctrl-C; the partitions that are done are kept.
    """
    sources = [data] if isinstance(data, str | Path) else list(data)
    if not sources:
        raise UsageError("there is nothing to embed: name at least one source")
    if rows is not None and rows < 1:
        raise UsageError(f"{option(rows=rows)}: a partition has at least 1 image")
    check_engine(engine, master, memory)
    given = {"image_column": image_column, "text_column": text_column, "split": split, "layout": layout}
    options = {name: value for name, value in given.items() if value is not None}
    folder = Path(to).resolve()
    check_apart(folder, sources, "embed")
    making = Making(permanent_name(model), _fingerprint(model), thumbnails, texts)
    request = _Request(sources, options, model, making, rows, strict)
    start = partial(open_engine, engine, workers=_workers(workers), master=master, memory=memory)
    with unfinished(folder) as work, start(work) as running:
        manifest = _embed(running, request, folder)
    tell_left_out([from_json(each) for each in left_out_of(manifest.partitions)], manifest.rows)
    return manifest


def _fingerprint(model: str | Path) -> str:
    """That of the model, without loading it: a process that has used a GPU cannot be forked."""
    folder = folder_of(model)
    check_folder(folder)
    return fingerprint_of(folder)


def _workers(asked: int | None) -> int:
    """The number of processes; one, which is this one, if it uses a GPU already, since it cannot be forked then."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        say("This process uses a GPU already, so it embeds the images itself.")
        return 1
    return asked or os.cpu_count() or 1


def _embed(engine: Engine, request: _Request, folder: Path) -> Manifest:
    sources = [open_source(source, request.options, announced=True) for source in request.sources]
    told = [problem for pairs in sources for problem in pairs.problems]
    if request.strict:
        refuse_left_out(", ".join(map(str, request.sources)), told)
    before, known = done_before(folder)
    images = sum(map(len, sources))
    rows = request.rows or (before.partition_rows if before else rows_of_partitions(images))
    planned = [replace(part, done=known.get(f"{part.name}.parquet")) for part in plan(sources, rows, request.making)]
    if done := sum(part.done is not None for part in planned):
        say(f"{done:,} of {len(planned):,} partitions were embedded before")
    task = partial(embed_partition, making=request.making, folder=folder)
    partitions = engine.run(task, planned, "embed images", images, len)
    manifest = _manifest(request, sources, partitions, rows, told)
    finish(folder, manifest)
    return manifest


def _manifest(
    request: _Request, sources: Sequence[Pairs], partitions: list[Partition], rows: int, told: list[str]
) -> Manifest:
    """The manifest of these partitions; raises OpenAlignError if it would be empty, or lacks what `strict` wants."""
    name = ", ".join(map(str, request.sources))
    problems = [*told, *map(from_json, left_out_of(partitions))]
    if request.strict:
        refuse_left_out(name, problems)
    if not (count := sum(each.rows for each in partitions)):
        raise OpenAlignError(
            f"None of the images of {name} could be read" + (f", the first because: {problems[0]}" if problems else ".")
        )
    return Manifest(
        rows=count,
        width=partitions[0].width,
        model=request.making.model,
        model_name=str(request.model),
        fingerprint=request.making.fingerprint,
        sources=[permanent_name(source) for source in request.sources],
        options=dict(request.options),
        read_as=[pairs.read_as for pairs in sources],
        thumbnails=request.making.thumbnails,
        texts=request.making.texts,
        partition_rows=rows,
        partitions=partitions,
        lost=counted(problems),
        problems=[str(problem) for problem in problems[:_PROBLEMS_LISTED]],
    )
