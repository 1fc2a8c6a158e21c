"""Train a random forest or a small neural network on scikit-learn's handwritten digits."""

import argparse
import json
import time
import warnings
from pathlib import Path

import yaml
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main():
    args = parse_args()
    config = yaml.safe_load(args.config.read_text())
    for override in args.set:
        apply_override(config, override)

    x_train, x_test, y_train, y_test = load_data(config["data"])
    model = build_model(config)

    started = time.perf_counter()
    with warnings.catch_warnings():
        # A fixed budget of epochs is the point here, not convergence.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x_train, y_train)
    train_seconds = time.perf_counter() - started

    metrics = evaluate(model, x_test, y_test)
    metrics["train_seconds"] = round(train_seconds, 3)
    Path("metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print("  ".join(f"{name} {value:.4g}" for name, value in metrics.items()))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default="conf/forest.yaml",
        help="YAML file with the hyperparameters (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="override one value, e.g. forest.max_depth=8 (can be repeated)",
    )
    return parser.parse_args()


def apply_override(config, override):
    """Set one dotted key of the nested config: apply_override(config, "mlp.lr=0.01")."""
    key, equals, value = override.partition("=")
    *sections, name = key.split(".")
    for section in sections:
        config = config.get(section, {})
    if not (equals and isinstance(config, dict) and name in config):
        raise SystemExit(f"--set {override}: expected KEY=VALUE with a KEY of the config file")
    config[name] = yaml.safe_load(value)


def load_data(data):
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images, labels, test_size=data["test_size"], random_state=data["seed"], stratify=labels)


def build_model(config):
    if config["model"] == "forest":
        forest = config["forest"]
        return RandomForestClassifier(
            n_estimators=forest["n_estimators"],
            max_depth=forest["max_depth"],
            criterion=forest["criterion"],
            min_samples_leaf=forest["min_samples_leaf"],
            random_state=config["seed"],
        )
    if config["model"] == "mlp":
        mlp = config["mlp"]
        network = MLPClassifier(
            hidden_layer_sizes=mlp["hidden"],
            learning_rate_init=mlp["lr"],
            batch_size=mlp["batch_size"],
            max_iter=mlp["epochs"],
            alpha=mlp["weight_decay"],
            random_state=config["seed"],
        )
        return make_pipeline(StandardScaler(), network)
    raise SystemExit(f"model: expected forest or mlp, not {config['model']!r}")


def evaluate(model, x_test, y_test):
    probabilities = model.predict_proba(x_test)
    predicted = model.classes_[probabilities.argmax(axis=1)]
    return {
        "acc": accuracy_score(y_test, predicted),
        "loss": log_loss(y_test, probabilities),
        "f1_macro": f1_score(y_test, predicted, average="macro"),
    }


if __name__ == "__main__":
    main()
