import ByteIO
import ModelIR

/// Batch normalisation with the moving statistics.
struct BatchNormalizationLayer: KerasLayer {
    let config: KerasLayerConfig
    let scales: Bool
    let centres: Bool
    let epsilon: Double

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        scales = try config.bool("scale", default: true)
        centres = try config.bool("center", default: true)
        epsilon = try config.double("epsilon", default: 1e-3)
        for key in ["renorm", "virtual_batch_size"] where config.has(key) {
            guard config.spec.config[key]?.bool == false else {
                throw UnsupportedError("layer '\(config.name)' (BatchNormalization) uses \(key), which isn't supported")
            }
        }
    }

    var variables: [KerasVariable] {
        (scales ? [KerasVariable("gamma")] : []) + (centres ? [KerasVariable("beta")] : [])
            + [KerasVariable("moving_mean", isTrainable: false), KerasVariable("moving_variance", isTrainable: false)]
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let axis = try config.axis("axis", default: -1, rank: builder.shape(of: input).rank)
        let norm = BatchNorm(axis: axis, epsilon: epsilon, hasScale: scales, hasOffset: centres)
        var inputs = [try builder.float(input)]
        for variable in variables { inputs.append(try builder.parameter(variable.role)) }
        return [KerasTensor(try builder.graph.append(.composite(.batchNorm(norm)), inputs), mask: input.mask)]
    }
}

/// Layer normalisation.
struct LayerNormalizationLayer: KerasLayer {
    let config: KerasLayerConfig
    let scales: Bool
    let centres: Bool
    let epsilon: Double

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        scales = try config.bool("scale", default: true)
        centres = try config.bool("center", default: true)
        epsilon = try config.double("epsilon", default: 1e-3)
        guard try !config.bool("rms_scaling", default: false) else {
            throw UnsupportedError("layer '\(config.name)' (LayerNormalization) uses rms_scaling, which isn't supported")
        }
    }

    var variables: [KerasVariable] { (scales ? [KerasVariable("gamma")] : []) + (centres ? [KerasVariable("beta")] : []) }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let axes = try config.axes("axis", default: -1, rank: builder.shape(of: input).rank)
        let norm = LayerNorm(axes: axes, epsilon: epsilon, hasScale: scales, hasOffset: centres)
        var inputs = [try builder.float(input)]
        for variable in variables { inputs.append(try builder.parameter(variable.role)) }
        return [KerasTensor(try builder.graph.append(.composite(.layerNorm(norm)), inputs), mask: input.mask)]
    }
}
