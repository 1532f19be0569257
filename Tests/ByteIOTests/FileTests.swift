import ByteIO
import Digests
import Glibc
import TestSupport
import Testing

/// A file comes into being whole or not at all.
@Suite struct OutputFileTests {
    @Test func commitPutsTheFileInPlace() throws {
        let scratch = try TemporaryDirectory()
        let output = try OutputFile(target: scratch.file("out"), replacesExisting: false)
        try output.append([1, 2, 3])
        try [9].withUnsafeBytes { try output.write(UnsafeRawBufferPointer(rebasing: $0[..<1]), at: 1) }
        #expect(access(scratch.file("out"), F_OK) != 0)
        #expect(scratch.names.count == 1)
        try output.commit()
        #expect(scratch.names == ["out"])
        #expect(try ByteRegion(path: scratch.file("out")).bytes() == [1, 9, 3])
    }

    @Test func whatIsNotCommittedGoes() throws {
        let scratch = try TemporaryDirectory()
        do {
            let output = try OutputFile(target: scratch.file("out"), replacesExisting: false)
            try output.append([1])
        }
        #expect(scratch.names == [])
    }

    @Test func existingFilesAreReplacedOnlyWhenAsked() throws {
        let scratch = try TemporaryDirectory()
        let path = try scratch.write([7], to: "out")
        let error = #expect(throws: FileError.self) { try OutputFile(target: path, replacesExisting: false) }
        #expect(error?.kind == .output)
        let output = try OutputFile(target: path, replacesExisting: true)
        try output.append([8])
        #expect(try ByteRegion(path: path).bytes() == [7])
        try output.commit()
        #expect(try ByteRegion(path: path).bytes() == [8])
    }

    /// A file that appears while another is being written is not overwritten.
    @Test func aFileThatAppearsMeanwhileStays() throws {
        let scratch = try TemporaryDirectory()
        let output = try OutputFile(target: scratch.file("out"), replacesExisting: false)
        try output.append([1])
        _ = try scratch.write([2], to: "out")
        #expect(throws: FileError.self) { try output.commit() }
        #expect(try ByteRegion(path: scratch.file("out")).bytes() == [2])
    }

    @Test func placesThatCannotBeWritten() throws {
        let scratch = try TemporaryDirectory()
        for path in [scratch.file("nowhere/out"), scratch.path, scratch.path + "/"] {
            let error = #expect(throws: FileError.self) { try OutputFile(target: path, replacesExisting: true) }
            #expect(error?.kind == .output)
        }
    }

    @Test func theTemporaryNameFitsWhereTheNameDoes() throws {
        let scratch = try TemporaryDirectory()
        let name = String(repeating: "n", count: 255)
        let output = try OutputFile(target: scratch.file(name), replacesExisting: false)
        try output.commit()
        #expect(scratch.names == [name])
    }
}

@Suite struct ByteRegionTests {
    @Test func filesAndMemoryReadAlike() throws {
        let scratch = try TemporaryDirectory()
        let bytes = (0..<1_000).map { UInt8(truncatingIfNeeded: $0) }
        for region in [ByteRegion(bytes: bytes), try ByteRegion(path: scratch.write(bytes, to: "file"))] {
            #expect(try region.bytes() == bytes)
            #expect(region.withBytes { Array($0) } == bytes)
            let part = try #require(region.subregion(offset: 100, count: 50))
            #expect(try part.bytes() == Array(bytes[100..<150]))
            #expect(try part.subregion(offset: 10, count: 5)?.bytes() == Array(bytes[110..<115]))
            for (offset, count) in [(UInt64(100), UInt64(901)), (.max, 1), (1, .max), (1_001, 0)] {
                #expect(region.subregion(offset: offset, count: count) == nil)
            }
            #expect(throws: FileError.self) { try part.bytes(45..<51) }
        }
    }

    @Test func whatIsNoFileIsAnErrorOfInput() throws {
        let scratch = try TemporaryDirectory()
        for path in [scratch.file("nowhere"), scratch.path, "/dev/null"] {
            let error = #expect(throws: FileError.self) { try ByteRegion(path: path) }
            #expect(error?.kind == .input)
            #expect(error?.path == path)
        }
        #expect(try ByteRegion(path: scratch.write([], to: "empty")).bytes() == [])
    }
}

@Suite struct TextTests {
    @Test func controlCharactersAreEscaped() {
        #expect(escapingControlCharacters("plain, ünïcode 漢字") == "plain, ünïcode 漢字")
        #expect(
            escapingControlCharacters("a\u{1B}[2J\n\u{7F}\u{85}\u{202E}\u{FEFF}") == "a\\u{1b}[2J\\u{a}\\u{7f}\\u{85}\\u{202e}\\u{feff}")
    }

    @Test func errorsAreOneLine() {
        let error = FormatError("hdf5", "truncated", at: 7, rule: "H2", expected: "a\nb", found: "c").inFile("d\ne")
        #expect(error.description == "d\\u{a}e: hdf5: truncated at byte 7 (H2): expected a\\u{a}b, found c")
        #expect(error.inFile("other").path == "d\ne")
        #expect(UnsupportedError("no", items: ["a", "b"]).description == "no: a; b")
    }

    @Test func pathsAreSplit() {
        #expect(splitPath("a/b/c") == ("a/b", "c"))
        #expect(splitPath("c") == (".", "c"))
        #expect(splitPath("/c") == ("/", "c"))
        #expect(splitPath("a/") == ("a", ""))
    }

    @Test func shapeBombs() {
        let limits = Limits()
        #expect(!limits.isShapeBomb(declared: 512 << 20, stored: 0))
        #expect(limits.isShapeBomb(declared: 512 << 20 + 1, stored: 512 << 10))
        #expect(!limits.isShapeBomb(declared: 512 << 20 + 1, stored: 600 << 10))
        #expect(!limits.isShapeBomb(declared: .max, stored: .max))
    }
}

@Suite struct DigestTests {
    @Test func knownDigests() {
        #expect(hexadecimal(SHA256.hash([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(hexadecimal(SHA256.hash(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        var pieces = SHA256()
        pieces.update(Array("a".utf8))
        pieces.update([])
        pieces.update(Array("bc".utf8))
        #expect(pieces.finish() == SHA256.hash(Array("abc".utf8)))
        #expect(xxh3([]) == 0x2D06_8005_38D3_94C2)
    }

    /// Two messages of any lengths, whole blocks in turns and then the rest, as libcrypto hashes each.
    @Test(.enabled(if: SHA256Lane.isAvailable)) func lanesAreSHA256() {
        let bytes = (0..<3_000).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 >> 3) }
        bytes.withUnsafeBytes { bytes in
            for length in Array(0...200) + [1_000, 1_024] {
                let first = UnsafeRawBufferPointer(rebasing: bytes[..<length])
                let second = UnsafeRawBufferPointer(rebasing: bytes[(length + 1)..<(2 * length + 700)])
                var (a, b) = (SHA256Lane(), SHA256Lane())
                let common = length / 64 * 64
                SHA256Lane.update(
                    &a, UnsafeRawBufferPointer(rebasing: first[..<common]), &b, UnsafeRawBufferPointer(rebasing: second[..<common]))
                let more = (second.count - common) / 64 * 64
                b.update(UnsafeRawBufferPointer(rebasing: second[common..<common + more]))
                #expect(a.finish(UnsafeRawBufferPointer(rebasing: first[common...])) == SHA256.hash(Array(first)), "\(length)")
                #expect(b.finish(UnsafeRawBufferPointer(rebasing: second[(common + more)...])) == SHA256.hash(Array(second)), "\(length)")
            }
        }
    }
}
