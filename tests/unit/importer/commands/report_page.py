"""Parses a report's page: its cards, their numbers, and the bars of the charts."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Card:
    """A column on the page."""

    name: str
    heading: str = ""
    values: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    bars: dict[str, int] = field(default_factory=dict)


class Page(HTMLParser):
    """Parses a page; `tags` are all elements with their attributes, `text` is all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.cards: dict[str, Card] = {}
        self.map_rows = 0
        self.text = ""
        self._open: list[tuple[str, dict[str, str]]] = []
        self._card: Card | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        self._open.append((tag, found))
        if tag == "article":
            self._card = self.cards[found["data-name"]] = Card(found["data-name"])
        if tag == "data" and self._card and "data-stat" in found:
            self._card.values[found["data-stat"]] = float(found["value"])
        if tag == "path" and (
            label := re.fullmatch(r"(.*): ([\d,]+) rows?( .*)?", found.get("aria-label", ""))
        ):
            rows = int(label[2].replace(",", ""))
            if self._card:
                self._card.bars[label[1]] = rows
            else:
                self.map_rows += rows

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        if tag == "article":
            self._card = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if not self._card or not self._open:
            return
        tag, attributes = self._open[-1]
        if any(name == "h3" for name, _ in self._open):
            self._card.heading += data
        if tag == "data":
            self._card.texts[attributes["data-stat"]] = data


def loads(html: str) -> list[str]:
    """Return the parts of a page that make a browser load something."""
    page = Page(html)
    found = [
        f"{tag} {name}={value}"
        for tag, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "srcset", "data", "action", "xlink:href")
        or (name == "href" and not value.startswith("#"))
    ]
    found += re.findall(
        r"url\((?!#)[^)]*\)|@import[^;]*|https?://(?!www\.w3\.org/)\S*|fetch\(|import\(", html
    )
    return found + [
        tag for tag, _ in page.tags if tag in ("link", "img", "iframe", "object", "embed", "base")
    ]
