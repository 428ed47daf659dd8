"""What a condition finds in Milvus is what it finds in a folder."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openalign.search import Index
from openalign.search.milvus.columns import ROW_COLUMNS

pytest.importorskip("pymilvus", reason="pymilvus is not installed")
pytest.importorskip("milvus_lite", reason="Milvus Lite is not installed")

from tests.search.milvus.conftest import Written

pytestmark = pytest.mark.slow

LETTERS = "aAäß%_\\\"'\n/* ?.1-"
KEYS = 'aAäß%_\\"/ .1'
TEXTS = st.text(LETTERS, max_size=6)
OPERATORS = ["=", "!=", "<", "<=", ">", ">="]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


def holding(index, conditions):
    store = index.store
    found = store.matching(conditions)
    if hasattr(found, "expression"):
        return found.holds(store._collection.query(found.expression.text or "row >= 0", ROW_COLUMNS))
    return set(found.tolist())


def conditions():
    texts = st.tuples(st.sampled_from(["image", "folder", "text", "label", "page"]), st.sampled_from(["=", "!="]))
    fields = st.tuples(st.sampled_from(["size", "a name"]), st.sampled_from(OPERATORS))
    numbers = st.tuples(st.sampled_from(["width", "latitude"]), st.sampled_from(OPERATORS))
    values = TEXTS.filter(lambda text: text.strip())
    written = st.tuples(texts | fields, values | st.dates().map(str) | st.integers(-20, 20).map(str))
    compared = st.tuples(numbers, st.floats(-1e3, 1e3).map(str) | st.integers(-90, 90).map(str))
    return (written | compared).map(lambda each: "".join([*each[0], each[1]]))


def drawn(draw: random.Random, number: int) -> Written:
    """An image with texts of the same few letters, so that conditions find some."""

    def text(letters: str = LETTERS) -> str | None:
        return "".join(draw.choices(letters, k=draw.randint(0, 5))) if draw.random() < 0.8 else None

    values = [text() or "-", draw.randint(-20, 20), draw.uniform(-5, 5), "2024-05-17", "17", True, [1, "a"], None]
    names = [name for name in ("size", "a name") if draw.random() < 0.7]
    return Written(
        key=f"{text(KEYS) or ''}{number if draw.random() < 0.3 else ''}" or "x",
        text=text(),
        content=f"image {number}",
        label=text(),
        page=text(),
        place=(draw.uniform(-90, 90), draw.uniform(-180, 180)) if draw.random() < 0.5 else None,
        fields={name: draw.choice(values) for name in names},
        width=draw.randint(1, 900),
    )


@pytest.fixture
def both(made, write_vectors, texts_are_embedded):
    vectors = made / "vectors"
    if not vectors.exists():
        draw = random.Random(0)
        write_vectors(vectors, [drawn(draw, number) for number in range(400)])
        Index.build(vectors, to=made / "photos.index")
        Index.build(vectors, to=f"milvus:{made}/store.db/photos")
    return Index.open(made / "photos.index"), Index.open(f"milvus:{made}/store.db/photos")


def test_a_condition_holds_for_the_same_images(both):
    folder, collection = both

    @settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(conditions())
    def same(condition):
        assert holding(collection, [condition]) == holding(folder, [condition])

    same()
