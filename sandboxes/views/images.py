"""The catalogue: what can be launched, what is here, and pulling what is not."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from sandboxes.lifecycle import images
from sandboxes.models import Image

from .web import Request, back, origin, private, say, staff_only


@require_GET
@private
def image_list(request: Request) -> HttpResponse:
    """The catalogue; staff see what is switched off too."""
    return render(request, "images/list.html", catalogue(request))


@require_GET
@private
def image_part(request: Request) -> HttpResponse:
    """The catalogue's cards alone, asked for while one is being pulled."""
    return render(request, "images/list.html#catalogue", catalogue(request))


def catalogue(request: Request) -> dict[str, object]:
    rows = Image.objects.all() if request.user.is_staff else Image.objects.filter(enabled=True)
    found = list(rows)
    return {"images": found, "pulling": any(image.is_pulling for image in found)}


@require_POST
@private
def image_pull(request: Request, pk: int) -> HttpResponse:
    """Start a pull, or join the one under way."""
    staff_only(request)
    image = get_object_or_404(Image, pk=pk)
    images.pull(image, origin(request))
    image.refresh_from_db()
    response: HttpResponse = back(request, "image_list")
    if request.htmx:
        response = render(request, "images/list.html#catalogue", catalogue(request))
    return say(request, response, *outcome(image))


def outcome(image: Image) -> tuple[str, str]:
    """What became of the pull so far, as level and sentence."""
    if image.pull_error and not image.is_pulling:
        return "error", image.pull_error
    return (
        "success",
        f"{image.title} is {'here' if image.is_here and not image.is_pulling else 'being pulled'}.",
    )
