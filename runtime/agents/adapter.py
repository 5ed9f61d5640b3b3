"""``dspy.JSONAdapter``, to the byte, that works out only once what a signature makes it say: of a
call's time at our end that was a third. It imports DSPy: import it where needed."""

from __future__ import annotations

from typing import Any

import dspy
from dspy.adapters.utils import format_field_value


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

    def _of(self, signature: type[dspy.Signature]) -> tuple[str, str]:
        # A signature's instructions can be set; its fields only by making another signature.
        key = signature, signature.instructions
        if key not in self._said:
            self._said[key] = (
                super().format_system_message(signature),
                super().user_message_output_requirements(signature),
            )
        return self._said[key]
