"""Which params are seeds."""

import pytest

from gitparams.errors import ParamsError
from gitparams.seeds import is_seed, seeds_of


@pytest.mark.parametrize(
    "path",
    [
        "seed", "SEED", "seeds", "random_seed", "rng_seed", "random_state", "randomState", "manual_seed", "np_seed", "numpy_seed",
        "torch_seed", "cuda_seed", "data_seed", "train_seed", "seed_everything", "PYTHONHASHSEED", "randomSeed", "random-seed",
        "RNGSeed", "seed2", "seed_1", "seed_value", "data.split.seed", 'data["a.b"].seed', "seeds.train", "seed.numpy",
    ],
)  # fmt: skip
def test_these_are_seeds(path):
    assert is_seed(path)


@pytest.mark.parametrize(
    "path",
    [
        "seed_size", "seedling", "num_seeds", "n_seeds", "numSeeds", "seed_count", "seed.size_of.x", "use_seed", "fix_seed", "state",
        "random", "optimizer_state", "linseed", "seeds.n", "seed.set", "random_state_size", "everything", "2", "lr",
        "seed.deep.below",
    ],
)  # fmt: skip
def test_these_are_none(path):
    assert not is_seed(path)


@pytest.mark.parametrize(
    ("path", "extra", "answer"),
    [
        ("salt", ["salt"], True),
        ("trial.Salt", ["salt"], True),
        ("trial.salt", ["trial.*"], True),
        ("trial.salt", ["other", "*lt"], True),
        ("trial.salty", ["salt"], False),
        ('a["b.c"]', ["b.c"], True),
        ("lr", ["salt"], False),
        ("seed", ["salt"], True),
    ],
)
def test_a_project_adds_globs_of_names_and_of_paths(path, extra, answer):
    assert is_seed(path, extra) is answer


def test_what_is_no_path_is_refused_where_it_could_be_a_seed():
    with pytest.raises(ParamsError, match="is not a path"):
        is_seed("seed..")


def test_the_seeds_of_a_config_are_found_at_any_depth_with_their_values():
    config = {"seed": 1, "data": {"random_state": None, "seeds": [1, 2], "n_seeds": 2}, "lr": 0.1, "salt": "x"}
    assert seeds_of(config) == {"seed": 1, "data.random_state": None, "data.seeds": [1, 2]}
    assert seeds_of(config, ["salt"]) == {"seed": 1, "data.random_state": None, "data.seeds": [1, 2], "salt": "x"}
