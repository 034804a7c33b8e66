"""What the fault tests count in sandboxes."""

from __future__ import annotations

from .crowd import others


def test_what_a_terminal_began_is_told_from_the_main_process_though_numbers_begin_anew() -> None:
    main = [(-100, 32767, 1, "/sbin/docker-init -- sh"), (-100, 301, 32767, "sh")]
    began = [(-50, 400, 1, "sh"), (-50, 401, 400, "sleep 600"), (-40, 12, 32767, "left by its parent")]
    assert others([*began, *main]) == ["sh", "sleep 600", "left by its parent"]
    assert others(main) == []
    assert others([]) == []
