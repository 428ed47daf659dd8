"""Members become samples whatever their order; names that come more than once never put a text to another image."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.shards.grouping import grouped
from openalign.data.shards.members import Member, parsed


def members(*names: str) -> list[Member]:
    return [Member(*parsed(name), offset=1024 * at, size=1, content=None) for at, name in enumerate(names)]


def shown(*names: str) -> list[tuple[str, list[str]]]:
    return [(key, sorted(sample)) for key, sample in grouped(members(*names)).samples]


def offsets(*names: str) -> tuple[list[dict[str, int]], int]:
    """The place of each sample's members among the names, and how many members are in none."""
    found = grouped(members(*names))
    samples = [{suffix: each.offset // 1024 for suffix, each in sample.items()} for _, sample in found.samples]
    return samples, len(found.repeated)


def test_parts_of_a_sample_are_brought_to_it() -> None:
    assert shown("a.seg.png", "a.jpg", "a.txt", "a.meta.json", "a.depth.raw.png") == [
        ("a", ["depth.raw.png", "jpg", "meta.json", "seg.png", "txt"])
    ]
    assert shown("1.left.jpg", "1.right.jpg", "1.txt") == [("1", ["left.jpg", "right.jpg", "txt"])]
    assert shown("a.jpg", "a.jpg.txt", "x.y/b.jpg", "x.y/b.txt") == [
        ("a", ["jpg", "jpg.txt"]),
        ("x.y/b", ["jpg", "txt"]),
    ]


def test_a_dot_in_a_name_is_not_the_end_of_its_key() -> None:
    assert shown("shop.jpg", "shop.txt", "shop.v2.jpg", "shop.v2.txt") == [
        ("shop", ["jpg", "txt"]),
        ("shop.v2", ["jpg", "txt"]),
    ]
    assert shown("img.jpg", "img.0002.jpg", "img.v3.jpg") == [
        ("img", ["jpg"]),
        ("img.0002", ["jpg"]),
        ("img.v3", ["jpg"]),
    ]
    assert shown("3.5 mm jack.png", "3.5 mm jack.txt") == [("3.5 mm jack", ["png", "txt"])]


@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_the_order_of_members_does_not_matter(draw: random.Random, count: int) -> None:
    names = [f"d/{i}.x.{suffix}" for i in range(count) for suffix in ("jpg", "txt", "json")]
    draw.shuffle(names)
    assert sorted(shown(*names)) == [(f"d/{i}.x", ["jpg", "json", "txt"]) for i in range(count)]


def test_joined_tars_give_two_samples_of_a_key() -> None:
    assert offsets("0.jpg", "0.txt", "1.jpg", "1.txt", "0.jpg", "0.txt") == (
        [{"jpg": 0, "txt": 1}, {"jpg": 2, "txt": 3}, {"jpg": 4, "txt": 5}],
        0,
    )
    assert offsets("0.jpg", "1.jpg", "0.txt", "1.txt", "0.jpg", "1.jpg", "0.txt", "1.txt") == (
        [{"jpg": 0, "txt": 2}, {"jpg": 1, "txt": 3}, {"jpg": 4, "txt": 6}, {"jpg": 5, "txt": 7}],
        0,
    )


@pytest.mark.parametrize(
    ("names", "samples"),
    [
        (
            ("0.jpg", "1.jpg", "0.jpg", "0.txt", "1.txt", "0.txt"),
            [{"jpg": 0, "txt": 3}, {"jpg": 1, "txt": 4}, {"jpg": 2, "txt": 5}],
        ),
        (("0.jpg", "0.jpg", "0.txt", "0.txt"), [{"jpg": 0, "txt": 2}, {"jpg": 1, "txt": 3}]),
        (("0.txt", "0.jpg", "0.jpg", "0.txt"), [{"txt": 0, "jpg": 1}, {"jpg": 2, "txt": 3}]),
    ],
)
def test_neighbours_by_accident_are_no_sample(names: tuple[str, ...], samples: list[dict[str, int]]) -> None:
    assert offsets(*names) == (samples, 0)


@pytest.mark.parametrize(
    ("names", "samples", "unused"),
    [
        (("0.jpg", "0.txt", "0.txt"), [], 3),
        (("1.jpg", "0.jpg", "0.txt", "1.txt", "0.txt"), [{"jpg": 0, "txt": 3}], 3),
        (("0.jpg", "0.txt", "1.jpg", "1.txt", "0.txt"), [{"jpg": 0, "txt": 1}, {"jpg": 2, "txt": 3}], 1),
        (("0.jpg", "0.txt", "1.jpg", "1.txt", "0.jpg"), [{"jpg": 0, "txt": 1}, {"jpg": 2, "txt": 3}], 1),
        (("0.jpg", "1.jpg", "0.jpg", "1.txt", "0.txt"), [{"jpg": 1, "txt": 3}], 3),
        (("0.jpg", "1.jpg", "0.jpg"), [{"jpg": 0}, {"jpg": 1}, {"jpg": 2}], 0),
    ],
)
def test_members_that_no_sample_can_be_told_for_are_not_used(
    names: tuple[str, ...], samples: list[dict[str, int]], unused: int
) -> None:
    assert offsets(*names) == (samples, unused)
