import ByteIO
import FormatKit
import Glibc
import JSON
import ModelIR
import Testing

@testable import HDF5File

/// The repository's fixtures, found from where this file lies.
enum Fixtures {
    static let folder = splitPath(splitPath(splitPath(#filePath).directory).directory).directory + "/Fixtures"

    static func bytes(_ path: String) throws -> [UInt8] {
        let region = try ByteRegion(path: "\(folder)/\(path)")
        return try region.bytes(0..<region.count)
    }

    static func rows(_ manifest: String) throws -> [[String: JSONValue]] {
        guard case .array(let rows) = try JSONValue.parse(try bytes(manifest)) else { return [] }
        return rows.compactMap { row in
            guard case .object(let object) = row else { return nil }
            return Dictionary(object.members.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        }
    }

    static func checkpoint(_ path: String) throws -> Checkpoint {
        try HDF5Checkpoint.read(try ByteRegion(path: "\(folder)/\(path)"), format: "hdf5", limits: Limits())
    }
}

extension JSONValue {
    var text: String? { if case .string(let text) = self { text } else { nil } }
}

/// A path for a file of this test, removed with its owner.
final class TemporaryFile {
    let path: String

    init() throws {
        var template = Array("/tmp/ingot-hdf5-test-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        close(descriptor)
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { unlink(path) }
}

/// The bytes of the file that a checkpoint is written as.
func written(_ checkpoint: Checkpoint, options: WriteOptions = WriteOptions()) throws -> [UInt8] {
    let file = try TemporaryFile()
    let output = try OutputFile(target: file.path, replacesExisting: true)
    try HDF5Checkpoint.write(checkpoint, to: output, options: options)
    try output.commit()
    let region = try ByteRegion(path: file.path)
    return try region.bytes(0..<region.count)
}

func read(_ bytes: [UInt8], limits: Limits = Limits()) throws -> Checkpoint {
    try HDF5Checkpoint.read(ByteRegion(bytes: bytes), format: "hdf5", limits: limits)
}

/// The error of reading, also of reading every tensor; nil if there is none.
func readingError(_ bytes: [UInt8], limits: Limits = Limits()) throws -> FormatError? {
    do {
        for entry in try read(bytes, limits: limits).tensors { _ = try entry.tensor.bytes() }
        return nil
    } catch let error as FormatError {
        return error
    }
}

func expectEqual(_ a: Checkpoint, _ b: Checkpoint) throws {
    #expect(a.groups == b.groups)
    #expect(a.ties == b.ties)
    #expect(a.tensors.map(\.name) == b.tensors.map(\.name))
    for (x, y) in zip(a.tensors, b.tensors) {
        #expect(x.tensor.dtype == y.tensor.dtype, "\(x.name)")
        #expect(x.tensor.shape == y.tensor.shape, "\(x.name)")
        #expect(x.attributes == y.attributes, "\(x.name)")
        #expect(try x.tensor.bytes() == y.tensor.bytes(), "\(x.name)")
    }
}
