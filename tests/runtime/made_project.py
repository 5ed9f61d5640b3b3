"""A project folder with a journal and a store as an execution leaves them; nothing is trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SKILLS = ("indexing", "slicing", "sorting", "joining")


class MadeProject:
    """Builds events one by one; ``write`` puts the first ``n`` of an execution on disk."""

    def __init__(self, folder: Path, name: str = "quickstart") -> None:
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "quickstart.dagent").write_text('domain { goal = "what Python prints" }\n')

    def stored(self, content: str | Mapping[str, str]) -> dict[str, str]:
        """Put a file, or a folder given as name -> content, into the store, read-only as there."""
        text = content if isinstance(content, str) else json.dumps(content)
        digest = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / ".dagent" / "store" / "objects" / digest[:2] / digest
        for name, body in {"": content}.items() if isinstance(content, str) else content.items():
            file = path / name if name else path
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(str(body))
                file.chmod(0o444)
        return {"digest": digest, "path": f"objects/{digest[:2]}/{digest}"}

    def rows(self, n: int, tag: str, **more: Any) -> dict[str, str]:
        lines = []
        for i in range(n):
            prompt = f">>> 'abc'[{i}]  # {tag}"
            row = {
                "id": hashlib.sha256(prompt.encode()).hexdigest()[:16],
                "prompt": prompt,
                "answer": "'b'",
                "skill": SKILLS[i % len(SKILLS)],
                "difficulty": i % 3 + 1,
                **more,
            }
            lines.append(json.dumps(row, sort_keys=True))
        return self.stored("\n".join(lines) + "\n")

    def events(
        self,
        select: tuple[float, ...] = (0.32, 0.3, 0.61),
        seed: int = 0,
        begin: str = "2026-01-05T10:00:00+00:00",
        settings: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """The events of an execution whose select scores by round are ``select``."""
        made: list[dict[str, Any]] = []
        clock = datetime.fromisoformat(begin).astimezone(UTC)

        def add(event: str, **fields: Any) -> None:
            time = (clock + timedelta(seconds=7 * len(made))).isoformat(timespec="milliseconds")
            made.append({"seq": len(made) + 1, "time": time, "event": event, **fields})

        def step(name: str, kind: str, number: int | None, **more: Any) -> None:
            outputs = more.pop("outputs", {})
            action = hashlib.sha256(f"{name}{seed}".encode()).hexdigest()
            add("step_started", step=name, kind=kind, round=number, action=action)
            add(
                "step_finished", step=name, kind=kind, round=number, action=action, reused=False,
                seconds=6.5, outputs=outputs, metrics=more.get("metrics", {}), note="",
            )  # fmt: skip

        plan_id = hashlib.sha256(f"{self.name}{seed}{settings}".encode()).hexdigest()
        add(
            "execution_started", plan_id=plan_id, name=self.name, goal="what Python prints",
            plan_path="dagent.plan.json", seed=seed, rounds=len(select) - 1, metric="accuracy",
            settings={
                "student.model": "builtin:tiny-python",
                "engineer.planner": "error-driven",
                "train.learning_rate": 0.001,
                "train.epochs": 2,
                "data.dev": "dev.jsonl",
                **(settings or {}),
            },
            resumed=False, version="0.1.0",
        )  # fmt: skip
        model = self.stored(
            {
                "config.json": json.dumps({"architectures": ["LlamaForCausalLM"], "seed": seed}),
                "tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}),
                "tokenizer.json": "{}",
                "model.safetensors": "weights",
            }
        )
        step("data.dev", "data", None, outputs={"rows": self.rows(40, "dev")})
        step("data.test", "data", None, outputs={"rows": self.rows(60, "test")})
        step("split", "split", None, outputs={
            "diagnose": self.rows(20, "diagnose"), "select": self.rows(20, "select"),
        })  # fmt: skip
        best, total = 0, 0
        for number, score in enumerate(select):
            if number:
                self._round(step, number, seed, model)
                total += 100
            step(f"r{number}.evaluate", "evaluate", number, metrics={"accuracy": score})
            accepted = number == 0 or score > select[best]
            best = number if accepted else best
            step(f"r{number}.gate", "gate", number, outputs={"champion": model})
            skills = {s: min(1.0, max(0.0, score + 0.1 * (i - 1))) for i, s in enumerate(SKILLS)}
            reason = "the base" if number == 0 else "p = 0.001" if accepted else "not better"
            add(
                "round_finished", round=number, accepted=accepted, champion_round=best,
                select=score, select_low=score - 0.06, select_high=score + 0.06,
                rows=100 if number else 0, rows_total=total, calls=0, reason=reason,
                per_skill=skills, guards={}, seconds=20.5,
            )  # fmt: skip
        base, champion = select[0] - 0.01, select[best] - 0.02
        told = {
            end: {"test": score, "interval": [score - 0.03, score + 0.03], "by_skill": {}}
            for end, score in (("base", base), ("champion", champion))
        }
        step("result", "result", None, outputs={"result": self.stored(json.dumps(told))})
        add(
            "execution_finished", state="finished", requirements=[],
            base={"select": select[0], "test": base},
            champion={"round": best, "select": select[best], "test": champion},
            gain={
                "test_pp": 100 * (champion - base), "relative": champion / base,
                "ci": [100 * (champion - base) - 4, 100 * (champion - base) + 4], "p": 1e-9,
            },
            spent={"rows": total, "rounds": len(select) - 1, "calls": 0, "wall": 140.0},
            champion_model=".dagent/champion",
        )  # fmt: skip
        return made

    def _round(self, step: Any, number: int, seed: int, model: dict[str, str]) -> None:
        tag = f"r{number}s{seed}"
        items = [{"id": s, "skill": s, "count": 10 * (i + 1)} for i, s in enumerate(SKILLS)]
        log = "".join(
            json.dumps({"step": s, "loss": 2.0 / s}) + "\n" for s in (10, 20, 30)
        ) + json.dumps({"step": 30, "train_runtime": 4.0})
        prefix = f"r{number}."
        step(prefix + "plan", "plan", number, outputs={
            "curriculum": self.stored(json.dumps({"items": items, "round": number})),
        })  # fmt: skip
        step(prefix + "verify", "verify", number, metrics={"kept": 96, "rejected": 4}, outputs={
            "rejects": self.rows(4, tag + "rejects", reason="prints another thing"),
        })  # fmt: skip
        step(prefix + "mix", "mix", number, outputs={"added": self.rows(100, tag, round=number)})
        step(prefix + "train", "train", number, metrics={"loss": 0.067}, outputs={
            "model": model, "log": self.stored(log + "\n"),
        })  # fmt: skip

    def write(self, execution: str, events: list[dict[str, Any]], n: int | None = None) -> Path:
        plan = events[0]["plan_id"]
        lock = {"plan": plan, "spec": "quickstart.dagent", "sources": {"quickstart.dagent": "0"}}
        (self.folder / "dagent.plan.json").write_text(json.dumps({"id": plan}) + "\n")
        (self.folder / "dagent.lock").write_text(json.dumps(lock) + "\n")
        path = self.folder / ".dagent" / "runs" / execution / "journal.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(e) + "\n" for e in events[:n]))
        return path
