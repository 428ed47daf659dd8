"""Random tars: each text stands with its own picture, and what is lost is counted exactly."""

import random
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.left_out import counted
from openalign.data.pairs.open import open_pairs
from openalign.errors import OpenAlignError
from tests.data.shards.tars import fields, jpeg, tar_of

pytestmark = pytest.mark.slow

Member = tuple[str, bytes]
Sample = list[Member]
Pair = tuple[int, str]


def words(number: int) -> str:
    return f"the picture of number {number}"


def sound(draw: random.Random, number: int) -> tuple[Sample, list[Pair]]:
    """A sample that can be read, in one of its forms, and its pairs."""
    key = draw.choice(["{}", "d/{}", "./{}", "shop.v{}", "x.y/{}.z"]).format(number)
    image = (f"{key}.{draw.choice(['jpg', 'JPG', 'png', 'webp'])}", jpeg(number))
    text = words(number)
    told = fields(width=number, url="https://example.org/page", url_2=draw.choice(["a", None, 3, [1]]))
    form = draw.randrange(4)
    if form == 0:
        return [image, (f"{key}.txt", text.encode())], [(number, text)]
    if form == 1:
        return [image, (f"{key}.txt", text.encode("utf-8-sig")), (f"{key}.json", told)], [(number, text)]
    if form == 2:
        return [image, (f"{key}.json", fields(caption=text, n=number))], [(number, text)]
    captions = [f"{text}, caption {i}" for i in range(draw.randrange(1, 4))]
    return [image, (f"{key}.json", fields(caption=captions))], [(number, each) for each in captions]


def unsound(draw: random.Random, number: int) -> tuple[Sample, list[Pair], str]:
    """A sample of which something is lost, its pairs, and the kind of what is lost."""
    key, text = f"u{number}", words(number).encode()
    image = (f"{key}.jpg", jpeg(number))
    kinds: list[tuple[Sample, list[Pair], str]] = [
        ([image], [], "rows without a text"),
        ([image, (f"{key}.txt", b"  \n")], [], "rows without a text"),
        ([(f"{key}.txt", text)], [], "samples without an image"),
        ([(f"{key}.jxl", b"x"), (f"{key}.txt", text)], [], "images of a format that is not read"),
        ([image, (f"{key}.txt", b"\0\1\2")], [], "texts that cannot be read"),
        ([image, (f"{key}.json", b'{"caption": ')], [], "metadata that cannot be read"),
        (
            [image, (f"{key}.npy", b"x"), (f"{key}.txt", text)],
            [(number, text.decode())],
            "tar members of a kind that is not read",
        ),
        (
            [image, (f"{key}.mask.png", b"x"), (f"{key}.txt", text)],
            [(number, text.decode())],
            "further images of a sample",
        ),
        (
            [image, (f"._{key}.jpg", b"mac"), (f"{key}.txt", text)],
            [(number, text.decode())],
            "hidden files, thumbnails and files of other programs",
        ),
    ]
    return draw.choice(kinds)


def ordered(members: list[Member], draw: random.Random) -> list[Member]:
    """Samples one by one, or members by kind, or in any order."""
    orders = (members, sorted(members, key=lambda each: each[0][-3:]), draw.sample(members, len(members)))
    return draw.choice(orders)


def pairs_in(source: Path) -> Counter[Pair]:
    pairs = open_pairs(source)
    numbers = [int(pairs.image_bytes(row).rpartition(b"\xff\xd9")[2]) for row in range(len(pairs))]
    return Counter(zip(numbers, pairs.texts(), strict=True))


@given(
    draw=st.randoms(use_true_random=False),
    counts=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 4)), min_size=1, max_size=3),
)
def test_pairs_are_right_and_losses_counted_in_any_order_of_members(
    tmp_path_factory: pytest.TempPathFactory, draw: random.Random, counts: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    expected: Counter[Pair] = Counter()
    lost: Counter[str] = Counter()
    number = 0
    for tar, (some, others) in enumerate(counts):
        members: list[Member] = []
        for _ in range(some):
            sample, pairs = sound(draw, number := number + 1)
            members += sample
            expected.update(pairs)
        for _ in range(others):
            sample, pairs, kind = unsound(draw, number := number + 1)
            members += sample
            expected.update(pairs)
            lost[kind] += 1
        members = ordered(members, draw)
        tar_of(
            folder / f"{tar}.tar", members, draw.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
        )
    assert pairs_in(folder) == expected
    assert counted(open_pairs(folder).problems) == lost


@given(draw=st.randoms(use_true_random=False), count=st.integers(2, 6), share=st.floats(0, 1), shuffled=st.booleans())
def test_of_a_cut_off_tar_the_whole_samples_are_kept(
    tmp_path_factory: pytest.TempPathFactory, draw: random.Random, count: int, share: float, shuffled: bool
) -> None:
    members = [
        member
        for number in range(count)
        for member in ((f"{number}.jpg", jpeg(number)), (f"{number}.txt", words(number).encode()))
    ]
    if shuffled:
        draw.shuffle(members)
    tar = tar_of(tmp_path_factory.mktemp("cut") / "0.tar", members)
    with tarfile.open(tar) as opened:
        ends = {member.name: member.offset_data + member.size for member in opened}
    end = int(share * max(ends.values()))
    tar.write_bytes(tar.read_bytes()[:end])
    whole = [n for n in range(count) if ends[f"{n}.jpg"] <= end and ends[f"{n}.txt"] <= end]
    try:
        found = pairs_in(tar)
    except OpenAlignError as error:
        assert not whole
        assert "\n" not in str(error)
        return
    assert found == Counter((number, words(number)) for number in whole)
    lost = counted(open_pairs(tar).problems)
    assert lost["samples lost where a file is cut off"] >= 1
    if not shuffled:
        assert lost == {"samples lost where a file is cut off": 1}
