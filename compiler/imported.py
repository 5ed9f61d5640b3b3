"""What a program of the user is made of: its file, and the modules of its own folder that it
imports, itself or by one of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from dagent.compiler.digests import content_digest
from dagent.compiler.plan import digest


def program_digest(program: Path) -> str:
    """What a program is: its content, and that of the modules it is made of."""
    parts = {p.relative_to(program.parent).as_posix(): content_digest(p) for p in imported(program)}
    own = content_digest(program)
    return digest({program.name: own, **parts}) if parts else own


def imported(program: Path) -> list[Path]:
    """The modules beside a program that it imports, in order. Nothing is run: code that computes
    the name of a module, and a file that a program only opens, are not seen."""
    folder, found, left = program.parent, set[Path](), [program]
    while left:
        file = left.pop()
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError):
            continue  # it is told of where it is called
        for module in _modules(tree, file, folder):
            if module.is_file() and module != program and module not in found:
                found.add(module)
                left.append(module)
    return sorted(found)


def _modules(tree: ast.Module, file: Path, folder: Path) -> Iterator[Path]:
    """Where the modules would stand that a file imports, if they stood in the folder."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _places(folder, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = file.parents[node.level - 1] if node.level else folder
            for alias in node.names:
                yield from _places(base, ".".join(filter(None, (node.module, alias.name))))


def _places(base: Path, dotted: str) -> Iterator[Path]:
    """``a.b`` runs ``a`` before ``a.b``; each is a file or a package."""
    for name in dotted.split("."):
        base = base / name
        yield base.with_name(f"{name}.py")
        yield base / "__init__.py"
