/// Every class of layers that Ingot runs, with the configuration keys that each generation knows.
///
/// A row is all there is to add for a new class: how it is made, its keys, which generations have it.
struct KerasLayerTable: Sendable {
    /// What a configuration key means for the function, and for a conversion.
    enum Key: Hashable, Sendable {
        /// Read by the layer: affects the function.
        case modelled
        /// An activation by name, or a function: affects the function.
        case activation
        /// A wrapped layer, a cell, or a list of them.
        case layer
        /// An initializer, regularizer or constraint: used in training only.
        case initializer, regularizer, constraint
        /// Understood, without effect at inference: dropout rates, seeds, hints for implementations.
        case inert
    }

    let make: @Sendable (KerasLayerConfig) throws -> any KerasLayer
    /// Keys of both generations.
    let keys: [String: Key]
    /// Keys that only Keras 2, or only Keras 3, takes.
    let keras2Keys: [String: Key]
    let keras3Keys: [String: Key]
    /// 2, 3 or both.
    let generations: Set<Int>

    init(
        _ make: @escaping @Sendable (KerasLayerConfig) throws -> any KerasLayer, _ keys: [String: Key], keras2: [String: Key] = [:],
        keras3: [String: Key] = [:], generations: Set<Int> = [2, 3]
    ) {
        self.make = make
        self.keys = keys
        keras2Keys = keras2
        keras3Keys = keras3
        self.generations = generations
    }

    /// The layer of a configuration; nil if its class isn't in the table or isn't Keras' own.
    static func make(_ config: KerasLayerConfig) throws -> (any KerasLayer)? {
        if config.spec.isOperation { return try KerasOperation(config) }
        if config.spec.container != nil { return try ModelLayer(config) }
        guard !config.spec.isCustom, let row = rows[config.spec.className] else { return nil }
        return try row.make(config)
    }

    /// Keys of every layer.
    static let commonKeys: [String: Key] = ["name": .inert, "trainable": .inert, "dtype": .inert]
    /// Keys that say the input's shape on a first layer, and leftovers of old writers.
    static let commonKeras2Keys: [String: Key] = [
        "batch_input_shape": .modelled, "input_dtype": .inert, "activity_regularizer": .regularizer,
    ]
    static let commonKeras3Keys: [String: Key] = ["batch_shape": .modelled, "build_config": .inert]

    /// What `key` means to the class in `generation`; nil if it is unknown there.
    func key(_ key: String, generation: Int) -> Key? {
        if let known = keys[key] ?? Self.commonKeys[key] { return known }
        return generation == 3 ? keras3Keys[key] ?? Self.commonKeras3Keys[key] : keras2Keys[key] ?? Self.commonKeras2Keys[key]
    }

    static let dense: [String: Key] = [
        "units": .inert, "activation": .activation, "use_bias": .modelled, "kernel_initializer": .initializer,
        "bias_initializer": .initializer, "kernel_regularizer": .regularizer, "bias_regularizer": .regularizer,
        "activity_regularizer": .regularizer, "kernel_constraint": .constraint, "bias_constraint": .constraint,
    ]

    static let recurrent: [String: Key] = [
        "return_sequences": .modelled, "return_state": .modelled, "go_backwards": .modelled, "stateful": .modelled, "unroll": .inert,
        "units": .inert, "activation": .activation, "use_bias": .modelled, "kernel_initializer": .initializer,
        "recurrent_initializer": .initializer, "bias_initializer": .initializer, "kernel_regularizer": .regularizer,
        "recurrent_regularizer": .regularizer, "bias_regularizer": .regularizer, "activity_regularizer": .regularizer,
        "kernel_constraint": .constraint, "recurrent_constraint": .constraint, "bias_constraint": .constraint, "dropout": .inert,
        "recurrent_dropout": .inert, "zero_output_for_mask": .modelled,
    ]
    static let recurrent2: [String: Key] = [
        "time_major": .modelled, "implementation": .inert, "input_dim": .inert, "input_length": .inert,
    ]
    static let recurrent3: [String: Key] = ["seed": .inert, "use_cudnn": .inert]

    static func gated(_ more: [String: Key]) -> [String: Key] {
        recurrent.merging(["recurrent_activation": .activation]) { a, _ in a }.merging(more) { a, _ in a }
    }

    static func identity(_ keys: [String: Key], keras2: [String: Key] = [:], keras3: [String: Key] = ["seed": .inert])
        -> KerasLayerTable
    {
        KerasLayerTable({ try IdentityLayer($0) }, keys, keras2: keras2, keras3: keras3)
    }

    static let dropout = identity(
        ["rate": .inert], keras2: ["noise_shape": .inert, "seed": .inert, "p": .inert], keras3: ["noise_shape": .inert, "seed": .inert])
    static let merge = KerasLayerTable({ try MergeLayer($0) }, [:])

    static let rows = layers.merging(windowLayers) { a, _ in a }.merging(attentionLayers) { a, _ in a }.merging(cells) { a, _ in a }

    private static let layers: [String: KerasLayerTable] = [
        "Dense": KerasLayerTable(
            { try DenseLayer($0) }, dense, keras2: ["input_dim": .inert], keras3: ["quantization_config": .inert, "lora_rank": .inert]),
        "Embedding": KerasLayerTable(
            { try EmbeddingLayer($0) },
            [
                "input_dim": .inert, "output_dim": .inert, "embeddings_initializer": .initializer, "embeddings_regularizer": .regularizer,
                "activity_regularizer": .regularizer, "embeddings_constraint": .constraint, "mask_zero": .modelled,
            ], keras2: ["input_length": .inert, "sparse": .inert], keras3: ["quantization_config": .inert, "lora_rank": .inert]),
        "Masking": KerasLayerTable({ try MaskingLayer($0) }, ["mask_value": .modelled]),
        "Activation": KerasLayerTable({ try ActivationLayer($0) }, ["activation": .activation]),
        "ReLU": KerasLayerTable(
            { try ActivationLayer($0) }, ["max_value": .modelled, "negative_slope": .modelled, "threshold": .modelled]),
        "LeakyReLU": KerasLayerTable({ try ActivationLayer($0) }, [:], keras2: ["alpha": .modelled], keras3: ["negative_slope": .modelled]),
        "ELU": KerasLayerTable({ try ActivationLayer($0) }, ["alpha": .modelled]),
        "ThresholdedReLU": KerasLayerTable({ try ActivationLayer($0) }, ["theta": .modelled], generations: [2]),
        "Softmax": KerasLayerTable({ try SoftmaxLayer($0) }, ["axis": .modelled]),
        "PReLU": KerasLayerTable(
            { try PReLULayer($0) },
            ["alpha_initializer": .initializer, "alpha_regularizer": .regularizer, "alpha_constraint": .constraint, "shared_axes": .inert]),

        "SimpleRNN": KerasLayerTable({ try RecurrentLayer($0) }, recurrent, keras2: recurrent2, keras3: recurrent3),
        "LSTM": KerasLayerTable(
            { try RecurrentLayer($0) }, gated(["unit_forget_bias": .inert]), keras2: recurrent2, keras3: recurrent3),
        "GRU": KerasLayerTable({ try RecurrentLayer($0) }, gated(["reset_after": .modelled]), keras2: recurrent2, keras3: recurrent3),
        "RNN": KerasLayerTable(
            { try RecurrentLayer($0) },
            [
                "cell": .layer, "return_sequences": .modelled, "return_state": .modelled, "go_backwards": .modelled, "stateful": .modelled,
                "unroll": .inert, "zero_output_for_mask": .modelled,
            ], keras2: ["time_major": .modelled, "num_constants": .modelled]),
        "Bidirectional": KerasLayerTable(
            { try BidirectionalLayer($0) }, ["layer": .layer, "backward_layer": .layer, "merge_mode": .modelled]),
        "TimeDistributed": KerasLayerTable({ try TimeDistributedLayer($0) }, ["layer": .layer]),

        "BatchNormalization": KerasLayerTable(
            { try BatchNormalizationLayer($0) },
            [
                "axis": .modelled, "momentum": .inert, "epsilon": .modelled, "center": .modelled, "scale": .modelled,
                "beta_initializer": .initializer, "gamma_initializer": .initializer, "moving_mean_initializer": .initializer,
                "moving_variance_initializer": .initializer, "beta_regularizer": .regularizer, "gamma_regularizer": .regularizer,
                "beta_constraint": .constraint, "gamma_constraint": .constraint, "synchronized": .inert,
            ],
            keras2: ["renorm": .modelled, "virtual_batch_size": .modelled, "fused": .inert, "adjustment": .inert],
            keras3: ["renorm": .modelled, "renorm_clipping": .inert, "renorm_momentum": .inert]),
        "LayerNormalization": KerasLayerTable(
            { try LayerNormalizationLayer($0) },
            [
                "axis": .modelled, "epsilon": .modelled, "center": .modelled, "scale": .modelled, "beta_initializer": .initializer,
                "gamma_initializer": .initializer, "beta_regularizer": .regularizer, "gamma_regularizer": .regularizer,
                "beta_constraint": .constraint, "gamma_constraint": .constraint,
            ], keras3: ["rms_scaling": .modelled]),
        "RMSNormalization": KerasLayerTable(
            { try RMSNormalizationLayer($0) },
            ["axis": .modelled, "epsilon": .modelled, "scale": .inert, "scale_initializer": .initializer], generations: [3]),
        "GroupNormalization": KerasLayerTable(
            { try GroupNormalizationLayer($0) },
            [
                "groups": .modelled, "axis": .modelled, "epsilon": .modelled, "center": .modelled, "scale": .modelled,
                "beta_initializer": .initializer, "gamma_initializer": .initializer, "beta_regularizer": .regularizer,
                "gamma_regularizer": .regularizer, "beta_constraint": .constraint, "gamma_constraint": .constraint,
            ]),
        "UnitNormalization": KerasLayerTable({ try UnitNormalizationLayer($0) }, ["axis": .modelled]),
        "Normalization": KerasLayerTable(
            { try NormalizationLayer($0) }, ["axis": .modelled, "mean": .modelled, "variance": .modelled, "invert": .modelled]),
        "Rescaling": KerasLayerTable({ try RescalingLayer($0) }, ["scale": .modelled, "offset": .modelled]),
        "CategoryEncoding": KerasLayerTable(
            { try CategoryEncodingLayer($0) }, ["num_tokens": .modelled, "output_mode": .modelled, "sparse": .modelled]),

        "Flatten": KerasLayerTable({ try FlattenLayer($0) }, ["data_format": .modelled]),
        "Reshape": KerasLayerTable({ try ReshapeLayer($0) }, ["target_shape": .modelled]),
        "Permute": KerasLayerTable({ try PermuteLayer($0) }, ["dims": .modelled]),
        "RepeatVector": KerasLayerTable({ try RepeatVectorLayer($0) }, ["n": .modelled]),
        "Concatenate": KerasLayerTable({ try ConcatenateLayer($0) }, ["axis": .modelled]),
        "Dot": KerasLayerTable({ try DotLayer($0) }, ["axes": .modelled, "normalize": .modelled]),
        "Add": merge, "Subtract": merge, "Multiply": merge, "Average": merge, "Maximum": merge, "Minimum": merge,

        "Dropout": dropout,
        "SpatialDropout1D": identity(["rate": .inert], keras2: ["noise_shape": .inert, "seed": .inert]),
        "SpatialDropout2D": identity(
            ["rate": .inert], keras2: ["noise_shape": .inert, "seed": .inert, "data_format": .inert],
            keras3: ["seed": .inert, "data_format": .inert]),
        "GaussianDropout": identity(["rate": .inert], keras2: ["seed": .inert]),
        "GaussianNoise": identity(["stddev": .inert], keras2: ["seed": .inert]),
        "AlphaDropout": identity(["rate": .inert, "noise_shape": .inert], keras2: ["seed": .inert]),
        "ActivityRegularization": identity(["l1": .inert, "l2": .inert], keras3: [:]),
        "Identity": identity([:], keras3: [:]),
    ]
}
