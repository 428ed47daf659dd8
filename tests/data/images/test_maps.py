"""Masks and the like are told by their names, in folders and tars alike."""

import pytest

from openalign.data.images.maps import maps_among


@pytest.mark.parametrize(
    ("pictures", "maps"),
    [
        (["a.jpg", "b.jpg"], ["a_mask.png", "mask_b.png"]),
        (["a.jpg", "b.jpg"], ["a_mask_0.png", "a_mask_1.png", "b-seg2.png"]),
        (["7_sat.jpg", "8_sat.jpg"], ["7_mask.png", "8_mask.png"]),
        (["1/image.png", "2/image.png"], ["1/mask.png", "2/mask.png"]),
        (["frame_image_1.jpg", "frame_2.jpg"], ["frame_mask_1.png", "frame_mask_2.png"]),
        (["test/cut/000.png", "test/good/000.png", "train/good/000.png"], ["ground_truth/cut/000_mask.png"]),
        (
            ["nut/test/cut/1.png", "pill/test/cut/1.png", "nut/train/good/1.png"],
            ["nut/ground_truth/cut/1_mask.png", "pill/ground_truth/cut/1.png"],
        ),
        (["test/logical/000.png", "train/good/000.png"], ["ground_truth/logical/000/000.png"]),
        (
            ["leftImg8bit/train/a/a_1_leftImg8bit.png", "leftImg8bit/train/b/b_1_leftImg8bit.png"],
            ["gtFine/train/a/a_1_gtFine_color.png", "gtFine/train/b/b_1_gtFine_labelIds.png"],
        ),
        (["x/ISIC_1.jpg", "x/ISIC_2.jpg"], ["Part1_GroundTruth/ISIC_1_segmentation.png"]),
        (["s/ab/images/ab.png", "s/cd/images/cd.png"], ["s/ab/masks/0f.png", "s/ab/masks/1f.png", "s/cd/masks/2f.png"]),
    ],
)
def test_maps_are_told_from_pictures(pictures: list[str], maps: list[str]) -> None:
    found = maps_among([*maps, *pictures])
    assert sorted(found) == sorted(maps)
    assert set(found.values()) <= set(pictures)


def test_a_map_is_of_the_picture_that_is_nearest() -> None:
    pictures = ["nut/test/cut/1.png", "nut/test/good/1.png", "pill/test/cut/1.png"]
    found = maps_among([*pictures, "nut/ground_truth/cut/1_mask.png", "pill/ground_truth/cut/1_mask.png"])
    assert found["nut/ground_truth/cut/1_mask.png"] == "nut/test/cut/1.png"
    assert found["pill/ground_truth/cut/1_mask.png"] == "pill/test/cut/1.png"


def test_a_few_maps_of_a_folder_may_have_lost_their_pictures() -> None:
    pictures = [f"img/p{number}.jpg" for number in range(19)]
    maps = [f"masks/p{number}.png" for number in range(20)]
    assert maps_among([*pictures, *maps])["masks/p19.png"] == ""
    assert not maps_among([*pictures[:10], *maps])


@pytest.mark.parametrize(
    "images",
    [
        ["mask/1.jpg", "mask/2.jpg", "nomask/1.jpg", "nomask/2.jpg"],
        ["with_mask/with_mask_1.jpg", "without_mask/without_mask_1.jpg"],
        ["mustang.jpg", "mustang_gt.jpg"],
        ["masked.jpg", "ed.jpg", "a_mask.jpg", "bask.jpg"],
        ["a/1.jpg", "b/1.jpg", "segments.png"],
    ],
)
def test_photos_whose_names_have_such_words_by_chance_are_no_maps(images: list[str]) -> None:
    assert maps_among(images) == {}
