"""What the checks learned from the files that a spec names, for lowering to put into the plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from dagent.compiler.grading import Lack
from dagent.compiler.memory import Shape
from dagent.compiler.prices import Price
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.source import Span


class DataFacts(Struct, frozen=True):
    """``rows`` counts the rows that ``where`` keeps; ``characters`` is the mean length of a prompt
    and its answer together. ``sha256`` is None, and ``revision`` set, for a set on the hub.

    ``known`` is False where the rows are made or fetched when the plan runs: then the counts are
    only assumed, for estimates.
    """

    sha256: str | None
    rows: int
    characters: float
    skills: tuple[str, ...] = ()
    skill_sizes: Mapping[str, int] = field(default_factory=dict)  # "" -> rows that name none
    difficulties: tuple[str | int, ...] = ()
    revision: str | None = None
    known: bool = True
    ungradable: Mapping[str, Lack] = field(default_factory=dict)  # metric -> first row that lacks
    databases: Mapping[str, int] = field(default_factory=dict)  # named by rows -> first that does
    longest: tuple[int, str] | None = None  # the row that asks most, and what it asks
    answered: tuple[int, str] | None = None  # that of the longest right answer, and the answer


class StudentFacts(Struct, frozen=True):
    """``sha256`` is None for a model on the hub, ``parameters`` where nothing tells, ``shape``
    where no ``config.json`` was read. ``modules`` has the rank of each module's weights, where the
    files are at hand, in ``folder``."""

    sha256: str | None
    parameters: float | None
    shape: Shape | None = None
    modules: Mapping[str, int] = field(default_factory=dict)
    folder: Path | None = None


class GraderFacts(Struct, frozen=True):
    """The JSON Schemas that graders read, and the digests of the databases, by their paths."""

    schemas: Mapping[str, Any] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)


class Facts(Struct, frozen=True):
    data: Mapping[str, DataFacts]
    student: StudentFacts
    programs: Mapping[str, str] = field(default_factory=dict)  # file, relative -> SHA-256
    documents: Mapping[str, str] = field(default_factory=dict)  # likewise, of `domain.sources`
    # Of every model whose price is known, by ``prices.place``; and the file that says so, if any.
    prices: Mapping[str, Price] = field(default_factory=dict)
    price_lists: Mapping[str, str] = field(default_factory=dict)
    teachers: Mapping[int, StudentFacts] = field(default_factory=dict)  # by number of the stage
    graders: GraderFacts = field(default_factory=GraderFacts)
    # Of the accelerate config and what it names, by path: SHA-256
    accelerate: Mapping[str, str] = field(default_factory=dict)
    processes: int | None = None  # with an accelerator each, by that config
    tasks: Mapping[str, str] = field(default_factory=dict)  # folder of a guard's tasks -> SHA-256
    whole: Mapping[str, str] = field(default_factory=dict)  # programs with what they import

    def program(self, reference: str) -> str:
        """The digest of ``file.py:function``, with the modules of its folder that it imports."""
        return self.whole[reference.rpartition(":")[0]]


def nameable(path: str, folder: Path, span: Span, diagnostics: Diagnostics) -> bool:
    """Whether the system can look up ``path`` at all; if not, why is reported."""
    try:
        (folder / path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True  # whether it must be there is for others to say
    except ValueError:  # so Python says it of this one character
        diagnostics.error("E707", "a path cannot hold a null character", span, "correct it")
        return False
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        diagnostics.error(
            "E707", f"the system refuses this path: {reason}", span, "correct the path"
        )
        return False
    return True


def inside(path: str, project: Path, span: Span, diagnostics: Diagnostics) -> Path | None:
    """The file or folder that a spec's path names, or None (reported) if it leaves the project.

    Links are followed: what counts is where the content lies.
    """
    target = project / path
    if not nameable(path, project, span, diagnostics):
        return None
    if Path(path).is_absolute() or not target.resolve().is_relative_to(project.resolve()):
        diagnostics.error(
            "E707",
            f"`{path}` leads out of the spec's folder",
            span,
            "copy it into the folder, or move the spec up",
        )
        return None
    return target
