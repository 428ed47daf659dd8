"""The route that says what the indexed images can be filtered by."""

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePath
from threading import Lock

from fastapi import FastAPI

from openalign.search.facets import Count, Facets, Values, facets_of
from openalign.search.index import Index
from openalign.search.store.any_store import in_folder
from openalign.serve.service import FAILURES, PREFIXES, Service


def add_facets(app: FastAPI, service: Service) -> None:
    """They are counted at the first request for an opened index, which stays as it is."""
    one_at_a_time = Lock()

    @lru_cache(maxsize=1)
    def counted(index: Index) -> Facets:
        found = facets_of(in_folder(index.store, "Counting what images can be filtered by"))
        if service.links.whole_paths:
            return found
        return replace(found, columns=[_without_paths(each) for each in found.columns])

    def facets() -> Facets:
        """What images can be filtered by (`where`): months, columns with few values, ranges of numbers; with counts."""
        with one_at_a_time:
            return counted(service.index)

    for prefix in PREFIXES:
        app.get(f"{prefix}/facets", responses=FAILURES)(facets)


def _without_paths(values: Values) -> Values:
    """Of folders that are absolute paths, the last two parts, as `Links.image` has them."""
    if values.column != "folder":
        return values
    images: Counter[str] = Counter()
    for count in values.values:
        path = PurePath(count.value.removeprefix("file://"))
        images["/".join(path.parts[-2:]) if path.is_absolute() else count.value] += count.images
    return replace(values, values=[Count(value, number) for value, number in images.most_common()])
