"""Untrusted JSON is read within limits."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openalign.data.files.json_files import MOST_LEVELS, read_object
from openalign.errors import OpenAlignError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=VALUES)
def test_every_object_comes_back_and_everything_else_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    if isinstance(content, dict) and all(math.isfinite(number) for number in floats_in(content)):
        assert read_object(path) == content
    else:
        with pytest.raises(OpenAlignError, match=r"x\.json: "):
            read_object(path)


def floats_in(content: object) -> list[float]:
    if isinstance(content, dict | list):
        inner = content.values() if isinstance(content, dict) else content
        return [number for item in inner for number in floats_in(item)]
    return [content] if isinstance(content, float) else []


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=40))
def test_any_bytes_are_an_object_or_an_error_message(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    try:
        assert isinstance(read_object(path), dict)
    except OpenAlignError as error:
        assert str(path) in str(error)


def test_nesting_has_a_limit(tmp_path: Path) -> None:
    for levels, fits in ((MOST_LEVELS, True), (MOST_LEVELS + 1, False), (100_000, False)):
        (tmp_path / "x.json").write_text('{"a":' * levels + "1" + "}" * levels)
        if fits:
            read_object(tmp_path / "x.json")
        else:
            with pytest.raises(OpenAlignError, match="nested deeper than 64 levels"):
                read_object(tmp_path / "x.json")


def test_a_number_of_a_million_digits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": ' + "9" * 1_000_000 + "}")
    with pytest.raises(OpenAlignError, match="cannot be read as JSON"):
        read_object(tmp_path / "x.json")
