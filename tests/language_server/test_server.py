"""A real client and a real server over stdin and stdout: what an editor sees."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

pytest.importorskip("pygls")

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

from dagent.cli import main
from dagent.dsl.codes import CODES

from .conftest import ROOT, SPEC, TWIN


class Editor:
    """Opens and edits one file, and waits for what the server says of it."""

    def __init__(self, client: LanguageClient, path: Path) -> None:
        self.client, self.uri, self.version = client, path.as_uri(), 0
        self.published: asyncio.Queue[lsp.PublishDiagnosticsParams] = asyncio.Queue()

        @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def publish(params: lsp.PublishDiagnosticsParams) -> None:
            self.published.put_nowait(params)

    async def start(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        await self.client.start_io(sys.executable, "-m", "dagent", "lsp", env=environment)
        item = lsp.ClientCompletionItemOptions(snippet_support=True)
        completion = lsp.CompletionClientCapabilities(completion_item=item)
        text = lsp.TextDocumentClientCapabilities(completion=completion)
        capabilities = lsp.ClientCapabilities(text_document=text)
        await self.client.initialize_async(lsp.InitializeParams(capabilities=capabilities))
        self.client.initialized(lsp.InitializedParams())

    async def open(self, text: str, language: str) -> list[lsp.Diagnostic]:
        document = lsp.TextDocumentItem(self.uri, language, self.version, text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))
        return await self.diagnostics()

    async def edit(self, text: str) -> list[lsp.Diagnostic]:
        self.version += 1
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(
                lsp.VersionedTextDocumentIdentifier(self.version, self.uri),
                [lsp.TextDocumentContentChangeWholeDocument(text)],
            )
        )
        return await self.diagnostics()

    async def diagnostics(self) -> list[lsp.Diagnostic]:
        while True:
            params = await asyncio.wait_for(self.published.get(), 30)
            if params.uri == self.uri:
                return list(params.diagnostics)

    @property
    def document(self) -> lsp.TextDocumentIdentifier:
        return lsp.TextDocumentIdentifier(self.uri)


def place(text: str, before: str) -> lsp.Position:
    """Behind the first `before`."""
    offset = text.index(before) + len(before)
    return lsp.Position(text.count("\n", 0, offset), offset - text.rfind("\n", 0, offset) - 1)


def talk(path: Path, say: Callable[[Editor], Coroutine[None, None, None]]) -> None:
    async def session() -> None:
        client = LanguageClient("test", "1")
        editor = Editor(client, path)
        await editor.start()
        try:
            await say(editor)
        finally:
            await client.shutdown_async(None)
            client.exit(None)
            await client.stop()

    asyncio.run(session())


def test_a_session_with_a_spec(folder: Path) -> None:
    async def say(editor: Editor) -> None:
        client, document = editor.client, editor.document
        assert await editor.open(SPEC, "dagent") == []

        wrong = SPEC.replace("strategy = curriculum", "strategi = curriculum")
        (found,) = await editor.edit(wrong)
        assert (found.code, found.source) == ("E101", "dagent")
        assert found.severity == lsp.DiagnosticSeverity.Error
        assert "`strategy`" in found.message
        assert found.range.start == place(wrong, "engineer {\n  ")
        assert found.range.end == place(wrong, "strategi")
        assert found.code_description is not None
        page, _, anchor = found.code_description.href.partition("#")
        assert page == (ROOT / "docs" / "errors.md").as_uri()
        assert anchor == "e101-unknown-key"
        assert "### E101: unknown key\n" in (ROOT / "docs" / "errors.md").read_text()

        context = lsp.CodeActionContext([found])
        asked = lsp.CodeActionParams(document, found.range, context)
        (action,) = await client.text_document_code_action_async(asked) or ()
        assert isinstance(action, lsp.CodeAction)
        assert action.edit is not None
        (edit,) = (action.edit.changes or {})[editor.uri]
        assert (edit.new_text, edit.range) == ("strategy", found.range)

        twice = SPEC.replace("data test", "data dev { role = dev }\n\ndata test")
        (found,) = await editor.edit(twice)
        assert found.code == "E108"
        (related,) = found.related_information or ()
        assert related.location.uri == editor.uri
        assert related.location.range.start == place(twice, "\ndata ")

        unused = "let { spare = 1 }\n" + SPEC
        (found,) = await editor.edit(unused)
        assert found.severity == lsp.DiagnosticSeverity.Warning
        assert list(found.tags or ()) == [lsp.DiagnosticTag.Unnecessary]

        typing = SPEC.replace("strategy = curriculum", "strategy = ")
        await editor.edit(typing)
        where = place(typing, "strategy = ")
        listed = await client.text_document_completion_async(lsp.CompletionParams(document, where))
        assert isinstance(listed, lsp.CompletionList)
        assert {"curriculum", "program"} <= {i.label for i in listed.items}

        where = place(SPEC, "learning_ra")
        assert await editor.edit(SPEC) == []
        told = await client.text_document_hover_async(lsp.HoverParams(document, where))
        assert told is not None
        assert isinstance(told.contents, lsp.MarkupContent)
        assert "SFTConfig" in told.contents.value

        where = place(SPEC, "programs.py:gene")
        there = await client.text_document_definition_async(lsp.DefinitionParams(document, where))
        assert isinstance(there, lsp.Location)
        assert there.uri == (folder / "programs.py").as_uri()
        line = (folder / "programs.py").read_text().splitlines()[there.range.start.line]
        assert line.startswith("def generate(")

        outline = await client.text_document_document_symbol_async(
            lsp.DocumentSymbolParams(document)
        )
        assert [s.name for s in outline or ()][:2] == ["domain", "data dev"]

        crooked = SPEC.replace("  model =", "     model   =")
        assert await editor.edit(crooked) == []
        options = lsp.FormattingOptions(2, True)
        edits = await client.text_document_formatting_async(
            lsp.DocumentFormattingParams(document, options)
        )
        assert [e.new_text for e in edits or ()] == [SPEC]

    talk(folder / "quickstart.dagent", say)


def test_a_session_with_yaml(folder: Path) -> None:
    async def say(editor: Editor) -> None:
        assert await editor.open(TWIN, "yaml") == []
        wrong = TWIN.replace("rounds: 5", "rounds: 5 hours")
        (found,) = await editor.edit(wrong)
        assert found.code == "E203"
        assert found.code in CODES
        assert found.range.start == place(wrong, "rounds: 5 ")
        (found,) = await editor.edit(TWIN + "\nseed: [1\n")
        assert found.code == "E030"
        typing = TWIN.replace("  model: builtin:tiny-python\n", "  mod\n")
        await editor.edit(typing)
        asked = lsp.CompletionParams(editor.document, place(typing, "  mod"))
        listed = await editor.client.text_document_completion_async(asked)
        assert isinstance(listed, lsp.CompletionList)
        assert "model" in {i.label for i in listed.items}

    talk(folder / "quickstart.yaml", say)


def test_a_folder_with_blanks_and_a_text_with_wide_characters(folder: Path) -> None:
    other = folder.parent / "a folder with ü"
    shutil.move(folder, other)

    async def say(editor: Editor) -> None:
        wide = SPEC.replace("answer = ", 'answer = "😀" anser = ')
        (found,) = await editor.open(wide, "dagent")
        assert found.range.start.character == len('  answer = "😀" ') + 1

    talk(other / "a.dagent", say)


def test_without_pygls(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "dagent.language_server.server", raising=False)
    monkeypatch.delitem(sys.modules, "dagent.language_server.convert", raising=False)
    monkeypatch.setitem(sys.modules, "pygls", None)
    assert main(["lsp"]) == 2
    said = capsys.readouterr().err
    assert "E818" in said
    assert "dagent[lsp]" in said
