import ByteIO
import CCodec
import FormatKit
import ModelIR
import Testing

@testable import IngotFormat

@Suite struct RoundTripTests {
    @Test(arguments: [nil, 0, 1, 10, 19]) func everythingComesBack(level: Int?) throws {
        let checkpoint = sampleCheckpoint()
        let bytes = try written(checkpoint, level: level)
        let copy = try opened(bytes)
        #expect(copy.format == "ingot")
        #expect(copy.source == Checkpoint.Source(format: "hdf5", detail: "HDF5, superblock 0"))
        try expectEqual(checkpoint, copy)
        #expect(try !IngotFormat.check(ByteRegion(bytes: bytes), limits: Limits()).isEmpty)
        // Written again it is the same file: the source stays what it was.
        #expect(try written(copy, level: level) == bytes)
    }

    @Test func anEmptyCheckpoint() throws {
        let checkpoint = Checkpoint(format: "safetensors")
        for level in [0, 3] {
            let bytes = try written(checkpoint, level: level)
            try expectEqual(checkpoint, try opened(bytes))
            #expect(try IngotFormat.check(ByteRegion(bytes: bytes), limits: Limits()).contains("0 chunks: XXH3 matches"))
        }
    }

    /// Sizes around a chunk, data of each kind of plane, all dtypes.
    @Test(arguments: DType.allCases, [0, 3]) func everyDTypeAndSize(dtype: DType, level: Int) throws {
        let perChunk = IngotLayout.chunkSize / dtype.size
        var checkpoint = Checkpoint(format: "test")
        for (i, count) in [0, 1, 2, 7, perChunk - 1, perChunk, perChunk + 1, 2 * perChunk + 3].enumerated() {
            let size = count * dtype.size
            let contents: [(String, [UInt8])] = [
                ("random", randomBytes(size, seed: UInt64(i))),
                ("zero", [UInt8](repeating: 0, count: size)),
                ("ones", [UInt8](repeating: 0xFF, count: size)),
                ("periodic", (0..<size).map { UInt8(truncatingIfNeeded: $0 % 251 / 3) }),
            ]
            for (kind, bytes) in contents {
                checkpoint.tensors.append(.init(name: "\(kind).\(count)", tensor: Tensor(dtype: dtype, shape: [count], bytes: bytes)))
            }
        }
        checkpoint.tensors.append(.init(name: "scalar", tensor: Tensor(dtype: dtype, shape: [], bytes: randomBytes(dtype.size, seed: 99))))
        checkpoint.tensors.append(.init(name: "empty", tensor: Tensor(dtype: dtype, shape: [3, 0, 5], bytes: [])))
        let bytes = try written(checkpoint, level: level, threadCount: 2)
        try expectEqual(checkpoint, try opened(bytes))
        _ = try IngotFormat.check(ByteRegion(bytes: bytes), limits: Limits())
    }

    @Test func nanPayloadsAndSignedZeros() throws {
        let patterns: [UInt32] = [
            0x7FC0_0001, 0xFFC0_0001, 0x7F80_0001, 0xFFFF_FFFF, 0x8000_0000, 0, 0x7F80_0000, 0xFF80_0000, 1, 0x8000_0001,
        ]
        let bytes = patterns.withUnsafeBytes { Array($0) }
        let checkpoint = Checkpoint(
            format: "test",
            tensors: [
                .init(name: "f32", tensor: Tensor(dtype: .f32, shape: [10], bytes: bytes)),
                .init(name: "bf16", tensor: Tensor(dtype: .bf16, shape: [20], bytes: bytes)),
                .init(name: "f16", tensor: Tensor(dtype: .f16, shape: [20], bytes: bytes)),
                .init(name: "f64", tensor: Tensor(dtype: .f64, shape: [5], bytes: bytes)),
            ])
        try expectEqual(checkpoint, try opened(try written(checkpoint)))
    }

    @Test func partsOfATensorAreReadAlone() throws {
        let size = 3 * IngotLayout.chunkSize + 1_000
        let raw = weights(size / 4, seed: 5).withUnsafeBytes { Array($0) }
        let checkpoint = Checkpoint(format: "test", tensors: [.init(name: "w", tensor: Tensor(dtype: .f32, shape: [size / 4], bytes: raw))])
        for level in [0, 3] {
            let tensor = try opened(try written(checkpoint, level: level)).tensors[0].tensor
            var generator = SeededGenerator(seed: 6)
            for _ in 0..<200 {
                let start = Int.random(in: 0...size, using: &generator)
                let count = Int.random(in: 0...min(size - start, Bool.random(using: &generator) ? 100 : size), using: &generator)
                let part = try [UInt8](unsafeUninitializedCapacity: count) { buffer, n in
                    try tensor.storage.read(
                        into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[0..<count]), at: start)
                    n = count
                }
                #expect(part == Array(raw[start..<start + count]), "\(start) \(count)")
            }
        }
    }

    @Test func storedTensorsCanBeMapped() throws {
        let checkpoint = sampleCheckpoint()
        let bytes = try written(checkpoint, level: 0)
        for (entry, original) in zip(try opened(bytes).tensors, checkpoint.tensors) {
            let region = try #require(entry.tensor.storage.region)
            #expect(region.offset % 64 == 0)
            #expect(try region.bytes() == original.tensor.bytes())
        }
        #expect(try opened(try written(checkpoint, level: 3)).tensors.allSatisfy { $0.tensor.storage.region == nil })
    }

    @Test func theExampleOfTheSpecification() throws {
        let checkpoint = Checkpoint(format: "test", tensors: [.init(name: "x", tensor: Tensor([Float(0.15625), -0.15625], shape: [2]))])
        let bytes = try written(checkpoint)
        #expect(Array(bytes[16..<21]) == [0x00, 0x01, 0x00, 0x40, 0x7C])
    }

    /// The dump in SPEC.md is what is written, byte for byte, and can be read.
    @Test func theFileInTheSpecification() throws {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let page = String(decoding: try ByteRegion(path: "\(root)/Formats/Ingot/SPEC.md").bytes(), as: UTF8.self)
        let dump = page.split(separator: "\n").filter { $0.hasPrefix("    0") && $0.dropFirst(8).hasPrefix("  ") }.flatMap { line in
            line.dropFirst(10).prefix(47).split(separator: " ").compactMap { UInt8($0, radix: 16) }
        }
        let checkpoint = Checkpoint(format: "npy", tensors: [.init(name: "w", tensor: Tensor([Float(0.15625)], shape: []))])
        #expect(dump.count == 380)
        #expect(try written(checkpoint, level: 0) == dump)
        try expectEqual(checkpoint, try opened(dump))
    }

    @Test func compressionIsWorthIt() throws {
        let plain = 1 << 20
        let checkpoint = Checkpoint(
            format: "test", tensors: [.init(name: "w", tensor: Tensor(weights(plain / 4, seed: 8), shape: [plain / 4]))])
        #expect(try written(checkpoint).count < plain * 90 / 100)
        let zeros = Checkpoint(
            format: "test",
            tensors: [.init(name: "w", tensor: Tensor(dtype: .i8, shape: [plain], bytes: [UInt8](repeating: 0, count: plain)))])
        #expect(try written(zeros).count < 400)
    }

    @Test(.serialized, arguments: [0, 1, 2], [1, 2, 4, 8]) func planesOfEveryInstructionSet(level: Int, width: Int) {
        cc_planes_level(Int32(level))
        defer { cc_planes_level(-1) }
        for count in [0, 1, 3, 15, 16, 17, 63, 64, 65, 1_000] {
            let source = randomBytes(count * width, seed: UInt64(count))
            for rotate in width == 2 || width == 4 ? [false, true] : [false] {
                var planes = [UInt8](repeating: 0, count: count * width)
                cc_planes_split(source, &planes, count, Int32(width), rotate ? 1 : 0)
                // The definition, as the specification words it.
                for i in 0..<count {
                    var element = (0..<width).reduce(UInt64(0)) { $0 | UInt64(source[i * width + $1]) << UInt64(8 * $1) }
                    let bits = UInt64(8 * width)
                    if rotate { element = (element << 1 | element >> (bits - 1)) & (1 << bits - 1) }
                    for k in 0..<width { #expect(planes[k * count + i] == UInt8(truncatingIfNeeded: element >> UInt64(8 * k))) }
                }
                var merged = [UInt8](repeating: 0, count: count * width)
                planes.withUnsafeBufferPointer { buffer in
                    let pointers = (0..<width).map { k in buffer.baseAddress.map { $0 + k * count } }
                    cc_planes_merge(pointers, &merged, count, Int32(width), rotate ? 1 : 0)
                }
                #expect(merged == source)
            }
        }
    }
}
