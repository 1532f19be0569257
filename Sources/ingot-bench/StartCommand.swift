import ArgumentParser
import ByteIO
import Conversion
import Executor
import Glibc
import JSON

/// How soon `ingot run` has an output of a large model.
struct StartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Times ingot run from start to exit against the forward pass and reading the file.",
        discussion: """
            GPT-2 small, 498 MB, 128 tokens with logits, through the ingot beside this program. The pass is that of a plan made before, weights
            packed; the file is read from end to end by read calls, from the page cache. Times are milliseconds, medians.
            """)

    @Option(name: .customLong("repeat"), help: ArgumentHelp("Runs of each.", valueName: "n"))
    var repetitions = 9

    @Option(help: ArgumentHelp("Where models are kept from one run to the next.", valueName: "folder"))
    var models = ".build/bench"

    @Option(help: ArgumentHelp("Threads of everything that is timed.", valueName: "n"))
    var threads = ExecutionOptions.processorCount

    @Flag(help: "One JSON document instead of a line.")
    var json = false

    func validate() throws {
        guard repetitions > 0 else { throw ValidationError("--repeat takes a positive number") }
        guard threads > 0 else { throw ValidationError("--threads takes a positive number") }
    }

    func run() throws {
        let ingot = splitPath(CommandLine.arguments[0]).directory + "/ingot"
        guard access(ingot, X_OK) == 0 else { throw InputError("there is no ingot beside \(CommandLine.arguments[0])") }
        let workload = Workload.text(.gpt2Small, 50_257, tokens: 128)[0]
        let prepared = try workload.prepare(in: models, threads: threads)
        let (inputs, output) = ("\(models)/\(workload.name).npz", "\(models)/start.npz")
        try Arrays.write(prepared.inputs.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, to: inputs, replacesExisting: true)
        let arguments = ["run", prepared.path, "--inputs", inputs, "--output", output, "--force", "--quiet", "--threads", "\(threads)"]
        var (starts, passes, reads): ([Double], [Double], [Double]) = ([], [], [])
        for _ in 0..<repetitions {
            settle()
            starts.append(try Child.run(ingot, arguments).milliseconds)
            reads.append(try read("\(prepared.path)/model.safetensors"))
            settle()
            _ = try prepared.run()
            let start = milliseconds()
            _ = try prepared.run()
            passes.append(milliseconds() - start)
        }
        unlink(output)
        let medians = [starts, passes, reads].map { Row.median($0.sorted()) }
        let ratio = medians[0] / (medians[1] + medians[2])
        if json {
            print(
                JSONValue.object([
                    "repeat": .int(repetitions), "start_to_exit_ms": .double(medians[0]), "pass_ms": .double(medians[1]),
                    "read_ms": .double(medians[2]), "ratio": .double(ratio),
                ]).serialized())
        } else {
            print(
                "run of \(workload.name), start to exit: \(Row.decimal(medians[0], 0)) ms, \(Row.decimal(ratio)) of the pass's "
                    + "\(Row.decimal(medians[1], 0)) and reading's \(Row.decimal(medians[2], 0))")
        }
    }

    /// Milliseconds of reading a file, a mebibyte at a time.
    private func read(_ path: String) throws -> Double {
        let start = milliseconds()
        let file = open(path, O_RDONLY)
        guard file >= 0 else { throw InputError("\(path) can't be opened") }
        defer { close(file) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4_096)
        defer { buffer.deallocate() }
        while Glibc.read(file, buffer.baseAddress, buffer.count) > 0 {}
        return milliseconds() - start
    }
}
