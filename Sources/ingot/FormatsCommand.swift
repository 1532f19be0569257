import ArgumentParser
import Architectures
import Conversion
import FormatKit
import JSON

struct FormatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "formats", abstract: "Lists the formats that are read and written, and the architectures.",
        discussion: """
            Example:
              ingot formats --json
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        if common.json {
            Terminal.output([
                "formats": .array(
                    Registry.formats.map { format in
                        [
                            "name": .string(format.name), "summary": .string(format.summary), "reads": true,
                            "writes": .bool(format.canWrite),
                            "extensions": .array(format.fileExtensions.map { .string($0) }),
                        ]
                    }),
                "architectures": .array(
                    Registry.architectures.map { ["name": .string($0.name), "summary": .string($0.summary)] }),
            ])
            return
        }
        var rows = [["format", "reads", "writes", "names", ""]]
        for format in Registry.formats {
            rows.append([
                format.name, "yes", format.canWrite ? "yes" : "no", format.fileExtensions.joined(separator: " "), format.summary,
            ])
        }
        TextTable(rows: rows).lines.forEach(Terminal.output)
        Terminal.output("")
        TextTable(rows: [["architecture", ""]] + Registry.architectures.map { [$0.name, $0.summary] }).lines.forEach(Terminal.output)
    }
}
