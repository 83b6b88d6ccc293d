"""Where model artefacts are kept: a folder that all processes see, or an S3 bucket.

An artefact is a folder of arrays under a manifest with their checksums
(`recommendations.core.artefact`), and never changes once it has a name.  So a copy is either whole
and right or not there, and may be kept for ever.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from recommendations.core.artefact import MANIFEST, CorruptArtefact

logger = logging.getLogger(__name__)

KEPT_COPIES = 4
"""Copies kept on a machine's disk: the one that serves, the one before, and two to go back to."""

TIMEOUT_SECONDS = 5


class UnavailableArtefact(CorruptArtefact):
    """The store does not answer, or holds no such artefact; asking again later may help."""


class ArtefactStore(Protocol):
    """Keeps artefacts by the name of their folder."""

    def publish(self, folder: Path) -> None:
        """Make a complete folder available to every process.

        Raises:
            UnavailableArtefact: the store does not take it.
        """

    def fetch(self, name: str, manifest_sha256: str) -> Path:
        """Return a local folder with the artefact, its manifest checked.

        Raises:
            CorruptArtefact: the manifest is not the one that was registered.
            UnavailableArtefact: the store does not answer, or holds no such artefact.
        """

    def remove(self, name: str) -> None:
        """Remove what there is of an artefact that no version names, whole or half-made.

        Raises:
            UnavailableArtefact: the store does not let go of it.
        """


class FolderStore:
    """A folder: of one machine, or shared by several."""

    def __init__(self, root: Path) -> None:
        self._root = Path(root)

    def publish(self, folder: Path) -> None:
        """Do nothing: a training writes into the folder itself."""

    def fetch(self, name: str, manifest_sha256: str) -> Path:
        """Return the folder of that name."""
        folder = self._root / name
        try:
            found = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
        except OSError as error:
            raise UnavailableArtefact(f"{folder}: the manifest cannot be read: {error}") from error
        if found != manifest_sha256:
            raise CorruptArtefact(f"{folder}: the manifest is not the one that was registered")
        return folder

    def remove(self, name: str) -> None:
        """Remove the folder of that name, and what was being written to become it."""
        try:
            for folder in (self._root / name, *self._root.glob(f".{name}-*")):
                if folder.exists():
                    shutil.rmtree(folder)
        except OSError as error:
            raise UnavailableArtefact(f"{name} cannot be removed: {error}") from error


class S3Store:
    """An S3 bucket, with copies on this machine's disk that processes map into memory."""

    def __init__(self, bucket: str, prefix: str, cache: Path) -> None:
        import boto3  # 80 MB that an installation on a folder does without
        from botocore.config import Config

        self._bucket, self._prefix, self._cache = bucket, prefix.strip("/"), Path(cache)
        self._s3 = boto3.client(
            "s3",
            config=Config(
                connect_timeout=TIMEOUT_SECONDS,
                read_timeout=TIMEOUT_SECONDS,
                retries={"max_attempts": 3, "mode": "standard"},
            ),
        )

    def publish(self, folder: Path) -> None:
        """Upload the arrays, and the manifest last: what has a manifest is complete."""
        names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
        try:
            for name in [*names, MANIFEST]:
                self._s3.upload_file(
                    str(folder / name),
                    self._bucket,
                    self._key(folder.name, name),
                    ExtraArgs={"ChecksumAlgorithm": "SHA256"},
                )
        except (BotoCoreError, ClientError, OSError) as error:
            raise UnavailableArtefact(f"{folder.name} cannot be uploaded: {error}") from error

    def fetch(self, name: str, manifest_sha256: str) -> Path:
        """Return the copy on this disk, downloading it where it is not there yet or damaged."""
        local = FolderStore(self._cache)
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with (self._cache / f".{name}.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # processes of one machine download it once
                if self._is_whole(name, manifest_sha256):
                    os.utime(self._cache / name)
                else:
                    self._download(name, manifest_sha256)
                    self._forget_oldest()
        except (BotoCoreError, ClientError, OSError) as error:
            raise UnavailableArtefact(f"{name} cannot be fetched: {error}") from error
        return local.fetch(name, manifest_sha256)

    def remove(self, name: str) -> None:
        """Remove the objects, the manifest first as it makes them an artefact, and the copy."""
        try:
            self._s3.delete_object(Bucket=self._bucket, Key=self._key(name, MANIFEST))
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._key(name, '')}/"
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    self._s3.delete_object(Bucket=self._bucket, Key=found["Key"])
        except (BotoCoreError, ClientError) as error:
            raise UnavailableArtefact(f"{name} cannot be removed: {error}") from error
        finally:
            FolderStore(self._cache).remove(name)
            (self._cache / f".{name}.lock").unlink(missing_ok=True)

    def _is_whole(self, name: str, manifest_sha256: str) -> bool:
        try:
            folder = FolderStore(self._cache).fetch(name, manifest_sha256)
            described = json.loads((folder / MANIFEST).read_bytes())["arrays"]
        except (CorruptArtefact, ValueError, KeyError):
            return False
        return all(
            _sha256(folder / f"{array}.npy") == about["sha256"]
            for array, about in described.items()
        )

    def _download(self, name: str, manifest_sha256: str) -> None:
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self._cache))
        try:
            self._get(name, MANIFEST, temporary)
            manifest = (temporary / MANIFEST).read_bytes()
            if hashlib.sha256(manifest).hexdigest() != manifest_sha256:
                raise CorruptArtefact(f"{name}: the manifest is not the one that was registered")
            for array, about in json.loads(manifest)["arrays"].items():
                self._get(name, f"{array}.npy", temporary)
                if _sha256(temporary / f"{array}.npy") != about["sha256"]:
                    raise CorruptArtefact(f"{name}: {array}.npy does not match its checksum")
            shutil.rmtree(self._cache / name, ignore_errors=True)  # a damaged copy
            temporary.chmod(0o755)
            temporary.rename(self._cache / name)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _get(self, name: str, file: str, folder: Path) -> None:
        self._s3.download_file(self._bucket, self._key(name, file), str(folder / file))

    def _key(self, name: str, file: str) -> str:
        return "/".join(part for part in (self._prefix, name, file) if part)

    def _forget_oldest(self) -> None:
        """Delete copies past the newest few; who has one mapped keeps its pages."""
        copies = sorted(
            (path for path in self._cache.iterdir() if (path / MANIFEST).is_file()),
            key=lambda path: path.stat().st_mtime,
            reverse=True,
        )
        for path in copies[KEPT_COPIES:]:
            shutil.rmtree(path, ignore_errors=True)
            (self._cache / f".{path.name}.lock").unlink(missing_ok=True)


def artefact_store() -> ArtefactStore:
    """Return the store that the settings name."""
    return _store(settings.MODELS_DIR)


SNAPSHOTS = ".snapshots"


def snapshots_folder() -> Path:
    """Return the folder in which a training writes what it shares with its peers."""
    return Path(settings.MODELS_DIR) / SNAPSHOTS


def snapshot_store(copies: Path) -> ArtefactStore:
    """Return the store by which peers of a training get what it learns from.

    Args:
        copies: where what comes from a bucket is put; not among the models, of which it would
            drive out some.
    """
    return _store(snapshots_folder(), SNAPSHOTS, copies)


def _store(folder: Path, below: str = "", copies: Path | None = None) -> ArtefactStore:
    url = settings.MODELS_URL
    if not url:
        return FolderStore(folder)
    parts = urlsplit(url)
    return S3Store(parts.netloc, f"{parts.path.strip('/')}/{below}", copies or folder)


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
