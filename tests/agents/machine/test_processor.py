"""Processors are told from what Linux and macOS list."""

import subprocess

import pytest

from agents.machine import provenance
from agents.machine.processor import linux_processor, macos_processor, read_cpu_fields, this_processor

EPYC = (
    "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n"
    "flags\t\t: fpu avx2 fma\n"
)
GRAVITON = (
    "processor\t: 0\nFeatures\t: fp asimd bf16\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd40\n"
)


def processor_of(tmp_path, text):
    path = tmp_path / "cpuinfo"
    path.write_text(text + "\n" + text.replace("avx2", "avx512f"))  # a second one, which is not looked at
    return linux_processor(read_cpu_fields(path))


def test_a_processor_has_numbers_and_the_instruction_sets_that_decide_kernels(tmp_path):
    assert processor_of(tmp_path, EPYC)[:5] == ("AMD EPYC", "AuthenticAMD", 25, 1, ("fma", "avx2"))
    assert processor_of(tmp_path, GRAVITON)[1:5] == ("0x41", 8, 0xD40, ("asimd", "bf16"))


def test_macs_tell_the_same_by_other_names():
    intel = {"machdep.cpu.vendor": "GenuineIntel", "machdep.cpu.family": "6", "machdep.cpu.model": "158"}
    intel |= {"hw.optional.avx2_0": "1", "hw.optional.avx512f": "0", "machdep.cpu.brand_string": "Intel Core"}
    assert macos_processor(intel)[:5] == ("Intel Core", "GenuineIntel", 6, 158, ("avx2",))
    apple = {"machdep.cpu.brand_string": "Apple M1", "hw.cpufamily": "458787763", "hw.cpusubfamily": "2"}
    apple |= {"hw.optional.neon": "1", "hw.optional.arm.FEAT_BF16": "0"}
    assert macos_processor(apple)[:5] == ("Apple M1", None, 458787763, 2, ("asimd",))


def test_what_cannot_be_found_is_none(tmp_path):
    name, *numbers, kernels = linux_processor(read_cpu_fields(tmp_path / "none"))
    assert name
    assert numbers == [None] * 4
    assert macos_processor({})[1:5] == (None,) * 4
    assert this_processor().torch_kernels == kernels


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a module and results, both committed."""
    for name in ("agents/module.py", "benchmarks/results/rows.jsonl", "docs/page.md"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("old\n")
    identity = ["-c", "user.name=n", "-c", "user.email=e@e"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    monkeypatch.setattr(provenance, "HOME", tmp_path)
    return tmp_path


def test_rows_that_are_appended_and_pages_leave_a_checkout_clean_and_code_does_not(checkout):
    (checkout / "benchmarks/results/rows.jsonl").write_text("old\nnew\n")
    (checkout / "docs/page.md").write_text("new\n")
    assert provenance.changed_files() == []
    commit = provenance.revision()
    assert len(commit) == 12
    (checkout / "agents/module.py").write_text("new\n")
    assert provenance.changed_files() == ["agents/module.py"]
    assert provenance.revision() == f"{commit}-dirty"


def test_an_installed_package_has_no_revision(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "HOME", tmp_path)
    assert provenance.changed_files() is None
    assert provenance.revision() is None
