import ByteIO
import FormatKit
import JSON
import ModelIR
import PyTorchFormat
import TestSupport
import Testing

func open(_ bytes: [UInt8], limits: Limits = Limits()) throws -> Checkpoint {
    try PyTorchFormat.open(ByteRegion(bytes: bytes), limits: limits)
}

/// The error of opening, reading and checking a file; nil if there is none. An error of another kind is the test's failure.
func errorOfReading(_ bytes: [UInt8], limits: Limits = Limits()) throws -> FormatError? {
    do {
        let checkpoint = try open(bytes, limits: limits)
        for entry in checkpoint.tensors { try entry.tensor.forEachPiece { _ in } }
        _ = try PyTorchFormat.check(ByteRegion(bytes: bytes), limits: limits)
        return nil
    } catch let error as FormatError {
        return error
    } catch is UnsupportedError {
        return FormatError("pytorch", "unsupported", rule: "")
    }
}

func hexadecimalText(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}

/// An archive of a pickle and storages that are called 0, 1, ...
func archive(_ pickle: [UInt8], _ storages: [[UInt8]] = []) -> [UInt8] {
    var members = [CraftedZip.Member("x/data.pkl", pickle)]
    for (i, bytes) in storages.enumerated() { members.append(.init("x/data/\(i)", bytes)) }
    return CraftedZip(members).bytes
}
