from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from gitparams.capture.environment import machine, packages, variables
from gitparams.capture.redaction import Redaction

SYSTEM = f"{os.uname().sysname} {os.uname().release}"
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def write(root, **files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def settle(folder):
    """Let a folder look as if nothing in it had changed for a minute."""
    long_ago = time.time() - 60
    os.utime(folder, (long_ago, long_ago))


def installed(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
    settle(folder)
    return str(folder)


class Memory(dict):
    """What is remembered, and how often it was written."""

    written = 0

    def remember(self, key, value):
        self.written += 1
        self[key] = value


def test_a_machine_is_read_from_the_files_of_its_system(tmp_path):
    root = write(
        tmp_path,
        **{
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD  EPYC 7763\nflags\t: fpu\n\nprocessor\t: 1\nmodel name\t: other\n",
            "proc/meminfo": "MemTotal:       24684084 kB\nMemFree: 1 kB\n",
            "proc/driver/nvidia/gpus/0000:07:00.0/information": "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ: 1\n",
            "proc/driver/nvidia/gpus/0000:0f:00.0/information": "Model: \t\t NVIDIA H100\n",
            "proc/driver/nvidia/gpus/0000:ff:00.0/information": "IRQ: 1\n",
            "sys/class/drm/card0/device/vendor": "0x8086\n",
            "sys/class/drm/card10/device/vendor": "0x1002\n",
            "sys/class/drm/card10/device/device": "0x740c\n",
            "sys/class/drm/card2/device/vendor": "0x1002\n",
            "sys/class/drm/card2/device/product_name": "AMD Instinct MI250X\n",
            "sys/class/drm/card2-DP-1/device/vendor": "0x1002\n",
        },
    )

    assert machine(root) == {
        "cpu": "AMD EPYC 7763",
        "cpus": CPUS,
        "memory": 24684084 * 1024,
        "gpus": ["NVIDIA A100-SXM4-40GB", "NVIDIA H100", "AMD Instinct MI250X", "AMD 0x740c"],
        "system": SYSTEM,
    }


def test_the_model_of_an_arm_board_stands_behind_all_its_cores(tmp_path):
    cores = "".join(f"processor : {core}\nFeatures : {'x' * 200}\n\n" for core in range(40))
    write(tmp_path, **{"proc/cpuinfo": f"{cores}Hardware\t: BCM2835\n", "proc/meminfo": "MemTotal: 1 kB\n"})

    assert machine(tmp_path) == {"cpu": "BCM2835", "cpus": CPUS, "memory": 1024, "system": SYSTEM}


@pytest.mark.parametrize("bad", [b"", b"\xff\xfe\x00garbage", b"MemTotal: many kB\nmodel name\n"])
def test_files_that_say_nothing_leave_what_the_kernel_says(tmp_path, bad):
    write(tmp_path, **{"proc/cpuinfo": bad, "proc/meminfo": bad, "proc/driver/nvidia/gpus": bad, "sys/class/drm": bad})

    assert machine(tmp_path) == {
        "cpu": os.uname().machine,
        "cpus": CPUS,
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": SYSTEM,
    }


def test_this_machine_has_a_processor_and_memory():
    assert {"cpu", "cpus", "memory", "system"} <= machine().keys()


def test_only_variables_that_change_a_run_are_kept():
    environ = {
        "CUDA_VISIBLE_DEVICES": "",
        "NCCL_DEBUG": "INFO",
        "SLURM_JOB_ID": "17",
        "VIRTUAL_ENV": "/home/ada/envs/vision/",
        "HOME": "/home/ada",
        "PATH": "/bin",
        "HF_TOKEN": "correct-horse",
    }

    assert variables(environ) == {
        "CUDA_VISIBLE_DEVICES": "",
        "NCCL_DEBUG": "INFO",
        "SLURM_JOB_ID": "17",
        "VIRTUAL_ENV": "vision",
    }


def test_a_project_adds_variables_and_secrets_never_come_in():
    environ = {
        "APP_MODE": "fast",
        "APP_TOKEN": "correct-horse",
        "APP_URL": "https://me:pw@host/",
        "APP_ACCOUNT": "7",
        "APP_NOTE": "by correct-horse",
        "app_mode": "slow",
    }
    redaction = Redaction.of(["*account*"]).knowing(environ)

    assert variables(environ, ["APP_*"], redaction) == {
        "APP_ACCOUNT": "<redacted>",
        "APP_MODE": "fast",
        "APP_NOTE": "by <redacted>",
        "APP_URL": "https://<redacted>@host/",
    }


def test_packages_are_named_by_the_folders_installers_leave(tmp_path):
    folder = tmp_path / "site-packages"
    path = installed(
        folder,
        "typing_extensions-4.12.2.dist-info",
        "torch-2.1.0+cu118.dist-info",
        "PyYAML-6.0.1.dist-info",
        "ruamel.yaml-0.18.6.dist-info",
        "old_tool-1.0-py3.11.egg-info",
        "built-2.0-py3.8-linux-x86_64.egg-info",
        "nameless.egg-info",
        "~umpy-1.0.dist-info",
        "not_versioned-latest.dist-info",
        "numpy",
    )
    write(
        folder,
        **{
            "develop.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: my-develop\nVersion: 0.3.dev0\n",
            "distutils-thing-3.egg-info": "Metadata-Version: 1.0\nName: distutils-thing\nVersion: 3\n",
            "as_file.egg-info": "Metadata-Version: 1.0\nName: as-file\nVersion: 1.5\n",
        },
    )

    assert packages([path], {}.get, Memory().remember) == (
        "as-file==1.5",
        "built==2.0",
        "distutils-thing==3",
        "my-develop==0.3.dev0",
        "old-tool==1.0",
        "PyYAML==6.0.1",
        "ruamel.yaml==0.18.6",
        "torch==2.1.0+cu118",
        "typing-extensions==4.12.2",
    )


def test_the_first_on_the_path_counts(tmp_path):
    first = installed(tmp_path / "first", "Some_Tool-2.0.dist-info")
    second = installed(tmp_path / "second", "some-tool-1.0.dist-info", "other-1.dist-info")

    assert packages([first, second, first], {}.get, Memory().remember) == ("other==1", "Some-Tool==2.0")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"url": "file:///x", "dir_info": {"editable": True}}, "tool==1.0 (editable)"),
        ({"url": "file:///x", "dir_info": {}}, "tool==1.0"),
        ({"url": "https://host/x", "vcs_info": {"vcs": "git"}}, "tool==1.0"),
        ([], "tool==1.0"),
    ],
)
def test_an_editable_package_is_marked(tmp_path, document, expected):
    write(tmp_path, **{"tool-1.0.dist-info/direct_url.json": json.dumps(document)})

    assert packages([str(tmp_path)], {}.get, Memory().remember) == (expected,)


def test_a_folder_is_read_once_until_it_changes(tmp_path):
    path, memory = installed(tmp_path, "tool-1.0.dist-info"), Memory()
    once = packages([path], memory.get, memory.remember)
    (tmp_path / "tool-1.0.dist-info").rename(tmp_path / "tool-1.1.dist-info")
    os.utime(tmp_path, (1, 1))
    changed = packages([path], memory.get, memory.remember)
    again = packages([path], memory.get, memory.remember)

    assert (once, changed, again, memory.written) == (("tool==1.0",), ("tool==1.1",), ("tool==1.1",), 2)


def test_what_is_remembered_is_believed(tmp_path):
    path, memory = installed(tmp_path, "tool-1.0.dist-info"), Memory()
    packages([path], memory.get, memory.remember)
    ((key, text),) = memory.items()
    memory[key] = text.replace("tool==1.0", "kept==9")

    assert packages([path], memory.get, memory.remember) == ("kept==9",)


def test_a_folder_that_changed_just_now_is_not_remembered(tmp_path):
    (tmp_path / "tool-1.0.dist-info").mkdir()
    memory = Memory()

    assert (packages([str(tmp_path)], memory.get, memory.remember), memory) == (("tool==1.0",), {})


def test_an_empty_folder_is_remembered_too(tmp_path):
    path, memory = installed(tmp_path), Memory()

    assert packages([path], memory.get, memory.remember) == packages([path], memory.get, memory.remember) == ()
    assert memory.written == 1


@pytest.mark.parametrize("path", ["/nowhere/at/all", "zip\0file", __file__, "a" * 5000])
def test_what_is_no_folder_is_passed_over(path):
    assert packages([path], {}.get, Memory().remember) == ()


def test_the_same_is_found_as_by_importlib_metadata():
    program = (
        "import importlib.metadata as m, json, re, sys; from gitparams.capture.environment import packages;"
        "normal = lambda name: re.sub('[-_.]+', '-', name).lower();"
        "ours = [p.split(' ')[0].split('==') for p in packages(sys.path, {}.get, {}.__setitem__)];"
        "theirs = {normal(d.metadata['Name']): d.version for d in reversed(list(m.distributions()))};"
        "print(json.dumps([{normal(name): version for name, version in ours}, theirs]))"
    )

    ours, theirs = json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)

    assert ours == theirs


def test_nothing_large_is_imported():
    program = (
        "import sys; before = set(sys.modules); from gitparams.capture.environment import machine, packages, variables;"
        "machine(), packages(sys.path, {}.get, {}.__setitem__), variables({});"
        "print(sorted({'importlib.metadata', 'platform', 'subprocess', 'yaml', 'email'} & (set(sys.modules) - before)))"
    )

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
