"""The manual pages: formatted without a complaint, and true to what the programs say of themselves. What tables make, unit tests compare."""
import re
import shutil
import subprocess

import pytest

from tests.system.registry import BIN, ROOT

PAGES = sorted((ROOT / "etc/man").glob("*.[158]"))


def lines_of(page, section):
    return re.search(rf"^\.SH {section}\n(.*?)^\.SH ", page.read_text(), re.M | re.S)[1].replace("\\-", "-")


@pytest.mark.parametrize("program, page", [("registryd", "registryd.8"), ("registryd-smoke", "registryd-smoke.1")])
def test_options_are_those_of_the_program(program, page):
    said = subprocess.run([BIN / program, "--help"], capture_output=True, text=True, timeout=30)
    assert said.returncode == 0
    known = set(re.findall(r"--[a-z][a-z-]*", said.stdout)) | {"--help", "--version"}
    told = re.findall(r"^\.TP\n\.[BIR]+ \"?(--[a-z][a-z-]*)", lines_of(ROOT / "etc/man" / page, "OPTIONS"), re.M)
    assert sorted(told) == sorted(known)


def test_exit_statuses_are_those_of_the_program():
    said = subprocess.run([BIN / "registryd-smoke", "--help"], capture_output=True, text=True, timeout=30).stdout
    known = re.findall(r"(\d) ", said[said.index("Exit status"):])
    assert sorted(re.findall(r"^\.B (\d)$", lines_of(ROOT / "etc/man/registryd-smoke.1", "EXIT STATUS"), re.M)) == sorted(known)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pages_refer_to_pages(page):
    """Pages of ours that are named are there."""
    for name, section in re.findall(r"^\.BR ((?:registr|policy)\S*) \((\d)\)", page.read_text().replace("\\-", "-"), re.M):
        assert (ROOT / f"etc/man/{name}.{section}").is_file(), f"{page.name} refers to {name}({section})"


@pytest.mark.parametrize("formatter", [("mandoc", "-Tlint", "-Wwarning"), ("groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z")], ids=lambda f: f[0])
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_formatted_without_a_warning(formatter, page):
    if not shutil.which(formatter[0]):
        pytest.skip(f"{formatter[0]} is not here")
    done = subprocess.run([*formatter, page], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
