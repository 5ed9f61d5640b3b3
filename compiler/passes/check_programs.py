"""Programs of the user: the file is there and parses, the function is in it and can be called."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from dagent.compiler.digests import content_digest
from dagent.compiler.engineer import ROLES
from dagent.compiler.facts import inside
from dagent.compiler.imported import imported, program_digest
from dagent.compiler.read import within
from dagent.compiler.spec import Role, Spec
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.nearest import did_you_mean
from dagent.dsl.source import Source, Span

# What dagent passes, by position, before the options as keywords.
PASSES = {
    "diagnoser": ("rows",),
    "planner": ("task",),
    "generator": ("skill", "difficulty", "n", "seed"),
    "verifier": ("row",),
    "refiner": ("row",),
    "grader": ("answer", "row"),
    "data": (),
}
# What a generator is handed as keywords if it takes them: the rows of the sets of a role.
HANDED = {"seeds": "seed", "pool": "pool"}


class _Use(Struct, frozen=True):
    """A place in the spec that names a program, and what it will be called with."""

    program: str
    role: str
    span: Span
    options: Mapping[str, Any]
    options_path: tuple[str, ...] | None = None


def check_programs(
    spec: Spec, project: Path, diagnostics: Diagnostics
) -> tuple[dict[str, str], dict[str, str]]:
    """The digest of every program's file and of the modules beside it that it imports, by their
    paths; and of every program as a whole. The code is parsed and never run."""
    digests: dict[str, str] = {}
    whole: dict[str, str] = {}
    trees: dict[str, ast.Module | None] = {}
    for use in _uses(spec):
        file, colon, name = use.program.rpartition(":")
        if not colon or not file.endswith(".py") or not name.isidentifier():
            diagnostics.error(
                "E311",
                f"`{use.program}` does not name a function in a file",
                use.span,
                "write it like `programs.py:generate`",
            )
            continue
        path = inside(file, project, use.span, diagnostics)
        if path is None:
            continue
        if not path.is_file():
            known = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
            remedy = did_you_mean(path.name, known, "correct the path; it is relative to the spec")
            diagnostics.error("E311", f"there is no file `{file}`", within(use.span, file), remedy)
            continue
        if file not in trees:
            trees[file] = _parse(file, path, use, diagnostics)
            digests[file] = content_digest(path)
            folder = Path(file).parent
            beside = {folder / p.relative_to(path.parent): p for p in imported(path)}
            digests |= {name.as_posix(): content_digest(p) for name, p in beside.items()}
            whole[file] = program_digest(path)
        tree = trees[file]
        if tree is not None:
            _check_function(spec, tree, file, name, use, diagnostics)
    _check_policy_options(spec, diagnostics)
    return digests, whole


def _uses(spec: Spec) -> Iterator[_Use]:
    engineer = spec.engineer
    for name in ROLES:
        role: Role | None = getattr(engineer, name)
        if role is not None and role.program is not None:
            yield _Use(
                role.program,
                name,
                spec.at("engineer", name, "program"),
                role.options,
                ("engineer", name, "options"),
            )
    for data in spec.data:
        if data.program:
            yield _Use(data.program, "data", spec.at("data", data.name, "program"), {})
    for metric in spec.criteria.metrics:
        if metric.grader == "program" and isinstance(metric.options.get("program"), str):
            span = spec.at("criteria", "metric", metric.name, "program")
            yield _Use(metric.options["program"], "grader", span, {})
    for check in engineer.verify:
        if check.grader == "program" and isinstance(check.options.get("program"), str):
            span = spec.at("engineer", "verify", check.name, "program")
            yield _Use(check.options["program"], "grader", span, {})


def _parse(file: str, path: Path, use: _Use, diagnostics: Diagnostics) -> ast.Module | None:
    try:
        text = path.read_text(encoding="utf-8")
        return ast.parse(text)
    except SyntaxError as error:
        source = Source(file, text)
        lines = text.splitlines(keepends=True)
        line = min(error.lineno or 1, len(lines) or 1)
        start = sum(len(part) for part in lines[: line - 1]) + max(0, (error.offset or 1) - 1)
        note = Note(f"{error.msg} here", source.span(start, start + 1))
        message = f"`{file}` is not Python: {error.msg} in line {error.lineno}"
    except (UnicodeDecodeError, ValueError, OSError) as error:
        note, message = Note(str(error)), f"`{file}` cannot be read as Python"
    diagnostics.error("E316", message, within(use.span, file), "mend the program", [note])
    return None


def _check_function(
    spec: Spec, tree: ast.Module, file: str, name: str, use: _Use, diagnostics: Diagnostics
) -> None:
    functions = {
        n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    function = functions.get(name)
    if function is None:
        if name in _names(tree):
            return  # a class, an import or an assignment: callable for all that can be seen here
        known = [n for n in functions if not n.startswith("_")]
        listed = f"functions there: {', '.join(known)}" if known else "define it there"
        diagnostics.error(
            "E311",
            f"`{file}` has no function `{name}`",
            within(use.span, name),
            did_you_mean(name, known, listed),
        )
        return
    if isinstance(function, ast.AsyncFunctionDef):
        diagnostics.error(
            "E317", f"`{name}` is async; dagent calls it plainly", within(use.span, name)
        )
        return
    _check_call(spec, function, use, diagnostics)


def _names(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign):
            found.update(t.id for t in node.targets if isinstance(t, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.If | ast.Try):
            found.update(_names(ast.Module(body=node.body, type_ignores=[])))
    return found


def _check_call(spec: Spec, function: ast.FunctionDef, use: _Use, diagnostics: Diagnostics) -> None:
    args = function.args
    positional = [a.arg for a in (*args.posonlyargs, *args.args)]
    given = PASSES[use.role]
    free = positional[len(given) :] + [a.arg for a in args.kwonlyargs]
    required = len(positional) - len(args.defaults)
    needed = set(positional[len(given) : required]) | {
        a.arg for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is None
    }
    call = f"{function.name}({', '.join(given)})"
    if len(positional) < len(given) and args.vararg is None:
        diagnostics.error(
            "E317",
            f"`{function.name}` takes {len(positional)} arguments; it is called as `{call}`",
            within(use.span, function.name),
            f"define it as `def {call}`",
        )
    for option in use.options:
        if option not in free and args.kwarg is None:
            path = use.options_path or ()
            diagnostics.error(
                "E318",
                f"`{function.name}` takes no option `{option}`",
                spec.key(*path, option),
                did_you_mean(option, free, f"add it to the arguments of `{function.name}`"),
            )
    handed: set[str] = set()
    if use.role == "generator":
        handed = {name for name, role in HANDED.items() if any(d.role == role for d in spec.data)}
        _check_handed(spec, function, set(free), diagnostics)
    missing = sorted(needed - set(use.options) - handed)
    if missing:
        diagnostics.error(
            "E317",
            f"`{function.name}` needs {', '.join(f'`{m}`' for m in missing)}, which nothing gives",
            within(use.span, function.name),
            "give it in `options { … }`, or give it a default",
        )


def _check_handed(
    spec: Spec, function: ast.FunctionDef, takes: set[str], diagnostics: Diagnostics
) -> None:
    """Seeds and pools need a reader."""
    for name, role in HANDED.items():
        for data in spec.data:
            if data.role != role or data.mix or name in takes or function.args.kwarg is not None:
                continue
            also = ", or add `mix = true` to train on them" if role == "seed" else ""
            diagnostics.error(
                "E327",
                f"nothing reads `{data.name}`: `{function.name}` takes no argument `{name}`",
                spec.at("data", data.name, "role"),
                f"define it as `def {function.name}(…, {name})`{also}",
            )


def _check_policy_options(spec: Spec, diagnostics: Diagnostics) -> None:
    engineer = spec.engineer
    for name, role in (("planner", engineer.planner), ("diagnoser", engineer.diagnoser)):
        for option in role.options if role and role.policy else ():
            assert role is not None
            diagnostics.error(
                "E318",
                f"the policy `{role.policy}` takes no option `{option}`",
                spec.key("engineer", name, "options", option),
                "remove it",
            )
