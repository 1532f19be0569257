import ByteIO
import JSON
import ModelIR

/// A layer's arrays as the file has them, brought into the layouts of Keras 2's own variables.
///
/// What they are is told by number and shape, as Keras' loaders tell it (`preprocess_weights_for_loading` in tf_keras): gates of Keras 1 in
/// arrays of their own, cuDNN's two biases, kernels of Theano.
struct KerasStoredWeights {
    private let variables: [KerasVariableRow]
    private let arrays: [Tensor]
    private let specs: [String: KerasLayerSpec]
    private let source: KerasSource
    private(set) var assumptions: [String] = []

    init(_ variables: [KerasVariableRow], arrays: [Tensor], of instance: KerasInstance, source: KerasSource) throws {
        self.variables = variables
        self.arrays = arrays
        self.source = source
        specs = Dictionary(instance.flattened.map { ($0.path, $0.spec) }, uniquingKeysWith: { first, _ in first })
    }

    /// Each variable with its tensor and the arrays that it came from.
    mutating func bound() throws -> [(KerasVariableRow, Tensor, Range<Int>)] {
        var rows = try gathered()
        for i in rows.indices { rows[i].1 = try unlaid(rows[i].1, rows[i].0) }
        for i in rows.indices.dropLast() where Self.role(rows[i].0) == "kernel" && Self.role(rows[i + 1].0) == "recurrent_kernel" {
            try convertFromCuDNN(&rows, at: i)
        }
        return rows
    }

    private static func role(_ row: KerasVariableRow) -> Substring { row.name.split(separator: "/").last ?? "" }

    /// Variables with their tensors, gates of Keras 1 joined.
    private func gathered() throws -> [(KerasVariableRow, Tensor, Range<Int>)] {
        var rows: [(KerasVariableRow, Tensor, Range<Int>)] = []
        var position = 0
        var index = 0
        while index < variables.count {
            guard position < arrays.count else { throw count() }
            let gates = gateCount(index)
            if source.version.generation == 1, index + 2 < variables.count, Keras1Weights.areGates(arrays[position...], gates: gates) {
                let end = position + Keras1Weights.arrayCount(gates: gates)
                let joined = try Keras1Weights.joined(Array(arrays[position..<end]), gates: gates)
                for (offset, tensor) in joined.enumerated() { rows.append((variables[index + offset], tensor, position..<end)) }
                position = end
                index += 3
            } else {
                rows.append((variables[index], arrays[position], position..<position + 1))
                position += 1
                index += 1
            }
        }
        guard position == arrays.count else { throw count() }
        return rows
    }

    private func count() -> FormatError {
        kerasError("extra-weight", expected: "the arrays of \(variables.count) weights", found: "\(arrays.count) that don't fit them")
    }

    /// Gates of the recurrent layer whose kernel is the variable at `index`; 0 for other variables.
    private func gateCount(_ index: Int) -> Int {
        guard variables.indices.contains(index + 1), Self.role(variables[index]) == "kernel",
            Self.role(variables[index + 1]) == "recurrent_kernel", let units = variables[index + 1].shape?.first ?? nil,
            let width = variables[index + 1].shape?.last ?? nil, units > 0
        else { return 0 }
        return width / units
    }

    // MARK: Convolutions

    /// The layer, inside wrappers too, that a variable belongs to.
    private func spec(of variable: KerasVariableRow) -> KerasLayerSpec? {
        guard let spec = specs.filter({ variable.name.hasPrefix($0.key) }).max(by: { $0.key.count < $1.key.count })?.value else {
            return nil
        }
        guard let inner = spec.config["layer"], !inner.isNull else { return spec }
        return (try? KerasLayerSpec(parsing: inner, depth: 0)) ?? spec
    }

    private static let convolutions: Set<String> = ["Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D"]

    /// A convolution's kernel as Keras 2 on TensorFlow has it; other tensors as they are.
    private mutating func unlaid(_ tensor: Tensor, _ variable: KerasVariableRow) throws -> Tensor {
        guard Self.role(variable).hasSuffix("kernel"), tensor.shape.count > 2, let spec = spec(of: variable),
            Self.convolutions.contains(spec.className)
        else { return tensor }
        var tensor = tensor
        if source.version.generation == 1 {
            if spec.className == "Conv1D", let shape = variable.shape, shape.count == 3,
                let layout = Keras1Weights.timeConvolution(tensor.shape, size: shape[0], filters: shape[2])
            {
                tensor = try layout.apply(tensor)
            } else if spec.className == "Conv2D", spec.config["data_format"]?.string == "channels_first", tensor.shape.count == 4 {
                tensor = try Keras1Weights.planeConvolution.apply(tensor)
            }
        }
        if source.backend == "theano" {
            // Theano convolves where the others correlate: its kernels run backwards along every axis of space.
            for axis in 0..<tensor.shape.count - 2 {
                tensor = try Layout.gates((0..<tensor.shape[axis]).reversed(), axis: axis).apply(tensor)
            }
            assumptions.append("layer '\(spec.name)': the kernel is read backwards, since the backend theano wrote it")
        }
        if let shape = variable.shape, !fits(tensor.shape, shape), tensor.shape.count == 4 {
            // Kernels with the filters first.
            let turned = try Layout.transposed([3, 2, 0, 1]).apply(tensor)
            if fits(turned.shape, shape) { tensor = turned }
        }
        return tensor
    }

    // MARK: cuDNN

    /// Whether a bias is the two of cuDNN or PyTorch, one behind the other: the graph adds them.
    static func isPairOfBiases(_ shape: [Int], _ variable: KerasVariableRow) -> Bool {
        guard role(variable) == "bias", shape.count == 1, let stated = variable.shape, stated.count == 1, let width = stated[0] else {
            return false
        }
        return shape[0] == 2 * width && variable.keras2.contains("_cell/")
    }

    /// Kernels and bias of a recurrent layer whose bias tells that cuDNN wrote them.
    private func convertFromCuDNN(_ rows: inout [(KerasVariableRow, Tensor, Range<Int>)], at index: Int) throws {
        guard index + 2 < rows.count, Self.role(rows[index + 2].0) == "bias" else { return }
        let (kernel, recurrent, bias) = (rows[index].1.shape, rows[index + 1].1.shape, rows[index + 2].1.shape)
        guard kernel.count == 2, recurrent.count == 2, recurrent[0] > 0, recurrent[1] % recurrent[0] == 0 else { return }
        let units = recurrent[0]
        let gates = recurrent[1] / units
        guard [3, 4].contains(gates), kernel[1] == recurrent[1], bias == [2 * gates * units], source.readsCuDNN else { return }
        rows[index].1 = try CuDNNLayout.kernel(gates: gates, inputs: kernel[0], units: units).apply(rows[index].1)
        rows[index + 1].1 = try CuDNNLayout.recurrentKernel(gates: gates).apply(rows[index + 1].1)
        guard gates == 3 else { return }
        rows[index + 2].1 = try CuDNNLayout.gruBias(units: units).apply(rows[index + 2].1)
        if let shape = rows[index + 2].0.shape, !fits(rows[index + 2].1.shape, shape) {
            throw kerasError(
                "weight-shape-mismatch",
                expected: "weights of GRU(reset_after=False), as the configuration states, for \(rows[index].0.name)",
                found: "those of CuDNNGRU, which resets after the product")
        }
    }
}
