"""The map of the collection: its points in a few bytes each, for the page to draw."""

import json
import struct
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Header, Response

from openalign.search.index import Index
from openalign.search.map import OpenedMap
from openalign.serve.failures import NoMap
from openalign.serve.service import FAILURES, PREFIXES, Service

CONTENT_TYPE = "application/vnd.openalign.map"
_STEPS = 65_535
"""Of a coordinate: a step is 0.015 pixels of a map that is 1000 wide."""


def add_map(app: FastAPI, service: Service) -> None:
    def map_of_the_collection(
        if_none_match: Annotated[str, Header(description="The ETag of an earlier answer")] = "",
    ) -> Response:
        """Where each image lies on the map, and the clusters.

        Little-endian: the length of a JSON object in UTF-8 (uint32), the object, blanks up to a multiple of 4; then the
        rows of the images (`count` x uint32), their x, their y and their cluster (`count` x uint16 each). Positions are
        `low + value * step`; a cluster is the place in `clusters`, or 65535 for none.
        """
        index = service.index
        opened = map_of(index)
        tag = f'"{opened.version}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if if_none_match.removeprefix("W/") == tag:
            return Response(status_code=304, headers=headers)
        return Response(encoded(opened), media_type=CONTENT_TYPE, headers=headers)

    binary = {"schema": {"type": "string", "format": "binary"}}
    responses: dict[int | str, dict[str, Any]] = {
        200: {"content": {CONTENT_TYPE: binary}},
        304: {"description": "As the client has it"},
        **FAILURES,
    }
    for prefix in PREFIXES:
        app.get(f"{prefix}/map", responses=responses, response_class=Response)(map_of_the_collection)


def map_of(index: Index) -> OpenedMap:
    """The map of an index; raises `NoMap` if there is none."""
    if index.map is None:
        raise NoMap("This collection has no map: index it again to make one, of 10 images or more.")
    return index.map


def encoded(opened: OpenedMap) -> bytes:
    """A map as `GET /map` answers: 10 bytes an image."""
    known_N2 = opened.at_N2 if len(opened.rows_N) else np.zeros((1, 2), np.float32)
    low_2, side = known_N2.min(axis=0), float(np.ptp(known_N2, axis=0).max())
    step = (side or 1.0) / _STEPS
    about = {
        "count": len(opened.rows_N),
        "low": [round(float(each), 6) for each in low_2],
        "step": step,
        "clusters": [vars(each) for each in opened.clusters],
    }
    text = json.dumps(about, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    at_N2 = np.clip(np.rint((opened.at_N2 - low_2) / step), 0, _STEPS).astype("<u2")
    columns: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = (
        opened.rows_N.astype("<u4"),
        at_N2[:, 0],
        at_N2[:, 1],
        np.where(opened.cluster_N < 0, _STEPS, opened.cluster_N).astype("<u2"),
    )
    return struct.pack("<I", len(text)) + text + b"".join(column.tobytes() for column in columns)
