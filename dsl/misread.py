"""What a mistake in a `.dagent` text probably is, in words that a user knows."""

from __future__ import annotations

import re

from lark import Token
from msgspec import Struct

from dagent.dsl.diagnostics import Diagnostics, Edit
from dagent.dsl.schema import plain_blocks
from dagent.dsl.source import Source, Span
from dagent.dsl.tokens import STARTERS

# `require loss <= 0.1`: what looks like a key here is the metric.
_CAPPED = frozenset({("STATEMENT", "KEY"), ("KEY", "CAP")})
_VALUES = frozenset({"WORD", "NUMBER", "QUANTITY", "REFERENCE", "STRING", "TEXT"})
_WANTED = {"import": "a file in quotes", "require": "a goal"}
_UNBROKEN = re.compile(r"""[^\s{}\[\],"'\\]*""")
_CURLY = re.compile(r"[“”„](?P<text>[^“”\n]*)(?P<end>[“”]?)")
_MONEY = re.compile(r"[$€£]([0-9]+(?:\.[0-9]+)?)")
_GROUPED = re.compile(r"([0-9]{1,3})((?:,[0-9]{3})+)(?![0-9])")
_TERMS = frozenset({"WORD", "NUMBER", "QUANTITY", "STRING", "COMPARE"})


class Place(Struct, frozen=True):
    """Whether the tokens read last belong to a statement, and on which line it stands."""

    line: int | None = None
    last: str = ""

    def after(self, token: Token) -> Place:
        if token.type == "STATEMENT":
            return Place(token.line, token.type)
        goes_on = token.type in _TERMS or (self.last, token.type) in _CAPPED
        return Place(self.line, token.type) if goes_on else Place()

    def leaves_statement(self, token: Token) -> bool:
        return self.line is not None and token.type in _TERMS and token.line != self.line


def retag(source: Source, tokens: list[Token], diagnostics: Diagnostics) -> list[Token]:
    """Give tokens the type that was surely meant, where the parser could not know better.

    `dataset dev {` is a block of an unknown kind, which is for the check of structure to say;
    `student small {` and `data "dev" {` are told here.
    """
    out: list[Token] = []
    unwanted: Token | None = None
    open_brackets: list[str] = []
    for i, token in enumerate(tokens):
        if token.type in ("LBRACE", "LSQB"):
            open_brackets.append(token.type)
        elif token.type in ("RBRACE", "RSQB"):
            open_brackets.pop()
        if token is unwanted:
            continue
        after = tokens[i + 1] if i + 1 < len(tokens) else None
        brace = tokens[i + 2].type == "LBRACE" if i + 2 < len(tokens) else False
        in_list = open_brackets[-1:] == ["LSQB"]
        begins = not out or out[-1].type in ("LBRACE", "RBRACE") or out[-1].end_line != token.line
        if token.type == "OPEN_STRING":
            out.append(_as(token, "STRING"))
        elif token.type == "OPEN_TEXT":
            out.append(_as(token, "TEXT"))
        elif token.type == "WORD" and begins and not in_list and after is not None and brace:
            if after.type == "KIND" and str(token) in plain_blocks():
                label = span(source, after)
                rest = source.span(label.start, tokens[i + 2].start_pos or label.end)
                diagnostics.error(
                    "E026",
                    f"`{token}` takes no name",
                    label,
                    f"remove `{after}`",
                    fix=[Edit(rest, "")],
                )
                out.append(_as(token, "KIND"))
                unwanted = after
            elif after.type in ("KIND", "STRING", "NUMBER"):
                out.append(_as(token, "NAMED"))
            else:
                out.append(token)
        elif token.type in ("STRING", "NUMBER") and out and out[-1].type == "NAMED":
            bare = str(token).strip('"')
            unquoted = re.fullmatch(r"[^\W\d][\w-]*", bare) is not None
            here = span(source, token)
            diagnostics.error(
                "E109",
                f"`{token}` is no name: a name is a bare word that starts with a letter",
                here,
                f"write `{bare}`" if unquoted else None,
                fix=[Edit(here, bare)] if unquoted else [],
            )
            out.append(_as(token, "KIND"))
        else:
            out.append(token)
    return out


def _as(token: Token, kind: str) -> Token:
    return Token.new_borrow_pos(kind, str(token), token)


def span(source: Source, token: Token) -> Span:
    return source.span(token.start_pos or 0, token.end_pos or 0)


def explain(
    source: Source,
    stream: list[Token],
    i: int,
    before: Token | None,
    place: Place,
    at_entry: bool,
    diagnostics: Diagnostics,
) -> None:
    """Report that token ``i`` does not fit after ``before``; ``at_entry``: an entry could begin."""
    token = stream[i]
    here = span(source, token)
    after = stream[i + 1] if i + 1 < len(stream) else None
    if before is not None and before.type in ("EQUAL", "CAP") and token.type != "JUNK":
        message = f"expected a value after `{before}`"
        diagnostics.error("E021", message, span(source, before), "write a value, or remove the key")
    elif at_entry and place.leaves_statement(token):
        diagnostics.error("E020", "a goal or an import stands on one line", here)
    elif at_entry and token.type == "WORD" and str(token) in _WANTED:
        message = f"expected {_WANTED[str(token)]} after `{token}`, on the same line"
        diagnostics.error("E021", message, here)
    elif at_entry and after is not None and looks_like_entry(stream, i):
        _explain_entry(source, token, after, diagnostics)
    elif token.type == "JUNK" and set(token) == {";"}:
        message = "nothing is needed between entries"
        diagnostics.error("E010", message, here, "remove it", fix=[Edit(here, "")])
    elif token.type == "JUNK" and (fix := _sign(source, token, before)) is not None:
        advice, edits = fix
        diagnostics.error("E010", f"unexpected `{token}`", here, advice, fix=edits)
    elif token.type == "JUNK" and before is not None and before.type in _VALUES | {"EQUAL", "CAP"}:
        text = _run(source, before, token)
        diagnostics.error(
            "E010",
            f"unexpected `{token}`",
            here,
            f'a text with such signs stands in quotes: `"{text.text}"`',
            fix=[Edit(text, f'"{text.text}"')],
        )
    elif token.type == "JUNK":
        diagnostics.error("E010", f"unexpected `{token}`", here)
    elif at_entry and before is not None and _continues(before, token):
        words = _rest_of_line(source, stream, i)
        message = "several words are one value only in quotes"
        whole = source.span(before.start_pos or 0, words.end)
        if grouped := _GROUPED.match(whole.text):
            number, digits = whole.part(0, grouped.end()), grouped[0].replace(",", "")
            message, advice = "a number has no commas in it", f"write `{digits}`"
            diagnostics.error("E020", message, number, advice, fix=[Edit(number, digits)])
            return
        plain = not set(whole.text) & {'"', "\\"}
        diagnostics.error(
            "E020",
            message,
            whole,
            f'write `"{whole.text}"`' if plain else None,
            fix=[Edit(whole, f'"{whole.text}"')] if plain else [],
        )
    elif token.type in ("EQUAL", "CAP") and place.line == token.line:
        message = f"a goal compares, and `{token}` does not"
        diagnostics.error("E020", message, here, "write `>=`", fix=[Edit(here, ">=")])
    elif token.type in ("EQUAL", "CAP"):
        diagnostics.error("E020", f"expected a key before `{token}`", here)
    elif token.type == "LBRACE":
        # A text that starts like this is JSON, which YAML reads.
        remedy = "JSON belongs in a file that ends in `.yaml`" if i == 0 else None
        diagnostics.error("E020", "expected the kind of the block before `{`", here, remedy)
    elif token.type == "COMPARE":
        diagnostics.error("E020", f"`{token}` stands only in `require`", here)
    elif at_entry:
        message = f"expected `key = value` or a block, found `{_short(token)}`"
        diagnostics.error("E020", message, here)
    else:
        diagnostics.error("E020", f"unexpected `{_short(token)}`", here)


def looks_like_entry(stream: list[Token], i: int) -> bool:
    """Whether a line begins here that was meant as ``key = value``."""
    token, after = stream[i], stream[i + 1] if i + 1 < len(stream) else None
    if token.type != "WORD" or after is None or after.line != token.line:
        return False
    if after.type == "COMPARE" or (after.type == "JUNK" and str(after) in (":", ":=")):
        return True
    begins = i == 0 or stream[i - 1].end_line != token.line or stream[i - 1].type == "LBRACE"
    alone = after.type == "WORD" and not _same_line(stream, i + 2, token.line)
    return begins and (alone or after.type in (_VALUES | {"LSQB"}) - {"WORD"})


def _same_line(stream: list[Token], i: int, line: int | None) -> bool:
    return (
        i < len(stream) and stream[i].line == line and stream[i].type not in STARTERS | {"RBRACE"}
    )


def _explain_entry(source: Source, token: Token, after: Token, diagnostics: Diagnostics) -> None:
    if after.type == "JUNK":
        message = f"expected `=` after `{token}`, found `{after}`"
        here = span(source, after)
        lead = "" if source.text[here.start - 1].isspace() else " "
        tail = "" if source.text[here.end : here.end + 1].isspace() else " "
        diagnostics.error("E025", message, here, "write `=`", fix=[Edit(here, f"{lead}={tail}")])
    elif after.type == "COMPARE":
        message = f"`{after}` stands only in `require`"
        suggestion = "write `=`, or `<=` for a cap"
        here = span(source, after)
        fix = [Edit(here, "=")] if after == "==" else []
        diagnostics.error("E025", message, here, suggestion, fix=fix)
    else:
        here = span(source, token)
        diagnostics.error(
            "E025",
            f"expected `=` after `{token}`",
            here,
            f"write `{token} = {_short(after)}`",
            fix=[Edit(source.span(here.end, here.end), " =")],
        )


def _sign(source: Source, junk: Token, before: Token | None) -> tuple[str, list[Edit]] | None:
    """What a sign that other languages know was meant as, and how to write it here."""
    rest = source.text[junk.start_pos or 0 :].partition("\n")[0]
    if str(junk).startswith("//"):
        here = span(source, junk)
        return "a comment starts with `#`", [Edit(here.part(0, 2), "#")]
    if curly := _CURLY.match(rest):
        whole = source.span(junk.start_pos or 0, (junk.start_pos or 0) + curly.end())
        plain = curly["end"] and not set(curly["text"]) & {'"', "\\"}
        fix = [Edit(whole, f'"{curly["text"]}"')] if plain else []
        return 'a text stands in straight quotes, `"…"`', fix
    if before is not None and before.type in ("EQUAL", "CAP") and (money := _MONEY.match(rest)):
        return f"an amount of money is written like `{money[1]} USD`", []
    return None


def _run(source: Source, before: Token, junk: Token) -> Span:
    """The text around a sign without meaning, such as `data/dev.jsonl`, up to what must end it."""
    touches = before.type in _VALUES and before.end_pos == junk.start_pos
    start = (before.start_pos if touches else junk.start_pos) or 0
    match = _UNBROKEN.match(source.text, junk.start_pos or 0)
    return source.span(start, match.end() if match else junk.end_pos or 0)


def _continues(before: Token, token: Token) -> bool:
    return before.type in _VALUES and token.type in _VALUES and before.end_line == token.line


def _rest_of_line(source: Source, stream: list[Token], i: int) -> Span:
    end = stream[i]
    for token in stream[i:]:
        if token.type not in _VALUES or token.line != stream[i].line:
            break
        end = token
    return source.span(stream[i].start_pos or 0, end.end_pos or 0)


def _short(token: Token) -> str:
    text = " ".join(str(token).split())
    return text if len(text) <= 30 else text[:29] + "…"
