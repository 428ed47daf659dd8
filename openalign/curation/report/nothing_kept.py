"""What is said where a curation keeps no pair: the rules that drop them, and why images could not be used."""

from collections.abc import Iterator, Mapping
from typing import Any

from openalign.options import option

_REASONS_SHOWN = 3
_ADVICE = (
    ("not a public address", {"allow_private_hosts": "true"}, "fetches from such hosts"),
    ("downloading is off", {"download": "true"}, "fetches images that the sources only link to"),
    ("no complete response within", {"fetch_seconds": "60"}, "waits longer"),
)
"""What to do about images: words in the reason why they could not be used, the setting, and what that does."""


def why_nothing_is_kept(report: Mapping[str, Any]) -> Iterator[str]:
    """The messages, by the content of report.json (see `summary.summarise`)."""
    dropped = {rule["name"]: rule["first"] for rule in report["rules"] if rule["ran"] and rule["first"]}
    rules = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {count:,}" for name, count in rules)
    yield f"Nothing is left. Pairs that each rule drops: {shown}; the report explains them."
    images, reasons = report["images"], report["image_problems"]
    if failed := images["judged"] - images["readable"]:
        first = "; ".join(
            f"{reason.rstrip('.')} ({count:,})" for reason, count in list(reasons.items())[:_REASONS_SHOWN]
        )
        more = ", among others" if len(reasons) > _REASONS_SHOWN else ""
        yield f"{failed:,} of {images['judged']:,} images could not be used: {first}{more}."
        for words, setting, effect in _ADVICE:
            if any(words in reason for reason in reasons):
                yield f"{option(set=setting)} {effect}."
