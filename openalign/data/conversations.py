"""Captions in conversations about an image, the form in which LLaVA and others keep them for training chat models.

Sources: LLaVA's `blip_laion_cc_sbu_558k.json` (`from`, `value`), and messages of chat templates (`role`, `content`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

FIELDS = ("conversations", "conversation", "messages")
"""Fields that hold a conversation, in lower case."""
_FORMS = (("from", "value"), ("role", "content"))
"""Who says something, and what."""
_ASKING = frozenset(("human", "user"))
_ANSWERING = frozenset(("gpt", "assistant", "model", "chatgpt", "bot"))
_SHOWN = 60


def is_conversation(value: Any) -> bool:
    """Whether a value is a list of at least one turn."""
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value) and all(map(_form, value))


def caption_of(conversation: Sequence[Mapping[str, Any]]) -> str | None:
    """The answer, if all that is said is one answer or one question and its answer; else None.

    Where several things are asked, what is said of the image hangs on the questions, and is no caption.
    """
    turns = [(who.lower(), text) for who, text in map(_said, conversation) if who.lower() != "system"]
    if (
        not turns
        or turns[-1][0] not in _ANSWERING
        or len(turns) > 2
        or any(who not in _ASKING for who, _ in turns[:-1])
    ):
        return None
    return turns[-1][1].replace("<image>", "").strip()


def with_captions(table: pa.Table, where: str, problems: list[str]) -> pa.Table:
    """A table whose columns of conversations are columns of captions; which ones is noted in `problems`."""
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if name.lower() not in FIELDS or not _holds_conversations(column.type):
            continue
        values: list[Any] = column.to_pylist()
        texts = [caption_of(value) if is_conversation(value) else None for value in values]
        some = [value for value in values if is_conversation(value)]
        several = sum(text is None for text in texts)
        asked = next((text for value in some for who, text in map(_said, value) if who.lower() in _ASKING), "")
        example = f", such as {' '.join(asked.replace('<image>', '').split())[:_SHOWN]!r}" if asked else ""
        more = f"; {several:,} with several questions, or no answer, have none" if several else ""
        problems.append(f"{where}: texts in `{name}` are the answers to one question about an image{example}{more}")
        table = table.set_column(place, name, pa.array(texts, pa.string()))
    return table


def _holds_conversations(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_struct(kind.value_type):
        return False
    return any(all(kind.value_type.get_field_index(name) >= 0 for name in form) for form in _FORMS)


def _form(turn: Any) -> tuple[str, str] | None:
    if not isinstance(turn, Mapping):
        return None
    return next((form for form in _FORMS if isinstance(turn.get(form[0]), str) and form[1] in turn), None)


def _said(turn: Mapping[str, Any]) -> tuple[str, str]:
    who, what = _form(turn) or _FORMS[0]
    content = turn[what]
    if isinstance(content, list):  # parts, of which some are images
        content = " ".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return turn[who], content if isinstance(content, str) else ""
