"""Each rule at its exact border, and the relations against ten lines of plain Python."""

import itertools
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openalign.curation.engine.local import LocalEngine
from openalign.curation.images.inspection import INSPECTED
from openalign.curation.recipe import CurateRecipe
from openalign.curation.rules.evaluation import add_inspected, add_text_passes, evaluate
from openalign.curation.rules.relations import count_pairs
from openalign.curation.rules.rule import Corpus
from openalign.curation.rules.table import RULES, rules_that_run
from openalign.curation.text.words import in_words, is_unspaced, spaced, unigrams
from openalign.errors import OpenAlignError
from tests.curation.plain_words import split_unigrams

PAPER = CurateRecipe.of()
KNOWN = pa.schema([*INSPECTED, ("unsafe", pa.float64()), ("test_image", pa.string())])
Pair = tuple[str, str | None]


def reasons_of(
    pairs: list[Pair], inspected: list[dict[str, Any]] | None = None, asked: CurateRecipe = PAPER, parts: int = 1
) -> dict[Pair, list[str]]:
    """The rules that each distinct pair breaks, through the engine, which counts tokens in so many parts."""
    columns = {
        name: pa.array([pair[index] for pair in pairs], pa.string()) for index, name in enumerate(("image", "text"))
    }
    columns |= {name: pa.nulls(len(pairs), pa.string()) for name in ("page", "host")}
    table = pa.table(columns | {"occurrence": range(len(pairs))})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "occurrences.parquet"
        pq.write_table(table, path)
        engine = LocalEngine(Path(folder), 1)
        engine.group_count = lambda size: parts  # type: ignore[method-assign]
        found = count_pairs(engine, engine.read([path]), asked.text.vocabulary, [])
        rules = rules_that_run(asked, has_test_set=True)
        corpus = add_text_passes(Corpus(engine, asked, found), [rule for rule in rules if not rule.of_image])
        known = ibis.memtable(pa.Table.from_pylist(inspected or [], schema=KNOWN))
        evaluated = evaluate(add_inspected(corpus, known), rules).to_pyarrow().to_pylist()
        engine.close()
    return {(row["image"], row["text"]): row["reasons"] for row in evaluated}


def image(width: int, height: int, **known: Any) -> dict[str, Any]:
    return {"image": "a.jpg", "width": width, "height": height} | known


def broken_by_image(**known: Any) -> list[str]:
    return reasons_of([("a.jpg", "a red apple")], [{"image": "a.jpg"} | known])["a.jpg", "a red apple"]


@pytest.mark.parametrize(("words", "kept"), [(2, False), (3, True), (20, True), (21, False)])
def test_texts_of_3_to_20_unigrams_are_kept(words: int, kept: bool) -> None:
    text = " ".join(f"word{number}" for number in range(words))
    assert reasons_of([("a", text)])["a", text] == ([] if kept else ["word_count"])


@pytest.mark.parametrize("text", [None, ""])
def test_no_text_and_an_empty_one_are_one_pair_that_breaks_no_text_alone(text: str | None) -> None:
    assert reasons_of([("a", text), ("a", None)]) == {("a", None): ["no_text"]}


@pytest.mark.parametrize(("images", "kept"), [(10, True), (11, False)])
def test_a_text_may_be_shared_by_ten_images(images: int, kept: bool) -> None:
    pairs: list[Pair] = [(f"{number}.jpg", "a view of Rome") for number in range(images)]
    expected = [] if kept else ["images_per_text"]
    assert all(reasons == expected for reasons in reasons_of(pairs * 3).values())


@pytest.mark.parametrize(("texts", "kept"), [(1000, True), (1001, False)])
def test_an_image_may_have_a_thousand_texts(texts: int, kept: bool) -> None:
    pairs: list[Pair] = [("a.jpg", f"a picture {number}") for number in range(texts)]
    found = reasons_of([*pairs, ("a.jpg", None)])
    assert found["a.jpg", "a picture 7"] == ([] if kept else ["texts_per_image"])
    assert found["a.jpg", None] == (["no_text"] if kept else ["no_text", "texts_per_image"])


@pytest.mark.parametrize(("side", "kept"), [(200, False), (201, True)])
def test_the_shorter_side_must_be_greater_than_200(side: int, kept: bool) -> None:
    expected = [] if kept else ["shorter_side"]
    assert broken_by_image(width=side, height=300) == expected
    assert broken_by_image(width=300, height=side) == expected


@pytest.mark.parametrize(("longer", "kept"), [(899, True), (900, False), (901, False)])
def test_the_aspect_ratio_must_be_smaller_than_3(longer: int, kept: bool) -> None:
    expected = [] if kept else ["aspect_ratio"]
    assert broken_by_image(width=longer, height=300) == expected
    assert broken_by_image(width=300, height=longer) == expected


def test_what_looking_at_images_found_drops_pairs() -> None:
    assert broken_by_image(problem="truncated JPEG") == ["unreadable_image"]
    assert broken_by_image(width=300, height=300, test_image="row 3") == ["near_duplicate_of_test"]


def test_an_image_that_was_not_inspected_breaks_no_rule_of_images() -> None:
    assert reasons_of([("a", "one two")])["a", "one two"] == ["word_count"]


def test_reasons_come_in_the_order_of_the_rules() -> None:
    inspected = [image(100, 400, test_image="row 3")]
    assert reasons_of([("a.jpg", "apple")], inspected)["a.jpg", "apple"] == [
        "word_count", "shorter_side", "aspect_ratio", "near_duplicate_of_test",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("vocabulary", "rare"),
    [
        # a 5, b 4, "a b" 4; then "b c" 2, c 2, "c d" 2, d 2; then e 1, "a e" 1
        (3, {"a b c d", "a e"}),
        (4, {"a e"}),  # the fourth occurs twice, so everything that occurs twice is kept
        (7, {"a e"}),
        (8, set()),
    ],
)
def test_a_rare_unigram_or_bigram_drops_a_text(vocabulary: int, rare: set[str]) -> None:
    pairs: list[Pair] = [(f"{n}.jpg", text) for n, text in enumerate(["a b", "a b", "a b c d", "a b c d", "a e"])]
    asked = PAPER.replace(vocabulary=vocabulary, min_words=0)
    found = reasons_of(pairs, asked=asked)
    assert {text for (_, text), reasons in found.items() if "rare_token" in reasons} == rare


def test_a_bigram_is_rare_though_its_unigrams_are_not() -> None:
    pairs: list[Pair] = [("1", "a b"), ("2", "a b"), ("3", "a b"), ("4", "b a")]
    found = reasons_of(pairs, asked=PAPER.replace(vocabulary=3, min_words=0))
    assert {image: reasons for (image, _), reasons in found.items() if reasons} == {"4": ["rare_token"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A red Apple, on 2 plates!", ["a", "red", "apple", "on", "2", "plates"]),
        ("IMG_2034.jpg", ["img", "2034", "jpg"]),
        ("l'École d’été", ["l", "école", "d", "été"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("東京の夜 at night", ["東京", "の", "夜", "at", "night"]),
        ("赤いリンゴ、コーヒー", ["赤い", "リンゴ", "コーヒー"]),
        ("红色的苹果IMG_2", ["红色", "的", "苹果", "img", "2"]),
        ("ภาพแมวสีดำ", ["ภาพ", "แมว", "สี", "ดำ"]),
        ("ຮູບພາບແມວ", ["ຮູບພາບ", "ແມວ"]),
        ("រូបភាពឆ្មាខ្មៅ", ["រូបភាព", "ឆ្មា", "ខ្មៅ"]),
        ("ကြောင်မည်းပုံ", ["ကြောင်", "မည်း", "ပုံ"]),
        ("빨간 사과", ["빨간", "사과"]),
        ("İZMİR ΟΔΟΣ ẞ Ǆ", ["i\u0307zmi\u0307r", "οδοσ", "ß", "ǆ"]),
        (" , one  two , three\u3000-  four...", ["one", "two", "three", "four"]),
        (" \t… ", []),
    ],
)
def test_unigrams_are_runs_of_letters_and_digits_and_words_of_scripts_without_spaces(
    text: str, expected: list[str]
) -> None:
    assert split_unigrams(text) == expected
    backend = ibis.duckdb.connect()
    assert backend.execute(unigrams(in_words(ibis.literal(spaced(text))))) == expected
    assert bool(backend.execute(is_unspaced(ibis.literal(text)))) == (spaced(text) != text)


TEXTS = st.none() | st.text(st.sampled_from("aB é東のリ사, _1\u0301"), max_size=14)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.sampled_from("xyz"), TEXTS), min_size=1, max_size=30),
    vocabulary=st.integers(1, 12),
    most=st.integers(1, 3),
    parts=st.integers(1, 3),
)
def test_relations_equal_plain_python(pairs: list[Pair], vocabulary: int, most: int, parts: int) -> None:
    asked = PAPER.replace(
        min_words=1, max_words=4, max_images_per_text=most, max_texts_per_image=most + 1, vocabulary=vocabulary
    )
    assert reasons_of(pairs, asked=asked, parts=parts) == by_hand(pairs, asked)


def by_hand(pairs: list[Pair], asked: CurateRecipe) -> dict[Pair, list[str]]:
    distinct = list(dict.fromkeys((image, text or None) for image, text in pairs))
    images, texts, counts = defaultdict(set), defaultdict(set), Counter[str]()
    for image, text in distinct:
        if text is not None:
            images[text].add(image)
            texts[image].add(text)
            counts.update(tokens(text))
    border = sorted(counts.values(), reverse=True)[: asked.text.vocabulary][-1:] or [0]
    checks = {
        "no_text": lambda image, text: text is None,
        "word_count": lambda image, text: text is not None and not 1 <= len(split_unigrams(text)) <= 4,
        "images_per_text": lambda image, text: text is not None and len(images[text]) > asked.text.max_images_per_text,
        "texts_per_image": lambda image, text: len(texts[image]) > asked.text.max_texts_per_image,
        "rare_token": lambda image, text: text is not None and any(counts[t] < border[0] for t in tokens(text)),
    }
    return {pair: [name for name, broken in checks.items() if broken(*pair)] for pair in distinct}


def tokens(text: str) -> list[str]:
    words = split_unigrams(text)
    return [*words, *(f"{one} {next_one}" for one, next_one in itertools.pairwise(words))]


def test_rules_stand_in_the_order_of_the_design() -> None:
    assert [rule.name for rule in RULES] == [
        "no_text", "word_count", "images_per_text", "texts_per_image", "rare_token", "other_language",
        "unreadable_image", "shorter_side", "aspect_ratio", "unsafe_image", "watermark", "near_duplicate_of_test",
        "low_similarity", "near_duplicate",
    ]  # fmt: skip


def test_every_rule_says_its_threshold() -> None:
    said = {rule.name: rule.described(PAPER) for rule in RULES}
    assert "3" in said["word_count"] and "20" in said["word_count"]
    assert "100,000,000" in said["rare_token"]
    assert all("{" not in sentence for sentence in said.values())


def test_every_rule_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
    assert [rule.name for rule in RULES if f"| `{rule.name}` |" not in page] == []


@pytest.mark.parametrize("wrong", [{"min_words": 5, "max_words": 4}, {"vocabulary": 0}, {"pairs_per_shard": 0}])
def test_settings_that_nothing_could_meet_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OpenAlignError, match=next(iter(wrong))):
        CurateRecipe.of(**wrong)  # type: ignore[arg-type]
