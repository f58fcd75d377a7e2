"""cmake --install: what lies where, and whether a service manager could start it from there."""
import ctypes
import errno
import os
import re
import shutil
import struct
import subprocess

import pytest

from tests.system.registry import BUILD, ROOT


def tool(name):
    return shutil.which(name) or pytest.skip(f"{name} is not here")


def install(root):
    done = subprocess.run([tool("cmake"), "--install", BUILD], env={**os.environ, "DESTDIR": str(root)}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A root directory with it, and the prefix in that."""
    root = tmp_path_factory.mktemp("root")
    install(root)
    cache = (BUILD / "CMakeCache.txt").read_text()
    return root, root / re.search(r"^CMAKE_INSTALL_PREFIX:PATH=/(.*)$", cache, re.M)[1]


def named(prefix):
    """The program and its settings, as the unit names them, without the '/' before them."""
    unit = (prefix / "lib/systemd/system/registryd.service").read_text()
    return re.search(r"^ExecStart=/(\S+) --config /(\S+)$", unit, re.M).groups()


def test_the_unit_names_what_is_installed(installed):
    root, prefix = installed
    program, settings = named(prefix)
    assert root / program == prefix / "bin/registryd" and os.access(root / program, os.X_OK)
    policy = re.search(r"^policy: /(\S+)$", (root / settings).read_text(), re.M)[1]
    assert (root / policy).is_file()
    for name in "bin/registryctl", "bin/registryd-smoke", "share/man/man8/registryd.8", "share/bash-completion/completions/registryctl":
        assert (prefix / name).is_file(), name
    assert subprocess.run([prefix / "bin/registryd", "--version"], capture_output=True).returncode == 0


def test_settings_of_a_site_stay(installed):
    root, prefix = installed
    settings = root / named(prefix)[1]
    before = settings.read_text()
    settings.write_text("data: /srv/models\n")
    install(root)
    assert settings.read_text() == "data: /srv/models\n"
    settings.write_text(before)


def test_the_service_manager_takes_the_unit(installed):
    root, prefix = installed
    unit = "/" + str((prefix / "lib/systemd/system/registryd.service").relative_to(root))
    for name in "sysinit.target", "basic.target", "multi-user.target", "shutdown.target", "network-online.target", "sockets.target", "timers.target", "paths.target", "slices.target":
        (root / "usr/lib/systemd/system").mkdir(parents=True, exist_ok=True)
        (root / "usr/lib/systemd/system" / name).write_text("[Unit]\nDescription=a stand-in\nDefaultDependencies=no\n")
    (root / "bin").mkdir(exist_ok=True)
    shutil.copy("/bin/sh", root / "bin/sh")
    done = subprocess.run([tool("systemd-analyze"), "verify", "--man=no", f"--root={root}", unit], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "registryd" not in done.stderr, done.stderr


def test_the_unit_leaves_what_tests_of_models_need(installed):
    """Machine code for regular expressions; and a reload needs no program that a small system lacks."""
    unit = (installed[1] / "lib/systemd/system/registryd.service").read_text()
    said = [line for line in unit.splitlines() if not line.startswith("#")]
    assert not [line for line in said if line.startswith("MemoryDenyWriteExecute=")]
    programs = {re.match(r"Exec\w+=(\S+)", line)[1] for line in said if line.startswith("Exec")}
    assert programs == {"/" + named(installed[1])[0], "/bin/sh"}


def refuse_openat2():
    """In a child: as systemd's RestrictSUIDSGID= does."""
    openat2, no_new_privs, seccomp, filter_mode, enosys = 437, 38, 22, 2, 0x50000 | errno.ENOSYS
    code = b"".join(struct.pack("HBBI", *one) for one in [(0x20, 0, 0, 0), (0x15, 0, 1, openat2), (0x06, 0, 0, enosys), (0x06, 0, 0, 0x7fff0000)])
    program = ctypes.create_string_buffer(code)
    libc = ctypes.CDLL(None, use_errno=True)
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 4, ctypes.addressof(program)))
    if libc.prctl(no_new_privs, 1, 0, 0, 0) or libc.prctl(seccomp, filter_mode, head, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter could be set")


def test_models_are_tested_without_openat2():
    """RestrictSUIDSGID= of the unit takes it away, from the daemon and from the test's program before its own filter."""
    done = subprocess.run([BUILD / "bin/registryd-smoke", "--device", "cpu", ROOT / "tests/models/tiny-story"], capture_output=True, text=True, timeout=60,
                          preexec_fn=refuse_openat2)
    assert done.returncode == 0 and ": pass" in done.stdout, done.stdout + done.stderr


def test_its_user_can_be_made(installed):
    root, prefix = installed
    (root / "etc").mkdir(exist_ok=True)
    done = subprocess.run([tool("systemd-sysusers"), f"--root={root}", "registryd.conf"], capture_output=True, text=True, timeout=60)
    if done.returncode and os.geteuid():
        pytest.skip("only root may make users")
    assert done.returncode == 0, done.stderr
    user = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("registryd:")]
    assert user and user[0][5] == "/var/lib/registryd"
    unit = (prefix / "lib/systemd/system/registryd.service").read_text()
    assert f"User={user[0][0]}\n" in unit
