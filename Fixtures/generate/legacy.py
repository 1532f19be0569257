"""Weights of cuDNN, and weights without a configuration: run with the interpreter of requirements-keras2.txt.

CuDNN layers compute on a GPU alone. So a model of LSTM and GRU gets random weights in cuDNN's form, its own are what tf_keras' loader makes of
them (`_convert_rnn_weights`), and expected outputs are what it then predicts.
"""

import sys

sys.dont_write_bytecode = True

import argparse
import fnmatch
import json
import tempfile
from pathlib import Path

import h5py
import numpy as np

import common
import keras2
from keras2 import keras
from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

L = keras.layers
FOLDER = common.FIXTURES / "legacy"
FRAMEWORK = keras2.FRAMEWORK


# -- cuDNN -------------------------------------------------------------------------------------------

def cudnn_weights(rng, weights):
    """Random weights in cuDNN's form for [kernel, recurrent kernel, bias] of LSTM or GRU."""
    kernel, recurrent, _ = [tuple(v.shape) for v in weights]
    return [common.random_value(rng, role, shape).astype("float32")
            for role, shape in (("kernel", kernel), ("recurrent_kernel", recurrent), ("bias", (2 * recurrent[1],)))]


def random_cudnn(rng, model, kinds):
    """All weights of the model by layer, those of recurrent layers in cuDNN's form."""
    result = {}
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, L.Bidirectional):
            result[layer.name] = cudnn_weights(rng, weights[:3]) + cudnn_weights(rng, weights[3:])
        elif isinstance(layer, kinds):
            result[layer.name] = cudnn_weights(rng, weights)
        else:
            result[layer.name] = [common.random_value(rng, "kernel", v.shape).astype("float32") for v in weights]
    return result


def put(path, values):
    """Puts arrays into a file that tf_keras has written, in place of its own."""
    with h5py.File(path, "r+") as file:
        root = file["model_weights"] if "model_weights" in file else file
        for name, arrays in values.items():
            names = [n.decode() if isinstance(n, bytes) else n for n in root[name].attrs["weight_names"]]
            for n, value in zip(names, arrays, strict=True):
                del root[name][n]
                root[name].create_dataset(n, data=value)



def lstm_model(recurrent):
    return keras.Sequential([
        keras.Input((6, 3), name="first_input"), recurrent(5, return_sequences=True, name="first"),
        L.Bidirectional(recurrent(4, return_sequences=True, name="inner"), name="both"),
        recurrent(7, go_backwards=True, name="last"), L.Dense(2, name="dense")])


def lstm(units, **options):
    return L.LSTM(units, **options)


def gru(units, **options):
    return L.GRU(units, reset_after=True, **options)


def with_cudnn_classes(path):
    """The configuration as it is where the layers are CuDNNLSTM and CuDNNGRU."""
    with h5py.File(path, "r+") as file:
        document = json.loads(file.attrs["model_config"])

        def visit(value):
            if isinstance(value, list):
                for element in value:
                    visit(element)
            elif isinstance(value, dict):
                if value.get("class_name") in ("LSTM", "GRU"):
                    kind = {"LSTM": CuDNNLSTM, "GRU": CuDNNGRU}[value["class_name"]]
                    old = value["config"]
                    config = kind(old["units"], return_sequences=old["return_sequences"], go_backwards=old["go_backwards"],
                                  name=old["name"]).get_config()
                    if "batch_input_shape" in old:
                        config["batch_input_shape"] = old["batch_input_shape"]
                    value.update(class_name=kind.__name__, config=config)
                    for key in ("module", "registered_name"):
                        value.pop(key, None)
                for element in value.values():
                    visit(element)

        visit(document)
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(document).encode()
        file.attrs["keras_version"] = b"2.2.4"
        file["model_weights"].attrs["keras_version"] = b"2.2.4"


def cudnn_case(name, kind, under_plain_class):
    keras.backend.clear_session()
    rng = common.rng_for(name)
    model = lstm_model(kind)
    inputs = {"first_input": common.floats(rng, 3, 6, 3)}
    values = random_cudnn(rng, model, (L.LSTM, L.GRU))
    path = FOLDER / f"{name}.h5"
    model.save(path, save_format="h5")
    put(path, values)
    # tf_keras converts what it loads.
    loaded = keras.models.load_model(path, compile=False)
    outputs = keras2.predict(loaded, inputs)
    if not under_plain_class:
        with_cudnn_classes(path)
        keras.models.load_model(path, compile=False)
    notes = "weights of cuDNN under " + ("the plain class, told by the bias" if under_plain_class else "CuDNN classes")
    return common.row(name, path, FRAMEWORK, "keras2-h5", *common.write_expected(name, inputs, outputs), common.class_names(model), notes)


def plain_under_cudnn(name):
    """Weights of LSTM under a configuration of CuDNNLSTM: tf_keras converts this way too."""
    keras.backend.clear_session()
    rng = common.rng_for(name)
    model = lstm_model(lstm)
    common.randomise(model, rng)
    inputs = {"first_input": common.floats(rng, 3, 6, 3)}
    path = FOLDER / f"{name}.h5"
    model.save(path, save_format="h5")
    outputs = keras2.predict(model, inputs)
    with_cudnn_classes(path)
    keras.models.load_model(path, compile=False)
    return common.row(name, path, FRAMEWORK, "keras2-h5", *common.write_expected(name, inputs, outputs), common.class_names(model),
                      "weights of LSTM under CuDNN classes")


# -- cuDNN in the newer formats ----------------------------------------------------------------------

def stack_model(recurrent):
    return keras.Sequential([
        keras.Input((6, 3), name="first_input"), recurrent(5, return_sequences=True, name="first"),
        L.Bidirectional(recurrent(4, return_sequences=True, name="inner"), merge_mode="mul", name="both"),
        recurrent(7, go_backwards=True, name="last"), L.Dense(2, name="dense")])


def graph_model(recurrent):
    """States passed on, a nested model, TimeDistributed, and a plain layer beside, whose groups are counted by themselves."""
    inner_input = keras.Input((5, 4), name="inner_input")
    inner = keras.Model(inner_input, L.Dense(3, name="inner_dense")(recurrent(6, name="deep", return_sequences=True)(inner_input)), name="nested")
    a = keras.Input((5, 2), name="a")
    b = keras.Input((2, 5, 4), name="b")
    ahead = recurrent(4, return_sequences=True, return_state=True, name="ahead")(a)
    sequence, states = ahead[0], ahead[1:]
    plain = L.LSTM(4, return_sequences=True, name="plain")(sequence)
    after = recurrent(4, name="after")(plain, initial_state=states)
    spread = L.TimeDistributed(recurrent(3, name="one"), name="each")(b)
    deep = L.GlobalAveragePooling1D(name="average")(inner(sequence))
    return keras.Model([a, b], [L.Dense(2, name="out")(L.Concatenate(name="join")([after, L.Flatten(name="flat")(spread), deep])),
                                L.Bidirectional(recurrent(3, name="two"), name="both")(plain)])


def cudnn_archive(name, make, of_cudnn, plain):
    """`.keras` and `.weights.h5` of CuDNN classes, which tf_keras builds and saves without a GPU; the predictions are the plain classes'."""
    keras.backend.clear_session()
    keras2.reset_object_ids()
    rng = common.rng_for(name)
    model = make(of_cudnn)
    common.randomise(model, rng)
    archive, weights, config = (FOLDER / f"{name}{suffix}" for suffix in (".keras", ".weights.h5", ".json"))
    model.save(archive)
    common.strip_dates(archive)
    if make is stack_model:
        model.save_weights(weights)
        config.write_text(model.to_json() + "\n")
    inputs = {n: common.floats(rng, 3, *shape[1:]) for n, shape in
              zip(model.input_names, model.input_shape if isinstance(model.input_shape, list) else [model.input_shape], strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "named.h5"
        model.save_weights(path)
        keras.backend.clear_session()
        equal = make(plain)
        # tf_keras converts what it loads.
        equal.load_weights(path)
    paths = common.write_expected(name, inputs, keras2.predict(equal, inputs))
    layers, notes = common.class_names(equal), "CuDNN classes in saving v3: groups of their names, without cells"
    rows = [common.row(name, archive, FRAMEWORK, "keras3-keras", *paths, layers, notes)]
    if make is stack_model:
        rows.append(common.row(name, weights, FRAMEWORK, "keras3-weights", *paths, layers, notes, config=config))
    return rows


# -- weights without a configuration -----------------------------------------------------------------

def stack_text():
    return [L.Embedding(12, 6, name="embedding"), L.LSTM(5, return_sequences=True, name="lstm"), L.Dropout(0.2, name="dropout"),
            L.LSTM(4, name="lstm_1"), L.Dense(3, name="dense")], None, lambda rng: common.ids(rng, 3, 7, 12), "embedding_input"


def stack_bidirectional():
    return [L.Bidirectional(L.GRU(5, return_sequences=True), name="bidirectional"),
            L.Bidirectional(L.LSTM(3), name="bidirectional_1"), L.Dense(6, name="dense"), L.Dense(2, name="dense_1")], (7, 4), \
        lambda rng: common.floats(rng, 3, 7, 4), "bidirectional_input"


def stack_simple():
    return [L.SimpleRNN(6, return_sequences=True, name="simple_rnn"), L.GRU(4, return_sequences=True, reset_after=True, name="gru"),
            L.BatchNormalization(name="batch_normalization"), L.GlobalAveragePooling1D(name="global_average_pooling1d"),
            L.Dense(3, name="dense")], (5, 3), lambda rng: common.floats(rng, 3, 5, 3), "simple_rnn_input"


def stack_many():
    layers = [L.Dense(4 + n % 3, name="dense" if n == 0 else f"dense_{n}") for n in range(12)]
    return layers, (3,), lambda rng: common.floats(rng, 4, 3), "dense_input"


def stack_old_gates():
    return [L.Embedding(9, 5, name="embedding_1"), L.LSTM(4, recurrent_activation="hard_sigmoid", name="lstm_1"),
            L.Dense(2, name="dense_1")], None, lambda rng: common.ids(rng, 3, 6, 9), "embedding_1_input"


STACKS = {"text": (stack_text, None), "bidirectional": (stack_bidirectional, None), "simple": (stack_simple, None), "many": (stack_many, None),
          "old_gates": (stack_old_gates, "2.2.2"), "open_gates": (stack_text, "2.2.4-tf")}


# Files whose weights leave something open: only a choice of the user's makes them models.
OPEN = {("legacy_bare_open_gates", ".h5"), ("legacy_bare_simple", ".weights.h5")}


def bare_case(name, make, version):
    keras.backend.clear_session()
    rng = common.rng_for(name)
    layers, shape, inputs, input_name = make()
    head = keras.Input(shape, name=input_name) if shape else keras.Input((None,), dtype="int32", name=input_name)
    model = keras.Sequential([head, *layers])
    common.randomise(model, rng)
    inputs = {input_name: inputs(rng)}
    outputs = keras2.predict(model, inputs)
    paths = common.write_expected(name, inputs, outputs)
    rows = []
    for suffix in (".h5", ".weights.h5") if version is None else (".h5",):
        path = FOLDER / (name + suffix)
        model.save_weights(path)
        if version:
            with h5py.File(path, "r+") as file:
                file.attrs["keras_version"] = version.encode()
        if (name, suffix) in OPEN:
            continue
        rows.append(common.row(name, path, FRAMEWORK, "keras2-weights" + ("-h5" if suffix == ".h5" else ""), *paths, common.class_names(model),
                               "weights alone, no configuration"))
    return rows


def cases():
    table = {}
    for kind, make, of_cudnn in (("lstm", lstm, CuDNNLSTM), ("gru", gru, CuDNNGRU)):
        table[f"legacy_cudnn_{kind}"] = lambda name, make=make: [cudnn_case(name, make, False)]
        table[f"legacy_cudnn_under_{kind}"] = lambda name, make=make: [cudnn_case(name, make, True)]
        for shape, model in (("stack", stack_model), ("graph", graph_model)):
            table[f"legacy_cudnn_{shape}_{kind}"] = lambda name, model=model, of_cudnn=of_cudnn, make=make: \
                cudnn_archive(name, model, of_cudnn, make)
    table["legacy_lstm_under_cudnn"] = lambda name: [plain_under_cudnn(name)]
    for name, (make, version) in STACKS.items():
        table[f"legacy_bare_{name}"] = lambda name, make=make, version=version: bare_case(name, make, version)
    return table


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pattern", nargs="?", default="*", help="only cases whose names match")
    pattern = parser.parse_args().pattern
    FOLDER.mkdir(exist_ok=True)
    rows = []
    for name, make in cases().items():
        if fnmatch.fnmatch(name, pattern):
            print(name)
            rows += make(name)
    # Rows of cases that are no more go too.
    common.merge_manifest(rows, lambda row: pattern == "*" and row["path"].startswith("legacy/") and "sharded" not in row["path"])


if __name__ == "__main__":
    main()
