"""What Hydra composed: the config that each job gets, and the jobs of a multirun as runs of their own."""

import functools
import os
import sys

import _gitparams_capture as capture

_composed = capture.load("../composed.py", "_gitparams_composed")
_paths = capture.load("paths.py", "_gitparams_paths")
_lines = capture.load("../lines.py", "_gitparams_lines")


def hang(module):
    """Look at each job's config before its task is called and after it returned; callbacks of the user's go on as ever."""
    notify = module.Callbacks._notify

    @functools.wraps(notify)
    def _notify(self, function_name, *args, **kwargs):
        if function_name == "on_job_start":
            _guarded(_begin, kwargs.get("config"), _task_config())
        result = notify(self, function_name, *args, **kwargs)
        if function_name == "on_job_end":
            _guarded(_end, kwargs.get("job_return"))
        return result

    module.Callbacks._notify = _notify


def _guarded(step, *args):
    try:
        step(*args)
    except Exception as error:
        capture.fault(error)


def _task_config():
    """Return the very object that the task is about to get, so that what a resolver is asked once holds for both."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_name != "run_job":
        frame = frame.f_back
    return frame.f_locals.get("task_cfg") if frame is not None else None


class _Job:
    """A job between its start and its end."""

    def __init__(self, config, values, child, folder):
        self.config, self.values, self.child, self.folder = config, values, child, folder
        self.pid = os.getpid()


_jobs = []
"""Those that are going on, the innermost last."""


def _begin(config, task_config):
    if config is None or task_config is None:
        return
    values = capture.plain(task_config)
    composed = _composed.Composed(config, _paths, _lines, capture.without_secrets)
    facts = {"program": _program(composed.cwd), "hydra": composed.facts()}
    origins = composed.origins(values)
    child = None
    if facts["hydra"]["job"]["num"] is not None:
        child = capture.Child("hydra", _SKIPPED)
        child.begin(values, origins, facts)
    else:
        capture.say("hydra", values, origins, _SKIPPED, facts)
    _jobs.append(_Job(task_config, values, child, facts["hydra"]["output_dir"]))


_SKIPPED = ("hydra", "hydra_zen", "hydra_plugins")


def _end(returned):
    if not _jobs or _jobs[-1].pid != os.getpid():
        return
    job = _jobs.pop()
    values = capture.plain(job.config)
    if values != job.values:
        capture.say_drift("hydra", values)
    if job.child is not None:
        failed = returned is None or returned.status.name != "COMPLETED"
        job.child.end("failed" if failed else "completed", int(failed), job.folder)


def _program(folder):
    """Return how the program is called; a job may stand in another folder by now, or in a worker of joblib's."""
    name = sys.argv[0] if capture.is_worker() else capture.program_name()
    place = os.path.join(folder or "", name)
    return os.path.abspath(place) if os.path.isfile(place) else name
