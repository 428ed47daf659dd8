"""What a curation has read, fetched and inspected, kept beside its output for the next run into the same folder.

Everything is stored under a hash of all that it depends on: the content or state of its sources, the settings that
affect it, the version of openalign. So a run with other thresholds takes from here what they leave unchanged, and a run
that was interrupted resumes. The lock of the output folder covers its cache.
"""

import json
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from openalign.curation.engine.cached_map import STEPS, count_results
from openalign.curation.fetch.ledger import LEDGER
from openalign.curation.fetch.settings import FetchSettings
from openalign.curation.images.gather import DOWNLOADS
from openalign.errors import UsageError
from openalign.files import cache_in, whole_file
from openalign.options import option
from openalign.progress import say

DEFAULT_LIMIT = "20GB"
_KEPT = {STEPS, DOWNLOADS}
_FETCH_SETTINGS = "settings.json"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def cache_of(folder: Path) -> Path:
    """The cache folder of an output folder: `out` -> `.out.cache`."""
    return folder.with_name(f".{folder.name}.cache")


@contextmanager
def open_cache(folder: Path, fetch: FetchSettings, fresh: bool) -> Iterator[Path]:
    """The cache folder of the output `folder`, for an engine to work in; only cached results stay in it at the end.

    `fresh` removes what earlier runs left. Images fetched under other limits are removed as well.
    """
    cache = cache_of(folder)
    with cache_in(cache):
        _remove(cache, but=() if fresh else _KEPT)
        _check_downloads(cache / DOWNLOADS, fetch)
    before = count_results(cache)
    try:
        with cache_in(cache):
            yield cache
    except BaseException:
        after = count_results(cache)
        _remove(cache, but=(_KEPT if after else {DOWNLOADS}) - _without_contents(cache))
        if after > before:
            say(f"Finished work is kept in {cache}: the same command resumes from there.")
        raise
    _remove(cache, but=_KEPT)


def trim_cache(cache: Path, limit: int) -> int:
    """Delete the least recently used results until the cache takes at most `limit` bytes; returns the bytes it takes.

    A result is a step's result with all its files, all that was read of a set of sources, or all fetched images.
    """
    results = sorted(_results(cache), key=lambda files: max(file.stat().st_mtime_ns for file in files), reverse=True)
    total = 0
    for files in results:
        total += (size := sum(file.stat().st_size for file in files))
        if total > limit:
            total -= size
            for file in files:
                file.unlink()
    if not total:
        _remove(cache, but=())
    return total


def parse_limit(text: str) -> int:
    """`20GB`, `500m`, `0` -> bytes. Raises UsageError for any other form."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise UsageError(
            f"{option(cache_limit=text)}: give a number and a unit, such as 20GB or 500MB, or 0 for no cache"
        )
    return int(float(match[1]) * _UNITS[match[2]])


def _results(cache: Path) -> Iterator[list[Path]]:
    """The files of each result."""
    downloads = [path for path in (cache / DOWNLOADS).rglob("*") if path.is_file()]
    if downloads:
        yield downloads
    for step in (cache / STEPS).glob("*"):
        by_stem: dict[str, list[Path]] = {}
        for entry in step.iterdir():
            files = [entry] if entry.is_file() else [path for path in entry.rglob("*") if path.is_file()]
            by_stem.setdefault(entry.name.partition(".")[0], []).extend(files)
        yield from filter(None, by_stem.values())


def _without_contents(cache: Path) -> set[str]:
    """The folder of fetched images, if nothing was fetched."""
    fetched = (path for path in (cache / DOWNLOADS).rglob("*") if path.name != _FETCH_SETTINGS)
    return set() if any(fetched) else {DOWNLOADS}


def _check_downloads(folder: Path, settings: FetchSettings) -> None:
    """Empty the folder of fetched images unless they were fetched under the same limits, which decide what is refused.

    A run without downloads leaves it alone.
    """
    if not settings.download:
        return
    limits = settings.model_dump(include={"fetch_max_bytes", "fetch_redirects", "allow_private_hosts"})
    file = folder / _FETCH_SETTINGS
    try:
        if json.loads(file.read_bytes()) == limits:
            return
    except (OSError, ValueError):
        pass
    if (folder / LEDGER).exists() or file.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as partial:
        partial.write_text(json.dumps(limits), encoding="utf-8")


def _remove(folder: Path, but: Collection[str]) -> None:
    """Remove everything except entries of these names, and `folder` itself if it is then empty."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name in but:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()
