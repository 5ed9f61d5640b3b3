"""What the runs in ``results.jsonl`` show: tables, tests and a figure, written to ``REPORT.md``.

    python benchmarks/evidence/report.py

For each domain and for the average of the three: every arm's accuracy on test over the seeds, its
gain over the base, and the loop's lead over it with a paired t interval over the seeds; p-values
are adjusted by Holm's method over the arms of a table. An arm is compared over the seeds that it
has, and the table says how many. Where more seeds were run after the first had been looked at, p is
doubled first: there were two looks (Bonferroni).
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from run import ARMS, EXAMPLES, MORE_SEEDS, ROOT, SEEDS

from dagent.runtime.statistics import Difference, difference_over_seeds, holm

HERE = Path(__file__).resolve().parent
ALL = "average of the three"
PAPER = 0.5729  # arXiv 2605.30407: its best agent over the base, relative
ALPHA = 0.05
EQUAL = ("base_test", "rows", "trainings")
# A commit as the rows have it, and what it is meant to be: told to a machine without a repository,
# with a wrong last digit.
MEANT = {"8d3a907c": "8d3a9071"}
Scores = Mapping[str, Mapping[int, tuple[float, float]]]
"""arm -> seed -> accuracy on test of base and champion, in 0..1"""


def read(path: Path) -> dict[str, Scores]:
    """Domain -> scores; with the average over the domains for every seed that all of them have."""
    found: dict[str, dict[str, dict[int, tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for line in path.read_text().splitlines():
        row = json.loads(line)
        found[row["domain"]][row["arm"]][row["seed"]] = (row["base_test"], row["test"])
    for arm in ARMS:
        for seed in (*SEEDS, *MORE_SEEDS):
            each = [found[domain][arm].get(seed) for domain in EXAMPLES]
            known = [pair for pair in each if pair is not None]
            if len(known) == len(each):
                base, test = (mean(values) for values in zip(*known, strict=True))
                found[ALL][arm][seed] = (base, test)
    return dict(found)


def lead(scores: Scores, arm: str, among: Collection[int] = (*SEEDS, *MORE_SEEDS)) -> Difference:
    """The loop's accuracy minus the arm's, over the seeds that both have."""
    seeds = sorted(set(scores["loop"]) & set(scores[arm]) & set(among))
    old, new = ([scores[name][seed][1] for seed in seeds] for name in (arm, "loop"))
    return difference_over_seeds(old, new)


def leads_of(scores: Scores) -> tuple[dict[str, Difference], dict[str, float]]:
    """The loop's lead over every other arm, and its p adjusted for looks and the number of arms."""
    leads = {arm: lead(scores, arm) for arm in ARMS if arm != "loop" and arm in scores}
    looked = [min(1.0, one.p * (1 + looked_again(scores, arm))) for arm, one in leads.items()]
    return leads, dict(zip(leads, holm(looked), strict=True))


def looked_again(scores: Scores, arm: str) -> bool:
    return bool(set(MORE_SEEDS) & set(scores[arm]) & set(scores["loop"]))


def table(domain: str, scores: Scores) -> list[str]:
    leads, adjusted = leads_of(scores)
    base = mean(b for seeds in scores.values() for b, _ in seeds.values())
    lines = [
        f"## {domain}",
        "",
        f"Base: {base:.1%} of test.",
        "",
        "| arm | test, mean ± sd | relative gain | loop minus arm (95 %) | p | p, Holm | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm in (a for a in ARMS if a in scores):
        tests = [test for _, test in scores[arm].values()]
        gain = mean(test / b - 1 for b, test in scores[arm].values())
        spread = f" ± {100 * stdev(tests):.1f}" if len(tests) > 1 else ""
        cells = [arm, f"{100 * mean(tests):.1f}{spread}", f"{gain:+.0%}"]
        if arm == "loop":
            cells += ["", "", ""]
        else:
            cells += [points(leads[arm]), f"{leads[arm].p:.2g}", f"{adjusted[arm]:.2g}"]
        lines.append(f"| {' | '.join(cells)} | {len(tests)} |")
    return [*lines, ""]


def points(found: Difference) -> str:
    if found.low is None or found.high is None:
        return f"{100 * found.mean:+.1f}"
    return f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def headroom(domain: str, scores: Scores) -> str:
    """What a domain must leave to be won before a comparison in it means anything."""
    base = mean(b for b, _ in scores["loop"].values())
    uniform, matched = (mean(t for _, t in scores[arm].values()) for arm in ("uniform", "matched"))
    fine = uniform - base >= 0.03 and 1 - matched >= 0.2
    return (
        f"- {domain}: uniform beats the base by {100 * (uniform - base):.1f} points, matched "
        f"leaves {100 * (1 - matched):.1f} to the ceiling: {'enough' if fine else 'not enough'}"
    )


def figure(found: Mapping[str, Scores], path: Path) -> None:
    """The loop's lead over every arm with its interval, a panel a domain."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    domains = [*EXAMPLES, ALL]
    panels, axes = pyplot.subplots(1, len(domains), figsize=(12, 3.6), sharey=True)
    for axis, domain in zip(axes, domains, strict=True):
        arms = [arm for arm in reversed(ARMS) if arm != "loop" and arm in found[domain]]
        for place, arm in enumerate(arms):
            one = lead(found[domain], arm)
            low, high = (one.mean if end is None else end for end in (one.low, one.high))
            axis.plot([100 * low, 100 * high], [place, place], color="#4b7bb5", linewidth=2)
            axis.plot(100 * one.mean, place, "o", color="#1f3f66", markersize=4)
        axis.axvline(0, color="#999999", linewidth=1)
        axis.set_yticks(range(len(arms)), arms)
        axis.set_title(domain, fontsize=10)
        axis.set_xlabel("loop minus arm, points", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    panels.tight_layout()
    panels.savefig(path, dpi=110)


def said(found: Mapping[str, Scores]) -> list[str]:
    """The two questions that the comparison was made for, answered from the figures."""
    average = found[ALL]
    seeds = sorted(average["loop"])
    relative = [mean(_relative(found[d]["loop"][seed]) for d in EXAMPLES) for seed in seeds]
    gain = difference_over_seeds([0.0] * len(seeds), relative)
    base, test = zip(*average["loop"].values(), strict=True)
    lines = [
        f"- The loop raises the base by {gain.mean:.2%} relative, 95% interval over the seeds "
        f"{gain.low:.1%} to {gain.high:.1%}: the mean of the three domains' relative gains (that "
        f"of their mean accuracy is {mean(test) / mean(base) - 1:+.0%}). In points it is "
        f"{points(difference_over_seeds(base, test))}. The paper reports {PAPER:+.2%} relative "
        "for its best agent, with other domains, students and models, and with no control at "
        "equal cost: the two say that both work, not which works better.",
    ]
    leads, adjusted = leads_of(average)
    for arm in ("matched", "best_of_k_matched"):
        one = leads[arm]
        beats = one.mean > 0 and adjusted[arm] <= ALPHA
        lines.append(
            f"- Against `{arm}` it {'leads' if beats else 'is not shown to lead'}: "
            f"{points(one)} points on the average, p = {adjusted[arm]:.2g} (Holm)."
        )
        if looked_again(average, arm):
            first, more = lead(average, arm, SEEDS), lead(average, arm, MORE_SEEDS)
            lines[-1] += (
                f" Seeds 1 to 8 alone: {points(first)}, p = {first.p:.2g}; the eight that were "
                f"run after these had been seen: {points(more)}, p = {more.p:.2g}."
            )
    return lines


def _relative(pair: tuple[float, float]) -> float:
    base, test = pair
    return test / base - 1


def cost(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the runs used, and how far the arms of a domain and seed are apart."""
    each = defaultdict(list)
    for row in rows:
        each[row["domain"], row["seed"]].append(row)
    apart = max(
        max(row["teacher_calls"] for row in same) / min(row["teacher_calls"] for row in same) - 1
        for same in each.values()
    )
    equal = all(len({row[key] for row in same}) == 1 for same in each.values() for key in EQUAL)
    assert equal, f"the arms of a domain and seed differ in {EQUAL}"
    return (
        f"{len(rows)} runs. Within a domain and seed every arm had the same base, rows and "
        f"trainings, and teacher calls that differ by {apart:.1%} at most. {tested()}"
        f"\n\n{code(rows)}"
    )


def tested() -> str:
    """On how many rows, and how: what a reader needs to work the figures out anew."""
    test = ", ".join(f"{lines(name):,} in {domain}" for domain, name in EXAMPLES.items())
    return (
        f"Rows of test: {test}; all seeds answer the same.\n\n"
        f"How to read the tables. `test` is the mean and the standard deviation over an arm's own "
        "seeds. `loop minus arm` is over the seeds that both have, with the interval of a paired t "
        "test, so that over eight seeds it may differ from the difference of two means, of which "
        "the loop's is over sixteen. `p` is of that test, two-sided. `p, Holm` is adjusted for the "
        f"{len(ARMS) - 1} arms of its table; where seeds were added after a look at the first, as "
        "for `matched`, p is doubled before (Bonferroni, two looks). Intervals are not adjusted."
    )


def lines(example: str) -> int:
    with (ROOT / "examples" / example / "test.jsonl").open() as rows:
        return sum(1 for _ in rows)


def code(rows: Sequence[Mapping[str, Any]]) -> str:
    """Which commits of dagent ran which arms."""
    arms: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        arms[row["commit"]].add(row["arm"])
    each = (
        f"{', '.join(f'`{a}`' for a in ARMS if a in ran)} at {commit}"
        + (f" (meant: {MEANT[commit]})" if commit in MEANT else "")
        for commit, ran in arms.items()
    )
    return f"Code: {'; '.join(each)}."


def text(found: Mapping[str, Scores], rows: Sequence[Mapping[str, Any]]) -> str:
    lines: Sequence[str] = [
        "# What the comparison shows",
        "",
        "Made by `make evidence-report` from `results.jsonl`; do not edit.",
        "",
        cost(rows),
        "",
        *said(found),
        "",
        "Headroom, shown before anything is compared:",
        "",
        *(headroom(domain, found[domain]) for domain in EXAMPLES),
        "",
        "![The loop's lead over each arm](leads.png)",
        "",
        *(line for domain in (*EXAMPLES, ALL) for line in table(domain, found[domain])),
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    results = HERE / "results.jsonl"
    found = read(results)
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    (HERE / "REPORT.md").write_text(text(found, rows), encoding="utf-8")
    figure(found, HERE / "leads.png")
    print(f"REPORT.md and leads.png, from {len(rows)} runs")


if __name__ == "__main__":
    main()
