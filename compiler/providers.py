"""Which language a model's server speaks, by LiteLLM's name of the model and its address."""

from __future__ import annotations

from collections.abc import Mapping

OPENAI = "https://api.openai.com/v1"
# Servers that speak OpenAI's chat completions, by LiteLLM's prefix: address, and the key's name.
COMPATIBLE: Mapping[str, tuple[str | None, str | None]] = {
    "openai": (OPENAI, "OPENAI_API_KEY"),
    "ollama": ("http://localhost:11434/v1", None),
    "ollama_chat": ("http://localhost:11434/v1", None),
    "hosted_vllm": (None, None),
}
# Prefixes of providers with a language of their own, which LiteLLM speaks even at another address.
OTHERS = frozenset(
    {"anthropic", "azure", "bedrock", "cohere", "gemini", "replicate", "sagemaker", "vertex_ai"}
)


def prefix(model: str) -> str:
    """
    >>> prefix("hosted_vllm/qwen"), prefix("gpt-5.2")
    ('hosted_vllm', 'openai')
    """
    head, slash, _ = model.partition("/")
    return head if slash else "openai"


def speaks_openai(model: str, api_base: str | None) -> bool:
    """
    >>> speaks_openai("anthropic/claude-opus-5", None), speaks_openai("some/model", "http://x/v1")
    (False, True)
    """
    head = prefix(model)
    return head in COMPATIBLE or (api_base is not None and head not in OTHERS)
