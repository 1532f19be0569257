import ArgumentParser
import ByteIO
import Conversion
import Executor
import Glibc
import JSON
import ModelIR

/// `ingot-bench`: how long work takes here.
@main
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingot-bench", abstract: "Times workloads.",
        subcommands: [CompareCommand.self, FilesCommand.self, CodecCommand.self, StartCommand.self, GrowthCommand.self],
        defaultSubcommand: CompareCommand.self)
}

/// Workloads timed, each in turns with the same work in other runtimes.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Times workloads, in turns with peers.",
        discussion: """
            A peer is onnxruntime or torch of a Python that has transformers and torch: it opens the same model, is given the same inputs, and
            its outputs are compared with ours. Times are milliseconds; a ratio is our median by the peer's. Beside a row's rate stand its shares
            of what large matmuls reach here and, for the bytes of its weights, of what memory can be read at; more than all of that is read
            from a cache.

            Examples:
              ingot-bench
              ingot-bench --filter bert --peer venv/bin/python --repeat 20 --json
            """)

    @Option(help: ArgumentHelp("Only workloads whose names contain this.", valueName: "text"))
    var filter = ""

    @Option(help: ArgumentHelp("usual, more (other lengths, batches and widths) or all.", valueName: "shapes"))
    var shapes = Workload.Shapes.usual

    @Option(
        help: ArgumentHelp(
            "Only these: bert-base:8x200, gpt2:1, t5-small:2x77+20, bert-LAYERS-WIDTH-HEADS-INNER:SIZES, bilstm-FEATURES-UNITS-LAYERS:7x90 ...",
            valueName: "model:sizes"))
    var shape: [String] = []

    @Option(help: ArgumentHelp("A Python interpreter whose runtimes to compare with; several may be named.", valueName: "python"))
    var peer: [String] = []

    @Option(help: ArgumentHelp("Where the peers' script is.", valueName: "file"))
    var peerScript = "Fixtures/generate/bench_peers.py"

    @Option(help: ArgumentHelp("Where models are kept from one run to the next.", valueName: "folder"))
    var models = ".build/bench"

    @Option(name: .customLong("repeat"), help: ArgumentHelp("Runs of each workload, after one to warm up.", valueName: "n"))
    var repetitions = 15

    @Option(help: ArgumentHelp("Threads of everything that is timed.", valueName: "n"))
    var threads = ExecutionOptions.processorCount

    @Flag(help: "One JSON document instead of a table.")
    var json = false

    func validate() throws {
        guard repetitions > 0 else { throw ValidationError("--repeat takes a positive number") }
        guard threads > 0 else { throw ValidationError("--threads takes a positive number") }
    }

    func run() throws {
        let known = shape.isEmpty ? Workload.all(shapes) : try shape.flatMap { try Workload.named($0) }
        let workloads = known.filter { filter.isEmpty || $0.name.contains(filter) }
        guard !workloads.isEmpty else { throw ValidationError("no workload's name contains \(filter)") }
        var rows: [Row] = []
        let roofline = try Roofline.measure(threads: threads)
        if !json {
            print(roofline.text)
            print(Row.header(peers: peer))
        }
        for workload in workloads {
            let row = try measure(workload, roofline)
            rows.append(row)
            if !json {
                print(row.text)
                fflush(nil)
            }
        }
        if json {
            let document: JSONValue = [
                "threads": .int(threads), "repeat": .int(repetitions), "roofline": roofline.document,
                "rows": .array(rows.map(\.document)),
            ]
            print(document.serialized())
        }
    }

    /// Ours and every peer's, one run of each in turn.
    private func measure(_ workload: Workload, _ roofline: Roofline) throws -> Row {
        let prepared = try workload.prepare(in: models, threads: threads)
        let inputs = "\(models)/\(workload.name).npz"
        try Arrays.write(prepared.inputs.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, to: inputs, replacesExisting: true)
        var peers: [Peer] = []
        for python in peer {
            for runtime in ["onnxruntime", "torch"] {
                let arguments = [runtime, prepared.path, inputs, prepared.output, "\(threads)"]
                if let started = try Peer(python: python, script: peerScript, arguments: arguments) { peers.append(started) }
            }
        }
        var times = [[Double]](repeating: [], count: peers.count + 1)
        var output: Tensor?
        for repetition in 0...repetitions {
            settle()
            _ = try prepared.run()
            let start = milliseconds()
            output = try prepared.run()
            let own = milliseconds() - start
            if repetition > 0 { times[0].append(own) }
            for (i, peer) in peers.enumerated() {
                settle()
                _ = try peer.time()
                let time = try peer.time()
                if repetition > 0 { times[i + 1].append(time) }
            }
        }
        var results: [Row.PeerResult] = []
        for (i, peer) in peers.enumerated() {
            let other = try peer.output()
            results.append(
                Row.PeerResult(name: peer.name, times: times[i + 1].sorted(), difference: Row.difference(try output?.floats() ?? [], other))
            )
        }
        return Row(
            workload: workload.name, times: times[0].sorted(), operations: prepared.operations, bytes: prepared.weightBytes,
            ceiling: roofline.operations[workload.precision] ?? 0, bandwidth: roofline.bandwidth, peers: results)
    }
}

extension Workload.Shapes: ExpressibleByArgument {}

/// Threads that wait in a loop for more work give up meanwhile, or one runtime would slow the next. A run that isn't timed wakes a runtime's
/// own threads again.
func settle() { usleep(50_000) }

/// Of a clock that only goes forward.
func milliseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) * 1_000 + Double(time.tv_nsec) / 1_000_000
}
