"""More model families for families.py: wrappers and cells, shape layers, two dimensions, attention, normalisation and preprocessing.
`add(keras, generation, table)` puts {name: builder} into the table."""

import numpy as np
from common import floats, ids, masked_floats

UNITS, TIME, FEATURES, VOCABULARY, EMBEDDED = 4, 7, 3, 11, 5


def add(keras, generation, table):
    L = keras.layers
    if generation == 2:
        import tensorflow as tf

    def case(name):
        def register(builder):
            assert name not in table, name
            table[name] = builder
            return builder
        return register

    def sequential(shape, *layers, dtype=None):
        return keras.Sequential([keras.Input(shape, **({"dtype": dtype} if dtype else {})), *layers])

    def masked_words(name="ids", time=TIME, embedding="embedding"):
        x = keras.Input((time,), name=name, dtype="int32")
        return x, L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True, name=embedding)(x)

    # -- cells ---------------------------------------------------------------------------------------

    @case("rnn_single_cells")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        outputs = [L.RNN(L.SimpleRNNCell(4, activation="relu"), name="simple")(x),
                   L.RNN(L.GRUCell(3, reset_after=False, recurrent_activation="hard_sigmoid"), go_backwards=True, return_sequences=True, name="gru_before")(x),
                   L.RNN(L.GRUCell(2, use_bias=False), name="gru")(x),
                   *L.RNN(L.LSTMCell(5, recurrent_activation="hard_sigmoid"), return_state=True, name="lstm")(x)]
        return keras.Model(x, outputs), [floats(rng, 3, TIME, FEATURES)]

    @case("rnn_stack_mask")
    def _(rng):
        x, e = masked_words()
        a = L.RNN([L.LSTMCell(UNITS), L.GRUCell(3), L.SimpleRNNCell(2)], return_sequences=True, name="sequences")(e)
        b = L.RNN([L.GRUCell(3, reset_after=False), L.LSTMCell(2)], name="backwards", go_backwards=True)(e)
        return keras.Model(x, [a, b, L.LSTM(2, name="after")(a)]), [ids(rng, masked=True)]

    @case("rnn_stack_state")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="source")
        y = keras.Input((5, FEATURES + 1), name="target")
        z, *states = L.RNN([L.LSTMCell(UNITS), L.GRUCell(3)], return_state=True, name="encoder")(x)
        states = [s for group in states for s in (group if isinstance(group, (list, tuple)) else [group])]
        return keras.Model([x, y], [z, *states, L.Dense(2, name="out")(y)]), [floats(rng, 3, TIME, FEATURES), floats(rng, 3, 5, FEATURES + 1)]

    @case("rnn_initial_state")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="source")
        h = keras.Input((UNITS,), name="hidden")
        c = keras.Input((UNITS,), name="memory")
        y = L.RNN(L.LSTMCell(UNITS), return_sequences=True, name="decoder")(x, initial_state=[h, c])
        z = L.GRU(UNITS, name="gru")(x, initial_state=h)
        w = L.Bidirectional(L.GRU(UNITS, return_sequences=True), name="both")(x, initial_state=[h, c])
        return keras.Model([x, h, c], [y, z, w]), [floats(rng, 3, TIME, FEATURES), floats(rng, 3, UNITS), floats(rng, 3, UNITS)]

    @case("bidirectional_rnn_cells")
    def _(rng):
        x, e = masked_words()
        a = L.Bidirectional(L.RNN(L.LSTMCell(UNITS), return_sequences=True), name="cells")(e)
        b = L.Bidirectional(L.RNN([L.GRUCell(3), L.SimpleRNNCell(2)]), merge_mode="sum", name="stack")(a)
        return keras.Model(x, [a, b]), [ids(rng, masked=True)]

    @case("bidirectional_custom_backward")
    def _(rng):
        x, e = masked_words()
        a = L.Bidirectional(L.LSTM(UNITS, return_sequences=True, name="ahead"), backward_layer=L.GRU(3 if generation == 2 else UNITS, return_sequences=True, go_backwards=True, name="back"),
                            name="mixed")(e)
        b = L.Bidirectional(L.GRU(2, name="one"), backward_layer=L.SimpleRNN(2, go_backwards=True, name="two"), merge_mode="mul", name="merged")(a)
        return keras.Model(x, [a, b]), [ids(rng, masked=True)]

    # -- time distributed ----------------------------------------------------------------------------

    @case("time_distributed_models")
    def _(rng):
        x = keras.Input((6, FEATURES), name="inner_values")
        inner = keras.Model(x, L.Add(name="residual")([L.Dense(FEATURES, name="inner_dense")(x), x]), name="inner")
        chain = keras.Sequential([keras.Input((6, FEATURES)), L.Conv1D(5, 2, name="conv"), L.BatchNormalization(name="norm"),
                                  L.GlobalMaxPooling1D(name="pool"), L.Dense(4, name="dense")], name="chain")
        y = keras.Input((5, 6, FEATURES), name="values")
        z = L.TimeDistributed(chain, name="outer")(L.TimeDistributed(inner, name="first")(y))
        return keras.Model(y, [L.LSTM(2, name="memory")(z), z]), [floats(rng, 3, 5, 6, FEATURES)]

    @case("time_distributed_recurrent")
    def _(rng):
        y = keras.Input((5, 6, FEATURES), name="values")
        a = L.TimeDistributed(L.Bidirectional(L.LSTM(UNITS)), name="both")(y)
        b = L.TimeDistributed(L.TimeDistributed(L.Dense(2, name="dense")), name="twice")(y)
        return keras.Model(y, [a, b]), [floats(rng, 3, 5, 6, FEATURES)]

    if generation == 2:  # Keras 3's TimeDistributed gives its child no mask of its own
        @case("time_distributed_inner_mask")
        def _(rng):
            y = keras.Input((4, TIME), name="ids", dtype="int32")
            e = L.TimeDistributed(L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True), name="words")(y)
            z = L.TimeDistributed(L.LSTM(UNITS), name="sentences")(e)
            return keras.Model(y, L.GRU(3, name="document")(z)), [np.stack([ids(rng, masked=True, full=False) for _ in range(4)], axis=1)]

    # -- nested models -------------------------------------------------------------------------------

    @case("nested_sequential")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="inner_values")
        inner = keras.Model(x, L.LSTM(UNITS, return_sequences=True, name="inner_lstm")(x), name="encoder")
        head = keras.Sequential([keras.Input((TIME, UNITS)), L.Dense(6, activation="relu", name="hidden"),
                                 keras.Sequential([keras.Input((TIME, 6)), L.GRU(3, name="deep"), L.Dense(2, name="label")], name="innermost")], name="head")
        return sequential((TIME, FEATURES), inner, head, L.Dense(5, name="last")), [floats(rng, 3, TIME, FEATURES)]

    @case("nested_ports")
    def _(rng):
        a = keras.Input((TIME, FEATURES), name="inner_a")
        b = keras.Input((4,), name="inner_b")
        s, h, c = L.LSTM(UNITS, return_sequences=True, return_state=True, name="inner_lstm")(a, initial_state=[b, b])
        inner = keras.Model([a, b], [L.Dense(2, name="inner_out")(s), L.Add(name="inner_sum")([h, c])], name="two_ports")
        x = keras.Input((TIME, FEATURES), name="x")
        y = keras.Input((4,), name="y")
        p, q = inner([x, y])
        r, t = inner([x, q])
        return keras.Model([x, y], [L.Concatenate(name="joined")([p, r]), q, t]), [floats(rng, 3, TIME, FEATURES), floats(rng, 3, 4)]

    @case("nested_mask")
    def _(rng):
        i = keras.Input((TIME,), name="inner_ids", dtype="int32")
        inner = keras.Model(i, L.Dense(3, name="inner_dense")(L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True, name="inner_words")(i)), name="words")
        x = keras.Input((TIME,), name="ids", dtype="int32")
        return keras.Model(x, L.GRU(UNITS, name="memory")(inner(x))), [ids(rng, masked=True)]

    # -- shapes in one dimension ---------------------------------------------------------------------

    @case("shapes_more")
    def _(rng):
        x = keras.Input((6, 4), name="values")
        outputs = [L.ZeroPadding1D(2, name="pad_one")(x), L.Cropping1D(1, name="crop_one")(x), L.Cropping1D((0, 2), name="crop_end")(x),
                   L.UpSampling1D(3, name="upsample")(x), L.Permute((1, 2), name="permute_same")(x),
                   L.Permute((3, 1, 2), name="permute_three")(L.Reshape((2, 3, 4), name="reshape")(x))]
        return keras.Model(x, outputs), [floats(rng, 3, 6, 4)]

    @case("shapes_open_time")
    def _(rng):
        x = keras.Input((None, 4), name="values")
        y = L.UpSampling1D(2, name="upsample")(L.Cropping1D((1, 2), name="crop")(L.ZeroPadding1D((3, 1), name="pad")(x)))
        return keras.Model(x, L.GRU(3, return_sequences=True, name="memory")(y)), [floats(rng, 3, 6, 4)]

    @case("shapes_mask")
    def _(rng):
        x, e = masked_words()
        a = L.LSTM(2, name="after_pad")(L.ZeroPadding1D(1, name="pad")(e))
        b = L.LSTM(2, name="after_crop")(L.Cropping1D((1, 1), name="crop")(e))
        c = L.LSTM(2, name="after_upsampling")(L.UpSampling1D(2, name="upsample")(e))
        d = L.LSTM(2, name="after_reshape")(L.Reshape((TIME, EMBEDDED), name="reshape")(e))
        f = L.LSTM(2, name="after_pool")(L.AveragePooling1D(2, name="pool")(e))
        return keras.Model(x, [a, b, c, d, f]), [ids(rng, masked=True)]

    # -- merges --------------------------------------------------------------------------------------

    @case("merge_dot")
    def _(rng):
        a = keras.Input((5, 3), name="left")
        b = keras.Input((4, 3), name="right")
        c = keras.Input((3,), name="vector")
        d = keras.Input((2, 5, 3), name="volume")
        outputs = [L.Dot(axes=2, name="similarity")([a, b]), L.Dot(axes=(2, 1), name="by_vector")([a, c]), L.Dot(axes=-1, normalize=True, name="cosine")([a, b]),
                   L.Dot(axes=1, name="inner")([c, c]), L.Dot(axes=(1, 2), name="by_matrix")([c, a]), L.Dot(axes=(3, 2), normalize=True, name="volume_matrix")([d, b])]
        return keras.Model([a, b, c, d], outputs), [floats(rng, 3, 5, 3), floats(rng, 3, 4, 3), floats(rng, 3, 3), floats(rng, 3, 2, 5, 3)]

    @case("merge_broadcast")
    def _(rng):
        a = keras.Input((5, 3), name="left")
        b = keras.Input((1, 3), name="row")
        c = keras.Input((3,), name="vector")
        outputs = [L.Add(name="add_row")([a, b]), L.Multiply(name="multiply_row")([a, b, a]), L.Maximum(name="maximum_row")([b, a]),
                   L.Add(name="add_vector")([a, c]), L.Average(name="average_vector")([c, a])]
        return keras.Model([a, b, c], outputs), [floats(rng, 3, 5, 3), floats(rng, 3, 1, 3), floats(rng, 3, 3)]

    # -- convolution in one dimension ----------------------------------------------------------------

    @case("conv1d_depthwise")
    def _(rng):
        x = keras.Input((10, 4), name="values")
        outputs = [L.DepthwiseConv1D(3, name="valid")(x), L.DepthwiseConv1D(4, depth_multiplier=2, padding="same", activation="tanh", name="same")(x),
                   L.DepthwiseConv1D(3, strides=2, padding="same", use_bias=False, name="strides")(x),
                   L.DepthwiseConv1D(2, dilation_rate=3, depth_multiplier=3, name="dilation")(x)]
        return keras.Model(x, outputs), [floats(rng, 3, 10, 4)]

    @case("conv1d_separable")
    def _(rng):
        x = keras.Input((10, 4), name="values")
        outputs = [L.SeparableConv1D(5, 3, name="valid")(x), L.SeparableConv1D(3, 4, depth_multiplier=2, padding="same", activation="tanh", name="same")(x),
                   L.SeparableConv1D(6, 3, strides=2, padding="same", use_bias=False, name="strides")(x),
                   L.SeparableConv1D(5, 2, dilation_rate=3, name="dilation")(x)]
        if generation == 2:  # Keras 3 takes no causal padding here
            outputs.append(L.SeparableConv1D(5, 3, padding="causal", name="causal")(x))
        return keras.Model(x, outputs), [floats(rng, 3, 10, 4)]

    @case("conv1d_transpose")
    def _(rng):
        x = keras.Input((6, 4), name="values")
        outputs = [L.Conv1DTranspose(5, 3, name="valid")(x), L.Conv1DTranspose(3, 4, strides=2, padding="same", activation="tanh", name="same")(x),
                   L.Conv1DTranspose(6, 2, strides=3, use_bias=False, name="gaps")(x), L.Conv1DTranspose(2, 5, strides=2, name="overlap")(x),
                   L.Conv1DTranspose(3, 2, strides=3, padding="same", name="same_gaps")(x)]
        if generation == 2:  # Keras 3 means another thing by output_padding with padding same
            outputs.append(L.Conv1DTranspose(3, 4, strides=3, output_padding=1, name="output_padding")(x))
        return keras.Model(x, outputs), [floats(rng, 3, 6, 4)]

    @case("conv1d_transpose_open_time")
    def _(rng):
        return sequential((None, 4), L.Conv1D(5, 4, strides=2, padding="same"), L.Conv1DTranspose(3, 4, strides=2, padding="same"),
                          L.Conv1DTranspose(2, 3, strides=2), L.GRU(2)), [floats(rng, 3, 9, 4)]

    # -- two dimensions ------------------------------------------------------------------------------

    @case("conv2d")
    def _(rng):
        x = keras.Input((8, 7, 4), name="values")
        outputs = [L.Conv2D(5, 3, name="valid")(x), L.Conv2D(3, (2, 4), strides=(2, 1), padding="same", activation="tanh", name="same")(x),
                   L.Conv2D(6, (3, 2), dilation_rate=(2, 3), use_bias=False, name="dilation")(x), L.Conv2D(6, 2, groups=2, name="groups")(x),
                   L.Conv2D(5, 1, activation="relu", name="point")(x)]
        return keras.Model(x, outputs), [floats(rng, 2, 8, 7, 4)]

    @case("conv2d_depthwise")
    def _(rng):
        x = keras.Input((8, 7, 4), name="values")
        outputs = [L.DepthwiseConv2D(3, name="valid")(x), L.DepthwiseConv2D((2, 4), depth_multiplier=2, padding="same", activation="tanh", name="same")(x),
                   L.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False, name="strides")(x),
                   L.SeparableConv2D(5, (3, 2), name="separable")(x),
                   L.SeparableConv2D(3, 2, strides=2, depth_multiplier=2, padding="same", use_bias=False, activation="relu", name="separable_strides")(x)]
        return keras.Model(x, outputs), [floats(rng, 2, 8, 7, 4)]

    @case("conv2d_transpose")
    def _(rng):
        x = keras.Input((4, 5, 3), name="values")
        outputs = [L.Conv2DTranspose(5, 3, name="valid")(x), L.Conv2DTranspose(2, (2, 4), strides=(2, 3), padding="same", activation="tanh", name="same")(x),
                   L.Conv2DTranspose(4, (3, 2), strides=2, use_bias=False, name="strides")(x)]
        return keras.Model(x, outputs), [floats(rng, 2, 4, 5, 3)]

    @case("conv2d_transpose_output_padding")
    def _(rng):
        x = keras.Input((4, 5, 3), name="values")
        y = L.Conv2DTranspose(2, (3, 4), strides=(2, 3), output_padding=(1, 2), name="padded")(x)
        z = L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=0, name="less")(x)
        return keras.Model(x, [y, z]), [floats(rng, 2, 4, 5, 3)]

    @case("pooling_2d")
    def _(rng):
        x = keras.Input((8, 7, 3), name="values")
        outputs = [L.MaxPooling2D(name="max")(x), L.MaxPooling2D((3, 2), strides=(2, 1), padding="same", name="max_same")(x),
                   L.AveragePooling2D((2, 3), name="average")(x), L.AveragePooling2D(3, strides=2, padding="same", name="average_same")(x),
                   L.GlobalMaxPooling2D(name="global_max")(x), L.GlobalAveragePooling2D(name="global_average")(x),
                   L.GlobalMaxPooling2D(keepdims=True, name="global_max_kept")(x), L.GlobalAveragePooling2D(keepdims=True, name="global_average_kept")(x)]
        return keras.Model(x, outputs), [floats(rng, 2, 8, 7, 3) - 1]

    @case("shapes_2d")
    def _(rng):
        x = keras.Input((5, 6, 3), name="values")
        outputs = [L.ZeroPadding2D(1, name="pad_one")(x), L.ZeroPadding2D(((1, 2), (0, 3)), name="pad_all")(x), L.ZeroPadding2D((2, 1), name="pad_two")(x),
                   L.Cropping2D(1, name="crop_one")(x), L.Cropping2D(((1, 2), (0, 3)), name="crop_all")(x), L.UpSampling2D(2, name="up")(x),
                   L.UpSampling2D((3, 2), name="up_two")(x), L.UpSampling2D((2, 3), interpolation="bilinear", name="up_bilinear")(x),
                   L.SpatialDropout2D(0.3, name="drop")(x), L.Flatten(name="flat")(x)]
        return keras.Model(x, outputs), [floats(rng, 2, 5, 6, 3)]

    @case("convnet_2d")
    def _(rng):
        return sequential((12, 10, 3), L.Conv2D(5, 3, activation="relu"), L.MaxPooling2D(), L.BatchNormalization(), L.DepthwiseConv2D(3, padding="same"),
                          L.SpatialDropout2D(0.2), L.Conv2D(4, 2, padding="same"), L.LeakyReLU(), L.AveragePooling2D(2), L.Flatten(),
                          L.Dense(3, activation="softmax")), [floats(rng, 2, 12, 10, 3)]

    @case("convnet_over_time")
    def _(rng):
        frame = keras.Sequential([keras.Input((8, 6, 2)), L.Conv2D(3, 3, name="conv"), L.MaxPooling2D(name="pool"), L.Flatten(name="flat")], name="frame")
        return sequential((4, 8, 6, 2), L.TimeDistributed(frame), L.LSTM(UNITS), L.Dense(2)), [floats(rng, 2, 4, 8, 6, 2)]

    # data_format channels_first: Keras defines it everywhere, TensorFlow can't compute all of it without a GPU
    @case("channels_first")
    def _(rng):
        c = {"data_format": "channels_first"}
        x = keras.Input((3, 8), name="values")
        y = keras.Input((3, 6, 5), name="image")
        outputs = [L.GlobalMaxPooling1D(name="max", **c)(x), L.GlobalAveragePooling1D(name="average", **c)(x), L.Flatten(name="flat", **c)(x),
                   L.ZeroPadding2D(((1, 2), (3, 0)), name="pad", **c)(y), L.Cropping2D(((1, 2), (0, 1)), name="crop", **c)(y),
                   L.UpSampling2D((2, 3), name="up", **c)(y), L.GlobalAveragePooling2D(name="average_2d", **c)(y), L.GlobalMaxPooling2D(name="max_2d", **c)(y),
                   L.Flatten(name="flat_2d", **c)(y), L.SpatialDropout2D(0.2, name="drop", **c)(y), L.BatchNormalization(axis=1, name="norm")(y)]
        return keras.Model([x, y], outputs), [floats(rng, 2, 3, 8), floats(rng, 2, 3, 6, 5)]

    # -- activations, normalisation, preprocessing ---------------------------------------------------

    @case("softmax_masks")
    def _(rng):
        a = keras.Input((5, 6), name="values")
        m = keras.Input((5, 6), name="allowed", dtype="bool")
        outputs = [L.Softmax(name="last")(a, mask=m), L.Softmax(axis=1, name="first")(a, mask=m), L.Softmax(axis=[1, 2], name="both")(a)]
        allowed = rng.integers(0, 2, (3, 5, 6)).astype(bool)
        allowed[:, :, 0] = True
        allowed[:, 0, :] = True
        return keras.Model([a, m], outputs), [floats(rng, 3, 5, 6, scale=2), allowed]

    @case("prelu_2d")
    def _(rng):
        x = keras.Input((5, 6, 3), name="values")
        return keras.Model(x, [L.PReLU(shared_axes=[1, 2], name="shared")(x), L.PReLU(name="full")(x)]), [floats(rng, 2, 5, 6, 3)]

    @case("group_normalization")
    def _(rng):
        x = keras.Input((TIME, 6), name="values")
        y = keras.Input((4, 5, 6), name="image")
        outputs = [L.GroupNormalization(groups=2, name="two")(x), L.GroupNormalization(groups=3, epsilon=0.01, scale=False, name="no_scale")(y),
                   L.GroupNormalization(groups=-1, center=False, name="instance")(y), L.GroupNormalization(groups=1, axis=1, name="axis")(y)]
        return keras.Model([x, y], outputs), [floats(rng, 3, TIME, 6), floats(rng, 3, 4, 5, 6)]

    @case("unit_normalization")
    def _(rng):
        x = keras.Input((TIME, 6), name="values")
        return keras.Model(x, [L.UnitNormalization(name="last")(x), L.UnitNormalization(axis=[1, 2], name="both")(x)]), [floats(rng, 3, TIME, 6)]

    @case("normalization")
    def _(rng):
        x = keras.Input((5, 6), name="values")
        y = keras.Input((4, 3), name="more")
        plain, over_two, fixed, inverse = L.Normalization(name="plain"), L.Normalization(axis=(1, 2), name="two"), \
            L.Normalization(mean=[0.2, -0.4, 1.0], variance=[0.5, 2.0, 1.5], name="fixed"), L.Normalization(axis=-1, invert=True, name="inverse")
        scalar = L.Normalization(axis=None, name="scalar")
        data = floats(rng, 40, 5, 6, scale=2) + 0.5
        for layer in (plain, over_two, inverse, scalar):
            layer.adapt(data)
        outputs = [plain(x), over_two(x), fixed(y), inverse(x), scalar(x), L.Rescaling(0.25, offset=-1.5, name="rescaled")(x), L.Rescaling(1 / 3, name="scaled")(y)]
        return keras.Model([x, y], outputs), [floats(rng, 3, 5, 6), floats(rng, 3, 4, 3)]

    @case("einsum_dense")
    def _(rng):
        x = keras.Input((TIME, 6), name="values")
        y = keras.Input((4, 5, 6), name="image")
        outputs = [L.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d", name="dense")(x),
                   L.EinsumDense("abc,bd->adc", output_shape=(4, 6), activation="tanh", name="over_time")(x),
                   L.EinsumDense("...x,xy->...y", output_shape=3, bias_axes="y", name="dots")(y),
                   L.EinsumDense("abcd,dnh->abcnh", output_shape=(4, 5, 2, 3), bias_axes="nh", name="heads")(y),
                   L.EinsumDense("abcd,cde->abe", output_shape=(4, 3), name="contract_two")(y),
                   L.EinsumDense("abc,bcd->abd", output_shape=(TIME, 2), bias_axes="bd", name="batched")(x)]
        return keras.Model([x, y], outputs), [floats(rng, 3, TIME, 6), floats(rng, 3, 4, 5, 6)]

    @case("initial_state_mask")
    def _(rng):
        x, e = masked_words()
        h = keras.Input((UNITS,), name="hidden")
        y = L.GRU(UNITS, return_sequences=True, name="given")(e, initial_state=h)
        z = L.Bidirectional(L.GRU(UNITS), name="both")(e, initial_state=[h, h])
        return keras.Model([x, h], [y, z, L.LSTM(2, name="after")(y)]), [ids(rng, masked=True, full=False), floats(rng, 3, UNITS)]

    @case("initial_state_mask_merges")
    def _(rng):
        # Masks that meet in merges on their way to layers with states.
        x, e = masked_words()
        y = keras.Input((TIME,), name="others", dtype="int32")
        f = L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True, name="other_words")(y)
        v = keras.Input((TIME, EMBEDDED), name="values")
        m = L.Masking(name="masking")(v)
        h = keras.Input((UNITS,), name="hidden")
        merged = [L.Add(name="sum")([e, f]), L.Concatenate(name="joined")([e, f]), L.Concatenate(axis=1, name="chained")([e, m]), L.Average(name="average")([f, m]),
                  L.Subtract(name="difference")([v, e]), L.Concatenate(name="beside")([v, f])]
        if generation == 2:
            merged += [L.Multiply(name="product")([e, f]), L.Maximum(name="greater")([v, e])]
        outputs = [L.GRU(UNITS, name=f"memory_{i}")(z, initial_state=h) for i, z in enumerate(merged)]
        return keras.Model([x, y, v, h], outputs + [L.SimpleRNN(3, name="after")(merged[0])]), \
            [ids(rng, masked=True, full=False), np.roll(ids(rng, masked=True, full=False), 1, axis=0), masked_floats(rng, 3, TIME, EMBEDDED, full=False), floats(rng, 3, UNITS)]

    @case("initial_state_mask_nested")
    def _(rng):
        # Masks that are made in a nested model, or pass through one, and that layers with states hand on.
        x = keras.Input((TIME,), name="encoded", dtype="int32")
        e = L.Embedding(VOCABULARY, EMBEDDED, mask_zero=True, name="words")(x)
        encoder = keras.Model(x, L.SimpleRNN(EMBEDDED, return_sequences=True, name="reader")(e), name="encoder")
        chain = keras.Sequential([keras.Input((TIME, EMBEDDED)), L.Dense(6, name="dense"), L.Dropout(0.1, name="dropout")], name="chain")
        y = keras.Input((TIME,), name="ids", dtype="int32")
        h = keras.Input((UNITS,), name="hidden")
        z = chain(encoder(y))
        first = L.GRU(UNITS, return_sequences=True, name="first")(z, initial_state=h)
        second = L.Bidirectional(L.SimpleRNN(UNITS, return_sequences=True), merge_mode="sum", name="second")(first, initial_state=[h, h])
        return keras.Model([y, h], [second, L.SimpleRNN(2, name="last")(second)]), [ids(rng, masked=True, full=False), floats(rng, 3, UNITS)]

    @case("mask_of_others")
    def _(rng):
        # Masks as arguments where none travels along, or another one.
        x, e = masked_words()
        v = keras.Input((TIME, EMBEDDED), name="values")
        m = keras.ops.not_equal(x, 0) if generation == 3 else tf.not_equal(x, 0)
        joined = L.Concatenate(name="joined")([v, e])
        return keras.Model([x, v], [L.GRU(UNITS, name="plain")(v, mask=m), L.GRU(UNITS, name="after_merge")(joined, mask=m),
                                    L.GlobalAveragePooling1D(name="average")(L.Add(name="sum")([v, e]), mask=m)]), \
            [ids(rng, masked=True, full=False), floats(rng, 3, TIME, EMBEDDED)]

    @case("time_distributed_operations")
    def _(rng):
        i = keras.Input((TIME, FEATURES), name="steps")
        q, k = L.Dense(4, name="query")(i), L.Dense(4, name="key")(i)
        if generation == 3:
            o = keras.ops
            scores = o.einsum("bid,bjd->bij", q, k)
            result = o.einsum("bij,bjd->bid", scores, k) + o.swapaxes(o.swapaxes(q, 1, 2), -1, -2)
        else:
            scores = tf.matmul(q, k, transpose_b=True)
            result = tf.matmul(scores, k) + q
        inner = keras.Model(i, result, name="inner")
        v = keras.Input((3, TIME, FEATURES), name="values")
        return keras.Model(v, L.TimeDistributed(inner, name="each")(v)), [floats(rng, 2, 3, TIME, FEATURES)]

    @case("time_distributed_hard_sigmoid")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        model = sequential((FEATURES,), L.Dense(4, activation="hard_sigmoid", name="gate"), L.Activation("hard_sigmoid", name="again"), L.Dense(2, name="last"))
        outputs = [L.TimeDistributed(model, name="model")(x), L.TimeDistributed(L.Activation("hard_sigmoid", name="inner"), name="alone")(x)]
        return keras.Model(x, outputs), [floats(rng, 3, TIME, FEATURES, scale=3)]

    if generation == 2:
        @case("rnn_constants")
        def _(rng):
            # Cells of Keras take none; a stack of them lets constants pass by.
            x = keras.Input((TIME, FEATURES), name="values")
            c = keras.Input((2,), name="constants")
            return keras.Model([x, c], L.RNN([L.GRUCell(4), L.LSTMCell(3)], name="stack")(x, constants=[c])), [floats(rng, 3, TIME, FEATURES), floats(rng, 3, 2)]

        @case("rnn_stack_of_one")
        def _(rng):
            x = keras.Input((TIME, FEATURES), name="values")
            y = L.RNN(L.StackedRNNCells([L.GRUCell(4)]), return_sequences=True, name="gru")(x)
            return keras.Model(x, L.Bidirectional(L.RNN([L.LSTMCell(3)]), name="lstm")(y)), [floats(rng, 3, TIME, FEATURES)]

    @case("zero_output_for_mask")
    def _(rng):
        x, e = masked_words()
        outputs = [L.GRU(3, return_sequences=True, zero_output_for_mask=True, name="gru")(e),
                   L.SimpleRNN(2, return_sequences=True, zero_output_for_mask=True, name="simple")(e),
                   L.RNN(L.GRUCell(4), return_sequences=True, zero_output_for_mask=True, name="cells")(e)]
        return keras.Model(x, outputs), [ids(rng, masked=True)]

    @case("category_encoding")
    def _(rng):
        x = keras.Input((5,), name="ids", dtype="int32")
        y = keras.Input((1,), name="id", dtype="int32")
        outputs = [L.CategoryEncoding(7, name="multi")(x), L.CategoryEncoding(7, output_mode="one_hot", name="one")(y),
                   L.CategoryEncoding(7, output_mode="count", name="count")(x)]
        return keras.Model([x, y], outputs), [rng.integers(0, 7, (3, 5)).astype("int32"), rng.integers(0, 7, (3, 1)).astype("int32")]

    if generation == 3:
        @case("category_encoding_rows")
        def _(rng):
            x = keras.Input((5,), name="ids", dtype="int32")
            return keras.Model(x, L.CategoryEncoding(7, output_mode="one_hot", name="rows")(x)), [rng.integers(0, 7, (3, 5)).astype("int32")]

        @case("ops_any")
        def _(rng):
            x = keras.Input((4, 3), name="values")
            kept = keras.ops.cast(keras.ops.any(x > 1.2, axis=1, keepdims=True), "float32")
            return keras.Model(x, [x * kept, keras.ops.cast(keras.ops.any(x > 1.0, axis=2), "float32")]), [floats(rng, 5, 4, 3)]

        @case("rms_normalization")
        def _(rng):
            x = keras.Input((TIME, 6), name="values")
            outputs = [L.RMSNormalization(name="rms")(x), L.RMSNormalization(epsilon=0.05, name="rms_epsilon")(x),
                       L.LayerNormalization(rms_scaling=True, name="rms_scaling")(x)]
            return keras.Model(x, outputs), [floats(rng, 3, TIME, 6)]

    # -- attention -----------------------------------------------------------------------------------

    @case("attention")
    def _(rng):
        q, v, k = (keras.Input(s, name=n) for s, n in (((5, 6), "query"), ((7, 6), "value"), ((7, 6), "key")))
        outputs = [L.Attention(name="plain")([q, v]), L.Attention(use_scale=True, name="scale")([q, v, k]),
                   L.Attention(score_mode="concat", name="concat")([q, v, k]), L.Attention(score_mode="concat", use_scale=True, dropout=0.1, name="concat_scale")([q, v]),
                   L.Attention(name="causal")([q, v], use_causal_mask=True), L.AdditiveAttention(name="additive")([q, v, k]),
                   L.AdditiveAttention(use_scale=False, name="additive_plain")([q, v]), L.AdditiveAttention(name="additive_causal")([v, k], use_causal_mask=True),
                   *L.Attention(name="scores")([q, v], return_attention_scores=True)]
        return keras.Model([q, v, k], outputs), [floats(rng, 3, 5, 6), floats(rng, 3, 7, 6), floats(rng, 3, 7, 6)]

    @case("attention_masks")
    def _(rng):
        a, x = masked_words("left", 5, "left_words")
        b, y = masked_words("right", TIME, "right_words")
        outputs = [L.Attention(name="plain")([x, y]), L.Attention(name="causal")([y, y], use_causal_mask=True), L.AdditiveAttention(name="additive")([x, y])]
        outputs.append(L.LSTM(2, name="memory")(outputs[0]))
        left = ids(rng, time=5)
        left[0, 3:] = 0
        right = ids(rng, masked=True, full=False)
        right[1, 0] = 3
        return keras.Model([a, b], outputs), [left, right]

    @case("multi_head_attention")
    def _(rng):
        q, v, k = (keras.Input(s, name=n) for s, n in (((5, 6), "query"), ((7, 4), "value"), ((7, 3), "key")))
        outputs = [L.MultiHeadAttention(2, 3, name="plain")(q, v), L.MultiHeadAttention(3, 2, value_dim=4, dropout=0.2, name="value_dim")(q, v, k),
                   L.MultiHeadAttention(2, 3, output_shape=5, use_bias=False, name="output_shape")(q, v, key=k),
                   L.MultiHeadAttention(2, 4, name="causal")(v, v, use_causal_mask=True), L.MultiHeadAttention(1, 4, name="self")(q, q),
                   *L.MultiHeadAttention(2, 3, name="scores")(q, v, return_attention_scores=True)]
        if generation == 3:
            outputs.pop()  # Keras 3 declares another shape for the scores than it computes: only square ones load again
            outputs += L.MultiHeadAttention(2, 3, name="square_scores")(v, k, return_attention_scores=True)
        return keras.Model([q, v, k], outputs), [floats(rng, 3, 5, 6), floats(rng, 3, 7, 4), floats(rng, 3, 7, 3)]

    @case("multi_head_attention_masks")
    def _(rng):
        a, x = masked_words("left", 5, "left_words")
        b, y = masked_words("right", TIME, "right_words")
        m = keras.Input((5, TIME), name="allowed", dtype="bool")
        outputs = [L.MultiHeadAttention(2, 3, name="both")(x, y), L.MultiHeadAttention(2, 3, name="causal")(y, y, use_causal_mask=True),
                   L.MultiHeadAttention(3, 2, name="explicit")(x, y, attention_mask=m)]
        outputs.append(L.LSTM(2, name="memory")(outputs[0]))
        left = ids(rng, time=5)
        left[0, 3:] = 0
        right = ids(rng, masked=True, full=False)
        right[1, 0] = 3
        allowed = rng.integers(0, 2, (3, 5, TIME)).astype(bool)
        allowed[:, :, 0] = True
        return keras.Model([a, b, m], outputs), [left, right, allowed]

    @case("multi_head_attention_axes")
    def _(rng):
        x = keras.Input((4, 5, 6), name="image")
        outputs = [L.MultiHeadAttention(2, 3, attention_axes=(1, 2), name="both")(x, x), L.MultiHeadAttention(2, 3, attention_axes=(2,), name="rows")(x, x),
                   L.MultiHeadAttention(2, 3, name="all", output_shape=(2, 4))(x, x)]
        return keras.Model(x, outputs), [floats(rng, 2, 4, 5, 6)]

    if generation == 3:
        @case("multi_head_attention_window")
        def _(rng):
            x = keras.Input((9, 6), name="words")
            outputs = [L.MultiHeadAttention(2, 3, sliding_window=2, name="near")(x, x), L.MultiHeadAttention(2, 3, use_gate=True, name="gate")(x, x),
                       L.MultiHeadAttention(1, 4, value_dim=2, sliding_window=4, use_gate=True, use_bias=False, name="both")(x, x, use_causal_mask=True)]
            return keras.Model(x, outputs), [floats(rng, 2, 9, 6)]

    @case("transformer_block")
    def _(rng):
        x, e = masked_words()
        h = L.Add(name="one")([e, L.MultiHeadAttention(2, 3, name="attention")(e, e)])
        h = L.LayerNormalization(name="norm_one")(h)
        h = L.Add(name="two")([h, L.Dense(EMBEDDED, name="out")(L.Dense(8, activation="gelu", name="in")(h))])
        return keras.Model(x, L.Dense(2, name="label")(L.GlobalAveragePooling1D(name="pool")(L.LayerNormalization(name="norm_two")(h)))), \
            [ids(rng, masked=True, full=False)]

    # -- masks in places of their own ----------------------------------------------------------------

    @case("mask_explicit")
    def _(rng):
        x = keras.Input((TIME, FEATURES), name="values")
        m = keras.Input((TIME,), name="valid", dtype="bool")
        y = L.LSTM(UNITS, return_sequences=True, name="memory")(x, mask=m)
        z = L.Bidirectional(L.GRU(3), name="both")(x, mask=m)
        return keras.Model([x, m], [y, z, L.GlobalAveragePooling1D(name="average")(x, mask=m)]), \
            [floats(rng, 3, TIME, FEATURES), ids(rng, masked=True, full=False) != 0]

    @case("mask_merges_equal")
    def _(rng):
        x, e = masked_words()
        a = L.Dense(4, name="a")(e)
        b = L.Dense(4, name="b")(e)
        y = L.Concatenate(name="joined")([L.Add(name="sum")([a, b]), L.Subtract(name="difference")([a, b])])
        return keras.Model(x, [L.LSTM(2, name="memory")(y), L.GRU(2, name="more")(L.Dense(3, name="c")(L.RepeatVector(4, name="repeat")(L.GRU(3, name="gru")(y))))]), \
            [ids(rng, masked=True)]

    @case("names_meet")
    def _(rng):
        # An output `rnn` of two tensors beside one called `rnn_1`; a layer called as Keras 3 calls its own operation on masks.
        x, e = masked_words()
        y = L.Concatenate(name="concatenate" if generation == 2 else "joined")([L.Dense(4, name="a")(e), L.Dense(3, name="b")(e)])
        first = L.SimpleRNN(3, return_sequences=True, return_state=True, name="rnn")(y)
        return keras.Model(x, [first[0], first[1], L.SimpleRNN(2, name="rnn_1")(first[0])]), [ids(rng, masked=True)]

    @case("conv_lstm")
    def _(rng):
        # Not among the layers that Ingot runs.
        return sequential((4, 6, 3), L.ConvLSTM1D(2, 3, name="weather"), L.Flatten(name="flat"), L.Dense(2, name="out")), [floats(rng, 3, 4, 6, 3)]
