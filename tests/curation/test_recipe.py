"""Curation recipes: where they come from, what may change in them, and who is blamed for a mistake."""

import re
from pathlib import Path

import pytest

from openalign.curation.recipe import CurateRecipe, read_curate_recipe, resolve_recipe
from openalign.errors import OpenAlignError, UsageError
from openalign.recipe_files import bundled_recipes, find_recipe
from openalign.toml import write_toml

FOLDER = Path(__file__).parents[2] / "recipes"


def test_the_paper_recipe_is_the_default() -> None:
    assert read_curate_recipe("curate-paper") == read_curate_recipe(None) == CurateRecipe()


def test_small_photos_are_kept_with_short_titles() -> None:
    recipe = read_curate_recipe("curate-small-photos")
    assert recipe.text.min_words == 1 and recipe.image.min_shorter_side < 32


@pytest.mark.parametrize("name", bundled_recipes(for_curation=True))
def test_a_bundled_recipe_begins_with_its_command(name: str) -> None:
    header = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").partition("\n\n[")[0]
    assert re.search(rf"openalign curate .* --recipe {name}\b", header)


def test_recipes_of_training_and_of_curation_are_listed_apart() -> None:
    assert bundled_recipes(for_curation=True) == ["curate-paper", "curate-small-photos"]
    assert "laptop" in bundled_recipes() and not {"curate-paper"} & {*bundled_recipes()}
    with pytest.raises(OpenAlignError, match=r"papers: no such recipe; .*: curate-paper, curate-small-photos"):
        find_recipe("papers", for_curation=True)


def test_a_setting_is_changed_with_or_without_its_table(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[image]\nmin_shorter_side = 77\n")
    changes = {"min_words": "2", "text.max_words": "9", "download": "false", "languages": "en,de"}
    recipe = read_curate_recipe(file, changes)
    assert (recipe.image.min_shorter_side, recipe.text.min_words, recipe.text.max_words) == (77, 2, 9)
    assert not recipe.fetch.download and recipe.text.language_codes == ("en", "de")
    assert resolve_recipe(CurateRecipe.of(min_words=1), {"max_words": "5"}) == CurateRecipe.of(min_words=1, max_words=5)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("min_wrods", "2", r"--set min_wrods=2: .*`text\.min_words`"),
        ("image.min_shorter", "2", r"--set image\.min_shorter=2: .*`image\.min_shorter_side`"),
        ("colour", "red", r"--set colour=red: unknown key `colour`"),
        ("min_words", "few", r"--set min_words=few: `text\.min_words` = 'few' is not valid"),
        ("min_words", "30", r"--set min_words=30: min_words 30 must lie between 0 and max_words 20"),
    ],
)
def test_a_wrong_change_is_blamed_on_itself_and_not_on_the_file(
    tmp_path: Path, key: str, value: str, says: str
) -> None:
    (tmp_path / "mine.toml").write_text("[image]\nmin_shorter_side = 77\n")
    for name in (tmp_path / "mine.toml", None):
        with pytest.raises(UsageError, match=says) as raised:
            read_curate_recipe(name, {key: value})
        assert "mine.toml" not in str(raised.value)


@pytest.mark.parametrize("content", ["[image]\nmin_side = 3\n", "[image]\nmin_shorter_side = 'x'\n", "[image\n"])
def test_a_wrong_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "mine.toml").write_text(content)
    with pytest.raises(OpenAlignError, match=r"mine\.toml: "):
        read_curate_recipe(tmp_path / "mine.toml", {"min_words": "2"})


def test_a_recipe_is_the_same_after_it_was_written(tmp_path: Path) -> None:
    recipe = CurateRecipe.of(min_words=1, languages="en", unsafe_images="a/b", image_column='odd "name"')
    write_toml(recipe.model_dump(exclude_none=True), tmp_path / "written.toml")
    assert read_curate_recipe(tmp_path / "written.toml") == recipe


def test_a_model_beside_the_recipe_is_found_and_a_name_on_the_hub_stays(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "mine.toml").write_text('[unsafe]\nunsafe_images = "model"\n[watermark]\nwatermark_model = "a/b"\n')
    recipe = read_curate_recipe(tmp_path / "mine.toml")
    assert recipe.unsafe.unsafe_images == str(tmp_path / "model")
    assert recipe.watermark.watermark_model == "a/b"


@pytest.mark.parametrize(
    "wrong",
    [
        {"jpeg_quality": 0}, {"jpeg_quality": 101}, {"unsafe_threshold": 1.5}, {"watermark_threshold": -0.1},
        {"min_shorter_side": -1}, {"max_aspect_ratio": 0.5}, {"duplicate_hash_bits": 65}, {"duplicate_cosine": 1.1},
        {"similarity_model": "a/b", "min_similarity": 2.0}, {"fetch_per_host": 0}, {"fetch_seconds": 0.0},
        {"fetch_redirects": -1},
    ],
)  # fmt: skip
def test_a_value_out_of_its_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OpenAlignError, match=[*wrong][-1]):
        CurateRecipe.of(**wrong)
