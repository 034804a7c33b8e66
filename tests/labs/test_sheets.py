"""Lab sheets: steps, buttons and hints come out; nothing that could run does."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from sandboxes.labs import sheets
from sandboxes.labs.samples import FOLDER

SHEET = """# Shell

Welcome.

## Pipes *first*

Do this:

```run
sort names.txt | uniq -c
```

Then read:

```
plain
```

> Hint: use `sort`.

> Only a quote.

## Second

### Within

![a cat](cat.png) ![far](https://example.org/x.png) ![ours](/static/img/brand.svg) [out](https://example.org)
"""


def test_the_first_heading_is_the_title_and_second_level_ones_are_steps():
    sheet = sheets.render(SHEET)
    assert (sheet.title, sheet.introduction) == ("Shell", "<p>Welcome.</p>\n")
    assert [(step.number, step.title) for step in sheet.steps] == [(1, "Pipes first"), (2, "Second")]


def test_run_fences_get_run_and_copy_and_others_only_copy():
    html = sheets.render(SHEET).steps[0].html
    assert (html.count("data-run"), html.count("data-copy")) == (1, 2)
    assert "sort names.txt | uniq -c\n</code>" in html
    assert "data-run" in sheets.render("```sh run\nls\n```").introduction


def test_a_quote_that_begins_with_hint_unfolds_and_another_stays_a_quote():
    html = sheets.render(SHEET).steps[0].html
    assert "<summary>A hint</summary>\n<p>use <code>sort</code>.</p>" in html
    assert (html.count("<details"), html.count("</details>"), html.count("<blockquote")) == (1, 1, 1)


def test_a_hint_may_hold_quotes_and_code():
    html = sheets.render("> Hint: one\n>\n> > inner\n>\n> ```run\n> ls\n> ```\n").introduction
    assert html.endswith("</details>\n")
    assert (html.count("<blockquote"), html.count("</blockquote>"), html.count("data-run")) == (1, 1, 1)


def test_images_come_from_here_and_others_are_their_words():
    html = sheets.render(SHEET, {"cat.png": "data:image/png;base64,AA=="}.get).steps[1].html
    assert '<img src="data:image/png;base64,AA==" alt="a cat"' in html
    assert "/static/img/brand.svg" in html
    assert "x.png" not in html
    assert " far " in html
    assert "a cat" in sheets.render(SHEET).steps[1].html


def test_links_open_elsewhere_without_a_way_back():
    html = sheets.render(SHEET).steps[1].html
    assert '<a href="https://example.org" target="_blank" rel="noopener noreferrer">' in html
    assert "<h3>Within</h3>" in html


ATTACKS = [
    "<script>alert(1)</script>",
    "## <img src=x onerror=alert(1)>\n\ntext",
    "<div onclick='x()'>a</div>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](java\nscript:alert(1))",
    "[a](\x01javascript:alert(1))",
    "[a](vbscript:x)",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "![a](data:text/html,<script>)",
    "![a](data:image/svg+xml;base64,PHN2Zz4=)",
    "![a](javascript:alert(1))",
    "![a](//evil.example/x.png)",
    "![a](/static/../media/x.png)",
    '![a" onerror="alert(1)](/static/x.png)',
    '![a](/static/x.png "t\\" onload=\\"x()")',
    '[a](https://x.example "\\" onmouseover=\\"x()")',
    '[a](https://x.example/"onmouseover="x())',
    "<javascript:alert(1)>",
    "[a]: javascript:alert(1)\n\n[a]",
    "```run\n</code></pre><script>x()</script>\n```",
    '```run" onclick="x()\nls\n```',
    "> Hint: <script>x()</script>",
    "| a |\n|:--:|\n| <script>x()</script> |",
    "`<script>`",
    "<style>*{display:none}</style>",
    "<iframe src=https://x.example></iframe>",
    "<!-- --><svg/onload=x()>",
]
TAGS = (
    "p a em strong code pre div button details summary blockquote h3 h4 h5 h6 ul ol li table thead "
    "tbody tr th td hr br img s"
)
ATTRIBUTES = "href target rel src alt loading class type tabindex data-run data-copy start"


class Found(HTMLParser):
    """Every tag with its attributes, held against what a sheet may hold."""

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS.split()
        for name, value in attrs:
            assert name in ATTRIBUTES.split()
            self.check(tag, name, value or "")

    def check(self, tag, name, value):
        if name == "href":
            assert not value.strip("\x00\x01 ").lower().startswith(("javascript", "vbscript", "data"))
        if name == "src":
            assert value.startswith(("/static/", "data:image/png", "data:image/gif"))
            assert ".." not in value


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_only_text(attack):
    sheet = sheets.render(attack, lambda name: None)
    found = Found()
    found.feed(sheet.introduction + "".join(step.html for step in sheet.steps))
    found.close()


@pytest.mark.parametrize(
    "text",
    [">" * 50_000, "- " * 50_000, "[" * 50_000, "![" * 50_000, "*a " * 50_000, "`" * 90_000, "_" * 90_000,
     "<" * 90_000, "[a](" * 30_000, "\\" * 90_000, "> Hint: a\n\n" * 10_000, "1. a\n" * 30_000,
     "***" * 30_000],
)  # fmt: skip
def test_deep_and_large_sheets_come_out(text):
    """No recursion without end, and something to read; how long it takes is no test's matter."""
    assert sheets.render(text).introduction


def test_a_sheet_has_bounds():
    with pytest.raises(sheets.TooLong, match="200 kB"):
        sheets.render("a" * (sheets.MOST + 1))
    with pytest.raises(sheets.TooLong, match="100 steps"):
        sheets.render("\n## a\n" * 101)


@pytest.mark.parametrize("name", ["shell", "python", "web"])
def test_the_sample_sheets_have_steps_to_run(name):
    sheet = sheets.render((FOLDER / f"{name}.md").read_text())
    assert len(sheet.steps) >= 3
    assert any("data-run" in step.html for step in sheet.steps)
