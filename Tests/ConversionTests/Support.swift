import Architectures
import Conversion
import Executor
import ModelIR
import TestSupport

/// What files have a bound of their own, and what Ingot doesn't run yet.
enum Known {
    /// Fixtures whose framework computes in 16 bits, while Ingot computes in f32: the greatest difference is the framework's rounding.
    static let bounds: [String: Double] = [
        "hdf5_keras_bf16_integers": 2e-2,
        "hdf5_keras_bf16_native": 2e-2,
        "keras2_dtype_float16": 2e-2,
        "keras2_dtype_mixed_float16": 2e-2,
        "keras3_dtype_bfloat16": 2e-2,
        "keras3_dtype_float16": 2e-2,
        "keras3_dtype_mixed_float16": 2e-2,
    ]

    static func tolerance(_ model: FixtureModel) -> Tolerance {
        let bound = bounds[model.name] ?? 5e-5
        return Tolerance(absolute: bound, relative: bound)
    }

    /// Fixtures that can't be run yet, with words of the error; a fixture that starts to work must leave this table.
    static let unsupported: [String: String] = [
        "keras2_rnn_constants": "layer 'stack' (RNN) gives its cell constants",
        "keras2_conv_lstm": "layer 'weather' is of the class ConvLSTM1D",
        "keras3_conv_lstm": "layer 'weather' is of the class ConvLSTM1D",
    ]

    static let supportedModels = Fixtures.models.filter { unsupported[$0.name] == nil }
    static let unsupportedModels = Fixtures.models.filter { unsupported[$0.name] != nil }
}

extension FixtureModel {
    func open() throws -> ModelFile { try ModelFile.open(absolutePath, configuration: configurationPath) }

    /// Outputs that aren't what the framework computed, one line each.
    func differences(of model: any Model, on backend: Backend) throws -> [String] {
        let graph = try model.graph()
        let inputs = try matchedInputs(Arrays.read(Fixtures.path(inputs)), to: model, graph: graph).inputs
        let expected = try Arrays.read(Fixtures.path(outputs))
        let parameters = Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        // Tests run side by side; one thread each is quickest.
        let result = try Executor.run(
            graph, parameters: parameters, inputs: inputs, options: ExecutionOptions(backend: backend, threadCount: 1))
        // PyTorch's modules don't name their output; Keras names it after the last layer.
        let isUnnamed = dialect == "pytorch-rnn" && result.outputs.count == expected.count
        guard isUnnamed || result.outputs.map(\.name) == expected.map(\.name) else {
            return ["outputs \(result.outputs.map(\.name)), expected \(expected.map(\.name))"]
        }
        return try zip(result.outputs, expected).compactMap { actual, expected in
            let comparison = try compare(actual.tensor, expected.tensor, tolerance: Known.tolerance(self))
            return comparison.passes ? nil : "\(expected.name): \(comparison)"
        }
    }
}
