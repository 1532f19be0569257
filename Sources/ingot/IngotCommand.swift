import ArgumentParser
import Conversion
import HDF5File

@main
struct IngotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingot",
        abstract: "Converts, inspects and proves machine-learning checkpoints.",
        discussion: """
            Examples:
              ingot inspect model.h5
              ingot run model.h5 --inputs in.npz --output out.npz
              ingot convert model.h5 model.keras
              ingot verify model.h5 model.keras

            Exit codes: 0 done, 1 a difference, 64 usage, 65 bad data, 66 no input, 69 not supported or not expressible, 70 internal,
            73 can't write.
            """,
        version: "ingot \(ingotVersion)",
        subcommands: [
            InspectCommand.self, ConvertCommand.self, RunCommand.self, VerifyCommand.self, DiffCommand.self, ExplainCommand.self,
            CheckCommand.self, FormatsCommand.self, ManualCommand.self,
        ])

    static func main() {
        HDF5Isolation.serveIfAsked()
        CommandRunner.run()
    }
}
