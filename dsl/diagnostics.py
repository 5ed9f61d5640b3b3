"""What is wrong, where, and what to do: the one shape in which every stage reports to the user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct, field

from dagent.dsl.source import Span

Severity = Literal["error", "warning", "note"]


class Note(Struct, frozen=True):
    """A further remark; ``span`` is the other place that it speaks of, if there is one."""

    message: str
    span: Span | None = None


class Edit(Struct, frozen=True):
    """Put ``text`` in the place of ``span``; an empty span inserts."""

    span: Span
    text: str


class Diagnostic(Struct, frozen=True):
    """One finding. ``code`` is a key of ``codes.CODES``; ``suggestion`` the one remedy, in words.

    ``fix`` is that remedy as edits, given only where no other could be meant: `check --fix` makes
    them unseen.

    ``span`` is ``None`` only for what has no place in a text (a full disk, a port taken). ``file``
    then names the file that the finding is about, if there is one.
    """

    code: str
    message: str
    span: Span | None = None
    severity: Severity = "error"
    suggestion: str | None = None
    notes: tuple[Note, ...] = ()
    file: str | None = None
    fix: tuple[Edit, ...] = ()


class Diagnostics(Struct):
    """Collects findings, so that all errors of a stage are reported together.

    ``origins`` says of a place that only names a value where that value stands; a finding at such
    a place tells it.
    """

    found: list[Diagnostic] = field(default_factory=list)
    origins: dict[Span, Note] = field(default_factory=dict)

    def error(
        self,
        code: str,
        message: str,
        span: Span | None,
        suggestion: str | None = None,
        notes: Iterable[Note] = (),
        fix: Iterable[Edit] = (),
    ) -> None:
        origin = self.origins.get(span) if span is not None else None
        told = (*notes, origin) if origin is not None else tuple(notes)
        self.found.append(
            Diagnostic(code, message, span, "error", suggestion, told, fix=tuple(fix))
        )

    def warn(
        self,
        code: str,
        message: str,
        span: Span | None,
        suggestion: str | None = None,
        notes: Iterable[Note] = (),
    ) -> None:
        self.found.append(Diagnostic(code, message, span, "warning", suggestion, tuple(notes)))

    def add(self, diagnostic: Diagnostic) -> None:
        self.found.append(diagnostic)

    @property
    def has_errors(self) -> bool:
        return any(d.severity == "error" for d in self.found)

    def __iter__(self) -> Iterator[Diagnostic]:
        """In reading order: by file, then by place; what has no place comes first."""

        def place(d: Diagnostic) -> tuple[str, int, str]:
            if d.span is None:
                return (d.file or "", -1, d.code)
            return (d.span.source.name, d.span.start, d.code)

        return iter(sorted(self.found, key=place))

    def gate(self) -> None:
        """Stop here if anything is wrong: a later stage never runs on what this one refused.

        Raises:
            Refused: with everything found so far.
        """
        if self.has_errors:
            raise Refused(tuple(self))


class Refused(Exception):
    """The user's input or goal falls short: exit code 1. Carries what to tell the user."""

    exit_code = 1

    def __init__(self, diagnostics: Iterable[Diagnostic] | Diagnostic) -> None:
        if isinstance(diagnostics, Diagnostic):
            diagnostics = (diagnostics,)
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(f"{d.code}: {d.message}" for d in self.diagnostics))


class Failed(Refused):
    """The tool or the machine failed (disk full, worker died): exit code 2. Same shape."""

    exit_code = 2
