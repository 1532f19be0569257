import ArgumentParser
import Conversion
import JSON

struct InspectCommand: ParsableCommand, ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Shows layers, shapes, parameters, and what wrote the file.",
        discussion: """
            Examples:
              ingot inspect model.h5
              ingot inspect model.h5 --tensors --filter '*lstm*' --stats
              ingot inspect model.keras --graph
              ingot inspect model.ingot --json
            """)

    @Argument(help: "A model file, or a directory with one.")
    var model: String

    @Flag(help: "List every tensor in the file.")
    var tensors = false

    @Flag(help: "Print the graph in text form.")
    var graph = false

    @Option(help: ArgumentHelp("Only layers and tensors whose name matches (* and ?).", valueName: "glob"))
    var filter: String?

    @Flag(help: "With each tensor its minimum, maximum, mean and standard deviation (reads all weights).")
    var stats = false

    @Flag(help: "Compute the fingerprint of a large file too (reads all weights).")
    var fingerprint = false

    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var common: CommonOptions

    func run() throws {
        let file = try ModelFile.open(model, configuration: modelOptions.config, choices: modelOptions.choices)
        let inspection = try Inspection(file, withStatistics: stats, withFingerprint: fingerprint ? true : nil)
        let matches: (String) -> Bool = { name in filter.map { Glob($0).matches(name) } ?? true }
        if common.json {
            Terminal.output(inspection.json(withTensors: tensors || stats, withGraph: graph, filter: matches))
            return
        }
        InspectionText(inspection, matches: matches).summary()
        if tensors || stats { InspectionText(inspection, matches: matches).tensors() }
        if graph {
            if let graph = inspection.graph {
                Terminal.raw("\n" + graph.text)
            } else {
                throw CommandFailure(code: 69, message: "no graph: \(inspection.obstacles.joined(separator: "; "))")
            }
        }
    }
}
