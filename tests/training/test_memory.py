"""Memory that is kept during a training goes back to the system afterwards."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
from likewise.training.memory import freed_memory_is_kept
import resource

def faults(blocks):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(blocks):
        block = bytearray(1 << 27)  # written once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1])

small = resident()
with freed_memory_is_kept():
    faults(2)
    kept = faults(5)
after = resident()
print(kept, after - small)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_it_is_taken_once_and_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    kept, left = map(int, done.stdout.split())
    pages = (1 << 27) // 4096
    assert kept < pages  # of five blocks
    assert left < pages / 2
