"""How a text becomes words before they become pieces: the normaliser and the splitter of a trained tokenizer.json.

Both are steps of the tokenizers library alone, so that transformers gives the same ids. It has no dictionary, so a run
of a script without spaces stays one word: `MARK` stands before it, and its pieces, learned from the words that ICU
finds, all continue the mark. They are the same wherever in the run they are.
"""

import re
from collections.abc import Sequence

from tokenizers import Regex, normalizers, pre_tokenizers

from openalign.data.tokenizer.unspaced import class_of, unspaced_letters
from openalign.data.tokenizer.widths import width_steps

MARK = "▁"
MOST_CHARACTERS = 100
"""Of a word, as in BERT; a longer one is [UNK]."""
_MOST_INSIDE = 2**15
_RUN = 64  # characters after which the mark is repeated: finding the pieces of a word takes quadratic time

# Controls, private use and U+FFFD, as in BERT, and what only selects the look of an emoji. But not the characters of
# format that belong to writing: joiners, Arabic and Egyptian signs that enclose or stack, Mongolian vowel separators,
# and the tags of flags.
_INVISIBLE = (
    r"[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\u00AD\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F"
    r"\uE000-\uF8FF\uFE0E\uFE0F\uFEFF\uFFF9-\uFFFB\uFFFD\x{1BCA0}-\x{1BCA3}\x{1D173}-\x{1D17A}\x{E0001}\x{F0000}-\x{10FFFF}]"
)
# Joiners say nothing in these scripts, nor where a word begins.
_IDLE_JOINERS = r"(?:(?<=[\u0000-\u024F\u0370-\u052F])|\A)[\u200C\u200D]+"

# Those of the basic plane that Unicode lists, but ©, ® and ™, which are part of names.
_EMOJI = (
    r"\u2194-\u2199\u21A9-\u21AA\u231A-\u231B\u2328\u23CF\u23E9-\u23F3\u23F8-\u23FA\u25AA-\u25AB\u25B6\u25C0"
    r"\u25FB-\u25FE\u2600-\u2604\u260E\u2611\u2614-\u2615\u2618\u261D\u2620\u2622-\u2623\u2626\u262A\u262E-\u262F"
    r"\u2638-\u263A\u2640\u2642\u2648-\u2653\u265F-\u2660\u2663\u2665-\u2666\u2668\u267B\u267E-\u267F\u2692-\u2697"
    r"\u2699\u269B-\u269C\u26A0-\u26A1\u26A7\u26AA-\u26AB\u26B0-\u26B1\u26BD-\u26BE\u26C4-\u26C5\u26C8"
    r"\u26CE-\u26CF\u26D1\u26D3-\u26D4\u26E9-\u26EA\u26F0-\u26F5\u26F7-\u26FA\u26FD\u2702\u2705\u2708-\u270D\u270F"
    r"\u2712\u2714\u2716\u271D\u2721\u2728\u2733-\u2734\u2744\u2747\u274C\u274E\u2753-\u2755\u2757\u2763-\u2764"
    r"\u2795-\u2797\u27A1\u27B0\u27BF\u2934-\u2935\u2B05-\u2B07\u2B1B-\u2B1C\u2B50\u2B55\u3297\u3299"
    r"\x{1F000}-\x{1F1E5}\x{1F200}-\x{1FAFF}\x{1FC00}-\x{1FFFD}"
)
_FLAG_LETTER, _FLAG_TAG = r"[\x{1F1E6}-\x{1F1FF}]", r"[\x{E0020}-\x{E007F}]"
# The parts of a sequence stand apart, so that each is the same piece as alone, and one that is unknown costs no other.
_EMOJI_PARTS = rf"{_FLAG_LETTER}{{1,2}}|[{_EMOJI}]|(?<=[{_EMOJI}])\u200D|\u20E3|{_FLAG_TAG}+"
SEQUENCE_PARTS = "\u200d\u20e3\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
"""Characters that join and modify emoji: joiner, keycap, skin tones."""
IS_EMOJI = re.compile("[" + _EMOJI.replace("\\x{", "\\U000").replace("}", "") + "]")


def normalizer(unspaced: Sequence[int] = ()) -> normalizers.Sequence:
    """Widths and case folded, invisible characters removed, NFC; `MARK` before runs of the code points `unspaced`."""
    steps = [
        *width_steps(),
        normalizers.Replace(Regex(f"{_INVISIBLE}|{_IDLE_JOINERS}"), ""),
        normalizers.NFC(),
        normalizers.Lowercase(),
        # The lower case of İ and Σ is not what is written in lower case.
        normalizers.Replace("i\u0307", "i"),
        normalizers.Replace("ς", "σ"),
    ]
    if unspaced:
        letters = f"[{_inside(unspaced)}]"
        places = rf"(?<!{letters})(?={letters})|{letters}{{{_RUN}}}\K(?={letters})"
        steps.append(
            normalizers.Replace(_described(f"where a run begins, and after {_RUN} characters of it", places), MARK)
        )
    return normalizers.Sequence(steps)


def pre_tokenizer(unspaced: Sequence[int] = (), never_inside: Sequence[int] = ()) -> pre_tokenizers.Sequence:
    """Splits at emoji, at runs of scripts without spaces, at white space and punctuation.

    `unspaced`: the code points that `normalizer` puts marks before. Others of their scripts stand apart, since the
    vocabulary lacks them. `never_inside`: code points that the vocabulary has for the beginning of words alone, which
    begin one wherever they are.
    """
    runs = f"[{class_of(unspaced_letters())}]+"
    if unspaced:
        runs = f"{MARK}[{_inside(unspaced)}]+|{runs}"
    steps = [
        pre_tokenizers.Split(Regex(_EMOJI_PARTS), "isolated"),
        pre_tokenizers.Split(_described("runs of scripts without spaces, marked if they are known", runs), "isolated"),
        pre_tokenizers.BertPreTokenizer(),
        # Scripts without spaces that have no dictionary; a long word of letters of ASCII is none.
        pre_tokenizers.Split(Regex(rf"[^\u0000-\u007F]{{{MOST_CHARACTERS}}}"), "isolated"),
    ]
    if never_inside:
        begin = _described("characters that only begin words", rf"(?<!\A)[{class_of(never_inside)}]")
        steps.append(pre_tokenizers.Split(begin, "merged_with_next"))
    return pre_tokenizers.Sequence(steps)


def _inside(unspaced: Sequence[int]) -> str:
    """`class_of` these; of all, if they are too scattered for a pattern that `check_tokenizer` accepts."""
    inside = class_of(unspaced)
    return inside if len(inside) <= _MOST_INSIDE else class_of(unspaced_letters())


def _described(what: str, pattern: str) -> Regex:
    """`pattern` after a comment of 100 characters: the library cannot show one whose byte 100 is inside a character."""
    return Regex(f"(?#{what:<100}){pattern}")
