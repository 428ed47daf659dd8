"""Embed sources into a folder of vectors: opens, cuts, hands the partitions to an engine, and writes the manifest."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
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
    """What a run is asked for."""

    sources: Sequence[str | Path]
    options: Mapping[str, str]
    model: str | Path
    """As it was given."""
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
    """Embed the images of `data` with `model` into Parquet partitions in the folder `to`; returns its `manifest.json`.

    Partitions have a row an image, with the fields of `embedding.columns.Embedded` as columns: those for `thumbnails`
    and `texts` only with these. `rows` is their number in a partition on average, by default 64 to 16,384. `engine` is
    `local` (`workers` processes of one thread, by default one a core) or `spark` (on `master`), with the same bytes as
    output; `memory`, such as 4GB, limits Spark's driver. Each worker loads the model once.

    What is done is taken from `to`, by the state of the images, model and options: a run that was interrupted, also by
    KeyboardInterrupt, resumes, and of changed data only the changed partitions are embedded. Raises OpenAlignError for
    no such model or DATA, if `to` holds other things or is written by another run, no image can be read or, with
    `strict`, anything is left out.
    """
    check_engine(engine, master, memory)
    options = {"image_column": image_column, "text_column": text_column, "split": split, "layout": layout}
    request = _request([data] if isinstance(data, str | Path) else list(data), options, model, rows, strict)
    making = Making(permanent_name(model), _fingerprint(model), thumbnails, texts)
    start = partial(open_engine, engine, workers=_workers(workers), master=master, memory=memory)
    return _embed_into(Path(to).resolve(), request, making, start)


def _request(
    sources: Sequence[str | Path],
    options: Mapping[str, str | None],
    model: str | Path,
    rows: int | None,
    strict: bool,
) -> _Request:
    if not sources:
        raise UsageError("there is nothing to embed: name at least one source")
    if rows is not None and rows < 1:
        raise UsageError(f"{option(rows=rows)}: a partition has at least 1 image")
    given = {name: value for name, value in options.items() if value is not None}
    return _Request(sources, given, model, rows, strict)


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


def _embed_into(folder: Path, request: _Request, making: Making, start: Callable[[Path], Engine]) -> Manifest:
    check_apart(folder, request.sources, "embed")
    with unfinished(folder) as work, start(work) as engine:
        names = map(permanent_name, request.sources)  # Spark's processes may have another working directory
        sources = [open_source(name, request.options, announced=True) for name in names]
        told = [problem for pairs in sources for problem in pairs.problems]
        if request.strict:
            refuse_left_out(", ".join(map(str, request.sources)), told)
        before, known = done_before(folder)
        images = sum(map(len, sources))
        rows = request.rows or (before.partition_rows if before else rows_of_partitions(images))
        planned = [replace(part, done=known.get(f"{part.name}.parquet")) for part in plan(sources, rows, making)]
        if done := sum(part.done is not None for part in planned):
            say(f"{done:,} of {len(planned):,} partitions were embedded before")
        task = partial(embed_partition, making=making, folder=folder)
        partitions = engine.run(task, planned, "embed images", images, len)
        manifest = _manifest(request, making, sources, partitions, rows, told)
        finish(folder, manifest)
    tell_left_out([from_json(each) for each in left_out_of(partitions)], manifest.rows)
    return manifest


def _manifest(
    request: _Request,
    making: Making,
    sources: Sequence[Pairs],
    partitions: list[Partition],
    rows: int,
    told: list[str],
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
        model=making.model,
        model_name=str(request.model),
        fingerprint=making.fingerprint,
        sources=[permanent_name(source) for source in request.sources],
        options=dict(request.options),
        read_as=[pairs.read_as for pairs in sources],
        thumbnails=making.thumbnails,
        texts=making.texts,
        partition_rows=rows,
        partitions=partitions,
        lost=counted(problems),
        problems=[str(problem) for problem in problems[:_PROBLEMS_LISTED]],
    )
