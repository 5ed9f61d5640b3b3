"""Whatever the text: no exception, no hang, every place inside the text, every format renders."""

from __future__ import annotations

import json
import random
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagent.compiler.passes.check_document import check_document
from dagent.compiler.pipeline import check
from dagent.compiler.settings import Settings
from dagent.dsl.diagnostics import Diagnostic, Diagnostics
from dagent.dsl.document import Mapping, plain
from dagent.dsl.fix import mend
from dagent.dsl.fmt import format_source
from dagent.dsl.parse import parse
from dagent.dsl.render import FORMATS, render
from dagent.dsl.source import Source

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENDINGS = (".dagent", ".yaml")
# All specs of the repository, fixtures with mistakes included.
TEXTS = [
    (path.suffix, path.read_bytes().decode("utf-8"))
    for folder in ("examples", "specs", "docs", "tests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in ENDINGS and ".dagent" not in path.parts and path.stat().st_size < 20_000
]
PIECES = [
    "{", "}", "[", "]", "=", "<=", ">=", '"', '"""', "'", "#", "\n", "\t", " ", ",", ":", "- ", "|",
    "&a ", "*a", "!!str ", "---\n", "? ", "\\", "\0", "\r\n", "\ufeff", "日", "4k rows", "$x",
    "data ", "train sft {", "require ", "import ", "%", "1e999", "9" * 500, "<<: ", ">", "\ud800",
    ";", "${x}", "yes", "~", "20 USD", "@", "\u2028", "\x85", "::", "==", "per round {", "seed: ",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, -1, 1.5, 10**400, "", "x", "4K rowz", "20 USD", "$seed", "${a} b", "$$", [], {},
    ["a", "a"], [{}], {"a": 1}, {"": ""}, "accuracy >= 2 on", "a\nb", "../x", "builtin:x", "日",
]  # fmt: skip
_TOKEN = re.compile(r"\s+|\w+|.", re.DOTALL)


def mutate(text: str, suffix: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 4)):
        text = rng.choice(MUTATIONS)(text, rng)
    return _meaning(text, suffix, rng) if rng.random() < 0.15 else text


def _characters(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    to = min(len(text), at + rng.randrange(12))
    match rng.randrange(4):
        case 0:
            return text[:at] + rng.choice(PIECES) + text[at:]
        case 1:
            return text[:at] + text[to:]
        case 2:
            return text[:at] + text[at:to] * 2 + text[to:]
    other = rng.choice(TEXTS)[1]
    start = rng.randrange(len(other) + 1)
    return text[:at] + other[start : start + rng.randrange(40)] + text[to:]


def _tokens(text: str, rng: random.Random) -> str:
    tokens = _TOKEN.findall(text) or [""]
    i, j = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    match rng.randrange(4):
        case 0:
            tokens[i], tokens[j] = tokens[j], tokens[i]
        case 1:
            del tokens[i]
        case 2:
            tokens.insert(i, tokens[j])
        case _:
            tokens[i] = rng.choice(PIECES)
    return "".join(tokens)


def _lines(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            lines[i], lines[j] = lines[j], lines[i]
        case 1:
            del lines[i]
        case 2:
            lines.insert(i, lines[j])
        case 3:
            lines[i] = rng.choice((" ", "\t", "    ")) + lines[i]
        case _:
            lines[i] = lines[i].lstrip()
    return "\n".join(lines)


def _bytes(text: str, rng: random.Random) -> str:
    raw = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(rng.randint(1, 3)):
        raw.insert(rng.randrange(len(raw) + 1), rng.randrange(256))
    return raw.decode("utf-8", "replace")


MUTATIONS = (_characters, _tokens, _lines, _bytes)


def _meaning(text: str, suffix: str, rng: random.Random) -> str:
    """Another value, or another key, somewhere in the document; in the other syntax at times."""
    root = parse(Source(f"a{suffix}", text), Diagnostics())
    if root is None:
        return text
    tree = plain(root)
    node = tree
    while isinstance(node, (dict, list)) and node:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        inner = node[key]
        if not isinstance(inner, (dict, list)) or not inner or rng.random() < 0.2:
            if isinstance(node, dict) and rng.random() < 0.4:
                node[str(key)[1:] + rng.choice("sx_-")] = node.pop(key)
            else:
                node[key] = rng.choice(VALUES)
            break
        node = inner
    made = json.dumps(tree) if rng.random() < 0.5 else yaml.safe_dump(tree, allow_unicode=True)
    if len(made) > 50_000:
        return text  # aliases written out; how many may be is tested elsewhere
    if suffix == ".dagent":
        other = format_source(Source("a.yaml", made), Diagnostics(), "dagent")
        return text if other is None else other
    return made


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError("this text takes too long")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def unchanged_in_meaning(source: Source, tree: object) -> None:
    once = format_source(source, Diagnostics())
    assert once is not None
    again = Source(source.name, once)
    root = parse(again, Diagnostics())
    assert root is not None
    assert plain(root) == tree
    assert format_source(again, Diagnostics()) == once


def sound(found: Iterator[Diagnostic] | Any, source: Source) -> None:
    """Places inside the text, and text in every format."""
    found = list(found)
    for d in found:
        spans = [d.span, *(note.span for note in d.notes), *(edit.span for edit in d.fix)]
        for span in spans:
            if span is not None and span.source.name == source.name:
                assert span.source is source
                assert 0 <= span.start <= span.end <= len(source.text)
    shown = {kind: render(found, kind) for kind in FORMATS}
    assert len(json.loads(shown["json"])) == len(found)


def look(source: Source) -> tuple[Diagnostic, ...]:
    diagnostics = Diagnostics()
    root = parse(source, diagnostics)
    assert root is not None or diagnostics.has_errors
    if root is not None:
        if not diagnostics.has_errors:
            unchanged_in_meaning(source, plain(root))
        check_document(root, diagnostics)
    return tuple(diagnostics)


def survive(suffix: str, text: str) -> None:
    source = Source(f"spec{suffix}", text)
    sound(look(source), source)


def compiled(project: Path, suffix: str, text: str) -> None:
    """As `dagent check` would, in a folder with data."""
    path = project / f"spec{suffix}"
    source = Source(str(path), text)

    def documents(asked: Path, diagnostics: Diagnostics) -> Mapping | None:
        # What a mutated text imports is not read: it may be any file.
        return parse(source, diagnostics) if asked == path else None

    sound(check(path, Settings(env={"A": "1"}, documents=documents)), source)


def mended(suffix: str, text: str) -> None:
    """A fix costs nothing: no more is unreadable than before."""
    before = Source(f"spec{suffix}", text)
    after = mend(before, look)
    unread = [sum(d.code < "E1" for d in found) for found in (look(before), after.left)]
    assert unread[1] <= unread[0]


def run(seed: int, count: int, project: Path) -> None:
    rng = random.Random(seed)
    for n in range(count):
        suffix, text = rng.choice(TEXTS)
        text = mutate(text, suffix, rng)
        try:
            with at_most(10):
                survive(suffix, text)
                if n % 4 == 0:
                    compiled(project, suffix, text)
                if n % 16 == 0:
                    mended(suffix, text)
        except Exception as error:
            raise AssertionError(f"seed {seed}, text {n}, {suffix}: {text!r}") from error


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("dev", "test", "guard"):
        rows = [{"prompt": f"{name} {i}", "answer": "1", "skill": "index"} for i in range(30)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "programs.py").write_text(
        "def generate(skill, difficulty, n, seed): ...\ndef verify(row): ...\n"
    )
    return tmp_path


def test_mutated(project: Path) -> None:
    run(0, 400, project)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 41))
def test_a_hundred_thousand_mutated(seed: int, project: Path) -> None:
    """Of these forty each takes 2,500."""
    run(seed, 2500, project)


@pytest.mark.parametrize("suffix", ENDINGS)
@pytest.mark.parametrize("piece", ["{", "[", "a: {", "- ", "a = [", '"', "x {", "data dev {", "? "])
def test_deep(suffix: str, piece: str) -> None:
    with at_most(30):
        survive(suffix, piece * 3000)


@pytest.mark.parametrize("suffix", ENDINGS)
@pytest.mark.parametrize("half", ["\ud800", "\\ud800"])
def test_half_a_surrogate_pair(half: str, suffix: str, project: Path) -> None:
    """Raw, as an editor may send it, and escaped, as JSON writes it."""
    spec = (ROOT / "examples/quickstart/quickstart.dagent").read_text(encoding="utf-8")
    source = Source(f"a{suffix}", spec.replace("Predict", half))
    if suffix == ".yaml":
        twin = (ROOT / "docs" / "quickstart.yaml").read_text(encoding="utf-8")
        source = Source("a.yaml", re.sub("goal: .*", lambda _: f'goal: "{half} x"', twin))
    survive(suffix, source.text)
    compiled(project, suffix, source.text)
    root = parse(source, Diagnostics())
    assert root is not None
    assert plain(root)["domain"]["goal"].startswith("\ufffd ")


@pytest.mark.parametrize("sign", ["\r", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("suffix", ENDINGS)
def test_a_comment_with_a_sign_that_ends_lines_in_yaml(suffix: str, sign: str) -> None:
    key = "revision = main" if suffix == ".dagent" else "  revision: main"
    block = "student {{\n{}\n}}\n" if suffix == ".dagent" else "student:\n{}\n"
    survive(suffix, block.format(key) + f"# a{sign}b: c\n")


def test_a_type_of_a_parameter_that_is_a_block(project: Path) -> None:
    compiled(project, ".dagent", "param lr { type { } }\n")
