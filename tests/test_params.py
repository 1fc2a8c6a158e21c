"""Params: what a user of AttrDict, Box or OmegaConf expects of a config, and what a plain dict is good for."""

import copy
import json
import pickle

import pytest
import yaml
from world import git
from world import gitparams as command

import gitparams
from gitparams.params import layer, loaded, reads_of


@pytest.fixture
def cfg(tmp_path):
    file = tmp_path / "train.yaml"
    file.write_text("booster:\n  eta: 0.1\n  depth: 3\nlambda: 1e-3\nlayers: [64, {units: 8}]\nitems: 7\n")
    return gitparams.load(file)


def keywords(**given):
    return given


def test_keys_read_as_attributes_and_as_keys(cfg):
    assert (cfg.booster.eta, cfg["booster"]["depth"], cfg["lambda"], cfg.layers[1].units) == (0.1, 3, 0.001, 8)
    assert ("booster" in cfg, "eta" in cfg, len(cfg)) == (True, False, 4)


def test_methods_win_over_keys_of_their_name(cfg):
    assert (cfg["items"], callable(cfg.items)) == (7, True)


def test_a_key_that_is_not_there_is_an_attribute_error_with_a_near_miss(cfg):
    with pytest.raises(AttributeError, match="no param 'etaa'; did you mean eta"):
        cfg.booster.etaa  # noqa: B018
    assert getattr(cfg, "warmup", None) is None


def test_nested_assignment_by_attributes_and_by_keys(cfg):
    cfg.booster.eta = 0.2
    cfg.optim = {"lr": 0.1, "betas": {"first": 0.9}}
    cfg.optim.betas.first = 0.8
    cfg["data"] = {"size": 3}
    del cfg.booster.depth
    assert gitparams.to_dict(cfg) == {
        "booster": {"eta": 0.2},
        "lambda": 0.001,
        "layers": [64, {"units": 8}],
        "items": 7,
        "optim": {"lr": 0.1, "betas": {"first": 0.8}},
        "data": {"size": 3},
    }
    assert cfg.data.size == 3


def test_it_is_the_dict_it_looks_like(cfg):
    assert isinstance(cfg, dict)
    assert keywords(**cfg.booster) == dict(cfg.booster) == {"eta": 0.1, "depth": 3} == cfg.booster
    assert json.loads(json.dumps(cfg)) == cfg == yaml.safe_load(gitparams.to_yaml(cfg))
    assert {**cfg, "seed": 1}["seed"] == 1


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda cfg: pickle.loads(pickle.dumps(cfg)), lambda cfg: cfg.copy()]
)
def test_a_copy_is_params_too_and_equal(cfg, copied):
    twin = copied(cfg)
    assert (twin == cfg, isinstance(twin, gitparams.Params), twin.booster.eta) == (True, True, 0.1)
    twin.seed = 1
    assert "seed" not in cfg


def test_flatten_and_merge_are_functions_and_no_methods(cfg):
    assert gitparams.flatten(cfg) == {
        "booster.eta": 0.1, "booster.depth": 3, "lambda": 0.001, "layers": [64, {"units": 8}], "items": 7,
    }  # fmt: skip
    assert gitparams.merge(cfg, {"booster": {"eta": 1}})["booster"] == {"eta": 1, "depth": 3}
    assert [name for name in ("flatten", "merge", "to_dict", "to_yaml") if name in dir(gitparams.Params)] == []


# -- reads ----------------------------------------------------------------------------------------------------------------


CONFIG = {"optim": {"lr": 0.1, "warmup": 5}, "seed": 3, "empty": {}}


def fresh():
    return loaded(layer(CONFIG, "file"))


def everything(cfg):
    return None


@pytest.mark.parametrize(
    ("use", "unread"),
    [
        (everything, ("empty", "optim.lr", "optim.warmup", "seed")),
        (lambda cfg: cfg.optim, ("empty", "optim.lr", "optim.warmup", "seed")),
        (lambda cfg: cfg.optim.lr, ("empty", "optim.warmup", "seed")),
        (lambda cfg: cfg["optim"]["lr"], ("empty", "optim.warmup", "seed")),
        (lambda cfg: cfg.get("optim").get("lr"), ("empty", "optim.warmup", "seed")),
        (lambda cfg: cfg.pop("seed"), ("empty", "optim.lr", "optim.warmup")),
        (lambda cfg: cfg.setdefault("seed", 1), ("empty", "optim.lr", "optim.warmup")),
        (lambda cfg: keywords(**cfg.optim), ("empty", "seed")),
        (lambda cfg: dict(cfg.optim), ("empty", "seed")),
        (lambda cfg: list(cfg.optim.values()), ("empty", "seed")),
        (lambda cfg: list(cfg.items()), ("optim.lr", "optim.warmup")),
        (lambda cfg: "seed" in cfg, ("empty", "optim.lr", "optim.warmup", "seed")),
        (lambda cfg: list(cfg), ("empty", "optim.lr", "optim.warmup", "seed")),
        (json.dumps, ()),
        (gitparams.to_dict, ()),
        (gitparams.flatten, ()),
        (lambda cfg: copy.deepcopy(cfg).optim.lr, ("empty", "optim.warmup", "seed")),
        (pickle.dumps, ()),
    ],
)
def test_what_was_read_is_known(use, unread):
    cfg = fresh()
    use(cfg)
    assert reads_of(cfg).unread == unread


def test_to_be_recorded_is_not_to_be_read(repo):
    (repo / "conf.yaml").write_text("optim: {lr: 0.1, warmup: 5}\nseed: 3\n")
    cfg = gitparams.load("conf.yaml")
    with gitparams.start(cfg) as run:
        assert cfg.optim.lr == 0.1
        cfg.seed = 4
    document = json.loads(command("show", str(run.id), "--json").out)
    assert document["unread"] == ["optim.warmup", "seed"]
    assert document["drift"] == {"seed": [3, 4]}
    assert {path: origin["at"] for path, origin in document["origins"].items()} == {
        "optim.lr": "conf.yaml:1", "optim.warmup": "conf.yaml:1", "seed": "conf.yaml:2",
    }  # fmt: skip
    assert git("status", "--porcelain", "--untracked-files=no") == ""


def test_a_value_that_was_changed_between_load_and_start_says_so(repo):
    (repo / "conf.yaml").write_text("lr: 0.1\n")
    cfg = gitparams.load("conf.yaml", overrides=["+seed=1"])
    cfg.lr = 0.2
    run = gitparams.start(cfg)
    run.finish()
    document = json.loads(command("show", str(run.id), "--json").out)
    assert document["origins"] == {
        "lr": {"source": "code", "at": None, "overrode": [{"value": 0.1, "source": "file", "at": "conf.yaml:1"}]},
        "seed": {"source": "cli", "at": "-p +seed=1", "overrode": []},
    }


def test_the_object_of_the_user_is_never_wrapped_changed_or_frozen(repo):
    mine = {"optim": {"lr": 0.1}, "layers": [1, 2]}
    inner = mine["optim"]
    with gitparams.start(mine) as run:
        mine["optim"]["lr"] = 0.5
        mine["new"] = object()
    assert (type(mine), mine["optim"] is inner, type(inner), mine["layers"]) == (dict, True, dict, [1, 2])
    document = json.loads(command("show", str(run.id), "--json").out)
    assert document["params"] == {"optim": {"lr": 0.1}, "layers": [1, 2]}
    assert document["drift"] == {"optim.lr": [0.1, 0.5], "new": [{"missing": True}, "<builtins.object>"]}
