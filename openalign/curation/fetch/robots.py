"""Parses the robots.txt of any server in bounded time: only the groups for our user agent reach the parser.

Protego stores every rule once per user agent of its group. 512 KiB can name 20,000 agents and 20,000 rules, which takes
minutes and tens of gigabytes; for the two agents that matter here, half a second at most.
"""

import codecs
import re
from dataclasses import dataclass

from protego import Protego

ROBOTS_BYTES = 512 << 10
"""The rest of a robots.txt is ignored; RFC 9309 demands at least 500 KiB."""
MOST_PATTERNS = 5_000
"""Limit of rules with `*` or `$`, which are compared with each URL one by one: 5,000 take up to 30 ms."""

_AGENT = re.compile(r"user[ -]?agent(?:\s*:|\s)(.*)", re.IGNORECASE)
_PRODUCT = re.compile(r"[a-z_-]+")
_RULE = re.compile(r"(?:dis+al+[oa]w|diasllow|allow)[\s:]", re.IGNORECASE)  # with the misspellings that Protego accepts
_OF_NO_GROUP = re.compile(r"(?:site-?maps?|host)\s*:", re.IGNORECASE)


class TooManyPatterns(ValueError):
    """A robots.txt has more than `MOST_PATTERNS` rules with wildcards."""


@dataclass(frozen=True)
class SiteRules:
    """The rules of a robots.txt for one user agent."""

    rules: Protego
    product: str
    size: int
    """Characters of the rules; in memory they take some 50 bytes each."""

    def allow(self, url: str) -> bool:
        allowed: bool = self.rules.can_fetch(url, self.product)
        return allowed


def parse_robots(body: bytes, product: str) -> SiteRules:
    """The rules for the user agent `product` (a word in lower case) in the first `ROBOTS_BYTES` of the file.

    Raises TooManyPatterns; nothing should then be requested from the site.
    """
    if len(body) > ROBOTS_BYTES:
        body = body[:ROBOTS_BYTES]
        body = body[: body.rfind(b"\n") + 1]  # a truncated rule would be a different rule
    rules = _rules_for(product, _decode(body))
    if sum("*" in rule or "$" in rule for rule in rules if not _AGENT.match(rule)) > MOST_PATTERNS:
        raise TooManyPatterns(f"has more than {MOST_PATTERNS:,} rules with wildcards")
    text = "\n".join(rules)
    return SiteRules(Protego.parse(text), product, len(text))


def _decode(body: bytes) -> str:
    """Decode UTF-8, as the RFC requires, or UTF-16 with a byte order mark; other bytes become meaningless lines."""
    utf16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return body.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")


def _rules_for(product: str, text: str) -> list[str]:
    """The lines of the groups for `product` or `*`, with only these user-agent lines."""
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
    """The product name of a user-agent line, without version, in lower case (RFC 9309, section 2.2.1)."""
    value = value.strip().lower()
    named = _PRODUCT.match(value)
    return named[0] if named else value
