import Executor

/// Damage to a file: the same seed gives the same damage.
struct Mutator {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// Words that begin structures of HDF5, zip and .npy; what lies behind them is what parsers believe.
    private static let marks: [[UInt8]] = {
        let names = [
            "OHDR", "OCHK", "TREE", "SNOD", "HEAP", "GCOL", "FRHP", "FHDB", "FHIB", "BTHD", "BTLF", "FAHD", "FADB", "EAHD", "EAIB",
            "\u{89}HDF", "PK\u{1}\u{2}", "PK\u{3}\u{4}", "PK\u{5}\u{6}", "\u{93}NUM",
        ]
        return names.map { $0.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }
    }()

    /// One to four pieces of damage, and their kinds.
    mutating func mutate(_ original: [UInt8], others: [[UInt8]]) -> (bytes: [UInt8], kinds: String) {
        var bytes = original
        var kinds: [String] = []
        for _ in 0..<[1, 1, 1, 2, 4][generator.integer(in: 0..<5)] {
            guard !bytes.isEmpty else { break }
            switch generator.integer(in: 0..<20) {
            case 0..<8: kinds.append(flip(&bytes))
            case 8..<15: kinds.append(editNumber(&bytes))
            case 15: kinds.append(truncate(&bytes))
            case 16: kinds.append(splice(&bytes, from: others[generator.integer(in: 0..<others.count)]))
            case 17: kinds.append(splice(&bytes, from: original))
            case 18: kinds.append(shift(&bytes))
            default: kinds.append(overwrite(&bytes))
            }
        }
        return (bytes, kinds.joined(separator: "+"))
    }

    /// Half of all places anywhere, the others near a mark.
    private mutating func position(_ bytes: [UInt8]) -> Int {
        let anywhere = generator.integer(in: 0..<bytes.count)
        guard generator.integer(in: 0..<2) == 0 else { return anywhere }
        // The next mark from there on, wrapping once.
        let start = anywhere
        for i in 0..<min(bytes.count, 1 << 16) {
            let at = (start + i) % bytes.count
            if Self.marks.contains(where: { $0.count <= bytes.count - at && bytes[at..<at + $0.count].elementsEqual($0) }) {
                return min(bytes.count - 1, at + generator.integer(in: 0..<96))
            }
        }
        return anywhere
    }

    private mutating func flip(_ bytes: inout [UInt8]) -> String {
        for _ in 0..<[1, 1, 2, 8][generator.integer(in: 0..<4)] {
            bytes[position(bytes)] ^= UInt8(1 + generator.integer(in: 0..<255))
        }
        return "flip"
    }

    /// A little-endian number of 1, 2, 4 or 8 bytes, replaced by one that makes trouble.
    private mutating func editNumber(_ bytes: inout [UInt8]) -> String {
        let width = [1, 2, 4, 8][generator.integer(in: 0..<4)]
        var at = position(bytes)
        if generator.integer(in: 0..<2) == 0 { at = at / width * width }
        guard at + width <= bytes.count else { return "none" }
        let old = (0..<width).reduce(UInt64(0)) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
        let count = UInt64(bytes.count)
        let choices: [UInt64] = [
            0, 1, .max, .max >> 1, 1 << 31, 1 << 32 - 1, 1 << 63, old &+ 1, old &- 1, old &* 2, old << 8, count, count &- 1, count &+ 1,
            count &- UInt64(at), UInt64(at), UInt64(generator.integer(in: 0..<bytes.count)), 0xFFFF, 0x7FFF_FFFF,
        ]
        let new = choices[generator.integer(in: 0..<choices.count)]
        for i in 0..<width { bytes[at + i] = UInt8(truncatingIfNeeded: new >> UInt64(8 * i)) }
        return "number"
    }

    private mutating func truncate(_ bytes: inout [UInt8]) -> String {
        bytes.removeLast(1 + generator.integer(in: 0..<bytes.count))
        return "truncation"
    }

    /// A piece of another file, or of another place in this one.
    private mutating func splice(_ bytes: inout [UInt8], from other: [UInt8]) -> String {
        guard !other.isEmpty else { return "none" }
        let count = 1 + generator.integer(in: 0..<min(512, other.count, bytes.count))
        let source = generator.integer(in: 0..<other.count - count + 1)
        let target = min(position(bytes), bytes.count - count)
        for i in 0..<count { bytes[target + i] = other[source + i] }
        return "splice"
    }

    /// Bytes taken out or put in, so that all behind them lies elsewhere.
    private mutating func shift(_ bytes: inout [UInt8]) -> String {
        let at = position(bytes)
        let count = 1 + generator.integer(in: 0..<16)
        if generator.integer(in: 0..<2) == 0 {
            bytes.removeSubrange(at..<min(bytes.count, at + count))
        } else {
            bytes.insert(contentsOf: [UInt8](repeating: 0, count: count), at: at)
        }
        return "shift"
    }

    private mutating func overwrite(_ bytes: inout [UInt8]) -> String {
        let at = position(bytes)
        let value: UInt8 = [0, 0xFF][generator.integer(in: 0..<2)]
        for i in at..<min(bytes.count, at + 1 + generator.integer(in: 0..<64)) { bytes[i] = value }
        return "overwrite"
    }
}
