"""Weights of Keras 3 in shards: run with the interpreter of requirements-keras3.txt."""

import sys

sys.dont_write_bytecode = True

import json
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

import common

L = keras.layers
FOLDER = common.FIXTURES / "legacy"


def main():
    FOLDER.mkdir(exist_ok=True)
    rng = common.rng_for("sharded")
    model = keras.Sequential([
        keras.Input((6,), dtype="int32", name="words"), L.Embedding(20, 9, name="embedding"),
        L.Bidirectional(L.LSTM(7, return_sequences=True), name="both"), L.GRU(8, name="memory"), L.Dense(11, "relu", name="hidden"),
        L.Dense(3, "softmax", name="result")])
    common.randomise(model, rng)
    x = common.ids(rng, 4, 6, 20)
    y = np.asarray(model(x, training=False))
    path = FOLDER / "legacy_sharded.weights.json"
    # Limits are in GB: two kilobytes here, so that kernels and biases of one layer part.
    model.save_weights(path, max_shard_size=2100 / 1024**3)
    config = FOLDER / "legacy_sharded.json"
    config.write_text(model.to_json() + "\n")
    index = json.loads(path.read_text())
    assert any(isinstance(v, list) for v in index["weight_map"].values()), "no group spans shards"
    again = keras.models.model_from_json(config.read_text())
    again.load_weights(path)
    assert np.allclose(np.asarray(again(x, training=False)), y, atol=1e-6)
    paths = common.write_expected("legacy_sharded", {"words": x}, {"result": y})
    row = common.row("legacy_sharded", path, f"keras {keras.__version__}", "keras3-weights", *paths, common.class_names(model),
                     "one file of several shards, groups across them", config=config)
    common.merge_manifest([row], lambda row: "sharded" in row["path"])
    print(json.dumps(index))


if __name__ == "__main__":
    main()
