"""What an open index remembers: the rows of conditions, and whatever was asked for last."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from openalign.search.query.remembered import Latest, RowsOfConditions


@given(st.integers(1, 300), st.data())
def test_remembered_rows_are_those_that_were_put(count, data):
    remembered = RowsOfConditions(count)
    put = {name: sorted(data.draw(st.sets(st.integers(0, count - 1)))) for name in ("a", "b")}
    for name, rows in put.items():
        remembered.put([name], np.array(rows, np.int64))
    for name, rows in put.items():
        found = remembered.get([name])
        assert found is not None and found.dtype == np.int64 and found.tolist() == rows
    assert remembered.get(["a", "b"]) is None


def test_what_is_remembered_is_bounded_and_forgets_what_was_asked_for_longest_ago():
    latest = Latest(100)
    for key in "abc":
        latest.put(key, (np.zeros(40, np.uint8),))
        assert latest.get("a") is not None
    assert latest.get("b") is None and latest.get("c") is not None
    latest.put("d", (np.zeros(1000, np.uint8),))
    assert latest.get("a") is latest.get("c") is None and latest.get("d") is not None
    latest.put("d", (np.zeros(50, np.uint8),))
    latest.put("e", (np.zeros(50, np.uint8),))
    assert latest.get("d") is not None and latest.get("e") is not None
