import ByteIO
import CCodec
import Glibc

/// Turns chunks into their stored form; a worker for one thread, with memory of its own.
final class ChunkEncoder {
    /// Planes shorter than this are simply tried.
    private static let probeThreshold = 16 << 10
    private static let samplePieceSize = 1 << 10
    private static let samplePieceCount = 4
    /// Bits a byte from which on a Huffman code saves too little to be worth its time.
    private static let incompressibleEntropy = 7.9
    /// From this level on time matters less than size, and every plane is tried.
    private static let exhaustiveLevel = 10
    /// Bytes of the shortest frame: magic number, descriptor, content size, block header.
    private static let smallestFrame = 9

    /// Room for a plane's frame, however it is made.
    private static let frameCapacity = max(ZstdCompressor.bound(IngotLayout.chunkSize), IngotLayout.chunkSize + Int(CC_LITERALS_SLACK))

    private let level: Int
    private let compressor: ZstdCompressor
    private let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: frameCapacity, alignment: 64)
    private let sample = UnsafeMutableRawBufferPointer.allocate(byteCount: samplePieceSize * samplePieceCount, alignment: 64)
    private let sampleOutput = UnsafeMutableRawBufferPointer.allocate(
        byteCount: ZstdCompressor.bound(samplePieceSize * samplePieceCount), alignment: 64)

    /// - Parameter level: zstd's, 1 to 19.
    init(level: Int) throws {
        self.level = level
        compressor = try ZstdCompressor()
    }

    deinit {
        frame.deallocate()
        sample.deallocate()
        sampleOutput.deallocate()
    }

    /// Stores a chunk in the shortest way.
    /// - Parameters:
    ///   - raw: the chunk, a multiple of `width` bytes and at most `IngotLayout.chunkSize`.
    ///   - target: as many bytes as the chunk has.
    /// - Returns: the stored lengths of the planes, which lie one after another in `target`.
    func encode(
        _ raw: UnsafeRawBufferPointer, layout: BlobLayout, width: Int, into target: UnsafeMutableRawBufferPointer
    ) -> [UInt32] {
        let count = raw.count / width
        if width > 1 {
            cc_planes_split(
                raw.baseAddress?.assumingMemoryBound(to: UInt8.self), target.baseAddress?.assumingMemoryBound(to: UInt8.self), count,
                Int32(width), layout == .rotatedPlanes ? 1 : 0)
        }
        // A plane moves up to where the one before it ends, which is never past its own place.
        let source = width == 1 ? raw : UnsafeRawBufferPointer(target)
        var lengths: [UInt32] = []
        var position = 0
        for k in 0..<width {
            let plane = UnsafeRawBufferPointer(rebasing: source[k * count..<(k + 1) * count])
            let stored = storedForm(of: plane)
            let place = UnsafeMutableRawBufferPointer(rebasing: target[position..<position + stored.count])
            if place.baseAddress != UnsafeMutableRawPointer(mutating: stored.baseAddress) { place.copyMemory(from: stored) }
            lengths.append(UInt32(stored.count))
            position += stored.count
        }
        return lengths
    }

    /// The plane itself, or memory of this encoder's until the next call.
    private func storedForm(of plane: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if let base = plane.baseAddress, plane.count > 1, memcmp(base, base + 1, plane.count - 1) == 0 {
            return UnsafeRawBufferPointer(rebasing: plane[..<1])
        }
        guard let length = compress(plane, into: frame), length < plane.count else { return plane }
        return UnsafeRawBufferPointer(rebasing: frame[..<length])
    }

    /// The way that a sample of the plane promises to be the shorter; at the highest levels both are tried.
    private func compress(_ plane: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int? {
        guard plane.count > Self.smallestFrame else { return nil }
        guard level < Self.exhaustiveLevel, plane.count > Self.probeThreshold else {
            let literals = Self.compressLiterals(plane, into: target)
            let matched = compressor.compress(plane, into: target, level: level)
            guard let literals, literals < matched ?? .max else { return matched }
            return Self.compressLiterals(plane, into: target)
        }
        takeSample(of: plane)
        let source = UnsafeRawBufferPointer(sample)
        let entropy = Self.entropy(source)
        // The search takes longer, and there is nothing to find where nothing repeats.
        if Self.repeats(source) {
            let matched = compressor.compress(source, into: sampleOutput, level: 1) ?? .max
            let literals = Double(source.count) * entropy / 8
            if Double(matched) < literals * 0.9 { return compressor.compress(plane, into: target, level: level) }
        }
        return entropy < Self.incompressibleEntropy ? Self.compressLiterals(plane, into: target) : nil
    }

    /// A frame of literals alone; nil if it isn't shorter than the plane.
    private static func compressLiterals(_ plane: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int? {
        precondition(target.count >= plane.count + Int(CC_LITERALS_SLACK), "no room for a plane")
        let length = cc_literals_encode(
            plane.baseAddress?.assumingMemoryBound(to: UInt8.self), plane.count, target.baseAddress?.assumingMemoryBound(to: UInt8.self))
        return length > 0 ? length : nil
    }

    /// Bytes from four places.
    private func takeSample(of plane: UnsafeRawBufferPointer) {
        let step = (plane.count - Self.samplePieceSize) / (Self.samplePieceCount - 1)
        for i in 0..<Self.samplePieceCount {
            UnsafeMutableRawBufferPointer(rebasing: sample[i * Self.samplePieceSize..<(i + 1) * Self.samplePieceSize])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: plane[i * step..<i * step + Self.samplePieceSize]))
        }
    }

    /// Whether at one of sixteen places, or more often, eight bytes come again.
    private static func repeats(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let tableSize = 1 << 12
        guard bytes.count > 8, bytes.count <= 1 << 16 else { return true }
        return withUnsafeTemporaryAllocation(of: UInt16.self, capacity: tableSize) { places in
            places.initialize(repeating: 0)
            var count = 0
            for i in 0..<bytes.count - 7 {
                let word = bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self)
                let slot = Int(truncatingIfNeeded: (word &* 0x9E37_79B9_7F4A_7C15) >> 52)
                // Place 0 stands for an empty slot too: there it is compared in vain.
                let place = Int(places[slot])
                if place < i && bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self) == word { count &+= 1 }
                places[slot] = UInt16(truncatingIfNeeded: i)
            }
            return count * 16 >= bytes.count
        }
    }

    /// Bits a byte, of bytes that are drawn independently.
    private static func entropy(_ bytes: UnsafeRawBufferPointer) -> Double {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 1_024) { counts in
            counts.initialize(repeating: 0)
            // Four tables, so that equal neighbours don't wait for each other.
            for i in stride(from: 0, to: bytes.count & ~3, by: 4) {
                counts[Int(bytes[i])] &+= 1
                counts[256 + Int(bytes[i + 1])] &+= 1
                counts[512 + Int(bytes[i + 2])] &+= 1
                counts[768 + Int(bytes[i + 3])] &+= 1
            }
            let total = bytes.count & ~3
            guard total > 0, total < countLogarithms.count else { return 0 }
            var bits = Float(total) * log2(Float(total))
            for value in 0..<256 {
                bits -= countLogarithms[Int(counts[value] + counts[256 + value] + counts[512 + value] + counts[768 + value])]
            }
            return Double(bits) / Double(total)
        }
    }

    /// A count times its binary logarithm, for as many as a sample may have of one value.
    private static let countLogarithms: [Float] = (0...samplePieceSize * samplePieceCount).map { $0 == 0 ? 0 : Float($0) * log2(Float($0)) }
}
