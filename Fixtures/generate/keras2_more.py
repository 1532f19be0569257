"""More tf_keras fixtures: rewritten (old) configurations, weights only, the v3 zip."""

import io
import json
import zipfile

import h5py
import keras2
import numpy as np
import tf_keras as keras
from common import FIXTURES, class_names, floats, ids, row, strip_dates, write_expected, write_keras

L = keras.layers
TIME, FEATURES, UNITS, VOCABULARY, EMBEDDED = 7, 3, 4, 11, 5


def as_bytes(text):
    return text.encode()


def set_text(attributes, name, text):
    """A scalar string of variable length, ASCII, as tf_keras writes it."""
    attributes.create(name, as_bytes(text), dtype=h5py.string_dtype("ascii"))


def rewrite(path, change, version=None):
    """Applies `change` to the configuration of a file; copies everything, so no stale bytes stay behind."""
    with h5py.File(path) as source:
        content = {}
        source.visititems(lambda n, o: content.__setitem__(n, o[()] if isinstance(o, h5py.Dataset) else None))
        attributes = {n: dict(source[n].attrs) for n in ["/", *content]}
    config = json.loads(attributes["/"]["model_config"])
    changed = change(config)
    config = config if changed is None else changed
    attributes["/"]["model_config"] = json.dumps(config)
    if version is not None:
        for name in ("/", "model_weights"):
            if version == "":
                attributes[name].pop("keras_version", None)
            else:
                attributes[name]["keras_version"] = version
    path.unlink()
    write_tree(path, content, attributes)


def write_tree(path, content, attributes, fixed=False):
    with h5py.File(path, "w") as target:
        for name, value in content.items():
            if value is None:
                target.create_group(name)
            else:
                target.create_dataset(name, data=value)
        for name, values in attributes.items():
            for key, value in values.items():
                node = target[name].attrs
                if isinstance(value, (str, bytes)):
                    value = value if isinstance(value, str) else value.decode()
                    if fixed:
                        node.create(key, np.bytes_(value.encode()))
                    else:
                        set_text(node, key, value)
                elif isinstance(value, np.ndarray) and value.dtype.kind in "OS":
                    texts = [v.encode() if isinstance(v, str) else bytes(v) for v in value]
                    if fixed:
                        node.create(key, np.array(texts, dtype=f"S{max(map(len, texts))}"))
                    else:
                        node.create(key, texts, dtype=h5py.string_dtype("ascii"), shape=(len(texts),))
                else:
                    node.create(key, value)


def sequential(*layers, shape=(TIME, FEATURES), dtype=None):
    return keras.Sequential([keras.Input(shape, **({"dtype": dtype} if dtype else {})), *layers])


# -- old configurations ------------------------------------------------------------------------------

def layers_of(config):
    return config["config"]["layers"] if isinstance(config["config"], dict) else config["config"]


def bare_list(config):
    """Sequential as a bare list of layers, the input shape on the first one, no InputLayer: Keras 2.2 and before."""
    layers = config["config"]["layers"]
    shape, dtype = layers[0]["config"]["batch_input_shape"], layers[0]["config"]["dtype"]
    layers = layers[1:]
    layers[0]["config"]["batch_input_shape"] = shape
    layers[0]["config"]["dtype"] = dtype if layers[0]["class_name"] != "Embedding" else "float32"
    config["config"] = layers
    return old_names(config)


def no_input_layer(config):
    """Sequential as a dict, batch_input_shape on the first layer, no InputLayer."""
    layers = config["config"]["layers"]
    shape = layers[0]["config"]["batch_input_shape"]
    config["config"]["layers"] = layers[1:]
    layers[1]["config"]["batch_input_shape"] = shape
    config["config"].pop("build_input_shape", None)
    return old_names(config)


def old_names(config):
    """No module, registered_name, build_config keys; dtype as a plain string; keys of the time."""
    def visit(value):
        if isinstance(value, dict):
            for key in ("module", "registered_name", "build_config"):
                value.pop(key, None)
            if isinstance(value.get("dtype"), dict):
                value["dtype"] = value["dtype"]["config"]["name"]
            for inner in value.values():
                visit(inner)
        elif isinstance(value, list):
            for inner in value:
                visit(inner)
    visit(config)
    return config


def without(config, class_name, *keys):
    def visit(value):
        if isinstance(value, dict):
            if value.get("class_name") == class_name:
                for key in keys:
                    value["config"].pop(key, None)
            for inner in value.values():
                visit(inner)
        elif isinstance(value, list):
            for inner in value:
                visit(inner)
    visit(config)
    return config


def with_values(config, class_name, **values):
    def visit(value):
        if isinstance(value, dict):
            if value.get("class_name") == class_name:
                value["config"].update(values)
            for inner in value.values():
                visit(inner)
        elif isinstance(value, list):
            for inner in value:
                visit(inner)
    visit(config)
    return config


def text_model(rng, *layers, masked=False):
    return sequential(L.Embedding(VOCABULARY, EMBEDDED, mask_zero=masked), *layers, shape=(TIME,), dtype="int32"), [ids(rng, masked=masked)]


def old_cases():
    """name: (builder, change of the configuration, keras_version or None, notes, same when tf_keras reloads it)"""
    hard = {"recurrent_activation": "hard_sigmoid"}
    return {
        "old_sequential_list": (
            lambda rng: text_model(rng, L.LSTM(UNITS, **hard), L.Dense(3)), bare_list, "2.2.4",
            "Sequential config is a bare list; keras_version 2.2.4; recurrent_activation present (hard_sigmoid)", True),
        "old_embedding_input_dtype": (
            lambda rng: text_model(rng, L.LSTM(UNITS, **hard), L.Dense(3)),
            lambda c: with_values(no_input_layer(c), "Embedding", dtype="int32"), "2.0.2",
            "the first layer's dtype is its input's, as Keras 2.0 wrote it: int32 for an Embedding", False),
        "old_attention_causal": (
            causal, lambda c: with_values(with_values(old_names(c), "Attention", causal=True), "AdditiveAttention", causal=True),
            "2.4.0", "causal in the constructor, as tf.keras to 2.9 wrote it", True),
        "old_lstm_224_absent": (
            lambda rng: text_model(rng, L.LSTM(UNITS, **hard), L.Dense(3), masked=True),
            lambda c: without(no_input_layer(c), "LSTM", "recurrent_activation"), "2.2.4",
            "keras_version 2.2.4, recurrent_activation absent: expected outputs assume hard_sigmoid (the default of Keras 2.2); tf_keras would take sigmoid", False),
        "old_lstm_224_present": (
            lambda rng: text_model(rng, L.LSTM(UNITS), L.Dense(3)), no_input_layer, "2.2.4",
            "keras_version 2.2.4, recurrent_activation present (sigmoid) wins over the version's default", True),
        "old_lstm_224tf_absent": (
            lambda rng: text_model(rng, L.LSTM(UNITS), L.Dense(3)),
            lambda c: without(no_input_layer(c), "LSTM", "recurrent_activation"), "2.2.4-tf",
            "keras_version 2.2.4-tf, recurrent_activation absent: AMBIGUOUS (TF 1.13-1.15 hard_sigmoid, TF 2.0/2.1 sigmoid); expected outputs assume sigmoid", True),
        "old_lstm_224tf_present": (
            lambda rng: text_model(rng, L.LSTM(UNITS, **hard), L.Dense(3)), no_input_layer, "2.2.4-tf",
            "keras_version 2.2.4-tf, recurrent_activation present (hard_sigmoid)", True),
        "old_gru_224_absent": (
            lambda rng: text_model(rng, L.GRU(UNITS, reset_after=False, **hard), L.Dense(3)),
            lambda c: without(no_input_layer(c), "GRU", "reset_after", "recurrent_activation", "time_major"), "2.2.4",
            "GRU without reset_after (bias (3u,) => False) and without recurrent_activation (2.2.4 => hard_sigmoid)", False),
        "old_gru_reset_after_absent": (
            lambda rng: text_model(rng, L.GRU(UNITS, reset_after=False), L.Dense(3)),
            lambda c: without(no_input_layer(c), "GRU", "reset_after"), "2.1.6",
            "GRU without reset_after: bias (3u,) => False; recurrent_activation present (sigmoid); tf_keras 2.18 takes True and can't load", False),
        "old_gru_reset_after_absent_no_bias": (
            lambda rng: (sequential(L.GRU(UNITS, reset_after=False, use_bias=False, return_sequences=True)), [floats(rng, 3, TIME, FEATURES)]),
            lambda c: without(no_input_layer(c), "GRU", "reset_after"), "2.1.6",
            "GRU without reset_after and without bias: the shapes don't tell; expected outputs assume False (absent key in an old config)", False),
        "old_implementation_time_major": (
            lambda rng: (sequential(L.LSTM(UNITS, return_sequences=True, implementation=1), L.GRU(5, return_sequences=True, implementation=1),
                                    L.SimpleRNN(2)), [floats(rng, 3, TIME, FEATURES)]),
            lambda c: with_values(with_values(no_input_layer(c), "LSTM", implementation=1, time_major=False), "GRU", implementation=1, time_major=False),
            "2.2.4-tf", "implementation 1 and time_major false present; reset_after true", True),
        "old_gru_reset_after_true": (
            lambda rng: text_model(rng, L.GRU(UNITS, reset_after=True, **hard), L.Dense(2)), no_input_layer, "2.2.4",
            "keras_version 2.2.4 with reset_after true present, bias (2,3u)", True),
        "old_functional_model_class": (
            functional, lambda c: old_names({**c, "class_name": "Model"}), "2.2.4-tf", "class_name Model instead of Functional; dtype strings", True),
        "old_bidirectional": (
            lambda rng: text_model(rng, L.Bidirectional(L.LSTM(UNITS, return_sequences=True, **hard)), L.TimeDistributed(L.Dense(2)), masked=True),
            lambda c: without(no_input_layer(c), "Bidirectional", "backward_layer"), "2.2.4", "Bidirectional without backward_layer in its config", True),
    }


def causal(rng):
    x = keras.Input((6, 5), name="words")
    return keras.Model(x, [L.Attention(causal=True, name="first")([x, x]), L.AdditiveAttention(causal=True, name="second")([x, x])]), [floats(rng, 2, 6, 5)]


def functional(rng):
    a = keras.Input((TIME, FEATURES), name="a")
    b = keras.Input((5,), name="b")
    x = L.GRU(UNITS, name="gru")(a)
    y = L.Dense(4, name="dense")(b)
    return keras.Model([a, b], L.Dense(2, name="out")(L.Add(name="add")([x, y]))), [floats(rng, 3, TIME, FEATURES), floats(rng, 3, 5)]


def old(name, spec):
    builder, change, version, notes, reloads = spec
    model, inputs, _ = keras2.build(name, builder)
    outputs = keras2.predict(model, inputs)
    path = keras2.FOLDER / f"{name}.h5"
    keras2.FOLDER.mkdir(parents=True, exist_ok=True)
    model.save(path, save_format="h5")
    rewrite(path, change, version)
    layers = class_names(model)
    try:
        again = keras.models.load_model(path, compile=False)
        inputs = dict(zip(again.input_names, inputs.values(), strict=True))
        actual = keras2.predict(again, inputs)
        same = all(np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(outputs.values(), actual.values()))
        if reloads and not same:
            raise ValueError(f"{name}: tf_keras gives something else")
        notes += "; tf_keras 2.18 reloads it, " + ("same outputs" if same else "other outputs")
    except (ValueError, TypeError, IndexError, AttributeError, KeyError) as error:
        if reloads:
            raise
        notes += "; tf_keras 2.18 can't load it"
        print("  can't reload:", name, repr(error)[:200])
        first = layers_of(json.loads(h5py.File(path).attrs["model_config"]))[0]["config"]["name"]
        if len(inputs) == 1 and "Model" not in notes:
            inputs = {first + "_input": next(iter(inputs.values()))}
    return [row(name, path, keras2.FRAMEWORK, "keras2-h5", *write_expected(name, inputs, outputs), layers, notes)]


def keras1(name, _):
    """Keras 1 layout (keras_version absent): LSTM of 12 arrays, GRU of 9, Conv1D kernel (k, 1, in, out)."""
    def build(rng):
        return sequential(L.Conv1D(6, 3, name="conv"), L.LSTM(UNITS, return_sequences=True, recurrent_activation="hard_sigmoid", name="lstm"),
                          L.GRU(5, reset_after=False, recurrent_activation="hard_sigmoid", name="gru"), L.Dense(2, name="dense")), \
            [floats(rng, 3, TIME, FEATURES)]
    model, inputs, _ = keras2.build(name, build)
    outputs = keras2.predict(model, inputs)
    path = keras2.FOLDER / f"{name}.h5"
    model.save(path, save_format="h5")
    rewrite(path, no_input_layer, "")
    with h5py.File(path) as source:
        content = {}
        source.visititems(lambda n, o: content.__setitem__(n, o[()] if isinstance(o, h5py.Dataset) else None))
        attributes = {n: dict(source[n].attrs) for n in ["/", *content]}
    for values in attributes.values():
        values.pop("backend", None)

    def replace(layer, arrays):
        prefix = f"model_weights/{layer}"
        for n in [n for n in content if n.startswith(prefix + "/")]:
            content.pop(n)
            attributes.pop(n)
        attributes[prefix]["weight_names"] = np.array([f"{layer}_{n}".encode() for n in arrays])
        content.update({f"{prefix}/{layer}_{n}": v for n, v in arrays.items()})

    kernel, bias = model.get_layer("conv").get_weights()
    replace("conv", {"W": kernel[:, None], "b": bias})
    w, u, b = [np.split(v, 4, -1) for v in model.get_layer("lstm").get_weights()]
    replace("lstm", {f"{kind}_{gate}": v[n] for gate, n in (("i", 0), ("c", 2), ("f", 1), ("o", 3)) for kind, v in (("W", w), ("U", u), ("b", b))})
    w, u, b = [np.split(v, 3, -1) for v in model.get_layer("gru").get_weights()]
    replace("gru", {f"{kind}_{gate}": v[n] for gate, n in (("z", 0), ("r", 1), ("h", 2)) for kind, v in (("W", w), ("U", u), ("b", b))})
    dense = model.get_layer("dense").get_weights()
    replace("dense", dict(zip("Wb", dense)))
    path.unlink()
    write_tree(path, content, attributes, fixed=True)
    again = keras.models.load_model(path, compile=False)
    inputs = dict(zip(again.input_names, inputs.values(), strict=True))
    keras2.check(name, outputs, keras2.predict(again, inputs))
    return [row(name, path, keras2.FRAMEWORK, "keras2-h5", *write_expected(name, inputs, outputs), class_names(model),
                "keras_version absent, weights in the layout of Keras 1 (LSTM 12 arrays i,c,f,o; GRU 9 arrays z,r,h; Conv1D kernel (k,1,in,out)), "
                "config in the terms of Keras 2; tf_keras 2.18 reloads it, same outputs")]


# -- other forms of the file -------------------------------------------------------------------------

def weights_only(name, spec):
    builder, finish, notes = spec
    model, inputs, _ = keras2.build(name, builder)
    outputs = keras2.predict(model, inputs)
    path, config = keras2.FOLDER / f"{name}.h5", keras2.FOLDER / f"{name}.json"
    model.save_weights(path, save_format="h5")
    config.write_text(model.to_json() + "\n")
    if finish:
        finish(path)
    again = keras.models.model_from_json(config.read_text())
    again.load_weights(path)
    keras2.check(name, outputs, keras2.predict(again, inputs))
    return [row(name, path, keras2.FRAMEWORK, "keras2-weights", *write_expected(name, inputs, outputs), class_names(model), notes, config=config)]


def reform(path, chunked=(), fixed=False):
    """Rewrites a file: attributes of fixed length, and/or split into name0, name1, ... as Keras does above 64512 bytes."""
    with h5py.File(path) as source:
        content = {}
        source.visititems(lambda n, o: content.__setitem__(n, o[()] if isinstance(o, h5py.Dataset) else None))
        attributes = {n: dict(source[n].attrs) for n in ["/", *content]}
    for values in attributes.values():
        for key in list(values):
            if key in chunked and len(values[key]) > 1:
                texts = values.pop(key)
                for n, part in enumerate(np.array_split(texts, min(3, len(texts)))):
                    values[f"{key}{n}"] = np.array([v if isinstance(v, bytes) else v.encode() for v in part])
    path.unlink()
    write_tree(path, content, attributes, fixed=fixed)


def whole_reformed(name, spec):
    builder, finish, notes = spec
    rows = keras2.whole_model(name, builder)
    path = keras2.FOLDER / f"{name}.h5"
    finish(path)
    model = keras.models.load_model(path, compile=False)
    rows[0]["notes"] = notes
    with np.load(FIXTURES / rows[0]["inputs"]) as inputs, np.load(FIXTURES / rows[0]["outputs"]) as outputs:
        keras2.check(name, dict(outputs), keras2.predict(model, dict(inputs)))
    return rows


def zipped(name, builder):
    """tf_keras' own .keras (and .weights.h5 in the same layout)."""
    model, inputs, options = keras2.build(name, builder)
    outputs = keras2.predict(model, inputs)
    path = keras2.FOLDER / f"{name}.keras"
    model.save(path, save_format="keras")
    strip_dates(path)
    keras2.check(name, outputs, keras2.predict(keras.models.load_model(path, compile=False), inputs))
    paths = write_expected(name, inputs, outputs)
    notes = "saving v3 written by tf_keras: keras_version 2.x, Keras 2 semantics; paths as in Keras 3, but no attribute name on vars"
    layers = class_names(model)
    rows = [row(name, path, keras2.FRAMEWORK, "keras3-keras", *paths, layers, notes)]
    if name not in ("tfkeras_lstm_mask", "tfkeras_functional_shared", "tfkeras_batch_normalization", "tfkeras_lstm_trained"):
        return rows
    weights, config = keras2.FOLDER / f"{name}.weights.h5", keras2.FOLDER / f"{name}.json"
    model.save_weights(weights)
    config.write_text(model.to_json() + "\n")
    again = keras.models.model_from_json(config.read_text())
    again.load_weights(weights)
    keras2.check(name, outputs, keras2.predict(again, inputs))
    return [*rows, row(name, weights, keras2.FRAMEWORK, "keras3-weights", *paths, layers, notes, config=config)]


def checkpoint_dependencies(name, builder):
    """The same zip with the group names of TF 2.12 and before."""
    rows = zipped(name, builder)
    path = keras2.FOLDER / f"{name}.keras"
    with zipfile.ZipFile(path) as archive:
        members = {i.filename: archive.read(i) for i in archive.infolist()}
    source, target = io.BytesIO(members["model.weights.h5"]), io.BytesIO()
    with h5py.File(source) as old_file, h5py.File(target, "w") as new_file:
        def copy(where, node):
            where = where.replace("layers", "_layer_checkpoint_dependencies", 1)
            if isinstance(node, h5py.Group):
                new_file.create_group(where)
            else:
                new_file.create_dataset(where, data=node[()])
        old_file.visititems(copy)
    members["model.weights.h5"] = target.getvalue()
    members["metadata.json"] = members["metadata.json"].replace(b"2.18.0", b"2.12.0")
    write_keras(path, list(members.items()))
    rows[0]["notes"] = "made from a file of tf_keras 2.18: the group layers is called _layer_checkpoint_dependencies, as older versions wrote it"
    try:
        with np.load(FIXTURES / rows[0]["inputs"]) as inputs, np.load(FIXTURES / rows[0]["outputs"]) as outputs:
            keras2.check(name, dict(outputs), keras2.predict(keras.models.load_model(path, compile=False), dict(inputs)))
        rows[0]["notes"] += "; tf_keras 2.18 reloads it, same outputs"
    except Exception as error:
        print("  can't reload:", name, repr(error)[:200])
        rows[0]["notes"] += "; tf_keras 2.18 can't load it, Keras 3.15 load_weights can (checked)"
    return rows


def rename_unicode(path):
    with h5py.File(path) as source:
        content, attributes = {}, {}
        source.visititems(lambda n, o: content.__setitem__(n, o[()] if isinstance(o, h5py.Dataset) else None))
        attributes = {n: dict(source[n].attrs) for n in ["/", *content]}
    new = "m\u00e9moire"
    content = {n.replace("memory", new): v for n, v in content.items()}
    attributes = {n.replace("memory", new): v for n, v in attributes.items()}
    attributes["/"]["model_config"] = json.dumps(json.loads(attributes["/"]["model_config"].replace("memory", new)))
    for values in attributes.values():
        for key, value in values.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "O":
                values[key] = np.array([(v if isinstance(v, str) else v.decode()).replace("memory", new) for v in value], dtype=object)
    path.unlink()
    write_tree(path, content, attributes)


def unicode_names(name, builder):
    rows = keras2.whole_model(name, builder)
    rename_unicode(keras2.FOLDER / f"{name}.h5")
    rows[0]["notes"] = "a layer renamed to a name that isn't ASCII (bytes are UTF-8, the HDF5 strings are tagged ASCII); tf_keras itself refuses such names"
    return rows


def add(table):
    for name, spec in old_cases().items():
        table["keras2_" + name] = (old, spec)

    table["keras2_old_keras1_weights"] = (keras1, None)

    def lstm(rng):
        return text_model(rng, L.LSTM(UNITS, return_sequences=True), L.Dropout(0.5), L.LSTM(3), L.Dense(2), masked=True)

    def both(rng):
        return text_model(rng, L.Bidirectional(L.GRU(UNITS)), L.Dense(2), masked=True)

    def one_way(rng):
        return text_model(rng, L.GRU(UNITS), L.Dense(2))

    def shared_names(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        y = L.Bidirectional(L.LSTM(UNITS, return_sequences=True, name="lstm"), name="lstm_bidirectional")(x)
        return keras.Model(x, L.LSTM(3, name="lstm")(y)), [floats(rng, 3, TIME, FEATURES)]

    def frozen(rng):
        model = sequential(L.Dense(5, name="a"), L.BatchNormalization(name="norm"), L.LSTM(UNITS, name="memory"), L.Dense(2, name="b"))
        model.layers[0].trainable = False
        model.layers[1].trainable = False
        return model, [floats(rng, 3, TIME, FEATURES)]

    table["keras2_weights_lstm"] = (weights_only, (lstm, None, "save_weights(.h5)"))
    table["keras2_weights_bidirectional_gru"] = (weights_only, (both, None, "save_weights(.h5)"))
    table["keras2_weights_functional"] = (weights_only, (functional, None, "save_weights(.h5)"))
    table["keras2_weights_chunked"] = (weights_only, (one_way, lambda p: reform(p, ("layer_names", "weight_names")),
                                                      "layer_names0.., weight_names0..: rewritten in the form that Keras uses above 64512 bytes"))
    table["keras2_weights_fixed_strings"] = (weights_only, (one_way, lambda p: reform(p, fixed=True), "attributes are strings of fixed length, as in old files"))
    table["keras2_fixed_strings"] = (whole_reformed, (both, lambda p: reform(p, fixed=True), "all attributes are strings of fixed length, as in old files"))
    table["keras2_chunked_names"] = (whole_reformed, (lstm, lambda p: reform(p, ("layer_names", "weight_names"), fixed=True),
                                                      "layer_names0.., weight_names0.. of fixed length"))
    table["keras2_short_names"] = (keras2.whole_model, shared_names)
    table["keras2_frozen"] = (keras2.whole_model, frozen)
    table["keras2_names_unicode"] = (unicode_names, lambda rng: (
        sequential(L.LSTM(UNITS, name="memory"), L.Dense(2, name="out")), [floats(rng, 3, TIME, FEATURES)]))

    families = {n: b for n, (_, b) in table.items() if callable(b)}
    for name in ("lstm_mask", "gru_reset_before_basic", "gru_hard_sigmoid_gates", "bidirectional_lstm_last", "conv1d_text", "batch_normalization",
                 "functional_shared", "functional_nested", "merge_add_two_masks", "lstm_trained",
                 "multi_head_attention_masks", "time_distributed_models"):
        table["tfkeras_" + name] = (zipped, families["keras2_" + name])
    table["tfkeras_checkpoint_dependencies"] = (checkpoint_dependencies, families["keras2_lstm_mask"])
