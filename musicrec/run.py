"""``make run``: everything on one machine, from an empty folder to the first page.

Starts the embedded servers unless others are named, migrates, loads the demo into an empty
database (not with DEMO=0), trains the first model, and then runs web, worker and beat side by side
until Ctrl-C.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
console = Console()

N_SIMULATED = 40

LAPTOP = {"DJANGO_ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]", "DJANGO_HTTPS": "false"}
"""What .env says, beside the secret, where somebody tries it out on their own machine."""


class CannotStart(Exception):
    """Something that only the person at the keyboard can mend; the message says how."""


def main() -> int:
    """Start everything; return the exit status."""
    # A closed terminal and `kill` end like Ctrl-C: the servers are stopped on the way out.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        port = free_port()
        write_env()
        with console.status("Starting Postgres and Redis"):
            prepare_django()
        prepare(port)
        return serve(port)
    except CannotStart as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        return 1
    except KeyboardInterrupt:
        return 0


def free_port() -> int:
    """Return the port to serve on.

    Raises:
        CannotStart: it is no port, or somebody listens on it.
    """
    text = os.environ.get("PORT", "8000")
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise CannotStart(f"PORT is {text!r}; it must be a number from 1 to 65535.")
    port = int(text)
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} is not free ({error.strerror}). Try PORT={port + 1} make run."
            ) from error
    return port


def write_env() -> None:
    """Write a .env with a secret of this machine's own, unless there is one.

    One written for docker compose says nothing of host names and TLS: here it is a laptop without.

    Raises:
        CannotStart: the folder cannot be written.
    """
    path = ROOT / ".env"
    if path.exists():
        given = {line.partition("=")[0].strip() for line in path.read_text().splitlines()}
        for name in LAPTOP.keys() - given:
            os.environ.setdefault(name, LAPTOP[name])
        return
    if "DJANGO_SECRET_KEY" in os.environ:
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CannotStart(f"The folder {ROOT} cannot be written ({error.strerror}).") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(
            "# Written by `make run` for this machine; .env.example explains every variable.\n"
            f"DJANGO_SECRET_KEY={secrets.token_urlsafe(48)}\n"
        )
        file.writelines(f"{name}={value}\n" for name, value in LAPTOP.items())


def prepare_django() -> None:
    """Load the settings, which starts the embedded servers, and hand their URLs to children."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "musicrec.settings")
    import django

    django.setup()
    from django.conf import settings

    os.environ["DATABASE_URL"] = settings.DATABASE_URL
    os.environ["REDIS_URL"] = settings.REDIS_URL


def prepare(port: int) -> None:
    """Bring database, static files, demo and first model to where serving can begin."""
    from django.core.management import call_command
    from django.utils import timezone

    from recommendations.models import ModelVersion, Track, TrainingRun
    from recommendations.services.demo import load_demo
    from recommendations.services.train import fail_dead_runs

    with console.status("Bringing the database up to date"):
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
    wants_demo = os.environ.get("DEMO", "1") != "0"
    if wants_demo and not Track.objects.exists():
        with console.status("Loading the demo: a catalogue and simulated listeners"):
            report = load_demo(at=timezone.now())
        console.print(
            f"Loaded the demo: {report.tracks:,} tracks and {report.listeners:,} simulated "
            f"listeners with {report.responses:,} responses."
        )
    for line in first_logins():
        console.print(line, highlight=False)
    fail_dead_runs()
    if not Track.objects.exists():
        console.print("The catalogue is empty: import one (README, “Your own data”).")
    elif not ModelVersion.objects.exists() and not TrainingRun.objects.open().exists():
        console.print("Training the first model; later ones are trained by the worker.")
        # In a process of its own: TensorFlow's memory goes back when it ends.
        command = [sys.executable, str(ROOT / "manage.py"), "train", "--trigger", "first"]
        if subprocess.run(command, check=False).returncode:  # noqa: S603 (our own command)
            console.print("The training failed; lists come from content and trends meanwhile.")
        else:
            simulate_demo()


def simulate_demo() -> None:
    """Let some of the demo's listeners use the system for a week, so that no page is empty."""
    from django.utils import timezone

    from accounts.models import Listener
    from recommendations.services.demo import demo_world
    from recommendations.simulation import simulate

    listeners = Listener.objects.filter(external_id__startswith="demo-listener-").order_by("pk")
    if not listeners:
        return
    with console.status("Simulating a week of listening for the demo") as status:
        report = simulate(
            listeners[:N_SIMULATED],
            days=7,
            ends_at=timezone.now(),
            world=demo_world(),
            progress=lambda share: status.update(f"Simulating a week of listening: {share:.0%}"),
        )
    console.print(f"Simulated a week: {report.slates:,} lists and {report.responses:,} responses.")


def first_logins() -> list[str]:
    """Create the demo listener and the operator at first start; return what to tell about them."""
    from accounts.models import Listener, User

    lines = []
    if not User.objects.filter(is_superuser=True).exists():
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser("operator@musicrec.local", password)
        lines.append(f"Operator:      operator@musicrec.local   password {password}")
    demo = Listener.objects.filter(external_id="demo-listener-1", user=None).first()
    if demo is not None and not User.objects.filter(email="listener@musicrec.local").exists():
        password = secrets.token_urlsafe(12)
        demo.user = User.objects.create_user("listener@musicrec.local", password)
        demo.save(update_fields=["user"])
        lines.append(f"Demo listener: listener@musicrec.local   password {password}")
    if lines:
        lines.append("These passwords are shown this once; `manage.py changepassword` sets others.")
    return lines


def serve(port: int) -> int:
    """Run web, worker and beat until one of them ends or Ctrl-C comes."""
    from honcho.manager import Manager

    python = sys.executable
    manager = Manager()
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    manager.add_process(
        "web",
        f'"{python}" -m gunicorn -c "{ROOT / "deploy" / "gunicorn.conf.py"}" '
        f"-b 127.0.0.1:{port} musicrec.wsgi",
        env=env,
        cwd=str(ROOT),
    )
    celery = f'"{python}" -m celery --quiet -A musicrec'
    manager.add_process(
        "worker",  # a training takes every core it gets; requests go before it
        f"nice -n 5 {celery} worker --concurrency 2 -Q default,training --loglevel warning "
        "--without-gossip --without-mingle",
        env=env,
        cwd=str(ROOT),
    )
    manager.add_process(
        "beat",
        f"{celery} beat --loglevel warning --pidfile= ",
        env=env,
        cwd=str(ROOT),
    )
    console.print(f"[bold]http://127.0.0.1:{port}[/bold]   Ctrl-C stops everything")
    manager.loop()
    interrupted = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # what was asked for is no error
    return 0 if manager.returncode in interrupted else int(manager.returncode or 0)


if __name__ == "__main__":
    sys.exit(main())
