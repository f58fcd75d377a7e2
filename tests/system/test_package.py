"""cpack's Debian packages: the same bytes each time, and a life in a root that holds no more than what they depend on."""
import glob
import gzip
import hashlib
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from tests.system.registry import BUILD, ROOT

TOOLS = ["cpack", "dpkg-deb", "dpkg-shlibdeps", "dpkg-parsechangelog", "file", "strip", "gzip"]
# What dpkg and maintainer scripts need of any Debian, and what makes the user, the smallest that is here.
BASE = ["dpkg", "dash", "coreutils", "sed", "grep", "tar", "debianutils", "base-files", "base-passwd", "libc-bin", "perl-base", "init-system-helpers", "diffutils", "login"]
MAKE_USERS = ["adduser", "systemd-standalone-sysusers", "systemd"]
QUIET = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ["PATH"]}
SETTINGS, DATA = "etc/registryd/registryd.yaml", "var/lib/registryd"


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], **{"capture_output": True, "text": True, "timeout": 120, "env": QUIET, **options})
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def pack(where):
    """Package name -> file. Made by somebody whose umask hides all from others: what is packed must not."""
    for tool in TOOLS:
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not here")
    run("cpack", "-G", "DEB", "--config", BUILD / "CPackConfig.cmake", "-B", where, umask=0o77)
    return {p.name.split("_")[0]: p for p in where.glob("*.deb")}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return pack(tmp_path_factory.mktemp("packages"))


def fields(package):
    return dict(re.findall(r"^(\S+): (.*)$", run("dpkg-deb", "-f", package), re.M))


def names(package):
    return {line.split()[5][2:]: line[:10] for line in run("dpkg-deb", "-c", package).splitlines()}


def test_what_is_in_it(packages):
    said, held = fields(packages["registryd"]), names(packages["registryd"])
    version = re.search(r"project\(registryd VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert said["Version"] == version and (ROOT / "etc/debian/changelog").read_text().startswith(f"registryd ({version}) "), "the changelog tells of this version"
    assert "cu" not in re.sub(r"libcurl\S*", "", said["Depends"]), "no library of CUDA's"
    for library in "libc6", "libmicrohttpd[0-9t]+", "libsqlite3-0", "libcurl[0-9t]+":
        assert re.search(rf" {library} \(>=", said["Depends"]), library
    for name in "registryd", "registryctl", "registryd-smoke":
        assert held[f"usr/bin/{name}"] == "-rwxr-xr-x"
    for page in (ROOT / "etc/man").iterdir():
        assert f"usr/share/man/man{page.suffix[1:]}/{page.name}.gz" in held
    for page in (ROOT / "docs").iterdir():
        assert f"usr/share/doc/registryd/docs/{page.name}" in held
    for name in ("usr/share/doc/registryd/copyright", "usr/share/doc/registryd/changelog.gz", "usr/share/doc/registryd/README.md", "usr/lib/sysusers.d/registryd.conf",
                 "lib/systemd/system/registryd.service", "usr/share/bash-completion/completions/registryctl"):
        assert held[name] == "-rw-r--r--"
    assert {mode for name, mode in held.items() if name.endswith("/")} == {"drwxr-xr-x"}
    assert not [n for n in held if n.startswith(("usr/local", "usr/lib/registryd"))]
    assert run("dpkg-deb", "-I", packages["registryd"], "conffiles").split() == ["/etc/registryd/policy.yaml", "/etc/registryd/registryd.yaml"]


def test_the_gpu_module_is_apart(packages):
    if not (BUILD / "bin/registryd-cuda.so").exists():
        assert "registryd-cuda" not in packages
        pytest.skip("this build has no CUDA module: there is no toolkit here")
    said, held = fields(packages["registryd-cuda"]), names(packages["registryd-cuda"])
    assert f"registryd (= {said['Version']})" in said["Depends"] and "libcublas" in said["Recommends"] and "cublas" not in said["Depends"]
    assert sorted(n for n in held if not n.endswith("/") and "/share/" not in n) == ["usr/lib/registryd/registryd-cuda.so"]


def test_the_same_bytes_again(packages, tmp_path):
    again = pack(tmp_path)
    for name, first in packages.items():
        assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(again[name].read_bytes()).digest(), name


# --- a root of its own ---

def installed_here():
    """Package -> its paragraph in dpkg's status, and what provides what."""
    paragraphs, provides = {}, {}
    for text in open("/var/lib/dpkg/status", encoding="utf-8").read().split("\n\n"):
        one = dict(re.findall(r"^(\S+): (.*)$", text, re.M))
        if one.get("Status") == "install ok installed":
            paragraphs[one["Package"]] = text.strip() + "\n"
            for name in re.findall(r"([a-z0-9][a-z0-9+.-]+)(?: \([^)]*\))?", one.get("Provides", "")):
                provides.setdefault(name, one["Package"])
    return paragraphs, provides


def closure(wanted):
    """All that these depend on, of what is installed here; of alternatives the first."""
    paragraphs, provides = installed_here()
    found, todo = {}, list(wanted)
    while todo:
        name = todo.pop()
        name = name if name in paragraphs else provides.get(name)
        if not name or name in found:
            continue
        found[name] = paragraphs[name]
        for alternatives in re.findall(r"[^,]+", ", ".join(re.findall(r"^(?:Pre-)?Depends: (.*)$", paragraphs[name], re.M))):
            some = [re.match(r"\s*([a-z0-9+.-]+)", a)[1] for a in alternatives.split("|")]
            todo += [a for a in some if a in paragraphs or a in provides][:1]
    return found


@pytest.fixture
def root(packages, tmp_path):
    """A small Debian, copied from this one: BASE and what registryd depends on. Nothing else would be there to hide a missing dependency."""
    if os.geteuid() != 0:
        pytest.skip("only root can install packages into a root of its own")
    if not os.path.exists("/var/lib/dpkg/status"):
        pytest.skip("this is not Debian: there are no packages to make a root of")
    depends = [re.match(r"\s*(\S+)", d)[1] for d in fields(packages["registryd"])["Depends"].split(",") if "|" not in d]
    here = installed_here()[0]
    found, where = closure(BASE + [m for m in MAKE_USERS if m in here][:1] + depends), tmp_path / "root"
    assert set(depends) <= set(found), "the libraries that it was linked with are those of packages"
    files = set(run("dpkg", "-L", *found).splitlines())
    unwanted = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/i18n", "/usr/share/info", "/usr/lib/x86_64-linux-gnu/gconv")
    files = sorted(f for f in files if f.startswith("/") and f != "/." and not f.startswith(unwanted) and os.path.lexists(f))
    for name in "var/lib/dpkg/info", "var/lib/dpkg/updates", "proc", "dev", "tmp", "run", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64":
        (where / name).mkdir(parents=True, exist_ok=True)
    for name in "bin", "sbin", "lib", "lib64":
        if os.path.islink("/" + name):
            (where / name).symlink_to(os.readlink("/" + name))
    listing = subprocess.Popen(["tar", "-C", "/", "--no-recursion", "-cf", "-", "-T", "-", "--verbatim-files-from"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    copying = subprocess.Popen(["tar", "-C", where, "-xf", "-"], stdin=listing.stdout)
    listing.stdout.close()
    listing.stdin.write("".join("." + f + "\n" for f in files).encode())
    listing.stdin.close()
    assert copying.wait(120) == 0
    listing.wait(120)
    for name in found:
        for path in glob.glob(f"/var/lib/dpkg/info/{name}.list") + glob.glob(f"/var/lib/dpkg/info/{name}:*.list"):
            shutil.copy(path, where / "var/lib/dpkg/info")
    (where / "var/lib/dpkg/status").write_text("\n".join(found.values()) + "\n")
    for name in "passwd", "group":
        shutil.copy(where / f"usr/share/base-passwd/{name}.master", where / "etc" / name)
    (where / "etc/shadow").write_text("")
    (where / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\n")
    return where


def dpkg(root, *arguments):
    done = subprocess.run(["chroot", root, "dpkg", *arguments], capture_output=True, text=True, timeout=120, env=QUIET, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def install(root, package):
    shutil.copy(package, root / "tmp")
    return dpkg(root, "--force-confdef", "--force-confold", "-i", f"/tmp/{package.name}")


class Service:
    """The daemon as registryd.service has it: its command line, its user, in the root."""

    def __init__(self, root):
        self.root = root
        entry = re.search(r"^registryd:[^:]*:(\d+):(\d+):[^:]*:/var/lib/registryd:", (root / "etc/passwd").read_text(), re.M)
        self.uid, self.gid = int(entry[1]), int(entry[2])
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]

    def become(self):
        os.chroot(self.root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)

    def __enter__(self):
        command = re.search(r"^ExecStart=(.*)$", (self.root / "lib/systemd/system/registryd.service").read_text(), re.M)[1].split()
        self.said = open(self.root / "tmp/said", "w+b")
        self.process = subprocess.Popen([*command, "--listen", f"127.0.0.1:{self.port}"], preexec_fn=self.become, env={"PATH": "/usr/bin:/bin"},
                                        stdin=subprocess.DEVNULL, stderr=self.said)
        end = time.monotonic() + 20
        while b"daemon.ready" not in (self.root / "tmp/said").read_bytes():
            assert self.process.poll() is None and time.monotonic() < end, (self.root / "tmp/said").read_text()
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(30) == 0
        self.said.close()

    def status(self):
        return run("chroot", self.root, "registryctl", "--url", f"http://127.0.0.1:{self.port}", "--data", "/var/lib/registryd", "status")


def of_version(package, where, version):
    """Another version of it, whose settings as shipped are others too."""
    run("dpkg-deb", "-R", package, where)
    control = where / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
    with open(where / SETTINGS, "a") as f:
        f.write("# a remark of the new version\n")
    out = where.parent / f"registryd_{version}.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "-b", where, out)
    return out


def test_installed_upgraded_removed(packages, root, tmp_path):
    install(root, packages["registryd"])
    assert "valid" in run("chroot", root, "registryd", "--check-config", "--config", "/" + SETTINGS)
    assert (root / "etc/systemd/system/multi-user.target.wants/registryd.service").is_symlink(), "it is enabled"
    data, service = root / DATA, Service(root)
    assert data.stat().st_uid == service.uid and data.stat().st_mode & 0o777 == 0o750
    with service:
        assert re.search(r"^registryd .* up ", service.status(), re.M)
    assert dpkg(root, "--verify", "registryd") == "", "what is installed is what was packed"
    blob = data / "blobs/sha256" / hashlib.sha256(b"weights").hexdigest()
    blob.write_bytes(b"weights")
    token = (data / "admin.token").read_text()

    # a setting and the data outlive the next version, which starts with them
    settings = root / SETTINGS
    settings.write_text(settings.read_text().replace("device: auto", "device: cpu"))
    install(root, of_version(packages["registryd"], tmp_path / "next", "99.0"))
    assert "device: cpu" in settings.read_text() and "a remark of the new version" not in settings.read_text()
    assert "a remark of the new version" in (root / (SETTINGS + ".dpkg-dist")).read_text()
    with service:
        assert re.search(r"^registryd .* up ", service.status(), re.M)
    assert (data / "admin.token").read_text() == token and blob.read_bytes() == b"weights"

    # removed, the settings are there for the next install; purged, they are not; the data is in both cases
    dpkg(root, "-r", "registryd")
    assert not (root / "usr/bin/registryd").exists() and settings.exists() and blob.exists()
    assert "stay in /var/lib/registryd" in dpkg(root, "-P", "registryd")
    assert not settings.exists() and not (root / "etc/systemd/system/multi-user.target.wants/registryd.service").exists()
    assert blob.read_bytes() == b"weights" and (data / "catalog.sqlite").exists() and (data / "admin.token").exists()
    assert f"registryd:x:{service.uid}:" in (root / "etc/passwd").read_text(), "their owner stays too"


def test_purging_an_empty_one_leaves_nothing(packages, root):
    install(root, packages["registryd"])
    assert "stay" not in dpkg(root, "-P", "registryd")
    assert not (root / DATA).exists() and not (root / "etc/registryd").exists()


def test_the_changelog_is_compressed_without_a_date(packages, tmp_path):
    run("dpkg-deb", "-x", packages["registryd"], tmp_path)
    for path in tmp_path.rglob("*.gz"):
        assert path.read_bytes()[4:8] == bytes(4), f"{path.name} has a date in it"
    assert gzip.decompress((tmp_path / "usr/share/doc/registryd/changelog.gz").read_bytes()) == (ROOT / "etc/debian/changelog").read_bytes()
