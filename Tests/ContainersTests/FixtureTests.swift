import ByteIO
import Containers
import JSON
import ModelIR
import TestSupport
import Testing

/// Files that NumPy and Python's zipfile wrote, against what they read from them.
@Suite struct FixtureTests {
    struct Row: Sendable, CustomStringConvertible {
        var path: String
        var value: JSONValue

        var description: String { path }
        func bytes() throws -> [UInt8] { try Fixtures.bytes("containers/\(path)") }
    }

    static let rows: [Row] = {
        guard let bytes = try? Fixtures.bytes("containers/manifest.json"), let rows = try? JSONValue.parse(bytes).array else { return [] }
        return rows.compactMap { row in row["path"]?.string.map { Row(path: $0, value: row) } }
    }()
    static let arrays = rows.filter { $0.value["arrays"] != nil }
    static let archives = rows.filter { $0.value["members"] != nil }

    @Test func fixturesAreThere() { #expect(Self.arrays.count > 30 && Self.archives.count > 8) }

    @Test(arguments: arrays) func arraysAreReadAsNumPyDoes(row: Row) throws {
        let bytes = try row.bytes()
        let found = try NPZArchive.read(ByteRegion(bytes: bytes))
        let expected = try #require(row.value["arrays"]?.array)
        #expect(found.map(\.name) == expected.compactMap { $0["name"]?.string })
        for (array, wanted) in zip(found, expected) {
            #expect(array.tensor.dtype.rawValue == wanted["dtype"]?.string)
            #expect(array.tensor.shape == wanted["shape"]?.array?.compactMap(\.int))
            #expect(try array.tensor.bytes() == hexadecimal(wanted["bytes"]?.string ?? ""))
            if row.value["same"]?.bool == true { #expect(try NumPyArray.bytes(of: array.tensor) == bytes) }
        }
    }

    @Test(arguments: archives) func membersAreReadAsPythonDoes(row: Row) throws {
        let archive = { try ZipArchive(ByteRegion(bytes: row.bytes())) }
        if let code = row.value["error"]?.string {
            let error = #expect(throws: FormatError.self) {
                let opened = try archive()
                for entry in opened.entries { _ = try opened.bytes(of: entry) }
            }
            #expect(error?.code.rawValue == code)
            return
        }
        let opened = try archive()
        let expected = try #require(row.value["members"]?.array)
        #expect(opened.entries.map(\.name) == expected.compactMap { $0["name"]?.string })
        for (entry, wanted) in zip(opened.entries, expected) {
            #expect(try opened.bytes(of: entry) == hexadecimal(wanted["bytes"]?.string ?? ""))
            try opened.verify(entry)
        }
    }

    /// Every truncation and a few hundred flips of an archive: one error or none, never a trap, and no other contents.
    @Test(arguments: archives + arrays.filter { $0.path.hasSuffix(".npz") }) func damage(row: Row) throws {
        let bytes = try row.bytes()
        func contents(_ bytes: [UInt8]) throws -> [[UInt8]] {
            let archive = try ZipArchive(ByteRegion(bytes: bytes))
            return try archive.entries.map { try archive.bytes(of: $0) }
        }
        guard let whole = try? contents(bytes) else { return }
        for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 500)) {
            #expect(throws: FormatError.self, "\(count) bytes") { try contents(Array(bytes[..<count])) }
        }
        var generator = SplitMix(seed: 3)
        for _ in 0..<300 {
            var damaged = bytes
            let position = Int.random(in: 0..<bytes.count, using: &generator)
            damaged[position] ^= UInt8.random(in: 1...255, using: &generator)
            do {
                let found = try contents(damaged)
                if found != whole { Issue.record("byte \(position): other contents without an error") }
            } catch is FormatError {
            }
        }
    }

    @Test func writtenArraysReadBack() throws {
        let scratch = try TemporaryDirectory()
        var arrays: [(name: String, tensor: Tensor)] = []
        for dtype in DType.allCases where ![.bf16, .f8e4m3, .f8e5m2].contains(dtype) {
            for shape in [[], [0], [3], [2, 3]] {
                let values = (0..<shape.reduce(1, *)).map { Double($0 % 2) }
                arrays.append(("\(dtype)/\(shape.count)\(shape)", Tensor(values, dtype: dtype, shape: shape)))
            }
        }
        for path in [scratch.file("a.npz"), scratch.file("b.npz")] {
            let output = try OutputFile(target: path, replacesExisting: false)
            try NPZArchive.write(arrays, to: output)
            try output.commit()
        }
        #expect(try ByteRegion(path: scratch.file("a.npz")).bytes() == ByteRegion(path: scratch.file("b.npz")).bytes())
        let found = try NPZArchive.read(path: scratch.file("a.npz"))
        #expect(found.map(\.name) == arrays.map(\.name))
        for (a, b) in zip(found, arrays) {
            #expect(a.tensor.dtype == b.tensor.dtype && a.tensor.shape == b.tensor.shape, "\(b.name)")
            #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(b.name)")
        }
    }

    private func hexadecimal(_ text: String) -> [UInt8] {
        let digits = Array(text.utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
        }
    }
}
