import Architectures
import Executor
import ModelIR

extension Verification {
    /// Of a layer's RMS: a model that moves further by a rounding has no function left to prove, and `--max-drift` has to say what may change.
    static let largestRoundingEffect = 1e-3

    /// How far each layer and output of a model moves when its rewritten parameters move by one unit in the last place, up or down at random.
    ///
    /// A declared rewrite rounds its parameters once, by half a unit at most. Trained recurrent networks saturate and switch, and multiply such a
    /// rounding by thousands, so no fixed tolerance tells it from a wrong rewrite; the model itself does.
    /// - Parameter names: of the rewritten parameters; those that the model doesn't have move nothing.
    /// - Returns: the greatest difference of an element, for the captured layers and then the outputs of `first`.
    static func effectOfRounding(
        of names: [String], in graph: Graph, parameters: [String: Tensor], inputs: [String: Tensor], options: ExecutionOptions,
        first: ExecutionResult
    ) throws -> [Double] {
        let chosen = Set(names)
        var moved = parameters
        for (position, name) in parameters.keys.sorted().enumerated() where chosen.contains(name) {
            guard let tensor = parameters[name], let unit = tensor.dtype.relativeUnit else { continue }
            var signs = SeededGenerator(seed: UInt64(position))
            let values = try tensor.doubles().map { $0 * (1 + signs.sign() * unit) }
            moved[name] = Tensor(values, dtype: tensor.dtype, shape: tensor.shape)
        }
        let second = try Executor.run(graph, parameters: moved, inputs: inputs, options: options, capturing: .layerOutputs)
        return try (Array(zip(first.captured, second.captured)) + Array(zip(first.outputs, second.outputs))).map {
            try compare($1.tensor, $0.tensor).maximumDifference
        }
    }
}

extension DType {
    /// The greatest relative size of a unit in the last place; nil for what isn't a float of models.
    fileprivate var relativeUnit: Double? {
        switch self {
        case .f64: 0x1p-52
        case .f32: 0x1p-23
        case .bf16: 0x1p-7
        case .f16: 0x1p-10
        case .bool, .u8, .u16, .u32, .u64, .i8, .i16, .i32, .i64, .f8e4m3, .f8e5m2: nil
        }
    }
}
