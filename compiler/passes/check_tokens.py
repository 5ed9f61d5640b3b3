"""Texts that the student's context holds, and tokens that its tokenizer knows, where its files are
here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dagent.compiler.context import context, count_tokens, share_vocabulary, vocabulary
from dagent.compiler.facts import DataFacts, StudentFacts
from dagent.compiler.settings import Settings
from dagent.compiler.spec import Spec
from dagent.compiler.stages import TEACHER
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.nearest import did_you_mean

ANSWERS = ("max_completion_length", "max_new_tokens")  # how long an answer a stage lets draw
TOKENS = ("eos_token", "pad_token")
# Graders that read the whole of an answer, where none can be right that ends too soon.
WHOLE = ("exact", "normalised", "json", "code", "sql")
ROOM = 0.5  # of the context, for the answer that is advised


def check_tokens(
    spec: Spec,
    data: Mapping[str, DataFacts],
    student: StudentFacts,
    teachers: Mapping[int, StudentFacts],
    settings: Settings,
    diagnostics: Diagnostics,
) -> None:
    if student.folder is None:
        return
    holds = context(student.folder)
    if holds is not None:
        _check_answers(spec, holds, diagnostics)
        _check_lengths(spec, holds, diagnostics)
        if spec.student.max_new_tokens < holds:
            _check_questions(spec, data, student, holds, settings, diagnostics)
    _check_right_answers(spec, data, student, settings, diagnostics)
    _check_known(spec, student, settings, diagnostics)
    for number, teacher in teachers.items():
        if teacher.folder and share_vocabulary(student.folder, teacher.folder) is False:
            diagnostics.error(
                "E645",
                f"the teacher has another vocabulary than `{spec.student.model}`",
                spec.at("train", number - 1, TEACHER[0]),
                "name a teacher of the student's own family, or let a language model that you name "
                "as `engineer.generator` teach by its answers",
            )


def _check_answers(spec: Spec, holds: int, diagnostics: Diagnostics) -> None:
    """Answers as long as the context leave no room for a question."""
    places: list[tuple[Any, tuple[str | int, ...]]] = [
        (spec.student.max_new_tokens, ("student", "max_new_tokens"))
    ]
    for index, stage in enumerate(spec.train):
        places += [(stage.args.get(name), ("train", index, name)) for name in ANSWERS]
    for tokens, path in places:
        if isinstance(tokens, int) and tokens >= holds:
            diagnostics.error(
                "E618",
                f"an answer may take {tokens:,} tokens, and the context of `{spec.student.model}` "
                f"holds {holds:,}, question and answer together",
                spec.at(*path),
                f"write {int(ROOM * holds):,} or less, or name a student with a longer context",
            )


def _check_lengths(spec: Spec, holds: int, diagnostics: Diagnostics) -> None:
    """What is cut to more than the context is not cut enough; rows may be short all the same."""
    for index, stage in enumerate(spec.train):
        longest = stage.args.get("max_length")
        packed = stage.args.get("packing")  # then it is the length of several rows together
        if isinstance(longest, int) and longest > holds and not packed:
            diagnostics.warn(
                "E618",
                f"rows are cut to {longest:,} tokens, and the context of `{spec.student.model}` "
                f"holds {holds:,}",
                spec.at("train", index, "max_length"),
                f"write {holds:,} or less",
            )


def _check_questions(
    spec: Spec,
    data: Mapping[str, DataFacts],
    student: StudentFacts,
    holds: int,
    settings: Settings,
    diagnostics: Diagnostics,
) -> None:
    """The longest question of each set, and an answer to it. What a chat template adds is not
    counted, so that what is said is so."""
    assert student.folder is not None
    answer = spec.student.max_new_tokens
    for given in spec.data:
        longest = data[given.name].longest if given.name in data else None
        if longest is None:
            continue
        row, prompt = longest
        if len(prompt.encode()) + answer <= holds:  # no token is shorter than a byte
            continue
        count = partial(count_tokens, student.folder, prompt)
        asked = settings.recall(student.folder, (count_tokens, prompt), count)
        if asked is not None and asked + answer > holds:
            room = holds - asked
            diagnostics.warn(
                "E618",
                f"row {row} of `{given.title}` asks {asked:,} tokens, an answer may take "
                f"{answer:,}, and the context of `{spec.student.model}` holds {holds:,}",
                spec.at("data", given.name, *given.source[:1]),
                (f"lower `max_new_tokens` of `student` to {room:,}, " if room > 0 else "")
                + "leave such rows out by `where`, or name a student with a longer context",
            )


def _check_right_answers(
    spec: Spec,
    data: Mapping[str, DataFacts],
    student: StudentFacts,
    settings: Settings,
    diagnostics: Diagnostics,
) -> None:
    """Whether the student may say as much as the longest right answer of the sets that judge it."""
    assert student.folder is not None
    allowed = spec.student.max_new_tokens
    whole = {m.name for m in spec.criteria.metrics if m.grader in WHOLE}
    longest: tuple[int, str] = (0, "")
    for given in spec.data:
        found = data[given.name].answered if given.name in data else None
        if found is None or whole.isdisjoint(spec.judged_by(given)):
            continue
        row, answer = found
        if len(answer.encode()) <= allowed:  # no token is shorter than a byte
            continue
        count = partial(count_tokens, student.folder, answer)
        takes = settings.recall(student.folder, (count_tokens, answer), count) or 0
        longest = max(longest, (takes, f"row {row} of `{given.title}`"))
    takes, place = longest
    if takes > allowed:
        diagnostics.warn(
            "E623",
            f"the right answer of {place} takes {takes:,} tokens, and an answer may take "
            f"{allowed:,}",
            spec.at("student", "max_new_tokens"),
            f"raise `max_new_tokens` of `student` to {takes + 1:,} or more",
        )


def _check_known(
    spec: Spec, student: StudentFacts, settings: Settings, diagnostics: Diagnostics
) -> None:
    """TRL refuses a token that the tokenizer has not, when rows have been paid for."""
    assert student.folder is not None
    for index, stage in enumerate(spec.train):
        for name in TOKENS:
            token = stage.args.get(name)
            if not isinstance(token, str):
                continue
            known = settings.recall(student.folder, vocabulary, partial(vocabulary, student.folder))
            if known is not None and token not in known:
                diagnostics.error(
                    "E619",
                    f"the tokenizer of `{spec.student.model}` has no token `{token}`",
                    spec.at("train", index, name),
                    did_you_mean(token, known, "remove it, to end answers by the model's own"),
                )
