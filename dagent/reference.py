"""Writes what the docs say from what the code says: `python -m dagent.reference [--check]`.

In ``docs/language.md`` the tables of keys stand between `<!-- keys: PATH -->` and `<!-- end -->`,
and the YAML twin of an example between `<!-- twin -->` and `<!-- end -->`; ``docs/errors.md`` is
made whole. Which keys and values are not supported yet is found by trying them. A test fails when a
file is not what this would write.
"""

from __future__ import annotations

import copy
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from dagent.compiler.pipeline import check
from dagent.dsl.codes import HUNDREDS
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.fmt import format_source
from dagent.dsl.schema import Schema, load
from dagent.dsl.source import Source

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
_KEYS = re.compile(r"(<!-- keys: ([\w.*]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TWIN = re.compile(
    r"(```dagent\n(?P<example>.*?)```\n\n<!-- twin -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)
_UNITS = {
    "rows": "rows", "tokens": "tokens", "rounds": "rounds", "calls": "calls", "money": "money",
    "time": "time", "fraction": "share", "points": "points",
}  # fmt: skip


# A spec to try keys in, and under which name a block is tried.
_BASE: dict[str, Any] = {
    "domain": {"name": "demo", "goal": "g"},
    "data": {
        "dev": {"role": "dev", "path": "dev.jsonl"},
        "test": {"role": "test", "path": "test.jsonl"},
    },
    "student": {"model": "builtin:tiny-python"},
    "engineer": {"strategy": "curriculum", "generator": {"program": "programs.py:generate"}},
    "budget": {"rounds": 3, "per": {"round": {"rows": "2k rows"}}},
    "criteria": {"metric": {"accuracy": {"grader": "exact"}}},
    "train": [{"stage": "sft"}],
}
_TRIED = {"data": "dev", "metric": "accuracy", "per": "round", "optimise": "generator"}
_AMOUNTS = {"money": "20 USD", "time": "3h", "fraction": "2%", "points": "2pp"}
_SAMPLES = {"string": "x", "integer": 1, "number": 1, "boolean": True}


def supported(path: str, value: Any) -> bool:
    """Whether the compiler reads ``value`` at ``path``, rather than refuse it as E190."""
    spec = copy.deepcopy(_BASE)
    node: Any = spec
    parts = path.split(".")
    for i, part in enumerate(parts[:-1]):
        if isinstance(node, list):
            node = node[0]
        else:
            name = _TRIED.get(parts[i - 1], "x") if part == "*" else part
            node = node.setdefault(name, {})
    node[parts[-1]] = value
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spec.yaml"
        file.write_text(json.dumps(spec), encoding="utf-8")
        for name in ("dev.jsonl", "test.jsonl", "programs.py"):
            (file.parent / name).symlink_to(ROOT / "examples" / "quickstart" / name)
        return all(d.code != "E190" for d in check(file))


def samples(schema: Schema) -> list[Any]:
    """Values that the schema allows, with different words where it lists some."""
    return [sample(schema, choice) for choice in range(5)]


def sample(schema: Schema, choice: int) -> Any:
    if "enum" in schema:
        return schema["enum"][choice % len(schema["enum"])]
    if unit := schema.get("x-quantity"):
        return _AMOUNTS.get(unit, 3)
    kind = schema.get("type", "string")
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "array":
        return [sample(schema.get("items", {}), choice)]
    if kind == "object":
        properties = schema.get("properties", {})
        made = {name: sample(properties[name], choice) for name in schema.get("required", [])}
        if schema.get("x-named"):
            made["x"] = sample(schema["additionalProperties"], choice)
        return made
    return _SAMPLES[kind]


def keys_table(path: str) -> str:
    """The keys of a block as a table; ``*`` in the path is any name or list item."""
    schema = _at(path)
    required = schema.get("required", [])
    lines = ["| key | value | meaning |", "|---|---|---|"]
    for name, inner in schema.get("properties", {}).items():
        needed = " (needed)" if name in required else ""
        meaning = str(inner.get("description", "")).replace("|", "\\|")
        here = name if path == "." else f"{path}.{name}"
        if "enum" in inner:
            works = [word for word in inner["enum"] if supported(here, word)]
            value = ", ".join(f"`{word}`" for word in works)
            later = [f"`{word}`" for word in inner["enum"] if word not in works]
            meaning += f" *Not supported yet: {', '.join(later)}.*" if later and works else ""
        else:
            works, value = [any(supported(here, v) for v in samples(inner))], _value(inner)
        meaning += "" if any(works) else " *Not supported yet.*"
        lines.append(
            f"| `{_written(name, inner)}`{needed} | {value or _value(inner)} | {meaning} |"
        )
    return "\n".join(lines) + "\n"


def _at(path: str) -> Schema:
    schema = load()
    for part in path.split(".") if path != "." else ():
        if part == "*":
            inner = schema.get("additionalProperties", schema.get("items"))
            schema = inner if isinstance(inner, dict) else schema["items"]
        else:
            schema = schema["properties"][part]
    return schema


def _written(name: str, schema: Schema) -> str:
    if schema.get("x-named"):
        return f"{name} NAME {{ … }}"
    if schema.get("x-chain"):
        return f"{name} {schema['x-chain'].upper()} {{ … }}"
    if schema.get("type") == "object":
        return f"{name} {{ … }}"
    return f"{name} …" if schema.get("x-statement") else name


def _value(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if unit := schema.get("x-quantity"):
        return ("at most, " if schema.get("x-cap") else "") + _UNITS[unit]
    types = schema.get("type", "anything")
    if types == "array":
        inner = schema.get("items", {})
        return (
            "goal"
            if schema.get("x-statement") and "Goals" in schema["description"]
            else ("list of " + _value(inner) if inner.get("type") != "object" else "blocks")
        )
    names = [types] if isinstance(types, str) else types
    words = {"object": "block", "string": "text", "integer": "whole number", "boolean": "yes/no"}
    return " or ".join(words.get(name, name) for name in names).replace("yes/no", "`true`, `false`")


def twin(example: str) -> str:
    """The YAML of a `.dagent` example."""
    diagnostics = Diagnostics()
    text = format_source(Source("example.dagent", example), diagnostics, "yaml")
    if text is None:
        raise ValueError(f"an example has errors: {[d.message for d in diagnostics]}\n{example}")
    return f"```yaml\n{text}```\n"


def language(text: str) -> str:
    """``docs/language.md`` with its generated parts made anew."""
    text = _KEYS.sub(lambda m: m[1] + keys_table(m[2]) + m[3], text)
    return _TWIN.sub(lambda m: m[1] + twin(m["example"]) + m["end"], text)


def errors() -> str:
    """``docs/errors.md``."""
    parts = [
        "# Errors\n\nMade from `dsl/codes/` by `python -m dagent.reference`; not edited by "
        "hand. `dagent explain CODE` prints the same.\n"
    ]
    for title, codes in HUNDREDS.items():
        parts.append(f"## {title}\n")
        for code, entry in codes.items():
            kind = "console" if entry.example.startswith("$") else "dagent"
            kind = "yaml" if entry.example.startswith("---") else kind
            parts.append(
                f"### {code}: {entry.title}\n\n{entry.what} {entry.why}\n\n"
                f"```{kind}\n{entry.example.rstrip()}\n```\n\n{entry.fix}\n"
            )
    return "\n".join(parts)


def pages() -> dict[Path, str]:
    """What each page should hold."""
    page = DOCS / "language.md"
    return {
        page: language(page.read_text(encoding="utf-8")),
        DOCS / "errors.md": errors(),
    }


def main(argv: list[str]) -> int:
    stale: list[Any] = []
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if "--check" not in argv:
                path.write_text(text, encoding="utf-8")
    print(f"{'stale' if '--check' in argv else 'written'}: {', '.join(stale) or 'nothing'}")
    return int(bool(stale) and "--check" in argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
