/// Undoes LibLZF's compression, which h5py offers as filter 32000.
///
/// A byte below 32 begins a run of that many literals and one; any other a copy: its upper three bits are the length less two (seven: a byte
/// more follows), its lower five and the next byte how far back, less one.
/// - Returns: nil if the data is damaged or makes more than `limit` bytes.
func lzfDecompressed(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(limit)
    var position = 0
    while position < bytes.count {
        let control = Int(bytes[position])
        position += 1
        if control < 32 {
            let count = control + 1
            guard count <= bytes.count - position, count <= limit - result.count else { return nil }
            result += bytes[position..<position + count]
            position += count
            continue
        }
        var count = control >> 5
        if count == 7 {
            guard position < bytes.count else { return nil }
            count += Int(bytes[position])
            position += 1
        }
        count += 2
        guard position < bytes.count else { return nil }
        let start = result.count - ((control & 31) << 8 | Int(bytes[position])) - 1
        position += 1
        guard start >= 0, count <= limit - result.count else { return nil }
        // The copy may overlap what it makes: byte by byte.
        for i in 0..<count { result.append(result[start + i]) }
    }
    return result
}
