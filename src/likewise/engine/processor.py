"""What the processor can do, without importing torch."""

import platform
from functools import lru_cache
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
