"""The paper's protocol as its spec stands, on data of this test's own and a tiny student."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PAPER = Path(__file__).parents[3] / "specs" / "paper"
# Only who is asked, the student and the amounts; all else is the protocol's.
SMALL = """
import "science.dagent"

student { model = "./student"  max_new_tokens = 8 tokens }
engineer {
  author  { lm = "openai/author"  api_base = "BASE" }
  teacher { lm = "openai/teacher"  api_base = "BASE" }
}
budget {
  rounds <= 2
  wall <= 10min
  per round { rows <= 40 rows }
  per teacher { calls <= 400 }
  per attempt { calls <= 150  wall <= 1min }
}
"""
QUESTION = "A body of {m} kg accelerates at {a} m/s2. Which force acts on it, in newton?"
ASKED = re.compile(re.escape(QUESTION).replace(r"\{m\}", r"(\d+)").replace(r"\{a\}", r"(\d+)"))
PROGRAM = """
import json
seeds = [s["prompt"] for s in json.load(open("seeds.json"))]
assert not any("answer" in s for s in json.load(open("seeds.json")))
more = api_generate_batch([f"Change the numbers of: {s}" for s in seeds])
asked = seeds + [m["text"] for m in more if m]
rows = [{"instruction": q, "input": "", "output": a["text"], "call": a["call"]}
        for q, a in zip(asked, api_generate_batch(asked, "Solve it; end in the number.")) if a]
json.dump(rows, open("submission.json", "w"))
print(check_submission(), evaluate_dataset()["score"])
"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("training")]


def spoken(request: dict[str, Any]) -> str:
    """The author, and a teacher that knows Newton's second law."""
    asked = request["messages"][-1]["content"]
    if request["model"] == "author":
        return json.dumps({"plan": "answer the seeds and variants", "program": PROGRAM})
    found = ASKED.search(asked)
    assert found, asked
    m, a = int(found[1]), int(found[2])
    if asked.startswith("Change"):
        return QUESTION.format(m=m + 101, a=a + 3)
    return f"F = m a = {m * a}"


def rows(first: int, number: int, answered: bool = True) -> str:
    lines = []
    for i in range(first, first + number):
        row = {"prompt": QUESTION.format(m=i, a=2 + i % 9), "skill": ("one", "two")[i % 2]}
        if answered:
            row["answer"] = f"F = m a = {i * (2 + i % 9)}"
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def make_student(folder: Path) -> None:
    """A random Llama whose tokenizer has a chat template, as the paper's student has one."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from dagent.runtime.students.tokenizer import build_tokenizer

    tokenizer = build_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'][0] + ': ' + m['content'] + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}a: {% endif %}"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def test_the_protocol_runs_from_its_spec(lm_server: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "paper"
    shutil.copytree(PAPER, folder)
    data = folder / "data" / "science"
    data.mkdir(parents=True)
    (data / "dev.jsonl").write_text(rows(10, 24))
    (data / "test.jsonl").write_text(rows(100, 72))
    (data / "seeds.jsonl").write_text(rows(300, 40, answered=False))
    make_student(folder / "student")

    def dagent(*words: str) -> str:
        command = [sys.executable, "-m", "dagent", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    with lm_server.Server(spoken) as server:
        (folder / "small.dagent").write_text(SMALL.replace("BASE", server.base))
        dagent("compile", "small.dagent")
        said = dagent("execute")
    assert "test was opened once, at the end" in said
    assert "2 written, 1.0 for each valid submission" in said
    plan = json.loads((folder / "dagent.plan.json").read_text())
    (stage,) = next(s for s in plan["steps"] if s["id"] == "r1.train")["params"]["stages"]
    assert (stage["stage"], stage["args"]["num_train_epochs"]) == ("sft", 3)
    assert next(s for s in plan["steps"] if s["id"] == "r1.train")["params"]["lora"]["r"] == 8
