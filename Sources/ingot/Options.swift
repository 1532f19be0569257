import ArgumentParser
import Executor

/// Options of every command.
struct CommonOptions: ParsableArguments {
    @Flag(help: "Print one JSON document instead of text.")
    var json = false

    @Flag(help: "Print results and errors only.")
    var quiet = false
}

/// The model that a command works on.
struct ModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A configuration for weights that carry none.", valueName: "file"))
    var config: String?

    @Option(
        name: .customLong("assume"),
        help: ArgumentHelp(
            "What weights without a configuration leave open: recurrent_activation=sigmoid, or for one layer lstm_1.activation=relu; repeatable.",
            valueName: "key=value"))
    var assumptions: [String] = []

    /// `--assume` by key.
    var choices: [String: String] {
        Dictionary(
            assumptions.compactMap { text in text.firstIndex(of: "=").map { (String(text[..<$0]), String(text[text.index(after: $0)...])) }
            },
            uniquingKeysWith: { _, last in last })
    }

    func validate() throws {
        for text in assumptions where !text.dropFirst().contains("=") { throw ValidationError("--assume takes KEY=VALUE") }
    }
}

/// Bounds of agreement: a value passes if its difference is at most atol + rtol * RMS of its channel.
struct ToleranceOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Absolute tolerance.", valueName: "x"))
    var atol = 1e-6

    @Option(help: ArgumentHelp("Relative tolerance.", valueName: "x"))
    var rtol = 1e-5

    var tolerance: Tolerance { Tolerance(absolute: atol, relative: rtol) }

    func validate() throws {
        guard atol >= 0, rtol >= 0 else { throw ValidationError("tolerances are not negative") }
    }
}

/// A count of bytes on the command line: `500MB`, `2GiB`, `123456`.
struct ByteCount: ExpressibleByArgument {
    var value: UInt64

    init?(argument: String) {
        let units: [(String, UInt64)] = [
            ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("KB", 1_000), ("kB", 1_000), ("MB", 1_000_000),
            ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
        ]
        let (text, unit) = units.first { argument.hasSuffix($0.0) }.map { (String(argument.dropLast($0.0.count)), $0.1) } ?? (argument, 1)
        guard let number = Double(text), number >= 0, number * Double(unit) < 1e18 else { return nil }
        value = UInt64(number * Double(unit))
    }
}

extension Backend: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}
