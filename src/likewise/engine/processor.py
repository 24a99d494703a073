"""What this machine can do, without importing torch."""

import math
import os
import platform
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


@lru_cache(maxsize=1)
def has_native_bfloat16() -> bool:
    """Whether this machine's CPU multiplies bfloat16 in hardware: AVX512-BF16 or AMX on x86-64, BF16 on Arm.

    Read from Linux's /proc/cpuinfo; other systems count as without.
    """
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return False
    wanted = {"aarch64": {"bf16"}, "x86_64": {"avx512_bf16", "amx_bf16"}}.get(platform.machine(), set())
    with cpuinfo.open() as lines:
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip() in ("flags", "Features"):
                return not wanted.isdisjoint(value.split())
    return False


def available_cores() -> int:
    """How many cores this process may use: those that it may run on, and no more than its control group is granted."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = Path("/sys/fs/cgroup/cpu.max")  # "max 100000", or microseconds granted of each so many
    if limit.is_file():
        granted, period = limit.read_text().split()
        if granted != "max":
            cores = min(cores, math.ceil(int(granted) / int(period)))
    return max(cores, 1)


def may_have_gpu() -> bool:
    """Whether it is worth asking torch for a GPU: the driver of one is there, or this is an Apple machine."""
    drivers = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # NVIDIA's, AMD's, and Windows' for Linux
    return any(map(os.path.exists, drivers)) or (platform.system(), platform.machine()) == ("Darwin", "arm64")


def has_torch() -> bool:
    """Whether torch is installed."""
    return find_spec("torch") is not None
