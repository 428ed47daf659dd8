"""A robots.txt from any server, read in bounded time: only the groups of lines that are about us reach the parser.

Protego stores every rule once for each user agent of its group. 512 KiB can name 20,000 agents over 20,000 rules, which
takes minutes and tens of gigabytes; of the two agents that we look for, half a second at most.
"""

import codecs
import re
from dataclasses import dataclass

from protego import Protego

ROBOTS_BYTES = 512 << 10
"""As much of a robots.txt counts; RFC 9309 asks for 500 KiB at least."""
MOST_PATTERNS = 5_000
"""Rules with `*` or `$`, which are compared with each URL one by one: so many take up to 30 ms."""

_AGENT = re.compile(r"user[ -]?agent(?:\s*:|\s)(.*)", re.IGNORECASE)
_PRODUCT = re.compile(r"[a-z_-]+")
_RULE = re.compile(r"(?:dis+al+[oa]w|diasllow|allow)[\s:]", re.IGNORECASE)  # misspelt as Protego accepts it
_OF_NO_GROUP = re.compile(r"(?:site-?maps?|host)\s*:", re.IGNORECASE)


class TooManyPatterns(ValueError):
    """A robots.txt has more than `MOST_PATTERNS` rules with wildcards."""


@dataclass(frozen=True)
class SiteRules:
    """What a robots.txt allows one user agent."""

    rules: Protego
    product: str
    size: int
    """Characters of its rules; parsed they take some 50 bytes each."""

    def allow(self, url: str) -> bool:
        allowed: bool = self.rules.can_fetch(url, self.product)
        return allowed


def parse_robots(body: bytes, product: str) -> SiteRules:
    """The rules for the user agent `product` (a word in lower case), of the first `ROBOTS_BYTES` of the file.

    Raises:
        TooManyPatterns: nothing should be asked for then.
    """
    if len(body) > ROBOTS_BYTES:
        body = body[:ROBOTS_BYTES]
        body = body[: body.rfind(b"\n") + 1]  # a rule that is cut off would be another rule
    rules = _rules_for(product, _decode(body))
    if sum("*" in rule or "$" in rule for rule in rules if not _AGENT.match(rule)) > MOST_PATTERNS:
        raise TooManyPatterns(f"has more than {MOST_PATTERNS:,} rules with wildcards")
    text = "\n".join(rules)
    return SiteRules(Protego.parse(text), product, len(text))


def _decode(body: bytes) -> str:
    """UTF-8, as the RFC has it, or UTF-16 where a byte order mark says so; other bytes give lines without a meaning."""
    utf16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return body.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")


def _rules_for(product: str, text: str) -> list[str]:
    """The lines of the groups that name `product` or `*`, under a user-agent line of just that name."""
    kept: list[str] = []
    in_agents = about_us = False
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if agent := _AGENT.match(line):
            about_us = about_us and in_agents
            in_agents = True
            if (name := _agent_of(agent[1])) in ("*", product):
                kept.append(f"User-agent: {name}")
                about_us = True
        elif _RULE.match(line):
            in_agents = False
            if about_us:
                kept.append(line)
        elif ":" in line and not _OF_NO_GROUP.match(line):
            in_agents = False  # such as Crawl-delay
    return kept


def _agent_of(value: str) -> str:
    """The product that a user-agent line names, without its version, in lower case (RFC 9309, section 2.2.1)."""
    value = value.strip().lower()
    named = _PRODUCT.match(value)
    return named[0] if named else value
