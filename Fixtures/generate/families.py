"""The model families that both frameworks write. `cases(keras, generation)` gives {name: builder};
a builder takes a random generator and returns (model, [inputs in order]) or (model, inputs, options)."""

import families_layers
import families_ops
from common import floats, ids, masked_floats

UNITS, TIME, FEATURES, VOCABULARY, EMBEDDED = 4, 7, 3, 11, 5


def cases(keras, generation):
    L = keras.layers
    table = {}

    def case(name):
        def register(builder):
            assert name not in table, name
            table[name] = builder
            return builder
        return register

    def sequential(shape, *layers, dtype=None):
        return keras.Sequential([keras.Input(shape, **({"dtype": dtype} if dtype else {})), *layers])

    def embedded(*layers, masked=False, time=TIME):
        return sequential((time,), L.Embedding(VOCABULARY, EMBEDDED, mask_zero=masked), *layers, dtype="int32")

    # -- recurrent layers --------------------------------------------------------------------------

    cells = {
        "lstm": (L.LSTM, {}),
        "gru": (L.GRU, {"reset_after": True}),
        "gru_reset_before": (L.GRU, {"reset_after": False}),
        "simple_rnn": (L.SimpleRNN, {}),
    }

    def recurrent(prefix, layer, fixed):
        gated = layer is not L.SimpleRNN

        def make(units=UNITS, **options):
            return layer(units, **{**fixed, **options})

        left_out = {"lstm": {"backwards", "odd_activations"} if generation == 3 else set(),
                    "gru": {"open_time", "dropout", "odd_activations"} | ({"stacked_mask", "initial_state", "backwards", "unroll_mask", "sequences", "relu", "return_state", "hard_sigmoid"} if generation == 3 else set()),
                    "gru_reset_before": {"open_time", "dropout", "odd_activations", "relu", "unroll_mask", "stacked_mask", "initial_state", "backwards",
                                         "sequences", "return_state"} | ({"hard_sigmoid"} if generation == 3 else set()),
                    "simple_rnn": {"open_time", "dropout", "relu", "initial_state", "backwards", "stacked_mask", "sequences", "unroll_mask", "return_state"}}.get(prefix, set())

        def add(suffix, build):
            if suffix not in left_out:  # size: the folder stays below 8 MiB
                table[f"{prefix}_{suffix}"] = build

        add("basic", lambda rng: (embedded(make(), L.Dense(3)), [ids(rng)]))
        add("mask", lambda rng: (embedded(make(), L.Dense(3), masked=True), [ids(rng, masked=True)]))
        add("sequences", lambda rng: (sequential((TIME, FEATURES), make(return_sequences=True)), [floats(rng, 3, TIME, FEATURES)]))
        add("sequences_mask", lambda rng: (embedded(make(return_sequences=True), masked=True), [ids(rng, masked=True)]))
        add("backwards", lambda rng: (sequential((TIME, FEATURES), make(go_backwards=True), L.Dense(2)), [floats(rng, 3, TIME, FEATURES)]))
        add("backwards_sequences_mask", lambda rng: (embedded(make(go_backwards=True, return_sequences=True), masked=True), [ids(rng, masked=True)]))
        add("no_bias", lambda rng: (sequential((TIME, FEATURES), make(use_bias=False)), [floats(rng, 3, TIME, FEATURES)]))
        add("relu", lambda rng: (sequential((TIME, FEATURES), make(activation="relu")), [floats(rng, 3, TIME, FEATURES)]))
        both = {"activation": "hard_sigmoid", **({"recurrent_activation": "hard_sigmoid"} if gated else {})}
        add("hard_sigmoid", lambda rng: (sequential((TIME, FEATURES), make(return_sequences=True, **both)), [floats(rng, 3, TIME, FEATURES, scale=3)]))
        if gated:
            add("hard_sigmoid_gates", lambda rng: (sequential((TIME, FEATURES), make(return_sequences=True, recurrent_activation="hard_sigmoid")),
                                                   [floats(rng, 3, TIME, FEATURES, scale=3)]))
            add("odd_activations", lambda rng: (sequential((TIME, FEATURES), make(activation="softsign", recurrent_activation="tanh")),
                                                [floats(rng, 3, TIME, FEATURES)]))
        add("unroll_mask", lambda rng: (embedded(make(unroll=True, return_sequences=True), masked=True), [ids(rng, masked=True)]))
        add("open_time", lambda rng: (sequential((None, FEATURES), make(return_sequences=True), L.Dense(2)), [floats(rng, 3, 9, FEATURES)]))
        add("stacked_mask", lambda rng: (embedded(make(return_sequences=True), make(6, return_sequences=True), make(3), L.Dense(2, activation="softmax"),
                                                  masked=True), [ids(rng, masked=True)]))
        add("dropout", lambda rng: (sequential((TIME, FEATURES), make(dropout=0.25, recurrent_dropout=0.5)), [floats(rng, 3, TIME, FEATURES)]))

        def state(rng):
            x = keras.Input((TIME, FEATURES), name="values")
            outputs = make(return_sequences=True, return_state=True, name="encoder")(x)
            return keras.Model(x, outputs), [floats(rng, 3, TIME, FEATURES)]
        add("return_state", state)

        def initial(rng):
            x = keras.Input((TIME, FEATURES), name="source")
            y = keras.Input((5, FEATURES + 3), name="target")
            _, *states = make(return_state=True, name="encoder")(x)
            z = make(return_sequences=True, name="decoder")(y, initial_state=states)
            return keras.Model([x, y], L.Dense(2, name="out")(z)), [floats(rng, 3, TIME, FEATURES), floats(rng, 3, 5, FEATURES + 3)]
        add("initial_state", initial)

    for prefix, (layer, fixed) in cells.items():
        recurrent(prefix, layer, fixed)

    @case("lstm_zero_output_for_mask")
    def _(rng):
        return embedded(L.LSTM(UNITS, return_sequences=True, zero_output_for_mask=True), masked=True), [ids(rng, masked=True)]

    @case("lstm_trained")
    def _(rng):
        model = embedded(L.LSTM(UNITS), L.Dense(3, activation="softmax"), masked=True)
        model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        x = ids(rng, masked=True)
        return model, [x], {"fit": rng.integers(0, 3, (3,)).astype("int32")}

    @case("gru_trained")
    def _(rng):
        model = sequential((TIME, FEATURES), L.GRU(UNITS), L.Dense(2))
        model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), loss="mse")
        return model, [floats(rng, 3, TIME, FEATURES)], {"fit": floats(rng, 3, 2)}

    @case("rnn_of_cells")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        a = L.RNN(L.LSTMCell(UNITS), return_sequences=True, name="one")(x)
        b = L.RNN([L.GRUCell(3), L.LSTMCell(2)], name="stack")(a)
        return keras.Model(x, [a, b]), [floats(rng, 3, TIME, FEATURES)]

    @case("lstm_stateful")
    def _(rng):
        x = keras.Input(batch_shape=(3, TIME, FEATURES), name="values")
        model = keras.Model(x, L.Dense(2, name="out")(L.LSTM(UNITS, stateful=True, name="memory")(x)))
        return model, [floats(rng, 3, TIME, FEATURES)], {"notes": "stateful: expected is the first call after reset_states"}

    # -- bidirectional -----------------------------------------------------------------------------

    def bidirectional(prefix, layer, fixed):
        def modes(rng):
            x = keras.Input((TIME,), name="ids", dtype="int32")
            e = L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True, name="embedding")(x)
            return keras.Model(x, [L.Bidirectional(layer(UNITS, return_sequences=True, **fixed), merge_mode="sum", name="sum")(e),
                                   L.Bidirectional(layer(3, **fixed), merge_mode="mul", name="mul")(e),
                                   L.Bidirectional(layer(2, return_sequences=True, **fixed), merge_mode="ave", name="ave")(e),
                                   L.Bidirectional(layer(2, return_sequences=True, **fixed), merge_mode="concat", name="concat")(e),
                                   *L.Bidirectional(layer(3, **fixed), merge_mode=None, name="none")(e)]), [ids(rng, masked=True)]
        table[f"bidirectional_{prefix}_modes_mask"] = modes
        if prefix != "lstm":  # size
            return
        table["bidirectional_lstm_concat_mask"] = lambda rng: (embedded(
            L.Bidirectional(layer(UNITS, return_sequences=True, **fixed)), L.Bidirectional(layer(3, **fixed)), L.Dense(2), masked=True),
            [ids(rng, masked=True)])

        def separate(rng):
            x = keras.Input((TIME,), name="ids", dtype="int32")
            e = L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True, name="embedding")(x)
            a = L.Bidirectional(layer(UNITS, return_sequences=True, **fixed), merge_mode=None, name="both")(e)
            b = L.Bidirectional(layer(2, **fixed), merge_mode=None, name="last")(e)
            return keras.Model(x, [*a, *b]), [ids(rng, masked=True)]
        table[f"bidirectional_{prefix}_none_mask"] = separate
        table[f"bidirectional_{prefix}_sequences"] = lambda rng: (sequential(
            (TIME, FEATURES), L.Bidirectional(layer(UNITS, return_sequences=True, **fixed))), [floats(rng, 3, TIME, FEATURES)])
        table[f"bidirectional_{prefix}_last"] = lambda rng: (sequential(
            (TIME, FEATURES), L.Bidirectional(layer(UNITS, **fixed)), L.Dense(3)), [floats(rng, 3, TIME, FEATURES)])

    for prefix, (layer, fixed) in cells.items():
        if prefix != "gru_reset_before":
            bidirectional(prefix, layer, fixed)

    @case("bidirectional_gru_reset_before")
    def _(rng):
        return embedded(L.Bidirectional(L.GRU(UNITS, reset_after=False, return_sequences=True)), masked=True), [ids(rng, masked=True)]

    @case("bidirectional_two_layers")
    def _(rng):
        layer = L.Bidirectional(L.LSTM(UNITS, return_sequences=True), backward_layer=L.LSTM(UNITS, return_sequences=True, go_backwards=True,
                                activation="relu", use_bias=False, name="reverse"), name="both")
        return sequential((TIME, FEATURES), layer), [floats(rng, 3, TIME, FEATURES)]

    def forward_backwards(rng):
        return (sequential((TIME, FEATURES), L.Bidirectional(L.LSTM(UNITS, return_sequences=True, go_backwards=True))),
                [floats(rng, 3, TIME, FEATURES)])

    if generation == 2:  # Keras 3 refuses it
        table["bidirectional_go_backwards"] = forward_backwards

    @case("bidirectional_return_state")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        return keras.Model(x, L.Bidirectional(L.LSTM(UNITS, return_state=True), name="both")(x)), [floats(rng, 3, TIME, FEATURES)]

    # -- convolution and pooling -------------------------------------------------------------------

    convolutions = {
        "padding": dict(valid=dict(kernel_size=3), same=dict(kernel_size=4, padding="same"), causal=dict(kernel_size=3, padding="causal")),
        "strides": dict(valid=dict(kernel_size=3, strides=2), same=dict(kernel_size=4, strides=3, padding="same"),
                        causal=dict(kernel_size=3, strides=2, padding="causal")),
        "dilation": dict(valid=dict(kernel_size=3, dilation_rate=2), same=dict(kernel_size=4, dilation_rate=2, padding="same"),
                         causal=dict(kernel_size=3, dilation_rate=3, padding="causal")),
        "groups": dict(two=dict(filters=6, kernel_size=3, groups=2), four=dict(filters=8, kernel_size=2, groups=4, padding="same")),
        "activation": dict(no_bias=dict(kernel_size=2, activation="relu", use_bias=False), one=dict(kernel_size=1, activation="tanh")),
    }
    for suffix, layers in convolutions.items():
        def convolution(rng, layers=layers):
            x = keras.Input((10, 4), name="values")
            return keras.Model(x, [L.Conv1D(**{"filters": 5, **options}, name=name)(x) for name, options in layers.items()]), [floats(rng, 3, 10, 4)]
        table[f"conv1d_{suffix}"] = convolution
    table["conv1d_open_time"] = lambda rng: (sequential(
        (None, 4), L.Conv1D(5, 3, activation="tanh"), L.MaxPooling1D(2), L.Conv1D(6, 2, padding="same"), L.AveragePooling1D(2, padding="same"),
        L.GlobalMaxPooling1D(), L.Dense(2)), [floats(rng, 3, 13, 4)])

    @case("conv1d_text")
    def _(rng):
        return sequential((12,), L.Embedding(VOCABULARY, EMBEDDED), L.Dropout(0.3), L.Conv1D(6, 3, activation="relu"), L.MaxPooling1D(3, strides=2),
                          L.LSTM(UNITS), L.Dense(1, activation="sigmoid"), dtype="int32"), [ids(rng, time=12)]

    def pooling(layer):
        def build(rng):
            x = keras.Input((11, 3), name="values")
            outputs = [layer(2, name="two")(x), layer(3, padding="same", name="three_same")(x), layer(3, strides=2, name="three_by_two")(x),
                       layer(4, strides=3, padding="same", name="four_by_three_same")(x), layer(2, strides=3, name="gaps")(x),
                       layer(2, strides=1, padding="same", name="dense_same")(x)]
            return keras.Model(x, outputs), [floats(rng, 3, 11, 3) - 1]
        return build
    table["pooling_max"] = pooling(L.MaxPooling1D)
    table["pooling_average"] = pooling(L.AveragePooling1D)

    @case("pooling_global")
    def _(rng):
        x = keras.Input((None, 3), name="values")
        outputs = [L.GlobalMaxPooling1D(name="max")(x), L.GlobalAveragePooling1D(name="average")(x),
                   L.GlobalMaxPooling1D(keepdims=True, name="max_kept")(x), L.GlobalAveragePooling1D(keepdims=True, name="average_kept")(x)]
        return keras.Model(x, outputs), [floats(rng, 3, 6, 3)]

    @case("pooling_global_mask")
    def _(rng):
        x = keras.Input((TIME,), name="ids", dtype="int32")
        e = L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True, name="embedding")(x)
        return keras.Model(x, [L.GlobalAveragePooling1D(name="average")(e), L.GlobalMaxPooling1D(name="max")(e),
                               L.GlobalAveragePooling1D(keepdims=True, name="average_kept")(e)]), [ids(rng, masked=True, full=False)]

    # -- normalisation, shapes, regularisers ---------------------------------------------------------

    @case("batch_normalization")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        return keras.Model(x, [L.BatchNormalization(name="plain")(x), L.BatchNormalization(scale=False, name="no_scale")(x),
                               L.BatchNormalization(center=False, name="no_center")(x),
                               L.BatchNormalization(scale=False, center=False, epsilon=0.02, name="neither")(x)]), [floats(rng, 3, TIME, FEATURES)]

    @case("batch_normalization_axis")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        return keras.Model(x, L.BatchNormalization(axis=1, name="over_time")(x)), [floats(rng, 3, TIME, FEATURES)]

    @case("batch_normalization_dense")
    def _(rng):
        return sequential((5,), L.Dense(6, use_bias=False), L.BatchNormalization(epsilon=1e-5), L.Activation("relu"), L.Dense(2)), [floats(rng, 3, 5)]

    @case("layer_normalization")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        return keras.Model(x, [L.LayerNormalization(name="plain")(x), L.LayerNormalization(epsilon=0.05, name="epsilon")(x),
                               L.LayerNormalization(scale=False, name="no_scale")(x), L.LayerNormalization(center=False, name="no_center")(x)]), \
            [floats(rng, 3, TIME, FEATURES)]

    @case("layer_normalization_axes")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        return keras.Model(x, [L.LayerNormalization(axis=[1, 2], name="two_axes")(x), L.LayerNormalization(axis=1, name="over_time")(x)]), \
            [floats(rng, 3, TIME, FEATURES)]

    @case("shapes")
    def _(rng):
        x = keras.Input((6, 4), name="values")
        outputs = [L.Flatten(name="flatten")(x), L.Reshape((3, -1), name="reshape")(x), L.Reshape((-1,), name="reshape_flat")(x),
                   L.Reshape((2, 3, 4), name="reshape_rank")(x), L.Permute((2, 1), name="permute")(x),
                   L.RepeatVector(3, name="repeat")(L.Flatten(name="flatten_more")(x)), L.ZeroPadding1D((1, 2), name="pad")(x),
                   L.Cropping1D((2, 1), name="crop")(x), L.UpSampling1D(2, name="upsample")(x), L.Dense(5, name="dense_rank3")(x)]
        return keras.Model(x, outputs), [floats(rng, 3, 6, 4)]

    @case("flatten_dense")
    def _(rng):
        return sequential((6, 4), L.Flatten(), L.Dense(5, activation="tanh"), L.Reshape((5, 1)), L.Dense(2)), [floats(rng, 3, 6, 4)]

    @case("regularisers")
    def _(rng):
        return sequential((TIME, 5), L.Dropout(0.4), L.Dense(6), L.SpatialDropout1D(0.2), L.GaussianNoise(0.3), L.GaussianDropout(0.25),
                          L.AlphaDropout(0.1), L.ActivityRegularization(l1=0.01, l2=0.02), L.Dense(2, kernel_regularizer="l2")), [floats(rng, 3, TIME, 5)]

    @case("dense_small")
    def _(rng):
        return sequential((4,), L.Dropout(0.3), L.Dense(3)), [floats(rng, 3, 4)]

    @case("functional_small")
    def _(rng):
        a = keras.Input((4,), name="a")
        b = keras.Input((3,), name="b")
        return keras.Model([a, b], L.Concatenate(name="joined")([L.Dense(5, name="encoder")(a), L.Dense(2, name="side")(b)])), \
            [floats(rng, 3, 4), floats(rng, 3, 3)]

    @case("embedding_only")
    def _(rng):
        return embedded(L.Dense(3)), [ids(rng)]

    # -- activations ---------------------------------------------------------------------------------

    if generation == 2:
        names = ["elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
                 "softmax", "softplus", "softsign", "swish", "tanh"]
        known = []
        for name in names:
            try:
                keras.activations.get(name)
                known.append(name)
            except ValueError:
                pass
        activations = known
    else:
        activations = ["relu", "leaky_relu", "relu6", "softmax", "celu", "elu", "selu", "softplus", "softsign", "squareplus", "soft_shrink", "sparse_plus",
                       "silu", "gelu", "glu", "tanh", "tanh_shrink", "threshold", "sigmoid", "sparse_sigmoid", "exponential", "hard_sigmoid", "hard_silu",
                       "hard_tanh", "hard_shrink", "linear", "mish", "log_softmax", "log_sigmoid", "sparsemax", "swish"]
    needs_argument = {"threshold"}
    few = {"relu", "softmax", "tanh", "gelu", "silu", "hard_sigmoid", "glu", "softplus", "leaky_relu"}

    @case("activation_layers")
    def _(rng):
        x = keras.Input((5, 6), name="values")
        return keras.Model(x, [L.Activation(a, name=f"{a}_layer")(x) for a in activations if a not in needs_argument]), \
            [floats(rng, 3, 5, 6, scale=3)], {"notes": "activations: " + " ".join(a for a in activations if a not in needs_argument)}

    @case("activation_dense")
    def _(rng):
        x = keras.Input((5,), name="values")
        return keras.Model(x, [L.Dense(4, activation=a, name=f"{a}_dense")(x) for a in activations if a in few]), \
            [floats(rng, 3, 5, scale=2)]

    @case("activation_classes")
    def _(rng):
        x = keras.Input((5, 6), name="values")
        slope = "alpha" if generation == 2 else "negative_slope"
        outputs = [L.ReLU(name="relu_plain")(x), L.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.5, name="relu_full")(x),
                   L.LeakyReLU(**{slope: 0.2}, name="leaky")(x), L.ELU(alpha=0.7, name="elu")(x), L.Softmax(axis=1, name="softmax_axis")(x),
                   L.Softmax(name="softmax")(x), L.PReLU(name="prelu")(x), L.PReLU(shared_axes=[1], name="prelu_shared")(x)]
        if generation == 2:
            outputs.append(L.ThresholdedReLU(theta=0.8, name="thresholded")(x))
        return keras.Model(x, outputs), [floats(rng, 3, 5, 6, scale=2)]

    # -- time distributed ----------------------------------------------------------------------------

    @case("time_distributed_dense")
    def _(rng):
        return embedded(L.TimeDistributed(L.Dense(4, activation="tanh")), L.LSTM(3), masked=True), [ids(rng, masked=True)]

    @case("time_distributed_conv1d")
    def _(rng):
        return sequential((4, 6, 3), L.TimeDistributed(L.Conv1D(5, 2)), L.TimeDistributed(L.MaxPooling1D(2)), L.TimeDistributed(L.Flatten()),
                          L.TimeDistributed(L.BatchNormalization()), L.GRU(2)), [floats(rng, 3, 4, 6, 3)]

    @case("time_distributed_lstm")
    def _(rng):
        return sequential((4, 6, 3), L.TimeDistributed(L.LSTM(5)), L.Dense(2)), [floats(rng, 3, 4, 6, 3)]

    @case("time_distributed_batch_norm_mask")
    def _(rng):
        return embedded(L.TimeDistributed(L.BatchNormalization()), L.TimeDistributed(L.Activation("relu")), L.LSTM(3, return_sequences=True),
                        L.TimeDistributed(L.Dense(2)), masked=True), [ids(rng, masked=True)]

    # -- functional ----------------------------------------------------------------------------------

    @case("functional_two_inputs")
    def _(rng):
        a = keras.Input((TIME,), name="ids", dtype="int32")
        b = keras.Input((4,), name="features")
        x = L.LSTM(UNITS, name="encoder")(L.Embedding(VOCABULARY, EMBEDDED, name="words")(a))
        y = L.Dense(3, activation="relu", name="side")(b)
        z = L.Concatenate(name="joined")([x, y])
        return keras.Model([a, b], [L.Dense(2, activation="softmax", name="label")(z), L.Dense(1, name="score")(z)]), [ids(rng), floats(rng, 3, 4)]

    @case("functional_inputs_unsorted")
    def _(rng):
        z = keras.Input((5,), name="zeta")
        a = keras.Input((4,), name="alpha")
        x = L.Dense(3, name="second")(a)
        y = L.Dense(3, name="first")(z)
        return keras.Model([z, a], [L.Subtract(name="minus")([y, x]), x]), [floats(rng, 3, 5), floats(rng, 3, 4)]

    @case("functional_shared")
    def _(rng):
        a = keras.Input((TIME,), name="left", dtype="int32")
        b = keras.Input((TIME,), name="right", dtype="int32")
        words = L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True, name="words")
        encoder = L.LSTM(UNITS, name="encoder")
        x, y = encoder(words(a)), encoder(words(b))
        return keras.Model([a, b], L.Dense(2, name="out")(L.Concatenate(name="pair")([x, y]))), [ids(rng, masked=True), ids(rng, masked=True)[::-1].copy()]

    @case("functional_merges")
    def _(rng):
        a = keras.Input((5, 3), name="left")
        b = keras.Input((5, 3), name="right")
        outputs = [L.Add(name="add")([a, b, a]), L.Subtract(name="subtract")([a, b]), L.Multiply(name="multiply")([a, b]),
                   L.Average(name="average")([a, b, b]), L.Maximum(name="maximum")([a, b]), L.Minimum(name="minimum")([a, b]),
                   L.Concatenate(axis=-1, name="concatenate")([a, b]), L.Concatenate(axis=1, name="concatenate_time")([a, b]),
                   L.Dot(axes=2, name="dot")([a, b]), L.Dot(axes=(1, 1), normalize=True, name="dot_normal")([a, b])]
        return keras.Model([a, b], outputs), [floats(rng, 3, 5, 3), floats(rng, 3, 5, 3)]

    @case("functional_repeated_output")
    def _(rng):
        x = keras.Input((5,), name="values")
        shared = L.Dense(5, name="shared", activation="tanh")
        y = shared(x)
        return keras.Model(x, [shared(y), y, L.Dense(2, name="out")(y)]), [floats(rng, 3, 5)], \
            {"notes": "one layer called twice, both calls are outputs (first output is the second call)"}

    @case("functional_nested")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="inner_values")
        inner = keras.Model(x, L.LSTM(UNITS, name="inner_lstm")(L.Dense(5, name="inner_dense")(x)), name="encoder")
        head = keras.Sequential([keras.Input((UNITS,)), L.Dense(6, activation="relu", name="hidden"), L.Dense(2, name="label")], name="head")
        a = keras.Input((TIME, FEATURES), name="a")
        b = keras.Input((TIME, FEATURES), name="b")
        return keras.Model([a, b], L.Add(name="sum")([head(inner(a)), head(inner(b))])), \
            [floats(rng, 3, TIME, FEATURES), floats(rng, 3, TIME, FEATURES)]

    @case("masking")
    def _(rng):
        return sequential((TIME, FEATURES), L.Masking(mask_value=-1.0), L.LSTM(UNITS, return_sequences=True), L.GRU(3)), \
            [masked_floats(rng, 3, TIME, FEATURES, -1.0)]

    @case("masking_zero_output")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        m = L.Masking(name="masking")(x)
        return keras.Model(x, [m, L.SimpleRNN(UNITS, name="rnn")(m)]), [masked_floats(rng, 3, TIME, FEATURES, 0.0)]

    @case("mask_through_layers")
    def _(rng):
        return embedded(L.Dropout(0.2), L.Dense(6), L.Activation("tanh"), L.BatchNormalization(), L.LayerNormalization(), L.SpatialDropout1D(0.1),
                        L.GaussianNoise(0.1), L.TimeDistributed(L.Dense(3)), L.ReLU(), L.LSTM(UNITS), masked=True), [ids(rng, masked=True)]

    def merged(both, kinds):
        def build(rng):
            a = keras.Input((TIME,), name="left", dtype="int32")
            b = keras.Input((TIME,), name="right", dtype="int32")
            x = L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True, name="masked")(a)
            y = L.Embedding(VOCABULARY, EMBEDDED, mask_zero=both, name="other")(b)
            outputs = []
            for name, layer, options in kinds:
                z = layer(name=name + "_merge", **options)([x, y])  # Keras 3 adds ops called concatenate, any, not_equal
                outputs += [L.LSTM(2, name=name + "_memory")(z), z]
            left = ids(rng, masked=True, full=False)
            right = ids(rng, masked=True, full=False)[::-1].copy()
            return keras.Model([a, b], outputs), [left, right]
        return build
    add, concatenate = ("add", L.Add, {}), ("concatenate", L.Concatenate, {})
    subtract, along_time = ("subtract", L.Subtract, {}), ("concatenate_time", L.Concatenate, {"axis": 1})
    others = [("multiply", L.Multiply, {}), ("average", L.Average, {}), ("maximum", L.Maximum, {}), ("minimum", L.Minimum, {})]
    table["merge_add_two_masks"] = merged(True, [add])
    table["merge_add_one_mask"] = merged(False, [add])
    table["merge_concatenate_two_masks"] = merged(True, [concatenate])
    table["merge_concatenate_one_mask"] = merged(False, [concatenate])
    table["merge_others_two_masks"] = merged(True, [subtract, *others, along_time])
    table["merge_others_one_mask"] = merged(False, [subtract] + ([*others, along_time] if generation == 3 else []))  # tf_keras fails to build the last

    # -- many layers, names --------------------------------------------------------------------------

    @case("many_dense")
    def _(rng):
        return sequential((4,), *[L.Dense(3 + (n * 5) % 4, activation="tanh" if n % 2 else None) for n in range(13)]), [floats(rng, 3, 4)]

    @case("names_odd")
    def _(rng):
        memory = "encoder/memory/one" if generation == 2 else "m\u00e9moire"  # tf_keras refuses names that aren't ASCII, Keras 3 slashes
        x = keras.Input((TIME, FEATURES), name="values")
        return keras.Model(x, L.Dense(2, name="Sortie.finale-2")(L.LSTM(UNITS, name=memory)(x))), [floats(rng, 3, TIME, FEATURES)]

    # -- dtypes --------------------------------------------------------------------------------------

    def typed(dtype):
        def build(rng):
            kind = "float64" if dtype == "float64" else "float32" if "mixed" in dtype else dtype
            x = keras.Input((TIME, FEATURES), name="values", dtype="float32" if kind == "bfloat16" else kind)
            policy = dtype if generation == 3 else (keras.mixed_precision.Policy(dtype))
            y = L.LSTM(UNITS, return_sequences=True, dtype=policy, recurrent_initializer="glorot_uniform", name="lstm")(x)  # no QR in bfloat16
            y = L.LayerNormalization(dtype=policy, name="norm")(y)
            y = L.Dense(2, dtype=policy, name="out")(y)
            values = floats(rng, 3, TIME, FEATURES)
            return keras.Model(x, y), [values.astype({"float64": "float64", "float16": "float16"}.get(kind, "float32"))], \
                {"notes": f"dtype policy {dtype}"}
        return build
    table["dtype_float64"] = typed("float64")
    table["dtype_mixed_float16"] = typed("mixed_float16")
    table["dtype_float16"] = typed("float16")
    if generation == 3:  # tf_keras can't predict it
        table["dtype_bfloat16"] = typed("bfloat16")
    families_layers.add(keras, generation, table)
    families_ops.add(keras, generation, table)
    return table
