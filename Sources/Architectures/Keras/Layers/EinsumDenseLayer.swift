import ByteIO
import ModelIR

/// y = activation(einsum(equation, x, kernel) + bias); the bias has the axes `bias_axes` of the result.
struct EinsumDenseLayer: KerasLayer {
    let config: KerasLayerConfig
    let equation: String
    let usesBias: Bool
    let activation: Activation

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard config.has("equation") else { throw config.error("equation", expected: "an equation") }
        equation = try config.string("equation", default: "")
        usesBias = config.has("bias_axes")
        activation = try KerasActivation.parse(config.spec.config["activation"], layer: config)
    }

    var variables: [KerasVariable] { [KerasVariable("kernel")] + (usesBias ? [KerasVariable("bias")] : []) }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let kernel = try builder.parameter("kernel")
        let equation = try EinsumEquation(
            equation, ranks: [builder.shape(of: input).rank, builder.graph.type(of: kernel).shape.rank],
            title: "layer '\(config.name)' (EinsumDense)")
        var y = try builder.einsum(equation, builder.float(input), kernel)
        // Its axes are the result's from the first that it has on, of size 1 where it has none.
        if usesBias { y = try builder.graph.binary(.add, y, builder.parameter("bias")) }
        return [KerasTensor(try builder.activation(activation, y))]
    }
}
