"""What a model card says of how to load and ask the model."""

from __future__ import annotations

from pathlib import Path

from dagent.runtime.outcome import Outcome


def usage(found: Outcome, *, adapter: bool, base: str, hub: str) -> str:
    template, system = found.answering["template"], found.answering["system"]
    where, model = "FOLDER OF THE BASE" if is_local(base) else base, hub or "model"
    trust = ", trust_remote_code=True" if found.answering.get("trust_remote_code") else ""
    loading = (
        "from peft import PeftModel\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f'base = AutoModelForCausalLM.from_pretrained("{where}"{trust})\n'
        f'model = PeftModel.from_pretrained(base, "{model}")\n'
        if adapter
        else "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f'model = AutoModelForCausalLM.from_pretrained("{model}"{trust})\n'
    )
    asked = (
        f"text = {template!r}.replace('{{prompt}}', question)\n"
        if template is not None
        else "turns = "
        + (f'[{{"role": "system", "content": {system!r}}}, ' if system else "[")
        + '{"role": "user", "content": question}]\n'
        "text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)\n"
        if _has_chat_template(found.champion)
        else 'text = question + "\\n"\n'
    )
    note = f"The adapter belongs on `{base}`{_where(base)}.\n\n" if adapter else ""
    note += "" if hub else "`model` is the folder of this card.\n\n"
    note += "" if not trust else "It runs Python code that the base brought: read it first.\n\n"
    return (
        f"{note}```python\n{loading}"
        f'tokenizer = AutoTokenizer.from_pretrained("{model}")\n'
        'question = "…"\n'
        f"{asked}"
        'ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")\n'
        f"out = model.generate(**ids, {_generation(found)})\n"
        "print(tokenizer.decode(out[0, ids.input_ids.shape[1]:], skip_special_tokens=True))\n```"
    )


def _generation(found: Outcome) -> str:
    """How it was asked when it was judged; the base's own settings may be others."""
    asked = {"max_new_tokens": found.answering["max_new_tokens"], **found.answering["generation"]}
    return ", ".join(f"{name}={value!r}" for name, value in asked.items())


def _where(base: str) -> str:
    """Where the reader of an adapter finds a base that is no model of a hub."""
    if base.startswith("builtin:"):
        name = base.removeprefix("builtin:").replace("-", "_")
        return (
            ", which comes with dagent: after `pip install dagent` its folder is printed by "
            '`python -c "from importlib.resources import files; '
            f"print(files('dagent.runtime.students') / '{name}')\"`"
        )
    if is_local(base):
        return (
            ", a folder of whoever made it and no model of a hub. Its SHA-256 is told below: ask "
            "for it, or for the whole model"
        )
    return ""


def is_local(base: str) -> bool:
    """Whether a student's name is of a folder or of dagent's own, which no hub knows."""
    return base.startswith((".", "/", "~", "builtin:"))


def _has_chat_template(model: Path) -> bool:
    config = model / "tokenizer_config.json"
    named = config.is_file() and '"chat_template"' in config.read_text(encoding="utf-8")
    return named or any(model.glob("chat_template*"))
