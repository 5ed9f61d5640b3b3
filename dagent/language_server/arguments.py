"""The arguments of other libraries' configs that a block takes: TRL, PEFT, transformers."""

from __future__ import annotations

from collections.abc import Mapping as Dict

from msgspec.structs import replace

from dagent.compiler import arguments
from dagent.compiler.tables import Table, table
from dagent.dsl.document import Mapping, Path, Scalar, locate
from dagent.dsl.schema import load


def arguments_at(block: Path, root: Mapping | None) -> Table | None:
    """The arguments that the block takes besides the schema's keys, without dagent's own."""
    if block == ("student", "lora"):
        return _free(table("lora"), arguments.LORA)
    if block == ("student", "generation"):
        return _free(table("generation"), arguments.GENERATION)
    if len(block) == 2 and block[0] == "train":
        chain = load()["properties"]["train"]["items"]["properties"]["stage"]["enum"]
        stage = _stage(block, root)
        return _free(table(stage if stage in chain else "sft"), arguments.TRL)
    return None


def _stage(block: Path, root: Mapping | None) -> str | None:
    here = locate(root, block) if root is not None else None
    stage = here.get("stage") if isinstance(here, Mapping) else None
    return str(stage.value) if isinstance(stage, Scalar) else None


def _free(found: Table, owned: Dict[str, str]) -> Table:
    return replace(found, arguments={k: v for k, v in found.arguments.items() if k not in owned})
