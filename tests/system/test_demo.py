"""script/demo, as a newcomer runs it, on the programs of this build."""
import os
import re
import signal
import subprocess
import time

from tests.system.registry import BUILD, ROOT


def begin(tmp_path, *arguments):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "REGISTRYD_"))}
    return subprocess.Popen([ROOT / "script" / "demo", *arguments], env={**env, "REGISTRYD_BUILD": str(BUILD), "TMPDIR": str(tmp_path)},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def processes_of(tmp_path):
    """Command lines of the daemons and Hubs that still run out of this test's directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue        # it has ended meanwhile
        if str(tmp_path) in line and ("bin/registryd " in line or "tests.hub" in line):
            found.append(line)
    return found


def test_it_shows_the_whole_way_and_leaves_nothing(tmp_path):
    demo = begin(tmp_path)
    text, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, text
    for words in ("published demo/tiny-story@", "smoke test: pass", "= model.safetensors", "files have the SHA-256", "the bytes of the originals", "apache-2.0"):
        assert words in text
    assert "\x1b[" not in text
    assert processes_of(tmp_path) == [] and os.listdir(tmp_path) == []


def test_interrupted_it_leaves_nothing(tmp_path):
    demo = begin(tmp_path)
    end = time.monotonic() + 120
    seen = ""
    while "ready at" not in seen:
        assert time.monotonic() < end
        seen += demo.stdout.readline()
    os.killpg(demo.pid, signal.SIGTERM)
    assert demo.wait(30) == 143
    assert processes_of(tmp_path) == [] and os.listdir(tmp_path) == []


def test_kept_it_says_how_to_end_it(tmp_path):
    demo = begin(tmp_path, "--keep")
    text, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, text
    url = re.search(r"web pages +(http://\S+)/", text)[1]
    status = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/api/models/demo/tiny-story"], capture_output=True, text=True)
    assert status.stdout == "200"
    subprocess.run(["bash", "-c", re.search(r"End it with +(kill .*)", text)[1]], check=True)
    end = time.monotonic() + 20
    while processes_of(tmp_path):
        assert time.monotonic() < end, processes_of(tmp_path)
        time.sleep(0.1)


def test_wrong_usage(tmp_path):
    for arguments in (["--hub"], ["--hub", "https://h"], ["--model", "a/b"], ["--hub", "ftp://h", "--model", "a/b"], ["--nonsense"]):
        demo = begin(tmp_path, *arguments)
        text, _ = demo.communicate(timeout=30)
        assert demo.returncode == 2 and text.startswith("demo: ") and "usage: script/demo" in text
