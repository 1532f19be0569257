import ArgumentParser
import Conversion
import Executor
import JSON
import ModelIR

struct ConvertCommand: ParsableCommand, ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Writes a model in another format, verified before it is put in place.",
        discussion: """
            The format follows the output's name: .ingot, .keras (Keras 3), .h5 (Keras 2 whole model, or plain datasets for other models),
            .weights.h5 (Keras 3 weights), .safetensors, tf_model.h5; a directory gets a Hugging Face model.

            Examples:
              ingot convert model.h5 model.ingot
              ingot convert model.h5 model.keras
              ingot convert model.keras model.h5 --optimizer drop
              ingot convert bert/ out/ --to safetensors --max-shard-size 2GB
              ingot convert gpt2/ gpt2/tf_model.h5
              ingot convert bert/ bert.safetensors --dtype bf16
              ingot convert model.ingot restored.h5 --naming preserve
            """)

    @Argument(help: "A model file, or a directory with one.")
    var model: String

    @Argument(help: "The file or directory to write.")
    var output: String

    @Option(help: "The output's format, whatever its name (\(OutputKind.allCases.map(\.rawValue).joined(separator: ", "))).")
    var to: OutputKind?

    @Option(help: "Whose names and configuration to write (\(ConversionOptions.Naming.allCases.map(\.rawValue).joined(separator: ", "))).")
    var naming: ConversionOptions.Naming = .standard

    @Option(help: "Round all floats to f32, f16 or bf16, to nearest even.")
    var dtype: FloatType?

    @Option(help: ArgumentHelp("Largest weights file of a directory (5GB).", valueName: "size"))
    var maxShardSize: ByteCount?

    @Option(help: "Keep or drop the optimizer's state (without it: kept within a Keras generation, dropped across).")
    var optimizer: ConversionOptions.OptimizerPolicy?

    @Flag(help: "Shuffle and deflate the tensors of .h5 and .keras; .ingot always compresses.")
    var compress = false

    @Option(help: ArgumentHelp("Compression level, 0 (none) to 19 for .ingot, to 9 for .h5 and .keras.", valueName: "n"))
    var level: Int?

    @Option(help: ArgumentHelp("Greatest difference of an output that a rewrite of values, or rounding, may cause.", valueName: "x"))
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
        if let maxShardSize, maxShardSize.value == 0 { throw ValidationError("--max-shard-size takes a positive size") }
        if let maxDrift, !(maxDrift >= 0) { throw ValidationError("--max-drift takes a number that is not negative") }
    }

    func run() throws {
        var options = ConversionOptions(
            to: to, naming: naming, dtype: dtype?.dtype, optimizer: optimizer, level: level,
            maxShardByteCount: maxShardSize?.value ?? 5_000_000_000, threadCount: threads, verifies: !noVerify, replacesExisting: force,
            isStrict: strict, configuration: modelOptions.config, choices: modelOptions.choices,
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
            "\(report.outputPath): \(byteText(report.outputByteCount)), \(ratio) of \(byteText(report.sourceByteCount))"
                + (report.fingerprint.map { "; fingerprint \($0)" } ?? ""))
    }
}

/// A float dtype by its short name.
enum FloatType: String, ExpressibleByArgument, CaseIterable {
    case f32, f16, bf16

    var dtype: DType {
        switch self {
        case .f32: .f32
        case .f16: .f16
        case .bf16: .bf16
        }
    }
}

extension OutputKind: ExpressibleByArgument {}
extension ConversionOptions.Naming: ExpressibleByArgument {}
extension ConversionOptions.OptimizerPolicy: ExpressibleByArgument {}
