import Architectures
import ByteIO
import Conversion
import Executor
import ModelIR

/// A forward pass to time: a model that is opened as `ingot run` opens it, and inputs.
struct Workload {
    /// Made ready once, then run again and again.
    struct Prepared {
        /// Floating-point operations of one run.
        var operations: Double
        /// Bytes of parameters that a run reads.
        var weightBytes: Double
        /// One run; the first output.
        var run: () throws -> Tensor
        /// What peers are given: the model's path, a name of the output, and inputs.
        var path: String
        var output: String
        var inputs: [String: Tensor]
    }

    var name: String
    var precision = Precision.f32
    var model: BenchModel
    var inputs: [String: Tensor]

    /// Which sizes to time.
    enum Shapes: String, CaseIterable {
        /// The sizes that targets are given for.
        case usual
        /// Other lengths, batches and widths of the same models.
        case more
        case all
    }

    /// Names, then sizes, as people say them.
    static func all(_ shapes: Shapes) -> [Workload] {
        switch shapes {
        case .usual: usual
        case .more: more
        case .all: usual + more
        }
    }

    static func text(_ model: BenchModel, _ vocabulary: Int, batch: Int = 1, tokens: Int, decoder: Int? = nil) -> [Workload] {
        var inputs = [
            "input_ids": BenchTensors.ids([batch, tokens], vocabulary: vocabulary),
            "attention_mask": Tensor([Int64](repeating: 1, count: batch * tokens), shape: [batch, tokens]),
        ]
        if let decoder { inputs["decoder_input_ids"] = BenchTensors.ids([batch, decoder], vocabulary: vocabulary) }
        let sizes = (batch == 1 ? "" : "\(batch)x") + "\(tokens)" + (decoder.map { "+\($0)" } ?? "")
        return Precision.allCases.map { precision in
            Workload(
                name: "\(model.name)-\(sizes)" + (precision == .f32 ? "" : "-\(precision.rawValue)"), precision: precision, model: model,
                inputs: inputs)
        }
    }

    private static var usual: [Workload] { transformers + sparse + recurrent + odd }

    private static var transformers: [Workload] {
        [128, 512].flatMap { text(.bertBase, 30_522, tokens: $0) } + [128, 1_024].flatMap { text(.gpt2Small, 50_257, tokens: $0) }
            + text(.t5Small, 32_128, tokens: 128, decoder: 32)
    }

    private static var sparse: [Workload] {
        let longformer = BenchModel.longformer(
            "longformer-base", layers: 12, width: 768, heads: 12, inner: 3_072, window: 512, positions: 4_098)
        let tokens = 4_096
        return [
            // The first token is global.
            Workload(
                name: "longformer-base-\(tokens)", model: longformer,
                inputs: [
                    "input_ids": BenchTensors.ids([1, tokens], vocabulary: 50_265),
                    "global_attention_mask": Tensor((0..<tokens).map { $0 == 0 ? Int64(1) : 0 }, shape: [1, tokens]),
                ]),
            Workload(
                name: "reformer-16384", model: BenchModel.reformer("reformer", rows: 128, columns: 128),
                inputs: ["input_ids": BenchTensors.ids([1, 16_384], vocabulary: 320)]),
        ]
    }

    private static var recurrent: [Workload] {
        [("lstm", 4), ("gru", 3), ("rnn", 1)].flatMap { name, gates in
            steps(BenchModel.recurrent("\(name)-512", gates: gates, layers: 2, features: 512, units: 512), 512, [(1, 256), (32, 128)])
        }
    }

    /// Sizes that no block divides.
    private static var odd: [Workload] {
        let bert = BenchModel.bert("bert-odd", layers: 5, width: 300, heads: 6, inner: 1_100, positions: 400, vocabulary: 5_003)
        let gpt2 = BenchModel.gpt2("gpt2-odd", layers: 5, width: 330, heads: 5, positions: 700, vocabulary: 5_003)
        return text(bert, 5_003, batch: 3, tokens: 77) + text(gpt2, 5_003, batch: 2, tokens: 301)
            + [("lstm", 4), ("gru", 3), ("rnn", 1)].flatMap { name, gates in
                steps(BenchModel.recurrent("\(name)-odd", gates: gates, layers: 2, features: 97, units: 301), 97, [(1, 100), (7, 90)])
            }
    }

    static func steps(_ model: BenchModel, _ features: Int, _ sizes: [(batch: Int, time: Int)]) -> [Workload] {
        sizes.map { batch, time in
            let storage = BenchTensors(seed: 7, mean: 0, width: 3, count: batch * time * features)
            return Workload(
                name: "\(model.name)-\(batch)x\(time)", model: model,
                inputs: ["input": Tensor(dtype: .f32, shape: [batch, time, features], storage: storage)])
        }
    }

    /// Of parameters that a pass reads whole: rows of tables are few.
    private func weightBytes(_ graph: Graph) -> Double {
        var read = Set<Int>()
        for node in graph.nodes {
            if case .gather = node.op { continue }
            read.formUnion(node.inputs.map(\.index))
        }
        let counts = graph.parameters.filter { read.contains($0.value.index) }.map {
            (graph.type(of: $0.value).shape.fixedSizes ?? []).reduce(1, *)
        }
        return counts.reduce(0) { $0 + Double($1) } * (precision == .f32 ? 4 : 2)
    }

    /// - Parameter folder: where models are kept from one run to the next.
    func prepare(in folder: String, threads: Int) throws -> Prepared {
        let path = try model.write(in: folder)
        let loaded = try ModelFile.open(path).requireModel()
        let graph = try loaded.graph()
        // In memory before any run, as the peers have them.
        let inputs = try loaded.completed(inputs).inputs.mapValues { Tensor(dtype: $0.dtype, shape: $0.shape, bytes: try $0.bytes()) }
        let options = ExecutionOptions(threadCount: threads, isRepeated: true, precision: precision, keepsLayerOutputs: false)
        let plan = try Planner.plan(graph, inputShapes: inputs.mapValues(\.shape), options: options)
        let parameters = Dictionary(loaded.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let executor = try Executor(plan: plan, parameters: parameters)
        return Prepared(
            operations: Double(plan.operations), weightBytes: weightBytes(graph),
            run: { try executor.run(inputs: inputs).outputs[0].tensor }, path: path, output: graph.outputs[0].name, inputs: self.inputs)
    }
}
