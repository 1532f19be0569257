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
        private(set) var bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 64)

        func reserve(_ count: Int) {
            guard bytes.count < count else { return }
            bytes.deallocate()
            bytes = .allocate(byteCount: count, alignment: 64)
        }

        deinit { bytes.deallocate() }
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
            slot.reserve(piece.range.count)
            let target = UnsafeMutableRawBufferPointer(rebasing: slot.bytes[0..<piece.range.count])
            try places[piece.place].tensor.storage.read(into: target, at: piece.range.lowerBound)
        } consume: { i, slot in
            let (piece, place) = (pieces[i], places[pieces[i].place])
            guard piece.isSequential else {
                let bytes = UnsafeRawBufferPointer(rebasing: slot.bytes[0..<piece.range.count])
                return try write(bytes, at: place.offset + UInt64(piece.range.lowerBound))
            }
            var position = place.offset
            try place.tensor.forEachPiece {
                try write($0, at: position)
                position += UInt64($0.count)
            }
        }
    }
}
