"""Curation recipes: where they come from, what may change in them, and who is blamed for a mistake."""

import re
import tomllib
from pathlib import Path

import pytest

from openalign.curation.recipe import CurateRecipe, read_curate_recipe, resolve_recipe
from openalign.errors import OpenAlignError, UsageError
from openalign.recipe_files import CURATION_KEYS, TRAINING_KEYS, bundled_recipes, find_recipe
from openalign.toml import format_value, write_toml
from openalign.training.recipe.recipe import Recipe, read_recipe

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
    with pytest.raises(OpenAlignError, match=r"papers: no such recipe\. .*: curate-paper, curate-small-photos"):
        find_recipe("papers", for_curation=True)


@pytest.mark.parametrize("kind", ["curation", "training"])
def test_a_recipe_of_the_other_kind_is_refused_with_the_command_that_takes_it(tmp_path: Path, kind: str) -> None:
    mine = tmp_path / "mine.toml"
    if kind == "curation":
        mine.write_text("steps = 5\n[optimizer]\nname = 'sgd'\n")
        for name in (mine, "laptop", "recipes/finetune-coco.toml"):
            with pytest.raises(UsageError, match=r"a recipe for training, not for curation: `openalign train .* takes"):
                read_curate_recipe(name)
    else:
        mine.write_text("[image]\nmin_shorter_side = 5\n")
        for name in (mine, "curate-small-photos"):
            with pytest.raises(
                UsageError, match=r"for curation, not for training: `openalign curate --recipe .* takes"
            ):
                read_recipe(name, {"data": "a.csv"})


def test_the_keys_that_tell_the_kinds_of_recipes_apart_are_those_of_their_settings() -> None:
    assert {*CurateRecipe.model_fields} == CURATION_KEYS
    assert {*Recipe.model_fields} >= TRAINING_KEYS and not {*Recipe.model_fields} & CURATION_KEYS


@pytest.mark.parametrize(
    ("near", "meant"), [("curate-papers", "curate-paper"), ("small-photos", "curate-small-photos"), ("xyzzy", None)]
)
def test_a_mistyped_name_of_a_recipe_is_a_usage_error_with_the_nearest_name(near: str, meant: str | None) -> None:
    with pytest.raises(UsageError, match="no such recipe") as caught:
        find_recipe(near, for_curation=True)
    assert ("Did you mean" in str(caught.value)) == (meant is not None)
    assert meant is None or f"Did you mean {meant}?" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "table", "names"),
    [
        ("languages", "text", ["en", "de"]),
        ("text_from", "pages", ["alt", "title"]),
        ("unsafe_labels", "unsafe", ["Porn", "hentai"]),
        ("watermark_labels", "watermark", ["logo"]),
    ],
)
def test_names_are_given_as_a_list_or_with_commas_and_written_as_a_list(
    tmp_path: Path, key: str, table: str, names: list[str]
) -> None:
    file = tmp_path / "mine.toml"
    for value in (format_value(names), format_value(", ".join(names))):
        file.write_text(f"[{table}]\n{key} = {value}\n")
        read = [read_curate_recipe(file), read_curate_recipe(None, {key: value}), CurateRecipe.of(**{key: names})]
        read += [read_curate_recipe(None, {key: ",".join(names)}), read_curate_recipe(None, {key: tuple(names)})]
        assert {getattr(getattr(recipe, table), key) for recipe in read} == {tuple(names)}
        write_toml(read[0].model_dump(include={table: {key}}), tmp_path / "written.toml")
        assert tomllib.loads((tmp_path / "written.toml").read_text()) == {table: {key: names}}
        assert read_curate_recipe(tmp_path / "written.toml") == read[0]
    for wrong in ("[1, 2]", "true"):
        with pytest.raises(UsageError, match=rf"^--set {key}=.*`{table}\.{key}.* is not valid: it must be"):
            read_curate_recipe(None, {key: wrong})


@pytest.mark.parametrize("url", ["example.org", "ftp://example.org/", "https://", "http://a b/", "https://a.org/?x=1"])
def test_a_base_url_that_no_page_can_have_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="base_url must be the http or https URL of a site, such as https://example"):
        read_curate_recipe(None, {"base_url": url})


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
