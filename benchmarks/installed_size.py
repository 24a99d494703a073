"""How much room packages take where they are installed, and all that they require.

    PYTHON installed_size.py PACKAGE...

It prints a line of JSON: the bytes of all of them together, and the versions of the packages that were named.
Packages that a platform or an extra alone would need are not counted, nor is what is not installed.
"""

import json
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NOT_INSTALLED = {".cpp", ".h"}  # in a checkout's folder, but in no wheel


def closure(names: list[str]) -> dict[str, Distribution]:
    """The installed packages of ``names`` and all that they require, by their names."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()  # package and extra
    pending = [(name, "") for name in names]
    while pending:
        name, extra = pending.pop()
        name = canonicalize_name(name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for text in found[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                pending += [(requirement.name, wanted) for wanted in ("", *requirement.extras)]
    return found


def size(package: Distribution) -> int:
    """Bytes of the files of ``package``; of an editable one, those of the folder that it is read from, too."""
    paths = {Path(str(file.locate())).resolve() for file in package.files or ()}
    if '"editable": true' in (package.read_text("direct_url.json") or ""):
        spec = find_spec(package.metadata["Name"])
        for folder in (spec and spec.submodule_search_locations) or ():
            paths |= {path.resolve() for path in Path(folder).rglob("*") if path.suffix not in NOT_INSTALLED}
    return sum(path.stat().st_size for path in paths if path.is_file())


if __name__ == "__main__":
    versions = {name: distribution(name).version for name in sys.argv[1:]}
    print(json.dumps({"bytes": sum(map(size, closure(sys.argv[1:]).values())), "versions": versions}))
