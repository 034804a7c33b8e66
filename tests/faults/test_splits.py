"""The output of execs, cut in any way: both streams byte for byte, whatever the cuts."""

from __future__ import annotations

import random
from typing import Any

from sandboxes.engine.base import Unreachable
from sandboxes.engine.frames import FrameParser
from tests.engine.test_frames import framed, joined, parsed


def cut(whole: bytes, dice: random.Random) -> list[bytes]:
    cuts = sorted(dice.randrange(len(whole) + 1) for _ in range(dice.randrange(20)))
    return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def test_any_cut_gives_the_same_bytes(dice: random.Random, scale: Any, told: Any) -> None:
    count = scale(3000, 100_000)
    for _ in range(count):
        parts = [(dice.choice(("stdout", "stderr")), dice.randbytes(dice.randrange(40)))
                 for _ in range(dice.randrange(12))]  # fmt: skip
        pieces = cut(framed(parts), dice)
        assert parsed(pieces) == joined(parts), pieces
    told(splits=count, wrong=0)


def test_what_is_damaged_is_told_and_never_a_fault(dice: random.Random, scale: Any, told: Any) -> None:
    """A byte turned, or the end missing: pieces of streams, or "that made no sense"; nothing else."""
    count, noticed = scale(1000, 20_000), 0
    for _ in range(count):
        whole = bytearray(framed([("stdout", dice.randbytes(dice.randrange(1, 40))) for _ in range(5)]))
        whole[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        parser = FrameParser()
        try:
            for piece in cut(bytes(whole[: dice.randrange(1, len(whole) + 1)]), dice):
                assert {name for name, _ in parser.feed(piece)} <= {"stdout", "stderr"}
            parser.finish()
        except Unreachable:
            noticed += 1
    told(damaged=count, noticed=noticed, faults=0)
