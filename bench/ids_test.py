"""What tells whether anything is missing, against sets of ids counted one by one."""

from __future__ import annotations

import random
import unittest

from ids import Run, compare


def one_by_one(taken: list[Run], arrived: list[Run]) -> dict[str, int]:
    every = [span for run in arrived for span in range(*run)]
    missing = {span for run in taken for span in range(*run)} - set(every)
    return {"missing": len(missing), "repeated": len(every) - len(set(every))}


class Compare(unittest.TestCase):
    def test_a_copy_does_not_hide_a_span_that_is_missing(self) -> None:
        self.assertEqual(compare([(0, 10)], [(0, 9), (3, 4)]), {"missing": 1, "repeated": 1})

    def test_runs_in_any_order_and_cut_anywhere_are_counted_as_their_spans_are(self) -> None:
        chance = random.Random(7)
        for _ in range(2_000):
            edges = sorted(chance.sample(range(60), 8))
            taken = list(zip(edges[::2], edges[1::2]))
            arrived = [(start, start + chance.randrange(1, 20)) for start in chance.sample(range(60), chance.randrange(8))]
            chance.shuffle(taken)
            self.assertEqual(compare(taken, arrived), one_by_one(taken, arrived), (taken, arrived))


if __name__ == "__main__":
    unittest.main()
