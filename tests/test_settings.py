"""Settings: an error names the key, where it was given and the nearest key; flat names find their table."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, model_validator

from openalign.curation.recipe import read_curate_recipe
from openalign.errors import OpenAlignError, UsageError
from openalign.settings import Settings, _key_parts, changes_of, full_keys


class Image(Settings):
    min_shorter_side: int = Field(default=200, ge=1)
    max_aspect_ratio: float = 3.0
    model: str = ""
    sides: tuple[int, ...] = ()


class Unsafe(Settings):
    model: str
    threshold: float = 0.5


class Curation(Settings):
    name: str = "crawl"
    low: int = 1
    high: int = 9
    where: dict[str, str] = Field(default_factory=dict)
    image: Image = Image()
    unsafe: Unsafe | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Curation":
        if self.low > self.high:
            raise ValueError(f"`low` = {self.low} is above `high` = {self.high}")
        return self


class HeldOut(Settings):
    data: str = Field(examples=["FOLDER"])


class Needy(Settings):
    data: str = Field(examples=["FOLDER"])
    most: int = 5
    held_out: HeldOut | None = None


def read(values: dict[str, Any], **changes: str) -> Curation:
    given = {key.replace("__", "."): value for key, value in changes.items()}
    return Curation.read(values, "small.toml", changes_of(Curation, given))


def test_a_flat_name_finds_its_table() -> None:
    settings = read({"image": {"min_shorter_side": 9}}, max_aspect_ratio="2.5", threshold="0.7", unsafe__model="m")
    assert settings.image == Image(min_shorter_side=9, max_aspect_ratio=2.5)
    assert settings.unsafe == Unsafe(model="m", threshold=0.7)


def test_a_full_name_and_a_key_outside_tables_stay_as_they_are() -> None:
    given = {"image.min_shorter_side": "50", "name": "x", "where.article type": "y"}
    assert full_keys(Curation, given) == given
    assert read({}, **{"where.article type": "y"}).where == {"article type": "y"}


def test_a_flat_name_in_two_tables_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--set model=x: `model` could be `image\.model` or `unsafe\.model`: name"):
        changes_of(Curation, {"model": "x"})


def test_a_key_given_by_both_of_its_names_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--set min_shorter_side=1 and --set image\.min_shorter_side=2 both give"):
        full_keys(Curation, {"min_shorter_side": "1", "image.min_shorter_side": "2"})


def test_a_table_does_not_replace_the_keys_that_were_given_before_it() -> None:
    with pytest.raises(
        UsageError, match=r"^--set image\.model=x and --set image=\{\} both give `image\.model`: leave one"
    ):
        changes_of(Curation, {"image.model": "x", "image": "{}"})
    assert read({}, image="{max_aspect_ratio = 2.0}", image__model="x").image == Image(max_aspect_ratio=2.0, model="x")


def test_a_missing_key_says_how_to_give_it() -> None:
    with pytest.raises(
        OpenAlignError, match=r"^small\.toml: the key `data` is missing: give it with --set data=FOLDER\.$"
    ):
        Needy.read({}, "small.toml")
    with pytest.raises(
        OpenAlignError, match=r"the key `held_out\.data` is missing: give it with --set held_out\.data=FOLD"
    ):
        Needy.read({"data": "x", "held_out": {}}, "small.toml")


def test_a_wrong_change_is_said_before_what_is_missing() -> None:
    with pytest.raises(UsageError, match=r"^--set most=few: `most` = 'few' is not valid"):
        Needy.read({}, "small.toml", changes_of(Needy, {"most": "few"}))


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("min_shorter_sid", "image.min_shorter_side"),
        ("image.min_shorter_sides", "image.min_shorter_side"),
        ("images.min_shorter_side", "image"),
        ("nam", "name"),
        ("unsafe.treshold", "unsafe.threshold"),
    ],
)
def test_an_unknown_key_names_the_nearest_key(key: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"^--set {key}=3: unknown key .*; the nearest known key is `{nearest}`"):
        read({}, **{key: "3"})


def test_an_unknown_key_that_is_near_to_none_lists_the_keys_of_its_table() -> None:
    with pytest.raises(OpenAlignError, match=r"`epochs`; the keys are name, low, high, where, image, unsafe\.$"):
        read({"epochs": 3})
    with pytest.raises(OpenAlignError, match=r"`image\.blur`; the keys of \[image\] are min_shorter_side, max_aspect"):
        read({"image": {"blur": 3}})


def test_a_key_of_the_file_is_reported_with_the_file() -> None:
    with pytest.raises(OpenAlignError, match=r"^small\.toml: unknown key `image\.blur`") as caught:
        read({"image": {"blur": 3}}, min_shorter_side="50")
    assert not isinstance(caught.value, UsageError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": "many"}, "--set low=many: `low` = 'many' is not valid: it must be a whole number."),
        ({"min_shorter_side": "0"}, "--set min_shorter_side=0: `image.min_shorter_side` = 0 is not valid: it must be "),
        ({"image__sides": "[1, 'x']"}, "--set image.sides=[1, 'x']: `image.sides.1` = 'x' is not valid"),
        ({"image": "3"}, "--set image=3: `image` = 3 is not valid: it must be a table."),
        ({"image__sides": "3"}, "--set image.sides=3: `image.sides` = 3 is not valid: it must be a list."),
        ({"where": "3"}, "--set where=3: `where` = 3 is not valid: it must be a table."),
        ({"name__first": "x"}, "--set name.first=x: `name` = 'crawl' is not a table"),
        ({"low": "10"}, "small.toml with --set low=10: `low` = 10 is above `high` = 9"),
        ({"threshold": "0.7"}, "small.toml with --set threshold=0.7: the key `unsafe.model` is missing"),
    ],
)
def test_a_bad_change_is_not_blamed_on_the_file(changes: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read({"name": "crawl"}, **changes)
    assert str(caught.value).startswith(message)


def test_what_the_file_lacks_is_not_blamed_on_a_change() -> None:
    with pytest.raises(OpenAlignError, match=r"^small\.toml: the key `unsafe\.model` is missing\.$"):
        read({"unsafe": {}}, low="2")


def test_changes_leave_the_values_that_were_read_alone() -> None:
    values = {"image": {"min_shorter_side": 9}}
    assert read(values, min_shorter_side="50").image.min_shorter_side == 50
    assert values == {"image": {"min_shorter_side": 9}}


def test_a_program_gives_numbers_lists_and_paths_as_they_are(tmp_path: Path) -> None:
    given = {
        "min_words": 2,
        "fetch_seconds": 1.5,
        "download": False,
        "unsafe_images": tmp_path,
        "base_url": "http://a.b",
    }
    recipe = read_curate_recipe(None, given)
    assert (recipe.text.min_words, recipe.fetch.fetch_seconds, recipe.fetch.download) == (2, 1.5, False)
    assert recipe.unsafe.unsafe_images == str(tmp_path)
    with pytest.raises(UsageError, match="min_words"):
        read_curate_recipe(None, {"min_words": "two"})


def test_a_quoted_key_is_read_as_toml_reads_it() -> None:
    assert _key_parts('where."article type"') == ["where", "article type"]
    assert _key_parts("where.'a.b'") == ["where", "a.b"]
    assert _key_parts("optimizer.name") == ["optimizer", "name"]
    assert _key_parts('where."broken') == ["where", '"broken']
