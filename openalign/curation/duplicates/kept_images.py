"""Near-duplicates among the kept images themselves, of which the first is to stay. Not in the paper."""

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _

from openalign.curation.duplicates.contamination import fingerprints
from openalign.curation.duplicates.search import find_earlier_duplicates
from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.engine.base import Engine
from openalign.curation.images.inspection import FINGERPRINT_COLUMNS

COPIES = pa.schema([("image", pa.string()), ("earlier_image", pa.string())])
"""One row per image that is a near-duplicate of images before it, with the closest of these."""


def earlier_copies(engine: Engine, kept: ir.Table, inspected: ir.Table, settings: DuplicateSettings) -> pa.Table:
    """Compare the images of all `kept` pairs with those before them, in source order: `COPIES`.

    `inspected` is a table of `inspection.INSPECTED`.

    Exact, so time grows with the square of their number, and memory with the number: meant for up to some millions.
    """
    firsts = kept.group_by("image").agg(occurrence=_.occurrence.min())
    columns = ["image", *FINGERPRINT_COLUMNS]
    images = firsts.inner_join(inspected.select(columns), "image")
    path = engine.work / "kept_images.parquet"
    engine.write(images.select("occurrence", *columns), path, ["occurrence"])
    table = pq.read_table(path)
    names = table["image"].to_pylist()
    rows = list(zip(*(table[name].to_pylist() for name in columns[1:]), strict=True))
    found = find_earlier_duplicates(fingerprints(rows), settings)
    copies = [{"image": names[match.corpus], "earlier_image": names[match.test]} for match in found]
    return pa.Table.from_pylist(copies, schema=COPIES)
