"""Document against the published schema -> diagnostics in the language's words.

jsonschema finds; this says it. All findings are reported, each at its own place, and a missing key
that is only misspelt is reported once, as the unknown key that it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from msgspec import Struct

from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Edit, Note
from dagent.dsl.document import Entry, Mapping, Node, Path, Scalar, Sequence, locate, plain
from dagent.dsl.fits import fits
from dagent.dsl.nearest import nearest, surely
from dagent.dsl.phrases import expected, listed, one_line, shown, sketch, written
from dagent.dsl.scalars import resolve
from dagent.dsl.schema import load, schema_at
from dagent.dsl.source import Span

# What other tools, and older YAML, write for true and false.
_TRUTH = {
    **dict.fromkeys(("yes", "on", "y", "true"), "true"),
    **dict.fromkeys(("no", "off", "n", "false"), "false"),
}
_ITEMS = re.compile(r"[\w$][\w$ .<>=%/-]*(?:, [\w$][\w$ .<>=%/-]*)*")
_ASSIGNED = re.compile(r"[ ]*([^\W\d]\w*)[ ]*<?=(?!=)[ ]*")
_INCOMPLETE = ("required", "minItems", "minProperties")
_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}


def check_structure(
    root: Mapping,
    diagnostics: Diagnostics,
    unknown: Collection[Span] = (),
    *,
    complete: bool = True,
) -> None:
    """Report everything in which the document is not what the schema says.

    References were replaced before: a `$name` that is left is text like any other, unless its place
    is among the ``unknown``. Of a document that is not ``complete`` nobody is told what it lacks.
    """
    tree = plain(root)
    if fits(tree, load()):
        return
    from jsonschema.validators import Draft7Validator

    before = tuple(diagnostics)
    found = Diagnostics()
    findings = list(Draft7Validator(load()).iter_errors(tree))
    if not complete or any(d.severity == "error" and d.code < "E1" for d in before):
        findings = [f for f in findings if f.validator not in _INCOMPLETE]
    _Structure(root, found, set()).report(findings)
    for d in found:
        if not told(d, before, unknown):
            diagnostics.add(d)


def told(found: Diagnostic, before: Iterable[Diagnostic], unknown: Collection[Span]) -> bool:
    """Whether a finding only repeats what was said of its place, or is about a value not known.

    Where the text was faulty, parts of its line are missing: nobody should be told of these.
    """
    here = found.span
    if here is None:
        return False
    inside = (
        u.source is here.source and u.start <= here.start and here.end <= u.end for u in unknown
    )
    return any(inside) or any(
        d.span is not None
        and d.span.source is here.source
        and (
            (d.code < "E1" and d.severity == "error" and d.span.line == here.line)
            or (d.code == found.code and d.span == here)
        )
        for d in before
    )


class _Structure(Struct, frozen=True):
    root: Mapping
    diagnostics: Diagnostics
    misspelt: set[tuple[Path, str]]
    """Places and names of keys that an unknown key there was probably meant to be."""

    def report(self, findings: list[Any]) -> None:
        # Unknown keys first: what they were meant to be is then not missing.
        findings.sort(key=lambda f: f.validator != "additionalProperties")
        done: set[tuple[Path, str]] = set()
        for finding in findings:
            path: Path = tuple(finding.absolute_path)
            rule: str = finding.validator
            if rule in ("additionalProperties", "required"):
                # jsonschema makes one finding for all unknown keys, or one for each missing key.
                if (path, rule) not in done:
                    done.add((path, rule))
                    self.unknown(path, finding) if rule != "required" else self.missing(
                        path, finding
                    )
                continue
            if "propertyNames" in finding.absolute_schema_path:
                self.bad_name(path, finding)
                continue
            say = getattr(self, f"say_{rule}", None)
            if say is not None:
                say(path, finding)
            elif rule in _LIMITS:
                self.out_of_range(path, finding)
            else:
                raise NotImplementedError(f"the schema uses `{rule}`, which has no words here")

    # Places

    def entry(self, path: Path) -> Entry | None:
        """The entry that holds the value at ``path``; of a list item, that of its list."""
        while path and isinstance(path[-1], int):
            path = path[:-1]
        if not path:
            return None
        parent = locate(self.root, path[:-1])
        return parent.entry(str(path[-1])) if isinstance(parent, Mapping) else None

    def heading(self, path: Path) -> Span:
        """Where a block is named: its label, its kind, or the stage of a chain's item."""
        node = locate(self.root, path)
        if path and isinstance(path[-1], int):
            if isinstance(node, Mapping) and node.entries:
                return node.entries[0].key_span
            return node.span
        entry = self.entry(path)
        if entry is not None:
            return entry.key_span
        return self.root.span.part(0, 0)

    def value(self, path: Path) -> Span:
        """The value, or its key where the value is missing or runs over lines."""
        span = locate(self.root, path).span
        entry = self.entry(path)
        if entry is not None and (span.start == span.end or span.line != span.end_line):
            return entry.key_span
        return span

    # What is said

    def unknown(self, path: Path, finding: Any) -> None:
        node = locate(self.root, path)
        known = list(finding.schema.get("properties", {}))
        code, what = ("E101", "key") if path else ("E102", "block")
        where = f" in `{shown(path)}`" if path else ""
        assert isinstance(node, Mapping)  # of nothing else are keys unknown
        unknown = [entry for entry in node if entry.key not in known]
        free = [name for name in known if node.entry(name) is None or _joins(finding, name)]
        meant = [surely(entry.key, free) for entry in unknown]
        for entry, sure in zip(unknown, meant, strict=True):
            close = nearest(entry.key, free)
            if close:
                self.misspelt.add((path, close))
            elsewhere = None if close else self.elsewhere(entry.key, path)
            named = entry.value.value if isinstance(entry.value, Scalar) else None
            if close is None and path[-1:] == ("columns",) and named in known:
                elsewhere = f"the other way round: write `{named} = {entry.key}`"
            self.diagnostics.error(
                code,
                f"unknown {what} `{entry.key}`{where}",
                entry.key_span,
                f"did you mean `{close}`?" if close else elsewhere,
                [] if close or elsewhere else [Note(f"known: {listed(known)}")],
                [Edit(entry.key_span, sure)] if sure and meant.count(sure) == 1 else [],
            )

    def elsewhere(self, key: str, path: Path) -> str | None:
        """The one other block that has such a key, such as `budget` for a stray `rounds`."""
        blocks = load()["properties"]
        if path and key in blocks:
            return f"`{key}` is a block of its own: move it out of `{path[0]}`"
        homes = [name for name, block in blocks.items() if key in block.get("properties", {})]
        return f"`{key}` belongs in `{homes[0]}`" if len(homes) == 1 else None

    def missing(self, path: Path, finding: Any) -> None:
        here = locate(self.root, path)
        for name in finding.validator_value:
            if (isinstance(here, Mapping) and here.entry(name)) or (path, name) in self.misspelt:
                continue
            if path:
                message = f"`{shown(path)}` lacks `{name}`"
                self.diagnostics.error("E103", message, self.heading(path), sketch(finding, name))
            else:
                message = f"the spec has no block `{name}`"
                self.diagnostics.error("E104", message, self.heading(path), sketch(finding, name))

    def bad_name(self, path: Path, finding: Any) -> None:
        node = locate(self.root, path)
        entry = node.entry(finding.instance) if isinstance(node, Mapping) else None
        self.diagnostics.error(
            "E109",
            f"`{finding.instance}` is no name here",
            entry.key_span if entry else node.span,
            "start with a letter, go on with letters, digits and `_`",
        )

    def say_type(self, path: Path, finding: Any) -> None:
        node = locate(self.root, path)
        schema = finding.schema
        key = shown(path)
        if self.label_missing(path, finding):
            return
        advice: str | None = None
        if schema.get("x-chain") and isinstance(node, Mapping):
            advice = f"write `{key} STAGE {{ … }}`, or in YAML a list: `- stage: STAGE`"
            message = f"`{key}` lacks the name of its stage"
            self.diagnostics.error("E026", message, self.heading(path), advice)
            return
        fix: list[Edit] = []
        if finding.validator_value == "array":
            if isinstance(node, Scalar) and node.span.text:
                advice = f"write `[{one_line(node.span)}]`"
                if node.span.line != node.span.end_line:
                    advice = "in YAML write each item on a line of its own, behind `- `"
                if node.quoted or _ITEMS.fullmatch(node.span.text):
                    fix = [Edit(node.span, f"[{node.span.text}]")]
        elif finding.validator_value == "object" and not isinstance(node, Mapping):
            advice = f"write `{shown(path[-1:]) or 'STAGE'} {{ … }}`, or in YAML its keys indented"
            if isinstance(node, Scalar) and (lines := _assignments(node)):
                advice = f"in YAML write `{lines[0][1]}: …`"
                fix = [Edit(span, f"{name}: ") for span, name in lines]
        elif isinstance(node, Scalar) and finding.validator_value == "boolean":
            truth = _TRUTH.get(str(node.value).lower())
            if truth and node.span.text.strip("\"'") == node.value:
                advice, fix = f"write `{truth}`", [Edit(node.span, truth)]
        elif isinstance(node, Scalar) and node.quoted and not _is_word(node):
            advice = "remove the quotes"
            if _is_a(resolve(str(node.value)), finding.validator_value):
                fix = [Edit(node.span, str(node.value))]
        message = f"`{key}` takes {expected(schema)}, not {written(node)}"
        self.diagnostics.error("E105", message, self.value(path), advice, fix=fix)

    def label_missing(self, path: Path, finding: Any) -> bool:
        """`data { role = dev }`: the block has no name, so its keys look like names."""
        parent, holder = self.entry(path[:-1]), schema_at(path[:-1])
        if not path or not parent or not holder or finding.validator_value != "object":
            return False
        named = bool(holder.get("x-named"))
        fits = schema_at(path) or {}
        if not named or str(path[-1]) not in fits.get("properties", {}):
            return False
        if any(d.code == "E026" and d.span == parent.key_span for d in self.diagnostics):
            return True  # all keys of the block look like names; one of them is enough
        self.diagnostics.error(
            "E026",
            f"`{parent.key}` lacks a name: `{path[-1]}` stands where the name should",
            parent.key_span,
            f"write `{parent.key} NAME {{ … }}`, or in YAML the name as a key of its own",
        )
        return True

    def say_enum(self, path: Path, finding: Any) -> None:
        allowed = [str(word) for word in finding.validator_value]
        found = locate(self.root, path)
        close = nearest(one_line(found.span).strip("\"'"), allowed) if len(allowed) > 1 else None
        advice = f"did you mean `{close}`?" if close else f"use {listed(allowed, 'or')}"
        notes = [Note(f"allowed: {listed(allowed)}")] if close and len(allowed) > 1 else []
        message = f"`{shown(path)}` cannot be {written(found)}"
        fix: list[Edit] = []
        if isinstance(found, Scalar) and found.span.text.strip("\"'") == found.value:
            sure = surely(found.value, allowed)
            fix = [Edit(found.span, sure)] if sure else []
        self.diagnostics.error("E106", message, self.value(path), advice, notes, fix)

    def out_of_range(self, path: Path, finding: Any) -> None:
        limit = f"{_LIMITS[finding.validator]} {finding.validator_value}"
        message = f"`{shown(path)}` is {limit}, not {one_line(locate(self.root, path).span)}"
        self.diagnostics.error("E204", message, self.value(path))

    def say_pattern(self, path: Path, finding: Any) -> None:
        message = f"`{shown(path)}` cannot be {written(locate(self.root, path))}"
        advice = "use letters, digits, `.`, `_` and `-`, and start with a letter or digit"
        self.diagnostics.error("E112", message, self.value(path), advice)

    def say_minLength(self, path: Path, finding: Any) -> None:
        self.diagnostics.error("E110", f"`{shown(path)}` is empty", self.value(path))

    def say_minItems(self, path: Path, finding: Any) -> None:
        self.diagnostics.error("E110", f"`{shown(path)}` is empty", self.heading(path))

    def say_minProperties(self, path: Path, finding: Any) -> None:
        self.diagnostics.error("E110", f"`{shown(path)}` is empty", self.heading(path))

    def say_uniqueItems(self, path: Path, finding: Any) -> None:
        node = locate(self.root, path)
        seen: list[tuple[Any, Node]] = []
        for item in node.items if isinstance(node, Sequence) else ():
            twin = next((old for value, old in seen if value == plain(item)), None)
            if twin is not None:
                message = f"`{one_line(item.span)}` is twice in `{shown(path)}`"
                first = [Note("first given here", twin.span)]
                self.diagnostics.error("E111", message, item.span, "remove one of the two", first)
            seen.append((plain(item), item))


def _is_word(node: Scalar) -> bool:
    """Whether the text would be text without its quotes too."""
    return resolve(str(node.value)) == node.value


def _assignments(node: Scalar) -> list[tuple[Span, str]]:
    """Where a text of YAML is lines of `key = value`: each key with its sign, and its name."""
    found = [_ASSIGNED.match(line) for line in node.span.text.split("\n")]
    if node.quoted or None in found:
        return []
    lines, start = [], 0
    for line, match in zip(node.span.text.split("\n"), found, strict=True):
        assert match is not None
        span = node.span.part(start + match.start(1), start + match.end())
        lines.append((span, match[1]))
        start += len(line) + 1
    return lines


def _is_a(value: object, types: Any) -> bool:
    """Whether a value is of the schema's type, or of one of its types."""
    from jsonschema import Draft7Validator

    names = [types] if isinstance(types, str) else types
    return any(Draft7Validator.TYPE_CHECKER.is_type(value, name) for name in names)


def _joins(finding: Any, name: str) -> bool:
    """Whether a block of the kind may stand beside another of it."""
    schema = finding.schema["properties"][name]
    return any(f"x-{form}" in schema for form in ("named", "chain", "statement"))
