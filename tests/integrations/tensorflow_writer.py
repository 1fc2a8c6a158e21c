"""Writes what TensorFlow 2 and Keras write for TensorBoard into a folder; runs in a venv that has TensorFlow."""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

LR = hp.HParam("lr", hp.RealInterval(1e-4, 1e-1))
UNITS = hp.HParam("units", hp.Discrete([4, 8]))
AMP = hp.HParam("amp", hp.Discrete([True, False]))


def sweep(folder):
    """The HParams API with tf.summary, as TensorBoard's own guide has it."""
    with tf.summary.create_file_writer(folder).as_default():
        hp.hparams_config(hparams=[LR, UNITS, AMP], metrics=[hp.Metric("accuracy", display_name="Accuracy")])
    for units in (4, 8):
        with tf.summary.create_file_writer(f"{folder}/run-{units}").as_default():
            hp.hparams({LR: 0.01, UNITS: units, AMP: True, "optim": "adam"}, trial_id=f"trial-{units}")
            for step in range(3):
                tf.summary.scalar("accuracy", step / units, step=step)
            tf.summary.text("note", "loss: 3", step=0)


def fit(folder, *callbacks):
    """Keras with its own callback, and more."""
    keras.utils.set_random_seed(0)
    numbers = np.linspace(0, 1, 16, dtype="float32").reshape(16, 1)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callbacks = [keras.callbacks.TensorBoard(folder), *callbacks]
    model.fit(numbers, 2 * numbers, validation_data=(numbers, numbers), epochs=2, verbose=0, callbacks=callbacks)


if __name__ == "__main__":
    top = sys.argv[1]
    sweep(f"{top}/sweep")
    fit(f"{top}/keras", hp.KerasCallback(f"{top}/keras", {LR: 0.02, UNITS: 1, AMP: False}))
    fit(f"{top}/plain")
