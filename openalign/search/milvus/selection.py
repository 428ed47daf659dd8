"""Rows for which conditions hold: those that Milvus finds, compared once more where it cannot say it exactly."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from openalign.search.milvus.columns import row_of
from openalign.search.milvus.filters import Expression, expression_of
from openalign.search.query.comparison import parse_comparisons
from openalign.search.query.conditions import Condition, parse_conditions
from openalign.search.query.matching import add_functions

_COLUMNS = (
    *("row", "image", "text", "page", "width", "height", "date", "latitude", "longitude", "folder", "bytes", "label"),
    "fields",
)
"""Those of `images` in an index folder that conditions are about."""


@dataclass(frozen=True)
class Selection:
    """Conditions, for Milvus and for the rows that it finds."""

    expression: Expression
    condition: Condition

    @classmethod
    def of(cls, conditions: Sequence[str], fields: Sequence[str]) -> "Selection":
        """Raises UsageError if a condition is malformed, or of a column that there is not."""
        expression = expression_of(parse_comparisons(conditions, fields))
        return cls(expression, parse_conditions(conditions, fields))

    def holds(self, entities: Sequence[dict[str, Any]]) -> set[int]:
        """The numbers of the rows for which all conditions hold, of rows with the columns `ROW_COLUMNS`."""
        rows = [asdict(row_of(entity)) for entity in entities]
        if self.expression.exact:
            return {row["row"] for row in rows}
        with closing(sqlite3.connect(":memory:")) as table:
            add_functions(table)
            table.execute(f"CREATE TABLE images ({', '.join(_COLUMNS)})")
            places = ", ".join(f":{column}" for column in _COLUMNS)
            table.executemany(f"INSERT INTO images VALUES ({places})", rows)
            found = table.execute(f"SELECT row FROM images WHERE {self.condition.sql}", self.condition.parameters)
            return {row for (row,) in found}
