"""Curation from sources to shards: the order of the steps, and what each hands to the next."""

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
from ibis import _

from openalign.curation.duplicates.kept_images import earlier_copies
from openalign.curation.duplicates.test_sets import match_tests
from openalign.curation.engine.base import Engine
from openalign.curation.engine.registry import open_engine
from openalign.curation.images.embeddings import similarities
from openalign.curation.images.gather import DOWNLOADS, LOOKED, look_at_images
from openalign.curation.images.settings import SimilaritySettings
from openalign.curation.images.unsafe import score_images
from openalign.curation.outputs import (
    describe_run,
    failed_downloads,
    keep_ledger,
    standing_report,
    write_dropped,
    write_kept,
)
from openalign.curation.recipe import CurateRecipe
from openalign.curation.report.report import write_report
from openalign.curation.report.summary import Curated
from openalign.curation.rules import relations
from openalign.curation.rules.table import RULES, why_not_run
from openalign.curation.sources.extract import PARTS, extract
from openalign.curation.text.languages import classify_texts
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from openalign.files import recover_folder, whole_file, whole_folder
from openalign.locks import locked
from openalign.progress import bar, console


def curate(
    sources: Sequence[str | Path],
    *,
    to: Path,
    engine: str = "local",
    master: str | None = None,
    memory: str | None = None,
    test_set: Sequence[str | Path] = (),
    workers: int | None = None,
    recipe: CurateRecipe = CurateRecipe(),  # noqa: B008 - frozen
    truth: Path | None = None,
    retry_failed: bool = False,
) -> dict[str, Any]:
    """Extract image-text pairs from `sources`, apply the paper's rules (Section 3), write what is kept to folder `to`.

    `to` appears whole or not at all. A folder that already holds this very run (same sources, settings and version) is
    left as it is, if its files are as they were written; an earlier curation there is replaced. `test_set` names data
    whose images must not be among the kept. `truth` is a table of what each pair truly breaks (`image`, `text`,
    `reasons`); the report then has each rule's precision and recall.

    `engine` is `local` (`workers` processes, None for as many as there are processors, and DuckDB) or `spark` (on
    `master`; None for what spark-submit says, else this machine); both write the same. `memory`, such as 4GB, bounds
    what DuckDB or Spark's driver takes.

    A run that was cut off goes on where it was: what it had read and looked at stays in a folder beside `to`. Where
    fetching an image failed for a reason that may pass, what was fetched stays there as well, and `retry_failed` does
    the run again with it: only the addresses that failed are asked.

    Returns the content of report.json. Raises OpenAlignError if a source cannot be used, nothing could be extracted,
    `to` holds other things, or another run writes it.
    """
    folder = Path(to).absolute()
    if not sources:
        raise OpenAlignError("there is nothing to curate: name at least one source")
    _check_names([to, *sources, *test_set])
    with locked(folder):  # before anything is read or cleared: all runs into it share one work folder
        recover_folder(folder)
        run = describe_run(sources, test_set, truth, recipe)
        standing = standing_report(folder, run)
        if standing is not None and not retry_failed:
            console.print(f"{to} already holds this run: nothing to do", markup=False)
            return standing
        with (
            _work_folder(folder, run["fingerprint"]) as work,
            whole_folder(folder) as partial,
            open_engine(engine, work, workers=workers or os.cpu_count() or 1, master=master, memory=memory) as opened,
        ):
            curated = _curate(opened, sources, test_set, partial, recipe)
            report = write_report(curated, run, truth, partial)
            keep_ledger(work / DOWNLOADS, partial)
    _say(report, Path(to))
    if failed_downloads(folder):
        console.print(f"{failed_downloads(folder):,} images could not be fetched this time; --retry failed asks again")
    return report


def _check_names(paths: Sequence[str | Path]) -> None:
    """Raise OpenAlignError for a path that DuckDB and Parquet cannot hold."""
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise OpenAlignError(f"{str(path)!a} is not UTF-8: rename the file or folder") from None


def _curate(
    engine: Engine,
    sources: Sequence[str | Path],
    test_set: Sequence[str | Path],
    folder: Path,
    recipe: CurateRecipe,
) -> Curated:
    tests = [open_pairs(source, need_text=False) for source in test_set]
    extracted = extract(
        engine,
        sources,
        pages=recipe.pages,
        tables=recipe.tables,
    )
    found = extracted.problems
    with bar("Counting over all pairs", 2) as running_bar:
        pairs = relations.collect_pairs(engine, extracted.occurrences)
        running_bar.advance()
        texts = relations.collect_texts(engine, pairs, recipe.text.vocabulary, found)
        running_bar.advance()
    if recipe.text.language_codes:
        texts = texts.inner_join(classify_texts(engine, texts, found), "text")
    measured = relations.measure_pairs(engine, pairs, texts, recipe)
    pieces = look_at_images(engine, measured, extracted, fetch=recipe.fetch, image=recipe.image, storage=recipe.storage)
    seen = engine.read(pieces)
    matches, problems = match_tests(pieces, tests, recipe.duplicates, recipe.image)
    measured = _with_similarity(engine, measured, seen, recipe.similarity, found)
    running = [rule for rule in RULES if why_not_run(rule, recipe, test_set=bool(tests)) is None]
    looked = seen
    for name, rows in (("unsafe", score_images(pieces, recipe.unsafe, found)), ("matches", matches)):
        looked = looked.left_join(engine.hold_rows(name, rows), "image").drop("image_right")
    if recipe.duplicates.drop_near_duplicates:
        # Only what all other rules keep can stand for its copies, so that a small one never ousts a large one.
        others = [rule for rule in running if rule.name != "near_duplicate"]
        kept = relations.judge_pairs(engine, measured, looked, others, recipe)
        copies = engine.hold_rows("copies_found", earlier_copies(engine, kept, recipe.duplicates))
        looked = looked.left_join(copies, "image").drop("image_right")
    judged = relations.judge_pairs(engine, measured, looked, running, recipe)
    write_kept(engine, judged, engine.work / LOOKED, folder, recipe.storage, found)
    write_dropped(engine, judged, folder / "dropped.parquet")
    return Curated(engine, judged, seen, extracted, tuple(tests), problems, folder, recipe)


def _with_similarity(
    engine: Engine, measured: ir.Table, seen: ir.Table, settings: SimilaritySettings, problems: list[str]
) -> ir.Table:
    """The pairs with `similarity`, where a model is to score them and their image is stored."""
    if settings.similarity_model is None:
        return measured
    from openalign.model.hub import load  # transformers, which few curations need

    columns = ["occurrence", "image", "text", "stored_in", "stored_at", "stored_size"]
    stored = seen.filter(_.stored_in.notnull())
    scored = measured.filter(measured.text.notnull()).inner_join(stored, "image").select(columns)
    engine.write(scored, engine.work / "scored.parquet", ["image", "occurrence"])
    model = load(settings.similarity_model)
    found = similarities(model, engine.work / "scored.parquet", engine.work / LOOKED, problems)
    return measured.left_join(engine.hold_rows("similarities", found), "occurrence").drop("occurrence_right")


@contextmanager
def _work_folder(folder: Path, fingerprint: str) -> Iterator[Path]:
    """A folder beside `folder` that goes when the work is done; what an earlier try at this very run finished is in it.

    Downloads are there whatever run left them, and stay where some addresses failed for reasons that may pass.
    """
    work = folder.with_name(f".{folder.name}.work")
    run = work / "fingerprint"
    same = run.exists() and run.read_bytes() == fingerprint.encode()
    _clear(work, but={DOWNLOADS, *((run.name, *_FINISHED) if same else ())})
    if not same:
        with whole_file(run) as partial:
            partial.write_text(fingerprint)
    try:
        yield work
    except BaseException:
        begun = any((work / PARTS).glob("*.json"))
        _clear(work, but={DOWNLOADS, run.name, *_FINISHED} if begun else {DOWNLOADS})
        if begun:
            console.print(f"What was done so far is kept in {work}: the same command goes on from there.", markup=False)
        raise
    _clear(work, but={DOWNLOADS} if failed_downloads(work / DOWNLOADS) else set())


_FINISHED = (PARTS, LOOKED, "languages", "spaced")


def _clear(work: Path, but: Collection[str]) -> None:
    """Remove everything but what has these names, and `work` itself if nothing is left in it."""
    for entry in work.iterdir() if work.is_dir() else ():
        if entry.name in but:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if work.is_dir() and not any(work.iterdir()):
        work.rmdir()


def _say(report: dict[str, Any], folder: Path) -> None:
    pairs = report["pairs"]
    console.print(f"kept {pairs['kept']:,} of {pairs['pairs']:,} pairs; see {folder / 'report.html'}", markup=False)
    if not pairs["kept"]:
        console.print("[bold]Nothing is left: every pair breaks a rule.[/bold] The report says which.")
