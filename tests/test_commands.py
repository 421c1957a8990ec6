"""Wrong input: one clear message, exit code 2, and no file."""

import pytest

from agents.machine.devices import available_devices
from benchmarks.files import RESULTS
from benchmarks.measures.results_file import results_file
from benchmarks.suite.cases import FAST_VS_STABLE


@pytest.fixture
def things(tmp_path):
    """What the lines below name."""
    (tmp_path / "binary").write_bytes(b"\x00\x01\x02")
    (tmp_path / "empty").write_text("")
    (tmp_path / "short.txt").write_text("one two three one two")
    (tmp_path / "bad.yaml").write_text("epsodes: 3\nenv: {noise: -1}\nppo: {gamma: 2}")
    (tmp_path / "unfit.yaml").write_text("episodes: 77\nenv: {max_steps: 10}")
    (tmp_path / "taken").mkdir()
    (tmp_path / "few").mkdir()
    with results_file(FAST_VS_STABLE, RESULTS).open(encoding="utf-8") as rows:
        results_file(FAST_VS_STABLE, tmp_path / "few").write_text(rows.readline(), encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "train pp0",
            "unknown algorithm 'pp0'. Did you mean 'ppo'? Known: a2c, grpo, maskable-ppo, ppo, recurrent-ppo, trpo.",
        ),
        ("train maskable_ppo", "unknown algorithm 'maskable_ppo'. Did you mean 'maskable-ppo'?"),
        ("train maskable-ppo --size tiny --set maskable-ppo.n_envs=3", "or --set maskable_ppo.n_envs=2"),
        ("train recurrent-ppo --size tiny --set ppo.n_steps=9", "type --set recurrent_ppo.n_steps=8"),
        ("train trpo --size tiny --set trpo.batch_size=7", "type --set trpo.batch_size=8"),
        ("train trpo --size tiny --set env.discount=0.3", "env.discount=0.3 differs from trpo.gamma=0.8"),
        ("train grpo --set grpo.group_size=1", "grpo.group_size cannot be 1"),
        ("train grpo --set grpo.vf_coef=0.5", "unknown setting 'grpo.vf_coef'."),
        ("train trpo --set trpo.ent_coef=0.1", "unknown setting 'trpo.ent_coef'."),
        ("train ppo --size fsat", "unknown size 'fsat'. Did you mean 'fast'?"),
        ("train ppo --set ppo.learning_rat=1", "Did you mean 'ppo.learning_rate'?"),
        ("train ppo --set env.vocab_size=1", "env.vocab_size is 1; it must be at least 2."),
        ("train ppo --set env.noise=-1", "env.noise is -1"),
        ("train ppo --set nonsense", "--set takes KEY=VALUE"),
        ("train ppo --episodes 0", "episodes cannot be 0"),
        ("train ppo --episodes 77", "type --episodes 80"),
        ("train ppo --language text:none.txt", "none.txt': No such file"),
        ("train ppo --language text:empty", "the text has no words"),
        ("train ppo --language text:binary", "is not text"),
        ("train ppo --language text:short.txt", "the text has 3 distinct words"),
        ("train ppo --language text:taken", "taken': Is a directory"),
        ("train ppo --language sinthetic", "Did you mean 'synthetic'?"),
        ("train ppo --from taken", "taken' is no finished run"),
        ("train ppo --from=", "from_run cannot be ''"),
        ("train ppo --curriculum --set curriculum.noise=1", "curriculum.noise=1 is harder than the task"),
        ("train ppo --set curriculum.levels=1", "curriculum.levels cannot be 1"),
        ("train ppo --out taken", "'taken' exists already"),
        ("train", "type an algorithm (a2c, grpo, maskable-ppo, ppo, recurrent-ppo, trpo), or --resume with a run;"),
        ("train --resume none", "'none' is not a run: it has no config.yaml."),
        ("train --resume taken", "'taken' is not a run: it has no config.yaml."),
        ("train --resume taken --out other", "--resume continues in the directory of its run; leave out --out."),
        ("train ppo --allow-change", "--allow-change goes with --resume RUN."),
        ("train ppo --out empty/run", "cannot create the directory"),
        ("train ppo --device mps", "device 'mps' cannot be used: "),
        ("train ppo --device gpu", "unknown device 'gpu'"),
        ("train ppo --config none.yaml", "there is no file 'none.yaml'"),
        ("train ppo --config binary", "cannot read settings"),
        ("train ppo --set env.split=test", "env.split and evaluation.split are both 'test'"),
        ("train ppo --set env.discount=0.3", "env.discount=0.3 differs from ppo.gamma=0.8"),
        ("train ppo --size=", "unknown size ''"),
        ("evaluate none", "'none' is no directory of a run; type one run, two runs to compare, or"),
        ("evaluate taken", "'taken' is no finished run"),
        ("evaluate greedy taken", "'greedy' is a reference policy, not a run; type one run"),
        ("evaluate optimal lookahed", "Did you mean 'lookahead'?"),
        ("evaluate taken taken taken", "3 runs were named"),
        ("evaluate taken taken", "'taken' is no finished run"),
        (
            "evaluate --split test",
            "nothing to evaluate; type a run, reference policies, or --log FILE; --help lists all options.",
        ),
        ("evaluate taken taken --ensemble votes", "unknown ensemble rule 'votes'. Did you mean 'vote'?"),
        ("evaluate greedy taken --ensemble vote", "'greedy' is a reference policy, not a run; type two or more runs."),
        ("evaluate taken taken taken --ensemble vote", "'taken' is no finished run"),
        ("evaluate taken --log empty", "leave out runs, policies, --ensemble, --plan and --set"),
        ("evaluate --log none", "cannot read 'none': No such file or directory; type --log with a file."),
        ("evaluate --log taken", "cannot read 'taken': Is a directory"),
        ("evaluate --log empty", "'empty' gives no verdict: it is empty"),
        ("evaluate --log short.txt", "'short.txt' gives no verdict: none of its 0 whole lines is a decision"),
        ("benchmarks coverage --out none/x.csv --trials 1", "cannot write"),
        ("evaluate taken --size fast", "a run has its own size"),
        ("evaluate greedy --size huge", "unknown size 'huge'"),
        ("evaluate greedy --split tests", "Did you mean 'test'?"),
        ("evaluate greedy --problems 0", "evaluate at least 1"),
        ("watch none", "'none' is no directory of a run; type a run or a reference policy (random, fluent, "),
        ("watch taken", "'taken' is no finished run"),
        ("watch taken --size fast", "a run has its own size"),
        ("watch greedy --size huge", "unknown size 'huge'"),
        ("watch greedy --size tiny --problem -1", "problem id -1 is outside the split 'test'"),
        ("watch greedy --fps 0", "fps is 0; it must be more than 0"),
        ("watch greedy --fps nan", "fps is nan"),
        ("watch greedy --sampled", "'greedy' has no probabilities"),
        ("watch greedy --out episode.mp4", "its suffix must be .gif or .png"),
        ("watch greedy --out none/episode.gif", "there is no directory 'none'"),
        ("train ppo --size tiny --reward nowhere:mine", "there is no module 'nowhere'"),
        ("train ppo --size tiny --reward textwrap:dednt", "Did you mean 'dedent'?"),
        ("tune run ppo --set env.reward=textwrap:dedent", "its workers import no code of users"),
        ("train ppo --config bad.yaml", "- env.noise is -1; it must be at least 0."),
        ("train ppo --config unfit.yaml", "type --set ppo.n_steps=2050.\n- 77 episodes are not"),
        ("evaluate greedy --set env.split=train", "--set cannot change env.split for a reference policy; it changes"),
        ("watch greedy --set ppo.gamma=1", "--set cannot change ppo for a reference policy; it changes env.vocab_size"),
        ("watch greedy --set env.noise=-1", "env.noise is -1"),
        ("evaluate --log short.txt --set env.noise=0", "leave out runs, policies, --ensemble, --plan and --set"),
        ("train ppo --precision fp8", "precision cannot be 'fp8': Input should be 'float32' or 'bf16'"),
        ("doctor --size huge", "unknown size 'huge'"),
        ("doctor --json none/found.json", "there is no directory 'none'"),
        ("doctor --json taken", "it is a directory"),
        ("benchmarks speed enw", "Did you mean 'env'?"),
        ("benchmarks speed env --growth", "type python -m benchmarks speed train --growth"),
        ("benchmarks run fast-vs-stabel", "Did you mean 'fast-vs-stable'?"),
        ("benchmarks run tiny --case tiny/pppo", "unknown case 'tiny/pppo'. Did you mean 'tiny/ppo'?"),
        ("benchmarks run tiny --executor rey", "unknown executor 'rey'. Did you mean 'ray'? Known: local, ray."),
        ("benchmarks run tiny --results new --address head:6379", "type --executor ray with it"),
        ("benchmarks run tiny --results empty", "cannot write into 'empty'"),
        (
            "benchmarks table tiny --results taken",
            "there are no results of 'tiny' in 'taken'; type python -m benchmarks",
        ),
        ("benchmarks claims --results taken", "there are no results in 'taken' that claims can be tested with; type"),
        ("benchmarks claims --results empty", "cannot read"),
        ("benchmarks claims --readme --format markdown", "--readme writes the committed results; leave"),
        ("benchmarks table --metric test_retrun --results few", "Did you mean 'test_return'?"),
        ("benchmarks table --case fast/presett --results few", "Did you mean 'fast/preset'?"),
        ("benchmarks table tiny --readme", "--readme writes the committed results of fast-vs-stable"),
        ("benchmarks plots tiny --results taken", "there are no results of 'tiny'"),
        ("benchmarks plots --out empty", "cannot write 'empty'"),
        ("tune run ppo --trials 0", "the number of trials is 0; it must be at least 1."),
        ("tune run ppo --workers 0", "the number of workers is 0; type --workers 1"),
        ("tune run ppo --seeds 0", "--seeds cannot be 0"),
        ("tune run ppo --final-seeds 1", "--final-seeds cannot be 1"),
        ("tune run ppo --sampler tpee", "unknown sampler 'tpee'. Did you mean 'tpe'?"),
        ("tune run ppo --pruner medain", "unknown pruner 'medain'. Did you mean 'median'?"),
        ("tune run ppo --parameter gama", "unknown parameter 'gama'. Did you mean 'gamma'?"),
        ("tune run ppo --episodes 77", "type --episodes 80"),
        ("tune run ppo --study a/b", "name cannot be 'a/b'"),
        ("tune run ppo --study a.final", "'a.final' is reserved for a stage of a study"),
        ("tune run ppo --storage sqlite:///x.db --workers 2", "sqlite loses trials of 2 workers; type --workers 1"),
        ("tune run ppo --storage mysql://host/x", "unknown storage 'mysql://host/x'; type --storage with one of"),
        ("tune run ppo --storage postgresql://me:secret@127.0.0.1:9/x", "***@127.0.0.1:9/x: connection failed"),
        ("tune run ppo --storage journal:binary", "is not a study journal, or damaged"),
        ("tune show none", "unknown study 'none': there is none yet."),
        ("tune export none", "unknown study 'none': there is none yet."),
        ("tune check none", "unknown study 'none': there is none yet."),
        ("tune show none --storage journal:none", "there is no journal"),
        ("tune serve --storage sqlite:///x.db", "the proxy serves PostgreSQL only"),
    ],
)
def test_wrong_input_gives_one_clear_message_exit_code_2_and_no_file(run, things, tmp_path, line, message):
    if "mps" in line and "mps" in available_devices():
        pytest.skip("this machine has mps, which the test needs not to be there")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    code, out, error = run(line)
    assert code == 2
    assert message in error
    assert error.startswith(("error: ", "settings: "))  # of --config
    assert error.count("\n") <= 5  # a few wrong settings, a YAML parser's message
    assert "Traceback" not in out + error
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "line", ["train", "evaluate", "watch", "train ppo --sise fast", "train ppo --seed x", "benchmarks"]
)
def test_wrong_words_on_the_command_line_exit_with_2_and_say_what_to_type(run, line):
    code, out, error = run(line)
    assert code == 2
    assert "--help" in out + error
    assert "Traceback" not in out + error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train ppo --size tiny --episodes 40 --out n\udce9", r"'n\udce9' is not UTF-8; give it"),
        ("train ppo --size tiny --language text:t\udce9.txt --set env.vocab_size=6", "env.language='text:t"),
        ("train ppo --size tiny --from n\udce9", "from_run cannot be 'n"),
        ("train --resume t\udce9", r"is not UTF-8; give it"),
        ("train ppo --config n\udce9.yaml", "there is no file"),
        ("evaluate n\udce9", "is no directory of a run"),
        ("benchmarks table --results n\udce9", "there are no results"),
    ],
)
def test_names_that_are_not_utf8_give_one_message(line, message, run, tmp_path):
    (tmp_path / "t\udce9.txt").write_text("the cat sat on the mat and the dog ran to the cat " * 20)
    (tmp_path / "t\udce9").mkdir()
    (tmp_path / "t\udce9" / "config.yaml").write_text("name: tiny")
    before = sorted(tmp_path.iterdir())
    code, _, error = run(line)
    assert code == 2
    assert message in error
    assert sorted(tmp_path.iterdir()) == before
