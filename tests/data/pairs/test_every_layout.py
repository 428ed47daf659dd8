"""In every layout that is read, the same data are the same pairs; with damage, what is lost is counted exactly."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from openalign.data.left_out import counted
from openalign.data.pairs.layouts.registry import LAYOUTS
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from tests.data.pairs.written import COLOURS, WRITERS, Sample, Writer, colour_of, curated_shards

pytestmark = pytest.mark.slow

WITHOUT_CAPTIONS = ("class-folders", "images")
FILES_BESIDE = ("metadata", "table-beside", "caption-files")
CASES = [
    pytest.param(layout, writer, id=f"{layout}-{number}")
    for layout, writers in WRITERS.items()
    for number, writer in enumerate(writers)
]
DAMAGED = [case for case in CASES if case.values[0] not in WITHOUT_CAPTIONS and case.values[1] is not curated_shards]
colours = st.sampled_from(sorted(COLOURS))
states = st.sampled_from([(True, True), (True, True), (True, False), (False, True)])
few = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_every_layout_has_a_writer() -> None:
    assert {layout.name for layout in LAYOUTS} == WRITERS.keys()


def found_in(pairs: Pairs) -> list[tuple[str, str]]:
    """(colour of the image, text) of every pair, sorted."""
    images = [colour_of(pairs.image_bytes(row)) for row in range(len(pairs))]
    return sorted(zip(images, pairs.texts(), strict=True))


def written(layout: str, samples: Sequence[Sample]) -> list[tuple[str, str]]:
    texts = {"class-folders": lambda each: each.colour, "images": lambda each: ""}
    text_of = texts.get(layout, lambda each: each.caption)
    return sorted((each.colour, text_of(each)) for each in samples)


@pytest.mark.parametrize(("layout", "writer"), CASES)
@few
@given(names=st.lists(colours, min_size=2, max_size=9))
def test_whole_data_are_the_same_pairs_in_every_layout(
    tmp_path_factory: pytest.TempPathFactory, layout: str, writer: Writer, names: list[str]
) -> None:
    assume(layout != "class-folders" or len(set(names)) > 1)
    samples = [Sample(number, colour) for number, colour in enumerate(names)]
    data = writer(samples, tmp_path_factory.mktemp("data") / "set")
    pairs = open_pairs(data, need_text=layout != "images")
    assert pairs.reading is not None and pairs.reading.layout == layout
    assert found_in(pairs) == written(layout, samples)
    assert counted(pairs.problems) == {}
    assert len(pairs.one_per_image()[0]) == len(samples)


@pytest.mark.parametrize(("layout", "writer"), DAMAGED)
@few
@given(each=st.lists(st.tuples(colours, states), min_size=2, max_size=12))
def test_what_is_kept_is_right_and_what_is_lost_is_counted(
    tmp_path_factory: pytest.TempPathFactory,
    layout: str,
    writer: Writer,
    each: list[tuple[str, tuple[bool, bool]]],
) -> None:
    samples = [Sample(number, colour, *state) for number, (colour, state) in enumerate(each)]
    whole = [sample for sample in samples if sample.is_whole]
    data = writer(samples, tmp_path_factory.mktemp("data") / "set")
    if not whole:
        with pytest.raises(OpenAlignError):
            # A table of Parquet, or captions alone, could be a whole data set: the images of these are refused.
            found_in(open_pairs(data, layout=layout))
        return
    pairs = open_pairs(data, layout=layout)
    assert found_in(pairs) == written(layout, whole)
    assert sum(counted(pairs.problems).values()) == len(samples) - len(whole)
    assert all("\n" not in problem for problem in pairs.problems)


@pytest.mark.parametrize("writer", [case.values[1] for case in CASES if case.values[0] in FILES_BESIDE])
@few
@given(names=st.lists(colours, min_size=3, max_size=8), lost=st.integers(0, 2))
def test_an_image_under_another_name_is_never_paired_with_another_text(
    tmp_path_factory: pytest.TempPathFactory, writer: Writer, names: list[str], lost: int
) -> None:
    samples = [Sample(number, colour) for number, colour in enumerate(names)]
    data = writer(samples, tmp_path_factory.mktemp("data") / "set")
    (image,) = data.rglob(f"{samples[lost].name}.png")
    image.rename(image.with_name("renamed.png"))
    pairs = open_pairs(data)
    kept = [sample for sample in samples if sample.number != lost]
    assert found_in(pairs) == written("", kept)
    assert sum(counted(pairs.problems).values()) == 2  # the text and the image are both alone
