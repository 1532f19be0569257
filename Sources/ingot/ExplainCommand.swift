import ArgumentParser
import ByteIO
import Conversion
import JSON

struct ExplainCommand: ParsableCommand, ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract:
            "Says what keeps Keras, transformers or PyTorch from opening a model, and what a conversion would change. Writes nothing.",
        discussion: """
            The messages are those that the target prints. What a conversion would rewrite, and what the target can't express, comes from the
            conversion itself, planned in memory.

            Examples:
              ingot explain model.h5 --for keras3
              ingot explain bert/ --for transformers5
              ingot explain model.keras --for tf-keras --json
            """)

    @Argument(help: "A model file, or a directory with one.")
    var model: String

    @Option(
        name: .customLong("for"),
        help: ArgumentHelp(
            "Who is to open the model (\(Explanation.Target.allCases.map(\.rawValue).joined(separator: ", "))).", valueName: "target"))
    var target: Explanation.Target

    @Flag(help: "Leave out the forward passes that measure how far rewrites move the outputs.")
    var noDrift = false

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var common: CommonOptions

    func run() throws {
        let file = try ModelFile.open(model, configuration: modelOptions.config, choices: modelOptions.choices)
        let explanation = try Explanation(file, for: target, measuringDrift: !noDrift)
        if common.json {
            Terminal.output(explanation.json)
            return
        }
        for line in lines(explanation) { Terminal.output(escapingControlCharacters(line)) }
    }

    private func lines(_ explanation: Explanation) -> [String] {
        let title = target.title
        var lines: [String] = []
        if explanation.symptoms.isEmpty {
            lines.append("Nothing is known that would stop \(title) from opening \(explanation.path).")
        } else {
            lines.append("\(title) and \(explanation.path):")
            for symptom in explanation.symptoms {
                lines.append("  " + (symptom.message.isEmpty ? "(no message, other numbers)" : symptom.message))
                lines.append("    \(symptom.reason)\(places(symptom.places))")
            }
        }
        guard explanation.isConvertible else {
            lines.append("A conversion is refused:")
            lines += explanation.obstacles.map { "  \($0)" }
            return lines
        }
        if explanation.rewrites.isEmpty {
            lines.append("A conversion changes no value of \(explanation.parameterCount).")
        } else {
            let drift = explanation.drift.map { "; outputs move by \($0 == 0 ? "0" : shortNumber($0)) at most on a seeded probe" } ?? ""
            lines.append("A conversion rewrites \(explanation.rewrittenCount) of \(explanation.parameterCount) values\(drift):")
            lines += explanation.rewrites.map { "  \($0)" }
        }
        if !explanation.notes.isEmpty {
            lines.append("And:")
            lines += explanation.notes.map { "  \($0)" }
        }
        if let command = explanation.command { lines.append("To convert: \(command)") }
        return lines
    }

    /// The first few names; a model of a hundred layers would hide everything else.
    private func places(_ names: [String]) -> String {
        guard !names.isEmpty else { return "" }
        let shown = names.prefix(6).joined(separator: ", ")
        return ": \(shown)" + (names.count > 6 ? " and \(names.count - 6) more" : "")
    }
}

extension Explanation.Target: ExpressibleByArgument {}
