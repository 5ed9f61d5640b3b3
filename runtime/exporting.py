"""``dagent export``: a model folder and a data folder that need no dagent to be read.

```
FOLDER/model/   a Hugging Face folder with its card: the whole model, or its adapter alone
FOLDER/data/    train.jsonl, rejects.jsonl if asked for, and the card that datasets reads
```
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.dsl.diagnostics import Diagnostic, Failed, Refused
from dagent.runtime import cards
from dagent.runtime.outcome import Outcome
from dagent.runtime.rows import Row, write_rows
from dagent.runtime.worker import Worker

HUB_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
ADAPTERS = frozenset({"lora", "qlora"})


def check(found: Outcome, folder: Path, *, adapter: bool, hub: str | None = None) -> None:
    """Raises: Refused, before anything is written."""
    if hub is not None and not re.fullmatch(rf"{HUB_NAME}/{HUB_NAME}", hub):
        raise Refused(
            Diagnostic(
                "E885",
                f"`{hub}` cannot be the name of a repository on a hub",
                suggestion="write OWNER/NAME, of letters, digits, `-`, `_` and `.`",
            )
        )
    if found.end is None:
        raise Refused(
            Diagnostic(
                "E882",
                "this execution has not ended, so its champion was not tested",
                suggestion="run `dagent execute` to its end; `dagent try` asks the champion so far",
            )
        )
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise Refused(
            Diagnostic(
                "E883",
                f"`{folder}` is there already, and is no empty folder",
                suggestion="name a new folder, or remove this one",
                file=str(folder),
            )
        )
    if adapter and (kind := adapter_kind(found)) not in ADAPTERS:
        raise Refused(
            Diagnostic(
                "E884",
                f"the student was trained whole (`adapter = {kind}`), so there is no adapter"
                if found.round
                else "the champion is the untouched student, which has no adapter",
                suggestion="leave `--adapter` out",
            )
        )


def adapter_kind(found: Outcome) -> str | None:
    """How the champion's round trained; ``None`` for the untouched student."""
    train = [s for s in found.plan.steps if s.kind == "train" and s.round == found.round]
    return train[0].params["adapter"] if train else None


def export(
    found: Outcome,
    folder: Path,
    *,
    worker: Worker | None,
    rejects: bool,
    name: str,
    hub: str = "",
) -> tuple[int, int]:
    """Write both folders; with a ``worker``, the adapter alone. Returns the rows kept and rejected.

    The champion's folder appears whole or not at all. The cards name the repositories of ``hub``.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        if worker is None:
            shutil.copytree(found.champion, partial / "model")
        else:
            _extract(found, partial / "model", worker)
        for file in partial.rglob("*"):
            file.chmod(0o755 if file.is_dir() else 0o644)
        kept = list(_columns(_kept(found)))
        left = list(_columns(_rejects(found))) if rejects else []
        data = partial / "data"
        data.mkdir()
        write_rows(data / "train.jsonl", kept)
        if rejects:
            write_rows(data / "rejects.jsonl", left)
        model_card = cards.model_card(found, name, adapter=worker is not None, hub=hub)
        _write(partial / "model", model_card)
        _write(data, cards.data_card(found, name, kept, left if rejects else None, hub))
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(kept), len(left)


def _extract(found: Outcome, folder: Path, worker: Worker) -> None:
    told = worker.call(
        "extract",
        base=str(found.base),
        model=str(found.champion),
        out=str(folder),
        name=str(found.start["settings"].get("student.model", "")),
        trust_remote_code=bool(found.start["settings"].get("student.trust_remote_code")),
    )
    if told["beyond"]:
        raise Refused(
            Diagnostic(
                "E884",
                f"`{told['beyond']}` was trained too, which no adapter holds",
                suggestion="leave `--adapter` out",
            )
        )


def _write(folder: Path, card: str) -> None:
    (folder / "README.md").write_text(card, encoding="utf-8")


def _kept(found: Outcome) -> Iterator[Row]:
    """All rows that the last gate kept, each with why it was asked for."""
    last = max(e["round"] for e in found.past if e["event"] == "round_finished")
    trained = {row["id"] for row in found.rows(f"r{found.round}.mix", "train")}
    why = {item["id"]: item for n in range(1, last + 1) for item in _items(found, n)}
    for row in found.rows(f"r{last}.gate", "kept"):
        asked = why.get(str(row.get("item")), {})
        yield {
            **row,
            "weakness": asked.get("rationale"),
            "method": asked.get("method"),
            "in_champion": row["id"] in trained,
        }


def _items(found: Outcome, number: int) -> Sequence[Mapping[str, Any]]:
    path = found.stored(f"r{number}.plan", "curriculum")
    items: Sequence[Mapping[str, Any]] = json.loads(path.read_text())["items"] if path else ()
    return items


def _rejects(found: Outcome) -> Iterator[Row]:
    """Rows that were refused, with the reason. Not those that overlap with what is judged on: they
    would carry test rows out."""
    for event in found.past:
        if event["event"] != "round_finished" or not event["round"]:
            continue
        prefix = f"r{event['round']}."
        judge = "refine" if found.stored(f"{prefix}refine", "rejects") else "verify"
        for step, output in ((judge, "rejects"), ("dedupe", "duplicates")):
            for row in found.rows(prefix + step, output):
                yield {**row, "rejected_by": step}


def _columns(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows with the same columns of the same types, as Arrow needs them: what is nested, or of
    several types, becomes text."""
    rows = list(rows)
    names = sorted({name for row in rows for name in row})
    texts = {name for name in names if _mixed(row.get(name) for row in rows)}
    for row in rows:
        yield {n: _text(row.get(n)) if n in texts else row.get(n) for n in names}


def _mixed(values: Iterable[Any]) -> bool:
    kinds = {type(value) for value in values if value is not None}
    return len(kinds) > 1 or bool(kinds & {list, dict})


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def push(folder: Path, name: str, *, public: bool) -> list[str]:
    """Create both repositories on the hub and upload; returns their addresses.

    Raises:
        Failed: E885 when the hub refuses, or has a repository of that name.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # A missing token is an OSError. Where no hub answers, its client raises an error of its own,
    # of whose kind this one is.
    unheard = HfHubHTTPError.__bases__
    api = HfApi(library_name="dagent")
    parts = (("model", "model", name), ("data", "dataset", f"{name}-data"))
    pushed = []
    try:
        for _, kind, repository in parts:  # neither, or both
            if api.repo_exists(repository, repo_type=kind):
                raise OSError(f"it has a {kind} `{repository}` already")
        for part, kind, repository in parts:
            url = api.create_repo(repository, repo_type=kind, private=not public)
            api.upload_folder(
                repo_id=repository,
                repo_type=kind,
                folder_path=folder / part,
                commit_message="Export by dagent",
            )
            pushed.append(str(url))
    except (*unheard, HFValidationError, OSError) as error:  # type: ignore[misc]
        said = str(error).strip().splitlines()
        raise Failed(
            Diagnostic(
                "E885",
                f"the hub did not take `{name}`: {said[0] if said else type(error).__name__}",
                suggestion="the folders are written; set HF_TOKEN to a token that may write there, "
                "or name a repository that does not exist yet, and export to a new folder",
                file=str(folder),
            )
        ) from None
    return pushed
