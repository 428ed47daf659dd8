"""Opens an engine by its name."""

from pathlib import Path

from openalign.curation.engine.base import Engine, parse_memory
from openalign.curation.engine.local import LocalEngine
from openalign.errors import UsageError
from openalign.extras import require
from openalign.options import option

ENGINES = ("local", "spark")


def open_engine(name: str, work: Path, *, workers: int, master: str | None = None, memory: str | None = None) -> Engine:
    """Open the engine called `name`, which keeps its files in the folder `work`.

    `workers` is the number of processes on one machine, `master` the URL of the Spark master, `memory` (such as 4GB)
    the limit of DuckDB or of Spark's driver; None: their defaults. Raises OpenAlignError for an unknown engine or an
    option that it does not have.
    """
    check_engine(name, master, memory)
    size = None if memory is None else parse_memory(memory)
    if name == "local":
        return LocalEngine(work, workers, size)

    from openalign.curation.engine.spark import SparkEngine

    return SparkEngine(work, workers, size, master)


def check_engine(name: str, master: str | None, memory: str | None) -> None:
    """Raise what `open_engine` would raise for these arguments, before anything is written."""
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}: use {' or '.join(option(engine=known) for known in ENGINES)}")
    if memory is not None:
        parse_memory(memory)
    if name == "local" and master is not None:
        raise UsageError(f"{option('master')} needs {option(engine='spark')}")
    if name == "spark":
        require("spark", "Curating on Spark")
