"""Builds as data: relative file names and bytes, with a digest, an archive and a manifest.

They are the same on every machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from lehr.atomic import write_bytes, writing_folder
from lehr.errors import FileRefused, UsageError
from lehr.folders import require_marked
from lehr.leftovers import recover
from lehr.reading import JSON_BYTES, parse_json, read_bytes, sha256_of

MANIFEST = "manifest.json"
LOOKS = 100
"""Looks, at most, at a folder that other writers replace meanwhile."""
PRODUCTS = "products"
"""Key of the manifest: patterns of names of what the artefact's own Makefile makes.

The next build may drop such files.
"""
PROVEN = PROOF, REFUTED = "report/proof.json", "report/refuted.npz"
"""What `lehr prove` writes beside the manifest's files: its claims, and inputs that refute one."""
SCHEMA = "lehr-artifact/1"
AGAIN = "build the artefact again"
"""The way out for an artefact that is not as it was built."""
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}\Z")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def sha256(data: bytes) -> str:
    """Return the hexadecimal sha256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def to_json(value: Any) -> bytes:
    """Return JSON in the one form lehr writes: sorted keys, two spaces, a newline at the end."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive that has the same bytes for the same files.

    Times, modes and order are fixed.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zip_entry(name), data)
    return buffer.getvalue()


def zip_entry(name: str) -> zipfile.ZipInfo:
    """Return what a zip archive says of a file, but for its bytes: always the same."""
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type, entry.external_attr, entry.create_system = (
        zipfile.ZIP_DEFLATED,
        0o644 << 16,
        3,
    )
    return entry


@dataclass(frozen=True)
class BuildPlan:
    """Files of an artefact by relative name; making one touches no disk.

    Raises:
        FileRefused: for a name that is absolute, leaves the folder, or could not be stored on every
            file system.
    """

    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        folders = {str(parent) for name in self.files for parent in PurePosixPath(name).parents}
        for name in sorted(self.files):
            if name in folders:
                raise FileRefused(f"file name {name!r} is a folder of other files, too; rename one")
            if not name or not all(_PART.match(part) for part in name.split("/")):
                raise FileRefused(
                    f"file name {name!r} is not safe; use letters, digits, '_', '-', '.' and '/' "
                    "between folders"
                )
            other = seen.setdefault(name.lower(), name)
            if other != name:
                raise FileRefused(
                    f"file names {other!r} and {name!r} differ in case only; rename one"
                )
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    def __or__(self, other: BuildPlan) -> BuildPlan:
        """Return a plan of both plans' files; a name in both is an error of whoever planned."""
        twice = self.files.keys() & other.files.keys()
        if twice:
            raise FileRefused(f"{min(twice)} is planned twice; give one of them another name")
        return BuildPlan({**self.files, **other.files})

    @property
    def digest(self) -> str:
        """sha256 over all names and contents."""
        hasher = hashlib.sha256()
        for name, data in self.files.items():
            hasher.update(f"{len(name)}:{name}:{len(data)}:".encode() + data)
        return hasher.hexdigest()

    def with_manifest(self, facts: Mapping[str, Any]) -> BuildPlan:
        """Return this plan and its manifest: the sha256 of each file, and `facts`.

        No path, host or time belongs in the facts.
        """
        manifest = {
            "schema": SCHEMA,
            "files": {name: sha256(data) for name, data in self.files.items()},
            **facts,
        }
        return self | BuildPlan({MANIFEST: to_json(manifest)})

    def archive(self, path: Path) -> None:
        """Write a zip file that has the same bytes for the same plan."""
        write_bytes(path, zip_bytes(self.files))

    def write(self, folder: Path, mark: str = MANIFEST, own: Collection[str] | None = None) -> None:
        """Make `folder` hold exactly these files, all of them or none.

        A folder that is there is replaced as `check_replaceable` says.

        Raises:
            UsageError: when `folder` holds something that lehr did not build.
            FileRefused: when it cannot be written.
        """
        check_replaceable(folder, mark, own)
        with writing_folder(folder) as part:
            self.fill(part)

    def fill(self, folder: Path) -> None:
        """Write these files into a folder of one's own, the manifest last.

        Raises:
            OSError: when one cannot be written; those before it are there.
        """
        for name, data in sorted(self.files.items(), key=lambda item: item[0] == MANIFEST):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def check_replaceable(
    folder: Path, mark: str = MANIFEST, own: Collection[str] | None = None
) -> None:
    """Refuse to replace a file, or a folder that holds anything but what lehr has written there.

    Args:
        folder: to be replaced, if it is there.
        mark: the file by which lehr knows its own.
        own: patterns of the names of what lehr writes there; what the folder's manifest tells if
            None.
    """
    recover(folder)
    for _ in range(LOOKS):  # another writer may replace it meanwhile
        before = _identity(folder)
        with suppress(FileNotFoundError):
            refusal = _why_irreplaceable(folder, mark, own)
            if _identity(folder) != before:
                continue
            if refusal:
                raise UsageError(refusal)
            return
    raise UsageError(f"{folder} changes while it is looked at; choose another output folder")


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return which folder stands at a place; None if there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_ino, status.st_ctime_ns


def _why_irreplaceable(folder: Path, mark: str, own: Collection[str] | None) -> str:
    """Return why the folder that is there now may not be replaced; nothing if it may."""
    if folder.exists() and not folder.is_dir():
        return f"{folder} is a file; choose another output folder"
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / mark).is_file():
            return (
                f"{folder} is not empty and was not made by lehr (no {mark}); choose another "
                "output folder or empty it"
            )
        known = _built(folder) if own is None else own
        present = (
            path.relative_to(folder).as_posix()
            for path in sorted(folder.rglob("*"))
            if path.is_symlink() or not path.is_dir()
        )
        if others := [
            name for name in present if not any(fnmatchcase(name, pattern) for pattern in known)
        ]:
            extra = f"{others[0]}{f' and {len(others) - 1} more' if len(others) > 1 else ''}"
            return (
                f"{folder} holds {extra}, which lehr did not write there; choose another output "
                "folder"
            )
    if not folder.absolute().parent.is_dir():
        return (
            f"{folder.absolute().parent} is not a folder; make it first or choose another output "
            "folder"
        )
    return ""


def _built(folder: Path) -> list[str]:
    """Return patterns of what a built artefact holds; none if its manifest is not one of ours."""
    try:
        manifest = read_manifest(folder)
    except (FileRefused, UsageError):
        return []
    return [MANIFEST, *manifest["files"], *manifest.get(PRODUCTS, ()), *PROVEN]


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a built artefact.

    Raises:
        UsageError: when `folder` is none.
        FileRefused: when its manifest does not parse.
    """
    recover(folder)
    path = folder / MANIFEST
    require_marked(folder, MANIFEST, "lehr build")
    data = read_bytes(path, JSON_BYTES, AGAIN)
    try:
        manifest = parse_json(data)
        BuildPlan(dict.fromkeys(manifest["files"].keys(), b""))  # refuses names that are not safe
        if manifest["schema"] != SCHEMA:
            raise ValueError
        products = manifest.get(PRODUCTS, [])
        if not isinstance(products, list) or not all(
            isinstance(text, str) for text in (*products, *manifest["files"].values())
        ):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, FileRefused):
        raise FileRefused(f"{path} is not a manifest of schema {SCHEMA}; {AGAIN}") from None
    return dict(manifest)


def changed_files(folder: Path, files: Mapping[str, str] | None = None) -> list[str]:
    """Return names of files in `folder` that are missing or differ from what its manifest says.

    Args:
        folder: that was built.
        files: the sha256 of each by name; all that the manifest states if None.

    Raises:
        UsageError: when `folder` is no artefact.
        FileRefused: when its manifest does not parse, or one of the files is a pipe or a device.
    """
    stated = read_manifest(folder)["files"] if files is None else files
    return [
        name
        for name, digest in stated.items()
        if not (folder / name).exists() or sha256_of(folder / name, AGAIN) != digest
    ]
