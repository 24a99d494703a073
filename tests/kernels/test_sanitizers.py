"""The kernels under the compiler's sanitizers: no read or write out of bounds, no undefined behaviour, no data race."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEES_MEMORY = ("-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
SEES_RACES = ("-fsanitize=thread",)
STACKS = "-g1"  # file and line in what a sanitizer reports


@pytest.mark.parametrize(
    ("sanitizer", "arguments"), [(SEES_MEMORY, []), (SEES_RACES, ["threads"])], ids=["memory", "races"]
)
def test_kernels(tmp_path: Path, sanitizer: Sequence[str], arguments: list[str]) -> None:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or shutil.which("cmake") is None:
        pytest.skip("needs cmake, and g++ or clang++")
    skip_without_runtime(compiler, sanitizer, tmp_path)
    flags = " ".join(["-O1", STACKS, "-Werror", *sanitizer])
    build = tmp_path / "build"
    settings = [f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_CXX_FLAGS={flags}", "-DCMAKE_BUILD_TYPE=Sanitized"]
    succeed("cmake", "-S", str(ROOT), "-B", str(build), *settings)
    succeed("cmake", "--build", str(build), "--target", "kernels_test", "--parallel", "2")
    succeed(*without_random_addresses(), str(build / "kernels_test"), *arguments)


def skip_without_runtime(compiler: str, sanitizer: Sequence[str], folder: Path) -> None:
    source, program = folder / "nothing.cpp", folder / "nothing"
    source.write_text("int main() { return 0; }\n", encoding="utf-8")
    for command in (
        [compiler, *sanitizer, str(source), "-o", str(program)],
        [*without_random_addresses(), str(program)],
    ):
        tried = subprocess.run(command, capture_output=True, text=True)
        if tried.returncode:
            pytest.skip(f"no programs run here with {' '.join(sanitizer)}: {tried.stderr.strip()[-300:]}")


def without_random_addresses() -> list[str]:
    """The thread sanitizer of older compilers needs them to be where it expects them."""
    command = ["setarch", platform.machine(), "-R"]
    is_allowed = (
        shutil.which("setarch") is not None and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    )
    return command if is_allowed else []


def succeed(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert not done.returncode, f"{' '.join(command)}\n{done.stdout[-6000:]}"
