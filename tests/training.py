"""A logistic regression on two clouds of points, by stochastic gradient descent: a real training of a tenth of a second."""

import argparse
import json
import math
import random

parser = argparse.ArgumentParser()
for name, default in {
    "lr": 0.1, "momentum": 0.0, "decay": 0.0, "clip": 5.0, "init": 0.01, "scale": 1.0, "noise": 0.0, "warmup": 0.0,
}.items():  # fmt: skip
    parser.add_argument(f"--{name}", type=float, default=default)
for name, default in {"epochs": 20, "batch": 10, "points": 200, "seed": 1}.items():
    parser.add_argument(f"--{name}", type=int, default=default)
parser.add_argument("--shuffle", action="store_true")
args = parser.parse_args()

world = random.Random(7)


def point(label):
    return [world.gauss(2.0 * label - 1.0, 1.0), world.gauss(1.0 - 2.0 * label, 1.0), 1.0]


rows = [(point(number % 2), number % 2) for number in range(args.points + 200)]
rng = random.Random(args.seed)
train = [(x, 1 - y if rng.random() < args.noise else y) for x, y in rows[: args.points]]
test = rows[args.points :]
weights, speed = [rng.gauss(0, args.init) for _ in range(3)], [0.0] * 3


def probability(x):
    return 1 / (1 + math.exp(-max(-30, min(30, sum(w * v for w, v in zip(weights, x, strict=True))))))


for epoch in range(args.epochs):
    if args.shuffle:
        rng.shuffle(train)
    rate = args.lr * (min(1.0, (epoch + 1) / args.warmup) if args.warmup else 1.0)
    for start in range(0, len(train), args.batch):
        batch = train[start : start + args.batch]
        for place in range(3):
            gradient = sum((probability(x) - y) * x[place] for x, y in batch) / len(batch) + args.decay * weights[place]
            speed[place] = args.momentum * speed[place] + max(-args.clip, min(args.clip, gradient))
        weights = [w - rate * s for w, s in zip(weights, speed, strict=True)]

loss = -sum(math.log(max(1e-9, probability(x) if y else 1 - probability(x))) for x, y in test) / len(test)
accuracy = sum((probability(x) > 0.5) == bool(y) for x, y in test) / len(test)
with open("metrics.json", "w") as file:
    json.dump({"acc": accuracy, "loss": loss}, file)
