"""The same vectors in a folder and in Milvus give the same answers."""

import numpy as np
import pytest

from openalign.errors import OpenAlignError, UsageError
from openalign.search import Index
from openalign.search.query.terms import Query

pytest.importorskip("pymilvus", reason="pymilvus is not installed")
pytest.importorskip("milvus_lite", reason="Milvus Lite is not installed")

from tests.search.milvus.conftest import Written

pytestmark = pytest.mark.slow

CONDITIONS = [
    "date>=2021-03",
    "date=2020",
    "date!=2020-05",
    "date<=2022-02-11",
    "date!=*",
    "near=48.85,2.35,400km",
    "near!=48.85,2.35,400km",
    "near=*",
    "folder=Straße*",
    "folder=2021/rome",
    "folder=/2020",
    "folder=2*/r?me",
    "folder!=rome",
    "image=*.PNG",
    "image=rome/*6.jpg",
    "text=*dog*",
    "text=a 100% _dog_",
    "text=*cat*in*",
    "text!=*dog*",
    "width>=900.5",
    "width<1e30",
    "bytes<7kB",
    "latitude<48",
    "longitude!=*",
    "label=café",
    "label!=cat",
    "page=*WIKI*",
    "price<20",
    "price=8.5",
    "price!=8.5",
    "price=1*",
    "when>=2021",
    'fields.odd "name"\\=x*',
    "shop>m",
    "shop=*",
    "shop!=*",
]


def written(number: int) -> Written:
    draw = np.random.default_rng(number)
    folder = ["2020", "2021/Rome", "2021/rome/STRASSE 7", "other/2020", ""][number % 5]
    texts = [None, "a dog", "a 100% _Dog_\nat sea", "a cat\nin the snow", "a CAT in a hat", "nothing\tspecial"]
    return Written(
        key=f"{folder}/{number}{'.png' if number % 4 else '.jpg'}".lstrip("/"),
        text=texts[number % 6],
        label=[None, "cat", "Cafe\u0301", "dog"][number % 4],
        page=None if number % 3 else f"https://wiki.example/{number}",
        date=None if number % 7 == 0 else f"202{number % 4}-0{1 + number % 9}-11T10:00:00",
        place=None if number % 2 else (float(draw.uniform(44, 52)), float(draw.uniform(0, 5))),
        fields=[
            None,
            {"price": number / 2, "shop": "Zed & Sons"},
            {"price": str(number), "when": "2021-02-03", 'odd "name"\\': "xyz"},
            {"shop": "acme", "when": 2020, "price": [1, 2]},
        ][number % 4],
        width=600 + 10 * number,
    )


@pytest.fixture(scope="module")
def folder_for_both(tmp_path_factory):
    return tmp_path_factory.mktemp("both")


@pytest.fixture
def both(folder_for_both, write_vectors, texts_are_embedded):
    """A folder and a collection of the same 120 images; made once."""
    vectors, address = folder_for_both / "vectors", f"milvus:{folder_for_both}/store.db/photos"
    if not vectors.exists():
        write_vectors(vectors, [*map(written, range(120)), Written("copy.jpg", "a copy", "unlike 2020/5.png")])
        Index.build(vectors, to=folder_for_both / "photos.index")
        Index.build(vectors, to=address)
    return Index.open(folder_for_both / "photos.index"), Index.open(address)


def answer(index, query, **how):
    hits = index.search(query, **how)
    return [(hit.row, hit.image, hit.text, hit.within) for hit in hits], [hit.score for hit in hits]


def agree(both, query, **how):
    (found, scores), (expected, exact) = (answer(index, query, **how) for index in reversed(both))
    assert found == expected
    np.testing.assert_allclose(scores, exact, atol=1.1e-4)
    return expected


def test_the_same_hits_with_the_same_mark(both):
    within = [hit[-1] for query in range(20) for hit in agree(both, f"query {query}", top=15)]
    assert any(within) and not all(within)
    assert both[1].store.meta.mark.captions == both[0].store.meta.mark.captions


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_same_hits_under_a_condition(both, condition):
    expected = agree(both, "a query", where=[condition], top=200)
    assert 0 < len(expected) < 120 or condition == "width<1e30"


def test_the_same_hits_under_several_conditions_and_for_rows(both):
    agree(both, "a query", where=["date>=2021", "text=*dog*", "width<1500"], top=5)
    agree(both, "here - there", where=["folder=2*/r?me", "near=48.85,2.35,400km"], top=50)
    agree(both, Query(()), row=[3, 7], plus=["there"], top=12)


def test_rows_names_and_vectors_are_the_same(both):
    folder, collection = both
    assert len(collection) == len(folder) == 120 and collection.store.meta.columns == folder.store.meta.columns
    numbers = folder.store.numbers.tolist()
    assert collection.store.numbers.tolist() == numbers
    assert collection.store.rows(numbers[::-1]) == folder.store.rows(numbers[::-1])
    np.testing.assert_allclose(collection.vectors, folder.vectors, atol=1e-3)
    assert collection.sample(7) == folder.sample(7)
    assert collection.store.names(5) == folder.store.names(5)


@pytest.mark.parametrize("condition", ["width>=wide", "text<a", "date=yesterday", "colour=red", "near=here", "width>="])
def test_a_malformed_condition_is_refused_with_the_same_sentence(both, condition):
    told = []
    for index in both:
        with pytest.raises(UsageError) as raised:
            index.search("a query", where=[condition])
        told.append(str(raised.value))
    assert told[0] == told[1]


def test_more_than_a_server_returns_is_refused(both):
    assert len(both[1].search("a query", top=16_384)) == 120
    with pytest.raises(OpenAlignError, match="the most is 16,384"):
        both[1].search("a query", top=16_385)


def test_what_milvus_cannot_say_is_found_however_far_away_it_is(both, monkeypatch):
    """No best row holds, so that all are looked at."""
    monkeypatch.setattr("openalign.search.milvus.nearest._FEWEST", 1)
    monkeypatch.setattr("openalign.search.milvus.nearest.MOST_HITS", 20)
    monkeypatch.setattr("openalign.search.milvus.nearest._NAMED_AT_ONCE", 16)
    for query in range(5):
        agree(both, f"query {query}", where=["text=*cat*in*", "folder=2*/r?me"], top=4)


def test_a_row_that_is_not_there_is_an_error(both):
    for number in (-1, 120):
        assert not both[1].store.holds(number)
        with pytest.raises(OpenAlignError, match=f"row {number} is not in milvus:.* it has rows 0 to 119"):
            both[1].row(number)


@pytest.mark.parametrize("sort", ["date", "-name", "size"])
def test_the_same_order_and_no_duplicates_to_fold(both, sort):
    """Nothing that one of them knows of near-duplicates makes a difference here: there are no thumbnails."""
    agree(both, "a query", sort=sort, fold=True, top=30)


@pytest.mark.parametrize("condition", ["alike=3", "duplicates>=1", "duplicates!=*"])
def test_near_duplicates_are_not_known(both, condition):
    with pytest.raises(UsageError, match="near-duplicates are not known in Milvus"):
        both[1].search("a query", where=[condition])


def test_queries_are_not_saved_and_texts_have_no_vectors(both, lite, folder_for_both):
    with pytest.raises(OpenAlignError, match="no queries can be saved with it"):
        both[1].saved.names()
    with pytest.raises(UsageError, match="has no vectors of texts; only an index folder can have them"):
        both[1].search("a query", against="text")
    with pytest.raises(UsageError, match="a collection has no vectors of texts"):
        Index.build(folder_for_both / "vectors", to=lite, embed_texts=True)
