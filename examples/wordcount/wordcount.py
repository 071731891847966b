"""Counts words in text, in files, and in files that still grow. Standard library only."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def words(text: str) -> Iterator[str]:
    """The words of a text in lower case; apostrophes and hyphens inside a word belong to it."""
    for match in WORD.finditer(text):
        yield match.group().lower()


def count(lines: Iterable[str]) -> Counter:
    """How often each word comes in the lines; takes memory for the words, not for the text."""
    total: Counter = Counter()
    for line in lines:
        total.update(words(line))
    return total


def top(total: Counter, limit: int) -> list[tuple[str, int]]:
    """The commonest words, equal ones in the order of the alphabet."""
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))[:limit]


def follow(path: str, idle_seconds: float, poll_seconds: float = 0.02) -> Counter:
    """Counts a file that is still written to, until nothing new has come for `idle_seconds`."""
    total: Counter = Counter()
    held = ""
    with open(path, encoding="utf-8") as file:
        last = time.monotonic()
        while time.monotonic() - last < idle_seconds:
            piece = file.read(65_536)
            if piece == "":
                time.sleep(poll_seconds)
                continue
            last = time.monotonic()
            held += piece
            *whole, held = held.split("\n")
            total.update(count(whole))
    total.update(words(held))
    return total
