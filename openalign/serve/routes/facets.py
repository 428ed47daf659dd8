"""The route that says what the indexed images can be filtered by."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import PurePath
from weakref import WeakKeyDictionary

from fastapi import FastAPI

from openalign.search.facets import Count, Facets, Values, facets_of
from openalign.search.index import Index
from openalign.search.store.any_store import in_folder
from openalign.serve.service import FAILURES, PREFIXES, Service


def add_facets(app: FastAPI, service: Service) -> None:
    """They are counted at the first request for an opened index, which stays as it is."""
    known: WeakKeyDictionary[Index, asyncio.Future[Facets]] = WeakKeyDictionary()

    async def facets() -> Facets:
        """What images can be filtered by (`where`): months, columns with few values, ranges of numbers; with counts."""
        index = service.index
        if index not in known or (known[index].done() and known[index].exception() is not None):
            known[index] = asyncio.ensure_future(asyncio.to_thread(_counted, index, service.links.whole_paths))
        return await asyncio.shield(known[index])  # others may wait for it when this client has left

    for prefix in PREFIXES:
        app.get(f"{prefix}/facets", responses=FAILURES)(facets)


def _counted(index: Index, whole_paths: bool) -> Facets:
    found = facets_of(in_folder(index.store, "Counting what images can be filtered by"))
    return found if whole_paths else replace(found, columns=[_without_paths(each) for each in found.columns])


def _without_paths(values: Values) -> Values:
    """Of folders that are absolute paths, the last two parts, as `Links.image` has them."""
    if values.column != "folder":
        return values
    images: Counter[str] = Counter()
    for count in values.values:
        path = PurePath(count.value.removeprefix("file://"))
        images["/".join(path.parts[-2:]) if path.is_absolute() else count.value] += count.images
    return replace(values, values=[Count(value, number) for value, number in images.most_common()])
