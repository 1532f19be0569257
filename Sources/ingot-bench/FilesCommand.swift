import ArgumentParser
import ByteIO
import Glibc
import JSON

/// Conversions of a large model's files, held against copying them.
struct FilesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "files",
        abstract: "Times conversions against cp, and how soon inspect and run answer.",
        discussion: """
            BERT-base, 438 MB, through the ingot beside this program, each row in turns with `cp` followed by `sync` of the copy. Conversions are
            without verification but for the last row. Times are milliseconds from start to exit, medians; memory is the greatest of any run.
            """)

    @Option(name: .customLong("repeat"), help: ArgumentHelp("Runs of each.", valueName: "n"))
    var repetitions = 5

    @Option(help: ArgumentHelp("Where models are kept from one run to the next.", valueName: "folder"))
    var models = ".build/bench"

    @Flag(help: "One JSON document instead of a table.")
    var json = false

    func validate() throws {
        guard repetitions > 0 else { throw ValidationError("--repeat takes a positive number") }
    }

    private struct Job {
        var name: String
        var arguments: [String]
        /// Removed after each run.
        var output: String?
        var times: [Double] = []
        var copyTimes: [Double] = []
        var peakBytes = 0
    }

    func run() throws {
        let ingot = splitPath(CommandLine.arguments[0]).directory + "/ingot"
        guard access(ingot, X_OK) == 0 else { throw InputError("there is no ingot beside \(CommandLine.arguments[0])") }
        let model = BenchModel.bert("bert-base", layers: 12, width: 768, heads: 12, inner: 3_072)
        let source = try model.write(in: models)
        let (folder, out) = ("\(models)/bert-base-tf", "\(models)/out")
        let tensorFlow = "\(folder)/tf_model.h5"
        mkdir(folder, 0o777)
        if access(tensorFlow, R_OK) != 0 {
            _ = try Child.run(ingot, ["convert", source, tensorFlow, "--naming", "tensorflow", "--no-verify", "--quiet"])
        }
        if access("\(folder)/config.json", R_OK) != 0 { _ = try Child.run("/bin/cp", ["\(source)/config.json", folder]) }
        let compressed = "\(models)/bert-base.ingot"
        if access(compressed, R_OK) != 0 { _ = try Child.run(ingot, ["convert", source, compressed, "--no-verify", "--quiet"]) }

        func convert(_ input: String, _ output: String, _ options: [String] = ["--no-verify"]) -> Job {
            Job(
                name: "", arguments: [ingot, "convert", input, output, "--quiet", "--force"] + options, output: output)
        }
        var jobs: [Job] = []
        for (name, job) in [
            ("tf_model.h5 to safetensors", convert(folder, "\(out).safetensors")),
            ("safetensors to tf_model.h5", convert(source, "\(out).h5", ["--no-verify", "--naming", "tensorflow"])),
            ("tf_model.h5 to .h5", convert(folder, "\(out).h5", ["--no-verify", "--naming", "tensorflow"])),
            ("safetensors to .ingot, 1 thread", convert(source, "\(out).ingot", ["--no-verify", "--threads", "1"])),
            ("safetensors to .ingot, 2 threads", convert(source, "\(out).ingot", ["--no-verify", "--threads", "2"])),
            (".ingot to safetensors, 1 thread", convert(compressed, "\(out).safetensors", ["--no-verify", "--threads", "1"])),
            (".ingot to safetensors, 2 threads", convert(compressed, "\(out).safetensors", ["--no-verify", "--threads", "2"])),
            ("inspect, safetensors", Job(name: "", arguments: [ingot, "inspect", source, "--quiet"])),
            ("inspect, tf_model.h5", Job(name: "", arguments: [ingot, "inspect", folder, "--quiet"])),
            ("run once, safetensors", Job(name: "", arguments: [ingot, "run", source, "--quiet"])),
            ("tf_model.h5 to safetensors, proven", convert(folder, "\(out).safetensors", [])),
        ] {
            var job = job
            job.name = name
            jobs.append(job)
        }
        let copy = "\(out).copy"
        for _ in 0..<repetitions {
            for i in jobs.indices {
                jobs[i].copyTimes.append(
                    try Child.run("/bin/sh", ["-c", "cp \"$0\" \"$1\" && sync \"$1\"", tensorFlow, copy]).milliseconds)
                try remove(copy)
                let result = try Child.run(jobs[i].arguments[0], Array(jobs[i].arguments.dropFirst()))
                jobs[i].times.append(result.milliseconds)
                jobs[i].peakBytes = max(jobs[i].peakBytes, result.peakBytes)
                if let output = jobs[i].output { try remove(output) }
            }
        }
        report(jobs)
    }

    /// What was deleted must not be on its way to the disk while the next is timed.
    private func remove(_ path: String) throws {
        unlink(path)
        sync()
    }

    private func report(_ jobs: [Job]) {
        if json {
            let rows = jobs.map { job -> JSONValue in
                [
                    "job": .string(job.name), "median_ms": .double(Row.median(job.times.sorted())),
                    "copy_median_ms": .double(Row.median(job.copyTimes.sorted())), "peak_rss_bytes": .int(job.peakBytes),
                ]
            }
            print(JSONValue.object(["repeat": .int(repetitions), "rows": .array(rows)]).serialized())
            return
        }
        for job in jobs {
            let (time, copy) = (Row.median(job.times.sorted()), Row.median(job.copyTimes.sorted()))
            print(
                "\(job.name): \(Row.decimal(time, 0)) ms, \(Row.decimal(time / copy)) of cp and sync's \(Row.decimal(copy, 0)); "
                    + "\(Row.decimal(Double(job.peakBytes) / 1e6, 0)) MB at most")
        }
    }
}

/// A program run to its end.
enum Child {
    /// - Throws: `InputError` if it can't be started or fails.
    static func run(_ program: String, _ arguments: [String]) throws -> (milliseconds: Double, peakBytes: Int) {
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        let start = milliseconds()
        var child: pid_t = 0
        guard posix_spawn(&child, program, &actions, nil, &words, environ) == 0 else { throw InputError("\(program) can't be started") }
        var (status, usage): (Int32, rusage) = (0, rusage())
        while wait4(child, &status, 0, &usage) < 0 && errno == EINTR {}
        let time = milliseconds() - start
        guard status == 0 else { throw InputError("\(program) \(arguments.joined(separator: " ")) failed") }
        return (time, usage.ru_maxrss * 1_024)
    }
}
