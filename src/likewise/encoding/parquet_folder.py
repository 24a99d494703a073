"""A folder of Parquet files, on a disk or in object storage, through the file systems of pyarrow."""

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ParquetFolder:
    """A folder on a disk that all machines see, or in object storage (``s3://bucket/folder``)."""

    address: str

    @classmethod
    def at(cls, address: str) -> "ParquetFolder":
        """The folder of a path, which other processes understand too, or of an address."""
        return cls(address if "://" in address else str(Path(address).resolve()))

    def opened(self) -> tuple[Any, str]:
        """The pyarrow file system, and the folder's path there."""
        from pyarrow import fs

        return fs.FileSystem.from_uri(self.address) if "://" in self.address else (fs.LocalFileSystem(), self.address)

    @property
    def path(self) -> str:
        """What to call the folder: its address may hold a password."""
        return self.opened()[1]

    def files(self) -> dict[str, Any]:
        """The Parquet files, by their path within the folder, with what the file system tells of each.

        As for other readers, names that begin with a dot or an underscore are none.
        """
        from pyarrow import fs

        system, path = self.opened()
        found = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
        named = {posixpath.relpath(info.path, path): info for info in found if info.is_file}
        return {
            name: named[name]
            for name in sorted(named)
            if name.endswith(".parquet") and not any(part[0] in "._" for part in name.split("/"))
        }

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where it is not there."""
        system, path = self.opened()
        try:
            with system.open_input_stream(posixpath.join(path, name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: Any) -> None:
        """Write a file that appears whole or not at all."""
        system, folder = self.opened()
        path = posixpath.join(folder, name)
        if system.type_name not in ("local", "hdfs"):
            with system.open_output_stream(path) as stream:  # an object is there once its upload ends
                stream.write(content)
            return
        system.create_dir(posixpath.dirname(path), recursive=True)
        base, suffix = posixpath.splitext(posixpath.basename(path))
        temporary = posixpath.join(posixpath.dirname(path), f".{base}-{os.urandom(4).hex()}.part{suffix}")
        with system.open_output_stream(temporary) as stream:
            stream.write(content)
        system.move(temporary, path)

    def footer(self, name: str) -> Any:
        """The metadata of a Parquet file; None where there is no whole one."""
        import pyarrow
        from pyarrow import parquet

        system, path = self.opened()
        try:
            with system.open_input_file(posixpath.join(path, name)) as file:
                return parquet.read_metadata(file)
        except (FileNotFoundError, pyarrow.ArrowInvalid):
            return None
