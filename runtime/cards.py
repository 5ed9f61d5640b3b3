"""The cards of what is exported: what it is, how it was made, how good it is and how sure that is.

The fields at the top are those that the Hugging Face hub reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from dagent.compiler.quantity import how_many
from dagent.runtime import projection as show
from dagent.runtime.card_usage import is_local, usage
from dagent.runtime.outcome import Outcome
from dagent.runtime.report import facts, recipe
from dagent.runtime.report.parts import how_tested, looked, p_value, percent, verdict
from dagent.runtime.rows import Row
from dagent.runtime.wording import between


def model_card(found: Outcome, name: str, *, adapter: bool, hub: str = "") -> str:
    """``hub`` is the repository that it is for, if it is for one."""
    start, end = found.start, found.end
    assert end is not None
    settings, metric = start["settings"], start["metric"]
    base = str(settings.get("student.model", ""))
    rows = facts.test_rows(found.past, found.project)
    licence = recipe.licence(found.base)
    head: dict[str, Any] = {
        "license": licence,
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["dagent", "trl"],
        "model-index": [_index(found, name, rows)],
    }
    if not is_local(base):
        head["base_model"] = base
    if hub:
        head["datasets"] = [f"{hub}-data"]
    what = (
        f"`{base}`, trained on rows that were engineered for its weaknesses"
        if found.round
        else f"`{base}` as it was: no round beat it, so this is the untouched base"
    )
    accepted = [
        f"| {n} | {100 * e['select']:.1f} % | {100 * e['select_low']:.1f} to "
        f"{100 * e['select_high']:.1f} | {e['rows']:,} | "
        f"{'accepted' if e['accepted'] else 'refused'}: {e['reason']} |"
        for n, e in show.rounds(found.past).items()
    ]
    goals = [f"- {'met' if r['met'] else '**not met**'}: {r['says']}" for r in end["requirements"]]
    watched = end.get("watched") or ()
    guards = [g for g in watched if g["max_drop_pp"] is not None]
    return _card(
        head,
        f"# {name}",
        f"{start.get('goal') or ''}\n\n{what}. Made by dagent {start['version']}.",
        "## How good it is",
        f"{metric} on {how_many(rows, 'test rows')} that were not trained on and not shown to what "
        "made the rows; test was opened once, at the end.",
        _of_test(found, end),
        _further(end.get("metrics") or ()),
        _watched(watched),
        "\n".join(goals),
        "## How to use it",
        usage(found, adapter=adapter, base=base, hub=hub),
        "## How it was made",
        (
            f"In rounds; round {found.round} was {_chosen(found)}. "
            if found.round
            else "In rounds, none of which was chosen. "
        )
        + looked(facts.looks(found.past)),
        _of_several(end),
        "| round | select | 95 % interval | rows added | the gate |\n|---|---|---|---|---|\n"
        + "\n".join(accepted),
        _training(found),
        "Every row that was kept, and where it came from, is "
        + (f"in the data set `{hub}-data`." if hub else "in the folder `data` beside this one."),
        _sets(found),
        "## How to make it again",
        _again(found),
        "## Limits",
        f"- Measured on rows of one domain, made like those of `{_role(found, 'test')}`. Elsewhere "
        "it may be worse than its base.\n"
        + (
            "- Kept from falling on: " + ", ".join(f"`{g['name']}`" for g in guards) + "."
            if guards
            else "- No guard set was watched: what the base could do besides was not measured."
        )
        + _opened(found)
        + "\n- What is wrong or unfair in the base was not looked for.",
        "## Licence",
        _licence_says(licence, "the base model"),
    )


def _of_test(found: Outcome, end: Mapping[str, Any]) -> str:
    """Base, model and gain with their intervals; a base that stayed is not compared with itself."""
    scores = facts.result(found.past, found.project) or {}
    low, high = end["gain"]["ci"]

    def score(which: str) -> str:
        said = f"{100 * end[which]['test']:.1f} %"
        if which not in scores:
            return said
        at_least, at_most = scores[which]["interval"]
        return f"{said}, 95 % interval {100 * at_least:.1f} to {100 * at_most:.1f}"

    gained = (
        f"{end['gain']['test_pp']:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, "
        f"{how_tested(end['gain'])}: {verdict(end['gain'])[0]}"
        if found.round
        else "none: this is the base"
    )
    return (
        f"| | test |\n|---|---|\n| base | {score('base')} |\n"
        f"| this model | {score('champion')} |\n| gain | {gained} |"
    )


def _chosen(found: Outcome) -> str:
    """By what its round became the champion's."""
    rules = (s.params["rule"] for s in found.plan.steps if s.kind == "gate" and s.round)
    return (
        "taken because it is the last: every round's student was"
        if next(rules, "") == "always"
        else "chosen, on select rows"
    )


def _of_several(end: Mapping[str, Any]) -> str:
    """Of how many seeds it is the best, and what the others say."""
    compared = end.get("comparison")
    if not compared:
        return ""
    loop, seeds = compared["arms"][0], compared["seeds"]
    arm, _, seed = end["best"].rpartition("/s")
    of = f", the best on select of {len(seeds)}" if len(seeds) > 1 else ""
    return (
        f"It is the student of the arm `{arm}` under seed {seed}{of}. That arm under "
        f"{how_many(len(seeds), 'seeds')}: {percent(loop['test'])} on test on the average, "
        f"{loop['gain']['pp']:+.1f} points over the base ({between(loop['gain'])})."
    )


def _sets(found: Outcome) -> str:
    sets = facts.data_sets(found.past, found.plan, found.project)
    return "| set | role | rows | SHA-256 |\n|---|---|---|---|\n" + "\n".join(
        f"| {d.name} | {d.role} | {d.rows:,} | `{d.digest}` |" for d in sets
    )


def _again(found: Outcome) -> str:
    """The commands, and all that the result hangs on beside the data."""
    lock = recipe.lock_of(found.start, found.project)
    known = [f"- {name}: `{value}`" for name, value in recipe.made_with(found.past, lock)]
    known += [f"- {what} `{name}`: `{digest}`" for what, name, digest in recipe.files(lock)]
    return (
        "In the folder of the spec, with the sets above; compiling prints the plan's id.\n\n"
        f"```sh\n{recipe.commands(found.start, lock)}\n```\n\n" + "\n".join(known)
    )


def _plan(start: Mapping[str, Any]) -> str:
    """What made it, to the arm and the seed."""
    arm = f", arm `{start['arm']}`" if "arm" in start else ""
    return f"Plan `{start['plan_id']}`{arm}, seed {start['seed']}."


def _further(metrics: Sequence[Mapping[str, Any]]) -> str:
    """What the metrics after the first say of test."""
    return "\n".join(
        f"- {m['name']} on test: {100 * m['base']:.1f} % → {100 * m['champion']:.1f} %, "
        f"{m['gain_pp']:+.1f} points, 95 % interval {m['ci'][0]:+.1f} to {m['ci'][1]:+.1f}, "
        f"two-sided {p_value(m['p_holm'])} adjusted by Holm's method for {len(metrics)} metrics"
        for m in metrics[1:]
    )


def _watched(watched: Sequence[Mapping[str, Any]]) -> str:
    """The data sets and tasks that every gate held the student to, and tasks that are metrics."""
    if not watched:
        return ""
    rows = (
        f"| `{g['name']}` | {g['metric']} | {g['rows']:,} | {100 * g['base']:.1f} % | "
        f"{100 * g['champion']:.1f} % | {g['gain_pp']:+.1f} points, 95 % interval "
        f"{g['ci'][0]:+.1f} to {g['ci'][1]:+.1f}, {p_value(g['p_holm'])} |"
        for g in watched
    )
    return (
        "Beside test; p paired, two-sided, adjusted by Holm's method:\n\n"
        "| set or task | metric | rows | base | this model | difference |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


def data_card(
    found: Outcome,
    name: str,
    kept: Sequence[Row],
    rejects: Sequence[Row] | None,
    hub: str = "",
) -> str:
    head: dict[str, Any] = {
        "license": recipe.UNKNOWN,
        "task_categories": ["text-generation"],
        "tags": ["dagent", "synthetic"],
        "size_categories": [_size(len(kept))],
        "configs": [
            {
                "config_name": "default",
                "default": True,
                "data_files": [{"split": "train", "path": "train.jsonl"}],
            }
        ],
    }
    if rejects:
        head["configs"].append(
            {
                "config_name": "rejects",
                "data_files": [{"split": "train", "path": "rejects.jsonl"}],
            }
        )
    origins = Counter(str(row.get("origin")) for row in kept)
    used = sum(bool(row["in_champion"]) for row in kept)
    trained = (
        f"{used:,} of them trained the champion, of round {found.round}"
        if found.round
        else "none of them trained the champion, which is the untouched student"
    )
    programs = {
        name: digest
        for what, name, digest in recipe.files(recipe.lock_of(found.start, found.project))
        if what == "program"
    }
    by_round = Counter(row.get("round") for row in kept)
    where = f"{hub}-data" if hub else "data"
    start = found.start
    return _card(
        head,
        f"# {name}: rows",
        f"{start.get('goal') or ''}\n\n{how_many(len(kept), 'rows')} that were generated, "
        f"verified, freed of duplicates and of overlap with dev and test, and kept; {trained}."
        + (f" The model: [`{hub}`](https://huggingface.co/{hub})." if hub else ""),
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("{where}", split="train")\n```',
        "## Columns",
        "| column | says |\n|---|---|\n"
        "| `id` | the first 16 hex digits of the SHA-256 of the prompt |\n"
        "| `prompt`, `answer` | what is asked, and the right answer |\n"
        "| `skill`, `difficulty` | the cell of the domain |\n"
        "| `round`, `item`, `weakness`, `method` | which round asked for it, by which item of its "
        "curriculum, and why |\n"
        "| `origin`, `verdicts` | what made it, and what verified it (JSON) |\n"
        "| `in_champion` | whether the champion was trained on it |",
        "## Where they come from",
        "\n".join(
            f"- `{origin}`: {how_many(n, 'rows')}"
            + (f", SHA-256 `{digest}`" if (digest := programs.get(origin.split(":")[0])) else "")
            for origin, n in origins.most_common()
        ),
        "| round | rows kept |\n|---|---|\n"
        + "\n".join(f"| {n} | {rows:,} |" for n, rows in sorted(by_round.items(), key=str)),
        f"The sets of the execution, of which those that judge have no row in common with these:"
        f"\n\n{_sets(found)}",
        f"{_plan(start)} dagent {start['version']}."
        + (f" {len(rejects):,} rejected rows are in the config `rejects`, with `reason`; rows that "
           "overlap with dev or test are not among them." if rejects else ""),
        "## Licence",
        _licence_says(recipe.UNKNOWN, "what the rows were made from and of what made them"),
    )  # fmt: skip


def _card(head: Mapping[str, Any], *parts: str) -> str:
    top = yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True)
    return f"---\n{top}---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _index(found: Outcome, name: str, rows: int) -> dict[str, Any]:
    end, metric = found.end, found.start["metric"]
    assert end is not None
    return {
        "name": name,
        "results": [
            {
                "task": {"type": "text-generation"},
                "dataset": {"type": "test", "name": f"test, {rows} rows"},
                "metrics": [
                    {"type": metric, "name": metric, "value": round(end["champion"]["test"], 4)}
                ],
            }
        ],
    }


def _training(found: Outcome) -> str:
    train = [s for s in found.plan.steps if s.kind == "train" and s.round == found.round]
    if not train:
        return ""
    params = train[0].params
    stages = "\n".join(
        f"- `{stage['stage']}`: {_settings(stage['args'])}" for stage in params["stages"]
    )
    adapter = f"`adapter = {params['adapter']}`"
    if params["lora"]:
        adapter += f", {_settings(params['lora'])}"
    return f"Trained by TRL ({adapter}):\n\n{stages}"


def _settings(args: Mapping[str, Any]) -> str:
    return ", ".join(f"`{k} = {v}`" for k, v in sorted(args.items()))


def _opened(found: Outcome) -> str:
    others = facts.opened_elsewhere(found.past, found.plan, found.project)
    if not others:
        return ""
    return (
        f"\n- Other executions that tested a champion on the same test rows: {len(others)}. "
        "Figures of rows seen before may owe something to chance."
    )


def _role(found: Outcome, role: str) -> str:
    sets = facts.data_sets(found.past, found.plan, found.project)
    return next((d.source or d.name for d in sets if d.role == role), role)


def _licence_says(licence: str, whose: str) -> str:
    if licence != recipe.UNKNOWN:
        return f"`{licence}`, as {whose} says of itself."
    return f"Not known here: look up that of {whose}, and set `license` above before publishing."


def _size(rows: int) -> str:
    for most, says in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if rows < most:
            return says
    return "100K<n<1M" if rows < 1_000_000 else "n>1M"
