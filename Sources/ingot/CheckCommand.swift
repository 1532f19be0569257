import ArgumentParser
import Conversion
import JSON

struct CheckCommand: ParsableCommand, ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Reads every byte: checksums, bounds, finite values.",
        discussion: """
            Example:
              ingot check model.ingot
            """)

    @Argument(help: "A model file, or a directory with one.")
    var model: String

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var common: CommonOptions

    func run() throws {
        let report = try CheckReport(ModelFile.open(model, configuration: modelOptions.config, choices: modelOptions.choices))
        if common.json {
            Terminal.output([
                "path": .string(report.path), "passes": .bool(report.passes), "tensors": .int(report.tensorCount),
                "bytes": .int(report.byteCount), "passed": .array(report.passed.map { .string($0) }),
                "non_finite": .array(report.nonFinite.map { ["name": .string($0.name), "count": .int($0.count)] }),
                "problems": .array(report.problems.map { .string($0) }),
            ])
        } else {
            if !common.quiet { for line in report.passed { Terminal.output("ok: \(line)") } }
            for (name, count) in report.nonFinite { Terminal.output("not finite: \(count) values of \(name)") }
            for line in report.problems { Terminal.output("problem: \(line)") }
        }
        guard report.passes else { throw CommandFailure.difference() }
    }
}
