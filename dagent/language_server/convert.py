"""Our answers in the words of the Language Server Protocol."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from lsprotocol import types as lsp
from pygls import uris

from dagent.dsl.codes import CODES
from dagent.dsl.diagnostics import Diagnostic, Severity
from dagent.dsl.source import ENDINGS, Source, Span
from dagent.language_server.completion import Item, Sort
from dagent.language_server.desk import absolute
from dagent.language_server.lines import Lines
from dagent.language_server.symbols import Symbol

_SEVERITY: dict[Severity, lsp.DiagnosticSeverity] = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "note": lsp.DiagnosticSeverity.Information,
}
_KIND: dict[Sort, lsp.CompletionItemKind] = {
    "key": lsp.CompletionItemKind.Property,
    "block": lsp.CompletionItemKind.Class,
    "word": lsp.CompletionItemKind.EnumMember,
    "unit": lsp.CompletionItemKind.Unit,
    "reference": lsp.CompletionItemKind.Constant,
    "name": lsp.CompletionItemKind.Reference,
    "file": lsp.CompletionItemKind.File,
    "function": lsp.CompletionItemKind.Function,
    "operator": lsp.CompletionItemKind.Operator,
}
UNUSED = ("E711",)
# In a checkout the reference stands beside the code; a wheel has none, and hovering tells as much.
_ERRORS = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
_NOWHERE = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0))


class Places:
    """Ranges of spans; a text is cut into lines once. ``place``: where spans of pieces are."""

    def __init__(self, place: Callable[[Span], Span] = lambda span: span) -> None:
        self.place = place
        self.lines = cache(lambda source: Lines(source.text))

    def range(self, span: Span) -> lsp.Range:
        span = self.place(span)
        lines: Lines = self.lines(span.source)
        start, end = lines.place(span.start), lines.place(span.end)
        return lsp.Range(lsp.Position(*start), lsp.Position(*end))

    def location(self, span: Span, folder: Path) -> lsp.Location | None:
        """``None`` for what is no file, such as the command line."""
        path = absolute(folder / span.source.name)
        exists = path.suffix.lower() in ENDINGS or path.is_file()  # a spec may be yet unsaved
        uri = uris.from_fs_path(str(path)) if exists else None
        return lsp.Location(uri, self.range(span)) if uri else None

    def diagnostic(self, found: Diagnostic, folder: Path) -> lsp.Diagnostic:
        """``folder`` is the one from which names of files count."""
        message, related = found.message, []
        for note in found.notes:
            location = self.location(note.span, folder) if note.span else None
            if location is not None:
                related.append(lsp.DiagnosticRelatedInformation(location, note.message))
            else:
                message += f"\nnote: {note.message}"
        if found.suggestion:
            message += f"\nhelp: {found.suggestion}"
        here = found.span is not None and found.span.source.name != "--set"
        return lsp.Diagnostic(
            range=self.range(found.span) if here and found.span else _NOWHERE,
            message=message,
            severity=_SEVERITY[found.severity],
            code=found.code,
            code_description=_description(found.code),
            source="dagent",
            tags=[lsp.DiagnosticTag.Unnecessary] if found.code in UNUSED else None,
            related_information=related or None,
        )

    def completion(self, item: Item, order: int, *, snippets: bool) -> lsp.CompletionItem:
        snippet = item.snippet and snippets
        text = item.text if snippet or not item.snippet else _bare(item.text)
        return lsp.CompletionItem(
            label=item.label,
            kind=_KIND[item.sort],
            detail=item.detail or None,
            documentation=_markdown(item.about) if item.about else None,
            sort_text=f"{order:04}",
            filter_text=item.span.text[:1] + item.label
            if item.span.text[:1] in ('"', "'")
            else item.label,
            text_edit=lsp.TextEdit(self.range(item.span), text),
            insert_text_format=lsp.InsertTextFormat.Snippet if snippet else None,
        )

    def symbol(self, symbol: Symbol) -> lsp.DocumentSymbol:
        return lsp.DocumentSymbol(
            name=symbol.name,
            detail=symbol.detail or None,
            kind=lsp.SymbolKind.Class if symbol.inner else lsp.SymbolKind.Property,
            range=self.range(symbol.span),
            selection_range=self.range(symbol.name_span),
            children=[self.symbol(inner) for inner in symbol.inner] or None,
        )

    def whole(self, source: Source) -> lsp.Range:
        return self.range(source.span(0, len(source.text)))

    def actions(
        self, found: Iterable[Diagnostic], wanted: lsp.Range, folder: Path
    ) -> list[lsp.CodeAction]:
        """The fixes of the findings that touch the range."""
        made = []
        for diagnostic in found:
            if not diagnostic.fix or diagnostic.span is None:
                continue
            if not _touch(self.range(diagnostic.span), wanted):
                continue
            changes: dict[str, list[lsp.TextEdit]] = {}
            for edit in diagnostic.fix:
                location = self.location(edit.span, folder)
                if location is not None:
                    new = lsp.TextEdit(location.range, edit.text)
                    changes.setdefault(location.uri, []).append(new)
            made.append(
                lsp.CodeAction(
                    title=_title(diagnostic),
                    kind=lsp.CodeActionKind.QuickFix,
                    diagnostics=[self.diagnostic(diagnostic, folder)],
                    is_preferred=True,
                    edit=lsp.WorkspaceEdit(changes=changes),
                )
            )
        return made


def hover(text: str) -> lsp.Hover:
    return lsp.Hover(_markdown(text))


def _markdown(text: str) -> lsp.MarkupContent:
    return lsp.MarkupContent(lsp.MarkupKind.Markdown, text)


def _description(code: str) -> lsp.CodeDescription | None:
    if not _ERRORS.is_file():
        return None
    heading = re.sub(r"[^\w\- ]", "", f"{code} {CODES[code].title}".lower())
    return lsp.CodeDescription(f"{_ERRORS.as_uri()}#{heading.replace(' ', '-')}")


def _title(diagnostic: Diagnostic) -> str:
    words = diagnostic.suggestion or diagnostic.message
    if words.startswith("did you mean ") and words.endswith("?"):
        words = "write " + words.removeprefix("did you mean ").removesuffix("?")
    return words[0].upper() + words[1:]


def _touch(one: lsp.Range, other: lsp.Range) -> bool:
    def key(place: lsp.Position) -> tuple[int, int]:
        return place.line, place.character

    return key(one.start) <= key(other.end) and key(other.start) <= key(one.end)


def _bare(snippet: str) -> str:
    """For an editor without snippets: what stands before the first stop."""
    return snippet.partition("$")[0].rstrip() + " "
