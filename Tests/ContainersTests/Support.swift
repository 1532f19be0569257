import ByteIO
import Containers
import JSON
import ModelIR
import TestSupport
import Testing

/// A file of Fixtures/containers with what its manifest says is in it.
struct ContainerFixture: CustomTestStringConvertible, Sendable {
    var path: String
    var arrays: [Array]?
    var members: [Member]?
    /// Code of the error, where it is refused.
    var error: String?
    /// Whether what we write for its one array is the same file.
    var isSame: Bool

    struct Array: Sendable {
        var name: String
        var dtype: String
        var shape: [Int]
        var bytes: [UInt8]
    }

    struct Member: Sendable {
        var name: String
        var bytes: [UInt8]
    }

    var testDescription: String { path }

    init?(_ row: JSONObject) {
        guard let path = row["path"]?.string else { return nil }
        self.path = path
        error = row["error"]?.string
        isSame = row["same"]?.bool ?? false
        arrays = row["arrays"]?.array?.compactMap { array in
            guard let name = array["name"]?.string, let dtype = array["dtype"]?.string, let shape = array["shape"]?.array,
                let bytes = hexadecimal(array["bytes"]?.string ?? "")
            else { return nil }
            return Array(name: name, dtype: dtype, shape: shape.compactMap(\.int), bytes: bytes)
        }
        members = row["members"]?.array?.compactMap { member in
            guard let name = member["name"]?.string, let bytes = hexadecimal(member["bytes"]?.string ?? "") else { return nil }
            return Member(name: name, bytes: bytes)
        }
    }

    static let all = ((try? FixtureFiles.rows("containers/manifest.json")) ?? []).compactMap(ContainerFixture.init)
    static func ending(in suffix: String) -> [ContainerFixture] { all.filter { $0.path.hasSuffix(suffix) } }

    var contents: [UInt8] { get throws { try FixtureFiles.bytes("containers/\(path)") } }
}

func hexadecimal(_ text: String) -> [UInt8]? {
    let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count == text.utf8.count, digits.count % 2 == 0 else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func expect(_ tensor: Tensor, is array: ContainerFixture.Array) throws {
    #expect(tensor.dtype.rawValue == array.dtype)
    #expect(tensor.shape == array.shape)
    #expect(try tensor.bytes() == array.bytes)
}

/// The error that reading ends with: nil if there is none. Anything but the errors that readers document is the test's failure.
func errorOfReading(_ body: () throws -> Void) throws -> FormatError? {
    do {
        try body()
        return nil
    } catch let error as FormatError {
        return error
    } catch is UnsupportedError {
        return FormatError("", "unsupported")
    }
}

/// The error of opening an archive and reading all of it.
func zipError(_ bytes: [UInt8], limits: Limits = Limits()) throws -> FormatError? {
    try errorOfReading {
        let archive = try ZipArchive(ByteRegion(bytes: bytes), limits: limits)
        for entry in archive.entries { try archive.verify(entry) }
    }
}
