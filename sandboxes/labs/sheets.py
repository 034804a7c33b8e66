"""Lab sheets: Markdown in, an introduction and steps as safe HTML out. Nothing of it is ever run here.

A second-level heading begins a step. ``run`` fences get a button that types them into the terminal; a
quote that begins with "Hint:" unfolds. Raw HTML is text, links lead to the web or this site, images come
from this site, from the template's own files or from the sheet itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import escape
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

MOST = 200 * 1024
"""Characters of a sheet."""
MOST_STEPS = 100
WEB = ("http://", "https://", "mailto:")
HINT = "Hint:"

Lookup = Callable[[str], str | None]
"""An address for a file of the template by its name, or None."""


class TooLong(ValueError):
    """``str(error)`` is a sentence for whoever wrote the sheet."""


@dataclass(frozen=True)
class Step:
    """One step; ``number`` counts from 1."""

    number: int
    title: str
    html: str


@dataclass(frozen=True)
class Sheet:
    """A whole sheet: its own title if it has one, what stands before the first step, the steps."""

    title: str = ""
    introduction: str = ""
    steps: tuple[Step, ...] = ()


def check(text: str) -> str:
    """The text, if it is short enough. Raises TooLong."""
    if len(text) > MOST:
        raise TooLong(f"A sheet has at most {MOST // 1024} kB of text.")
    if text.count("\n## ") > MOST_STEPS:
        raise TooLong(f"A sheet has at most {MOST_STEPS} steps.")
    return text


def render(text: str, find: Lookup | None = None) -> Sheet:
    """The sheet as HTML. ``find`` gives addresses for images among the template's files."""
    reader = _reader()
    env: dict[str, Any] = {"find": find}
    tokens = _unfold(reader.parse(check(text), env))
    parts = _parts(tokens)
    title, first = _own_title(parts[0])
    draw = lambda part: reader.renderer.render(part, reader.options, env)  # noqa: E731
    steps = (
        Step(number, _plain(part[1]), draw(part[3:])) for number, part in enumerate(parts[1:], 1)
    )  # heading_open, its text, heading_close, then the step
    return Sheet(title, draw(first), tuple(steps))


def _reader() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}, renderer_cls=Drawing)
    made.enable(["table", "strikethrough"])
    made.validateLink = _may_stand  # type: ignore[method-assign]
    return made


def _may_stand(url: str) -> bool:
    """Whether an address may stand in a sheet at all; images are looked at once more when drawn."""
    url = url.strip().lower()
    if url.startswith(("http://", "https://", "mailto:", "/", "#")):
        return True
    if url.startswith("data:"):
        return url.startswith(tuple(f"data:image/{kind};base64," for kind in ("png", "jpeg", "gif", "webp")))
    return ":" not in url.split("/")[0]


# -- the text as a row of tokens ----------------------------------------------------------------


def _parts(tokens: Sequence[Token]) -> list[list[Token]]:
    """What stands before the first step, then each step with its heading."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.type == "heading_open" and token.tag == "h2" and token.level == 0:
            parts.append([])
        parts[-1].append(token)
    return parts


def _own_title(tokens: list[Token]) -> tuple[str, list[Token]]:
    """The title at the very beginning, which the page shows in its own place, and the rest."""
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return _plain(tokens[1]), tokens[3:]
    return "", tokens


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [])[:200]


def _unfold(tokens: list[Token]) -> list[Token]:
    """Quotes that begin with "Hint:" become hints, without the word; no style stands in an attribute."""
    for place, token in enumerate(tokens):
        token.attrs.pop("style", None)  # a table's alignment; the page's policy forbids it
        if token.type == "blockquote_open" and _is_hint(tokens[place + 1 : place + 3]):
            token.type, token.tag = "hint_open", "details"
            end = next(
                one for one in tokens[place:] if one.type == "blockquote_close" and one.level == token.level
            )
            end.type, end.tag = "hint_close", "details"
    return tokens


def _is_hint(tokens: list[Token]) -> bool:
    words = tokens[1].children[:1] if len(tokens) == 2 and tokens[1].children else []
    if not words or tokens[0].type != "paragraph_open" or not words[0].content.startswith(HINT):
        return False
    words[0].content = words[0].content.removeprefix(HINT).lstrip()
    return True


# -- tokens as HTML -----------------------------------------------------------------------------


class Drawing(RendererHTML):
    """What of a sheet looks otherwise than Markdown's usual HTML."""

    def hint_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '<details class="fold"><summary>A hint</summary>\n'

    def hint_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "</details>\n"

    def heading_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f"<{_below(tokens[idx].tag)}>"

    def heading_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f"</{_below(tokens[idx].tag)}>\n"

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        words = tokens[idx].info.lower().split()
        return _snippet(tokens[idx].content, is_run="run" in words)

    def code_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return _snippet(tokens[idx].content, is_run=False)

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        to = str(tokens[idx].attrGet("href") or "")
        return f'<a href="{escape(to)}" target="_blank" rel="noopener noreferrer">'

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        words = escape(self.renderInlineAsText(token.children or [], options, env))
        source = _source(str(token.attrGet("src") or ""), env.get("find"))
        return f'<img src="{escape(source)}" alt="{words}" loading="lazy">' if source else words


def _below(tag: str) -> str:
    """The page has its title and the steps theirs, so that headings inside begin at the third level."""
    return f"h{min(max(int(tag[1:]), 3), 6)}"


def _snippet(text: str, *, is_run: bool) -> str:
    code = f'<pre tabindex="0"><code>{escape(text)}</code></pre>'
    run = '<button type="button" data-run>Run</button>' if is_run else ""
    copy = '<button type="button" data-copy>Copy</button>'
    return f'<div class="snippet">{code}<div class="snippet-acts needs-js">{copy}{run}</div></div>\n'


def _source(address: str, find: Lookup | None) -> str:
    """Where an image may be fetched from; empty: it is not shown."""
    if address.lower().startswith("data:image/") or (address.startswith("/static/") and ".." not in address):
        return address
    is_name = not address.lower().startswith(WEB) and not address.startswith(("/", "#")) and address != ""
    return (find(address) if find and is_name else None) or ""
