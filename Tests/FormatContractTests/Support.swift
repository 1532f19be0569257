import Architectures
import ByteIO
import Conversion
import FormatKit
import ModelIR
import TestSupport
import Testing

/// The bytes of one good file of a format.
struct Sample: Sendable, CustomStringConvertible {
    var format: any ModelFormat.Type
    var name: String
    var bytes: [UInt8]

    var description: String { "\(format.name) \(name)" }
}

/// Good files of every registered format: the fixtures that it recognises; where there are none, models converted to it.
enum Samples {
    static let all: [Sample] = Registry.formats.flatMap { format -> [Sample] in
        let found = fixtures.filter { format.matches(ByteRegion(bytes: $0.bytes)) }
        let files = found.isEmpty && format.canWrite ? models.prefix(6).compactMap { converted($0.path, to: format) } : found
        return files.map { Sample(format: format, name: $0.path, bytes: $0.bytes) }
    }

    /// The smallest of each format.
    static let smallest: [Sample] = Registry.formats.compactMap { format in all.first { $0.format == format } }
    /// A few of each format, of all sizes.
    static let some: [Sample] = Registry.formats.flatMap { format in
        let files = all.filter { $0.format == format }
        return files.indices.filter { $0 % max(1, files.count / 20) == 0 }.map { files[$0] }
    }

    /// All fixtures, the smallest first.
    private static let fixtures: [(path: String, bytes: [UInt8])] = (Fixtures.models.map(\.path) + Fixtures.plain).compactMap { path in
        (try? Fixtures.bytes(path)).map { (path, $0) }
    }.sorted { ($0.bytes.count, $0.path) < ($1.bytes.count, $1.path) }

    private static let models = fixtures.filter { !Fixtures.plain.contains($0.path) }

    private static func converted(_ path: String, to format: any ModelFormat.Type) -> (path: String, bytes: [UInt8])? {
        guard let scratch = try? TemporaryDirectory(), let ending = format.fileExtensions.first else { return nil }
        let output = scratch.file("model\(ending)")
        let row = Fixtures.model(path)
        let options = ConversionOptions(threadCount: 1, configuration: row.configurationPath)
        guard (try? convert(row.absolutePath, to: output, options: options)) != nil else { return nil }
        return (try? ByteRegion(path: output).bytes()).map { (path, $0) }
    }
}

/// The error of opening a file and reading everything in it; nil if there is none.
func refusal(_ bytes: [UInt8]) -> (any Error)? {
    let region = ByteRegion(bytes: bytes)
    let formats = Registry.formats.filter { $0.matches(region) }
    guard let format = formats.first else { return FormatError("model", "unknown-format") }
    do {
        let checkpoint = try format.open(region, limits: Limits())
        for entry in checkpoint.tensors { try entry.tensor.forEachPiece { _ in } }
        _ = try format.check(region, limits: Limits())
        for architecture in Registry.architectures { _ = try architecture.lift(checkpoint)?.graph() }
        return nil
    } catch {
        return error
    }
}

/// Whether an error is one that a bad file may cause.
func isOfBadData(_ error: any Error) -> Bool { error is FormatError || error is UnsupportedError || error is GraphError }

func written(_ checkpoint: Checkpoint, in format: any ModelFormat.Type, threadCount: Int = 1) throws -> [UInt8] {
    let scratch = try TemporaryDirectory()
    let output = try OutputFile(target: scratch.file("file"), replacesExisting: false)
    try format.write(checkpoint, to: output, options: WriteOptions(threadCount: threadCount))
    try output.commit()
    return try ByteRegion(path: scratch.file("file")).bytes()
}
