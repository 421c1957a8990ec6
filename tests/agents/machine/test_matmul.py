import json
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import agents
from agents.machine.matmul import Cpu, choose_products, this_cpu
from agents.policies.bf16 import Bf16Linear, set_linear_precision
from agents.policies.categorical import log_prob_and_entropy
from agents.settings.layers import make_settings, preset_layer
from agents.training.fit import fit
from token_env import SettingError

AVX2 = frozenset({"avx2", "fma"})
AVX512 = AVX2 | {"avx512f"}
ZEN = Cpu("AuthenticAMD", AVX512 | {"avx512_bf16"})
SAPPHIRE_RAPIDS = Cpu("GenuineIntel", AVX512 | {"avx512_bf16", "amx_tile", "amx_bf16"})
ICE_LAKE = Cpu("GenuineIntel", AVX512)
ARM = Cpu("", frozenset({"asimd", "bf16"}))
UNKNOWN = Cpu("", frozenset(), onednn=False)  # macOS


@pytest.mark.parametrize(
    ("cpu", "path", "reason"),
    [
        (ZEN, "onednn", "AuthenticAMD with AVX-512"),
        (Cpu("HygonGenuine", AVX512), "onednn", "HygonGenuine"),
        (Cpu("AuthenticAMD", AVX2), "default", "with AVX-512 only"),
        (Cpu("AuthenticAMD", AVX512 | {"amx_tile"}), "default", "would multiply in bf16"),
        (ZEN._replace(onednn=False), "default", "no oneDNN"),
        (ICE_LAKE, "default", "MKL is optimised for Intel"),
        (SAPPHIRE_RAPIDS, "default", "would multiply in bf16"),
        (ARM, "default", "with AVX-512 only"),
        (Cpu("", AVX512), "default", "vendor is unknown"),
        (UNKNOWN, "default", "no oneDNN"),
    ],
)
def test_the_path_follows_from_the_processor(cpu, path, reason):
    products = choose_products("auto", "float32", "cpu", cpu)
    assert (products.path, products.precision, products.refused) == (path, "float32", "")
    assert reason in products.reason


def test_a_path_that_is_asked_for_is_taken_where_it_stays_float32():
    assert choose_products("default", "float32", "cpu", ZEN).path == "default"
    assert choose_products("onednn", "float32", "cpu", ICE_LAKE).path == "onednn"
    refused = choose_products("onednn", "float32", "cpu", SAPPHIRE_RAPIDS)
    assert refused.path == "default"
    assert "matmul=onednn is not possible: with AMX oneDNN would multiply in bf16" in refused.description


def test_on_a_gpu_float32_products_stay_float32():
    assert choose_products("auto", "float32", "cuda", ZEN).path == "default"
    assert choose_products("onednn", "float32", "mps", ZEN).path == "default"


@pytest.mark.parametrize(
    ("cpu", "precision"),
    [(ZEN, "bf16"), (SAPPHIRE_RAPIDS, "bf16"), (ARM, "bf16"), (ICE_LAKE, "float32"), (UNKNOWN, "float32")],
)
def test_bf16_needs_instructions_for_it_and_otherwise_goes_on_in_float32(cpu, precision):
    products = choose_products("auto", "bf16", "cpu", cpu)
    assert products.precision == precision
    assert ("using float32" in products.description) == (precision == "float32")


def test_a_gpu_without_bf16_goes_on_in_float32(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert "cuda:1 does not support bf16" in choose_products("auto", "bf16", "cuda:1", ZEN).refused
    assert choose_products("auto", "bf16", "mps", ZEN).precision == "float32"  # the tests' torch has none


def test_a_processor_is_read_from_what_linux_says_of_it(tmp_path):
    described = tmp_path / "cpuinfo"
    described.write_text("processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512f\n\nflags\t\t: other\n")
    assert this_cpu(described)[:2] == ("AuthenticAMD", {"fpu", "avx512f"})
    described.write_text("processor\t: 0\nFeatures\t: asimd bf16\n")
    assert this_cpu(described)[:2] == ("", {"asimd", "bf16"})
    assert this_cpu(tmp_path / "none")[:2] == ("", frozenset())


@pytest.mark.parametrize("matmul", ["auto", "default", "onednn"])
def test_every_path_of_this_machine_multiplies_in_float32_and_leaves_torch_as_it_was(matmul):
    matrix = torch.full((256, 256), 1.0 + 2.0**-14)  # bf16 has 8 digits
    before = torch.get_float32_matmul_precision()
    with choose_products(matmul, "float32", "cpu").in_use():
        assert torch.equal(matrix @ torch.eye(256), matrix)
    assert torch.get_float32_matmul_precision() == before


def test_products_in_bf16_have_the_gradient_of_float32_and_leave_weights_float32():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(50, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 500))
    inputs, actions = torch.randn(256, 50), torch.randint(500, (256,))
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    gradients = []
    for precision in ("float32", "bf16"):
        set_linear_precision(net, precision)
        net.zero_grad()
        log_prob, entropy = log_prob_and_entropy(net(inputs), actions)
        (log_prob.mean() + 0.1 * entropy.mean()).backward()
        gradients.append(torch.cat([weights.grad.flatten() for weights in net.parameters()]))
    assert not torch.equal(*gradients)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.999
    optimizer.step()
    states = [value for state in optimizer.state.values() for value in state.values()]
    assert {tensor.dtype for tensor in (*net.parameters(), *gradients, *states)} == {torch.float32}


def test_the_value_is_multiplied_in_float32():
    net = nn.ModuleList([nn.Linear(4, 1), nn.Linear(4, 2)])
    set_linear_precision(net, "bf16")
    assert [type(module) for module in net] == [nn.Linear, Bf16Linear]
    set_linear_precision(net, "float32")
    assert [type(module) for module in net] == [nn.Linear, nn.Linear]


def short_run(folder, **layer):
    short = {"device": "cpu", "episodes": 8, "evaluation": {"problems": 2}, "ppo": {"n_envs": 4, "batch_size": 32}}
    return fit(make_settings(preset_layer("tiny"), short, layer), folder, progress=False)


@pytest.fixture(scope="module")
def bf16_run(tmp_path_factory):
    """A run in bf16 with a head, by a processor that has it; others emulate."""

    @cache
    def bf16_run(head):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("agents.machine.matmul.this_cpu", lambda: ZEN)
            return short_run(tmp_path_factory.mktemp("bf16") / "run", precision="bf16", policy={"head": head})

    return bf16_run


def test_training_and_agents_multiply_by_the_rule(tmp_path, monkeypatch):
    monkeypatch.setattr("agents.machine.matmul.this_cpu", lambda: ZEN)
    used = set()
    multiply = nn.Linear.forward

    def forward(self, inputs):
        used.add(torch.get_float32_matmul_precision())
        return multiply(self, inputs)

    monkeypatch.setattr(nn.Linear, "forward", forward)
    agent = short_run(tmp_path / "run").agent
    agent.logits(np.zeros((1, 51), dtype=np.float32))
    assert used == {"medium"}  # which leads to oneDNN


@pytest.mark.parametrize("head", ["stock", "fast", "tied"])
def test_a_run_in_bf16_is_loaded_in_float32(head, bf16_run, monkeypatch):
    monkeypatch.setattr("agents.machine.matmul.this_cpu", lambda: ZEN)
    result = bf16_run(head)
    assert json.loads((result.run / "run.json").read_text())["products"]["precision"] == "bf16"
    seen = np.random.default_rng(0).normal(size=(20, 51)).astype(np.float32)
    np.testing.assert_array_equal(agents.load(result.run).logits(seen), result.agent.logits(seen))
    assert not [module for module in result.agent.policy.modules() if isinstance(module, Bf16Linear)]


def test_a_run_says_that_there_is_no_bf16(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("agents.machine.matmul.this_cpu", lambda: ICE_LAKE)
    result = short_run(tmp_path / "run", precision="bf16")
    assert "this processor has no bf16 instructions; using float32" in capsys.readouterr().err
    assert json.loads((result.run / "run.json").read_text())["products"]["precision"] == "float32"


def test_runs_in_bf16_repeat(bf16_run, tmp_path, monkeypatch):
    monkeypatch.setattr("agents.machine.matmul.this_cpu", lambda: ZEN)
    one, other = bf16_run("tied"), short_run(tmp_path / "other", precision="bf16", policy={"head": "tied"})
    assert (one.run / "model.safetensors").read_bytes() == (other.run / "model.safetensors").read_bytes()


@pytest.mark.parametrize("key", ["precision", "matmul"])
def test_unknown_precisions_and_paths_are_refused_with_those_there_are(key):
    with pytest.raises(SettingError, match=rf"^{key} cannot be 'fp8': Input should be '(float32|auto)'"):
        make_settings({key: "fp8"})
