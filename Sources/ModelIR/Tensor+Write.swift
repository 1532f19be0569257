import ByteIO

/// Where a tensor's bytes go in a file.
public struct TensorPlace: Sendable {
    public var tensor: Tensor
    /// Of its first byte.
    public var offset: UInt64

    public init(_ tensor: Tensor, at offset: UInt64) {
        self.tensor = tensor
        self.offset = offset
    }
}

extension OutputFile {
    /// Bytes of a piece of a tensor; what has to be put together first is one piece up to `wholeByteCount`.
    private static var pieceByteCount: Int { 2 << 20 }
    private static var wholeByteCount: Int { 16 << 20 }

    private struct Piece: Sendable {
        var place: Int
        var range: Range<Int>
        /// Too large to be put together at once: left to the hand-over, which is in order.
        var isSequential: Bool
    }

    private final class Slot: @unchecked Sendable {
        private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 64)

        /// Room for `count` bytes that go to a file's `offset`, placed within a cache line as they will be in a page: the system copies bytes
        /// that are askew at half the speed.
        func bytes(_ count: Int, for offset: UInt64) -> UnsafeMutableRawBufferPointer {
            if memory.count < count + 64 {
                memory.deallocate()
                memory = .allocate(byteCount: count + 64, alignment: 64)
            }
            let start = Int(offset % 64)
            return UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + count])
        }

        deinit { memory.deallocate() }
    }

    /// Writes tensors to their places: some threads read and put together what another writes. Memory is bounded by a few pieces, or by the
    /// largest tensor whose elements have to change places.
    /// - Throws: what reading the tensors throws; `FileError` of kind `output`.
    public func write(_ places: [TensorPlace], threadCount: Int) throws {
        var pieces: [Piece] = []
        for (index, place) in places.enumerated() {
            let count = place.tensor.byteCount
            let isInPlace = place.tensor.storage.region != nil
            if count > Self.wholeByteCount && !isInPlace {
                pieces.append(Piece(place: index, range: 0..<count, isSequential: true))
            } else {
                // Nothing for a tensor without elements.
                let size = isInPlace ? Self.pieceByteCount : Self.wholeByteCount
                for start in stride(from: 0, to: count, by: size) {
                    pieces.append(Piece(place: index, range: start..<min(start + size, count), isSequential: false))
                }
            }
        }
        try inOrder(count: pieces.count, threadCount: threadCount, makeSlot: { Slot() }) { [pieces] i, slot in
            let piece = pieces[i]
            guard !piece.isSequential else { return }
            let place = places[piece.place]
            try place.tensor.storage.read(
                into: slot.bytes(piece.range.count, for: place.offset + UInt64(piece.range.lowerBound)), at: piece.range.lowerBound)
        } consume: { i, slot in
            let (piece, place) = (pieces[i], places[pieces[i].place])
            guard piece.isSequential else {
                let offset = place.offset + UInt64(piece.range.lowerBound)
                return try write(UnsafeRawBufferPointer(slot.bytes(piece.range.count, for: offset)), at: offset)
            }
            var position = place.offset
            try place.tensor.forEachPiece {
                try write($0, at: position)
                position += UInt64($0.count)
            }
        }
    }
}
