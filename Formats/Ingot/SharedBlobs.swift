import ByteIO
import Digests
import FormatKit
import Glibc
import ModelIR

/// Finds tensors whose bytes are equal, so that they are stored once: before anything is written, reading only what looks alike.
struct SharedBlobs {
    /// For each tensor the position of the first one with the same bytes; its own where there is none.
    private(set) var representatives: [Int]

    private static let prefixSize = 64 << 10
    private static let pieceSize = 1 << 20

    private struct Shape: Hashable {
        var width: Int
        var byteCount: Int
    }

    private struct Place: Hashable {
        var identity: StorageIdentity
        var shape: Shape
    }

    /// - Parameter digests: those that are known are taken instead of hashing.
    /// - Throws: what the tensors' storages throw.
    init(_ tensors: [Tensor], digests: TensorDigests = TensorDigests()) throws {
        representatives = Array(tensors.indices)
        var places: [Place: Int] = [:]
        var groups: [Shape: [Int]] = [:]
        for (i, tensor) in tensors.enumerated() {
            let shape = Shape(width: tensor.dtype.size, byteCount: tensor.byteCount)
            if let identity = tensor.storage.identity {
                let place = Place(identity: identity, shape: shape)
                if let first = places[place] {
                    representatives[i] = first
                    continue
                }
                places[place] = i
            }
            groups[shape, default: []].append(i)
        }
        // Each step hashes more of fewer tensors; hashes only choose whom to compare.
        for sameShape in groups.values where sameShape.count > 1 {
            let known = sameShape.map { digests[tensors[$0]] ?? [] }
            if !known.contains([]) {
                let digest = Dictionary(uniqueKeysWithValues: zip(sameShape, known))
                for sameDigest in Self.grouped(sameShape, by: { digest[$0] }) { try share(among: sameDigest, of: tensors) }
                continue
            }
            for samePrefix in try Self.grouped(sameShape, by: { try Self.hashPrefix(tensors[$0]) }) {
                for sameHash in try Self.grouped(samePrefix, by: { try Self.hashAll(tensors[$0]) }) {
                    try share(among: sameHash, of: tensors)
                }
            }
        }
        // One that lies where another does follows it to an equal third.
        for i in representatives.indices { representatives[i] = representatives[representatives[i]] }
    }

    /// Compares tensors that are likely to be equal.
    private mutating func share(among members: [Int], of tensors: [Tensor]) throws {
        var distinct: [Int] = []
        for i in members {
            if let equal = try distinct.first(where: { try Self.areEqual(tensors[$0], tensors[i]) }) {
                representatives[i] = equal
            } else {
                distinct.append(i)
            }
        }
    }

    /// Groups of at least two with equal keys, members in order.
    private static func grouped<Key: Hashable>(_ members: [Int], by key: (Int) throws -> Key) rethrows -> [[Int]] {
        guard members.count > 1 else { return [] }
        var groups: [Key: [Int]] = [:]
        for member in members { groups[try key(member), default: []].append(member) }
        return groups.values.filter { $0.count > 1 }
    }

    private static func hashPrefix(_ tensor: Tensor) throws -> UInt64 {
        let bytes = try [UInt8](unsafeUninitializedCapacity: min(prefixSize, tensor.byteCount)) { buffer, count in
            count = min(prefixSize, tensor.byteCount)
            try tensor.storage.read(into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[0..<count]), at: 0)
        }
        return xxh3(bytes)
    }

    private static func hashAll(_ tensor: Tensor) throws -> UInt64 {
        guard tensor.byteCount > prefixSize else { return 0 }
        var hash: UInt64 = 0
        try tensor.forEachPiece(ofSize: pieceSize) { hash = (hash &* 0x9E37_79B9_7F4A_7C15) ^ xxh3($0) }
        return hash
    }

    private static func areEqual(_ a: Tensor, _ b: Tensor) throws -> Bool {
        let size = min(pieceSize, a.byteCount)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, 2 * size), alignment: 64)
        defer { memory.deallocate() }
        for offset in stride(from: 0, to: a.byteCount, by: pieceSize) {
            let count = min(size, a.byteCount - offset)
            let left = UnsafeMutableRawBufferPointer(rebasing: memory[0..<count])
            let right = UnsafeMutableRawBufferPointer(rebasing: memory[size..<size + count])
            try a.storage.read(into: left, at: offset)
            try b.storage.read(into: right, at: offset)
            guard let l = left.baseAddress, let r = right.baseAddress, memcmp(l, r, count) == 0 else { return false }
        }
        return true
    }
}
