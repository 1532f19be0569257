import ArgumentParser
import ByteIO
import Executor
import Glibc
import JSON
import ModelIR

/// Time and memory of attention's patterns as sequences grow.
struct GrowthCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "growth",
        abstract: "Times attention's patterns at growing lengths.",
        discussion: """
            Attention alone, of 4 heads of 64, in milliseconds, and the plan's buffers in megabytes. The exponent is the slope of the logarithm
            from 4096 to 16384 tokens: 1 is linear, 2 is that of full attention. Runs of all lengths and patterns take turns.
            """)

    @Option(name: .customLong("repeat"), help: ArgumentHelp("Runs of each, after one to warm up.", valueName: "n"))
    var repetitions = 5

    @Option(help: ArgumentHelp("The longest sequence, in tokens; lengths are four times each other from 1024 on.", valueName: "n"))
    var longest = 65_536

    @Option(help: ArgumentHelp("The longest sequence of full causal attention.", valueName: "n"))
    var longestCausal = 16_384

    @Option(help: ArgumentHelp("Threads of everything that is timed.", valueName: "n"))
    var threads = ExecutionOptions.processorCount

    @Flag(help: "One JSON document instead of a table.")
    var json = false

    func validate() throws {
        guard repetitions > 0 else { throw ValidationError("--repeat takes a positive number") }
        guard threads > 0 else { throw ValidationError("--threads takes a positive number") }
        guard (1_024...1 << 20).contains(longest) else { throw ValidationError("--longest is from 1024 to 1048576") }
    }

    /// Patterns for a length: strides are its root, as Child et al. choose them.
    private static func patterns(_ tokens: Int) -> [(name: String, pattern: AttentionPattern)] {
        let root = Int(Double(tokens).squareRoot().rounded())
        let (local, strided) = (AttentionPattern.slidingWindow(before: root, after: 0, dilation: 1), AttentionPattern.strided(stride: root))
        let block = AttentionPattern.blockLocal(block: root, before: 0, after: 0, causal: true)
        let summary = AttentionPattern.fixed(stride: root, summary: max(1, root / 16))
        return [
            ("window of 256 on both sides", .slidingWindow(before: 256, after: 256, dilation: 1)),
            ("causal window of 256", .slidingWindow(before: 255, after: 0, dilation: 1)),
            ("chunks of 64 and the one before", .blockLocal(block: 64, before: 1, after: 0, causal: true)),
            ("strided, merged", .union([local, strided])),
            ("strided, by heads", .heads([.init(count: 2, pattern: local), .init(count: 2, pattern: strided)])),
            ("fixed, merged", .union([block, summary])), ("causal", .causal),
        ]
    }

    private struct Case {
        var name: String
        var tokens: Int
        var pairs: Double
        var bufferBytes: Double
        var run: () throws -> Tensor
        var times: [Double] = []
        var median: Double { times.sorted()[times.count / 2] }
    }

    func run() throws {
        var cases: [Case] = []
        var tokens = 1_024
        while tokens <= longest {
            for (name, pattern) in Self.patterns(tokens) where name != "causal" || tokens <= longestCausal {
                var graph = Graph(name: name)
                let type = ValueType(.f32, Shape(fixed: [1, tokens, 4, 64]))
                let values = try ["query", "key", "value"].map { try graph.addInput($0, type) }
                let attention = Attention(pattern: pattern, scale: 0.125)
                graph.outputs = [NamedValue("output", try graph.append(.composite(.attention(attention)), values))]
                let inputs = Dictionary(
                    uniqueKeysWithValues: try ["query", "key", "value"].map {
                        ($0, try BenchTensors.tensor(named: $0, shape: [1, tokens, 4, 64], deviation: 0.6))
                    })
                let options = ExecutionOptions(threadCount: threads, isRepeated: true, keepsLayerOutputs: false)
                let plan = try Planner.plan(graph, inputShapes: inputs.mapValues(\.shape), options: options)
                let executor = try Executor(plan: plan, parameters: [String: Tensor]())
                cases.append(
                    Case(
                        name: name, tokens: tokens, pairs: pattern.estimatedPairs(queries: tokens, keys: tokens, heads: 4),
                        bufferBytes: Double(plan.bufferBytes)
                    ) { try executor.run(inputs: inputs).outputs[0].tensor })
            }
            tokens *= 4
        }
        for repetition in 0...repetitions {
            for i in cases.indices {
                let start = milliseconds()
                _ = try cases[i].run()
                if repetition > 0 { cases[i].times.append(milliseconds() - start) }
            }
        }
        report(cases)
    }

    private func report(_ cases: [Case]) {
        var rows: [JSONValue] = []
        for name in Self.patterns(1_024).map(\.name) {
            let own = cases.filter { $0.name == name }
            func exponent(_ value: (Case) -> Double) -> Double? {
                guard let short = own.first(where: { $0.tokens == 4_096 }), let long = own.first(where: { $0.tokens == 16_384 }) else {
                    return nil
                }
                return log(value(long) / value(short)) / log(4)
            }
            let (time, memory) = (exponent(\.median), exponent(\.bufferBytes))
            rows.append([
                "pattern": .string(name), "time_exponent": time.map { .double($0) } ?? .null,
                "memory_exponent": memory.map { .double($0) } ?? .null,
                "lengths": .array(
                    own.map {
                        [
                            "tokens": .int($0.tokens), "median_ms": .double($0.median), "buffer_bytes": .double($0.bufferBytes),
                            "attended_pairs": .double($0.pairs),
                        ]
                    }),
            ])
            guard !json else { continue }
            let shown = own.map { "\($0.tokens): \(Row.decimal($0.median)) ms, \(Row.decimal($0.bufferBytes / 1e6, 1)) MB" }
            let exponents = time.map { "; time n^\(Row.decimal($0)), memory n^\(Row.decimal(memory ?? 0))" } ?? ""
            print("\(name): " + shown.joined(separator: "; ") + exponents)
        }
        if json { print(JSONValue.object(["threads": .int(threads), "rows": .array(rows)]).serialized()) }
    }
}
