import Glibc
import ModelIR

extension StoredNames {
    /// Whether a language model's head is the table of tokens.
    ///
    /// As transformers 5 decides (`tie_weights`): where the configuration says so, unless the file holds two different tensors.
    /// - Parameters:
    ///   - head: name of the head's weight without prefixes.
    ///   - embedding: that of the table.
    /// - Returns: also a line for people where configuration and file disagree.
    func headTie(_ config: TransformerConfig, head: String, embedding: String) throws -> (isTied: Bool, assumptions: [String]) {
        guard try config.bool("tie_word_embeddings", default: true) else { return (false, []) }
        guard try differ(head, embedding) else { return (true, []) }
        return (false, ["the configuration ties \(head) to \(embedding), but the file holds two different tensors: both are used"])
    }

    /// Whether two parameters are stored and hold different values.
    /// - Parameters: names without prefixes.
    func differ(_ first: String, _ second: String) throws -> Bool {
        guard let a = key(first), let b = key(second), a != b, !ties.contains(where: { $0.contains(a) && $0.contains(b) }),
            let x = tensors[a], let y = tensors[b]
        else { return false }
        return try !x.holdsSameBytes(as: y)
    }

    private func key(_ suffix: String) -> String? {
        names.contains(suffix) ? suffix : names.first { $0.hasSuffix(".\(suffix)") || $0.hasSuffix("/\(suffix)") }
    }
}

extension Tensor {
    /// Compared piece by piece, up to the first difference.
    fileprivate func holdsSameBytes(as other: Tensor) throws -> Bool {
        guard dtype == other.dtype, shape == other.shape else { return false }
        let size = 1 << 20
        let mine = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
        defer { mine.deallocate() }
        let theirs = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
        defer { theirs.deallocate() }
        for offset in stride(from: 0, to: byteCount, by: size) {
            let count = min(size, byteCount - offset)
            let a = UnsafeMutableRawBufferPointer(rebasing: mine[0..<count])
            let b = UnsafeMutableRawBufferPointer(rebasing: theirs[0..<count])
            try storage.read(into: a, at: offset)
            try other.storage.read(into: b, at: offset)
            guard let left = a.baseAddress, let right = b.baseAddress, memcmp(left, right, count) == 0 else { return false }
        }
        return true
    }
}
