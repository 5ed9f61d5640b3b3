"""The data step with real folders, a hub on this machine, and programs; rows for the engineer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from dagent.compiler.digests import content_digest
from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Refused
from dagent.runtime.rows import read_rows, row_id, write_rows
from dagent.runtime.step import Artifact, Context
from dagent.runtime.steps import data as data_step
from dagent.runtime.steps import gate
from dagent.runtime.steps.generate import handed

ROWS = [{"prompt": f"q {i}", "answer": str(i), "level": i % 3} for i in range(30)]
PROGRAM = """
def rows():
    for i in range(30):
        yield {"prompt": f"q {i}", "answer": str(i), "level": i % 3}
def few():
    return [{"prompt": "q", "answer": "a"}]
def twice():
    for i, row in enumerate(rows()):
        yield row | {"id": "same" if i < 6 else f"own {i}"}
def none():
    return None
def broken():
    return [{"prompt": "q", "answer": 1.5}] * 20 + [{"prompt": "q"}]
"""


def step(role: str = "dev", **params: Any) -> Step:
    common = {"name": "set", "role": role, "columns": {}, "where": None, "sample": None}
    return Step("data.set", "data", 2, {**common, "seed": 7, **params})


def test_an_id_that_stands_twice_is_none(context: Context) -> None:
    made = run(step(program="programs.py:twice"), context)
    assert len({row["id"] for row in made}) == len(made) == 30
    assert made[-1]["id"] == "own 29"
    assert made[0]["id"] == row_id(made[0]["prompt"])


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "programs.py").write_text(PROGRAM)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Context(tmp_path, scratch, None, None, lambda *_, **__: None, None, tmp_path)  # type: ignore[arg-type]


def run(step: Step, context: Context, **against: Path) -> list[dict[str, Any]]:
    inputs = {f"against.{k}": Artifact("", path) for k, path in against.items()}
    made = data_step.run(step, inputs, context).artifacts["rows"]
    assert isinstance(made, Path)
    return read_rows(made)


def test_a_program_makes_rows(context: Context) -> None:
    columns = {"difficulty": "level"}
    params = {"program": "programs.py:rows", "sha256": "x", "columns": columns}
    rows = run(step(**params), context)
    assert len(rows) == 30
    assert rows[4].items() >= {"prompt": "q 4", "answer": "4", "difficulty": 1}.items()
    some = run(step(**params, where="difficulty == 1", role="seed"), context)
    assert {row["difficulty"] for row in some} == {1}
    drawn = run(step(**{**params, "sample": 5}), context)
    assert drawn == run(step(**{**params, "sample": 5}), context) != rows[:5]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"program": "programs.py:few"}, "E308"),
        ({"program": "programs.py:none"}, "E815"),
        ({"program": "programs.py:broken"}, "E306"),
        ({"sample": 31}, "E204"),
        ({"columns": {"difficulty": "level"}, "difficulties": [0, 1]}, "E314"),
    ],
)
def test_made_rows_are_checked_like_read_ones(
    context: Context, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        run(step(**{"program": "programs.py:rows", "sha256": "x", **change}), context)
    assert [d.code for d in refused.value.diagnostics] == [code]


def test_made_rows_are_compared_with_those_that_judge(context: Context, tmp_path: Path) -> None:
    test = write_rows(tmp_path / "t.jsonl", [{"prompt": "new"}, {"prompt": "Q  seven"}])
    with pytest.raises(Refused) as refused:
        run(step(program="programs.py:rows", sha256="x"), context, test=test)
    (found,) = refused.value.diagnostics
    assert found.code == "E304"
    assert found.notes[0].message == "row 8 of `set` is row 2 of `test`"


def test_a_local_folder_is_read_by_datasets_and_afresh(context: Context) -> None:
    folder = context.project / "folder"
    folder.mkdir()

    def written(rows: list[dict[str, Any]]) -> Step:
        (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        os.utime(folder / "train.jsonl", (1, 1))
        source = {"hub": "./folder", "config": None, "split": "train", "revision": None}
        return step(**source, sha256=content_digest(folder))

    first = written(ROWS)
    assert [row["answer"] for row in run(first, context)] == [row["answer"] for row in ROWS]
    second = written([{**row, "answer": "9"} for row in ROWS])
    assert {row["answer"] for row in run(second, context)} == {"9"}
    (found,) = data_step.check(first, context.project)
    assert found.code == "E804"
    with pytest.raises(Refused) as refused:
        run(step(**{**second.params, "split": "nothing"}), context)
    assert [d.code for d in refused.value.diagnostics] == ["E328"]


COMMIT = 40 * "a"


class Hub(BaseHTTPRequestHandler):
    """One data set, ``owner/name``, at one commit, as the hub serves it."""

    files = {
        "train.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
        "README.md": b"# A data set\n",
    }

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        asked = path.removeprefix("/api/datasets/owner/name")
        entries = [
            {"type": "file", "path": name, "size": len(body), "oid": sha1(body).hexdigest()}
            for name, body in self.files.items()
        ]
        if asked in ("", f"/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in self.files]
            self.reply({"id": "owner/name", "sha": COMMIT, "siblings": siblings, "tags": []})
        elif asked.startswith(f"/tree/{COMMIT}"):
            self.reply(entries)
        elif asked == f"/paths-info/{COMMIT}":
            wanted = parse_qs(self.body().decode()).get("paths", [])
            self.reply([entry for entry in entries if entry["path"] in wanted])
        elif path.startswith(f"/datasets/owner/name/resolve/{COMMIT}/"):
            self.reply(self.files.get(path.rpartition("/")[2]))
        else:
            self.reply(None)

    do_HEAD = do_POST = do_GET

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, content: Any) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{sha1(body).hexdigest()}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# Runs in a process of its own: the library reads where the hub is when it is imported.
FETCH = """
import sys; from pathlib import Path
from dagent.compiler.plan import Step
from dagent.runtime.step import Context
from dagent.runtime.steps import data
from dagent.dsl.diagnostics import Refused
params = dict(name="set", role="dev", columns={}, where=None, sample=None, seed=None,
              hub="owner/name", config=None, split="train", revision=sys.argv[2], sha256=None)
folder = Path(sys.argv[1])
try:
    context = Context(folder, folder, None, None, None, None, folder)
    data.run(Step("data.set", "data", 2, params), {}, context)
except Refused as refused:
    sys.exit(" ".join(d.code + " " + d.message for d in refused.diagnostics))
"""


def fetch(folder: Path, commit: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FETCH, str(folder), commit]
    env = {**os.environ, "HF_HOME": str(folder / "hf"), **env}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_the_hub_is_asked_for_the_pinned_commit(tmp_path: Path, hub: str) -> None:
    done = fetch(tmp_path, COMMIT, HF_ENDPOINT=hub)
    assert done.returncode == 0, done.stderr
    assert [row["prompt"] for row in read_rows(tmp_path / "rows.jsonl")] == [
        row["prompt"] for row in ROWS
    ]
    offline = fetch(tmp_path, COMMIT, HF_HUB_OFFLINE="1")
    assert offline.returncode == 0, offline.stderr
    other = fetch(tmp_path, 40 * "b", HF_ENDPOINT=hub)
    assert other.returncode == 1
    assert "E328 the data set `owner/name` cannot be read" in other.stderr
    assert f"commit {40 * 'b'} is neither on the hub nor in the cache" in other.stderr


def test_a_function_is_handed_what_it_takes(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "answer": "a"}]
    file = write_rows(tmp_path / "x.jsonl", rows)
    inputs = {name: Artifact("", file) for name in ("kept", "pool.x", "seed.y", "seed.z")}

    def both(skill: str, difficulty: Any, n: int, seed: int, **rows: Any) -> Any:
        return rows

    def one(skill: str, difficulty: Any, n: int, seed: int, pool: Any = ()) -> Any:
        return pool

    def neither(skill: str, difficulty: Any, n: int, seed: int) -> Any:
        return None

    assert handed(both, inputs)("s", 1, 1, 1) == {"seeds": rows * 2, "pool": rows}
    assert handed(one, inputs)("s", 1, 1, 1) == rows
    assert handed(neither, inputs)("s", 1, 1, 1) is None


def test_seeds_to_train_on_are_kept_from_the_start(tmp_path: Path, context: Context) -> None:
    answers = [{"id": "1", "prompt": "q", "answer": "a", "given": "a", "scores": {"m": 1.0}}]
    seeds = write_rows(tmp_path / "s.jsonl", [{"id": "2", "prompt": "p", "answer": "a"}])
    params = {
        "round": 0,
        "metrics": [{"name": "m", "grader": "exact", "average": "micro"}],
        "alpha": 0.05,
        "floors": [],
        "guards": [],
        "stop": {"patience": None, "when": None},
    }
    inputs = {
        "model": Artifact("", tmp_path),
        "answers": Artifact("", write_rows(tmp_path / "a.jsonl", answers)),
        "seed.few": Artifact("", seeds),
    }
    made = gate.run(Step("r0.gate", "gate", 1, params), inputs, context).artifacts["kept"]
    assert isinstance(made, Path)
    (kept,) = read_rows(made)
    assert kept["origin"] == "data.few"
