"""Tars as other tools write them: what is read, and what is left out with its number."""

import tarfile
from pathlib import Path

import pytest

from openalign.data.left_out import Kind, counted
from openalign.data.pairs.open import open_pairs
from openalign.data.pairs.pairs import Pairs
from openalign.errors import OpenAlignError
from tests.data.shards.tars import fields, jpeg, tar_of


def pictured(pairs: Pairs) -> list[tuple[int, str]]:
    """The number that `jpeg` put into each picture, and the text beside it."""
    numbers = [int(pairs.image_bytes(row).rpartition(b"\xff\xd9")[2]) for row in range(len(pairs))]
    return list(zip(numbers, pairs.texts(), strict=True))


def test_members_may_come_in_any_order_and_in_folders(tmp_path: Path) -> None:
    tar = tar_of(
        tmp_path / "0.tar",
        {"./a/1.txt": b"one", "./a/0.jpg": jpeg(0), "./a/1.jpg": jpeg(1), "b/0.jpg": jpeg(2)}
        | {"b/0.txt": b"two", "a/0.txt": b"zero"},
    )
    pairs = open_pairs(tar)
    assert sorted(pictured(pairs)) == [(0, "zero"), (1, "one"), (2, "two")]
    assert not pairs.problems
    assert set(pairs.table["image"].to_pylist()) == {"0.tar/a/0.jpg", "0.tar/a/1.jpg", "0.tar/b/0.jpg"}


def test_hidden_members_links_and_unknown_kinds_are_counted(tmp_path: Path) -> None:
    members = {"a.jpg": jpeg(0), "a.txt": b"zero", "a.npy": b"x", "a.mp4": b"y", "b.npy": b"z", "README": b"r"}
    hidden = {"._a.jpg": b"mac", "__MACOSX/._a.txt": b"mac", ".DS_Store": b"mac", "@eaDir/a.jpg/SYNO.jpg": jpeg(9)}
    tar = tar_of(tmp_path / "0.tar", hidden | members)
    with tarfile.open(tar, "a") as opened:
        for name, kind in (("soft.jpg", tarfile.SYMTYPE), ("hard.jpg", tarfile.LNKTYPE), ("hard.txt", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, f"a{name[-4:]}"
            opened.addfile(link)
        folder = tarfile.TarInfo("folder.jpg")
        folder.type = tarfile.DIRTYPE
        opened.addfile(folder)
    pairs = open_pairs(tar)
    assert pictured(pairs) == [(0, "zero"), (0, "zero")]  # a hard link has its bytes in the tar
    assert counted(pairs.problems) == {
        "hidden files, thumbnails and files of other programs": 4,
        "tar members of a kind that is not read": 4,
        "links that are not followed": 1,
    }


def test_one_image_of_several_is_taken_by_the_order_or_as_asked(tmp_path: Path) -> None:
    members = {}
    for i in range(3):
        members |= {f"{i}.seg.png": jpeg(30 + i), f"{i}.png": jpeg(20 + i), f"{i}.jpg": jpeg(i), f"{i}.txt": b"%d" % i}
    tar = tar_of(tmp_path / "0.tar", members | {"9.jpg": jpeg(9), "9.txt": b"9"})
    pairs = open_pairs(tar)
    assert pictured(pairs) == [(0, "0"), (1, "1"), (2, "2"), (9, "9")]
    assert counted(pairs.problems) == {"further images of a sample": 6}
    for asked, first in (("png", 20), (".PNG", 20), ("seg.png", 30)):
        pairs = open_pairs(tar, image_column=asked)
        assert pictured(pairs) == [(first + i, str(i)) for i in range(3)]
        assert counted(pairs.problems) == {"further images of a sample": 6, "samples without an image": 1}
    with pytest.raises(OpenAlignError, match=r"has no images \.webp: its images end with \.jpg, \.png, \.seg\.png"):
        open_pairs(tar, image_column="webp")


def test_samples_without_a_readable_image_are_counted_once(tmp_path: Path) -> None:
    members = {"a.jpg": jpeg(0), "a.txt": b"zero", "b.txt": b"one", "c.jxl": b"x", "c.txt": b"two"}
    pairs = open_pairs(tar_of(tmp_path / "0.tar", members | {"d.svg": b"<svg/>", "d.json": b"{}", "e.json": b"{}"}))
    assert pictured(pairs) == [(0, "zero")]
    assert counted(pairs.problems) == {"images of a format that is not read": 2, "samples without an image": 2}


def captioned(folder: Path) -> Path:
    return tar_of(
        folder / "0.tar",
        {"0.jpg": jpeg(0), "0.txt": b"IMG 1", "0.json": fields(recaption="zero", alt={"en": "null"}, tags=["a", "b"])}
        | {"1.jpg": jpeg(1), "1.txt": b"IMG 2", "1.json": fields(recaption="one", alt={"en": "eins"}, tags=["c"])},
    )


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        ("recaption", [(0, "zero"), (1, "one")]),
        ("alt.en", [(0, "null"), (1, "eins")]),
        ("tags", [(0, "a"), (0, "b"), (1, "c")]),
        ("txt", [(0, "IMG 1"), (1, "IMG 2")]),
    ],
)
def test_texts_are_taken_from_the_field_that_is_asked_for(
    tmp_path: Path, column: str, texts: list[tuple[int, str]]
) -> None:
    assert pictured(open_pairs(captioned(tmp_path), text_column=column)) == texts


def test_a_field_that_does_not_exist_or_is_an_object_is_an_error(tmp_path: Path) -> None:
    tar = captioned(tmp_path)
    with pytest.raises(OpenAlignError, match=r"no texts 'nonsense': .* \.txt, recaption, tags, alt\.en"):
        open_pairs(tar, text_column="nonsense")
    with pytest.raises(OpenAlignError, match="the field alt of sample 0 is an object: name a field in it"):
        open_pairs(tar, text_column="alt")
    # A tar without the field is not an error beside one with it: its rows are counted.
    tar_of(tmp_path / "1.tar", {"2.jpg": jpeg(2), "2.txt": b"IMG 3"})
    pairs = open_pairs(tmp_path, text_column="recaption")
    assert pictured(pairs) == [(0, "zero"), (1, "one")]
    assert counted(pairs.problems) == {"rows without a text": 1}


@pytest.mark.parametrize("name", ["caption", "TEXT", "alt"])
def test_captions_in_json_alone_are_found_by_usual_names(tmp_path: Path, name: str) -> None:
    members = {"0.jpg": jpeg(0), "0.json": fields(id=7, **{name: "zero"})}
    members |= {"1.jpg": jpeg(1), "1.json": fields(id=8, **{name: ["one", "uno"]})}
    pairs = open_pairs(tar_of(tmp_path / "0.tar", members | {"2.jpg": jpeg(2), "2.json": fields(id=9)}))
    assert pictured(pairs) == [(0, "zero"), (1, "one"), (1, "uno")]
    assert counted(pairs.problems) == {"rows without a text": 1}
    assert any(f"texts are taken from the field {name!r}" in problem for problem in pairs.problems)
    pairs, texts = open_pairs(tmp_path / "0.tar", need_text=False).one_per_image()
    assert texts == [["zero"], ["one", "uno"], []]


def test_lists_of_captions_in_a_text_or_alone_in_a_json_are_read(tmp_path: Path) -> None:
    members = {"0.jpg": jpeg(0), "0.txt": b'["a", "b"]\n', "1.jpg": jpeg(1), "1.txt": b'["c"]'}
    assert pictured(open_pairs(tar_of(tmp_path / "0.tar", members))) == [(0, "a"), (0, "b"), (1, "c")]
    members = {"0.jpg": jpeg(0), "0.json": b'["a", "b"]', "1.jpg": jpeg(1), "1.json": b'"c"'}
    assert pictured(open_pairs(tar_of(tmp_path / "0.tar", members))) == [(0, "a"), (0, "b"), (1, "c")]
    members = {"0.jpg": jpeg(0), "0.txt": b"[a] tag", "1.jpg": jpeg(1), "1.txt": b"plain\n  and wrapped"}
    assert open_pairs(tar_of(tmp_path / "0.tar", members), text_column="txt").texts() == [
        "[a] tag",
        "plain and wrapped",
    ]


def test_what_is_taken_is_told(tmp_path: Path) -> None:
    tar = captioned(tmp_path)
    assert open_pairs(tar).columns == {"image": ".jpg", "text": ".txt"}
    assert open_pairs(tar, text_column="recaption").columns == {"image": ".jpg", "text": "recaption"}
    tar_of(tar, {"0.png": jpeg(0), "0.json": fields(TEXT="a"), "0.cls": b"dog"})
    assert open_pairs(tar).columns == {"image": ".png", "text": "TEXT", "label": ".cls"}


def test_a_caption_a_line_is_a_row_for_each(tmp_path: Path) -> None:
    members = {"a.jpg": jpeg(0), "a.txt": b"ein Hund\nzwei Hunde\n", "b.jpg": jpeg(1), "b.txt": b"drei Katzen"}
    tar = tar_of(tmp_path / "0.tar", members)
    pairs = open_pairs(tar)
    assert pictured(pairs) == [(0, "ein Hund"), (0, "zwei Hunde"), (1, "drei Katzen")]
    assert len(set(pairs.image_ids(pairs.source_rows).tolist())) == 2
    assert "each line of a text is a caption, 3 of 2 images" in pairs.problems[0]
    assert not counted(pairs.problems)
    assert len(open_pairs(tar, text_column="txt")) == 2


@pytest.mark.parametrize("place", ["beside", "above", "in the tar"])
def test_labels_have_the_names_of_their_classes(tmp_path: Path, place: str) -> None:
    names = b"red apple\nwhite horse, standing\n"
    members = {"0.jpg": jpeg(0), "0.cls": b"1\n", "1.jpg": jpeg(1), "1.cls": b"0"}
    tar_of(tmp_path / "test" / "0.tar", members | ({"classnames.txt": names} if place == "in the tar" else {}))
    if place != "in the tar":
        (tmp_path / ("test" if place == "beside" else ".") / "classnames.txt").write_bytes(names)
    for source in (tmp_path, tmp_path / "test", tmp_path / "test" / "0.tar"):
        pairs = open_pairs(source)
        assert pairs.table["label"].to_pylist() == ["white horse, standing", "red apple"]
        assert pictured(pairs) == [(0, "white horse, standing"), (1, "red apple")]


def test_labels_without_names_stay_numbers_and_are_no_texts(tmp_path: Path) -> None:
    members = {"0.jpg": jpeg(0), "0.cls": b"1", "1.jpg": jpeg(1), "1.cls": b"2"}
    tar = tar_of(tmp_path / "0.tar", members)
    pairs = open_pairs(tar, need_text=False)
    assert pairs.table["label"].to_pylist() == ["1", "2"]
    assert pairs.texts() == ["", ""]
    assert "no classnames.txt names the classes" in pairs.problems[0]
    with pytest.raises(OpenAlignError, match="2 images but no texts"):
        open_pairs(tar)
    (tmp_path / "classnames.txt").write_text("zero\none\n")
    pairs = open_pairs(tar, need_text=False)
    assert pairs.table["label"].to_pylist() == ["one", None]
    assert "1 labels are not among the 2 names" in pairs.problems[0]


def test_a_number_that_no_class_name_belongs_to_is_no_text(tmp_path: Path) -> None:
    labels = [b"1", b"7", b"-1", b"12345678901", b""]
    members = [each for at, label in enumerate(labels) for each in ((f"{at}.jpg", jpeg(at)), (f"{at}.cls", label))]
    tar_of(tmp_path / "0.tar", members)
    (tmp_path / "classnames.txt").write_text("zero\none\n")
    pairs = open_pairs(tmp_path)
    assert pictured(pairs) == [(0, "one")]
    assert counted(pairs.problems) == {Kind.LABEL_WITHOUT_NAME: 3, Kind.ROW_WITHOUT_TEXT: 4}


def test_equal_keys_urls_and_checksums_do_not_make_one_image(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        told = fields(url="https://example.org/page", sha256="0" * 64, key="0", image="x.jpg")
        tar_of(tmp_path / f"{name}.tar", {"0.jpg": jpeg(number), "0.txt": b"%d" % number, "0.json": told})
    pairs = open_pairs(tmp_path)
    assert pairs.table["image"].to_pylist() == ["a.tar/0.jpg", "b.tar/0.jpg"]
    assert len(set(pairs.image_ids(pairs.source_rows).tolist())) == 2
    assert pairs.table["url"].to_pylist() == ["https://example.org/page"] * 2
    assert pairs.table["json.image"].to_pylist() == ["x.jpg"] * 2
    assert "json.key" not in pairs.table.column_names


def test_repeated_names_are_told_apart_or_left_out(tmp_path: Path) -> None:
    two = [("0.jpg", jpeg(0)), ("0.txt", b"0"), ("1.jpg", jpeg(1)), ("1.txt", b"1")]
    pairs = open_pairs(tar_of(tmp_path / "joined.tar", [*two, ("0.jpg", jpeg(2)), ("0.txt", b"2")]))
    assert pictured(pairs) == [(0, "0"), (1, "1"), (2, "2")]
    assert pairs.table["image"].to_pylist() == [f"joined.tar/{name}" for name in ("0.jpg", "1.jpg", "0.jpg#2")]
    pairs = open_pairs(tar_of(tmp_path / "added.tar", [*two, ("0.txt", b"of another image")]))
    assert pictured(pairs) == [(0, "0"), (1, "1")]
    assert counted(pairs.problems) == {"tar members of a name that comes more than once": 1}


def test_a_compressed_tar_is_refused_with_advice(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w:gz"):
        pass
    with pytest.raises(OpenAlignError, match=r"compressed with gzip, .* decompress it"):
        open_pairs(tmp_path)


def test_messages_on_single_members_are_bounded(tmp_path: Path) -> None:
    members = {
        f"{i:03d}.{suffix}": jpeg(i) if suffix == "jpg" else b"\0\1" for i in range(50) for suffix in ("jpg", "txt")
    }
    pairs = open_pairs(tar_of(tmp_path / "0.tar", members | {"x.jpg": jpeg(0), "x.txt": b"x"}))
    assert len(pairs) == 1
    assert len(pairs.problems) == 21
    assert counted(pairs.problems) == {"texts that cannot be read": 50}


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        (["a.jpg", "a.0.txt", "a.1.txt", "a.10.txt", "a.2.txt"], ["a.0", "a.1", "a.2", "a.10"]),
        (["b.jpg", "a.jpg", "a.3.cap", "a.2.cap", "b.1.cap"], ["b.1", "a.2", "a.3"]),
        (["a.jpg", "a.0.caption", "a.1.caption", "a.1.txt"], ["a.1"]),  # another kind of text
    ],
)
def test_numbered_texts_of_a_sample_are_its_captions(tmp_path: Path, names: list[str], texts: list[str]) -> None:
    members = {name: jpeg(0) if name.endswith("jpg") else name.rpartition(".")[0].encode() for name in names}
    tar_of(tmp_path / "0.tar", members)
    pairs = open_pairs(tmp_path / "0.tar")
    assert pairs.texts() == texts and counted(pairs.problems) == {}
    if len(texts) > 1:
        assert any("have several texts, each of which is a caption" in problem for problem in pairs.problems)
    assert open_pairs(tmp_path / "0.tar", text_column=names[3].partition(".")[2]).texts() == [
        names[3].rpartition(".")[0]
    ]


def nested(folder: Path) -> Path:
    rows = [{"meta": {"caption": f"the {n}", "by": {"name": f"x{n}"}, "tags": ["a"]}, "size": n} for n in range(2)]
    members = {f"{n}.jpg": jpeg(n) for n in range(2)} | {f"{n}.json": fields(**rows[n]) for n in range(2)}
    return tar_of(folder / "0.tar", members)


def test_fields_of_objects_are_columns_and_may_be_texts(tmp_path: Path) -> None:
    pairs = open_pairs(nested(tmp_path), text_column="meta.caption")
    assert pairs.texts() == ["the 0", "the 1"]
    assert pairs.columns["text"] == "meta.caption"
    assert pairs.table["meta.by.name"].to_pylist() == ["x0", "x1"] and "meta" not in pairs.table.column_names
    assert open_pairs(tmp_path, text_column="meta.by.name", where={"meta.caption": "the 1"}).texts() == ["x1"]


def test_texts_in_objects_are_told_where_there_are_no_others(tmp_path: Path) -> None:
    nested(tmp_path)
    with pytest.raises(
        OpenAlignError, match=r"no texts.*objects of the \.json \(meta\.caption\): --text-column meta\.c"
    ):
        open_pairs(tmp_path)
    with pytest.raises(OpenAlignError, match=r"no texts 'meta\.title'.*meta\.caption, .*meta\.by\.name"):
        open_pairs(tmp_path, text_column="meta.title")


def test_a_field_whose_name_has_a_dot_comes_before_that_of_an_object(tmp_path: Path) -> None:
    members = {"a.jpg": jpeg(0), "a.txt": b"one", "a.json": fields(**{"m.x": 1, "m": {"x": 2, "y": 3}})}
    pairs = open_pairs(tar_of(tmp_path / "0.tar", members))
    assert pairs.table["m.x"].to_pylist() == [1] and pairs.table["m.y"].to_pylist() == [3]


def test_too_many_fields_of_objects_leave_the_others_as_columns(tmp_path: Path) -> None:
    many = {f"id{n}": n for n in range(3000)}
    members = {"a.jpg": jpeg(0), "a.txt": b"one", "a.json": fields(size=7, seen=many)}
    pairs = open_pairs(tar_of(tmp_path / "0.tar", members))
    assert pairs.table["size"].to_pylist() == [7] and not any("seen" in name for name in pairs.table.column_names)


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize(
    "masks",
    [
        ("a_mask.png", "b_mask.png"),
        ("a.mask.png", "b.mask.png"),
        ("a.seg.png", "b_seg_0.png"),
        ("masks/a.png", "masks/b.png"),
        ("mask_a.png", "mask_b.png"),
    ],
)
def test_masks_in_a_tar_are_further_images_of_their_sample(tmp_path: Path, masks: tuple[str, ...], words: bool) -> None:
    members = {"a.jpg": jpeg(0), "b.jpg": jpeg(1)} | {mask: jpeg(9) for mask in masks}
    members |= {"a.txt": b"zero", "b.txt": b"one"} if words else {}
    pairs = open_pairs(tar_of(tmp_path / "0.tar", dict(sorted(members.items()))), need_text=False)
    assert [number for number, _ in pictured(pairs)] == [0, 1]
    assert counted(pairs.problems) == {Kind.EXTRA_IMAGE: 2}


def test_a_mask_in_a_tar_can_be_asked_for(tmp_path: Path) -> None:
    members = {"x/a.jpg": jpeg(0), "x/a.txt": b"zero", "x/a_mask.png": jpeg(7)}
    tar = tar_of(tmp_path / "0.tar", members)
    assert pictured(open_pairs(tar, image_column="mask.png")) == [(7, "zero")]


@pytest.mark.parametrize(
    ("further", "texts"),
    [({"a.1.txt": b"1"}, ["zero", "1"]), ({"a.2.txt": b"2", "a.3.txt": b"3"}, ["zero", "2", "3"])],
)
def test_numbered_texts_beside_one_without_a_number_are_captions_too(
    tmp_path: Path, further: dict[str, bytes], texts: list[str]
) -> None:
    members = {"a.jpg": jpeg(0), "a.txt": b"zero"} | further | {"b.jpg": jpeg(1), "b.txt": b"one"}
    assert open_pairs(tar_of(tmp_path / "0.tar", members)).texts() == [*texts, "one"]


@pytest.mark.parametrize("lost", [{"a.7.txt": b"lost"}, {"a.1.txt": b"lost", "b.1.jpg": jpeg(3)}])
def test_a_numbered_text_that_may_be_of_a_lost_image_is_counted(tmp_path: Path, lost: dict[str, bytes]) -> None:
    members = {"a.jpg": jpeg(0), "a.txt": b"zero", "b.jpg": jpeg(1), "b.txt": b"one"} | lost
    pairs = open_pairs(tar_of(tmp_path / "0.tar", members))
    assert pairs.texts() == ["zero", "one"]
    assert counted(pairs.problems)[Kind.SAMPLE_WITHOUT_IMAGE] == 1


@pytest.mark.parametrize(("labels", "texts"), [(("red", "hot_dog"), ["red", "hot dog"]), (("7", "dog"), ["7", "dog"])])
def test_labels_that_are_words_are_texts_where_there_are_no_others(
    tmp_path: Path, labels: tuple[str, str], texts: list[str]
) -> None:
    members = {f"{at}.jpg": jpeg(at) for at in (0, 1)} | {
        f"{at}.cls": label.encode() for at, label in enumerate(labels)
    }
    assert open_pairs(tar_of(tmp_path / "0.tar", members)).texts() == texts
    ids = {f"{at}.jpg": jpeg(at) for at in (0, 1)}
    ids |= {f"{at}.cls": b"n0144076%d" % at for at in (0, 1)}
    assert open_pairs(tar_of(tmp_path / "1.tar", ids), need_text=False).texts() == ["", ""]


def test_folders_in_a_tar_without_texts_are_told(tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "0.tar", {"red/0.jpg": jpeg(0), "blue/0.jpg": jpeg(1)})
    with pytest.raises(OpenAlignError, match=r"no texts.*2 folders \(red, blue\).*unpack it"):
        open_pairs(tar)


@pytest.mark.parametrize("blocks", [0, 1, 40])
def test_tars_that_were_joined_as_files_are_read_to_the_end(tmp_path: Path, blocks: int) -> None:
    parts = [tar_of(tmp_path / f"{at}", {f"{at}.jpg": jpeg(at), f"{at}.txt": b"%d" % at}) for at in range(3)]
    joined = tmp_path / "all.tar"
    joined.write_bytes(bytes(512 * blocks).join(part.read_bytes() for part in parts))
    pairs = open_pairs(joined)
    assert pictured(pairs) == [(0, "0"), (1, "1"), (2, "2")]
    assert not pairs.problems
    whole = joined.read_bytes()
    for lost in (8192, 10240 - 300):  # all of the last text, all but a part of the last tar's first header
        joined.write_bytes(whole[:-lost])
        pairs = open_pairs(joined)
        assert pictured(pairs) == [(0, "0"), (1, "1")]
        assert counted(pairs.problems) == {Kind.SAMPLE_CUT_OFF: 1}


def test_other_bytes_after_the_end_of_a_tar_are_told(tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "0.tar", {"a.jpg": jpeg(0), "a.txt": b"zero"})
    tar.write_bytes(tar.read_bytes() + b"not a tar" * 100)
    pairs = open_pairs(tar)
    assert pairs.texts() == ["zero"]
    assert counted(pairs.problems) == {Kind.MEMBER_NOT_USED: 1}
    assert "900 bytes after the end" in pairs.problems[0]


@pytest.mark.parametrize("name", ["0.csv", "captions.json", "texts/list.txt"])
def test_tables_beside_tars_are_told(tmp_path: Path, name: str) -> None:
    tar_of(tmp_path / "0.tar", {"a.jpg": jpeg(0)})
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("a,zero")
    for other in ("classnames.txt", "README.txt", "0_stats.json"):
        (tmp_path / other).write_text("{}")
    with pytest.raises(OpenAlignError, match=rf"no texts.*1 files beside the tars are not read, the first: {name}"):
        open_pairs(tmp_path)
