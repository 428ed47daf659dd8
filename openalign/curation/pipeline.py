"""Curation from sources to shards: the order of the steps, and what each hands to the next."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from openalign.curation.cache import DEFAULT_LIMIT, cache_of, open_cache, parse_limit, trim_cache
from openalign.curation.cards import write_cards
from openalign.curation.engine.base import Engine
from openalign.curation.engine.cached_map import count_results, step_folder
from openalign.curation.engine.registry import check_engine, open_engine
from openalign.curation.images.gather import DOWNLOADS, INSPECTION, inspect_images
from openalign.curation.outputs import (
    describe_run,
    describe_sources,
    failed_downloads,
    standing_report,
    write_dropped,
    write_kept,
    write_ledger,
)
from openalign.curation.recipe import CurateRecipe, resolve_recipe
from openalign.curation.report.nothing_kept import why_nothing_is_kept
from openalign.curation.report.report import write_report
from openalign.curation.report.summary import Curated
from openalign.curation.rules.evaluation import add_columns, add_inspected, add_text_passes, evaluate
from openalign.curation.rules.models import check_models
from openalign.curation.rules.relations import count_pairs
from openalign.curation.rules.rule import Corpus
from openalign.curation.rules.table import rules_that_run
from openalign.curation.rules.text_rules import add_languages
from openalign.curation.sources.extract import extract
from openalign.data.announce import announce, tell_left_out
from openalign.data.files.apart import check_apart
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from openalign.files import recover_folder, whole_folder
from openalign.locks import locked
from openalign.options import option
from openalign.progress import list_problems, say


@dataclass(frozen=True)
class _Request:
    """What a run is asked for."""

    sources: Sequence[str | Path]
    test_set: Sequence[str | Path]
    truth: Path | None
    recipe: CurateRecipe


def curate(
    sources: str | Path | Sequence[str | Path],
    *,
    to: str | Path,
    recipe: CurateRecipe | str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    test_set: str | Path | Sequence[str | Path] = (),
    truth: Path | None = None,
    engine: str = "local",
    master: str | None = None,
    memory: str | None = None,
    workers: int | None = None,
    cache_limit: str = DEFAULT_LIMIT,
    retry_failed: bool = False,
    fresh: bool = False,
) -> dict[str, Any]:
    """Extract image-text pairs from `sources`, apply the paper's rules (section 3), write the kept ones to folder `to`.

    `recipe` is a recipe, a TOML file or the name of a bundled one, None for the paper's thresholds; `set` changes
    settings, as `{"min_shorter_side": "50"}`. Images that are near-duplicates of those of `test_set` (any data) are
    dropped. `truth` is a table of the rules that each pair truly breaks, for the report. `engine` is `local` (`workers`
    processes and DuckDB) or `spark` (on `master`), with the same output; `memory`, such as 4GB, limits DuckDB or
    Spark's driver.

    `to` is replaced as a whole, and left as it is if it already holds this run undamaged. What was read, fetched and
    inspected is kept in `.NAME.cache` beside it, at most `cache_limit`: an interrupted run resumes, and one with other
    thresholds is cheap. `retry_failed` fetches what failed for a reason that may pass; `fresh` empties the cache.

    Returns the content of report.json. Raises OpenAlignError if a source cannot be used, no pair was found, `to` holds
    other files, or another run writes it.
    """
    check_engine(engine, master, memory)
    request = _Request(_listed(sources), _listed(test_set), truth, resolve_recipe(recipe, set))
    start = partial(open_engine, engine, workers=workers or os.cpu_count() or 1, master=master, memory=memory)
    return _curate_into(Path(to).absolute(), request, start, parse_limit(cache_limit), retry_failed or fresh, fresh)


def _listed(paths: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    """One path is a list of one: the characters of a string are none."""
    return [paths] if isinstance(paths, str | Path) else paths


def _curate_into(
    folder: Path, request: _Request, start: Callable[[Path], Engine], limit: int, again: bool, fresh: bool
) -> dict[str, Any]:
    if not request.sources:
        raise OpenAlignError("there is nothing to curate: name at least one source")
    _check_names([folder, *request.sources, *request.test_set])
    check_apart(folder, [*request.sources, *request.test_set], "curate")
    with locked(folder):  # before anything is read or removed: all runs into it share one cache
        recover_folder(folder)
        run = describe_run(request.sources, request.test_set, request.truth, request.recipe)
        if not again and (standing := standing_report(folder, run)) is not None:
            say(f"{folder} already holds this run: nothing to do")
            return standing
        if not count_results(cache_of(folder)):
            import torch  # noqa: F401 - to inspect images: once, before processes are forked that would each import it
        with (
            open_cache(folder, request.recipe.fetch, fresh) as cache,
            whole_folder(folder) as partial_folder,
            start(cache) as engine,
        ):
            curated = _curate(engine, request, partial_folder)
            report = write_report(curated, run, request.truth, partial_folder)
            told = {*curated.extracted.problems, *(problem for each in curated.test_sets for problem in each.problems)}
            list_problems([problem for problem in report["problems"]["first"] if problem not in told])
        _print_summary(report, folder, trim_cache(cache_of(folder), limit))
    return report


def _check_names(paths: Sequence[str | Path]) -> None:
    """Raise OpenAlignError for a path that DuckDB and Parquet cannot hold."""
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise OpenAlignError(f"{str(path)!a} is not UTF-8: rename the file or folder") from None


def _curate(engine: Engine, request: _Request, folder: Path) -> Curated:
    recipe, storage = request.recipe, request.recipe.storage
    test_sets = tuple(open_pairs(source, need_text=False) for source in request.test_set)
    for test_set in test_sets:
        announce(test_set, f"{test_set.name} (test set):")
    rules = rules_that_run(recipe, has_test_set=bool(test_sets))
    check_models(rules, recipe)
    text_rules = [rule for rule in rules if not rule.of_image]
    image_rules = [rule for rule in rules if rule.of_image]

    state = describe_sources(request.sources, recipe)
    extracted = extract(engine, request.sources, pages=recipe.pages, tables=recipe.tables, state=state)
    for line in extracted.readings:
        say(line)
    tell_left_out(extracted.problems, extracted.records + extracted.pages)
    problems = [*extracted.problems, *(problem for pairs in test_sets for problem in pairs.problems)]
    pairs = count_pairs(engine, extracted.occurrences, recipe.text.vocabulary, problems)
    corpus = Corpus(engine, recipe, pairs, test_sets, problems=problems)
    corpus = add_languages(add_text_passes(add_columns(corpus, text_rules), text_rules))

    batches = inspect_images(engine, corpus.pairs, extracted.images, recipe.fetch, recipe.image.image_seconds, storage)
    inspected = engine.read(batches)
    corpus = replace(add_inspected(corpus, inspected), inspected=tuple(batches))
    corpus = add_columns(corpus, image_rules, before=text_rules)

    evaluated = evaluate(corpus, rules)
    write_kept(engine, evaluated, step_folder(engine.work, INSPECTION), folder, storage)
    write_dropped(engine, evaluated, folder / "dropped.parquet")
    write_cards(folder)
    if recipe.fetch.download:
        write_ledger(engine.work / DOWNLOADS, batches, folder)
    return Curated(engine, evaluated, inspected, rules, extracted, test_sets, tuple(problems), folder, recipe)


def _print_summary(report: dict[str, Any], folder: Path, cached: int) -> None:
    pairs = report["pairs"]
    say(f"kept {pairs['kept']:,} of {pairs['pairs']:,} pairs; see {folder / 'report.html'}")
    if not pairs["kept"]:
        for message in why_nothing_is_kept(report):
            say(message)
    if failed := failed_downloads(folder):
        say(f"{failed:,} images could not be fetched this time; {option(retry_failed=True)} fetches them again")
    if cached:
        say(f"{cache_of(folder)} ({cached / 1e6:,.0f} MB) makes another run into this folder cheap; it can be deleted")
