"""The engines by their names."""

from pathlib import Path

from openalign.curation.engine.base import Engine, parse_memory
from openalign.curation.engine.local import LocalEngine
from openalign.errors import UsageError
from openalign.extras import require

ENGINES = ("local", "spark")


def open_engine(name: str, work: Path, *, workers: int, master: str | None = None, memory: str | None = None) -> Engine:
    """The engine called `name`, keeping its files in the folder `work`.

    `workers` are the processes of one machine. `master` is Spark's, `memory` (such as 4GB) what DuckDB, or Spark's
    driver, may use; None: as they ship. Raises OpenAlignError for what no engine can do.
    """
    size = None if memory is None else parse_memory(memory)
    if name == "local":
        if master is not None:
            raise UsageError("--master is Spark's: give --engine spark as well")
        return LocalEngine(work, workers, size)
    if name == "spark":
        require("spark", "--engine spark")

        from openalign.curation.engine.spark import SparkEngine

        return SparkEngine(work, workers, size, master)
    raise UsageError(f"there is no engine {name!r}: use --engine {' or --engine '.join(ENGINES)}")
