"""The few requests to Milvus that an index needs, with errors in a sentence."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError
from openalign.extras import require
from openalign.search.milvus.address import TOKEN_VARIABLE, Address
from openalign.search.store.any_store import Unavailable

if TYPE_CHECKING:
    from pymilvus import CollectionSchema, MilvusClient
    from pymilvus.milvus_client import IndexParams

MOST_HITS = 16_384
"""The most that a server returns at once; Milvus Lite has no limit, and keeps to this one here."""
_CONNECT_S = 10.0
_REQUEST_S = 120.0
_RARE_PINGS = {"grpc.keepalive_time_ms": 300_000}
"""Milvus Lite ends a connection that sends more than that while it is idle, with a line on standard error."""
_LOGGERS = ("pymilvus", "milvus_lite", "grpc._server")
VECTOR = "vector"


class Collection:
    """One collection; safe to use from many threads.

    Raises:
        Unavailable: no server answers at the address, or it cannot do what it is asked, with its reason.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client = _connected(address)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def exists(self) -> bool:
        with self._explained():
            return bool(self._client.has_collection(self.address.collection, timeout=_REQUEST_S))

    def load(self) -> None:
        """Make it ready to be searched."""
        with self._explained():
            self._client.load_collection(self.address.collection, timeout=_REQUEST_S)

    def create(self, schema: "CollectionSchema", index: "IndexParams", properties: Mapping[str, str]) -> None:
        with self._explained():
            self._client.create_collection(
                self.address.collection,
                schema=schema,
                index_params=index,
                properties=dict(properties),
                timeout=_REQUEST_S,
            )

    def properties(self) -> dict[str, str]:
        """The properties of the collection."""
        with self._explained():
            described = self._client.describe_collection(self.address.collection, timeout=_REQUEST_S)
        return {str(key): str(value) for key, value in (described.get("properties") or {}).items()}

    def set_properties(self, properties: Mapping[str, str]) -> None:
        with self._explained():
            self._client.alter_collection_properties(
                self.address.collection, properties=dict(properties), timeout=_REQUEST_S
            )

    def index_kind(self) -> str:
        """The kind of the index of its vectors, such as HNSW; "" if there is none."""
        with self._explained():
            described = self._client.describe_index(self.address.collection, VECTOR, timeout=_REQUEST_S)
        return str((described or {}).get("index_type", ""))

    def count(self) -> int:
        """The number of rows."""
        found = self.query("", ["count(*)"], fresh=True)
        return int(found[0]["count(*)"])

    def query(self, expression: str, columns: Sequence[str], *, fresh: bool = False) -> list[dict[str, Any]]:
        """All rows for which an expression holds, in any order; at most `MOST_HITS` may be asked for.

        With `fresh` it sees everything that was written before; else what was written in the last seconds may be
        missing.
        """
        with self._explained():
            return list(
                self._client.query(
                    self.address.collection,
                    filter=expression,
                    output_fields=list(columns),
                    consistency_level="Strong" if fresh else "Bounded",
                    timeout=_REQUEST_S,
                )
            )

    def search(
        self, query_D: NDArray[np.float32], count: int, expression: str, columns: Sequence[str], parameters: Any
    ) -> list[tuple[int, float, dict[str, Any]]]:
        """The `count` rows nearest to a vector: number, inner product and `columns`, best first."""
        with self._explained():
            (hits,) = self._client.search(
                self.address.collection,
                data=[query_D.tolist()],
                anns_field=VECTOR,
                limit=count,
                filter=expression,
                output_fields=list(columns),
                search_params={"metric_type": "IP", "params": parameters},
                consistency_level="Bounded",
                timeout=_REQUEST_S,
            )
        found = [(int(hit["row"]), float(hit["distance"]), dict(hit["entity"])) for hit in hits]
        return sorted(found, key=lambda each: (-each[1], each[0]))

    def upsert(self, rows: list[dict[str, Any]]) -> None:
        """Write rows; those with the same number are replaced."""
        with self._explained():
            self._client.upsert(self.address.collection, data=rows, timeout=_REQUEST_S)

    def delete(self, numbers: list[int]) -> None:
        with self._explained():
            self._client.delete(self.address.collection, ids=numbers, timeout=_REQUEST_S)

    def flush(self) -> None:
        """Let the server write what it has in memory, so that it can be indexed."""
        with self._explained():
            self._client.flush(self.address.collection, timeout=_REQUEST_S)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from pymilvus import MilvusException

        try:
            yield
        except MilvusException as error:
            raise Unavailable(f"{self.address.given}: Milvus refuses a request ({_reason(error)}).") from None
        except ValueError as error:  # of gRPC, when the server is gone
            raise Unavailable(f"{self.address.given}: the connection to Milvus is closed ({error}).") from None


def _connected(address: Address) -> "MilvusClient":
    require("milvus", "Using Milvus")
    if address.is_local:
        require("milvus", "Milvus Lite", ("milvus_lite",))
    from pymilvus import MilvusClient, MilvusException

    for name in _LOGGERS:  # they log every failed request with a traceback; it is an error of ours here
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return MilvusClient(
            address.uri,
            token=os.environ.get(TOKEN_VARIABLE, ""),
            db_name=address.database,
            timeout=_CONNECT_S,
            grpc_options=_RARE_PINGS if address.is_local else {},
        )
    except (MilvusException, OSError) as error:
        if address.is_local:
            raise OpenAlignError(
                f"{address.uri} cannot be opened as a folder of Milvus Lite: another process has it open, or it is "
                "something else."
            ) from None
        raise Unavailable(
            f"{address.given}: no Milvus answers at {address.uri} ({_reason(error)}); start it, or name another one."
        ) from None


def _reason(error: Exception) -> str:
    """The first line of the library's message."""
    message = str(getattr(error, "message", "") or error)
    return message.strip().partition("\n")[0].rstrip(".")[:300]
