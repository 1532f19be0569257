import Architectures
import ArgumentParser
import ByteIO
import Conversion
import Executor
import Glibc
import JSON
import ModelIR

struct RunCommand: ParsableCommand, ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs a forward pass.",
        discussion: """
            Inputs are NumPy arrays under the model's input names; a single input goes by any name. Without --inputs a seeded probe is run.

            Examples:
              ingot run model.h5 --inputs in.npz --output out.npz
              ingot run model.ingot --seed 7
              ingot run model.keras --inputs in.npz --repeat 20 --json
            """)

    @Argument(help: "A model file, or a directory with one.")
    var model: String

    @Option(help: ArgumentHelp("Inputs, .npz or .npy.", valueName: "file"))
    var inputs: String?

    @Option(help: ArgumentHelp("Seed of the probe that is run without --inputs.", valueName: "n"))
    var seed: UInt64 = 20_240_617

    @Option(help: ArgumentHelp("Where to write the outputs, .npz.", valueName: "file"))
    var output: String?

    @Option(help: "fast (f32, the default) or reference (f64, every composite by its definition).")
    var backend: Backend = .fast

    @Option(help: "f32, or bf16: the fast backend's matmuls round weights and activations, and the differences are reported.")
    var precision: Precision = .f32

    @Option(help: ArgumentHelp("Threads to use.", valueName: "n"))
    var threads = ExecutionOptions.processorCount

    @Option(name: .customLong("repeat"), help: ArgumentHelp("Time this many forward passes after a warm-up.", valueName: "n"))
    var repetitions: Int?

    @Option(help: ArgumentHelp("Refuse to run above this (500MB, 2GiB); half of the memory without it.", valueName: "size"))
    var maxMemory: ByteCount?

    @Flag(help: "Replace an existing output file.")
    var force = false

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard threads > 0 else { throw ValidationError("--threads takes a positive number") }
        if let repetitions, repetitions < 1 { throw ValidationError("--repeat takes a positive number") }
        if backend == .reference && precision != .f32 { throw ValidationError("--precision is of the fast backend; reference is f64") }
        if inputs != nil && seed != 20_240_617 { throw ValidationError("--seed is of the probe; leave it or --inputs out") }
    }

    func run() throws {
        let start = Clock.now
        let file = try ModelFile.open(model, configuration: modelOptions.config, choices: modelOptions.choices)
        for note in file.notes { Terminal.note(note, common) }
        try file.checkBeforeReading()
        let loaded = try file.requireModel()
        for line in loaded.report.assumptions { Terminal.note(line, common) }
        let graph = try loaded.graph()
        let tensors: [String: Tensor]
        if let inputs {
            let matched = try matchedInputs(Arrays.read(inputs), to: loaded, graph: graph)
            for line in matched.notes { Terminal.note(line, common) }
            tensors = matched.inputs
        } else {
            tensors = try Probe(for: loaded, graph: graph, seed: seed).inputs
        }
        let options = ExecutionOptions(
            backend: backend, threadCount: threads, maxMemory: maxMemory?.value, isRepeated: repetitions != nil, precision: precision,
            keepsLayerOutputs: false)
        let plan = try Planner.plan(graph, inputShapes: tensors.mapValues(\.shape), options: options)
        let parameters = Dictionary(
            loaded.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let executor = try Executor(plan: plan, parameters: parameters)
        let loadTime = Clock.now - start
        let result = try executor.run(inputs: tensors)

        var times: [Double] = []
        for _ in 0..<(repetitions ?? 0) {
            let before = Clock.now
            _ = try executor.run(inputs: tensors)
            times.append(Clock.now - before)
        }
        times.sort()
        if let output {
            try Arrays.write(result.outputs.map { ($0.name, $0.tensor) }, to: output, replacesExisting: force)
        }
        var differences: [NamedComparison] = []
        if precision != .f32 {
            var exact = options
            (exact.precision, exact.isRepeated) = (.f32, false)
            let plan = try Planner.plan(graph, inputShapes: tensors.mapValues(\.shape), options: exact)
            let reference = try Executor(plan: plan, parameters: parameters).run(inputs: tensors)
            for (output, other) in zip(result.outputs, reference.outputs) {
                differences.append(NamedComparison(name: output.name, comparison: try compare(output.tensor, other.tensor)))
            }
        }
        try report(result, times: times, loadTime: loadTime, differences: differences)
    }

    /// An output in bf16 against f32.
    private struct NamedComparison {
        var name: String
        var comparison: TensorComparison
    }

    private func report(_ result: ExecutionResult, times: [Double], loadTime: Double, differences: [NamedComparison]) throws {
        let median = times.isEmpty ? 0 : times[times.count / 2]
        if common.json {
            var document: JSONObject = [
                "outputs": .array(
                    try result.outputs.map { output in
                        let summary = try Inspection.Statistics(output.tensor)
                        return [
                            "name": .string(output.name), "dtype": .string(output.tensor.dtype.rawValue),
                            "shape": .array(output.tensor.shape.map { .int($0) }), "minimum": .double(summary.minimum),
                            "maximum": .double(summary.maximum), "mean": .double(summary.mean), "non_finite": .int(summary.nonFiniteCount),
                        ]
                    }),
                "load_ms": .double(loadTime), "threads": .int(threads), "backend": .string(backend.rawValue),
                "precision": .string(precision.rawValue),
                "peak_rss_bytes": .int(Clock.peakResidentByteCount),
            ]
            if let first = times.first { document["forward_ms"] = ["min": .double(first), "median": .double(median)] }
            if precision != .f32 {
                document["differences_to_f32"] = .array(
                    differences.map {
                        [
                            "name": .string($0.name), "maximum": .double($0.comparison.maximumDifference),
                            "mean": .double($0.comparison.meanDifference), "rms": .double($0.comparison.statisticsB.rms),
                        ]
                    })
            }
            Terminal.output(.object(document))
            return
        }
        for output in result.outputs {
            let first = try output.tensor.elements(from: 0, shape: [min(8, output.tensor.count)]).doubles()
            let shown = first.map(shortNumber).joined(separator: " ") + (output.tensor.count > 8 ? " .." : "")
            Terminal.output(
                "\(output.name): \(output.tensor.dtype.rawValue)[\(output.tensor.shape.map(String.init).joined(separator: ", "))]  \(shown)"
            )
        }
        for difference in differences {
            let found = difference.comparison
            Terminal.output(
                "\(difference.name) in bf16 differs from f32 by at most \(shortNumber(found.maximumDifference)), "
                    + "\(shortNumber(found.meanDifference)) on average; its rms is \(shortNumber(found.statisticsB.rms))")
        }
        if let first = times.first {
            Terminal.output(
                "\(times.count) forward passes: minimum \(decimal(first, 3)) ms, median \(decimal(median, 3)) ms, \(threads) threads")
        }
    }
}

/// Time and memory of this process.
enum Clock {
    /// Milliseconds of a clock that only goes forward.
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) * 1_000 + Double(time.tv_nsec) / 1_000_000
    }

    static var peakResidentByteCount: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1_024
    }
}
