"""What the runs in ``results.jsonl`` show: tables, tests and a figure, written to ``REPORT.md``.

    python benchmarks/evidence/report.py

For each domain and for the average of the three: every arm's accuracy on test over the seeds, its
gain over the base, and the loop's lead over it with a paired t interval over the seeds; p-values
are adjusted by Holm's method over the arms of a table. Where a seed of an arm is missing, the arm
is compared over the seeds that are there, and the table says how many.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

sys.path.insert(0, str(Path(__file__).parents[2]))

from run import ARMS, EXAMPLES, SEEDS

from dagent.runtime.statistics import Difference, difference_over_seeds, holm

HERE = Path(__file__).resolve().parent
ALL = "average of the three"
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
        for seed in SEEDS:
            each = [found[domain][arm].get(seed) for domain in EXAMPLES]
            known = [pair for pair in each if pair is not None]
            if len(known) == len(each):
                base, test = (mean(values) for values in zip(*known, strict=True))
                found[ALL][arm][seed] = (base, test)
    return dict(found)


def lead(scores: Scores, arm: str) -> Difference:
    """The loop's accuracy minus the arm's, over the seeds that both have."""
    seeds = sorted(set(scores["loop"]) & set(scores[arm]))
    old, new = ([scores[name][seed][1] for seed in seeds] for name in (arm, "loop"))
    return difference_over_seeds(old, new)


def table(domain: str, scores: Scores) -> list[str]:
    others = [arm for arm in ARMS if arm != "loop" and arm in scores]
    leads = {arm: lead(scores, arm) for arm in others}
    adjusted = dict(zip(others, holm([leads[arm].p for arm in others]), strict=True))
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
    gain = mean(
        mean(test / base - 1 for base, test in found[domain]["loop"].values())
        for domain in EXAMPLES
    )
    lines = [
        f"- The loop raises the base by {gain:.0%} relative, on the average of the three domains.",
    ]
    for arm in ("matched", "best_of_k_matched"):
        one = lead(average, arm)
        beats = one.low is not None and one.low > 0
        lines.append(
            f"- Against `{arm}` it {'leads' if beats else 'is not shown to lead'}: "
            f"{points(one)} points on the average, p = {one.p:.2g}."
        )
    return lines


def text(found: Mapping[str, Scores], runs: int) -> str:
    lines: Sequence[str] = [
        "# What the comparison shows",
        "",
        "Made by `make evidence-report` from `results.jsonl`; do not edit.",
        "",
        f"{runs} runs. Every arm had the same rows, teacher calls and trainings.",
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
    runs = len(results.read_text().splitlines())
    (HERE / "REPORT.md").write_text(text(found, runs), encoding="utf-8")
    figure(found, HERE / "leads.png")
    print(f"REPORT.md and leads.png, from {runs} runs")


if __name__ == "__main__":
    main()
