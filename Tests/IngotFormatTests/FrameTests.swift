import ByteIO
import Digests
import FormatKit
import ModelIR
import Testing

@testable import IngotFormat

/// Rule I16, and what a reader must accept beyond what this writer makes.
@Suite struct FrameTests {
    /// 8,192 bytes whose one plane is stored as `stored`.
    private func file(storing stored: [UInt8], of plane: [UInt8]) throws -> [UInt8] {
        let checkpoint = Checkpoint(
            format: "test", tensors: [.init(name: "x", tensor: Tensor(dtype: .u8, shape: [plane.count], bytes: plane))])
        var parts = try IngotParts(written(checkpoint))
        parts.data = stored
        try parts.change {
            $0.blobs[0].planeLengths = [UInt32(stored.count)]
            $0.blobs[0].checksums = [xxh3(stored)]
        }
        return parts.bytes
    }

    private let plane = (0..<8_192).map { UInt8(truncatingIfNeeded: $0 / 7 % 50) }

    @Test func everyStandardFrameIsAccepted() throws {
        let constant = [UInt8](repeating: 9, count: 8_192)
        let half = Array(plane[..<4_096])
        let accepted: [([UInt8], [UInt8])] = [
            (frame(plane), plane),
            (frame(plane, checksum: true), plane),
            (frame(half + half, checksum: true), half + half),
            // A window, a content size of four bytes, and one block that repeats a byte.
            (frameHeader(descriptor: 0x80, window: [0x00], contentSize: u32(8_192)) + repeatedBlock(9, count: 8_192), constant),
            // A single segment, and an empty block before the last one.
            (frameHeader(descriptor: 0xA0, window: [], contentSize: u32(8_192)) + [0, 0, 0] + repeatedBlock(9, count: 8_192), constant),
        ]
        for (i, (stored, plane)) in accepted.enumerated() {
            let bytes = try file(storing: stored, of: plane)
            #expect(try opened(bytes).tensors[0].tensor.bytes() == plane, "frame \(i)")
            _ = try IngotFormat.check(ByteRegion(bytes: bytes), limits: Limits())
        }
    }

    private func frameHeader(descriptor: UInt8, window: [UInt8], contentSize: [UInt8]) -> [UInt8] {
        u32(0xFD2F_B528) + [descriptor] + window + contentSize
    }

    /// A last block of type 1.
    private func repeatedBlock(_ byte: UInt8, count: Int) -> [UInt8] { Array(u32(UInt32(count << 3 | 1 << 1 | 1)).prefix(3)) + [byte] }

    @Test func framesThatAreRefused() throws {
        let constant = [UInt8](repeating: 9, count: 8_191) + [9]
        let block = repeatedBlock(9, count: constant.count)
        let size = u32(UInt32(constant.count))
        let whole = frame(plane)
        let refused: [(String, [UInt8])] = [
            ("no frame", randomBytes(100, seed: 1)),
            ("one byte more", whole + [0]),
            ("one byte less", Array(whole.dropLast())),
            ("two frames", frame(Array(plane[..<4_096])) + frame(Array(plane[4_096...]))),
            ("a skippable frame before it", u32(0x184D_2A50) + u32(1) + [0] + whole),
            ("only a skippable frame", u32(0x184D_2A50) + u32(10) + [UInt8](repeating: 0, count: 10)),
            ("no content size", frame(plane, contentSize: false)),
            ("content of another size", frame(plane + [1])),
            ("shorter content", frame(Array(plane.dropLast()))),
            ("a dictionary", frameHeader(descriptor: 0xA1, window: [], contentSize: [1] + size) + block),
            ("a window of 16 MiB", frameHeader(descriptor: 0x80, window: [14 << 3], contentSize: size) + block),
            ("a window past all bounds", frameHeader(descriptor: 0x80, window: [0xFF], contentSize: size) + block),
            ("a reserved bit", frameHeader(descriptor: 0xA8, window: [], contentSize: size) + block),
            ("less content than it says", frameHeader(descriptor: 0xA0, window: [], contentSize: size) + repeatedBlock(9, count: 8_191)),
            ("more content than it says", frameHeader(descriptor: 0xA0, window: [], contentSize: size) + repeatedBlock(9, count: 8_193)),
            ("a wrong checksum", Array(frame(plane, checksum: true).dropLast()) + [frame(plane, checksum: true).last.map { $0 ^ 1 } ?? 0]),
        ]
        for (what, stored) in refused {
            let bytes = try file(storing: stored, of: what.contains("content than") || what.contains("window") ? constant : plane)
            let error = try formatError { try readAll(bytes) }
            #expect(error?.code == "bad-frame" && error?.rule == "I16", "\(what): \(error.map(\.description) ?? "accepted")")
        }
        // The same header without the flaw is fine, so that it was the flaw that was refused.
        for header in [
            frameHeader(descriptor: 0x80, window: [13 << 3], contentSize: size),
            frameHeader(descriptor: 0xA0, window: [], contentSize: size),
        ] {
            #expect(try opened(try file(storing: header + block, of: constant)).tensors[0].tensor.bytes() == constant)
        }
    }

    @Test func aHigherMinorVersionMayAppendSectionsOnly() throws {
        var parts = try IngotParts(written(sampleCheckpoint()))
        parts.minorVersion = 7
        try expectEqual(sampleCheckpoint(), try opened(parts.bytes))
        #expect(try opened(parts.bytes).formatDetail == "version 1.7")
        parts.index += Array("MORE".utf8) + u64(3) + [1, 2, 3]
        try expectEqual(sampleCheckpoint(), try opened(parts.bytes))
        parts.index.removeLast()
        #expect(try formatError { _ = try opened(parts.bytes) }?.rule == "I10")
        // Its sections may use blobs of their own, after the others.
        var more = try IngotParts(written(sampleCheckpoint()))
        try more.change { $0.blobs.append(Blob(layout: .planes, width: 1, byteCount: 0, digest: SHA256.hash([]))) }
        #expect(try formatError { _ = try opened(more.bytes) }?.rule == "I18")
        more.minorVersion = 1
        _ = try IngotFormat.check(ByteRegion(bytes: more.bytes), limits: Limits())
    }
}
