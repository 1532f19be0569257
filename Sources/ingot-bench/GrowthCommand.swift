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
            Attention alone, of 4 heads of 64, in milliseconds, and by how many megabytes the process grows for it. Exponents are slopes of the
            logarithm from 4096 to 16384 tokens: 1 is linear, 2 is that of full attention. Strides are the root of the length, and fixed
            patterns have 8 summary positions, as Child et al. choose them. Runs of all lengths and patterns take turns; what takes longer than
            --seconds is run once, which the table says.
            """)

    @Option(name: .customLong("repeat"), help: ArgumentHelp("Runs of each, after one to warm up.", valueName: "n"))
    var repetitions = 5

    @Option(help: ArgumentHelp("The longest sequence, in tokens; lengths are four times each other from 1024 on.", valueName: "n"))
    var longest = 65_536

    @Option(help: ArgumentHelp("The longest sequence of full causal attention.", valueName: "n"))
    var longestCausal = 65_536

    @Option(help: ArgumentHelp("What took longer in its first run isn't run again.", valueName: "n"))
    var seconds = 10.0

    @Option(help: ArgumentHelp("Threads of everything that is timed.", valueName: "n"))
    var threads = ExecutionOptions.processorCount

    @Flag(help: "One JSON document instead of a table.")
    var json = false

    func validate() throws {
        guard repetitions > 0 else { throw ValidationError("--repeat takes a positive number") }
        guard threads > 0 else { throw ValidationError("--threads takes a positive number") }
        guard (1_024...1 << 20).contains(longest) else { throw ValidationError("--longest is from 1024 to 1048576") }
    }

    private struct Case {
        var name: String
        var tokens: Int
        /// nil where they aren't counted by a pattern.
        var pairs: Double?
        /// Of the plan's buffers.
        var bufferBytes: Double
        /// By which the process grew in its first run, plan and lists of keys included; nil where the system doesn't tell.
        var peakBytes: Double?
        /// Of the first run alone until there are others: it warms up.
        var times: [Double]
        /// nil if the first run was enough; its memory is given back.
        var run: (() throws -> Tensor)?
        var median: Double { times.sorted()[times.count / 2] }
    }

    func run() throws {
        var cases: [Case] = []
        var tokens = 1_024
        while tokens <= longest {
            let workload = GrowthWorkload(tokens: tokens)
            for name in GrowthWorkload.names where name != "causal" || tokens <= longestCausal {
                let (graph, inputs, pairs) = try workload.made(name)
                let options = ExecutionOptions(threadCount: threads, isRepeated: true, keepsLayerOutputs: false)
                let before = ResidentMemory.restart()
                let plan = try Planner.plan(graph, inputShapes: inputs.mapValues(\.shape), options: options)
                let executor = try Executor(plan: plan, parameters: [String: Tensor]())
                let start = milliseconds()
                _ = try executor.run(inputs: inputs)
                let first = milliseconds() - start
                var new = Case(
                    name: name, tokens: tokens, pairs: pairs, bufferBytes: Double(plan.bufferBytes),
                    peakBytes: ResidentMemory.growth(since: before), times: [first])
                if first < 1_000 * seconds {
                    new.times = []
                    new.run = { try executor.run(inputs: inputs).outputs[0].tensor }
                }
                cases.append(new)
            }
            tokens *= 4
        }
        for _ in 0..<repetitions {
            for (i, run) in cases.enumerated().compactMap({ i, row in row.run.map { (i, $0) } }) {
                let start = milliseconds()
                _ = try run()
                cases[i].times.append(milliseconds() - start)
            }
        }
        report(cases)
    }

    private func report(_ cases: [Case]) {
        var rows: [JSONValue] = []
        for name in GrowthWorkload.names {
            let own = cases.filter { $0.name == name }
            func exponent(_ value: (Case) -> Double) -> Double? {
                guard let short = own.first(where: { $0.tokens == 4_096 }), let long = own.first(where: { $0.tokens == 16_384 }) else {
                    return nil
                }
                return log(value(long) / value(short)) / log(4)
            }
            let (time, memory) = (exponent(\.median), exponent { $0.peakBytes ?? $0.bufferBytes })
            rows.append([
                "pattern": .string(name), "time_exponent": time.map { .double($0) } ?? .null,
                "memory_exponent": memory.map { .double($0) } ?? .null,
                "lengths": .array(
                    own.map {
                        [
                            "tokens": .int($0.tokens), "runs": .int($0.times.count), "median_ms": .double($0.median),
                            "buffer_bytes": .double($0.bufferBytes),
                            "peak_bytes": $0.peakBytes.map { .double($0) } ?? .null,
                            "attended_pairs": $0.pairs.map { .double($0) } ?? .null,
                        ]
                    }),
            ])
            guard !json else { continue }
            let shown = own.map {
                "\($0.tokens): \(Row.decimal($0.median)) ms\($0.run == nil ? " (one run)" : ""), \(Row.decimal(($0.peakBytes ?? $0.bufferBytes) / 1e6, 1)) MB"
            }
            let exponents = time.map { "; time n^\(Row.decimal($0)), memory n^\(Row.decimal(memory ?? 0))" } ?? ""
            print("\(name): " + shown.joined(separator: "; ") + exponents)
        }
        if json { print(JSONValue.object(["threads": .int(threads), "rows": .array(rows)]).serialized()) }
    }
}
