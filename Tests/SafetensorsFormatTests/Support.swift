import ByteIO
import FormatKit
import JSON
import ModelIR
import SafetensorsFormat
import TestSupport
import Testing

func open(_ bytes: [UInt8], limits: Limits = Limits()) throws -> Checkpoint {
    try SafetensorsFormat.open(ByteRegion(bytes: bytes), limits: limits)
}

func written(_ checkpoint: Checkpoint) throws -> [UInt8] {
    let file = try TemporaryPath()
    return try file.bytes { try SafetensorsFormat.write(checkpoint, to: $0, options: WriteOptions()) }
}

/// A file put together by hand.
func file(_ header: String, _ data: [UInt8] = []) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(UInt64(header.utf8.count))
    writer.append(header.utf8)
    writer.append(data)
    return writer.bytes
}

/// The error of opening a file and reading its tensors; nil if there is none. An error of another kind is the test's failure.
func errorOfReading(_ bytes: [UInt8], limits: Limits = Limits()) throws -> FormatError? {
    do {
        let checkpoint = try open(bytes, limits: limits)
        for entry in checkpoint.tensors { _ = try entry.tensor.bytes() }
        return nil
    } catch let error as FormatError {
        return error
    } catch is UnsupportedError {
        return FormatError("safetensors", "unsupported-dtype", rule: "S7")
    }
}

func hexadecimalText(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}
