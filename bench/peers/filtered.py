"""Filtered search of LanceDB and zvec: what they find among the allowed rows, and how long a query takes.

python filtered.py CONTENT.npz WORK
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

TOP = 10


def main() -> None:
    content, work = np.load(sys.argv[1]), Path(sys.argv[2])
    rows = content["rows"].astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    told = []
    for name, build in (("lancedb", by_lancedb), ("zvec", by_zvec)):
        search = build(rows, content["part"], work)
        for most in content["most"].tolist():
            search(content["queries"][0], most)  # warm-up
            found, seconds = [], []
            for query in content["queries"]:
                began = time.perf_counter()
                found.append(search(query, most))
                seconds.append(time.perf_counter() - began)
            told.append({"way": name, "most": most, "found": found, "p50_ms": 1000 * float(np.median(seconds))})
    print(json.dumps({"ways": told, "versions": {name: version(name) for name in ("lancedb", "zvec")}}))


def by_lancedb(rows, part, work):  # type: ignore[no-untyped-def]
    """One partition, so that its graph holds all rows; candidates are compared again with the full vectors."""
    import lancedb
    import pyarrow as pa

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    table = pa.table({"vector": vectors, "row": pa.array(np.arange(len(rows))), "part": pa.array(part)})
    opened = lancedb.connect(str(work / "lance")).create_table("rows", table)
    opened.create_index(
        metric="dot", index_type="IVF_HNSW_SQ", num_partitions=1, m=16, ef_construction=256, vector_column_name="vector"
    )
    opened.create_scalar_index("part", index_type="BTREE")

    def search(query, most):  # type: ignore[no-untyped-def]
        asked = opened.search(query, vector_column_name="vector").distance_type("dot").nprobes(1).ef(256)
        if most is not None and most < part.max() + 1:
            asked = asked.where(f"part < {most}", prefilter=True)
        return asked.refine_factor(8).limit(TOP).select(["row"]).to_arrow()["row"].to_pylist()

    return search


def by_zvec(rows, part, work):  # type: ignore[no-untyped-def]
    import zvec

    zvec.init(log_level=zvec.LogLevel.ERROR)
    graph = zvec.HnswIndexParam(zvec.MetricType.IP, m=16, ef_construction=256)
    schema = zvec.CollectionSchema(
        "rows",
        zvec.FieldSchema("part", zvec.DataType.INT64, index_param=zvec.InvertIndexParam(True)),
        zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, rows.shape[1], index_param=graph),
    )
    opened = zvec.create_and_open(str(work / "zvec"), schema)
    for start in range(0, len(rows), 1000):
        opened.insert([
            zvec.Doc(id=str(row), vectors={"vector": rows[row]}, fields={"part": int(part[row])})
            for row in range(start, min(start + 1000, len(rows)))
        ])  # fmt: skip
    opened.optimize()

    def search(query, most):  # type: ignore[no-untyped-def]
        asked = zvec.Query("vector", vector=query, param=zvec.HnswQueryParam(ef=256))
        only = f"part < {most}" if most < part.max() + 1 else None
        return [int(doc.id) for doc in opened.query(asked, topk=TOP, filter=only, output_fields=[])]

    return search


if __name__ == "__main__":
    main()
