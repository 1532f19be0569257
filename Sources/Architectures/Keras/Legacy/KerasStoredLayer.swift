import ByteIO
import FormatKit

/// A layer as a file of bare weights tells it: a name and arrays.
struct KerasStoredLayer: Sendable {
    /// A recurrent layer by its arrays.
    struct Cell: Hashable, Sendable {
        /// 1 simple RNN, 3 GRU, 4 LSTM.
        var gates: Int
        var inputs: Int
        var units: Int
        /// nil without a bias.
        var biasRank: Int?
        var isCuDNN = false
        /// Written by CuDNNLSTM or CuDNNGRU into a `.weights.h5`, after which its groups are named.
        var isOfCuDNNClass = false
        var isKeras1 = false
        /// Of the layer inside a Bidirectional, where the file says it.
        var name: String?

        var className: String { (isOfCuDNNClass ? "CuDNN" : "") + (gates == 4 ? "LSTM" : gates == 3 ? "GRU" : "SimpleRNN") }
    }

    enum Kind: Hashable, Sendable {
        case input
        case embedding(vocabulary: Int, size: Int)
        case dense(inputs: Int, units: Int, usesBias: Bool)
        case recurrent(Cell)
        case bidirectional(Cell)
        case normalization(className: String, size: Int, hasScale: Bool, hasCenter: Bool)
        /// A class without weights, told by the name that Keras gives.
        case weightless(String)
        /// Nothing that could be told; a clause on why.
        case unknown(String)
    }

    let name: String
    let shapes: [[Int]]
    let kind: Kind

    init(name: String, weights: [(name: String, shape: [Int])]) {
        self.name = name
        shapes = weights.map(\.shape)
        let roles = weights.map { weight in
            let last = weight.name.split(separator: "/").last.map(String.init) ?? weight.name
            return last.hasSuffix(":0") ? String(last.dropLast(2)) : last
        }
        kind = Self.kind(base: Self.baseName(name), shapes: shapes, roles: roles, names: weights.map(\.name))
    }

    /// The name without its counter.
    private static func baseName(_ name: String) -> String {
        let parts = name.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count > 1, let last = parts.last, !last.isEmpty, last.allSatisfy(\.isNumber) else { return name }
        return parts.dropLast().joined(separator: "_")
    }

    private static let weightless: [String: String] = [
        "dropout": "Dropout", "spatial_dropout1d": "SpatialDropout1D", "gaussian_noise": "GaussianNoise",
        "gaussian_dropout": "GaussianDropout",
        "alpha_dropout": "AlphaDropout", "flatten": "Flatten", "global_max_pooling1d": "GlobalMaxPooling1D",
        "global_average_pooling1d": "GlobalAveragePooling1D", "masking": "Masking", "activation": "Activation",
    ]

    private static func kind(base: String, shapes: [[Int]], roles: [String], names: [String]) -> Kind {
        if shapes.isEmpty {
            if base == "input" || base.hasSuffix("_input") || base == "input_layer" { return .input }
            // Keras 1 wrote no underscores inside.
            let squeezed = weightless.first { $0.key.filter { $0 != "_" } == base.filter { $0 != "_" } }
            return squeezed.map { .weightless($0.value) } ?? .unknown("has no weights, so that its class can't be told")
        }
        // Layers of cuDNN have no cell.
        let isOfCuDNNClass = names.allSatisfy { $0.contains("vars/") && !$0.contains("cell/") }
        if var cell = cell(shapes[...]) {
            cell.isOfCuDNNClass = cell.isCuDNN && isOfCuDNNClass
            return .recurrent(cell)
        }
        if shapes.count % 2 == 0, let ahead = cell(shapes.prefix(shapes.count / 2)), ahead == cell(shapes.suffix(shapes.count / 2)) {
            var ahead = ahead
            ahead.name = innerName(names)
            ahead.isOfCuDNNClass = ahead.isCuDNN && isOfCuDNNClass
            return .bidirectional(ahead)
        }
        let isVector = shapes.allSatisfy { $0.count == 1 && $0 == shapes[0] }
        if isVector,
            base.hasPrefix("batch_norm") || base.hasPrefix("batchnorm") || base.hasPrefix("layer_norm") || roles.contains("gamma")
                || roles.contains("beta")
        {
            let hasStatistics = shapes.count > 2 || roles.contains { $0.hasPrefix("moving") || $0.hasPrefix("running") }
            let isLayer = base.hasPrefix("layer_norm") || !hasStatistics
            let affine = hasStatistics ? shapes.count - 2 : shapes.count
            return .normalization(
                className: isLayer ? "LayerNormalization" : "BatchNormalization", size: shapes[0][0],
                hasScale: affine == 2 || roles.contains("gamma"), hasCenter: affine == 2 || roles.contains("beta"))
        }
        switch (shapes.count, shapes[0].count) {
        case (1, 2) where base.hasPrefix("embedding") || roles == ["embeddings"] || (roles == ["W"] && base.contains("embed")):
            return .embedding(vocabulary: shapes[0][0], size: shapes[0][1])
        case (1, 2): return .dense(inputs: shapes[0][0], units: shapes[0][1], usesBias: false)
        case (2, 2) where shapes[1] == [shapes[0][1]]: return .dense(inputs: shapes[0][0], units: shapes[0][1], usesBias: true)
        default: return .unknown("has weights of the shapes \(shapes), from which no layer of a plain stack follows")
        }
    }

    /// A recurrent layer of these arrays: kernel, recurrent kernel and bias, or gate by gate as Keras 1 kept them.
    private static func cell(_ shapes: ArraySlice<[Int]>) -> Cell? {
        guard shapes.count >= 2, let kernel = shapes.first, kernel.count == 2 else { return nil }
        let recurrent = shapes[shapes.startIndex + 1]
        guard recurrent.count == 2, recurrent[0] > 0, kernel[1] == recurrent[1], recurrent[1] % recurrent[0] == 0 else { return nil }
        let (units, gates) = (recurrent[0], recurrent[1] / recurrent[0])
        if shapes.count == 12 || shapes.count == 9, gates == 1 {
            return Cell(gates: shapes.count / 3, inputs: kernel[0], units: units, biasRank: 1, isKeras1: true)
        }
        guard [1, 3, 4].contains(gates), shapes.count <= 3 else { return nil }
        guard shapes.count == 3, let bias = shapes.last else { return Cell(gates: gates, inputs: kernel[0], units: units) }
        switch bias {
        case [gates * units]: return Cell(gates: gates, inputs: kernel[0], units: units, biasRank: 1)
        case [2, 3 * units] where gates == 3: return Cell(gates: gates, inputs: kernel[0], units: units, biasRank: 2)
        case [2 * gates * units] where gates > 1: return Cell(gates: gates, inputs: kernel[0], units: units, biasRank: 1, isCuDNN: true)
        default: return nil
        }
    }

    /// `lstm` of `bidirectional/forward_lstm/lstm_cell/kernel:0`.
    private static func innerName(_ names: [String]) -> String? {
        let part = names.first?.split(separator: "/").first { $0.hasPrefix("forward_") && $0 != "forward_layer" }
        return part.map { String($0.dropFirst("forward_".count)) }
    }
}

extension KerasStoredLayer.Kind {
    var cell: KerasStoredLayer.Cell? {
        switch self {
        case .recurrent(let cell), .bidirectional(let cell): cell
        case .input, .embedding, .dense, .normalization, .weightless, .unknown: nil
        }
    }

    /// Whether the layer needs a time axis.
    var wantsTime: Bool {
        switch self {
        case .recurrent, .bidirectional: true
        case .weightless(let name): ["Flatten", "GlobalMaxPooling1D", "GlobalAveragePooling1D", "SpatialDropout1D"].contains(name)
        case .input, .embedding, .dense, .normalization, .unknown: false
        }
    }

    /// Width of the values that the layer takes; nil where any will do, or where it takes ids.
    var inputWidth: Int? {
        switch self {
        case .recurrent(let cell), .bidirectional(let cell): cell.inputs
        case .dense(let inputs, _, _): inputs
        case .normalization(_, let size, _, _): size
        case .input, .embedding, .weightless, .unknown: nil
        }
    }

    var className: String {
        switch self {
        case .input: "InputLayer"
        case .embedding: "Embedding"
        case .dense: "Dense"
        case .recurrent(let cell): cell.className
        case .bidirectional: "Bidirectional"
        case .normalization(let className, _, _, _), .weightless(let className): className
        case .unknown: "unknown"
        }
    }

    var isRecurrent: Bool { cell != nil }

    /// Dense layers and what leaves no time axis: they usually follow the recurrent layers.
    var endsRecurrence: Bool { className == "Dense" || className == "Flatten" || className.hasPrefix("Global") }

    var isEmbedding: Bool { className == "Embedding" }
}
