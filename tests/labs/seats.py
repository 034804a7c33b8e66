"""What a student presses at a seat."""

from __future__ import annotations

from django.urls import reverse

from tests.pages.conftest import browser


def url(name, seat, *more):
    return reverse(f"seat_{name}", args=[seat.pk, *more])


def post(user, name, seat, **data):
    return browser(user).post(url(name, seat), data)
