"""The place where a run ran: its machine, the variables that change what a program computes, the installed packages."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from pathlib import Path

from gitparams.capture.redaction import DEFAULT, Redaction, is_secret_name
from gitparams.values import Value

VARIABLES = (
    # which devices, and how many threads
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
    "HSA_OVERRIDE_GFX_VERSION", "ZE_AFFINITY_MASK", "TPU_VISIBLE_CHIPS",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "KMP_AFFINITY", "KMP_BLOCKTIME", "TOKENIZERS_PARALLELISM",
    # what changes the numbers
    "PYTHONHASHSEED", "PYTHONOPTIMIZE", "CUBLAS_WORKSPACE_CONFIG", "CUDA_LAUNCH_BLOCKING", "NVIDIA_TF32_OVERRIDE",
    "MKL_CBWR", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC", "TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "XLA_FLAGS",
    "JAX_PLATFORMS", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_DISABLE_JIT", "XLA_PYTHON_CLIENT_*",
    "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF", "PYTORCH_ENABLE_MPS_FALLBACK",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCHDYNAMO_DISABLE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
    # which part of a job
    "NCCL_*", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK",
    "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_JOB_PARTITION", "SLURM_NNODES", "SLURM_NTASKS", "SLURM_GPUS", "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID", "PBS_JOBID", "LSB_JOBID",
    # which Python
    "CONDA_DEFAULT_ENV", "VIRTUAL_ENV",
)  # fmt: skip
"""Globs of the environment variables that are recorded."""

_AMD = "0x1002"
_CARD = re.compile(r"card[0-9]+")
_RACY_NS = 2_000_000_000
_STEM = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)-(?P<version>[0-9v][^-]*?)(?:-py[0-9.]+(?:-.+)?)?")
_FIELD = re.compile(r"^(Name|Version):\s*(\S+)\s*$", re.MULTILINE)


def machine(root: Path = Path("/")) -> dict[str, Value]:
    """Return what is known of the machine, read from files of the system; what is not known is left out.

    Args:
        root: where the folders ``proc`` and ``sys`` are.

    Returns:
        dict: ``cpu`` (the model), ``cpus`` (how many this process may use), ``memory`` (of the machine, in bytes), ``gpus``
        (a name each) and ``system`` (``Linux 6.1.0``).
    """
    system = os.uname()
    known: dict[str, Value] = {
        "cpu": _cpu(root) or system.machine,
        "cpus": _cpus(),
        "memory": _memory(root),
        "gpus": [*_nvidia_gpus(root), *_amd_gpus(root)],
        "system": f"{system.sysname} {system.release}",
    }
    return {name: value for name, value in known.items() if value}


def variables(environ: Mapping[str, str], extra: Sequence[str] = (), redaction: Redaction = DEFAULT) -> dict[str, str]:
    """Return the environment variables that are recorded, sorted by name and freed of secrets.

    A variable with a secret name is never among them; of ``VIRTUAL_ENV`` only the name of the folder is kept.

    Args:
        environ: all variables.
        extra: globs of names, in addition to `VARIABLES`.
        redaction: what counts as a secret.

    >>> variables({"HOME": "/home/ada", "OMP_NUM_THREADS": "8", "APP_MODE": "fast", "APP_TOKEN": "x"}, ["APP_*"])
    {'APP_MODE': 'fast', 'OMP_NUM_THREADS': '8'}
    """
    wanted = _any_of((*VARIABLES, *extra))
    chosen: dict[str, Value] = {
        name: environ[name] for name in sorted(environ) if wanted.fullmatch(name) and not is_secret_name(name)
    }
    if "VIRTUAL_ENV" in chosen:
        chosen["VIRTUAL_ENV"] = Path(environ["VIRTUAL_ENV"]).name
    clean, _ = redaction.values(chosen)
    return {name: str(value) for name, value in clean.items()}


def packages(
    paths: Sequence[str], remembered: Callable[[str], str | None], remember: Callable[[str, str], None]
) -> tuple[str, ...]:
    """Return the packages installed on a ``sys.path`` as ``name==version``, sorted by name whatever the case.

    The names of the folders that installers leave beside a package say it, without starting a process. Of the same package
    twice the first on the path counts, as it does for an import. One that is installed in editable mode ends with
    ``(editable)``. What a folder holds is remembered until the folder changes.

    Args:
        paths: the folders, in order; what is no folder is passed over.
        remembered: gives the text kept under a key, or None.
        remember: keeps a text under a key.
    """
    found: dict[str, str] = {}
    for path in dict.fromkeys(path or "." for path in paths):
        for package in _packages_in(path, remembered, remember):
            name = re.sub(r"[-_.]+", "-", package.partition("==")[0]).lower()
            found.setdefault(name, package)
    return tuple(found[name] for name in sorted(found))


# -- the machine --------------------------------------------------------------------------------------------------------------


def _cpu(root: Path) -> str:
    path = root / "proc/cpuinfo"
    model = _fields(_start_of(path)).get("model name")
    if model:
        return model
    # the whole of it only here: the kernel makes it up anew, and asks each of a few hundred cores for its speed
    fields = _fields(_start_of(path, 1_000_000))
    return fields.get("Hardware") or fields.get("Model") or fields.get("cpu") or ""


def _cpus() -> int | None:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count()


def _memory(root: Path) -> int | None:
    total = _fields(_start_of(root / "proc/meminfo")).get("MemTotal", "").partition(" ")[0]
    if total.isdigit():
        return int(total) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _nvidia_gpus(root: Path) -> list[str]:
    folder = root / "proc/driver/nvidia/gpus"
    models = (_fields(_start_of(folder / card / "information")).get("Model") for card in _names_in(folder))
    return [model for model in models if model]


def _amd_gpus(root: Path) -> list[str]:
    folder = root / "sys/class/drm"
    cards = sorted(filter(_CARD.fullmatch, _names_in(folder)), key=lambda card: (len(card), card))
    return list(filter(None, (_amd_gpu(folder / card / "device") for card in cards)))


def _amd_gpu(device: Path) -> str:
    name = _start_of(device / "product_name").strip()
    if name or _start_of(device / "vendor").strip() != _AMD:
        return name
    return f"AMD {_start_of(device / 'device').strip()}".strip()


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), " ".join(value.split()))
    return fields


def _start_of(path: Path, size: int = 4096) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(size).decode("utf-8", "replace")
    except OSError:
        return ""


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


# -- variables ----------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _any_of(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, globs)))


# -- packages -----------------------------------------------------------------------------------------------------------------


def _packages_in(path: str, remembered: Callable[[str], str | None], remember: Callable[[str, str], None]) -> tuple[str, ...]:
    try:
        status = Path(path).stat()
        key = "packages " + hashlib.sha256(os.fsencode(Path(path).absolute())).hexdigest()[:24]
        state = f"{status.st_mtime_ns} {status.st_ino}"
        kept = (remembered(key) or "").split("\n")
        if kept[0] == state:
            return tuple(kept[1:])
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith((".dist-info", ".egg-info")))
    except (OSError, ValueError):
        return ()
    found = tuple(filter(None, (_package(path, name) for name in names)))
    # a folder that changed just now may change again without its time telling
    if abs(time.time_ns() - status.st_mtime_ns) > _RACY_NS:
        remember(key, "\n".join([state, *found]))
    return found


def _package(folder: str, entry: str) -> str | None:
    place = f"{folder}/{entry}"
    match = _STEM.fullmatch(entry[: -len(".dist-info")])
    if match:
        name, version = match["name"].replace("_", "-"), match["version"]
    else:
        fields = dict(_FIELD.findall(_metadata(place)))
        name, version = fields.get("Name", ""), fields.get("Version", "")
    if not (name and version):
        return None
    return f"{name}=={version} (editable)" if entry.endswith(".dist-info") and _is_editable(place) else f"{name}=={version}"


def _metadata(place: str) -> str:
    # an egg-info may be the file itself
    return next(filter(None, (_start_of(Path(place + inside)) for inside in ("/METADATA", "/PKG-INFO", ""))), "")


def _is_editable(place: str) -> bool:
    try:
        with open(f"{place}/direct_url.json", "rb", buffering=0) as file:
            return bool(json.loads(file.read())["dir_info"]["editable"])
    except (OSError, ValueError, LookupError, TypeError):
        return False
