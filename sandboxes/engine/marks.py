"""Marks processes through their environment, and ends what carries a mark and what belongs to it.

An exec cannot be killed through the engine, so every process tree we start carries a marker in its
environment; a short script in the container finds and ends whatever still carries it, and whatever
descends from that, shares its session or its terminal: a program may clear its environment
(``env -i``), but not its birth. What no process in the container shows is asked of the host, see
``kinship``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .base import MARKER_VARIABLE

_MARKER = re.compile(r"[A-Za-z0-9_-]{1,128}")


def check_marker(marker: str) -> str:
    """Return ``marker``, or raise ValueError unless it is 1 to 128 of ``A-Z a-z 0-9 _ -``."""
    if not _MARKER.fullmatch(marker):
        raise ValueError(f"{MARKER_VARIABLE} must be 1 to 128 characters of A-Z a-z 0-9 _ -")
    return marker


def mark(marker: str) -> dict[str, str]:
    """The environment that marks a process: the marker and a full stop.

    The full stop is in no marker, so "term-1" is not found in "term-10".
    """
    return {MARKER_VARIABLE: f"{check_marker(marker)}."}


SWEEP = """
exec 2>/dev/null
IFS=' '
tag=$1; shift
seeds=" $* " sessions=' ' parents=' '

read_mark() {
  mark=none
  if true < "$1/environ"; then
    while IFS= read -r line || [ "$line" ]; do
      case $line in
        *"$tag"*) mark=ours; break ;;
        *"${tag%%=*}="*) mark=other ;;
      esac
    done < "$1/environ"
  else
    while IFS=: read -r key rest; do
      case $key in Uid) rest=${rest#?}; others="$others${rest%%[!0-9]*} " ;; esac
    done < "$1/status"
  fi
}

hit() {
  for signal in $signals; do kill "-$signal" "$1"; done
}

list() {
  rows= others=
  for folder in /proc/[0-9]*; do
    line=
    read -r line < "$folder/stat"
    set -- ${line##*) }
    case $1/${folder#/proc/} in Z/*|X/*|/*|*/$$) continue ;; esac
    read_mark "$folder"
    [ "$mark" = ours ] && hit "${folder#/proc/}"
    rows="$rows${folder#/proc/}:$2:$3:$4:$5:${20}:$mark:$6 "
  done
}

shares() {
  for source in $sources; do
    for end in 0 1 2; do [ "/proc/$1/fd/$end" -ef "$source" ] && return; done
  done
  return 1
}

belongs() {
  [ "$7" = ours ] && return
  case $seeds in *" $1:$6 "*) return 0 ;; esac
  case $sessions in *" $4 "*) return 0 ;; esac
  case $parents in *" $2 "*) return 0 ;; esac
  [ "$7" = none ] && [ "$sources" ] && shares "$1"
}

adopt() {
  found="$found$1:$6 " parents="$parents$1 "
  [ "$4" -gt 1 ] && sessions="$sessions$4 "
  [ "$2" = 0 ] || return
  [ "$5" -ge 34816 ] && [ "$5" -le 35071 ] && sources="$sources/dev/pts/$(($5 - 34816)) "
  for end in 0 1 2; do [ -p "/proc/$1/fd/$end" ] && sources="$sources/proc/$1/fd/$end "; done
}

look() {
  signals=$*
  found= sources= parents=' ' grown=1
  list
  while [ "$grown" ]; do
    grown=
    for row in $rows; do
      IFS=:; set -- $row; IFS=' '
      case " $found" in *" $1:$6 "*) continue ;; esac
      [ "$1" -gt 1 ] && belongs "$@" && grown=1 && adopt "$@"
    done
  done
  seeds="$seeds$found"
}

send() {
  signals=$*
  for one in $found; do hit "${one%:*}"; done
}

freeze() { look STOP; send STOP; look STOP; send STOP; }

freeze; send HUP CONT
for pause in 1 2 3 4 5; do
  [ "$found" ] || break
  sleep 0.1
  look
done
for round in 1 2 3 4 5; do
  [ "$found" ] || break
  freeze; send KILL
  sleep 0.05
  look
done
echo "$found/$others/$rows"
"""
"""Ends what is marked with "$1" or grown from it, and the seeds that follow ("pid:start").

Prints, between slashes: what is left ("pid:start"), whose processes it may not look at, and all
processes there are, for ``kinship`` ("pid:parent:group:session:tty:start:mark:foreground").

What belongs: the marked; the seeds; children and sessions of what belongs (never PID 1 and its
session, which adopt orphans); and what is unmarked and holds the terminal or a pipe that an exec
belonging here began with. What was found once is remembered by its start (clock ticks since boot),
so a number used again is not mistaken for it.

Only the shell's own words are used (and sleep, which may fail), so it works in any image and where
no further process can be made. ``read`` drops the NULs of the environment. What is marked is stopped
the moment it is seen: processes that keep forking are gone again before a list of them is complete,
and stopped ones keep their parents, by whom the rest is found. Its own environment does not hold the mark.
"""


def sweep_argv(marker: str, seeds: Iterable[str] = ()) -> list[str]:
    """The command that ends everything marked. Raises ValueError for an impossible marker."""
    ((name, value),) = mark(marker).items()
    return ["sh", "-c", SWEEP, "sweep", f"{name}={value}", *seeds]
