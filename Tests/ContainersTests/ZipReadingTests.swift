import ByteIO
import Containers
import TestSupport
import Testing

@Suite("zip: reading")
struct ZipReadingTests {
    @Test("what Python's zipfile wrote", arguments: ContainerFixture.ending(in: ".zip"))
    func reads(fixture: ContainerFixture) throws {
        let region = ByteRegion(bytes: try fixture.contents)
        let expected = try #require(fixture.members)
        if let code = fixture.error {
            #expect(try zipError(try region.bytes())?.code.rawValue == code)
            return
        }
        #expect(ZipArchive.matches(region))
        let archive = try ZipArchive(region)
        #expect(archive.entries.map(\.name) == expected.map(\.name))
        for (entry, member) in zip(archive.entries, expected) {
            #expect(try archive.bytes(of: entry) == member.bytes)
            #expect(entry.size == UInt64(member.bytes.count))
            #expect(entry.crc32 == crc32Checksum(member.bytes))
            #expect(entry.isDirectory == member.name.hasSuffix("/"))
            if entry.method == .stored { #expect(try entry.storedRegion?.bytes() == member.bytes) }
        }
        #expect(ZipArchive.firstMemberName(region) == expected.first?.name)
        #expect(archive.entry("metadata.json")?.name == expected.first?.name)
    }

    @Test("refused, each by its code", arguments: BrokenZip.all)
    func refused(zip: BrokenZip) throws {
        let error = try zipError(zip.bytes)
        #expect(error?.code.rawValue == zip.code, "\(String(describing: error))")
        #expect(error?.format == "zip")
    }

    @Test("accepted: numbers in zip64 fields, deferred sizes, gaps, padding in extra fields")
    func accepted() throws {
        func isFine(_ change: (inout CraftedZip.Member) -> Void) throws -> Bool {
            try zipError(BrokenZip.member("", change).bytes) == nil
        }
        #expect(try isFine { _ in })
        #expect(try isFine { $0.extra = [9, 9, 1, 0, 5, 0, 0] })
        #expect(try isFine { ($0.flags, $0.localCRC32, $0.localSize) = (8, 0, 0) })
        #expect(try isFine { $0.data += [1, 2, 3, 4] })
        #expect(
            try isFine {
                $0.extra = BrokenZip.zip64([3, 3, 0])
                ($0.size, $0.compressedSize, $0.offset) = (0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF)
                $0.localExtra = BrokenZip.zip64([3, 3])
                $0.localSize = 0xFFFF_FFFF
            })
        // Once any of the numbers in the zip64 fields disagree, it is another member.
        #expect(
            try !isFine {
                $0.localExtra = BrokenZip.zip64([3, 4])
                $0.localSize = 0xFFFF_FFFF
            })
    }

    @Test("limits")
    func limits() throws {
        func code(_ change: (inout Limits) -> Void) throws -> String? {
            var limits = Limits()
            change(&limits)
            return try zipError(BrokenZip.sample.bytes, limits: limits)?.code.rawValue
        }
        #expect(try code { _ in } == nil)
        #expect(try code { $0.objectCount = 2 } == "too-large")
        #expect(try code { $0.metadataByteCount = 100 } == "too-large")
        #expect(try code { $0.nameByteCount = 4 } == "too-large")
        #expect(try code { ($0.expansionFloor, $0.expansionFactor) = (100, 0) } == "zip-bomb")
        let archive = try ZipArchive(ByteRegion(bytes: BrokenZip.sample.bytes))
        #expect(try archive.bytes(of: archive.entries[0], limit: 3) == [1, 2, 3])
        #expect(try errorOfReading { _ = try archive.bytes(of: archive.entries[0], limit: 2) }?.code == "too-large")
    }

    @Test("every truncation is refused", arguments: ["zip_comment.zip", "zip_descriptors_zip64.zip", "zip_zip64.zip"])
    func truncations(name: String) throws {
        let bytes = try FixtureFiles.bytes("containers/\(name)")
        for count in 0..<bytes.count { #expect(try zipError(Array(bytes[..<count])) != nil, "\(count) bytes") }
    }

    @Test(
        "damaged files never trap, and fail by a code of zip's",
        arguments: ["zip_stored.zip", "zip_deflated.zip", "zip_zip64_deflated.zip"])
    func damage(name: String) throws {
        let bytes = try FixtureFiles.bytes("containers/\(name)")
        for seed in 0..<5_000 as Range<UInt64> {
            let damaged = damaged(bytes, seed: seed)
            if let error = try zipError(damaged) {
                #expect(error.code.rawValue.contains("zip") || ["bad-text", "too-large"].contains(error.code.rawValue), "\(error)")
            }
            _ = ZipArchive.firstMemberName(ByteRegion(bytes: damaged))
        }
    }
}
