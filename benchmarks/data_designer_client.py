"""The load of ``lm_throughput.py`` by NeMo Data Designer, run by a Python that has it.

    python benchmarks/data_designer_client.py BASE CALLS AT_ONCE

prints as JSON how many answers are right, the seconds of ``create`` from its start to the rows that
it returns, and the CPU seconds of this process meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time

os.environ["NEMO_TELEMETRY_ENABLED"] = "false"

import data_designer.config as dd
import pandas as pd
from data_designer.interface import DataDesigner


def main(base: str, calls: int, at_once: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        local = dd.ModelProvider(name="local", endpoint=base, api_key="none")
        designer = DataDesigner(folder, model_providers=[local])
        designer.set_run_config(dd.RunConfig(buffer_size=calls))
        model = dd.ModelConfig(
            alias="small",
            model="small",
            provider="local",
            skip_health_check=True,
            inference_parameters=dd.ChatCompletionInferenceParams(max_parallel_requests=at_once),
        )
        spec = dd.DataDesignerConfigBuilder(model_configs=[model])
        numbers = pd.DataFrame({"number": range(calls)})
        spec.with_seed_dataset(dd.DataFrameSeedSource(df=numbers))
        prompt = "What is {{ number }}"
        spec.add_column(dd.LLMTextColumnConfig(name="answer", model_alias="small", prompt=prompt))
        started, cpu = time.perf_counter(), time.process_time()
        made = designer.create(spec, num_records=calls, dataset_name="rows").load_dataset()
        seconds, used = time.perf_counter() - started, time.process_time() - cpu
    pairs = zip(made["number"], made["answer"], strict=True)
    right = sum(answer == f"The answer is {number}" for number, answer in pairs)
    return {"right": right, "seconds": seconds, "cpu": used}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        found = main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(found))
