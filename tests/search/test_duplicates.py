import io
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from openalign.errors import OpenAlignError, UsageError
from openalign.search import Index
from openalign.search.derived.grouping import MOST_CANDIDATES, closest_before, sketch_of
from openalign.search.store.groups import Groups


def picture(seed: int) -> Image.Image:
    """A picture with structure at every scale, unlike that of another seed."""
    random = np.random.default_rng(seed)
    layers = [Image.fromarray(random.integers(0, 255, (size, size, 3), np.uint8)) for size in (4, 8, 16)]
    return Image.fromarray(
        np.mean([np.asarray(each.resize((240, 200), Image.Resampling.BICUBIC), float) for each in layers], 0).astype(
            np.uint8
        )
    )


def changed(image: Image.Image, how: str) -> Image.Image:
    width, height = image.size
    if how == "cropped":
        return image.crop((5, 5, width - 5, height - 5))
    if how == "smaller":
        return image.resize((width // 2, height // 2))
    return {"grey": image.convert("L"), "brighter": ImageEnhance.Brightness(image).enhance(1.1)}[how]


def saved(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert("RGB").save(path, quality=88)


def names_of(index: Index, rows) -> set[str]:
    return {Path(index.row(int(row)).image).stem for row in rows}


@pytest.fixture
def copies(tmp_path: Path, paint_encoder) -> Index:
    """Three pictures: `a` with three changed copies, `b` with one, `c` with none."""
    for name, seed, changes in (("a", 1, ("cropped", "smaller", "brighter")), ("b", 2, ("grey",)), ("c", 3, ())):
        saved(picture(seed), tmp_path / "photos" / f"{name}.jpg")
        for how in changes:
            saved(changed(picture(seed), how), tmp_path / "photos" / f"{name}-{how}.jpg")
    return Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "copies.index")


def grouped(index: Index) -> set[frozenset[str]]:
    return {frozenset(names_of(index, rows)) for rows in index.store.groups.members.values()}


EXPECTED = {frozenset({"a", "a-cropped", "a-smaller", "a-brighter"}), frozenset({"b", "b-grey"})}


def test_changed_copies_of_a_picture_are_one_group_and_other_pictures_are_none(copies):
    assert grouped(copies) == EXPECTED
    copies.store.check_thoroughly()


@pytest.mark.slow
def test_adding_images_one_by_one_finds_the_same_groups(tmp_path, copies, paint_encoder):
    for path in sorted((tmp_path / "photos").iterdir()):
        saved(Image.open(path), tmp_path / "grown" / path.name)
        (tmp_path / "grown" / path.name).write_bytes(path.read_bytes())
        index = Index.build(tmp_path / "grown", model=paint_encoder, to=tmp_path / "grown.index")
    assert grouped(index) == EXPECTED


@pytest.mark.parametrize(("removed", "left"), [(["a"], 3), (["a", "a-cropped", "a-smaller"], 0), (["a-brighter"], 3)])
def test_a_group_loses_images_that_are_removed_and_one_alone_is_none(tmp_path, copies, paint_encoder, removed, left):
    for name in removed:
        (tmp_path / "photos" / f"{name}.jpg").unlink()
    saved(picture(7), tmp_path / "photos" / "a-new.jpg")  # may get the id of one that is gone
    index = Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "copies.index")
    (group,) = [each for each in grouped(index) if "b" not in each] or [frozenset()]
    assert len(group) == left and "a-new" not in group
    index.store.check_thoroughly()


def test_near_duplicates_are_folded_into_the_best_hit_and_counted(copies):
    hits = copies.search("red", top=3, fold=True)
    assert sorted((Path(hit.image).stem[0], hit.alike) for hit in hits) == [("a", 3), ("b", 1), ("c", 0)]
    every = copies.search("red", top=7)
    assert [hit.alike for hit in every] == [0] * 7
    assert hits[0].row == every[0].row


def test_only_near_duplicates_that_meet_the_conditions_are_counted(copies):
    (hit,) = copies.search("red", where=["image=a-*"], fold=True)
    assert hit.alike == 2


def test_near_duplicates_are_listed_and_found_by_a_condition(copies):
    row = next(each.row for each in copies.sample(7) if each.image.endswith("b.jpg"))
    assert names_of(copies, (each.row for each in copies.alike(row))) == {"b-grey"}
    found = copies.search("red", where=[f"alike={row}"], fold=True, top=10)
    assert names_of(copies, (hit.row for hit in found)) == {"b", "b-grey"}
    with pytest.raises(OpenAlignError, match="row 99 is not in"):
        copies.alike(99)


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        *(("duplicates=*", 6), ("duplicates!=*", 1), ("duplicates>=1", 6), ("duplicates=0", 1), ("duplicates=3", 4)),
        *(("duplicates<3", 3), ("duplicates!=1", 5), ("alike!=*", 1), ("duplicates>=0", 7), ("duplicates>3", 0)),
    ],
)
def test_conditions_count_near_duplicates(copies, condition, count):
    assert len(copies.store.matching([condition])) == count


@pytest.mark.parametrize("condition", ["alike=x", "alike>1", "alike=-1", "alike=1.5", "duplicates>many"])
def test_a_wrong_condition_on_near_duplicates_is_refused(copies, condition):
    with pytest.raises(UsageError, match=r"as in `alike=17`|such as `duplicates>=1`"):
        copies.store.matching([condition])


def test_pictures_that_show_nothing_are_near_duplicates_of_nothing(tmp_path, paint_encoder):
    for number, colour in enumerate(("red", "red", "blue", "white", "white")):
        saved(Image.new("RGB", (50 + number, 50), colour), tmp_path / "photos" / f"{number}.png")
    assert not Index.build(tmp_path / "photos", model=paint_encoder, to=tmp_path / "i").store.groups.members
    assert sketch_of(b"no image") is None


def test_many_equal_hashes_take_a_time_in_proportion_to_their_number():
    asked = []

    def thumbnail(id_: int) -> bytes:
        asked.append(id_)
        file = io.BytesIO()
        picture(id_).save(file, "JPEG")
        return file.getvalue()

    ids = np.arange(1, 101)
    assert list(closest_before(ids, np.zeros(100, np.int64), 99, lambda _: bytes(range(64)), thumbnail)) == []
    assert len(set(asked)) == 1 + MOST_CANDIDATES


def test_a_changed_group_is_told(copies, paint_encoder):
    table = sqlite3.connect(copies.store.folder / "rows.sqlite")
    table.execute("UPDATE alike SET leader = (SELECT max(id) FROM images)")
    table.commit()
    table.close()
    with pytest.raises(OpenAlignError, match="its near-duplicates have changed"):
        Index.open(copies.store.folder, paint_encoder).search("red", fold=True)


def test_a_row_without_near_duplicates_is_a_group_of_its_own():
    groups = Groups.from_leaders(np.array([9, 4, 7, 2]), np.array([5, 5, 1, 1]))
    assert [groups.of(row) for row in (9, 4, 7, 2, 3)] == [4, 4, 2, 2, 3]
    assert groups.with_row(7).tolist() == [2, 7] and groups.with_row(3).tolist() == [3]
