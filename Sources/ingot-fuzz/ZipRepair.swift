import CZlib

/// Gives a damaged zip archive true checksums again, so that the damage reaches what reads the members.
func withTrueChecksums(_ bytes: [UInt8]) -> [UInt8] {
    func number(_ at: Int, _ width: Int) -> Int { (0..<width).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) } }
    var result = bytes
    guard bytes.count >= 46 else { return bytes }
    for entry in 0...bytes.count - 46 where bytes[entry..<entry + 4].elementsEqual([0x50, 0x4B, 1, 2]) {
        // Stored members only: a checksum is of what comes out.
        guard number(entry + 10, 2) == 0 else { continue }
        let (count, header) = (number(entry + 20, 4), number(entry + 42, 4))
        guard header + 30 <= bytes.count else { continue }
        let start = header + 30 + number(header + 26, 2) + number(header + 28, 2)
        guard start <= bytes.count, count <= bytes.count - start else { continue }
        let checksum = bytes[start..<start + count].withUnsafeBufferPointer { crc32(0, $0.baseAddress, UInt32(count)) }
        for at in [entry + 16, header + 14] {
            for i in 0..<4 { result[at + i] = UInt8(truncatingIfNeeded: checksum >> UInt(8 * i)) }
        }
    }
    return result
}
