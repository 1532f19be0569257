import ByteIO
import Executor
import ModelIR

/// Something to time: made ready once, then run again and again.
struct Workload {
    /// Weights in place, inputs chosen.
    struct Prepared {
        /// Floating-point operations of one run.
        var operations: Double
        /// Bytes of parameters that a run reads.
        var weightBytes: Double
        /// One run; the first output.
        var run: () throws -> Tensor
    }

    /// Peers know it by this name.
    var name: String
    /// Made ready for a number of threads.
    var prepare: (Int) throws -> Prepared

    static var all: [Workload] {
        [Transformer.bertBase].flatMap { model in
            [128, 512].flatMap { tokens in
                Precision.allCases.map { precision in
                    let name = "\(model.name)-\(tokens)" + (precision == .f32 ? "" : "-\(precision.rawValue)")
                    return Workload(name: name) { try model.prepared(batch: 1, tokens: tokens, threads: $0, precision: precision) }
                }
            }
        } + Self.attention
            + [SparseModel.longformerBase, SparseModel.reformer].map { model in
                Workload(name: model.name) { try model.prepared(threads: $0) }
            }
    }

    /// Attention alone, 12 heads of 64: rows, tokens, and keys that a token sees on either side.
    private static var attention: [Workload] {
        [(1, 128, nil), (1, 512, nil), (8, 128, nil), (1, 4096, 256), (1, 4096, nil)].map { batch, tokens, window in
            Workload(name: "attention-\(batch)x\(tokens)" + (window.map { "-window\($0)" } ?? "")) { threads in
                var graph = Graph(name: "attention")
                let shape = [batch, tokens, 12, 64]
                let inputs = try ["query", "key", "value"].map { try graph.addInput($0, ValueType(.f32, Shape(fixed: shape))) }
                let pattern = window.map { AttentionPattern.slidingWindow(before: $0, after: $0, dilation: 1) } ?? .full
                let attention = Attention(pattern: pattern, scale: 0.125)
                graph.outputs = [NamedValue("output", try graph.append(.composite(.attention(attention)), inputs))]
                let tensors = Dictionary(
                    uniqueKeysWithValues: ["query", "key", "value"].map { ($0, BenchTensors.tensor(named: $0, shape: shape, scale: 2)) })
                return try Self.prepared(graph, parameters: [String: Tensor](), inputs: tensors, threads: threads)
            }
        }
    }

    /// A graph with its plan, weights packed.
    static func prepared(
        _ graph: Graph, parameters: any ParameterSource, inputs: [String: Tensor], threads: Int, precision: Precision = .f32
    ) throws -> Prepared {
        let options = ExecutionOptions(threadCount: threads, isRepeated: true, precision: precision, keepsLayerOutputs: false)
        let plan = try Planner.plan(graph, inputShapes: inputs.mapValues(\.shape), options: options)
        let executor = try Executor(plan: plan, parameters: parameters)
        return Prepared(operations: Double(plan.operations), weightBytes: Double(plan.parameterBytes)) {
            try executor.run(inputs: inputs).outputs[0].tensor
        }
    }
}

/// Numbers that ours and the peers make alike, from a tensor's name: uniform in -1/2 ..< 1/2 times a scale.
enum BenchTensors: ParameterSource {
    case weights(shapes: [String: [Int]])

    func tensor(named name: String) throws -> Tensor {
        guard case .weights(let shapes) = self, let shape = shapes[name] else { throw GraphError("there is no parameter '\(name)'") }
        // Variance 1 / fan-in keeps activations of one size through the layers.
        let fanIn = Double(shape.first ?? 1)
        return Self.tensor(named: name, shape: shape, scale: shape.count == 2 ? (12 / fanIn).squareRoot() : 0.2)
    }

    /// Element i is ((i * 2654435761 + FNV-1a of the name) mod 2^32, its high 24 bits) / 2^24 - 1/2, times `scale`.
    static func tensor(named name: String, shape: [Int], scale: Double) -> Tensor {
        let seed = name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let factor = Float(scale)
        let values = (0..<shape.reduce(1, *)).map { i in
            (Float((UInt32(truncatingIfNeeded: i) &* 2_654_435_761 &+ seed) >> 8) / 16_777_216 - 0.5) * factor
        }
        return Tensor(values, shape: shape)
    }
}
