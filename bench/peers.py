"""Redis, PostgreSQL and an HTTP server on free loopback ports, each started for one measurement and stopped by its
pid."""

import contextlib
import getpass
import glob
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time


class NotStarted(Exception):
    """A peer did not come up; its text says which and what it said."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(name, command, ready=lambda: True, on_last_core=True, **options):
    """The process, once `ready()` says yes; stopped at the end. `on_last_core`: it stays there, since real_bench is on
    the first."""
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                               **options)
    try:
        if on_last_core:
            os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        deadline = time.monotonic() + 20
        while not ready():
            if process.poll() is not None:
                raise NotStarted(f"{name} ended with status {process.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise NotStarted(f"{name} was not ready within 20 s")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def redis():
    """Gives the port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="fusebox-redis-") as folder:
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                   folder]
        with running("redis-server", command, lambda: accepts(port), stdout=subprocess.DEVNULL):
            yield port


@contextlib.contextmanager
def postgres():
    """A cluster of its own; gives the connection string."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    server = found[-1] if found else shutil.which("postgres")
    if server is None:
        raise NotStarted("there is no postgres in /usr/lib/postgresql/*/bin or PATH (Debian package: postgresql)")
    binaries = pathlib.Path(server).parent
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    account = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="fusebox-postgres-") as folder:
        if account:
            shutil.chown(folder, user)
        data = pathlib.Path(folder) / "data"
        made = subprocess.run([binaries / "initdb", "-D", data, "-U", "bench", "-A", "trust", "--no-sync",
                               "--no-locale"],
                              capture_output=True, text=True, cwd=folder, **account)
        if made.returncode:
            raise NotStarted(f"initdb failed:\n{made.stderr}")
        command = [server, "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        # It accepts connections, and turns them away, while it is still starting.
        probe = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        with running("postgres", command, lambda: subprocess.run(probe).returncode == 0, stdout=subprocess.DEVNULL,
                     cwd=folder, **account):
            yield f"host=127.0.0.1 port={port} user=bench dbname=postgres"


@contextlib.contextmanager
def http(program):
    """`program serve` names its port on its first line; gives the URL."""
    with running("the HTTP server", [program, "serve"], stdout=subprocess.PIPE) as process:
        port = process.stdout.readline().decode().strip()
        if not port.isdigit():
            raise NotStarted(f"the HTTP server said: {port}")
        yield f"http://127.0.0.1:{port}/"
