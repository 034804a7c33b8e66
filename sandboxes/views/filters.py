"""What the list's address asks for: text, status, owner, order, page. Nonsense is ignored, never an error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.expressions import OrderBy
from django.http import QueryDict
from django.utils import timezone

from sandboxes.models import ENDED, HOLDING, LIVE, Status

ENDING_WITHIN = timedelta(minutes=10)
ALL = "all"
CHIPS = {
    ALL: "All",
    **{status.value: status.label.capitalize() for status in Status if status not in ENDED},
    "ending": "Ending soon",
    Status.REMOVED.value: "Removed",
}
SORTS = {
    "status": ("status",),
    "name": ("name",),
    "owner": ("owner__username",),
    "image": ("image_reference",),
    "memory": ("memory",),
    "left": ("expires_at",),
    "new": ("-created_at",),
}
ORDERS = (
    ("new", "Newest first"),
    ("left", "Ending first"),
    ("name", "By name"),
    ("status", "By status"),
    ("-memory", "Most memory"),
)
LONGEST = 100


def clean(text: str, longest: int = LONGEST) -> str:
    """Printable text of bounded length; what a database or a terminal might choke on is gone."""
    return "".join(c for c in text[: longest * 4] if c.isprintable()).strip()[:longest]


@dataclass(frozen=True)
class Filters:
    """One view of the list; ``sort`` is a key of SORTS, a leading minus turns it round."""

    q: str = ""
    status: str = ALL
    owner: str = ""
    sort: str = "new"
    page: str = "1"

    @classmethod
    def of(cls, query: QueryDict, staff: bool) -> Filters:
        """Read them from an address; whoever is not staff has no owner to choose."""
        status, sort = query.get("status", ALL), query.get("sort", "new")
        return cls(
            q=clean(query.get("q", "")),
            status=status if status in CHIPS else ALL,
            owner=clean(query.get("owner", ""), 150) if staff else "",
            sort=sort if sort.removeprefix("-") in SORTS else "new",
            page=clean(query.get("page", "1"), 9),
        )

    def address(self, **changes: Any) -> str:
        """The query string of this view with some of it changed; back to page 1 unless told."""
        plain, wanted = Filters(), replace(self, **{"page": "1", **changes})
        parts = {name: value for name, value in vars(wanted).items() if value != getattr(plain, name)}
        return f"?{urlencode(parts)}" if parts else "?"

    @property
    def status_label(self) -> str:
        return CHIPS[self.status].lower()

    @property
    def orders(self) -> tuple[tuple[str, str], ...]:
        """The orders a narrow page offers, where there are no headings to press."""
        return ORDERS

    @property
    def is_narrow(self) -> bool:
        """Whether anything but the order was asked for."""
        return bool(self.q or self.owner or self.status != ALL)

    def words(self) -> Q:
        """Rows whose name, id, image or owner hold the text."""
        if not self.q:
            return self.owned()
        fields = ("name", "id", "image_reference", "owner__username")
        return self.owned() & Q(*((f"{field}__icontains", self.q) for field in fields), _connector=Q.OR)

    def owned(self) -> Q:
        return Q(owner__username=self.owner) if self.owner else Q()

    def order(self) -> tuple[Any, ...]:
        """The order, what has no value last, newest first among equals."""
        key = self.sort.removeprefix("-")
        fields = (SORTS[key][0], "-created_at")
        down = self.sort.startswith("-") != fields[0].startswith("-")
        column = F(fields[0].removeprefix("-"))
        return (OrderBy(column, descending=down, nulls_last=True), "-created_at", "-id")


def within(chip: str) -> Q:
    """The rows that a chip stands for."""
    if chip == ALL:
        return ~Q(status__in=ENDED)
    if chip == "ending":
        return Q(status__in=LIVE, expires_at__lte=timezone.now() + ENDING_WITHIN)
    return Q(status=chip)


def counts(rows: QuerySet[Any], filters: Filters) -> dict[str, int]:
    """All the numbers above the list in one query: of the search by chip, and of everything visible.

    Keys: ``chip_<chip>``; ``running``, ``live``, ``memory`` (bytes promised), ``ending``.
    """
    words = filters.words()
    chips = {f"chip_{chip}": Count("pk", filter=words & within(chip)) for chip in CHIPS}
    live = HOLDING
    return rows.aggregate(
        **chips,
        running=Count("pk", filter=Q(status=Status.RUNNING)),
        live=Count("pk", filter=live),
        memory=Sum("memory", filter=live, default=0),
        ending=Count("pk", filter=within("ending")),
    )
