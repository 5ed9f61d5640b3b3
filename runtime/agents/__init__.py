"""The engineers that are language models: one DSPy module a file, behind the steps' interface."""
