import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from openalign.errors import OpenAlignError, UsageError
from openalign.search.query.language import parse_query
from openalign.search.query.terms import Query, Term

TABLE = json.loads((Path(__file__).parent / "query_language.json").read_text(encoding="utf-8"))
"""Queries and what they mean; the parser of the page is tested on them as well."""

weights = st.none() | st.floats(0.001, 1000)
contents = st.one_of(
    st.fixed_dictionaries({"text": st.text(min_size=1) | st.text('+-*"5 aimgrow:', min_size=1)}),
    st.fixed_dictionaries({"image": st.text(min_size=1) | st.text('+-" a', min_size=1)}),
    st.fixed_dictionaries({"row": st.integers(0, 10**15 - 1)}),
)
terms = st.builds(lambda content, weight, minus: (content, weight, minus), contents, weights, st.booleans()).filter(
    lambda term: str(next(iter(term[0].values()))).strip()
)
queries = st.lists(terms.map(lambda term: Term(**term[0], weight=term[1], minus=term[2]))).map(
    lambda found: Query(tuple(found))
)


@pytest.mark.parametrize("text", TABLE["plain"])
def test_a_plain_text_means_itself(text):
    assert parse_query(text) == Query((Term(text=text),))


@pytest.mark.parametrize(("text", "expected"), TABLE["queries"])
def test_a_query_is_read_as_its_terms(text, expected):
    assert parse_query(text) == Query(tuple(Term(**term) for term in expected))


@pytest.mark.parametrize(("text", "place"), TABLE["mistakes"])
def test_a_mistake_is_named_with_its_place(text, place):
    with pytest.raises(UsageError, match=rf"^The query, character {place} \("):
        parse_query(text)


@given(queries)
def test_what_is_written_is_read_back(query):
    assert parse_query(query.text()) == query


@given(st.text(min_size=1))
def test_a_text_without_signs_quotes_and_colons_is_one_text(text):
    assume(text.strip() and not set(text) & set('+-*":'))
    assert parse_query(text) == Query((Term(text=text.strip()),))


@given(st.text('+-*"5. aimgrow:\n') | st.text())
def test_any_text_is_a_query_or_a_mistake_of_whoever_typed_it(text):
    try:
        query = parse_query(text)
    except UsageError:
        return
    assert parse_query(query.text()) == query


def test_a_text_beside_an_image_or_a_row_weighs_two_unless_it_has_a_weight():
    assert parse_query("a - b").weights == (1, -1)
    assert parse_query("img:a.jpg + night - people").weights == (1, 2, -2)
    assert parse_query("- row:3 + 1*night + 0.5*img:b.jpg").weights == (-1, 1, 0.5)


@pytest.mark.parametrize("text", ["img:/etc/passwd", "night - 2*img:a.jpg", 'a + img:"b c.jpg"'])
def test_files_of_a_query_can_be_refused(text):
    with pytest.raises(UsageError, match=r"character \d+ .*opens no file"):
        parse_query(text, files=False)


@pytest.mark.parametrize("wrong", [{}, {"text": "a", "row": 1}, {"text": " "}, {"text": "a", "weight": 0}])
def test_a_term_that_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError):
        Term(**wrong)


@pytest.mark.parametrize(("weight", "written"), [(2, "2*a"), (np.float32(0.5), "0.5*a"), (1e3, "1000*a")])
def test_a_weight_of_any_kind_is_written_as_short_as_it_can_be(weight, written):
    assert Query((Term(text="a", weight=weight),)).text() == written


def test_an_image_without_a_path_cannot_be_written():
    with pytest.raises(OpenAlignError, match="not a file"):
        Query((Term(image=np.zeros((2, 2, 3), np.uint8)),)).text()
