"""The champion in MLflow's model registry: a Hugging Face folder, safetensors only, no pickle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagent.runtime.projection import Event

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALIAS = "champion"
ENDED_TAG = "dagent.ended"
TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "vocab*",
    "merges.txt",
    "chat_template*",
)


def register(
    client: MlflowClient, run: str, start: Event, end: Event, model: Path, scratch: Path
) -> None:
    """Upload the folder to the run and make it a version, unless this run made one already.

    The alias goes to the execution that ended last, whatever the order in which they are mirrored.
    """
    name = _registered_name(start["name"])
    _ensure_registered(client, name, start.get("goal") or "")
    versions = list(client.search_model_versions(f"name = '{name}'"))
    mine = next((v for v in versions if v.run_id == run), None)
    if mine is None:
        _lay_out(model, scratch / "model", run)
        client.log_artifacts(run, str(scratch))
        source = f"{client.get_run(run).info.artifact_uri}/model"
        gain, champion = end.get("gain") or {}, end["champion"]
        said = f"Round {champion['round']} of {start['name']}, seed {start['seed']}."
        if champion.get("test") is not None and gain.get("test_pp") is not None:
            said += f" Test {champion['test']:.1%}, {gain['test_pp']:+.1f} pp over the base."
        tags = {ENDED_TAG: end["time"]}
        mine = client.create_model_version(name, source, run, tags, description=said)
        versions.append(mine)
    latest = max(versions, key=lambda v: (v.tags.get(ENDED_TAG, ""), int(v.version)))
    client.set_registered_model_alias(name, ALIAS, str(latest.version))


def _lay_out(model: Path, folder: Path, run: str) -> None:
    """The layout that both ``mlflow.transformers.load_model`` and plain ``transformers`` read.

    ``model/`` is the Hugging Face folder as it is; MLflow wants the tokenizer once more under
    ``components/``. Written by hand, since MLflow's own writer would import torch here.
    """
    for source in sorted(p for p in model.rglob("*") if p.is_file()):
        target = folder / "model" / source.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    config = _json(model / "config.json")
    tokenizer = _json(model / "tokenizer_config.json")
    if not config.get("architectures"):
        return  # an adapter: its folder is uploaded, for peft to load
    components = folder / "components" / "tokenizer"
    components.mkdir(parents=True)
    for pattern in TOKENIZER_FILES:
        for source in model.glob(pattern):
            shutil.copyfile(source, components / source.name)
    from mlflow.models import Model

    description = Model(artifact_path="model", run_id=run)
    description.add_flavor(
        "transformers",
        task="text-generation",
        instance_type="TextGenerationPipeline",
        pipeline_model_type=config["architectures"][0],
        model_binary="model",
        source_model_name=model.name,
        components=["tokenizer"],
        tokenizer_type=tokenizer.get("tokenizer_class", "PreTrainedTokenizerFast"),
        transformers_version=config.get("transformers_version", ""),
        code=None,
    )
    description.save(str(folder / "MLmodel"))


def _ensure_registered(client: MlflowClient, name: str, goal: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name, description=goal)


def _registered_name(name: str) -> str:
    """MLflow refuses these two in the name of a model, and a quote would end a filter."""
    return name.replace("/", "-").replace(":", "-").replace("'", "-")


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
