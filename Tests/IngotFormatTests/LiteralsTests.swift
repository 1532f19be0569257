import CCodec
import Glibc
import Testing

@testable import IngotFormat

/// Frames of literals alone, read by libzstd and by our own decoder.
@Suite(.serialized) struct LiteralsTests {
    /// A frame by the instruction set in force; nil where it isn't shorter. What lies past the room it may use stays as it was.
    private func encoded(_ bytes: [UInt8]) -> [UInt8]? {
        let room = bytes.count + Int(CC_LITERALS_SLACK)
        var target = [UInt8](repeating: 0xA5, count: room + 100)
        let length = cc_literals_encode(bytes, bytes.count, &target)
        #expect(target[room...].allSatisfy { $0 == 0xA5 })
        return length == 0 ? nil : Array(target[..<length])
    }

    /// By libzstd, and by our decoder where it takes the frame, at both of its levels.
    private func decoded(_ frame: [UInt8], count: Int) throws -> [UInt8] {
        let decompressor = try ZstdDecompressor()
        var target = [UInt8](repeating: 0, count: count)
        let flaw = frame.withUnsafeBytes { source in target.withUnsafeMutableBytes { decompressor.decompressAny(source, into: $0) } }
        #expect(flaw == nil)
        if let own = ownDecoded(frame, count: count) { #expect(own == target) }
        return target
    }

    /// By our decoder, which has to do the same at both levels and to write nothing past the end; nil where it leaves the frame to libzstd.
    private func ownDecoded(_ frame: [UInt8], count: Int) -> [UInt8]? {
        defer { cc_literals_decode_level(-1) }
        let results = [Int32(-1), 0].map { level -> [UInt8]? in
            cc_literals_decode_level(level)
            var target = [UInt8](repeating: 0x5A, count: count + 64)
            // Exactly as long as the frame, so that a tool that watches memory sees what is read past its end.
            let isDecoded = cc_literals_decode(frame, frame.count, &target, count) == 1
            #expect(target[count...].allSatisfy { $0 == 0x5A })
            return isDecoded ? Array(target[..<count]) : nil
        }
        #expect(results[0] == results[1])
        return results[0]
    }

    /// `count` values from `first` on, each half as likely as the one before it, or `skew` times.
    private func skewed(_ count: Int, first: UInt8, skew: Double, seed: UInt64) -> [UInt8] {
        let random = randomBytes(4 * count, seed: seed)
        return (0..<count).map { i in
            var value = 0
            var draw = Double(random[4 * i]) / 256 + Double(random[4 * i + 1]) / 65_536 + Double(random[4 * i + 2]) / 16_777_216
            while draw < skew, value < 200 {
                draw /= skew
                value += 1
            }
            return first &+ UInt8(value)
        }
    }

    /// Lengths on both sides of every change of form: content sizes, streams, widths of sizes, blocks, the vectors' 64 bytes.
    private let lengths = [
        16, 17, 63, 64, 65, 255, 256, 257, 300, 1_022, 1_023, 1_024, 1_025, 4_103, 16_383, 16_384, 65_535, 65_791, 65_792, 131_071, 131_072,
        131_073, 200_000, 262_144, 524_288,
    ]

    @Test(arguments: [(UInt8(100), 0.5), (200, 0.5), (250, 0.4), (0, 0.8), (60, 0.93), (30, 0.985), (7, 0.02)]) func everyLengthComesBack(
        first: UInt8, skew: Double
    ) throws {
        defer { cc_literals_level(-1) }
        var frames = 0
        for length in lengths {
            let bytes = skewed(length, first: first, skew: skew, seed: UInt64(length))
            cc_literals_level(-1)
            let frame = encoded(bytes)
            cc_literals_level(0)
            #expect(encoded(bytes) == frame, "\(length) bytes, without vectors")
            guard let frame else { continue }
            frames += 1
            #expect(frame.count < length)
            #expect(try decoded(frame, count: length) == bytes, "\(length) bytes")
            if length >= 1_024 { #expect(ownDecoded(frame, count: length) == bytes, "\(length) bytes") }
        }
        #expect(frames > 15)
    }

    /// Counts like Fibonacci's numbers ask for codes longer than the format has.
    @Test(arguments: [UInt8(0), 120, 220]) func codesAreLimited(first: UInt8) throws {
        var bytes: [UInt8] = []
        var (a, b) = (1, 1)
        for value in 0..<22 {
            bytes += [UInt8](repeating: first + UInt8(value), count: a)
            (a, b) = (b, a + b)
        }
        bytes = Array(bytes.prefix(131_072))
        let frame = try #require(encoded(bytes))
        #expect(try decoded(frame, count: bytes.count) == bytes)
        // The entropy is 2.51 bits a byte; Huffman's code without a limit takes 2.62.
        #expect(frame.count < bytes.count * 27 / 80)
    }

    /// No larger than libzstd's own frame of bytes that don't repeat, and no smaller than any code for single bytes can be.
    @Test func sizeIsNoLargerThanLibzstds() throws {
        let compressor = try ZstdCompressor()
        for skew in [0.6, 0.8, 0.93] {
            let bytes = skewed(131_072, first: 90, skew: skew, seed: 5)
            var counts = [Double](repeating: 0, count: 256)
            for byte in bytes { counts[Int(byte)] += 1 }
            let bits = counts.reduce(0.0) { $1 > 0 ? $0 - $1 * log2($1 / Double(bytes.count)) : $0 }
            let frame = try #require(encoded(bytes))
            var target = [UInt8](repeating: 0, count: ZstdCompressor.bound(bytes.count))
            let other = bytes.withUnsafeBytes { source in target.withUnsafeMutableBytes { compressor.compress(source, into: $0, level: 1) }
            }
            #expect(try frame.count <= #require(other), "\(skew)")
            #expect(Double(frame.count) > bits / 8, "\(skew)")
        }
    }

    @Test func blocksOfOneValueAndOfNoise() throws {
        let block = 131_072
        let constant = [UInt8](repeating: 42, count: block)
        let noise = randomBytes(block, seed: 9)
        let weights = skewed(block, first: 110, skew: 0.5, seed: 2)
        for bytes in [constant + weights, noise + weights + constant, weights + noise, constant + noise, constant + constant] {
            let frame = try #require(encoded(bytes))
            #expect(try decoded(frame, count: bytes.count) == bytes)
        }
        #expect(try #require(encoded(constant + constant)).count < 32)
        #expect(encoded(noise) == nil)
        #expect(encoded(Array(noise[..<900])) == nil)
        #expect(encoded([]) == nil)
        #expect(encoded([1, 1, 1]) == nil)
    }

    /// Bytes with a histogram drawn at random: 1 to 256 values, evenly likely or not.
    private func drawn(_ count: Int, by generator: inout SeededGenerator) -> [UInt8] {
        let values = Int(generator.next() % 256) + 1
        let first = UInt8(truncatingIfNeeded: generator.next())
        let shape = generator.next() % 4
        return (0..<count).map { _ in
            let draw = generator.next()
            var value = Int(draw % UInt64(values))
            // The least of several draws is skewed; so is the number of zeros at the end of one.
            if shape == 1 { value = min(value, Int((draw >> 32) % UInt64(values))) }
            if shape == 2 { value = min(draw.trailingZeroBitCount, values - 1) }
            if shape == 3 { value = min((draw | draw >> 21).trailingZeroBitCount * 2 + Int(draw >> 62), values - 1) }
            return first &+ UInt8(truncatingIfNeeded: value)
        }
    }

    /// Frames of our writer and of libzstd at its fastest level, which uses matches little and literals much.
    private func frames(of bytes: [UInt8]) throws -> [[UInt8]] {
        let compressor = try ZstdCompressor()
        var target = [UInt8](repeating: 0, count: ZstdCompressor.bound(bytes.count))
        let length = bytes.withUnsafeBytes { source in target.withUnsafeMutableBytes { compressor.compress(source, into: $0, level: 1) } }
        return [encoded(bytes), length.map { Array(target[..<$0]) }].compactMap { $0 }
    }

    @Test func decoderAgreesWithLibzstd() throws {
        var generator = SeededGenerator(seed: 11)
        var own = 0
        for count in Array(1...2_000) + [4_096, 16_383, 16_384, 70_000, 131_072, 131_073, 262_144, 300_001] {
            let bytes = drawn(count, by: &generator)
            for frame in try frames(of: bytes) {
                #expect(try decoded(frame, count: count) == bytes, "\(count) bytes")
                if ownDecoded(frame, count: count) != nil { own += 1 }
            }
        }
        #expect(own > 900)
    }

    /// Whatever is damaged, our decoder accepts nothing that libzstd refuses, and gives the same bytes.
    @Test func damagedFramesAreLibzstdsToJudge() throws {
        var generator = SeededGenerator(seed: 12)
        let decompressor = try ZstdDecompressor()
        var (accepted, refused) = (0, 0)
        for round in 0..<400 {
            let count = round % 20 == 0 ? 140_000 : 1_024 + Int(generator.next() % 3_000)
            let bytes = drawn(count, by: &generator)
            for frame in try frames(of: bytes) {
                for _ in 0..<8 {
                    var damaged = frame
                    for _ in 0...generator.next() % 3 {
                        // Half of it in headers and tables.
                        let range = generator.next() % 2 == 0 ? min(damaged.count, 120) : damaged.count
                        damaged[Int(generator.next() % UInt64(range))] ^= UInt8(1) << UInt8(generator.next() % 8)
                    }
                    if generator.next() % 8 == 0 { damaged.removeLast() }
                    var target = [UInt8](repeating: 0, count: count)
                    let flaw = damaged.withUnsafeBytes { source in
                        target.withUnsafeMutableBytes { decompressor.decompressAny(source, into: $0) }
                    }
                    let own = ownDecoded(damaged, count: count)
                    if let own { #expect(flaw == nil && own == target, "round \(round)") }
                    accepted += own == nil ? 0 : 1
                    refused += flaw == nil ? 0 : 1
                }
            }
        }
        #expect(accepted > 100 && refused > 1_000)
    }

    /// Codes of one bit fill an entry of the decoder's table by themselves; 11 bits are the longest.
    @Test(arguments: [2, 3, 5, 12, 16]) func shortAndLongCodesTogether(values: Int) throws {
        var bytes: [UInt8] = []
        for value in 0..<values { bytes += [UInt8](repeating: UInt8(200 - value), count: max(1, 65_536 >> value)) }
        var generator = SeededGenerator(seed: 13)
        for i in stride(from: bytes.count - 1, to: 0, by: -1) { bytes.swapAt(i, Int(generator.next() % UInt64(i + 1))) }
        let frame = try #require(encoded(bytes))
        #expect(try decoded(frame, count: bytes.count) == bytes)
        #expect(ownDecoded(frame, count: bytes.count) == bytes)
    }
}
