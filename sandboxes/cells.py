"""Tables as CSV for spreadsheets, which take a cell that begins like a formula for one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpResponse

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def text(value: Any) -> str:
    """What stands for a value: nothing for None."""
    return "" if value is None else str(value).replace("\0", "")


def safe(value: Any) -> str:
    """The cell as text that no spreadsheet works out; plain numbers stay what they are."""
    told = text(value)
    if isinstance(value, int | float) or not told.lstrip(" ").startswith(DANGEROUS):
        return told
    return f"'{told}"


def answer(name: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """A download in UTF-8 with a mark at its beginning, without which Excel guesses."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([safe(one) for one in row] for row in rows)
    response = HttpResponse("\ufeff" + out.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response
