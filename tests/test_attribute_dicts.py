"""Attribute dicts of other libraries: taken as params as they are, and `Params` read the same way when they come back."""

import copy
import json
import types

import pytest

import gitparams

CONFIG = {
    "booster": {"eta": 1e-3, "name": "gbtree", "shrink": False, "betas": [0.9, 0.999], "seed": None},
    "layers": [{"units": 64}, 8],
    "epochs": 3,
    "empty": {},
}


def namespace(value):
    if isinstance(value, dict):
        return types.SimpleNamespace(**{key: namespace(item) for key, item in value.items()})
    return [namespace(item) for item in value] if isinstance(value, list) else value


def frozen_box(values):
    return pytest.importorskip("box").Box(values, frozen_box=True)


def read_only(values):
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create(values)
    omegaconf.OmegaConf.set_readonly(config, True)
    return config


KINDS = {
    "attrdict3": lambda values: pytest.importorskip("attrdict").AttrDict(values),
    "Box": lambda values: pytest.importorskip("box").Box(values),
    "frozen Box": frozen_box,
    "Munch": lambda values: pytest.importorskip("munch").munchify(values),
    "addict": lambda values: pytest.importorskip("addict").Dict(values),
    "easydict": lambda values: pytest.importorskip("easydict").EasyDict(values),
    "ml_collections": lambda values: pytest.importorskip("ml_collections").ConfigDict(values),
    "OmegaConf": lambda values: pytest.importorskip("omegaconf").OmegaConf.create(values),
    "read-only OmegaConf": read_only,
    "SimpleNamespace": namespace,
    "Params": lambda values: gitparams.Params(values),
}


@pytest.fixture(params=KINDS)
def mine(request):
    return KINDS[request.param](copy.deepcopy(CONFIG))


def read(cfg):
    """Return what a program reads by attributes, the types with it; ml_collections leaves the dicts in its lists as they are."""
    units = cfg.layers[0]["units"] if type(cfg.layers[0]) is dict else cfg.layers[0].units
    values = [cfg.booster.eta, cfg.booster.name, cfg.booster.shrink, cfg.booster.seed, cfg.epochs]
    return values, [*map(type, values)], list(cfg.booster.betas), units, cfg.layers[1]


def test_what_start_was_given_reads_back_by_the_same_attributes(repo, mine):
    before = read(mine), repr(mine), type(mine.booster)
    with gitparams.start(mine) as run:
        assert read(run.params) == read(mine)
    again = gitparams.run(str(run.id))
    assert (read(again.params), gitparams.to_dict(again.params), again.drift) == (before[0], CONFIG, {})
    assert again.params.layers[0].units == 64
    assert json.loads(json.dumps(again.params)) == CONFIG
    assert (read(mine), repr(mine), type(mine.booster)) == before


def test_what_record_was_given_reads_back_by_the_same_attributes(repo, mine):
    before = read(mine), repr(mine)
    run = gitparams.record(mine, {"acc": 0.9})
    assert (read(run.params), gitparams.to_dict(run.params)) == (before[0], CONFIG)
    assert (read(mine), repr(mine)) == before


def test_references_of_ml_collections_are_resolved_and_a_missing_one_takes_no_other_along(repo):
    ml_collections = pytest.importorskip("ml_collections")
    config = ml_collections.ConfigDict({"lr": 0.1, "model": {"width": 8}})
    config.warmup_lr = config.get_ref("lr") * 0.5
    config.model.sizes = (config.model.get_ref("width"), 2)
    config.steps = ml_collections.config_dict.placeholder(int)
    config.data = ml_collections.config_dict.required_placeholder(str)
    assert gitparams.record(ml_collections.FrozenConfigDict({"model": {"sizes": [1, 2]}})).params == {
        "model": {"sizes": [1, 2]}
    }
    assert gitparams.record(config).params == {
        "lr": 0.1,
        "warmup_lr": 0.05,
        "model": {"width": 8, "sizes": [8, 2]},
        "steps": None,
        "data": "???",
    }


def test_params_are_params_within_lists_too_and_keep_the_list_that_was_read():
    cfg = gitparams.Params(layers=[{"units": 64}, [{"units": 8}]])
    theirs = [{"units": 1}]
    cfg.more = theirs
    assert (cfg.layers[0].units, cfg.layers[1][0].units, cfg.more[0].units) == (64, 8, 1)
    cfg.layers.append({"units": 2})
    assert cfg.layers[2].units == 2
    assert cfg.layers is cfg.layers
    assert type(theirs[0]) is dict
