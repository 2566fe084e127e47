"""Files of span ids as `gen --ids` and `sink --ids` write them: a line for each run of consecutive ids."""

from __future__ import annotations

from pathlib import Path

Run = tuple[int, int]


def read(path: Path) -> list[Run]:
    """First id and the one after the last, of every run of spans."""
    runs = []
    for line in path.read_text().splitlines():
        signal, first, count = line.split()
        if signal == "traces":
            runs.append((int(first, 16), int(first, 16) + int(count)))
    return runs


def compare(taken: list[Run], arrived: list[Run]) -> dict[str, int]:
    """How many spans were taken and never arrived, and how many arrived more than once."""
    union = merged(arrived)
    twice = sum(end - start for start, end in arrived) - sum(end - start for start, end in union)
    return {"missing": sum(uncovered(taken, union)), "repeated": twice}


def merged(runs: list[Run]) -> list[Run]:
    union: list[Run] = []
    for start, end in sorted(runs):
        if union and start <= union[-1][1]:
            union[-1] = union[-1][0], max(union[-1][1], end)
        else:
            union.append((start, end))
    return union


def uncovered(runs: list[Run], union: list[Run]):
    at = 0
    for start, end in sorted(runs):
        while at < len(union) and union[at][1] <= start:
            at += 1
        here, inside = start, at
        while here < end and inside < len(union) and union[inside][0] < end:
            yield max(0, union[inside][0] - here)
            here, inside = max(here, union[inside][1]), inside + 1
        yield max(0, end - here)
