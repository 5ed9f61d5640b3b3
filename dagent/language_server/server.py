"""The language server: pygls asks, the functions beside this file answer.

One worker does all that takes time, in the order of asking, so that nothing here needs a lock and
typing is never held up.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lsprotocol import types as lsp
from pygls import uris
from pygls.lsp.server import LanguageServer

from dagent import __version__
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.fmt import format_source
from dagent.dsl.source import ENDINGS, Source
from dagent.language_server import convert
from dagent.language_server.completion import complete
from dagent.language_server.convert import Places
from dagent.language_server.definition import definition
from dagent.language_server.desk import Desk, absolute
from dagent.language_server.hover import hover
from dagent.language_server.symbols import symbols

T = TypeVar("T")
PAUSE = 0.15  # seconds without a keystroke before a text is checked


class Session:
    """One editor: its texts, what was found in them, and what waits to be checked."""

    def __init__(self, server: LanguageServer) -> None:
        self.server = server
        self.desk = Desk(dict(os.environ))
        self.worker = ThreadPoolExecutor(1, "dagent")
        self.waiting: asyncio.Task[None] | None = None
        self.found: dict[Path, dict[Path, list[Diagnostic]]] = {}
        """By the spec that was checked, then by file."""

    async def work(self, task: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.worker, task)

    def changed(self, pause: float = PAUSE) -> None:
        """Check all that is open, once nobody types."""
        if self.waiting is not None:
            self.waiting.cancel()
        self.waiting = asyncio.get_running_loop().create_task(self._check_later(pause))

    async def _check_later(self, pause: float) -> None:
        await asyncio.sleep(pause)
        before = dict(self.desk.texts)
        found = await self.work(self._check)
        if self.desk.texts == before:
            self._publish(found)

    def _check(self) -> dict[Path, dict[Path, list[Diagnostic]]]:
        desk = self.desk
        roots = {r for p in list(desk.texts) if desk.is_spec(p) for r in desk.roots(p)}
        return {root: desk.check(root) for root in sorted(roots)}

    def _publish(self, found: dict[Path, dict[Path, list[Diagnostic]]]) -> None:
        gone = {file for by_file in self.found.values() for file in by_file}
        self.found = found
        places = Places()
        for file in gone | {file for by_file in found.values() for file in by_file}:
            diagnostics = [places.diagnostic(d, r.parent) for r, d in self.about(file)]
            uri = uris.from_fs_path(str(file))
            if uri:
                self.server.text_document_publish_diagnostics(
                    lsp.PublishDiagnosticsParams(uri=uri, diagnostics=diagnostics)
                )

    def about(self, file: Path) -> list[tuple[Path, Diagnostic]]:
        """The findings about a file, each with a spec in which it came up, and once."""
        found = {d: root for root, by in self.found.items() for d in by.get(file, ())}
        return [(root, d) for d, root in found.items()]

    def source(self, path: Path) -> Source | None:
        try:
            return self.desk.source(path)
        except Refused:
            return None


def create() -> LanguageServer:
    server = LanguageServer(
        "dagent", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Full
    )
    session = Session(server)
    _follow(server, session)
    _answer(server, session)
    return server


def _follow(server: LanguageServer, session: Session) -> None:
    """What the editor tells."""
    texts = session.desk.texts

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        if path := _path(params.text_document.uri):
            texts[path] = _plain(params.text_document.text)
            session.changed(0)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    async def edited(params: lsp.DidChangeTextDocumentParams) -> None:
        if path := _path(params.text_document.uri):
            texts[path] = _plain(params.content_changes[-1].text)
            session.changed()

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        if path := _path(params.text_document.uri):
            texts.pop(path, None)
            session.changed()

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    async def saved(params: lsp.DidSaveTextDocumentParams) -> None:
        session.changed()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def moved(params: lsp.DidChangeWatchedFilesParams) -> None:
        session.changed()


def _answer(server: LanguageServer, session: Session) -> None:
    """What the editor asks."""
    desk = session.desk

    @server.feature(
        lsp.TEXT_DOCUMENT_COMPLETION,
        lsp.CompletionOptions(trigger_characters=["$", '"', ":", "/", " ", "="]),
    )
    async def completed(params: lsp.CompletionParams) -> lsp.CompletionList:
        def answer() -> list[lsp.CompletionItem]:
            asked = _asked(session, params)
            if asked is None:
                return []
            path, source, offset = asked
            items = complete(source, offset, desk.known(path, offset))
            snippets = _takes_snippets(server)
            places = Places()
            return [places.completion(i, n, snippets=snippets) for n, i in enumerate(items)]

        return lsp.CompletionList(is_incomplete=True, items=await session.work(answer))

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    async def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
        def answer() -> lsp.Hover | None:
            asked = _asked(session, params)
            if asked is None:
                return None
            path, source, offset = asked
            found = [d for _, d in session.about(path)]
            said = hover(source, offset, desk.known(path, offset), found)
            return convert.hover(said) if said else None

        return await session.work(answer)

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    async def defined(params: lsp.DefinitionParams) -> lsp.Location | None:
        def answer() -> lsp.Location | None:
            asked = _asked(session, params)
            if asked is None:
                return None
            path, source, offset = asked
            span = definition(source, offset, desk.known(path, offset))
            return Places().location(span, path.parent) if span else None

        return await session.work(answer)

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def outlined(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        def answer() -> list[lsp.DocumentSymbol]:
            path, source = _path(params.text_document.uri), _spec(session, params.text_document.uri)
            root = desk.document(path, Diagnostics()) if path and source else None
            places = Places(desk.place)
            return [places.symbol(s) for s in symbols(root)] if root else []

        return await session.work(answer)

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    async def formatted(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        def answer() -> list[lsp.TextEdit]:
            source = _spec(session, params.text_document.uri)
            text = format_source(source, Diagnostics()) if source else None
            if source is None or text is None or text == source.text:
                return []
            return [lsp.TextEdit(Places().whole(source), text)]

        return await session.work(answer)

    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION,
        lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix]),
    )
    async def fixed(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        path = _path(params.text_document.uri)
        if path is None:
            return []
        places = Places()
        return [
            action
            for root, d in session.about(path)
            for action in places.actions([d], params.range, root.parent)
        ]


def _asked(
    session: Session, params: lsp.CompletionParams | lsp.HoverParams | lsp.DefinitionParams
) -> tuple[Path, Source, int] | None:
    """The file, its text and the offset in it; ``None`` for what is no spec."""
    path, source = _path(params.text_document.uri), _spec(session, params.text_document.uri)
    if path is None or source is None:
        return None
    place = params.position
    offset: int = Places().lines(source).offset(place.line, place.character)
    return path, source, offset


def _spec(session: Session, uri: str) -> Source | None:
    path = _path(uri)
    return session.source(path) if path and session.desk.is_spec(path) else None


def _path(uri: str) -> Path | None:
    """``None`` for what is no file, or not named like a spec."""
    name = uris.to_fs_path(uri) if uri.startswith("file:") else None
    path = absolute(Path(name)) if name else None
    return path if path and path.suffix.lower() in ENDINGS else None


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff")


def _takes_snippets(server: LanguageServer) -> bool:
    completion = getattr(server.client_capabilities.text_document, "completion", None)
    item = getattr(completion, "completion_item", None)
    return bool(getattr(item, "snippet_support", False))
