/// Rows of convolution, pooling and what changes spatial sizes.
extension KerasLayerTable {
    private static let convolution: [String: Key] = [
        "filters": .inert, "kernel_size": .inert, "strides": .modelled, "padding": .modelled, "data_format": .modelled,
        "dilation_rate": .modelled, "groups": .modelled, "activation": .activation, "use_bias": .modelled,
        "kernel_initializer": .initializer, "bias_initializer": .initializer, "kernel_regularizer": .regularizer,
        "bias_regularizer": .regularizer, "activity_regularizer": .regularizer, "kernel_constraint": .constraint,
        "bias_constraint": .constraint,
    ]
    private static let depthwise: [String: Key] = [
        "kernel_size": .inert, "strides": .modelled, "padding": .modelled, "data_format": .modelled, "dilation_rate": .modelled,
        "depth_multiplier": .modelled, "activation": .activation, "use_bias": .modelled, "depthwise_initializer": .initializer,
        "bias_initializer": .initializer, "depthwise_regularizer": .regularizer, "bias_regularizer": .regularizer,
        "activity_regularizer": .regularizer, "depthwise_constraint": .constraint, "bias_constraint": .constraint,
    ]
    private static let separable = depthwise.merging([
        "filters": .inert, "pointwise_initializer": .initializer, "pointwise_regularizer": .regularizer,
        "pointwise_constraint": .constraint,
    ]) { a, _ in a }
    /// tf_keras states what its base class has, too.
    private static let inherited: [String: Key] = [
        "groups": .inert, "kernel_initializer": .initializer, "kernel_regularizer": .regularizer, "kernel_constraint": .constraint,
        "filters": .inert,
    ]
    private static let transposed: [String: Key] = convolution.filter { $0.key != "groups" }.merging(["output_padding": .modelled]) {
        a, _ in a
    }

    private static let pooling = KerasLayerTable(
        { try PoolingLayer($0) }, ["pool_size": .modelled, "strides": .modelled, "padding": .modelled, "data_format": .modelled])
    private static let globalPooling = KerasLayerTable({ try GlobalPoolingLayer($0) }, ["data_format": .modelled, "keepdims": .modelled])
    private static let plainConvolution = KerasLayerTable(
        { try ConvolutionLayer($0) }, convolution, keras2: ["input_dim": .inert, "input_length": .inert])
    private static let depthwiseConvolution = KerasLayerTable({ try ConvolutionLayer($0) }, depthwise, keras2: inherited)
    private static let separableConvolution = KerasLayerTable({ try ConvolutionLayer($0) }, separable, keras2: inherited)
    private static let transposedConvolution = KerasLayerTable(
        { try TransposedConvolutionLayer($0) }, transposed, keras2: ["groups": .modelled])

    static let windowLayers: [String: KerasLayerTable] = [
        "Conv1D": plainConvolution, "Conv2D": plainConvolution,
        "DepthwiseConv1D": depthwiseConvolution, "DepthwiseConv2D": depthwiseConvolution,
        "SeparableConv1D": separableConvolution, "SeparableConv2D": separableConvolution,
        "Conv1DTranspose": transposedConvolution, "Conv2DTranspose": transposedConvolution,
        "MaxPooling1D": pooling, "MaxPooling2D": pooling, "AveragePooling1D": pooling, "AveragePooling2D": pooling,
        "GlobalMaxPooling1D": globalPooling, "GlobalMaxPooling2D": globalPooling, "GlobalAveragePooling1D": globalPooling,
        "GlobalAveragePooling2D": globalPooling,
        "ZeroPadding1D": KerasLayerTable({ try ZeroPaddingLayer($0) }, ["padding": .modelled], keras3: ["data_format": .modelled]),
        "ZeroPadding2D": KerasLayerTable({ try ZeroPaddingLayer($0) }, ["padding": .modelled, "data_format": .modelled]),
        "Cropping1D": KerasLayerTable({ try CroppingLayer($0) }, ["cropping": .modelled]),
        "Cropping2D": KerasLayerTable({ try CroppingLayer($0) }, ["cropping": .modelled, "data_format": .modelled]),
        "UpSampling1D": KerasLayerTable({ try UpSamplingLayer($0) }, ["size": .modelled]),
        "UpSampling2D": KerasLayerTable(
            { try UpSamplingLayer($0) }, ["size": .modelled, "data_format": .modelled, "interpolation": .modelled]),
    ]
}
