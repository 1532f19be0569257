import Architectures
import ByteIO
import Executor
import ModelIR

/// Inputs that reach a model's features: seeded, never all zeros or ones, several rows, padded rows where padding means something.
public struct Probe: Sendable {
    public let seed: UInt64
    public let inputs: [String: Tensor]

    public static let defaultSeed: UInt64 = 20_240_617

    /// A probe for a model, by what it says of its inputs.
    /// - Throws: `UnsupportedError` if no sizes of the open dimensions fit the model.
    public init(for model: any Model, graph: Graph, seed: UInt64 = Probe.defaultSeed) throws {
        try self.init(for: graph, descriptions: model.inputDescriptions, sizes: model.probeSizes, seed: seed)
    }

    /// A probe for a graph whose inputs mean what follows from their use.
    /// - Throws: `UnsupportedError` if no sizes of the open dimensions fit the model.
    public init(
        for graph: Graph, descriptions: [InputDescription] = [], sizes: [String: Int] = [:], seed: UInt64 = Probe.defaultSeed
    ) throws {
        self.seed = seed
        let bindings = try Probe.bindings(for: graph, sizes: sizes)
        let ranges = Probe.vocabularies(of: graph)
        let padding = Probe.paddingValues(of: graph)
        let roles = Dictionary(descriptions.map { ($0.name, $0.role) }, uniquingKeysWith: { first, _ in first })
        var inputs: [String: Tensor] = [:]
        for input in graph.inputs {
            let type = graph.type(of: input.value)
            let shape = try type.shape.evaluate(bindings)
            // A generator for each input, so that adding one doesn't change the others.
            var generator = SeededGenerator(
                seed: seed ^ input.name.utf8.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 })
            if let role = roles[input.name], role != .values {
                inputs[input.name] = Probe.tensor(role, type.dtype, shape, using: &generator)
            } else {
                inputs[input.name] = Probe.tensor(
                    type.dtype, shape, vocabulary: ranges[input.value], padding: padding[input.value], using: &generator)
            }
        }
        self.inputs = inputs
    }

    /// Sizes of the open dimensions: those given, three rows, and the first length that leaves no dimension empty.
    private static func bindings(for graph: Graph, sizes: [String: Int]) throws -> [String: Int] {
        var symbols = Set<String>()
        for input in graph.inputs {
            for dim in graph.type(of: input.value).shape.dims { if case .symbol(let name) = dim { symbols.insert(name) } }
        }
        var lastError: (any Error)?
        for length in [11, 23, 47, 101, 211, 431] {
            var bindings = Dictionary(uniqueKeysWithValues: symbols.map { ($0, sizes[$0] ?? length) })
            if symbols.contains("batch") { bindings["batch"] = sizes["batch"] ?? 3 }
            do {
                let shapes = try Dictionary(
                    uniqueKeysWithValues: graph.inputs.map { ($0.name, try graph.type(of: $0.value).shape.evaluate(bindings)) })
                var options = ExecutionOptions(backend: .reference)
                options.maxMemory = .max
                _ = try Planner.plan(graph, inputShapes: shapes, options: options)
                guard try graph.types.allSatisfy({ try !$0.shape.evaluate(bindings).contains(0) }) else { continue }
                return bindings
            } catch {
                lastError = error
            }
        }
        throw UnsupportedError("no probe fits the model: \(lastError.map { "\($0)" } ?? "some dimension is always empty")")
    }

    /// Inputs that are ids, with the number of rows of the smallest table that they index.
    private static func vocabularies(of graph: Graph) -> [ValueID: Int] {
        // From values back to the input whose elements they are.
        var origins: [ValueID: ValueID] = Dictionary(uniqueKeysWithValues: graph.inputs.map { ($0.value, $0.value) })
        var ranges: [ValueID: Int] = [:]
        for node in graph.nodes {
            switch node.op {
            case .cast, .reshape, .transpose, .broadcast, .slice, .reverse:
                if let origin = origins[node.inputs[0]] { origins[node.outputs[0]] = origin }
            case .gather(let axis):
                if let origin = origins[node.inputs[1]], let rows = graph.type(of: node.inputs[0]).shape[axis].fixedValue {
                    ranges[origin] = min(ranges[origin] ?? rows, rows)
                }
            case .constant, .unary, .binary, .compare, .select, .reduce, .matmul, .pad, .concat, .scatter, .sort, .argmax, .cumulativeSum,
                .iota, .convolution, .pool, .composite:
                break
            }
        }
        return ranges
    }

    /// Inputs compared with a constant, which masks what equals it.
    private static func paddingValues(of graph: Graph) -> [ValueID: Double] {
        var constants: [ValueID: Double] = [:]
        var values: [ValueID: Double] = [:]
        let inputs = Set(graph.inputs.map(\.value))
        for node in graph.nodes {
            if case .constant(let literal) = node.op, literal.values.count == 1 { constants[node.outputs[0]] = literal.values[0] }
            if case .compare(.notEqual) = node.op, inputs.contains(node.inputs[0]), let value = constants[node.inputs[1]] {
                values[node.inputs[0]] = value
            }
        }
        return values
    }

    private static func tensor(
        _ dtype: DType, _ shape: [Int], vocabulary: Int?, padding: Double?, using generator: inout SeededGenerator
    ) -> Tensor {
        let count = shape.reduce(1, *)
        var values = (0..<count).map { _ -> Double in
            if let vocabulary {
                // Id 0 only where it is padding, unless it is the only one.
                let lowest = vocabulary > 1 && padding == 0 ? 1 : 0
                return Double(generator.integer(in: lowest..<max(vocabulary, lowest + 1)))
            }
            if dtype == .bool { return Double(generator.integer(in: 0..<2)) }
            if dtype.isInteger { return Double(generator.integer(in: 0..<8)) }
            // A multiple of 1/64: exact in every float type, short in text.
            return (max(-4, min(4, generator.normal())) * 64).rounded() / 64
        }
        if let padding, shape.count >= 2 {
            // Row 1 ends in padding; row 2 begins with it and has some in the middle; row 0 has none.
            let time = shape[1]
            let width = shape[2...].reduce(1, *)
            for row in 1..<max(shape[0], 1) where row < 3 {
                for t in 0..<time {
                    let isPadding = row == 1 ? t >= (time + 1) / 2 : t < time / 4 || t == time / 2
                    if isPadding && time > 2 { for k in 0..<width { values[(row * time + t) * width + k] = padding } }
                }
            }
        }
        return Tensor(values, dtype: dtype, shape: shape)
    }

    // MARK: - Inputs that describe themselves

    /// Row 0 is whole; row 1 ends in padding; row 2 begins with it and has some in the middle, its ids being real ones.
    private static func isPadding(row: Int, t: Int, time: Int) -> Bool {
        guard time > 2 else { return false }
        switch row % 3 {
        case 1: return t >= (time + 1) / 2
        case 2: return t < time / 4 || t == time / 2
        default: return false
        }
    }

    private static func tensor(
        _ role: InputDescription.Role, _ dtype: DType, _ shape: [Int], using generator: inout SeededGenerator
    ) -> Tensor {
        let time = shape.last ?? 1
        let rows = shape.dropLast().reduce(1, *)
        var values: [Double] = []
        for row in 0..<rows {
            for t in 0..<time {
                let value: Int
                switch role {
                case .tokens(let vocabulary, let padding):
                    var id = generator.integer(in: 0..<max(vocabulary, 1))
                    if id == padding, vocabulary > 1 { id = (id + 1) % vocabulary }
                    value = padding.map { row % 3 == 1 && isPadding(row: row, t: t, time: time) ? $0 : id } ?? id
                case .mask: value = isPadding(row: row, t: t, time: time) ? 0 : 1
                case .segments(let count): value = min(count - 1, t * (count + row % 2) / max(time, 1))
                case .positions(let count): value = (t + row) % max(count, 1)
                case .globalAttention: value = t == row % max(time, 1) || t == (time * 2) / 3 ? 1 : 0
                case .values: value = generator.integer(in: 0..<2)
                }
                values.append(Double(value))
            }
        }
        return Tensor(values, dtype: dtype, shape: shape)
    }
}
