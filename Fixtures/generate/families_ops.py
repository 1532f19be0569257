"""Functional models with bare operations: TFOpLambda and SlicingOpLambda in tf_keras, operations in Keras 3."""

import numpy as np
from common import floats, ids


def add(keras, generation, table):
    import tensorflow as tf

    L = keras.layers
    o = keras.ops if generation == 3 else None

    def case(name):
        def register(builder):
            assert name not in table, name
            table[name] = builder
            return builder
        return register

    def pair(keras_op, tf_op):
        return keras_op if generation == 3 else tf_op

    def two():
        a = keras.Input((5, 6), name="left")
        b = keras.Input((5, 6), name="right")
        return a, b

    def values(rng):
        return [floats(rng, 3, 5, 6), floats(rng, 3, 5, 6)]

    @case("ops_arithmetic")
    def _(rng):
        a, b = two()
        outputs = [a + b, a - b, a * b, a / (b * b + 1.5), 2.0 - a, a * 0.5, -a, abs(b), a + 1.0, 1.0 / (abs(a) + 0.25), (abs(a) + 0.1) ** 1.5, a // 0.5, a % 0.75]
        return keras.Model([a, b], outputs), values(rng)

    @case("ops_unary")
    def _(rng):
        a, b = two()
        p = abs(a) + 0.3
        names = ["exp", "sin", "cos", "tanh", "square", "sign", "floor"] + (["ceil", "sqrt", "rsqrt", "log", "erf"] if generation == 3 else [])
        outputs = [pair(lambda: getattr(o, n), lambda: getattr(tf.math, n))()(a if n not in ("sqrt", "rsqrt", "log") else p) for n in names]
        if generation == 2:
            outputs += [tf.sqrt(p), tf.math.rsqrt(p), tf.math.log(p), tf.math.ceil(a), tf.math.erf(b)]
        outputs += [pair(lambda: o.maximum(a, b), lambda: tf.maximum(a, b))(), pair(lambda: o.minimum(a, 0.2), lambda: tf.minimum(a, 0.2))(),
                    pair(lambda: o.clip(a, -0.5, 0.75), lambda: tf.clip_by_value(a, -0.5, 0.75))(),
                    pair(lambda: o.power(p, 2.5), lambda: tf.pow(p, 2.5))()]
        return keras.Model([a, b], outputs), values(rng)

    @case("ops_getitem")
    def _(rng):
        a = keras.Input((5, 6), name="values")
        b = keras.Input((4, 5, 6), name="more")
        outputs = [a[:, 0], a[:, -1, :], a[:, 1:4], a[:, ::2, 1:], a[..., 2], a[:, 1:-1, :3], b[:, :, -2:], b[:, 2, ..., 1], a[:, None, :, 0], a[:, :, tf.newaxis]]
        return keras.Model([a, b], outputs), [floats(rng, 3, 5, 6), floats(rng, 3, 4, 5, 6)]

    @case("ops_open_time")
    def _(rng):
        a = keras.Input((None, 4), name="values")
        last = L.LSTM(3, return_sequences=True, name="memory")(a)
        y = last[:, -1, :]
        m = pair(lambda: o.mean(a, axis=1), lambda: tf.reduce_mean(a, axis=1))()
        return keras.Model(a, [L.Concatenate(name="joined")([y, m]), last * 2.0, a[:, 1:, :] - a[:, :-1, :]]), [floats(rng, 3, 6, 4)]

    @case("ops_shapes")
    def _(rng):
        a, b = two()
        if generation == 3:
            outputs = [o.concatenate([a, b], axis=-1), o.concatenate([a, b, a], axis=1), o.stack([a, b], axis=1), o.stack([a, b], axis=-1), o.reshape(a, (-1, 30)),
                       o.reshape(a, (-1, 3, 10)), o.transpose(a, (0, 2, 1)), o.expand_dims(a, 1), o.expand_dims(a, -1), o.squeeze(a[:, 1:2], 1),
                       *o.split(a, 3, axis=2), o.tile(a, (1, 2, 1)), o.swapaxes(a, 1, 2), o.flip(a, axis=1), o.repeat(a, 2, axis=1), o.pad(a, ((0, 0), (1, 2), (0, 1)))]
        else:
            outputs = [tf.concat([a, b], axis=-1), tf.concat([a, b, a], 1), tf.stack([a, b], axis=1), tf.stack([a, b], axis=-1), tf.reshape(a, (-1, 30)),
                       tf.reshape(a, [-1, 3, 10]), tf.transpose(a, perm=[0, 2, 1]), tf.expand_dims(a, 1), tf.expand_dims(a, axis=-1), tf.squeeze(a[:, 1:2], axis=1),
                       *tf.split(a, 3, axis=2), tf.tile(a, [1, 2, 1]), tf.reverse(a, axis=[1]), tf.pad(a, [[0, 0], [1, 2], [0, 1]])]
        return keras.Model([a, b], outputs), values(rng)

    @case("ops_reductions")
    def _(rng):
        a, b = two()
        if generation == 3:
            outputs = [o.sum(a, axis=1), o.mean(a, axis=-1, keepdims=True), o.max(a, axis=1), o.min(a, axis=[1, 2]), o.prod(a, axis=2), o.sum(a, axis=(1, 2)),
                       o.var(a, axis=1), o.std(a, axis=2), o.logsumexp(a, axis=1), o.argmax(a, axis=-1), o.cumsum(a, axis=1), o.norm(a, axis=2)]
        else:
            outputs = [tf.reduce_sum(a, axis=1), tf.reduce_mean(a, axis=-1, keepdims=True), tf.reduce_max(a, 1), tf.reduce_min(a, axis=[1, 2]), tf.reduce_prod(a, axis=2),
                       tf.reduce_sum(a, [1, 2]), tf.math.reduce_variance(a, axis=1), tf.math.reduce_std(a, axis=2), tf.reduce_logsumexp(a, axis=1), tf.argmax(a, axis=-1),
                       tf.cumsum(a, axis=1), tf.norm(a, axis=2)]
        return keras.Model([a, b], outputs + [a + b]), values(rng)

    @case("ops_positions")
    def _(rng):
        a, _ = two()
        if generation == 3:
            outputs = [o.argmax(a, axis=1), L.Embedding(6, 3, name="of_greatest")(o.argmax(a, axis=-1)), o.cast(o.argmin(a, axis=2), "float32") * 0.5,
                       o.argmax(a, axis=1, keepdims=True), o.one_hot(o.argmin(a, axis=1), 5)]
        else:
            outputs = [tf.argmax(a, axis=1), L.Embedding(6, 3, name="of_greatest")(tf.argmax(a, axis=-1)), tf.cast(tf.argmin(a, axis=2), "float32") * 0.5,
                       tf.argmax(a, axis=1, output_type=tf.int32), tf.one_hot(tf.argmin(a, axis=1), 5)]
        return keras.Model(a, outputs), values(rng)[:1]

    @case("ops_matmul_cast")
    def _(rng):
        a, b = two()
        i = keras.Input((5,), name="ids", dtype="int32")
        if generation == 3:
            f = o.cast(i, "float32")
            outputs = [o.matmul(a, o.transpose(b, (0, 2, 1))), a @ o.transpose(b, (0, 2, 1)), f * 0.5, o.cast(a, "int32"), o.einsum("abc,abd->acd", a, b), o.where(a > 0.1, a, b),
                       o.cast(o.equal(i, 0), "float32"), o.one_hot(i, 7), o.cast(o.logical_and(a > 0, b < 0.5), "float32"), o.dot(f, o.ones((5, 2)))]
            outputs.pop()
        else:
            f = tf.cast(i, tf.float32)
            outputs = [tf.matmul(a, tf.transpose(b, [0, 2, 1])), tf.matmul(a, b, transpose_b=True), a @ tf.transpose(b, [0, 2, 1]), f * 0.5, tf.cast(a, "int32"),
                       tf.where(a > 0.1, a, b), tf.cast(tf.equal(i, 0), "float32"), tf.one_hot(i, 7),
                       tf.cast(tf.logical_and(a > 0, b < 0.5), tf.float32)]
        return keras.Model([a, b, i], outputs), [*values(rng), rng.integers(0, 3, (3, 5)).astype("int32")]

    @case("ops_activations")
    def _(rng):
        a, b = two()
        if generation == 3:
            outputs = [o.relu(a), o.sigmoid(a), o.softmax(a), o.softmax(a, axis=1), o.gelu(a, approximate=False), o.gelu(a), o.leaky_relu(a, 0.1), o.elu(a), o.silu(a), o.softplus(a),
                       o.hard_sigmoid(a), o.log_softmax(a), o.relu6(b), o.selu(b), keras.activations.relu(b), keras.activations.tanh(b)]
        else:
            outputs = [tf.nn.relu(a), tf.sigmoid(a), tf.nn.softmax(a), tf.nn.softmax(a, axis=1), tf.nn.gelu(a), tf.nn.gelu(a, approximate=True), tf.nn.leaky_relu(a, alpha=0.1),
                       tf.nn.elu(a), tf.nn.silu(a), tf.nn.softplus(a), tf.nn.log_softmax(a), tf.nn.relu6(b), tf.nn.selu(b), keras.activations.relu(b), keras.activations.sigmoid(b)]
        return keras.Model([a, b], outputs), values(rng)

    @case("ops_common")
    def _(rng):
        # What the other generation has a word for.
        a, b = two()
        x = L.Dense(6, activation="tanh", name="one")(a)
        y = L.Dense(6, name="two")(b)
        gate = pair(lambda: o.sigmoid(y), lambda: tf.sigmoid(y))()
        z = gate * x + (1.0 - gate) * a
        pooled = pair(lambda: o.mean(z, axis=1), lambda: tf.reduce_mean(z, axis=1))()
        joined = pair(lambda: o.concatenate([pooled, z[:, -1, :], z[:, 0]], axis=-1), lambda: tf.concat([pooled, z[:, -1, :], z[:, 0]], axis=-1))()
        flat = pair(lambda: o.reshape(z, (-1, 30)), lambda: tf.reshape(z, (-1, 30)))()
        turned = pair(lambda: o.transpose(z, (0, 2, 1)), lambda: tf.transpose(z, perm=[0, 2, 1]))()
        scores = pair(lambda: o.softmax(o.matmul(z, turned) / 2.5), lambda: tf.nn.softmax(tf.matmul(z, turned) / 2.5))()
        wide = pair(lambda: o.expand_dims(joined, 1), lambda: tf.expand_dims(joined, 1))()
        return keras.Model([a, b], [L.Dense(2, name="out")(joined), L.Dense(3, name="flat_out")(flat), scores, L.LSTM(2, name="memory")(wide)]), values(rng)

    @case("ops_constants")
    def _(rng):
        a, b = two()
        row = np.linspace(-1, 1, 6).astype("float32")
        outputs = [a * row, b + np.arange(30).reshape(5, 6).astype("float32") / 10, L.Dense(2, name="out")(a - row)]
        return keras.Model([a, b], outputs), values(rng)

    @case("ops_of_layer_inputs")
    def _(rng):
        i = keras.Input((7,), name="ids", dtype="int32")
        mask = pair(lambda: o.not_equal(i, 0), lambda: tf.not_equal(i, 0))()
        e = L.Embedding(11, 5, name="words")(i)
        y = L.GRU(4, name="memory")(e, mask=mask)
        return keras.Model(i, y), [ids(rng, masked=True)]

    if generation != 2:
        return

    @case("ops_tensorflow_nodes")
    def _(rng):
        # As TensorFlow 2.0 to 2.3 wrote bare operations: the node's definition, and its constants by position.
        from tf_keras.src.engine.base_layer import TensorFlowOpLayer
        F, I = {"type": "DT_FLOAT"}, {"type": "DT_INT32"}

        def node(op, name, inputs, constants=None, **attributes):
            count = len(inputs) + len(constants or {})
            definition = {"name": name, "op": op, "input": [f"operand_{i}" for i in range(count)], "attr": {"T": F, **attributes}}
            return TensorFlowOpLayer(node_def=definition, name=name, constants=constants)(inputs if len(inputs) > 1 else inputs[0])

        a, b = two()
        scaled = node("Mul", "scaled", [a], {1: 0.25})
        added = node("AddV2", "added", [scaled, b])
        turned = node("Transpose", "turned", [b], {1: [0, 2, 1]}, Tperm=I)
        product = node("BatchMatMulV2", "product", [a, turned], adj_x={"b": False}, adj_y={"b": False})
        first = node("StridedSlice", "first", [added], {1: [0, 0], 2: [0, 1], 3: [1, 1]}, Index=I, begin_mask={"i": "1"}, end_mask={"i": "1"}, ellipsis_mask={"i": "0"},
                     new_axis_mask={"i": "0"}, shrink_axis_mask={"i": "2"})
        mean = node("Mean", "mean", [added], {1: [1]}, Tidx=I, keep_dims={"b": False})
        joined = node("ConcatV2", "joined", [first, mean], {2: -1}, N={"i": "2"}, Tidx=I)
        stacked = node("Pack", "stacked", [first, mean], N={"i": "2"}, axis={"i": "1"})
        flat = node("Reshape", "flat", [added], {1: [-1, 30]}, Tshape=I)
        expanded = node("ExpandDims", "expanded", [mean], {1: 1}, Tdim=I)
        squeezed = node("Squeeze", "squeezed", [expanded], squeeze_dims={"list": {"i": ["1"]}})
        outputs = [node("Softmax", "soft", [product]), node("Tanh", "bounded", [joined]), node("Relu", "positive", [squeezed]), stacked, flat,
                   node("Sub", "rest", [a], {0: 1.0}), node("RealDiv", "ratio", [a, b]), node("Maximum", "top", [a, b])]
        return keras.Model([a, b], outputs), values(rng)
