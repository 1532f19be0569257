"""Fixtures in the form of Keras 1: run with the interpreter of requirements-keras2.txt.

Keras 1 no longer installs, so a file is made from a model of tf_keras with random weights: its configuration in the words that Keras 1 used
(`get_config` of Keras 1.2.2), its weights by the inverse of `preprocess_weights_for_loading`. tf_keras' own loader then reads the weights
into a fresh model, which must predict the same; expected outputs are that model's. Where tf_keras has no such conversion, the note says so.
"""

import sys

sys.dont_write_bytecode = True

import json

import h5py
import numpy as np

import common
import keras2
from keras2 import keras

L = keras.layers
FOLDER = common.FIXTURES / "keras1"


# -- configurations ----------------------------------------------------------------------------------

REGULARIZER = {"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.0010000000474974513}
TRAINING = {"W_regularizer": None, "b_regularizer": None, "activity_regularizer": None, "W_constraint": None, "b_constraint": None}


def activation(function):
    return function.__name__


def dense(layer):
    return {**TRAINING, "W_regularizer": REGULARIZER, "W_constraint": {"name": "MaxNorm", "m": 2, "axis": 0}, "output_dim": layer.units,
            "init": "glorot_uniform", "activation": activation(layer.activation), "bias": True, "input_dim": None}


def recurrent(layer, form):
    config = {"return_sequences": layer.return_sequences, "go_backwards": layer.go_backwards, "stateful": False, "unroll": False,
              "consume_less": "gpu" if form == "gpu" else "cpu", "input_dim": None, "input_length": None, "output_dim": layer.units,
              "init": "glorot_uniform", "inner_init": "orthogonal", "activation": activation(layer.activation), "W_regularizer": None,
              "U_regularizer": REGULARIZER, "b_regularizer": None, "dropout_W": 0.1, "dropout_U": 0.2}
    if not isinstance(layer, L.SimpleRNN):
        config["inner_activation"] = activation(layer.recurrent_activation)
    if isinstance(layer, L.LSTM):
        config["forget_bias_init"] = "one"
    return config


def convolution(layer):
    return {**TRAINING, "nb_filter": layer.filters, "filter_length": layer.kernel_size[0], "init": "uniform",
            "activation": activation(layer.activation), "border_mode": layer.padding, "subsample_length": layer.strides[0], "bias": True,
            "input_dim": None, "input_length": None}


def old_config(layer, form=None):
    """Class and configuration as Keras 1.2.2 wrote them."""
    name = type(layer).__name__
    if isinstance(layer, L.Bidirectional):
        config = {"merge_mode": layer.merge_mode, "layer": old_config(layer.forward_layer, form)}
        config["layer"]["config"]["name"] = layer.forward_layer.name.replace("forward_", "", 1)
    elif isinstance(layer, L.TimeDistributed):
        config = {"layer": old_config(layer.layer, form)}
    elif isinstance(layer, L.Dense):
        config = dense(layer)
    elif isinstance(layer, (L.LSTM, L.GRU, L.SimpleRNN)):
        config = recurrent(layer, form)
    elif isinstance(layer, L.Conv1D):
        name, config = "Convolution1D", convolution(layer)
    elif isinstance(layer, L.Embedding):
        config = {"input_dim": layer.input_dim, "output_dim": layer.output_dim, "init": "uniform", "input_length": None,
                  "mask_zero": layer.mask_zero, "activity_regularizer": None, "W_regularizer": None, "W_constraint": None, "dropout": 0.2}
    elif isinstance(layer, (L.MaxPooling1D, L.AveragePooling1D)):
        config = {"pool_length": layer.pool_size[0], "stride": layer.strides[0], "border_mode": layer.padding}
    elif isinstance(layer, L.BatchNormalization):
        config = {"epsilon": layer.epsilon, "mode": 0, "axis": -1, "momentum": 0.99, "gamma_regularizer": None, "beta_regularizer": None}
    elif isinstance(layer, L.Dropout):
        config = {"p": layer.rate}
    elif isinstance(layer, L.GaussianNoise):
        config = {"sigma": layer.stddev}
    elif isinstance(layer, L.Activation):
        config = {"activation": activation(layer.activation)}
    elif isinstance(layer, L.LeakyReLU):
        config = {"alpha": float(layer.alpha)}
    elif isinstance(layer, (L.Flatten, L.GlobalMaxPooling1D)):
        config = {}
    elif isinstance(layer, L.InputLayer):
        (shape,) = [layer.input_shape] if isinstance(layer.input_shape, tuple) else layer.input_shape
        config = {"batch_input_shape": list(shape), "input_dtype": layer.dtype, "sparse": False}
    elif isinstance(layer, (L.Add, L.Concatenate, L.Multiply, L.Average, L.Maximum)):
        mode = {"Add": "sum", "Concatenate": "concat", "Multiply": "mul", "Average": "ave", "Maximum": "max"}[name]
        name = "Merge"
        config = {"mode": mode, "mode_type": "raw", "concat_axis": getattr(layer, "axis", -1), "dot_axes": -1, "output_shape": None,
                  "output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw", "arguments": {}}
    else:
        raise NotImplementedError(name)
    return {"class_name": name, "config": {"name": layer.name, "trainable": True, **config}}


def with_input(document, shape, dtype="float32"):
    document["config"].update(batch_input_shape=shape, input_dtype=dtype)
    return document


# -- weights -----------------------------------------------------------------------------------------

def gates(prefix, arrays, names):
    kernel, recurrent, bias = [np.split(v, len(names), -1) for v in arrays]
    order = {"LSTM": "icfo", "GRU": "zrh"}["LSTM" if len(names) == 4 else "GRU"]
    position = {name: n for n, name in enumerate(names)}
    return [(f"{prefix}_{kind}_{gate}", v[position[gate]]) for gate in order for kind, v in (("W", kernel), ("U", recurrent), ("b", bias))]


def old_weights(layer, form=None, prefix=None):
    """[(name, array)] as Keras 1 stored them. form: `gpu` recurrent layers with joined gates, `1.1` convolutions with filters first."""
    prefix = prefix or layer.name
    values = layer.get_weights()
    if isinstance(layer, L.Bidirectional):
        return old_weights(layer.forward_layer, form) + old_weights(layer.backward_layer, form)
    if isinstance(layer, L.TimeDistributed):
        return old_weights(layer.layer, form, layer.name)
    if isinstance(layer, keras.Sequential):
        return [row for inner in layer.layers for row in old_weights(inner, form)]
    if isinstance(layer, L.LSTM) and form != "gpu":
        return gates(prefix, values, "ifco")
    if isinstance(layer, L.GRU) and form != "gpu":
        return gates(prefix, values, "zrh")
    if isinstance(layer, L.Conv1D):
        kernel = values[0][:, None]
        if form == "theano":
            kernel = kernel[::-1]
        values = [kernel.transpose(3, 2, 0, 1) if form == "1.1" else kernel, values[1]]
    names = {"Embedding": ["W"], "BatchNormalization": ["gamma", "beta", "running_mean", "running_std"]}.get(type(layer).__name__)
    names = names or ["W", "U", "b"][: 3] if len(values) == 3 else names or ["W", "b"]
    return [(f"{prefix}_{n}", v) for n, v in zip(names, values, strict=True)] if values else []


def write_weights(group, layers):
    group.attrs["layer_names"] = np.array([name.encode() for name, _ in layers])
    for name, rows in layers:
        inner = group.create_group(name)
        inner.attrs["weight_names"] = np.array([n.encode() for n, _ in rows]) if rows else np.array([], "float64")
        for n, value in rows:
            inner.create_dataset(n, data=np.ascontiguousarray(value))


def write_whole(path, document, layers, version="1.2.2", backend=None):
    with h5py.File(path, "w") as file:
        if version:
            file.attrs["keras_version"] = version.encode()
        file.attrs["model_config"] = json.dumps(document).encode()
        group = file.create_group("model_weights")
        if backend:
            group.attrs["backend"] = backend.encode()
        write_weights(group, layers)


# -- cases -------------------------------------------------------------------------------------------

HARD = {"recurrent_activation": "hard_sigmoid"}


def text():
    layers = [L.Embedding(13, 6, mask_zero=True, name="embedding_1"), L.LSTM(5, return_sequences=True, name="lstm_1", **HARD),
              L.Dropout(0.5, name="dropout_1"), L.LSTM(4, go_backwards=True, name="lstm_2", **HARD), L.Dense(3, "softmax", name="dense_1")]
    forms = {"lstm_2": "gpu"}
    model = keras.Sequential([keras.Input((None,), dtype="int32", name="embedding_1_input"), *layers])
    document = [old_config(layer, forms.get(layer.name)) for layer in layers]
    with_input(document[0], [None, None], "int32")
    return model, {"class_name": "Sequential", "config": document}, layers, forms, lambda rng: [common.ids(rng, 3, 8, 13, masked=True)]


def wrappers():
    layers = [L.Bidirectional(L.GRU(4, return_sequences=True, reset_after=False, name="gru_1", **HARD), name="bidirectional_1"),
              L.Bidirectional(L.LSTM(5, return_sequences=True, name="lstm_1", **HARD), merge_mode="sum", name="bidirectional_2"),
              L.TimeDistributed(L.Dense(6, "relu", name="dense_1"), name="timedistributed_1"),
              L.SimpleRNN(3, return_sequences=True, name="simplernn_1"), L.GRU(4, reset_after=False, name="gru_2", **HARD),
              L.Activation("softsign", name="activation_1")]
    model = keras.Sequential([keras.Input((7, 3), name="bidirectional_1_input"), *layers])
    document = [old_config(layer) for layer in layers]
    with_input(document[0], [None, 7, 3])
    return model, {"class_name": "Sequential", "config": document}, layers, {}, lambda rng: [common.floats(rng, 3, 7, 3)]


def convolutions(form="1.1", backend=None):
    layers = [L.Conv1D(6, 3, padding="same", activation="relu", name="convolution1d_1"), L.MaxPooling1D(2, name="maxpooling1d_1"),
              L.Conv1D(5, 2, strides=2, name="convolution1d_2"), L.BatchNormalization(name="batchnormalization_1"),
              L.LeakyReLU(0.2, name="leakyrelu_1"), L.GaussianNoise(0.1, name="gaussiannoise_1"), L.Flatten(name="flatten_1"),
              L.Dense(2, "tanh", name="dense_1")]
    forms = {"convolution1d_1": form, "convolution1d_2": "theano" if backend == "theano" else None}
    model = keras.Sequential([keras.Input((12, 4), name="convolution1d_1_input"), *layers])
    document = [old_config(layer) for layer in layers]
    with_input(document[0], [None, 12, 4])
    return model, {"class_name": "Sequential", "config": document}, layers, forms, lambda rng: [common.floats(rng, 3, 12, 4)]


def merge():
    left = [L.LSTM(4, name="lstm_1", **HARD), L.Dense(5, "tanh", name="dense_1")]
    right = [L.Dense(6, "relu", name="dense_2")]
    top = [L.Dense(7, "relu", name="dense_3"), L.Dense(2, name="dense_4")]
    a, b = keras.Input((6, 3), name="lstm_1_input"), keras.Input((5,), name="dense_2_input")
    x, y = a, b
    for layer in left:
        x = layer(x)
    for layer in right:
        y = layer(y)
    joined = L.Concatenate(name="merge_1")
    z = joined([x, y])
    for layer in top:
        z = layer(z)
    model = keras.Model([a, b], z)
    branches = [[old_config(layer) for layer in branch] for branch in (left, right)]
    with_input(branches[0][0], [None, 6, 3])
    with_input(branches[1][0], [None, 5])
    head = old_config(joined)
    head["config"]["layers"] = [{"class_name": "Sequential", "config": branch} for branch in branches]
    document = [head, *[old_config(layer) for layer in top]]
    return model, {"class_name": "Sequential", "config": document}, [*left, *right, *top], {}, \
        lambda rng: [common.floats(rng, 3, 6, 3), common.floats(rng, 3, 5)]


def functional():
    a, b = keras.Input((6,), dtype="int32", name="input_1"), keras.Input((6,), dtype="int32", name="input_2")
    embedding = L.Embedding(11, 5, mask_zero=True, name="embedding_1")
    shared = L.LSTM(4, name="lstm_1", **HARD)
    other = L.GRU(4, reset_after=False, name="gru_1", **HARD)
    x, y, z = shared(embedding(a)), shared(embedding(b)), other(embedding(b))
    total = L.Add(name="merge_1")([x, y])
    product = L.Multiply(name="merge_2")([y, z])
    joined = L.Concatenate(name="merge_3")([total, product, x])
    model = keras.Model([a, b], [L.Dense(3, "sigmoid", name="dense_1")(joined), total])
    nodes = []
    for layer in model.layers:
        document = old_config(layer)
        calls = []
        for node in layer.inbound_nodes:
            inputs = node.keras_inputs
            entry = []
            for tensor in inputs:
                history = tensor._keras_history
                entry.append([history.layer.name, history.node_index, history.tensor_index])
            if entry:
                calls.append(entry)
        nodes.append({**document, "name": layer.name, "inbound_nodes": calls})
    document = {"class_name": "Model", "keras_version": "1.2.2", "config": {
        "name": "model_1", "layers": nodes, "input_layers": [["input_1", 0, 0], ["input_2", 0, 0]],
        "output_layers": [["dense_1", 0, 0], ["merge_1", 0, 0]]}}
    return model, document, model.layers, {}, lambda rng: [common.ids(rng, 3, 6, 11, masked=True, full=False), common.ids(rng, 3, 6, 11)]


def nested():
    inner = keras.Sequential([keras.Input((5, 4)), L.LSTM(6, return_sequences=True, name="lstm_1", **HARD),
                              L.GRU(3, reset_after=False, name="gru_1", **HARD)], name="sequential_3")
    layers = [L.Dense(4, "tanh", name="dense_1"), inner, L.Dense(2, name="dense_2")]
    model = keras.Sequential([keras.Input((5, 3), name="dense_1_input"), *layers])
    inside = [old_config(layer) for layer in inner.layers]
    with_input(inside[0], [None, 5, 4])
    document = [with_input({**old_config(layers[0]), "class_name": "TimeDistributedDense"}, [None, 5, 3]),
                {"class_name": "Sequential", "config": inside}, old_config(layers[2])]
    return model, {"class_name": "Sequential", "config": document}, layers, {}, lambda rng: [common.floats(rng, 3, 5, 3)]


CASES = {
    "keras1_text": (text, {}, "one LSTM with consume_less gpu, whose gates are joined"),
    "keras1_wrappers": (wrappers, {"version": None}, "no keras_version anywhere"),
    "keras1_convolutions": (convolutions, {}, "the first kernel in the layout before Keras 1.2"),
    "keras1_theano": (lambda: convolutions("theano", "theano"), {"backend": "theano"}, "kernels of Theano run backwards, which only Keras 2.0 to 2.3 "
                      "read (convert_kernel); tf_keras doesn't, and did not confirm it"),
    "keras1_merge": (merge, {"version": "1.1.0"}, "a Sequential of two branches"),
    "keras1_functional": (functional, {}, "Merge layers, a shared LSTM"),
    "keras1_nested": (nested, {}, "a Sequential without a name within another, which tf_keras can't load with gates apart; TimeDistributedDense"),
}
UNCONFIRMED = {"keras1_theano", "keras1_nested"}


def randomised(name, make):
    """Two models of one case: the first with random weights."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    rng = common.rng_for(name)
    model, document, layers, forms, inputs = make()
    common.randomise(model, rng)
    return model, document, layers, forms, dict(zip(model.input_names, inputs(rng), strict=True))


def confirm(name, make, path, inputs, outputs):
    keras.backend.clear_session()
    fresh = make()[0]
    fresh.load_weights(path)
    keras2.check(name, outputs, keras2.predict(fresh, inputs))


def main():
    FOLDER.mkdir(exist_ok=True)
    rows = []
    for name, (make, options, notes) in CASES.items():
        model, document, layers, forms, inputs = randomised(name, make)
        outputs = keras2.predict(model, inputs)
        weights = [(layer.name, old_weights(layer, forms.get(layer.name))) for layer in layers]
        path = FOLDER / f"{name}.h5"
        write_whole(path, document, weights, **options)
        if name not in UNCONFIRMED:
            confirm(name, make, path, inputs, outputs)
            notes += "; tf_keras 2.18 reads the weights, same outputs"
        # Keras 1 had another layer class for what is now one.
        paths = common.write_expected(name, inputs, outputs)
        rows.append(common.row(name, path, "Keras 1 form, computed by " + keras2.FRAMEWORK, "keras1-h5", *paths, common.class_names(model), notes))
        if name == "keras1_text":
            path, config = FOLDER / "keras1_weights.h5", FOLDER / "keras1_weights.json"
            with h5py.File(path, "w") as file:
                write_weights(file, weights)
            config.write_text(json.dumps({**document, "keras_version": "1.2.2"}) + "\n")
            confirm(name, make, path, inputs, outputs)
            rows.append(common.row("keras1_weights", path, "Keras 1 form, computed by " + keras2.FRAMEWORK, "keras1-weights-h5", *paths,
                                   common.class_names(model), "weights alone, the configuration beside", config=config))
        print(name)
    common.merge_manifest(rows, lambda row: row["path"].startswith("keras1/"))


if __name__ == "__main__":
    main()
