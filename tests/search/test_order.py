"""Which rows a search gives: k groups where k exist, whatever is folded, and a stable order of those that match."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.errors import UsageError
from openalign.search.results import order
from openalign.search.results.order import best_groups, found_in_order, ordered, sort_of
from openalign.search.rows import Row
from openalign.search.store.groups import Groups


def groups_of(numbers: list[int]) -> Groups:
    """Row r is in the group `numbers[r]`."""
    rows = np.arange(len(numbers))
    leaders = np.array(numbers, np.int64)
    several = np.isin(leaders, [each for each in set(numbers) if numbers.count(each) > 1])
    return Groups.from_leaders(rows[several], leaders[several])


class Collection:
    """Rows with scores that fall by their number."""

    def __init__(self, rows: list[Row]) -> None:
        self.all = rows
        self.deepest = 0

    def find(self, count: int) -> list[tuple[int, float]]:
        self.deepest = max(self.deepest, count)
        return [(row, 1 - row / 1000) for row in range(min(count, len(self.all)))]

    def rows(self, numbers) -> list[Row]:
        return [self.all[number] for number in numbers]


def row(number: int, date: str | None = None, name: str = "", size: int = 0) -> Row:
    return replace(Row(number, name, None, None, 1, 1, 0, name, b"", date), bytes=size)


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 12))
def test_there_are_always_k_groups_where_k_exist_the_best_row_of_each(numbers, top):
    found = best_groups(Collection([row(each) for each in range(len(numbers))]).find, top, groups_of(numbers))
    first = {}
    for each, number in enumerate(numbers):
        first.setdefault(number, each)
    assert [each for each, _ in found] == sorted(first.values())[:top]


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 12))
def test_without_folding_the_best_rows_are_given(numbers, top):
    found = best_groups(Collection([row(each) for each in range(len(numbers))]).find, top, None)
    assert [each for each, _ in found] == list(range(min(top, len(numbers))))


KEYS = {
    "date": lambda each: each.date,
    "name": lambda each: (each.image.casefold(), each.image),
    "size": lambda each: each.bytes,
    "score": lambda each: 0,
}
dates = st.none() | st.sampled_from(["2024-05-01", "2024-05-02T10:00", "2023-01-01"])
some_rows = st.lists(st.tuples(dates, st.sampled_from(["a", "B", "b", "c"]), st.integers(0, 3)), max_size=12)


@given(some_rows, st.sampled_from(["date", "-date", "name", "-name", "size", "-size", "score"]))
def test_an_order_keeps_all_rows_and_the_order_of_equal_ones(facts, sort):
    given_rows = [(row(number, *each), 1.0) for number, each in enumerate(facts)]
    found = [each.row for each, _ in ordered(given_rows, sort).rows]
    assert sorted(found) == list(range(len(facts)))
    keys = {
        "date": lambda each: each.date,
        "name": lambda each: (each.image.casefold(), each.image),
        "size": lambda each: each.bytes,
    }
    key = keys.get(sort.removeprefix("-"), lambda each: 0)
    shown = [key(given_rows[number][0]) for number in found]
    known = [each for each in shown if each is not None]
    assert shown[: len(known)] == known  # those without a date are last
    assert known == sorted(known, reverse=sort.startswith("-"))
    for one, other in pairwise(found):
        if key(given_rows[one][0]) == key(given_rows[other][0]):
            assert one < other


@given(some_rows, st.integers(0, 12), st.integers(1, 14))
def test_matches_are_ordered_before_the_first_are_taken_and_others_come_last(facts, matching, top):
    rows = [row(number, *each) for number, each in enumerate(facts)]
    level = 1 - (matching - 0.5) / 1000
    found = found_in_order(Collection(rows).find, level, top, None, "name", Collection(rows))
    inside = sorted(rows[:matching], key=lambda each: (each.image.casefold(), each.image))
    assert [each.row for each, _ in found.rows] == [each.row for each in [*inside, *rows[matching:]][:top]]


@pytest.mark.parametrize(("level", "told"), [(float("inf"), False), (float("-inf"), True)])
def test_where_nothing_matches_or_no_mark_is_known_the_order_is_by_score(level, told):
    rows = [row(number, name="cba"[number]) for number in range(3)]
    found = found_in_order(Collection(rows).find, level, 3, None, "name", Collection(rows))
    assert [each.row for each, _ in found.rows] == [0, 1, 2]
    assert ("does not tell where matches end" in (found.note or "")) == told


def test_that_no_match_has_a_date_is_said():
    rows = [row(0), row(1), row(2, "2024-01-01")]
    found = found_in_order(Collection(rows).find, 0.9985, 3, None, "date", Collection(rows))
    assert found.note == "No image that matches has a date: they are in the order of their scores."
    assert found_in_order(Collection(rows).find, 0.9, 3, None, "date", Collection(rows)).note is None


def test_the_number_of_matches_that_are_ordered_is_bounded_and_told(monkeypatch):
    monkeypatch.setattr(order, "MOST_SORTED", 4)
    monkeypatch.setattr(order, "_FIRST_SORTED", 2)
    collection = Collection([row(number, name=str(9 - number)) for number in range(9)])
    found = found_in_order(collection.find, 0.5, 2, None, "name", collection)
    assert [each.row for each, _ in found.rows] == [3, 2] and collection.deepest == 4
    assert found.note == "Only the 4 best matches were put in this order."


def test_an_unknown_order_is_refused():
    with pytest.raises(UsageError, match="take one of score, date, -date"):
        sort_of("colour")
