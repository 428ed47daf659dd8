"""Curation from sources to shards: the order of the steps, and what each hands to the next."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq
from ibis import _
from ibis.backends.duckdb import Backend

from openalign.curate import relations
from openalign.curate.contamination import match_tests
from openalign.curate.copies import earlier_copies
from openalign.curate.embeddings import similarities
from openalign.curate.languages import classify_texts
from openalign.curate.looking import find_images, look_at_images
from openalign.curate.outputs import (
    describe_run,
    failed_downloads,
    keep_ledger,
    standing_report,
    write_dropped,
    write_kept,
)
from openalign.curate.report import write_report
from openalign.curate.rules import RULES, why_not_run
from openalign.curate.settings import CurateSettings
from openalign.curate.sources import extract
from openalign.curate.summary import Curated
from openalign.curate.unsafe import score_images
from openalign.data.pairs import open_pairs
from openalign.errors import OpenAlignError
from openalign.files import whole_folder
from openalign.progress import bar, console


def curate(
    sources: Sequence[str | Path],
    *,
    to: Path,
    engine: str = "local",
    test_set: Sequence[str | Path] = (),
    workers: int | None = None,
    settings: CurateSettings = CurateSettings(),  # noqa: B008 - frozen
    truth: Path | None = None,
    retry_failed: bool = False,
) -> dict[str, Any]:
    """Extract image-text pairs from `sources`, apply the paper's rules (Section 3), write what is kept to folder `to`.

    `to` appears whole or not at all. A folder that already holds this very run (same sources, settings and version) is
    left as it is; an earlier curation there is replaced. `test_set` names data whose images must not be among the kept.
    `truth` is a table of what each pair truly breaks (`image`, `text`, `reasons`); the report then has each rule's
    precision and recall. `workers` processes look at images (None: as many as there are processors).

    Where fetching an image failed for a reason that may pass, what was fetched stays in a folder beside `to`, and
    `retry_failed` does the run again with it: only the addresses that failed are asked.

    Returns the content of report.json. Raises OpenAlignError if a source cannot be used, nothing could be extracted,
    or `to` holds other things.
    """
    folder = Path(to).absolute()
    if not sources:
        raise OpenAlignError("there is nothing to curate: name at least one source")
    run = describe_run(sources, test_set, truth, settings)
    standing = standing_report(folder, run)
    if standing is not None and not retry_failed:
        console.print(f"{to} already holds this run: nothing to do")
        return standing
    workers = workers or os.cpu_count() or 1
    with _work_folder(folder) as work, whole_folder(folder) as partial:
        backend = relations.connect(engine, work, workers)
        try:
            curated = _curate(backend, sources, test_set, work, partial, workers, settings)
            report = write_report(curated, run, truth, partial)
        finally:
            backend.disconnect()
        keep_ledger(work / "downloads", partial)
    _say(report, Path(to))
    if failed_downloads(folder):
        console.print(f"{failed_downloads(folder):,} images could not be fetched this time; --retry failed asks again")
    return report


def _curate(
    backend: Backend,
    sources: Sequence[str | Path],
    test_set: Sequence[str | Path],
    work: Path,
    folder: Path,
    workers: int,
    settings: CurateSettings,
) -> Curated:
    tests = [open_pairs(source, need_text=False) for source in test_set]
    extracted = extract(
        sources,
        work,
        workers=workers,
        image_column=settings.image_column,
        text_column=settings.text_column,
        base_url=settings.base_url,
        text_from=settings.text_sources,
    )
    if pq.read_metadata(extracted.occurrences).num_rows == 0:
        raise OpenAlignError(f"no image was found in {', '.join(map(str, sources))}: nothing to curate")
    with bar("Counting over all pairs"):
        occurrences = relations.open_occurrences(backend, extracted.occurrences)
        pairs = relations.collect_pairs(backend, occurrences)
        texts = relations.collect_texts(backend, pairs, settings.vocabulary)
    if settings.language_codes:
        texts = _with_languages(backend, texts, work, workers)
    measured = relations.measure_pairs(backend, pairs, texts, settings)
    asked = find_images(backend, measured, extracted, work, settings)
    seen = look_at_images(asked, work, workers, settings)
    matches, problems = match_tests(seen, tests, settings)
    measured = _with_similarity(backend, measured, seen, work, settings)
    running = [rule for rule in RULES if why_not_run(rule, settings, test_set=bool(tests)) is None]
    looked = backend.read_parquet(seen)
    for found in (score_images(seen, settings), matches):
        looked = looked.left_join(ibis.memtable(found), "image").drop("image_right")
    if settings.drop_near_duplicates:
        # Only what all other rules keep can stand for its copies, so that a small one never ousts a large one.
        others = [rule for rule in running if rule.name != "near_duplicate"]
        kept = relations.judge_pairs(backend, measured, looked, others, settings)
        found = earlier_copies(backend, kept, work, settings)
        looked = looked.left_join(ibis.memtable(found), "image").drop("image_right")
    judged = relations.judge_pairs(backend, measured, looked, running, settings)
    write_kept(backend, judged, work, folder, settings)
    write_dropped(backend, judged, folder / "dropped.parquet")
    return Curated(
        backend, occurrences, judged, backend.read_parquet(seen), extracted, tuple(tests), problems, folder, settings
    )


def _with_languages(backend: Backend, texts: ir.Table, work: Path, workers: int) -> ir.Table:
    """The texts with their `language`."""
    backend.to_parquet(texts.select("text"), work / "texts.parquet")
    classify_texts(work / "texts.parquet", work / "languages.parquet", workers)
    return texts.inner_join(backend.read_parquet(work / "languages.parquet"), "text")


def _with_similarity(
    backend: Backend, measured: ir.Table, seen: Path, work: Path, settings: CurateSettings
) -> ir.Table:
    """The pairs with `similarity`, where a model is to score them and their image is stored."""
    if settings.similarity_model is None:
        return measured
    from openalign.model.hub import load  # transformers, which few curations need

    stored = backend.read_parquet(seen).filter(_.stored_in.notnull())
    columns = ["occurrence", "image", "text", "stored_in", "stored_at", "stored_size"]
    scored = measured.filter(measured.text.notnull()).inner_join(stored, "image").select(columns)
    backend.to_parquet(scored.order_by("image", "occurrence"), work / "scored.parquet")
    found = similarities(load(settings.similarity_model), work / "scored.parquet")
    return measured.left_join(ibis.memtable(found), "occurrence").drop("occurrence_right")


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that goes when the work is done.

    Downloads stay for the next run: after a failure, and where some addresses failed for reasons that may pass.
    """
    work = folder.with_name(f".{folder.name}.work")
    _clear(work)
    work.mkdir(parents=True, exist_ok=True)
    try:
        yield work
    except BaseException:
        _clear(work)
        raise
    if failed_downloads(work / "downloads"):
        _clear(work)
    else:
        shutil.rmtree(work)


def _clear(work: Path) -> None:
    """Remove everything but downloads."""
    for entry in work.iterdir() if work.is_dir() else ():
        if entry.name == "downloads":
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if work.is_dir() and not any(work.iterdir()):
        work.rmdir()


def _say(report: dict[str, Any], folder: Path) -> None:
    pairs = report["pairs"]
    console.print(f"kept {pairs['kept']:,} of {pairs['pairs']:,} pairs; see {folder / 'report.html'}")
    if not pairs["kept"]:
        console.print("[bold]Nothing is left: every pair breaks a rule.[/bold] The report says which.")
