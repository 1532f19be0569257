import ArgumentParser
import Conversion
import Executor
import JSON

struct ConvertCommand: ParsableCommand, ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Writes a model in another format, verified before it is put in place.",
        discussion: """
            The format follows the output's name: .ingot, .keras (Keras 3), .h5 (Keras 2 whole model), .weights.h5 (Keras 3 weights).

            Examples:
              ingot convert model.h5 model.ingot
              ingot convert model.h5 model.keras
              ingot convert model.keras model.h5 --optimizer drop
              ingot convert model.ingot restored.h5 --naming preserve
            """)

    @Argument(help: "A model file, or a directory with one.")
    var model: String

    @Argument(help: "The file to write.")
    var output: String

    @Option(help: "The output's format, whatever its name (\(OutputKind.allCases.map(\.rawValue).joined(separator: ", "))).")
    var to: OutputKind?

    @Option(help: "Whose names and configuration to write (default, preserve, keras2, keras3).")
    var naming: ConversionOptions.Naming = .standard

    @Option(help: "Keep or drop the optimizer's state (without it: kept within a Keras generation, dropped across).")
    var optimizer: ConversionOptions.OptimizerPolicy?

    @Flag(help: "Shuffle and deflate the tensors of .h5 and .keras; .ingot always compresses.")
    var compress = false

    @Option(help: ArgumentHelp("Compression level, 0 (none) to 19 for .ingot, to 9 for .h5 and .keras.", valueName: "n"))
    var level: Int?

    @Option(help: ArgumentHelp("Greatest difference of an output that a rewrite of values may cause.", valueName: "x"))
    var maxDrift: Double?

    @Flag(help: "Refuse configuration keys that Ingot doesn't know.")
    var strict = false

    @Option(help: ArgumentHelp("Threads to use.", valueName: "n"))
    var threads = ExecutionOptions.processorCount

    @Flag(name: .customLong("no-verify"), help: "Put the output in place without proof.")
    var noVerify = false

    @Flag(help: "Replace an existing output.")
    var force = false

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard threads > 0 else { throw ValidationError("--threads takes a positive number") }
        if let level, !(0...19).contains(level) { throw ValidationError("--level takes 0 to 19") }
        if let maxDrift, !(maxDrift >= 0) { throw ValidationError("--max-drift takes a number that is not negative") }
    }

    func run() throws {
        var options = ConversionOptions(
            to: to?.rawValue, naming: naming, optimizer: optimizer, level: level, threadCount: threads, verifies: !noVerify,
            replacesExisting: force, isStrict: strict, configuration: modelOptions.config,
            verification: VerificationOptions(threadCount: threads, maxDrift: maxDrift))
        options.compresses = compress
        do {
            report(try convert(model, to: output, options: options))
        } catch let failure as VerificationFailure {
            report(failure.report)
            throw CommandFailure.difference("\(output): not written, since the proof failed")
        }
    }

    private func report(_ report: ConversionReport) {
        if common.json {
            Terminal.output(report.json)
            return
        }
        for note in report.notes { Terminal.note(note, common) }
        if let verification = report.verification {
            VerificationText(verification).lines(isBrief: verification.passes).forEach(Terminal.output)
            guard verification.passes else { return }
        }
        let ratio = decimal(Double(report.outputByteCount) / Double(max(report.sourceByteCount, 1)), 3)
        Terminal.output(
            "\(report.outputPath): \(byteText(report.outputByteCount)), \(ratio) of \(byteText(report.sourceByteCount)); fingerprint \(report.fingerprint)"
        )
    }
}

extension OutputKind: ExpressibleByArgument {}
extension ConversionOptions.Naming: ExpressibleByArgument {}
extension ConversionOptions.OptimizerPolicy: ExpressibleByArgument {}
