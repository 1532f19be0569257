import ArgumentParser
import Conversion

struct DiffCommand: ParsableCommand, ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Shows what differs between two models, whatever their formats and names.",
        discussion: """
            Parameters are compared by canonical names, in one layout; where two files have no architecture in common, by the names in the files,
            and then by their values. Exit code 0: bit for bit the same parameters, and the same function; 1: something differs.

            Examples:
              ingot diff bert/tf_model.h5 out/model.safetensors
              ingot diff before.h5 after.h5 --all
            """)

    @Argument(help: "A model file, or a directory with one.")
    var model: String

    @Argument(help: "The model to hold it against.")
    var other: String

    @Flag(help: "List equal tensors too.")
    var all = false

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var common: CommonOptions

    func run() throws {
        let first = try ModelFile.open(model, configuration: modelOptions.config, choices: modelOptions.choices)
        let second = try ModelFile.open(other, configuration: modelOptions.config, choices: modelOptions.choices)
        for note in first.notes + second.notes { Terminal.note(note, common) }
        let difference = try ModelDifference(first, second)
        if common.json {
            Terminal.output(difference.json)
        } else {
            report(difference)
        }
        guard difference.isSame else { throw CommandFailure.difference() }
    }

    private func report(_ difference: ModelDifference) {
        var counts: [(name: String, count: Int)] = []
        for row in difference.rows {
            if let known = counts.firstIndex(where: { $0.name == row.outcome.name }) {
                counts[known].count += 1
            } else {
                counts.append((row.outcome.name, 1))
            }
            if all || row.outcome != .equal { Terminal.output("  \(row.name): \(row.outcome.detail)") }
        }
        let names = difference.isCanonical ? "canonical names" : "names in the files"
        let summary = counts.map { "\($0.count) \($0.name.replacing("_", with: " "))" }.joined(separator: ", ")
        Terminal.output("tensors, by \(names): \(summary.isEmpty ? "none" : summary)")
        for line in difference.configuration { Terminal.output("configuration: \(line)") }
        if let line = difference.graphDifference { Terminal.output("function: \(line)") }
        let (a, b) = difference.fingerprints
        Terminal.output(a == b ? "fingerprint: \(a), of both" : "fingerprints: \(a) and \(b)")
        Terminal.output(difference.isSame ? "the same model" : "different models")
    }
}
