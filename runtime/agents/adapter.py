"""``dspy.JSONAdapter``, to the byte, that works out only once what a signature makes it say: of a
call's time at our end that was a third. It imports DSPy: import it where needed."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pydantic_core
from dspy.adapters.utils import format_field_value
from dspy.utils.exceptions import AdapterParseError

REPAIRED = 32_000  # characters of JSON that is mended: that may take time by their square


class Adapter(dspy.JSONAdapter):  # type: ignore[misc]
    """One per step; it keeps what it said of every signature of the step."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[type[dspy.Signature], str], tuple[str, str]] = {}

    def format_system_message(self, signature: type[dspy.Signature]) -> str:
        return self._of(signature)[0]

    def user_message_output_requirements(self, signature: type[dspy.Signature]) -> str:
        return self._of(signature)[1]

    def format_user_message_content(
        self,
        signature: type[dspy.Signature],
        inputs: dict[str, Any],
        prefix: str = "",
        suffix: str = "",
        main_request: bool = False,
    ) -> str:
        """Text is what DSPy makes of text, by a serialiser that it builds for every value."""
        parts = [prefix]
        for name, field in signature.input_fields.items():
            if name in inputs:
                value = inputs[name]
                text = value if type(value) is str else format_field_value(field, value)
                parts.append(f"[[ ## {name} ## ]]\n{text}")
        if main_request:
            parts.append(self.user_message_output_requirements(signature))
        return "\n\n".join([*parts, suffix]).strip()

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """As DSPy, whatever stands there.

        Raises:
            AdapterParseError: it is not what was asked for.
        """
        try:
            if len(completion) > REPAIRED:
                json.loads(completion)
            found: dict[str, Any] = super().parse(signature, completion)
            pydantic_core.to_json(found)  # half a character, from an escape, is in no file
        except (ValueError, RecursionError) as error:
            raise AdapterParseError(
                "JSONAdapter", signature, completion, f"No JSON: {type(error).__name__}"
            ) from None
        return found

    def _of(self, signature: type[dspy.Signature]) -> tuple[str, str]:
        # A signature's instructions can be set; its fields only by making another signature.
        key = signature, signature.instructions
        if key not in self._said:
            self._said[key] = (
                super().format_system_message(signature),
                super().user_message_output_requirements(signature),
            )
        return self._said[key]
