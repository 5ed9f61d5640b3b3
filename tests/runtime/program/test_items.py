"""The requirements of the paper's protocol, items 1 to 14, each in a test that bears its number.

One execution of three rounds serves several; what goes wrong on purpose runs on its own.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.compiler import plan as plans
from dagent.compiler.pipeline import compile
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.authoring.states import next_state, replay
from dagent.runtime.report.page import render
from dagent.runtime.view import summary

ROUNDS = 2


@pytest.fixture(scope="module")
def done(executed: Any, models: ModuleType) -> Any:
    """A program that crashes, one that makes too few rows, then good ones."""
    write = models.by_turn(models.CRASHING, models.FEW, models.good(), models.good(280))
    return executed(write, rounds=ROUNDS, budget="calls <= 500")


def plan_of(done: Any) -> Any:
    return json.loads((done.folder / "dagent.plan.json").read_text())


def steps_of(done: Any) -> dict[str, Any]:
    return {step["id"]: step for step in plan_of(done)["steps"]}


def wrote(program: str) -> str:
    """A program that submits what the expression ``rows`` of it is."""
    return f"import json\n{program}\njson.dump(rows, open('submission.json', 'w'))\n"


def test_item_01_every_submission_trains_from_the_same_base_by_the_same_recipe(done: Any) -> None:
    steps = steps_of(done)
    trained = [s for s in steps.values() if s["kind"] == "train"]
    assert len(trained) == ROUNDS
    assert {s["inputs"]["model"] for s in trained} == {"student/model"}
    recipes = [{k: v for k, v in s["params"].items() if k != "seed"} for s in trained]
    assert recipes[0] == recipes[1]
    assert len(steps["student"]["params"]["sha256"]) == 64
    # Not on top of each other: a round's rows are its submission's alone.
    for n in (1, 2):
        assert done.digest(f"r{n}.submit/train") == done.digest(f"r{n}.submit/added")
    assert {m["grader"] for s in steps.values() for m in s["params"].get("metrics", ())} == {
        "exact"
    }


READING = """
import os, socket
for path in [{dev!r}, {test!r}, {key!r}, os.path.expanduser("~/.ssh"), "/etc/shadow"]:
    try:
        print("READ", path, open(path).read())
    except OSError as error:
        print("refused", path, type(error).__name__)
try:
    socket.create_connection(("127.0.0.1", {port}), 1)
    print("REACHED")
except OSError as error:
    print("no network", type(error).__name__)
open({dev!r})
"""


def test_item_02_a_program_reads_no_gold_no_private_file_and_no_network(
    executed: Any, models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_KEY", "sk-planted")

    def write(given: dict[str, str]) -> str:
        """The first attempt looks around where the project really is."""
        if given["state"] != "draft":
            return str(models.good())
        base = Path(found["folder"])
        port = found["port"]
        files = {n: str(base / f"{n}.jsonl") for n in ("dev", "test")}
        return READING.format(**files, key=str(base / "sums.dagent"), port=port)

    found: dict[str, Any] = {}

    def prepare(folder: Path) -> None:
        found["folder"] = folder
        text = (folder / "sums.dagent").read_text()
        found["port"] = text.partition("127.0.0.1:")[2].partition("/")[0]

    done = executed(write, prepare=prepare, budget="per attempt { wall <= 30s }")
    first = done.attempts[0]
    # The failure is logged, for the author and for the reader.
    assert (first["outcome"], first["error"]) == ("crashed", "FileNotFoundError")
    assert "dev.jsonl" in first["detail"]
    assert first["valid"] == 0
    assert "sk-planted" not in json.dumps(done.attempts)
    files = json.loads(done.model.given[0]["files"])
    assert files == ["few_shot.json"]


def test_item_02_what_a_program_sees_of_dev_is_of_the_diagnose_half(done: Any) -> None:
    diagnose = {r["prompt"] for r in done.rows("split/diagnose")}
    hidden = {r["prompt"] for r in done.rows("split/select") + done.rows("data.test/rows")}
    for told in done.model.given:
        shown = json.loads(told["examples"]) + json.loads(told["bad_cases"])
        assert {r["prompt"] for r in shown} <= diagnose - hidden


def test_item_03_a_row_in_two_splits_is_refused_when_compiling(
    executed: Any, models: ModuleType
) -> None:
    def leak(folder: Path) -> None:
        row = json.loads((folder / "test.jsonl").read_text().splitlines()[0])
        row["prompt"] = f" {row['prompt']}\n"  # the same to whoever reads it
        with (folder / "dev.jsonl").open("a") as out:
            out.write(json.dumps(row) + "\n")

    with pytest.raises(Refused) as refused:
        executed(models.by_turn(models.good()), prepare=leak)
    assert {d.code for d in refused.value.diagnostics if d.severity == "error"} == {"E304"}


def test_item_03_seeds_share_no_row_with_public_or_private(
    executed: Any, models: ModuleType
) -> None:
    """Their answers are not handed out, but a question alone would give private rows away."""

    def leak(folder: Path) -> None:
        rows = [json.loads(r) for r in (folder / "test.jsonl").read_text().splitlines()[:3]]
        for row in rows:
            row["prompt"] = row["prompt"].replace("+", " + ").upper()
        rows[0]["prompt"] = rows[0]["prompt"].replace(" ", "") + " "
        with (folder / "seeds.jsonl").open("w") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)

    def seeded(text: str) -> str:
        return text + 'data seeds { role = seed  path = "seeds.jsonl" }\n'

    with pytest.raises(Refused) as refused:
        executed(models.by_turn(models.good()), prepare=leak, change=seeded)
    found = [d for d in refused.value.diagnostics if d.severity == "error"]
    assert {d.code for d in found} == {"E304"}


TOOLS = """
rows = []
for answer in api_generate_batch([f"{a}+7" for a in range(5000, 5240)]):
    question = f"{5000 + len(rows)}+7"
    result = answer["text"].split()[-1].strip(".")
    rows.append({"prompt": question, "answer": result, "call": answer["call"], "skill": "add"})
seen = {}
seen["none"] = check_submission([])
seen["some"] = check_submission(rows[:50] + [{"prompt": "1+1"}, rows[0]])
try:
    train_model(rows[:50])
except RuntimeError as error:
    seen["few"] = str(error)
seen["before"] = evaluate_dataset()["score"]
seen["trained"] = train_model(rows)
seen["after"] = evaluate_dataset()
try:
    train_model(rows)
except RuntimeError as error:
    seen["again"] = str(error)
seen["count"] = [api_count(), get_available_api_calls()]
import json, sys
json.dump(rows, open("submission.json", "w"))
json.dump(seen, sys.stderr)
raise SystemExit(0 if QUIET else 1)
"""


def test_item_04_the_four_tools(executed: Any, models: ModuleType) -> None:
    loud, quiet = (TOOLS.replace("QUIET", word) for word in ("False", "True"))
    done = executed(models.by_turn(loud, quiet), budget="per attempt { calls <= 300 }")
    seen = json.loads(done.attempts[0]["detail"])
    assert (seen["none"]["valid"], seen["none"]["least"]) == (0, 100)
    assert seen["some"]["valid"] == 50
    assert len(seen["some"]["reasons"]) == 2
    assert "repeats an earlier row" in seen["some"]["reasons"]
    assert seen["few"] == "ValueError: 50 rows are valid, and 100 are the least"
    assert seen["trained"]["rows"] == 200  # the first N valid ones of 240
    assert seen["after"]["score"] > seen["before"]
    assert set(seen["after"]["bad_cases"][0]) >= {"prompt", "answer", "output"}
    assert "may train 1 times" in seen["again"]
    assert seen["count"] == [240, 60]
    assert done.attempts[0]["tools"]["train_model"] == 3
    added = done.rows("r1.submit/added")
    submitted = done.rows("r1.author/candidates")
    assert [r["id"] for r in added] == [r["id"] for r in submitted[:200]]


def test_item_04_fewer_than_half_is_a_failed_attempt(done: Any) -> None:
    few = done.attempts[1]
    assert (few["outcome"], few["valid"]) == ("too few rows", 20)
    assert '"least": 100' in few["detail"]


def test_item_05_calls_are_metered_by_prompt_and_each_cap_holds(
    executed: Any, models: ModuleType
) -> None:
    greedy = "made = api_generate_batch([f'{a}+1' for a in range(1000, 1100)])\n"
    greedy += "print([m is None for m in made].count(True), get_available_api_calls())\n"
    one = executed(
        models.by_turn(greedy, models.SILENT, greedy, greedy),
        more="  attempts = 4\n",
        budget="per attempt { calls <= 40 }  per teacher { calls <= 70 }",
    )
    # 40 of the first, then what the task's cap leaves of it; the next has none, and the run ends.
    assert len(one.model.asked) == 70
    assert [a["calls"] for a in one_log(one)] == []  # the round came to nothing
    told = one.model.given[1]["what_happened"]
    assert "60 0" in told
    assert "budget spent: teacher calls: all spent" in one.end["stop"]
    assert one.end["spent"]["calls"] == 70 + len(one.model.given)
    assert one.end["champion"]["round"] == 0


def one_log(done: Any) -> list[dict[str, Any]]:
    finished = [e for e in done.events if e["event"] == "step_finished" and e["kind"] == "author"]
    return done.attempts if finished else []


def test_item_05_time_and_iterations_end_the_run(executed: Any, models: ModuleType) -> None:
    done = executed(
        models.by_turn("import time\ntime.sleep(60)\n", models.SILENT),
        more="  attempts = 2\n",
        budget="per attempt { wall <= 1s }",
    )
    assert [a["outcome"] for a in done.attempts] == ["timeout", "no submission"]
    assert done.end["spent"]["rounds"] == 1
    assert done.finished("r1.train")["metrics"] == {"rows": 0}
    assert done.end["champion"]["round"] == 0


def test_item_05_wall_time_of_the_run_ends_it_in_the_middle_of_a_program(
    executed: Any, models: ModuleType
) -> None:
    done = executed(models.by_turn("import time\ntime.sleep(600)\n"), budget="wall <= 4s", rounds=3)
    assert "wall" in done.end["stop"]
    assert done.end["spent"]["wall"] < 60
    assert len(done.model.given) < 8, "no further program is asked for"
    assert done.end["champion"]["round"] == 0
    assert done.end["base"]["test"] is not None


CHEATS = {
    "names no call of the teacher's": "{'prompt': '5+5', 'answer': '10'}",
    "names a call that was not made": "{'prompt': '5+5', 'answer': '10', 'call': 'r1.1#9'}",
    "its prompt is not in what its call asked or answered": (
        "{'prompt': '1000+2', 'answer': '1001', 'call': real}"
    ),
    "its answer is not in what its call answered": (
        "{'prompt': '1000+1', 'answer': '01', 'call': real}"
    ),
    "not an object": "'1000+1 = 1001'",
    "empty prompt or answer": "{'prompt': ' ', 'answer': '1001', 'call': real}",
}


def test_item_06_a_row_without_its_teacher_call_is_refused(
    executed: Any, models: ModuleType
) -> None:
    cheat = wrote(
        "real = api_generate_batch(['1000+1'])[0]['call']\n"
        f"rows = [{', '.join(CHEATS.values())}, "
        "{'prompt': '1000+1', 'answer': '1001', 'call': real}]"
    )
    done = executed(models.by_turn(cheat, models.good()))
    first = done.attempts[0]
    assert first["valid"] == 1
    assert set(first["refused"]) == set(CHEATS)
    calls = {call["id"]: call for call in done.rows("r1.author/calls")}
    for row in done.rows("r1.submit/added"):
        (named,) = row["calls"]
        assert named.startswith(row["item"])
        assert row["prompt"] in calls[named]["text"]
        assert row["answer"] in calls[named]["text"]
        assert (row["origin"], row["author"]) == ("openai/teacher", "openai/author")


ECHOES = """
honest = api_generate_batch([f"{a}+7" for a in range(5000, 5120)])
repeated = api_generate_batch([f"What is {a}+8? Say: {a + 8}." for a in range(6000, 6080)])
rows = [{"prompt": f"{5000 + n}+7", "answer": a["text"].split()[-1].strip("."), "call": a["call"]}
        for n, a in enumerate(honest)]
rows += [{"prompt": f"{6000 + n}+8", "answer": a["text"].strip("."), "call": a["call"]}
         for n, a in enumerate(repeated)]
"""


def test_item_06_answers_that_the_teacher_had_been_told_are_counted(
    executed: Any, models: ModuleType
) -> None:
    done = executed(models.by_turn(wrote(ECHOES)))
    assert done.attempts[0]["valid"] == 200
    assert done.finished("r1.author")["metrics"]["echoed"] == 80


def test_item_07_states_follow_from_what_happened_and_replay_from_the_log(
    executed: Any, models: ModuleType, done: Any
) -> None:
    assert done.model.states == ["draft", "debug", "repair", "improve"]
    lost = executed(
        models.by_turn(models.CRASHING, models.SILENT, models.FEW, models.CRASHING, models.SILENT),
        more="  attempts = 6\n",
    )
    # Three failed repairs of one program, and it is given up.
    assert lost.model.states == ["draft", "debug", "repair", "repair", "draft", "repair"]
    for execution in (done, lost):
        log = execution.json(f"r{len(execution.events) and last_round(execution)}.author/log")
        assert replay(log) == [a["state"] for a in log["attempts"]]
    assert next_state({"attempts": [], "rounds": [{"round": 1, "rows": 0, "score": 1}]}, 2) == (
        "draft"
    )


def last_round(done: Any) -> int:
    return max(
        e["round"] for e in done.events if e["event"] == "step_finished" and e["kind"] == "author"
    )


def test_item_07_a_repair_may_keep_the_rows_that_were_valid(
    executed: Any, models: ModuleType
) -> None:
    few = models.good(150).replace("rows, batch = [], 0", "rows, batch = [], 100")
    few = few.replace("json.dump(rows,", "json.dump(rows[:60],")
    more = few.replace("rows, batch = [], 100", "rows, batch = json.load(open('previous.json')), 0")
    more = more.replace("rows[:60]", "rows")
    done = executed(models.by_turn(few, more))
    assert done.model.states == ["draft", "repair"]
    assert "previous.json" in json.loads(done.model.given[1]["files"])
    made = Counter(r["calls"][0].partition("#")[0] for r in done.rows("r1.author/candidates"))
    assert made["r1.1"] == 60
    assert set(made) == {"r1.1", "r1.2"}


def test_item_08_improve_is_told_of_the_best_and_its_bad_cases(done: Any) -> None:
    told = done.model.given[-1]
    assert told["state"] == "improve"
    assert told["last_plan"] == "plan 3"
    assert "1000 + 1" not in told["last_program"]
    assert "api_generate_batch(prompts" in told["last_program"]
    sample = json.loads(told["data_sample"])
    assert 1 <= len(sample) <= 5
    assert set(sample[0]) >= {"prompt", "answer"}
    public = [done.finished(f"r{n}.diagnose")["metrics"]["accuracy"] for n in (0, 1)]
    assert [told["base_score"], told["score"]] == [f"{p:.1%}" for p in public]
    answers = {r["prompt"]: r for r in done.rows("r1.diagnose/answers")}
    cases = json.loads(told["bad_cases"])
    assert cases
    assert all(answers[c["prompt"]]["output"] == c["output"] != c["answer"] for c in cases)


@pytest.mark.parametrize("seeded", [False, True], ids=["scratch", "seeded"])
def test_item_09_one_shot_ends_with_the_first_valid_submission(
    executed: Any, models: ModuleType, seeded: bool
) -> None:
    def seeds(folder: Path) -> None:
        rows = [{"prompt": f"{7000 + i}+3", "skill": "add"} for i in range(120)]
        (folder / "pool.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))

    from_seeds = wrote(
        "seeds = json.load(open('seeds.json'))\n"
        "assert not any('answer' in s for s in seeds)\n"
        "said = api_generate_batch([s['prompt'] for s in seeds])\n"
        "rows = [{'prompt': s['prompt'], 'answer': a['text'].split()[-1].strip('.'),"
        " 'call': a['call'], 'skill': 'add'} for s, a in zip(seeds, said)]"
    )
    looking = "evaluate_dataset()\n"
    block = 'data pool { role = pool  path = "pool.jsonl" }\nstudent {'
    done = executed(
        models.by_turn(models.SILENT, looking, from_seeds if seeded else models.good()),
        more="  setting = one_shot\n",
        prepare=seeds if seeded else None,
        change=(lambda text: text.replace("student {", block)) if seeded else None,
    )
    assert [a["outcome"] for a in done.attempts] == ["no submission", "crashed", "valid"]
    assert "nothing of the student is shown" in done.attempts[1]["detail"]
    assert [told["bad_cases"] for told in done.model.given] == ["[]"] * 3
    assert len([e for e in done.events if e.get("kind") == "train"]) == 2  # started, finished
    assert not any(step["kind"] == "diagnose" for step in steps_of(done).values())
    assert len(done.rows("r1.submit/added")) == (120 if seeded else 200)


def test_item_09_one_shot_gives_up_after_eight_attempts(executed: Any, models: ModuleType) -> None:
    done = executed(models.by_turn(models.SILENT), more="  setting = one_shot\n")
    assert len(done.attempts) == 8
    assert done.end["champion"]["test"] == done.end["base"]["test"]


def test_item_10_test_is_opened_once_at_the_end_for_the_selected_file(done: Any) -> None:
    order = [e["step"] for e in done.events if e["event"] == "step_finished"]
    opened = [i for i, s in enumerate(order) if s.startswith("test.")]
    assert [order[i] for i in opened] == ["test.base", "test.champion"]
    assert opened[0] > order.index(f"r{ROUNDS}.gate")
    for step in steps_of(done).values():
        if "data.test/rows" in step.get("inputs", {}).values():
            assert step["kind"] in ("evaluate", "decontaminate")
            assert step["kind"] == "decontaminate" or step["id"].startswith("test.")
    # The gate reads select alone, and the author nothing of it.
    authors = [s for s in steps_of(done).values() if s["kind"] == "author"]
    read = {ref for s in authors for ref in s["inputs"].values()}
    assert not any(word in ref for ref in read for word in ("select", "evaluate", "gate", "test"))


def test_item_11_the_report(done: Any) -> None:
    gain = done.end["gain"]
    base, champion = done.end["base"]["test"], done.end["champion"]["test"]
    assert gain["relative"] == pytest.approx((champion - base) / base)
    assert champion > base
    report = done.json("result/result")["programs"]
    assert done.end["programs"] == report
    said = summary(done.end, compile(done.folder / "sums.dagent").plan)
    assert "4 written, 2.0 for each valid submission; failed: 1 KeyError, 1 too few rows" in said
    page = render(done.events, done.folder)
    assert "The author wrote 4 programs, 2.0 for each valid submission." in page
    assert "1 KeyError, 1 too few rows" in page
    assert report["errors"] == {"KeyError": 1, "too few rows": 1}
    assert (report["attempts"], report["valid"], report["mats"]) == (4, 2, 2.0)
    assert report["calls"] == len(done.model.asked)
    for n in range(ROUNDS):
        author = done.finished(f"r{n + 1}.author")
        measured = author["metrics"]
        assert 0 < measured["distinct_prompt"] <= 1
        assert 0 <= measured["similar_answer"] < measured["similar_prompt"] < 1
        assert author["seconds"] > 0
        assert "accuracy" in done.finished(f"r{n + 1}.diagnose")["metrics"]  # the public curve
        assert 0 < done.finished(f"r{n + 1}.submit")["metrics"]["difficulty"] <= 1


def test_item_12_leaks_are_removed_and_counted(executed: Any, models: ModuleType) -> None:
    """A program that guesses at dev and test: the teacher answers, and the scan drops the rows."""
    guessing = wrote(
        "asked = [f'{a}+{a % 7}' for a in range(0, 520, 2)]\n"
        "asked += [f'{a}+5' for a in range(9000, 9150)]\n"
        "said = [a['text'].split()[-1].strip('.') for a in api_generate_batch(asked)]\n"
        "rows = [{'prompt': q, 'answer': a, 'call': f'r1.1#{n}'}\n"
        "        for n, (q, a) in enumerate(zip(asked, said), 1)]"
    )
    done = executed(models.by_turn(guessing))
    leaked = done.rows("r1.decontaminate/leaks")
    judges = {
        " ".join(r["prompt"].split())
        for name in ("dev", "test")
        for r in done.rows(f"data.{name}/rows")
    }
    submitted = {r["prompt"] for r in done.rows("r1.author/candidates")}
    assert {r["prompt"] for r in leaked} >= submitted & judges != set()
    assert done.finished("r1.decontaminate")["metrics"]["leaks"] == len(leaked)
    assert not judges & {r["prompt"] for r in done.rows("r1.submit/added")}
    # The program itself is told nothing that depends on dev or test.
    assert done.attempts[0]["valid"] == len(submitted)
    assert done.attempts[0]["refused"] == {}


def test_item_13_author_teacher_and_student_are_configuration(
    stub: ModuleType, models: ModuleType, tmp_path: Path
) -> None:

    text = stub.SPEC.replace("strategy = curriculum", "strategy = program")
    start, end = text.index("  planner"), text.index("}\nbudget")
    text = (
        text[:start] + '  author { lm = "openai/a" }\n  teacher { lm = "openai/t" }\n' + text[end:]
    )
    folder = stub.make_project(tmp_path / "p", text)

    def steps(*change: str) -> dict[str, dict[str, Any]]:
        (folder / "sums.dagent").write_text(text.replace(*change) if change else text)
        found = compile(folder / "sums.dagent").plan
        return {s["id"]: s for s in json.loads(plans.dumps(found))["steps"]}

    before = steps()
    for old, new, place in (
        ("openai/a", "anthropic/x", ("r1.author", "author")),
        ("openai/t", "hosted_vllm/x", ("r1.author", "teacher")),
        ('"./student"', '"owner/other"', ("student", "model")),
    ):
        after = steps(old, new)
        assert set(after) == set(before)
        assert {k: s.get("inputs") for k, s in after.items()} == {
            k: s.get("inputs") for k, s in before.items()
        }
        step, param = place
        assert after[step]["params"][param] != before[step]["params"][param]


def test_item_14_the_same_seed_gives_the_same_data(
    executed: Any, models: ModuleType, done: Any
) -> None:
    """Its sets and its random numbers included: programs draw both."""
    write = models.by_turn(models.CRASHING, models.FEW, models.good(), models.good(280))
    again = executed(write, rounds=ROUNDS, budget="calls <= 500")
    for output in ("r1.submit/train", "r2.submit/train", "test.champion/answers"):
        assert again.digest(output) == done.digest(output)
    write = models.by_turn(models.CRASHING, models.FEW, models.good(), models.good(280))
    other = executed(
        write, rounds=ROUNDS, budget="calls <= 500", change=lambda text: "seed = 1\n" + text
    )
    assert other.digest("r1.submit/train") != done.digest("r1.submit/train")


def test_without_a_sandbox_nothing_is_run(
    executed: Any, models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagent.runtime.steps import author

    def none() -> Any:
        raise Refused(Diagnostic("E840", "this machine cannot isolate"))

    monkeypatch.setattr(author, "Sandbox", none)
    model = models.Model(models.by_turn(models.good()))
    with pytest.raises(Refused) as refused:
        executed(model.write)
    assert [d.code for d in refused.value.diagnostics] == ["E840"]
    assert model.given == []


def test_the_estimate_holds_what_author_and_teacher_took(done: Any) -> None:
    taken: Counter[str] = Counter()
    for event in done.events:
        if event["event"] == "settled" and "round:1" in event["scopes"]:
            taken.update({unit: event["amounts"].get(unit, 0) for unit in ("calls", "tokens")})
    estimate = steps_of(done)["r1.author"]["estimate"]
    for unit in ("calls", "tokens"):
        low, high = estimate[unit]
        assert low <= taken[unit] <= high


def test_author_and_teacher_are_both_charged_for(executed: Any, models: ModuleType) -> None:
    def priced(folder: Path) -> None:
        price = {"input": 1.0, "output": 10.0}
        named = {f"openai/{role}": price for role in ("author", "teacher")}
        (folder / "prices.json").write_text(json.dumps({"models": named}))

    done = executed(
        models.by_turn(models.good()),
        budget='money <= 50 USD  prices = "prices.json"',
        prepare=priced,
    )
    bills = [e for e in done.events if e["event"] == "settled" and "money" in e["amounts"]]
    by_role = {role for bill in bills for role in ("author", "teacher") if role in bill["scopes"]}
    assert by_role == {"author", "teacher"}
    assert done.end["spent"]["money"] == pytest.approx(sum(b["amounts"]["money"] for b in bills))


def test_an_execution_without_a_sandbox_says_so(
    executed: Any, models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagent.runtime.sandbox import ALLOWED, isolators

    monkeypatch.setattr(isolators, "ISOLATORS", ())
    monkeypatch.setenv(ALLOWED, "1")
    done = executed(models.by_turn(models.CRASHING, models.good()))
    assert [a["outcome"] for a in done.attempts] == ["crashed", "valid"]
    assert done.events[0]["unsandboxed"] is True
    assert "NONE: --allow-unsandboxed" in render(done.events, done.folder)
