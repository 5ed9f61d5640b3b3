"""What comes out: folders that transformers and datasets load alone, a push, a chat."""

from __future__ import annotations

import base64
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest
import yaml

from dagent.cli import main
from dagent.compiler.pipeline import compile
from dagent.dsl.diagnostics import Refused
from dagent.runtime import cards, exporting
from dagent.runtime.history import events_of, keep_plan
from dagent.runtime.outcome import outcome
from dagent.runtime.report import facts
from dagent.runtime.rows import read_rows

ROOT = Path(__file__).parents[2]
STUDENT = ROOT / "runtime" / "students" / "tiny_python"
ALONE = 'import sys; sys.modules["dagent"] = None  # importing it raises\n'

pytestmark = pytest.mark.xdist_group("real")


@pytest.fixture(scope="module")
def done(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = stub.make_project(tmp_path_factory.mktemp("results"))
    program = (folder / "sums.py").read_text()
    program = program.replace(
        "    return rows\n", '    rows[0]["answer"] += "1"\n    return rows\n'
    )
    (folder / "sums.py").write_text(program)
    stub.run_project(folder)
    keep_plan(compile(folder / "sums.dagent").plan, folder)
    return folder


def alone(folder: Path, code: str) -> Any:
    """What a program prints that has no dagent, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE + code],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def card(folder: Path) -> tuple[dict[str, Any], str]:
    _, head, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(head), text


def test_rows_load_with_their_lineage(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(done)
    out = tmp_path / "out"
    assert main(["export", str(out), "--rejects"]) == 0
    found = outcome(events_of(done), done)
    kept = found.rows("r3.gate", "kept")
    loaded = alone(
        tmp_path,
        "import json; from datasets import load_dataset\n"
        "rows = load_dataset('out/data', split='train')\n"
        "left = load_dataset('out/data', 'rejects', split='train')\n"
        "print(json.dumps([rows.num_rows, rows[0], left.num_rows, left[0]], default=str))",
    )
    size, first, rejected, reject = loaded
    assert size == len(kept)
    assert first["id"] == kept[0]["id"]
    assert "diagnose rows wrong" in first["weakness"]
    assert json.loads(first["verdicts"]) == [{"by": "sums.py:verify"}]
    assert first["in_champion"] is True
    assert rejected == sum(len(found.rows(f"r{n}.verify", "rejects")) for n in (1, 2, 3)) > 0
    assert reject["reason"] == "wrong sum"
    trained = sum(row["in_champion"] for row in read_rows(out / "data/train.jsonl"))
    assert trained == len(found.rows(f"r{found.round}.mix", "train"))
    assert f"{len(kept)} rows kept" in capsys.readouterr().out


def test_the_cards_say_what_the_execution_found(done: Path, tmp_path: Path) -> None:
    found = outcome(events_of(done), done)
    exporting.export(found, tmp_path / "out", worker=None, rejects=False, name="sums")
    head, text = card(tmp_path / "out/model")
    end = found.end
    assert end
    (result,) = head["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == round(end["champion"]["test"], 4)
    low, high = end["gain"]["ci"]
    for said in (
        f"95 % interval {low:+.1f} to {high:+.1f}",
        found.start["plan_id"],
        "learning_rate = 0.001",
        "No guard set was watched",
        "set `license` above",
        *(e["reason"] for e in found.past if e["event"] == "round_finished"),
    ):
        assert said in text
    head, _ = card(tmp_path / "out/data")
    assert [c["config_name"] for c in head["configs"]] == ["default"]
    tested = facts.result(found.past, done)
    assert tested
    for which, says in (("base", "base"), ("champion", "this model")):
        low, high = (100 * end for end in tested[which]["interval"])
        score = f"{100 * tested[which]['test']:.1f} %"
        assert f"| {says} | {score}, 95 % interval {low:.1f} to {high:.1f} |" in text
    kept = Counter(row["round"] for row in read_rows(tmp_path / "out/data/train.jsonl"))
    _, rows = card(tmp_path / "out/data")
    assert all(f"| {number} | {n} |" in rows for number, n in kept.items())


def test_a_card_says_how_an_adapter_was_made_and_where_its_base_is(
    done: Path, tmp_path: Path
) -> None:
    found = outcome(events_of(done), done)
    lora = {"r": 4, "target_modules": ["q_proj"]}
    steps = tuple(
        msgspec.structs.replace(s, params={**s.params, "adapter": "lora", "lora": lora})
        if s.kind == "train"
        else s
        for s in found.plan.steps
    )
    found = replace(found, plan=msgspec.structs.replace(found.plan, steps=steps))
    text = cards.model_card(found, "sums", adapter=True, hub="me/sums")
    assert "`adapter = lora`, `r = 4`, `target_modules = ['q_proj']`" in text
    assert "belongs on `./student`, a folder of whoever made it" in text
    assert "in the data set `me/sums-data`" in text
    asked = {**found.answering, "generation": {"do_sample": False}}
    built_in = [_with_student(e, "builtin:tiny-python") for e in found.past]
    text = cards.model_card(replace(found, past=built_in, answering=asked), "sums", adapter=True)
    longest = asked["max_new_tokens"]
    assert f"max_new_tokens={longest}, do_sample=False" in text, "as it was judged"
    command = text.partition('printed by `python -c "')[2].partition('"`')[0]
    folder = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert Path(folder.stdout.strip()).samefile(STUDENT)


def test_the_card_of_one_of_several_seeds_says_what_the_others_did(
    stub: ModuleType, tmp_path: Path
) -> None:
    arms = "arms { seeds = [1, 2, 3]  arm uniform { control = uniform } }"
    folder = stub.make_project(tmp_path / "p", stub.SPEC + arms)
    stub.run_project(folder)
    keep_plan(compile(folder / "sums.dagent").plan, folder)
    found = outcome(events_of(folder), folder)
    text = cards.model_card(found, "sums", adapter=False)
    loop = events_of(folder)[-1]["comparison"]["arms"][0]
    assert "under seed" in text
    assert "the best on select of 3. That arm under 3 seeds" in text
    assert f"{100 * loop['test']:.1f} % on test on the average" in text


def test_the_card_of_an_untouched_student_compares_it_with_nothing(
    done: Path, tmp_path: Path
) -> None:
    found = replace(outcome(events_of(done), done), round=0)
    exporting.export(found, tmp_path / "out", worker=None, rejects=False, name="sums")
    _, text = card(tmp_path / "out/model")
    assert "| gain | none: this is the base |" in text
    assert "two-sided" not in text.partition("## How to use it")[0]
    assert "none of them trained the champion" in card(tmp_path / "out/data")[1]


def test_the_rows_say_by_which_program_they_were_made_and_on_which_sets(
    done: Path, tmp_path: Path
) -> None:
    found = outcome(events_of(done), done)
    exporting.export(found, tmp_path / "out", worker=None, rejects=False, name="sums")
    _, text = card(tmp_path / "out/data")
    lock = json.loads((done / "dagent.lock").read_text())
    assert f"rows, SHA-256 `{lock['programs']['sums.py']}`" in text
    assert all(f"`{file['sha256']}`" in text for file in lock["data"].values())


def test_what_stands_in_the_way_of_a_folder_is_told(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(done)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, code in (("file", "E883"), ("file/out", "E007"), ("link", "E883")):
        assert main(["export", str(tmp_path / name)]) == 1
        assert code in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "link"]


def test_the_card_of_an_ungated_student_does_not_say_that_it_was_chosen(
    stub: ModuleType, tmp_path: Path
) -> None:
    arms = "arms { seeds = [1]  arm ungated { control = ungated } }"
    folder = stub.make_project(tmp_path / "p", stub.SPEC + arms)
    stub.run_project(folder)
    plan = compile(folder / "sums.dagent").plan
    keep_plan(plan, folder)
    *before, end = events_of(folder)
    found = outcome([*before, {**end, "best": "ungated/s1"}], folder)
    text = cards.model_card(found, "sums", adapter=False)
    assert "round 3 was taken because it is the last" in text
    assert "chosen, on select rows" not in text


def test_every_column_is_told_of(done: Path, tmp_path: Path) -> None:
    found = outcome(events_of(done), done)
    exporting.export(found, tmp_path / "out", worker=None, rejects=True, name="sums")
    _, text = card(tmp_path / "out/data")
    told = text.partition("## Columns")[2].partition("## Where")[0]
    columns = set(read_rows(tmp_path / "out/data/train.jsonl")[0])
    assert {name for name in columns if f"`{name}`" not in told} == set()


def test_the_card_tells_of_other_executions_on_the_same_test_rows(
    stub: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stub.make_project(tmp_path / "p")
    monkeypatch.chdir(folder)
    limits = []
    for seed in (1, 2):
        (folder / "sums.dagent").write_text(f"{stub.SPEC}seed = {seed}\n")
        stub.run_project(folder)
        keep_plan(compile(folder / "sums.dagent").plan, folder)
        assert main(["export", f"out{seed}"]) == 0
        limits.append(card(folder / f"out{seed}" / "model")[1].partition("## Limits")[2])
    assert "same test rows" not in limits[0]
    assert "tested a champion on the same test rows: 1." in limits[1]


def test_it_refuses_to_overwrite_and_to_export_what_was_not_tested(
    done: Path, tmp_path: Path
) -> None:
    events = events_of(done)
    (tmp_path / "mine.txt").write_text("keep me")
    for found, folder, adapter, code in (
        (outcome(events, done), tmp_path, False, "E883"),
        (outcome(events[:-1], done), tmp_path / "a", False, "E882"),
        (outcome(events, done), tmp_path / "a", True, "E884"),
    ):
        with pytest.raises(Refused) as refused:
            exporting.check(found, folder, adapter=adapter)
        assert refused.value.diagnostics[0].code == code
    for name in ("no-owner", "me/a b", "me/", "a/b/c"):
        with pytest.raises(Refused, match="name of a repository"):
            exporting.check(outcome(events, done), tmp_path / "a", adapter=False, hub=name)
    with pytest.raises(Refused) as refused:
        outcome(events[:3], done)
    assert refused.value.diagnostics[0].code == "E881"


class InProcess:
    """The worker's own function, called here."""

    def call(self, task: str, progress: Any = None, **request: Any) -> Any:
        from dagent.runtime import extracting

        assert task == "extract"
        return extracting.run(request, lambda *_, **__: None)


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in student with a random adapter of rank 4 merged into it."""
    torch = pytest.importorskip("torch")
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"])
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(STUDENT), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    folder = tmp_path_factory.mktemp("merged")
    model.merge_and_unload().save_pretrained(folder)
    AutoTokenizer.from_pretrained(STUDENT).save_pretrained(folder)
    return folder


def test_the_model_and_its_adapter_load_alone_and_say_the_same(
    done: Path, merged: Path, tmp_path: Path
) -> None:
    found = replace(outcome(events_of(done), done), base=STUDENT, champion=merged)
    found = replace(found, past=[_with_student(e, str(STUDENT)) for e in found.past])
    for name, worker in (("whole", None), ("adapter", InProcess())):
        exporting.export(found, tmp_path / name, worker=worker, rejects=False, name=name)
    assert card(tmp_path / "whole/model")[0]["license"] == "apache-2.0", "as the base's card says"
    config = json.loads((tmp_path / "adapter/model/adapter_config.json").read_text())
    assert config["r"] == 4
    assert config["base_model_name_or_path"] == str(STUDENT)
    close, apart = alone(
        tmp_path,
        "import json, torch; from peft import AutoPeftModelForCausalLM\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "tokenizer = AutoTokenizer.from_pretrained('whole/model')\n"
        "ids = tokenizer('print(1 + 1)', return_tensors='pt')\n"
        "whole = AutoModelForCausalLM.from_pretrained('whole/model')\n"
        "adapter = AutoPeftModelForCausalLM.from_pretrained('adapter/model')\n"
        f"base = AutoModelForCausalLM.from_pretrained({str(STUDENT)!r})\n"
        "a, b, c = (m(input_ids=ids.input_ids).logits for m in (whole, adapter, base))\n"
        "print(json.dumps([float((a - b).abs().max()), float((a - c).abs().max())]))",
    )
    assert close < 1e-2 < 1e-1 < apart


def test_what_no_adapter_holds_is_refused(done: Path, merged: Path, tmp_path: Path) -> None:
    import safetensors.torch as weights

    changed = tmp_path / "changed"
    shutil.copytree(merged, changed)
    held = weights.load_file(changed / "model.safetensors")
    held["model.norm.weight"] += 0.1
    weights.save_file(held, changed / "model.safetensors", {"format": "pt"})
    found = replace(outcome(events_of(done), done), base=STUDENT, champion=changed)
    with pytest.raises(Refused, match="norm") as refused:
        exporting.export(found, tmp_path / "out", worker=InProcess(), rejects=False, name="x")
    assert refused.value.diagnostics[0].code == "E884"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["changed"]


def _with_student(event: Any, model: str) -> Any:
    if event["event"] != "execution_started":
        return event
    return {**event, "settings": {**event["settings"], "student.model": model}}


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's interface that an upload uses; remembers what it was sent."""

    made: dict[str, dict[str, bytes]]

    def do_GET(self) -> None:
        name = self.path.removeprefix("/api/").partition("/")[2]
        if name in self.made:
            return self._reply(200, {"id": name})
        return self._reply(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Authorization"] != "Bearer hf_mine":
            return self._reply(401, {"error": "Invalid token"})
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if name in self.made:
                return self._reply(409, {"error": "You already created this repo"})
            self.made[name] = {"visibility": asked["visibility"].encode()}
            kind = "datasets/" if asked.get("type") == "dataset" else ""
            return self._reply(200, {"url": f"http://{self.headers['Host']}/{kind}{name}"})
        if "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            return self._reply(200, {"files": files})
        if "/commit/" in self.path:
            name = self.path.split("/commit/")[0].split("/", 3)[3]
            for line in body.splitlines():
                item = json.loads(line)
                if item["key"] == "file":
                    content = base64.b64decode(item["value"]["content"])
                    self.made[name][item["value"]["path"]] = content
            kind = "datasets/" if "/datasets/" in self.path else ""
            url = f"http://{self.headers['Host']}/{kind}{name}/commit/1"
            commit = {"commitUrl": url, "commitOid": "1"}
            return self._reply(200, commit)
        return self._reply(200, {})

    def _reply(self, status: int, body: Any, head: Mapping[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        for key, value in (head or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, dict[str, bytes]]]]:
    made: dict[str, dict[str, bytes]] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Hub,), {"made": made}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", made
    server.shutdown()
    server.server_close()


def test_a_push_uploads_both_folders_and_replaces_nothing(
    done: Path, tmp_path: Path, hub: tuple[str, dict[str, dict[str, bytes]]]
) -> None:
    address, made = hub

    def push(
        out: str, token: str | None, address: str = address
    ) -> subprocess.CompletedProcess[str]:
        code = "import sys; sys.path.insert(0, sys.argv.pop(1)); import dagent.cli as c; "
        given = {k: v for k, v in os.environ.items() if k != "HF_TOKEN"}
        return subprocess.run(
            [sys.executable, "-c", code + "sys.exit(c.main())", str(ROOT),
             "export", str(tmp_path / out), "--push-to", "me/sums"],
            cwd=done,
            capture_output=True,
            text=True,
            env={**given, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0",
                 "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf"),
                 **({"HF_TOKEN": token} if token else {})},
        )  # fmt: skip

    wrong = push("a", "hf_wrong")
    assert wrong.returncode == 2
    assert "E885" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert (tmp_path / "a/model").is_dir(), "what was written stays"
    right = push("b", "hf_mine")
    assert right.returncode == 0, right.stderr
    assert set(made) == {"me/sums", "me/sums-data"}
    assert made["me/sums"]["visibility"] == made["me/sums-data"]["visibility"] == b"private"
    head, says = card(tmp_path / "b/model")
    assert head["datasets"] == ["me/sums-data"], "the hub links the model to its rows"
    assert 'from_pretrained("me/sums")' in says
    assert 'load_dataset("me/sums-data", split="train")' in card(tmp_path / "b/data")[1]
    for part, name in (("model", "me/sums"), ("data", "me/sums-data")):
        for file in (tmp_path / "b" / part).iterdir():
            assert made[name][file.name] == file.read_bytes()
    again = push("c", "hf_mine")
    assert again.returncode == 2
    assert "it has a model `me/sums` already" in again.stderr
    del made["me/sums"]  # where the rows alone are there, no model is pushed either
    half = push("d", "hf_mine")
    assert "it has a dataset `me/sums-data` already" in half.stderr
    assert set(made) == {"me/sums-data"}
    away = push("f", "hf_mine", "http://127.0.0.1:9")
    assert away.returncode == 2
    assert "E885" in away.stderr
    none = push("e", None)
    assert none.returncode == 2
    assert "HF_TOKEN" in none.stderr
    assert "Traceback" not in none.stderr


def test_base_and_champion_answer_side_by_side(
    done: Path,
    stub: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On rows of test, the answers are those that the execution got."""
    monkeypatch.chdir(done)
    monkeypatch.setattr("dagent.runtime.worker.ProcessWorker", lambda log: stub.StubWorker(log, 0))
    found = outcome(events_of(done), done)
    base, champion = (found.rows(f"test.{end}", "answers") for end in ("base", "champion"))
    n = next(i for i, (b, c) in enumerate(zip(base, champion, strict=True)) if b != c)
    prompt = base[n]["prompt"]
    assert main(["try", prompt]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["base", base[n]["output"]]
    assert told[1].split() == ["champion", "(round", f"{found.round})", champion[n]["output"]]
    monkeypatch.setattr(sys, "stdin", io.StringIO(prompt + "\n"))
    assert main(["try", "-", "--only", "champion", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"prompt": prompt, "champion": champion[n]["output"]}
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{prompt}\n\n{base[0]['prompt']}\n"))
    assert main(["try", "--only", "base", "--json"]) == 0
    lines = [json.loads(line)["prompt"] for line in capsys.readouterr().out.splitlines()]
    assert lines == [prompt, base[0]["prompt"]], "a prompt a line"


def test_an_answer_does_not_steer_the_terminal() -> None:
    shown = importlib.import_module("dagent.commands.try").shown
    told = shown({"base": "\x1b[2Jgone\ta", "champion": "\u05e9\u200d\U0001f642\nb\x07"}, 1)
    assert told.splitlines() == [
        "base                \\x1b[2Jgone\ta",
        "champion (round 1)  \u05e9\u200d\U0001f642",
        "                    b\\x07",
    ]


def test_a_prompt_beyond_the_students_context_is_warned_of() -> None:
    too_long = importlib.import_module("dagent.commands.try").too_long
    found: Any = SimpleNamespace(base=STUDENT, answering={"max_new_tokens": 32})
    assert too_long(found, "print(1)") is None
    assert "context holds 128" in too_long(found, "abcdefghij" * 11)


def test_an_interruption_is_told_on_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("dagent.commands.try"), "run", interrupt)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["try"]) == 130
    assert capsys.readouterr().err == "\ninterrupted; what was finished is kept\n"
