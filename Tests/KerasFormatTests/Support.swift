import ByteIO
import FormatKit
import KerasFormat
import TestSupport
import Testing

func open(_ bytes: [UInt8], limits: Limits = Limits()) throws -> Checkpoint {
    try KerasFormat.open(ByteRegion(bytes: bytes), limits: limits)
}

func written(_ checkpoint: Checkpoint) throws -> [UInt8] {
    let file = try TemporaryPath()
    return try file.bytes { try KerasFormat.write(checkpoint, to: $0, options: WriteOptions()) }
}

/// The error of opening, checking and reading every tensor; nil if there is none. Other errors than those of bad data are the test's failure.
func errorOfReading(_ bytes: [UInt8], limits: Limits = Limits()) throws -> FormatError? {
    do {
        let checkpoint = try open(bytes, limits: limits)
        for entry in checkpoint.tensors { _ = try entry.tensor.bytes() }
        _ = try KerasFormat.check(ByteRegion(bytes: bytes), limits: limits)
        return nil
    } catch let error as FormatError {
        return error
    } catch is UnsupportedError {
        return FormatError("", "unsupported")
    }
}

func expectEqual(_ a: Checkpoint, _ b: Checkpoint) throws {
    #expect(a.documents == b.documents)
    #expect(a.groups == b.groups)
    #expect(a.ties == b.ties)
    #expect(a.opaque == b.opaque)
    #expect(a.tensors.map(\.name) == b.tensors.map(\.name))
    for (x, y) in zip(a.tensors, b.tensors) {
        #expect(x.tensor.dtype == y.tensor.dtype, "\(x.name)")
        #expect(x.tensor.shape == y.tensor.shape, "\(x.name)")
        #expect(x.attributes == y.attributes, "\(x.name)")
        #expect(try x.tensor.bytes() == y.tensor.bytes(), "\(x.name)")
    }
}

/// The members of an archive that Keras wrote, to break one of them.
func members(of checkpoint: Checkpoint, weights: [UInt8]) -> [CraftedZip.Member] {
    checkpoint.documents.map { CraftedZip.Member($0.name, $0.bytes) } + [CraftedZip.Member("model.weights.h5", weights)]
}
