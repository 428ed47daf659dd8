"""A table `images` as an index has it, to which conditions are put."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from openalign.search.query.conditions import parse_conditions
from openalign.search.query.matching import add_functions

TABLE = """
CREATE TABLE images (
    row INTEGER PRIMARY KEY, image TEXT, text TEXT, page TEXT, width INTEGER, height INTEGER, source INTEGER,
    digest BLOB, date TEXT, latitude REAL, longitude REAL, folder TEXT, bytes INTEGER, label TEXT, fields TEXT
)
"""
FIELDS = ("price", "shop", "bought", "Größe", "on sale", "label", 'a"b', "x<y")
Row = Mapping[str, Any]


def connected() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    add_functions(connection)
    connection.execute(TABLE)
    return connection


CONNECTION = connected()


def found(rows: Sequence[Row], *conditions: str) -> list[int]:
    """The numbers of the rows that meet the conditions."""
    CONNECTION.execute("DELETE FROM images")
    for number, row in enumerate(rows):
        values = {"row": number, **row}
        if "fields" in values:
            values["fields"] = json.dumps(values["fields"])
        marks = ", ".join("?" * len(values))
        CONNECTION.execute(f"INSERT INTO images ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
    condition = parse_conditions(conditions, FIELDS)
    sql = f"SELECT row FROM images WHERE {condition.sql} ORDER BY row"
    return [row for (row,) in CONNECTION.execute(sql, condition.parameters)]
