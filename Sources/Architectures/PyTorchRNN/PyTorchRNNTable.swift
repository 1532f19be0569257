/// Parameters of PyTorch's nn.RNN, nn.LSTM and nn.GRU against those of Keras' SimpleRNN, LSTM and GRU: names and layouts.
///
/// PyTorch multiplies from the other side, so kernels are transposed. LSTM gates come in one order (i, f, candidate, o), GRU's first two are
/// swapped (r, z, n against z, r, h). PyTorch keeps a bias of the inputs and one of the states; so does a GRU of Keras with `reset_after`, in two rows.
enum PyTorchRNNTable {
    struct Row {
        /// Parts of PyTorch's names before `_l{layer}` and `_reverse`, joined in this order.
        var parts: [String]
        /// Keras' variable.
        var role: String
        /// From PyTorch's tensors to Keras' one.
        var layout: Layout
    }

    /// - Parameter gates: 1 for nn.RNN, 3 for nn.GRU, 4 for nn.LSTM; `units` is hidden_size.
    static func rows(gates: Int, units: Int, hasBias: Bool) -> [Row] {
        let reordered: (Int) -> Layout = { axis in gates == 3 ? .gates([1, 0, 2], axis: axis) : .same }
        let kernel = reordered(0).then(.transposedMatrix)
        let bias: Layout =
            gates == 3
            ? reordered(0).then(.reshaped(from: [3 * units], to: [1, 3 * units])).then(.concatenated(.equal(2), axis: 0))
            : .concatenated(.equal(2), axis: 0)
        let kernels = [
            Row(parts: ["weight_ih"], role: "kernel", layout: kernel), Row(parts: ["weight_hh"], role: "recurrent_kernel", layout: kernel),
        ]
        return kernels + (hasBias ? [Row(parts: ["bias_ih", "bias_hh"], role: "bias", layout: bias)] : [])
    }

    /// `weight_ih_l0`, `bias_hh_l1_reverse`.
    static func name(_ part: String, layer: Int, isReverse: Bool) -> String { "\(part)_l\(layer)\(isReverse ? "_reverse" : "")" }

    /// The parts of a name: its prefix with the dot, what it is, layer and direction; nil for other tensors.
    static func parse(_ name: String) -> (prefix: String, part: String, layer: Int, isReverse: Bool)? {
        let dot = name.lastIndex { $0 == "." || $0 == "/" }.map { name.index(after: $0) } ?? name.startIndex
        var last = name[dot...]
        let isReverse = last.hasSuffix("_reverse")
        if isReverse { last = last.dropLast("_reverse".count) }
        for part in ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"] where last.hasPrefix(part + "_l") {
            let digits = last.dropFirst(part.count + 2)
            guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let layer = Int(digits), layer < 1000 else {
                return nil
            }
            return (String(name[..<dot]), part, layer, isReverse)
        }
        return nil
    }

    /// What a state dict can't say of nn.RNN, said by Ingot in the metadata of what it writes: `relu`.
    static let nonlinearityAttribute = "nonlinearity"

    static let className = [1: "SimpleRNN", 3: "GRU", 4: "LSTM"]
    static let moduleName = [1: "nn.RNN", 3: "nn.GRU", 4: "nn.LSTM"]
}
