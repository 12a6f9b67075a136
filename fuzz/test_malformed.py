"""Tests of the malformed input: python3 -m unittest discover fuzz."""

from __future__ import annotations

import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benches" / "compare"))

import malformed

NOWHERE = Path("/nowhere")


class Mutations(unittest.TestCase):
    """A seed decides everything, and a mutation does change its seed."""

    def test_the_same_seed_gives_the_same_input(self) -> None:
        def stream(seed: int) -> list[bytes]:
            rng = random.Random(seed)
            return [
                malformed.mutate(rng, rng.choice(malformed.HTTP_SEEDS), malformed.HTTP_TOKENS)
                for _ in range(200)
            ]

        self.assertEqual(stream(1), stream(1))
        self.assertNotEqual(stream(1), stream(2))

    def test_most_mutations_differ_from_their_seed(self) -> None:
        rng = random.Random(3)
        seed = malformed.HTTP_SEEDS[0]
        same = sum(malformed.mutate(rng, seed, malformed.HTTP_TOKENS) == seed for _ in range(1000))
        self.assertLess(same, 100)


class Queries(unittest.TestCase):
    """Whole queries are whole: the mutations break them, not the builder."""

    def test_a_query_keeps_its_name_and_gets_a_type(self) -> None:
        rng = random.Random(4)
        for name in malformed.dns_names(NOWHERE):
            packet = malformed.dns_query(rng, [name])
            question = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"
            self.assertEqual(packet[12 : 12 + len(question)], question)
            kind = int.from_bytes(packet[12 + len(question) : 14 + len(question)], "big")
            self.assertIn(kind, malformed.DNS_TYPES)

    def test_some_frames_lie_about_their_length(self) -> None:
        rng = random.Random(5)
        honest = sum(malformed.framed(rng, b"12345")[:2] == b"\0\5" for _ in range(400))
        self.assertTrue(250 < honest < 350, honest)


if __name__ == "__main__":
    unittest.main()
