import JSON

/// The vocabulary: classes, keys and values of Keras 1 with their names in Keras 2.
extension Keras1Configuration {
    static let classNames = [
        "Convolution1D": "Conv1D", "AtrousConvolution1D": "Conv1D", "Convolution2D": "Conv2D", "AtrousConvolution2D": "Conv2D",
        "SeparableConvolution2D": "SeparableConv2D", "TimeDistributedDense": "Dense",
    ]

    private static let keys = [
        "init": "kernel_initializer", "inner_init": "recurrent_initializer", "inner_activation": "recurrent_activation",
        "W_regularizer": "kernel_regularizer", "U_regularizer": "recurrent_regularizer", "b_regularizer": "bias_regularizer",
        "W_constraint": "kernel_constraint", "U_constraint": "recurrent_constraint", "b_constraint": "bias_constraint",
        "bias": "use_bias", "border_mode": "padding", "dropout_W": "dropout", "dropout_U": "recurrent_dropout", "p": "rate",
        "sigma": "stddev", "nb_filter": "filters", "filter_length": "kernel_size", "subsample_length": "strides", "subsample": "strides",
        "atrous_rate": "dilation_rate", "dim_ordering": "data_format", "pool_length": "pool_size", "stride": "strides",
        "gamma_init": "gamma_initializer", "beta_init": "beta_initializer",
    ]

    private static let embeddingKeys = [
        "init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer", "W_constraint": "embeddings_constraint",
    ]

    /// Of no meaning for what a layer computes at inference, and unknown to Keras 2.
    private static let dropped: Set<String> = [
        "consume_less", "forget_bias_init", "input_dim", "input_length", "cache_enabled", "weights", "mode", "nb_row", "nb_col",
        "custom_batch_input_shape",
    ]

    /// A key's name in Keras 2; nil where it has none.
    static func key(_ key: String, of className: String) -> String? {
        switch (className, key) {
        case ("Embedding", "input_dim"), ("Embedding", "input_length"), ("Embedding", "output_dim"): return key
        case ("Embedding", "dropout"): return nil
        case ("Embedding", _): return embeddingKeys[key] ?? (dropped.contains(key) ? nil : keys[key] ?? key)
        case ("Merge", _): return key
        case ("BatchNormalization", "init"): return nil
        case ("PReLU", "init"): return "alpha_initializer"
        case ("UpSampling1D", "length"): return "size"
        case (_, "output_dim"): return "units"
        default: return dropped.contains(key) ? nil : keys[key] ?? key
        }
    }

    static func value(_ value: JSONValue, key: String, layer: (JSONValue) -> JSONValue) -> JSONValue {
        if key == "layer" { return layer(value) }
        if key == "data_format" { return ["tf": "channels_last", "th": "channels_first"][value.string ?? ""].map { .string($0) } ?? value }
        if key.hasSuffix("_initializer") { return value.string.flatMap { initializers[$0] }.map { .string($0) } ?? value }
        if key.hasSuffix("_regularizer") { return regularizer(value) }
        if key.hasSuffix("_constraint") { return constraint(value) }
        return value
    }

    private static let initializers = ["uniform": "random_uniform", "normal": "random_normal", "zero": "zeros", "one": "ones"]

    /// Keras 1 wrote `{"name": "L1L2Regularizer", "l1": .., "l2": ..}`; what isn't of this form is left out: it is of training only.
    private static func regularizer(_ value: JSONValue) -> JSONValue {
        guard value["class_name"] == nil, let object = value.object else { return value }
        guard object["l1"] != nil || object["l2"] != nil else { return .null }
        return ["class_name": "L1L2", "config": ["l1": object["l1"] ?? 0, "l2": object["l2"] ?? 0]]
    }

    private static func constraint(_ value: JSONValue) -> JSONValue {
        guard value["class_name"] == nil, let object = value.object else { return value }
        switch object["name"]?.string {
        case "MaxNorm": return ["class_name": "MaxNorm", "config": ["max_value": object["m"] ?? 2, "axis": object["axis"] ?? 0]]
        case "UnitNorm": return ["class_name": "UnitNorm", "config": ["axis": object["axis"] ?? 0]]
        case "NonNeg": return ["class_name": "NonNeg", "config": [:]]
        default: return .null
        }
    }
}
