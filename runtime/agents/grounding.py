"""What a generator is shown: rows of the domain, and passages, each before any comes twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagent.runtime.agents.drafts import shown
from dagent.runtime.rows import Row, cell, read_rows
from dagent.runtime.step import Artifact

PASSAGE = 1500  # characters; about 300 words, a page's section
EXAMPLES = 4  # rows shown with a call


@dataclass(frozen=True, slots=True)
class Passage:
    """``place`` is ``FILE#NUMBER``."""

    place: str
    text: str


def passages(documents: Mapping[str, str]) -> list[Passage]:
    """Documents cut between paragraphs into passages of at most ``PASSAGE`` characters; only a
    longer paragraph is cut inside."""
    found = []
    for name, text in sorted(documents.items()):
        parts: list[str] = []
        for paragraph in text.split("\n\n"):
            pieces = [paragraph[i : i + PASSAGE] for i in range(0, len(paragraph), PASSAGE)]
            for piece in (p.strip() for p in pieces):
                if parts and len(parts[-1]) + len(piece) + 2 <= PASSAGE:
                    parts[-1] = f"{parts[-1]}\n\n{piece}".strip()
                elif piece:
                    parts.append(piece)
        found += [Passage(f"{name}#{number}", part) for number, part in enumerate(parts, 1)]
    return found


def read_documents(names: Sequence[str], project: Path) -> dict[str, str]:
    return {name: (project / name).read_text(encoding="utf-8") for name in names}


def handed(inputs: Mapping[str, Artifact], prefix: str) -> list[Row]:
    """The rows of every input whose name begins so: ``seed.`` or ``pool.``."""
    names = sorted(name for name in inputs if name.startswith(prefix))
    return [row for name in names for row in read_rows(inputs[name].path)]


class Grounds:
    """Deals out examples and passages in a seeded order; no clock, no global randomness. Passages
    that fewest rows of ``kept`` draw on come first, so that rounds cover the documents together."""

    def __init__(
        self,
        rows: Sequence[Row],
        sources: Sequence[Passage],
        kept: Sequence[Row],
        seed: int,
        brings: str = "",
    ) -> None:
        self.rows = rows
        self._brings = brings
        used = Counter(row.get("source") for row in kept)
        drawn = random.Random(seed).sample(list(sources), len(sources))
        self._sources = sorted(drawn, key=lambda passage: used[passage.place])
        self._dealt = 0

    @property
    def lists_tests(self) -> bool:
        """Whether the domain keeps unit tests as lists of statements."""
        return not any(isinstance(row.get("tests"), str) for row in self.rows)

    def passage(self) -> Passage | None:
        """The next passage; every one is dealt before any is dealt again."""
        if not self._sources:
            return None
        found = self._sources[self._dealt % len(self._sources)]
        self._dealt += 1
        return found

    def examples(self, skill: Any, difficulty: Any, seed: int) -> list[dict[str, str]]:
        """Rows of the cell first, then of its skill, then of the domain."""
        wanted = cell({"skill": skill, "difficulty": difficulty})
        order = random.Random(seed).sample(range(len(self.rows)), len(self.rows))

        def distance(index: int) -> int:
            own = cell(self.rows[index])
            return 0 if own == wanted else 1 if own[0] == wanted[0] else 2

        nearest = sorted(order, key=distance)[:EXAMPLES]
        return [
            {
                "difficulty": str(self.rows[i].get("difficulty", "")),
                "prompt": self.rows[i]["prompt"],
                "answer": self.rows[i]["answer"],
                **shown(self._brings, self.rows[i]),
            }
            for i in nearest
        ]
