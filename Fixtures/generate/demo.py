"""The model of `make demo`: a small Keras 2 LSTM, trained for a moment on made-up sentences, in the style of 2019."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tf_keras as keras

from common import FIXTURES

WORDS, TIME = 400, 24


def sentences(rng, count):
    """Ids padded with 0 on the right; a sentence is good if more of its words are below 150 than from 150 to 299."""
    x = np.zeros((count, TIME), "int32")
    for row in x:
        length = rng.integers(6, TIME + 1)
        row[:length] = rng.integers(1, WORDS, length)
    good = ((x > 0) & (x < 150)).sum(1) - ((x >= 150) & (x < 300)).sum(1)
    return x, (good > 0).astype("float32")


def main():
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    model = keras.Sequential(
        [
            keras.layers.Embedding(WORDS, 24, mask_zero=True, input_length=TIME, name="words"),
            keras.layers.LSTM(40, recurrent_activation="hard_sigmoid", dropout=0.1, name="memory"),
            keras.layers.Dense(16, activation="relu", name="hidden"),
            keras.layers.Dense(1, activation="sigmoid", name="sentiment"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    x, y = sentences(rng, 4000)
    model.fit(x, y, epochs=4, batch_size=64, verbose=0)
    folder = FIXTURES / "demo"
    folder.mkdir(exist_ok=True)
    model.save(folder / "sentiment.h5")
    x, y = sentences(rng, 5)
    np.savez(folder / "sentiment.inputs.npz", words_input=x)
    np.savez(folder / "sentiment.outputs.npz", sentiment=model.predict(x, verbose=0))
    print(model.evaluate(*sentences(rng, 500), verbose=0))


main()
