import ByteIO
import Containers
import TestSupport
import Testing

@Suite("zip: writing")
struct ZipWriterTests {
    static let members: [(name: String, bytes: [UInt8])] = [
        ("metadata.json", Array("{}".utf8)), ("a/b.bin", (0..<3000).map { UInt8($0 % 251) }), ("größe 中.txt", [1]), ("empty", []),
        ("folder/", []),
    ]

    private func written(alignment: Int = 1, in file: TemporaryPath) throws -> [UInt8] {
        try file.bytes { output in
            let writer = ZipWriter(output)
            for (name, bytes) in Self.members { try writer.addMember(name, bytes: bytes, alignment: alignment) }
            try writer.finish()
        }
    }

    @Test("what is written reads back, aligned", arguments: [1, 64, 4096])
    func roundTrip(alignment: Int) throws {
        let bytes = try written(alignment: alignment, in: try TemporaryPath())
        #expect(try written(alignment: alignment, in: try TemporaryPath()) == bytes)
        let archive = try ZipArchive(ByteRegion(bytes: bytes))
        #expect(archive.entries.map(\.name) == Self.members.map(\.name))
        for (entry, member) in zip(archive.entries, Self.members) {
            #expect(try archive.bytes(of: entry) == member.bytes)
            #expect(try #require(entry.storedRegion).offset % alignment == 0)
        }
    }

    @Test("without alignment it is what the format's description says, field by field")
    func layout() throws {
        var expected = CraftedZip(Self.members.map { CraftedZip.Member($0.name, $0.bytes) })
        expected.members[2].flags = 1 << 11
        // Versions and dates are the same in both.
        #expect(try written(in: try TemporaryPath()) == expected.bytes)
    }

    @Test("contents from a file, in pieces")
    func streaming() throws {
        let source = try TemporaryPath()
        let contents = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        _ = try source.bytes { try $0.append(contents) }
        let target = try TemporaryPath()
        let bytes = try target.bytes { output in
            let writer = ZipWriter(output)
            try writer.addMember("big", contentsOf: try ByteRegion(path: source.path), alignment: 64)
            try writer.finish()
        }
        let archive = try ZipArchive(ByteRegion(bytes: bytes))
        #expect(try archive.bytes(of: try #require(archive.entries.first)) == contents)
    }

    @Test("more members than 16 bits count")
    func manyMembers() throws {
        let file = try TemporaryPath()
        let bytes = try file.bytes { output in
            let writer = ZipWriter(output)
            for i in 0..<65_540 { try writer.addMember("\(i)", bytes: []) }
            try writer.finish()
        }
        let archive = try ZipArchive(ByteRegion(bytes: bytes))
        #expect(archive.entries.count == 65_540)
        #expect(archive.entries.last?.name == "65539")
        // Its zip64 records must be there and agree.
        for (back, value) in [(22 + 20, 0), (22 + 20 + 56, 0), (22 + 8, 1), (22 + 20 + 32, 0), (22 - 10, 0)] {
            var broken = bytes
            broken[bytes.count - back] = UInt8(value) &+ broken[bytes.count - back] &+ 1
            #expect(try zipError(broken) != nil, "\(back) bytes before the end")
        }
    }

    @Test("refused names", arguments: ["", "/a", "../a", "a/./b", "a\\b", "a\nb", "a//b"])
    func refusedNames(name: String) throws {
        let file = try TemporaryPath()
        let output = try OutputFile(target: file.path, replacesExisting: true)
        #expect(throws: UnsupportedError.self) { try ZipWriter(output).addMember(name, bytes: []) }
    }

    @Test("a name twice, and contents of another size than said")
    func refused() throws {
        let file = try TemporaryPath()
        let writer = ZipWriter(try OutputFile(target: file.path, replacesExisting: true))
        try writer.addMember("a", bytes: [])
        #expect(throws: UnsupportedError.self) { try writer.addMember("a", bytes: []) }
        for size in [3, 5] as [UInt64] {
            #expect(throws: FileError.self) {
                try writer.addMember("b\(size)", size: size) { append in try [1, 2, 3, 4].withUnsafeBytes(append) }
            }
        }
    }
}
