"""Tell three species of iris apart: a small neural network in plain Python.

    python train.py train.json

Reads the hyperparameters from a JSON file, writes metrics.json.
"""

import csv
import json
import math
import random
import sys
from pathlib import Path


def main(config_file):
    config = json.loads(Path(config_file).read_text())
    train, test, species = load_data(**config["data"])
    rng = random.Random(config["data"]["seed"])
    network = Network(len(train[0][0]), config["model"]["hidden"], len(species), rng)

    fit(network, train, test, rng, l2=config["model"]["l2"], **config["optim"])

    loss, acc = evaluate(network, test)
    Path("metrics.json").write_text(json.dumps({"acc": acc, "loss": loss}, indent=2) + "\n")


def load_data(test_fraction, seed):
    """Read iris.csv: (features, class) pairs to learn from, pairs held out, the species."""
    with Path(__file__).with_name("iris.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    species = sorted({row[-1] for row in rows})
    pairs = [([float(x) for x in row[:-1]], species.index(row[-1])) for row in rows]
    random.Random(seed).shuffle(pairs)
    held_out = round(len(pairs) * test_fraction)
    return pairs[held_out:], pairs[:held_out], species


def fit(network, train, test, rng, lr, momentum, epochs, batch, l2):
    """Stochastic gradient descent; leaves with status 1 when the loss is no number any more."""
    for epoch in range(1, epochs + 1):
        rng.shuffle(train)
        for start in range(0, len(train), batch):
            part = train[start:start + batch]
            for features, target in part:
                network.learn(features, target)
            for layer in network.layers:
                layer.step(lr, momentum, l2, len(part))
        loss, acc = evaluate(network, test)
        if not math.isfinite(loss):
            sys.exit(f"loss is {loss} at epoch {epoch}")
        if epoch % max(1, epochs // 5) == 0:
            print(f"epoch {epoch:3}  loss {loss:.3f}  acc {acc:.3f}")


def evaluate(network, pairs):
    loss = correct = 0
    for features, target in pairs:
        _, probs = network.forward(features)
        loss -= math.log(probs[target]) if probs[target] else -math.inf
        correct += probs[target] == max(probs)
    return loss / len(pairs), correct / len(pairs)


class Network:
    """One hidden layer of leaky ReLUs, then softmax."""

    def __init__(self, inputs, hidden, outputs, rng):
        self.layers = Layer(inputs, hidden, rng), Layer(hidden, outputs, rng)

    def forward(self, features):
        first, second = self.layers
        hidden = [max(z, 0.1 * z) for z in first.forward(features)]
        scores = second.forward(hidden)
        exps = [math.exp(score - max(scores)) for score in scores]
        return hidden, [e / sum(exps) for e in exps]

    def learn(self, features, target):
        first, second = self.layers
        hidden, probs = self.forward(features)
        errors = [p - (k == target) for k, p in enumerate(probs)]
        errors = second.backward(hidden, errors)
        first.backward(features, [e if h > 0 else 0.1 * e for e, h in zip(errors, hidden)])


class Layer:
    """A linear map; the last weight of each row is its bias."""

    def __init__(self, inputs, outputs, rng):
        scale = 1 / math.sqrt(inputs)
        self.weights = [
            [rng.gauss(0, scale) for _ in range(inputs)] + [0.0] for _ in range(outputs)
        ]
        self.gradient = [[0.0] * (inputs + 1) for _ in range(outputs)]
        self.velocity = [[0.0] * (inputs + 1) for _ in range(outputs)]

    def forward(self, x):
        return [sum(w * v for w, v in zip(row, x)) + row[-1] for row in self.weights]

    def backward(self, x, errors):
        """Add to the gradient, and return the error of each input."""
        for row, error in zip(self.gradient, errors):
            for i, value in enumerate(x):
                row[i] += error * value
            row[-1] += error
        return [sum(e * row[i] for e, row in zip(errors, self.weights)) for i in range(len(x))]

    def step(self, lr, momentum, l2, batch):
        for weights, gradient, velocity in zip(self.weights, self.gradient, self.velocity):
            for i, weight in enumerate(weights):
                velocity[i] = momentum * velocity[i] - lr * (gradient[i] / batch + l2 * weight)
                weights[i] += velocity[i]
                gradient[i] = 0.0


if __name__ == "__main__":
    main(sys.argv[1])
