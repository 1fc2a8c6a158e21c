"""Writes an offline run by Neptune's own client into the current folder; runs in a venv that has it."""

import neptune

run = neptune.init_run(
    project="ada/digits",
    mode="offline",
    name="third try",
    tags=["cpu"],
    capture_hardware_metrics=False,
    capture_stdout=False,
    capture_stderr=False,
    capture_traceback=False,
    source_files=[],
)
run["parameters"] = {"lr": 1e-3, "batch": 32, "amp": True, "optim": {"name": "adam"}}
for step in range(3):
    run["train/loss"].append(1 / (step + 1), step=step)
run["test/acc"] = 0.75
run.stop()
