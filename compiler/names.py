"""Constants and parameters: what ``$NAME`` stands for, and putting it there."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict

from msgspec import Struct, field

from dagent.compiler.read import within
from dagent.compiler.secrets import looks_secret
from dagent.compiler.settings import Settings
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.document import Entry, Mapping, Node, Plain, Scalar, Sequence, plain
from dagent.dsl.nearest import did_you_mean, nearest
from dagent.dsl.source import Source, Span

_WHOLE = re.compile(r"\$(\$?)([A-Za-z_][A-Za-z0-9_-]*)")
_INSIDE = re.compile(r"(\$?)\$\{([^}]*)\}")
# What defines names cannot use them, except that constants may build on each other.
_OUTSIDE = ("import", "let", "param", "language")
SETTABLE = "seed"  # the one key that `--set` changes without a parameter: experiments repeat on it


_KINDS: Dict[str, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


class _Missing:
    """A name without a value; the finding was reported."""


MISSING = _Missing()


class _Param(Struct, frozen=True):
    name: str
    span: Span
    type: str
    default: Plain | _Missing
    env: str | None
    secret: bool
    sound: bool
    """Whether its default is of its type."""
    place: Span | None
    """Where its default stands."""


class Names(Struct):
    """The names that a document defines, with the values from outside put in."""

    root: Mapping
    settings: Settings
    diagnostics: Diagnostics
    unknown: set[Span] = field(default_factory=set)
    """Where names are used that have no value."""
    _lets: dict[str, Entry] = field(default_factory=dict)
    _params: dict[str, _Param] = field(default_factory=dict)
    _values: dict[str, Plain | _Missing] = field(default_factory=dict)
    _set: dict[str, tuple[str, Source]] = field(default_factory=dict)
    _given: dict[str, str | int | float | bool] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _path: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        lets, params = self.root.get("let"), self.root.get("param")
        if isinstance(lets, Mapping):
            self._lets = {e.key: e for e in lets}
        if isinstance(params, Mapping):
            self._params = {e.key: self._param(e) for e in params if isinstance(e.value, Mapping)}
        for name in self._lets.keys() & self._params.keys():
            self.diagnostics.error(
                "E704",
                f"`{name}` is both a constant and a parameter",
                self._params[name].span,
                "rename one of them",
                [Note("the constant is here", self._lets[name].key_span)],
            )
        self._set = dict(self._parse_set())

    def given(self) -> Dict[str, str | int | float | bool]:
        """Values that came from ``--set`` or the environment, secrets excepted: with these the
        same spec gives the same plan on a machine that sets none of them."""
        return dict(sorted(self._given.items()))

    def unused(self) -> None:
        for name, entry in self._lets.items():
            if name not in self._used:
                self._warn_unused("constant", name, entry.key_span)
        for name, param in self._params.items():
            if name not in self._used:
                self._warn_unused("parameter", name, param.span)

    def _warn_unused(self, what: str, name: str, span: Span) -> None:
        self.diagnostics.warn(
            "E711", f"the {what} `{name}` is never used", span, "remove it, or use it"
        )

    # --- values from outside ------------------------------------------------------------------

    def _parse_set(self) -> list[tuple[str, tuple[str, Source]]]:
        found = []
        for text in self.settings.set:
            name, equals, value = text.partition("=")
            source = Source("--set", text)
            known = [*self._params, SETTABLE]
            if not equals or not name:
                self._bad_set(f"`{text}` is not `NAME=VALUE`", source, text, "write `seed=3`")
            elif name not in known:
                remedy = did_you_mean(name, known, "parameters: " + ", ".join(sorted(known)))
                self._bad_set(f"there is no parameter `{name}`", source, name, remedy)
            elif name in self._params and self._params[name].secret:
                self.diagnostics.error(
                    "E706",
                    f"`{name}` is a secret; a command line is seen by others and logged",
                    source.span(0, len(name)),
                    f"set the environment variable `{self._params[name].env}`",
                )
            else:
                found.append((name, (value, source)))
        return found

    def _bad_set(self, message: str, source: Source, part: str, remedy: str | None) -> None:
        self.diagnostics.error("E705", message, source.span(0, len(part)), remedy)

    def _param(self, entry: Entry) -> _Param:
        block = plain(entry.value)
        default = block.get("default", MISSING)
        kind = block.get("type")
        # Not given, or of a wrong word or kind, which the structure says.
        if not isinstance(kind, str) or kind not in _KINDS:
            kind = _type_of(default)
        secret, env = block.get("secret") is True, block.get("env")
        if secret and default is not MISSING:
            self.diagnostics.error(
                "E706",
                f"the secret `{entry.key}` has its value in the spec",
                entry.key_span,
                "remove `default`; a secret comes from the environment",
            )
        if secret and not env:
            self.diagnostics.error(
                "E712",
                f"the secret `{entry.key}` does not say which variable holds it",
                entry.key_span,
                f"add `env = {entry.key.upper()}`",
            )
        sound = default in (MISSING, None) or _fits(default, kind)
        given = entry.value.entry("default") if isinstance(entry.value, Mapping) else None
        place = given.value.span if given is not None else None
        if not sound:
            self.diagnostics.error(
                "E712",
                f"the default of `{entry.key}` is no {kind}",
                place,
                f"write a default of type {kind}, or change `type`",
            )
        return _Param(entry.key, entry.key_span, kind, default, env, secret, sound, place)

    # --- substitution -------------------------------------------------------------------------

    def substitute(self, root: Mapping) -> Mapping:
        """The document without references; definitions stay, for the structure check."""
        entries = [
            e if e.key in _OUTSIDE else Entry(e.key, e.key_span, self._node(e.value, (e.key,)))
            for e in root
        ]
        if SETTABLE in self._set and SETTABLE not in self._params:
            entries = [e for e in entries if e.key != SETTABLE] + [self._seed()]
        return Mapping(tuple(entries), root.span)

    def _seed(self) -> Entry:
        text, source = self._set[SETTABLE]
        span = source.span(len(SETTABLE) + 1, len(source.text))
        value = _convert(text, "integer")
        if value is MISSING:
            self.diagnostics.error("E705", f"`{text}` is no integer", span, "write `seed=3`")
            value = 0
        assert isinstance(value, int)
        self._given[SETTABLE] = value
        return Entry(SETTABLE, source.span(0, len(SETTABLE)), Scalar(value, span))

    def _node(self, node: Node, path: tuple[str, ...]) -> Node:
        if isinstance(node, Sequence):
            return Sequence(tuple(self._node(item, path) for item in node.items), node.span)
        if isinstance(node, Mapping):
            return Mapping(
                tuple(Entry(e.key, e.key_span, self._node(e.value, (*path, e.key))) for e in node),
                node.span,
            )
        return self._scalar(node, path)

    def _scalar(self, node: Scalar, path: tuple[str, ...]) -> Scalar:
        if not isinstance(node.value, str) or "$" not in node.value:
            return node
        whole = _WHOLE.fullmatch(node.value)
        if whole and whole[1]:
            return Scalar(node.value[1:], node.span, node.quoted)
        if whole:
            value = self._value(whole[2], node.span, path)
            if isinstance(value, _Missing):
                self.unknown.add(node.span)
                return node
            given = self._given_at(whole[2])
            if given is not None:
                self.diagnostics.origins[node.span] = Note(
                    f"`${whole[2]}` has its value here", given
                )
            return Scalar(value, node.span, given=given)
        return Scalar(self._inside(node, path), node.span, node.quoted)

    def _given_at(self, name: str) -> Span | None:
        """Where the spec gives a name its value; None where that comes from outside."""
        if name in self._given:
            return None
        param = self._params.get(name)
        return self._lets[name].value.span if param is None else param.place

    def _inside(self, node: Scalar, path: tuple[str, ...]) -> str:
        def put(match: re.Match[str]) -> str:
            if match[1]:
                return match[0][1:]
            span = within(node.span, match[0])
            value = self._value(match[2], span, None)
            if isinstance(value, bool):
                return "true" if value else "false"
            if isinstance(value, _Missing):
                self.unknown.add(node.span)
            return match[0] if isinstance(value, _Missing) else str(value)

        return _INSIDE.sub(put, str(node.value))

    def _value(self, name: str, span: Span, path: tuple[str, ...] | None) -> Plain | _Missing:
        """What the name stands for. ``path`` is where it is used; None inside a text."""
        self._used.add(name)
        param = self._params.get(name)
        if param is not None and param.secret:
            return self._secret(param, span, path)
        if name in self._path:
            circle = " -> ".join((*self._path[self._path.index(name) :], name))
            self.diagnostics.error(
                "E709", f"constants in a circle: {circle}", span, "give one a value of its own"
            )
            return MISSING
        if param is None and name not in self._lets:
            known = [*self._lets, *self._params]
            self._used.add(nearest(name, known) or name)  # misspelt, not unused
            self.diagnostics.error(
                "E703", f"`${name}` is not defined", span, did_you_mean(name, known)
            )
            return MISSING
        if name not in self._values:
            self._values[name] = self._let(name) if param is None else self._outside(param)
        return self._values[name]

    def _let(self, name: str) -> Plain | _Missing:
        node = self._lets[name].value
        if not isinstance(node, Scalar):
            return MISSING  # the structure check refuses it
        self._path.append(name)
        value = self._scalar(node, ()).value
        self._path.pop()
        return MISSING if node.span in self.unknown else value

    def _outside(self, param: _Param) -> Plain | _Missing:
        if not param.sound:
            return MISSING
        if param.name in self._set:
            text, source = self._set[param.name]
            span = source.span(len(param.name) + 1, len(source.text))
            value = _convert(text, param.type)
            if isinstance(value, _Missing):
                self._bad_value(param, f"`{text}` is none", span, "E705")
            else:
                self._given[param.name] = value
            return value
        if param.env and param.env in self.settings.env:
            return self._from_variable(param, self.settings.env[param.env])
        if isinstance(param.default, _Missing):
            also = f", or set the variable `{param.env}`" if param.env else ""
            self.diagnostics.error(
                "E708",
                f"the parameter `{param.name}` has no value",
                param.span,
                f"give `--set {param.name}=VALUE`{also}",
            )
        return param.default

    def _from_variable(self, param: _Param, text: str) -> Plain | _Missing:
        """No message quotes it: what a variable holds may be anything."""
        value = _convert(text, param.type)
        if looks_secret(text):
            self.diagnostics.error(
                "E706",
                f"the variable `{param.env}` holds what looks like a secret key",
                param.span,
                "add `secret = true`, and use it only as the value of `api_key`",
            )
            return MISSING
        if isinstance(value, _Missing):
            self._bad_value(param, f"the variable `{param.env}` holds none", param.span, "E708")
        else:
            self._given[param.name] = value
        return value

    def _bad_value(self, param: _Param, why: str, span: Span, code: str) -> None:
        self.diagnostics.error(
            code,
            f"`{param.name}` is of type {param.type}, and {why}",
            span,
            f"give a value of type {param.type}",
        )

    def _secret(self, param: _Param, span: Span, path: tuple[str, ...] | None) -> Plain | _Missing:
        """Only the variable's name enters the document, and only as the value of `api_key`."""
        if path is None or not path or path[-1] != "api_key":
            self.diagnostics.error(
                "E706",
                f"the secret `{param.name}` would enter the plan here",
                span,
                "use it only as the value of `api_key`",
                [Note("it is declared secret here", param.span)],
            )
            return MISSING
        return f"{{env {param.env}}}"


def _type_of(default: Plain | _Missing) -> str:
    if isinstance(default, bool):
        return "boolean"
    if isinstance(default, int):
        return "integer"
    return "number" if isinstance(default, float) else "text"


def _fits(value: object, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    # A text parameter may have a quantity such as `4000` as its default.
    return isinstance(value, _KINDS[kind]) or (kind == "text" and isinstance(value, int | float))


def _convert(text: str, kind: str) -> str | int | float | bool | _Missing:
    """The value of a text from outside, or MISSING if it is none of the kind."""
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, MISSING)
    if kind == "text":
        return text
    try:
        if kind == "integer":
            return int(text)
        number = float(text)
    except ValueError:
        return MISSING
    if number != number or number in (float("inf"), float("-inf")):
        return MISSING
    return int(number) if number.is_integer() else number
