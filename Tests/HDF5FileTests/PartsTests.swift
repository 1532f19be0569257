import ByteIO
import FormatKit
import ModelIR
import Testing

@testable import HDF5File

@Suite struct PartsTests {
    @Test func swapsAtAnyOffset() throws {
        let bytes = (0..<24).map { UInt8($0) }
        let storage = SwappedStorage(base: ByteRegion(bytes: bytes), elementSize: 8)
        let expected = stride(from: 0, to: 24, by: 8).flatMap { bytes[$0..<$0 + 8].reversed() }
        for start in 0..<24 {
            for end in start...24 {
                var result = [UInt8](repeating: 0xEE, count: end - start)
                try result.withUnsafeMutableBytes { try storage.read(into: $0, at: start) }
                #expect(result == Array(expected[start..<end]))
            }
        }
    }

    @Test func fillsAtAnyOffset() throws {
        let storage = FillStorage(element: [1, 2, 3, 4], byteCount: 16)
        var result = [UInt8](repeating: 0, count: 7)
        try result.withUnsafeMutableBytes { try storage.read(into: $0, at: 3) }
        #expect(result == [4, 1, 2, 3, 4, 1, 2])
    }

    @Test func lzf() {
        // Three literals, then nine bytes from three back.
        #expect(lzfDecompressed([2, 1, 2, 3, 0xE0, 0, 2], limit: 12) == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3])
        #expect(lzfDecompressed([2, 1, 2, 3, 0xE0, 0, 2], limit: 11) == nil)
        #expect(lzfDecompressed([2, 1, 2], limit: 12) == nil)
        #expect(lzfDecompressed([0x20, 0], limit: 12) == nil)
        #expect(lzfDecompressed([0xE0], limit: 12) == nil)
    }

    @Test func overflowingProducts() {
        #expect(checkedProduct([1 << 40, 1 << 40], 1) == nil)
        #expect(checkedProduct([1 << 40, 0, 1 << 40], 1) == nil)
        #expect(checkedProduct([1 << 62, 2], 1) == nil)
        #expect(checkedProduct([3, 0], 4) == 0)
        #expect(checkedProduct([], 8) == 8)
    }

    @Test func splitsListsAsKerasDoes() {
        #expect(splitAttribute("names", []) == [Attribute("names", .numbers(.init(dtype: .f64, shape: [0], bytes: [])))])
        let few = splitAttribute("names", ["a", "bc"])
        #expect(few.map(\.name) == ["names"])
        #expect(few.strings("names") == ["a", "bc"])

        // 1000 names of 100 bytes: 645 fit, so two parts of 500.
        let many = (0..<1_001).map { String(repeating: "x", count: 96) + String(1_000 + $0).suffix(4) }
        let parts = splitAttribute("names", many)
        #expect(parts.map(\.name) == ["names0", "names1"])
        #expect(parts.map { $0.value.shape } == [[501], [500]])
        #expect(parts.allSatisfy { $0.value.headerByteCount <= 64_512 })
        #expect(parts.strings("names") == many)

        // Short names whose references alone are too many.
        let short = (0..<9_000).map { String($0) }
        #expect(splitAttribute("names", short).allSatisfy { $0.value.headerByteCount <= 64_512 })
        #expect(splitAttribute("names", short).strings("names") == short)
        let long = [String(repeating: "y", count: 70_000), "z"]
        #expect(splitAttribute("names", long).strings("names") == long)
    }

    @Test func findsTheSignatureBehindAUserBlock() {
        func offset(_ position: Int, size: Int) -> Int? {
            var bytes = [UInt8](repeating: 0, count: size)
            if position + 8 <= size { bytes.replaceSubrange(position..<position + 8, with: HDF5Index.signature) }
            return HDF5Index.superblockOffset(in: ByteRegion(bytes: bytes))
        }
        #expect(offset(0, size: 8) == 0)
        #expect(offset(512, size: 600) == 512)
        #expect(offset(2_048, size: 4_000) == 2_048)
        #expect(offset(1_536, size: 4_000) == nil)
        #expect(offset(0, size: 7) == nil)
    }
}
