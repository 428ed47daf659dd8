"""The map of an index: when it is made, where new images go, what lies in a region of it."""

import io
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.errors import OpenAlignError, UsageError
from openalign.search import Index
from openalign.search.map import Cluster
from openalign.search.map.file import MapContent, read_content, write_content
from openalign.search.map.opened import opened
from tests import preloaded

COLOURS = ["red", "green", "blue", "yellow", "violet", "white"]


@pytest.fixture
def many(tmp_path: Path, paint) -> Path:
    """60 painted images, ten of each colour, in slightly different sizes."""
    for number in range(60):
        paint(tmp_path / "many" / f"{number:02}.png", COLOURS[number % 6], size=(60 + number, 50))
    return tmp_path / "many"


def positions(index: Index) -> dict[str, tuple[float, ...]]:
    """Where each image lies, by its name."""
    assert index.map is not None
    names = [Path(row.image).name for row in index.store.rows(index.map.rows_N.tolist())]
    return dict(zip(names, map(tuple, index.map.at_N2.tolist()), strict=True))


def test_ten_images_have_a_map_and_nine_have_none(many, tmp_path, paint_encoder):
    for path in sorted(many.iterdir())[9:]:
        path.rename(tmp_path / path.name)
    assert Index.build(many, model=paint_encoder, to=tmp_path / "i").map is None
    (tmp_path / "10.png").rename(many / "10.png")
    index = Index.build(many, model=paint_encoder, to=tmp_path / "i")
    assert index.map is not None
    assert len(index.map.rows_N) == 10
    (many / "10.png").unlink()
    assert Index.build(many, model=paint_encoder, to=tmp_path / "i").map is None
    assert not list((tmp_path / "i").glob("map*"))


@pytest.mark.slow
def test_a_new_image_lies_beside_its_neighbours_and_nothing_else_moves(many, tmp_path, paint, paint_encoder):
    before = positions(Index.build(many, model=paint_encoder, to=tmp_path / "i"))
    paint(many / "new-red.png", "red", size=(200, 51))
    paint(many / "new-blue.png", "blue", size=(201, 51))
    after = positions(Index.build(many, model=paint_encoder, to=tmp_path / "i"))
    assert {name: after[name] for name in before} == before
    for name, colour in [("new-red.png", 0), ("new-blue.png", 2)]:
        away = {each: np.hypot(*np.subtract(at, after[name])) for each, at in before.items()}
        nearest = min(away, key=away.__getitem__)
        assert int(Path(nearest).stem) % 6 == colour
        assert away[nearest] > 0, "it covers no other image"


@pytest.mark.slow
@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_map_is_laid_out_again_when_a_tenth_has_changed(many, tmp_path, paint, paint_encoder, change):
    first = positions(Index.build(many, model=paint_encoder, to=tmp_path / "i"))

    def changed(numbers) -> dict[str, tuple[float, ...]]:
        for number in numbers:
            if change == "added":
                paint(many / f"n{number}.png", "red", size=(300 + number, 52))
            else:
                (many / f"{number:02}.png").unlink()
        return positions(Index.build(many, model=paint_encoder, to=tmp_path / "i"))

    some = changed([11, 13, 15])
    assert all(some[name] == first[name] for name in set(some) & set(first))
    again = changed([21, 23, 25, 27])  # with those before, more than a tenth
    assert any(again[name] != first[name] for name in set(again) & set(first))


@pytest.mark.slow
def test_map_makes_it_anew_and_no_map_leaves_it(many, tmp_path, paint, paint_encoder):
    first = Index.build(many, model=paint_encoder, to=tmp_path / "i")
    paint(many / "new.png", "red", size=(200, 51))
    left = Index.build(many, model=paint_encoder, to=tmp_path / "i", map_=False)
    assert len(left.map.rows_N) == len(left) - 1 == 60
    placed = Index.build(many, model=paint_encoder, to=tmp_path / "i")
    assert positions(placed).keys() - positions(first).keys() == {"new.png"}
    anew = Index.build(many, model=paint_encoder, to=tmp_path / "i", map_=True)
    assert positions(anew) != positions(placed)
    assert Index.build(many, model=paint_encoder, to=tmp_path / "other", map_=False).map is None


@pytest.mark.slow
def test_a_map_survives_that_rows_are_numbered_anew(many, tmp_path, paint_encoder):
    Index.build(many, model=paint_encoder, to=tmp_path / "i")
    for number in range(0, 60, 3):  # a third of them: the index is compacted
        (many / f"{number:02}.png").unlink()
    index = Index.build(many, model=paint_encoder, to=tmp_path / "i", map_=False)
    assert index.store.meta.generation == 2
    assert positions(index).keys() == {path.name for path in many.glob("*.png")}


@pytest.mark.slow
def test_a_damaged_map_fails_where_it_is_asked_for_and_is_made_again(many, tmp_path, paint_encoder):
    Index.build(many, model=paint_encoder, to=tmp_path / "i")
    (path,) = (tmp_path / "i").glob("map.*.parquet")
    path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
    damaged = Index.open(tmp_path / "i", paint_encoder)
    assert len(damaged.search("red")) == 10
    with pytest.raises(OpenAlignError, match="index again, which makes the map again"):
        _ = damaged.map
    path.unlink()
    with pytest.raises(OpenAlignError, match="cannot be read"):
        _ = Index.open(tmp_path / "i").map
    assert positions(Index.build(many, model=paint_encoder, to=tmp_path / "i", map_=None))


@pytest.mark.slow
def test_a_snapshot_keeps_the_map_of_its_time(many, tmp_path, paint, paint_encoder):
    before = Index.build(many, model=paint_encoder, to=tmp_path / "i")
    paint(many / "new.png", "red", size=(200, 51))
    Index.build(many, model=paint_encoder, to=tmp_path / "i")
    assert len(before.map.rows_N) == 60


def test_images_of_a_region_are_found_together_with_other_conditions(many, tmp_path, paint_encoder):
    index = Index.build(many, model=paint_encoder, to=tmp_path / "i")
    (x1, y1), (x2, y2) = index.map.at_N2.min(0) - 1, index.map.at_N2.max(0) + 1
    everything = f"region={x1},{y1},{x2},{y1},{x2},{y2},{x1},{y2}"
    assert len(index.store.matching([everything])) == 60
    assert len(index.store.matching([everything, "width>=100"])) == 20
    assert len(index.search("red", where=[everything, "width>=100"], top=60)) == 20
    number = int(index.map.cluster_N[index.map.cluster_N >= 0][0])
    inside = index.store.matching([f"region={number}"])
    assert len(inside) == index.map.clusters[number].images > 0


@pytest.mark.parametrize(
    "region",
    ["0,0,1,1", "0,0,1,1,2", "a", "", "nan,0,1,1,0,1", "1e308,-1e308,-1e308,-1e308,0,1", ",".join(["1"] * 402)],
)
def test_what_is_no_region_is_named(region):
    with pytest.raises(UsageError, match="a region of the map is the number of a cluster, or x1,y1"):
        map_of(np.zeros((3, 2), np.float32)).within(region)


@pytest.mark.parametrize("number", ["99999", "1.5", "-1", "1e400", "nan"])
def test_a_cluster_that_does_not_exist_is_named(number):
    with pytest.raises(UsageError, match="The map has no cluster"):
        map_of(np.zeros((3, 2), np.float32)).within(number)


def test_a_region_of_an_index_without_a_map_is_refused(photos, tmp_path, paint_encoder):
    index = Index.build(photos, model=paint_encoder, to=tmp_path / "i")
    with pytest.raises(UsageError, match="has no map"):
        index.search("red", where=["region=0"])


corner = st.tuples(*[st.integers(-20, 20).map(lambda value: value / 2)] * 2)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(corners=st.lists(corner, min_size=3, max_size=9), seed=st.integers(0, 99))
def test_a_polygon_holds_the_points_that_a_comparison_one_by_one_finds(corners, seed):
    at = np.random.default_rng(seed).uniform(-11, 11, (80, 2)).astype(np.float32)
    found = map_of(at).within(",".join(f"{x},{y}" for x, y in corners))
    assert found.tolist() == [row for row, point in enumerate(at.tolist()) if winding_parity(point, corners)]


def winding_parity(point, corners) -> bool:
    """Whether a ray downwards crosses the sides an odd number of times."""
    x, y = point
    crossed = 0
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if min(x1, x2) <= x < max(x1, x2) and y1 + (x - x1) * (y2 - y1) / (x2 - x1) < y:
            crossed += 1
    return crossed % 2 == 1


def map_of(at: np.ndarray):
    ids = np.arange(len(at))
    content = MapContent(ids, at, np.full(len(at), -1, np.int32), np.ones(len(at), bool), (Cluster("a", -1, 0, 0, 0),))
    buffer = io.BytesIO()
    write_content(content, buffer)
    return opened(buffer.getvalue(), "v", ids, ids)


def test_a_written_map_is_read_as_it_was(tmp_path):
    at = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    clusters = (Cluster("größe, 猫", -1, 1.5, 2.0, 3), Cluster("b", 0, 0.0, 0.0, 2))
    cluster_N, laid_N = np.array([0, 1, 1, -1, 0], np.int32), np.array([1, 1, 0, 1, 1], bool)
    content = MapContent(np.array([1, 2, 4, 8, 9]), at, cluster_N, laid_N, clusters)
    write_content(content, tmp_path / "map.parquet")
    read = read_content((tmp_path / "map.parquet").read_bytes())
    assert read.clusters == clusters
    for name in ("ids_N", "at_N2", "cluster_N", "laid_N"):
        assert np.array_equal(getattr(read, name), getattr(content, name))
    assert read.inside(0).tolist() == [True, True, True, False, True]


KILLED = """
import os, signal, sys
import numpy as np
from pathlib import Path
from openalign.search.store.writer import IndexWriter
from openalign.search.map import make
written = make.write_content
when = sys.argv[2]
def write(content, path):
    if when == "in the file":
        Path(path).write_bytes(b"half a m")
        os.kill(os.getpid(), signal.SIGKILL)
    written(content, path)
make.write_content = write
if when == "before it counts":
    IndexWriter.put_map = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
captions = np.ones((369, int(sys.argv[3])), np.float32)
make.bring_map_up_to_date(IndexWriter(Path(sys.argv[1])), lambda: captions, anew=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")
@pytest.mark.parametrize("when", ["in the file", "before it counts"])
def test_a_kill_while_the_map_is_written_leaves_the_map_before(many, tmp_path, paint_encoder, when):
    before = positions(Index.build(many, model=paint_encoder, to=tmp_path / "i"))
    ended = preloaded.run([sys.executable, "-c", KILLED, tmp_path / "i", when, paint_encoder.width], timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert positions(Index.open(tmp_path / "i")) == before
    again = Index.build(many, model=paint_encoder, to=tmp_path / "i")
    assert positions(again) == before
    assert len(list((tmp_path / "i").glob("*map*"))) == 1
