"""Readable names for sandboxes that were given none: said aloud, remembered, nobody's feelings hurt."""

from __future__ import annotations

import re
import secrets

_HOW = """
amber brave bright brisk calm candid clear clever cosy crisp curious daring deft eager early easy even
fair fleet fond frank free fresh gentle glad golden green handy happy hardy honest humble jolly keen
kind late light lively loyal lucid lucky mellow merry mild misty modest neat nimble noble patient plain
plucky polite proud quick quiet rapid ready rosy round sandy sharp shiny silent silver simple smart snug
solid spry steady still sunny sure swift tidy trim true warm wise witty young zesty
"""
_WHO = """
badger beaver bee bison bittern boar buzzard carp cat condor coot crab crane cricket curlew deer dipper
dove duck dunlin eagle eel egret elk falcon ferret finch fox frog gannet gecko goat goose grouse gull
hare hawk hedgehog heron hoopoe ibex ibis jackdaw jay kestrel kite koala lark lemur linnet lizard llama
lynx magpie marten martin mole moose moth mouse newt nuthatch ocelot oriole osprey otter owl panda perch
pike pipit plover pony puffin quail rabbit raven robin rook salmon seal shrew siskin skua snail snipe
sparrow squid stoat stork swan swift tapir tern thrush tiger toad trout turtle vole walrus weasel whale
wolf wombat wren yak zebra
"""


def new() -> str:
    """A name like ``quiet-otter``; about ten thousand there are."""
    return f"{secrets.choice(_HOW.split())}-{secrets.choice(_WHO.split())}"


def hostname(name: str) -> str:
    """A sandbox's name as its shell's prompt can show it: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].rstrip("-") or "sandbox"
