import Architectures
import ByteIO
import FormatKit
import ModelIR

/// What `ingot inspect` tells of a model.
public struct Inspection: Sendable {
    public struct Layer: Sendable {
        public var name: String
        public var kind: String
        /// Type of its (first) output; nil where the layer can't be run or has none.
        public var output: ValueType?
        public var elementCount: Int
        public var byteCount: Int
        public var isSupported: Bool
    }

    public struct TensorRow: Sendable {
        /// Name in the file.
        public var name: String
        /// Canonical name; nil for optimizer state and tensors that no layer asks for.
        public var canonicalName: String?
        public var dtype: DType
        public var shape: [Int]
        public var byteCount: Int
        public var statistics: Statistics?
    }

    /// Of one tensor's elements.
    public struct Statistics: Hashable, Sendable {
        public var minimum: Double
        public var maximum: Double
        public var mean: Double
        public var standardDeviation: Double
        public var nonFiniteCount: Int
    }

    public var path: String
    public var fileByteCount: Int
    public var format: String
    public var formatDetail: String
    public var architecture: String?
    public var naming: String?
    public var writer: String?
    public var inputs: [(name: String, type: ValueType)] = []
    public var outputs: [(name: String, type: ValueType)] = []
    public var layers: [Layer] = []
    public var attention: [AttentionLayer] = []
    public var tensors: [TensorRow] = []
    /// Of the model, without the optimizer.
    public var parameterCount = 0
    public var parameterByteCount = 0
    /// Elements by dtype, in the order of first appearance.
    public var dtypes: [(dtype: DType, count: Int)] = []
    public var optimizerTensorCount = 0
    public var optimizerByteCount = 0
    public var unused: [String] = []
    public var opaque: [String] = []
    public var assumptions: [String] = []
    public var unknownKeys: [String] = []
    /// Layers that keep the model from being run.
    public var obstacles: [String] = []
    public var notes: [String] = []
    /// nil where it was not asked for and takes reading a large file whole.
    public var fingerprint: String?
    public var hasProof: Bool
    public var provenance: [Record.Provenance] = []
    /// The graph, where the model can be run.
    public var graph: Graph?

    /// Bytes of tensors up to which the fingerprint is computed unasked: a tenth of a second.
    public static let fingerprintByteLimit = 128 << 20

    /// - Parameters:
    ///   - withStatistics: reads every tensor.
    ///   - withFingerprint: reads every parameter; nil computes the fingerprint of small files, and takes what a file says of itself.
    public init(_ file: ModelFile, withStatistics: Bool = false, withFingerprint: Bool? = nil) throws {
        path = file.path
        fileByteCount = file.byteCount
        format = file.format.name
        formatDetail = file.checkpoint.formatDetail
        notes = file.notes
        if file.model == nil, let hint = file.missingConfigurationHint { notes.append(hint) }
        hasProof = file.checkpoint.record?.proof != nil
        provenance = file.checkpoint.record?.provenance ?? []
        opaque = file.checkpoint.opaque.map { "\($0.name): \($0.description)" }
        let tensorByteCount = file.checkpoint.tensors.reduce(0) { $0 + $1.tensor.byteCount }
        if withFingerprint ?? (tensorByteCount <= Self.fingerprintByteLimit) {
            fingerprint = try file.fingerprint()
        } else {
            fingerprint = file.checkpoint.record?.fingerprint
        }
        var canonical: [String: String] = [:]
        if let model = file.model {
            architecture = model.architecture
            naming = model.naming
            writer = model.writer
            for parameter in model.parameters {
                for source in [parameter.source] + parameter.moreSources { canonical[source] = parameter.name }
            }
            unused = model.report.unused
            assumptions = model.report.assumptions
            unknownKeys = model.report.unknownKeys
            do {
                graph = try model.graph()
            } catch let error as UnsupportedError {
                obstacles = error.items.isEmpty ? [error.message] : error.items
            }
            addLayers(of: model)
        }
        let optimizer = Set(file.model?.report.optimizer ?? file.checkpoint.optimizerTensors)
        optimizerTensorCount = optimizer.count
        for entry in file.checkpoint.tensors {
            let tensor = entry.tensor
            tensors.append(
                TensorRow(
                    name: entry.name, canonicalName: canonical[entry.name], dtype: tensor.dtype, shape: tensor.shape,
                    byteCount: tensor.byteCount, statistics: withStatistics ? try Statistics(tensor) : nil))
            if optimizer.contains(entry.name) {
                optimizerByteCount += tensor.byteCount
            } else if file.model == nil || canonical[entry.name] != nil {
                parameterCount += tensor.count
                parameterByteCount += tensor.byteCount
                if let known = dtypes.firstIndex(where: { $0.dtype == tensor.dtype }) {
                    dtypes[known].count += tensor.count
                } else {
                    dtypes.append((tensor.dtype, tensor.count))
                }
            }
        }
        noteBareIntegers()
        if let graph {
            attention = Self.attention(in: graph)
            inputs = graph.inputs.map { ($0.name, graph.type(of: $0.value)) }
            outputs = graph.outputs.map { ($0.name, graph.type(of: $0.value)) }
        }
    }

    /// HDF5 had no type for bf16, so some keep it as unsigned integers of 16 bits; only an attribute tells them from numbers.
    private mutating func noteBareIntegers() {
        let names = tensors.filter { $0.dtype == .u16 && $0.canonicalName == nil }.map(\.name)
        guard format == "hdf5", !names.isEmpty else { return }
        let shown = names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", .." : "")
        notes.append(
            "\(names.count) \(names.count == 1 ? "tensor" : "tensors") of uint16, read as integers; bf16 kept so is told by the attribute dtype = bfloat16: \(shown)"
        )
    }

    private mutating func addLayers(of model: any Model) {
        let tensors = Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        var types: [String: ValueType] = [:]
        if let graph {
            for layer in graph.layerOutputs.reversed() { types[layer.name] = graph.type(of: layer.value) }
            for input in graph.inputs { types[input.name] = graph.type(of: input.value) }
        }
        for layer in model.layers {
            let owned = layer.parameters.compactMap { tensors[$0] }
            layers.append(
                Layer(
                    name: layer.name, kind: layer.kind, output: types[layer.name], elementCount: owned.reduce(0) { $0 + $1.count },
                    byteCount: owned.reduce(0) { $0 + $1.byteCount }, isSupported: layer.isSupported))
        }
    }
}

extension Inspection.Statistics {
    /// Reads every element once.
    public init(_ tensor: Tensor) throws {
        var count = 0.0
        var sum = 0.0
        var squares = 0.0
        var nonFinite = 0
        var low = Double.infinity
        var high = -Double.infinity
        try forEachElement(of: tensor) { value in
            guard value.isFinite else {
                nonFinite += 1
                return
            }
            // Welford's update keeps the variance exact for large means.
            count += 1
            let delta = value - sum
            sum += delta / count
            squares += delta * (value - sum)
            low = min(low, value)
            high = max(high, value)
        }
        self.init(
            minimum: count > 0 ? low : 0, maximum: count > 0 ? high : 0, mean: sum,
            standardDeviation: count > 0 ? (squares / count).squareRoot() : 0, nonFiniteCount: nonFinite)
    }
}

/// Visits all elements as numbers, in bounded memory.
func forEachElement(of tensor: Tensor, _ body: (Double) -> Void) throws {
    try tensor.forEachPiece { piece in
        let part = Tensor(dtype: tensor.dtype, shape: [piece.count / tensor.dtype.size], bytes: Array(piece))
        for value in try part.doubles() { body(value) }
    }
}
